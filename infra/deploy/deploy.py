"""`make deploy`: upload the package and create or update the stage's stack.

Guarantee: what is uploaded has our files as they are in this checkout and the wheels' files as the
locks have them by hash, whoever built it.
"""

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from infra import cli
from infra.deploy import artifact, contents
from infra.deploy.artifact import TEMPLATE, ZIP
from infra.deploy.contents import PackageError
from infra.deploy.stacks import (
    DeployError,
    Stack,
    choose_region,
    parameter_values,
    restored_parameter,
)

_CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def main(arguments: list[str]) -> None:
    parser = cli.parser("deploy", __doc__)
    parser.add_argument("--origin", type=cli.origin, help="the dashboard's origin, https://…")
    parser.add_argument("--email", type=cli.email, help="the address that gets the alarms")
    parser.add_argument("--bucket", type=cli.bucket, help="the bucket for packages")
    parser.add_argument("--restored", default="", help="the existing tables that a new stack uses")
    parser.add_argument("--role", type=cli.role, help="the role that CloudFormation uses")
    asked = parser.parse_args(arguments)
    wanted = {"AllowedOrigin": asked.origin, "AlarmEmail": asked.email}
    chosen = {name: value for name, value in wanted.items() if value}
    with cli.exits("Not deployed", DeployError, PackageError):
        choose_region()
        folder = artifact.folder(asked.stage)
        restored = restored_parameter(asked.restored) if asked.restored else None
        outputs = deploy(
            asked.stage, folder, chosen, asked.bucket or "", asked.role or "", restored
        )
    for name, value in sorted(outputs.items()):
        print(f"  {name:16} {value}")


def deploy(
    stage: str,
    folder: Path,
    chosen: Mapping[str, str],
    bucket: str = "",
    role: str = "",
    restored: str | None = None,
) -> dict[str, str]:
    """Create or update the stack from the package in `folder`; return its outputs.

    Parameters that are not `chosen` keep their values. Raises PackageError, DeployError or boto3
    errors.
    """
    if not (folder / TEMPLATE).exists():
        raise DeployError(f"There is no package. Run `make package STAGE={stage}` first.")
    template = json.loads((folder / TEMPLATE).read_text())
    stack = Stack(f"payflow-{stage}")
    previous = stack.parameters()
    if previous is None and "AllowedOrigin" not in chosen:
        raise DeployError("A new stack needs the dashboard's origin: ORIGIN=https://…")
    artifact.seal(folder / ZIP, contents.LAMBDA)
    if previous is None:
        previous = stack.import_tables(template, stage, restored)
    # A stack that has just imported its tables has no value for this one either.
    if "ApiGatewayLogsRole" not in (previous or ()):
        chosen = {"ApiGatewayLogsRole": _logs_role(), **chosen}
    values = parameter_values(template, chosen, previous or set())
    url = _upload(bucket, folder / ZIP, template)
    by = {"RoleARN": role} if role else {}
    stack.change(TemplateURL=url, Parameters=values, Capabilities=_CAPABILITIES, **by)
    return stack.outputs()


def _logs_role() -> str:
    """Return `present` if API Gateway may already write logs in this region, else `create`."""
    account = boto3.client("apigateway").get_account()
    return "present" if account.get("cloudwatchRoleArn") else "create"


def _upload(bucket: str, archive: Path, template: Mapping[str, Any]) -> str:
    """Upload the package under names that are hashes; return the template's URL."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    s3: Any = boto3.client("s3")
    region = s3.meta.region_name
    bucket = bucket or f"payflow-packages-{account}-{region}"
    owned = {"Bucket": bucket, "ExpectedBucketOwner": account}  # refuse another account's bucket
    try:
        s3.head_bucket(**owned)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
        # us-east-1 must not be named. New buckets are private and encrypted.
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
    code = archive.read_bytes()
    code_key = f"{sha256(code).hexdigest()}.zip"
    s3.put_object(**owned, Key=code_key, Body=code)
    text = json.dumps(template).replace(f'"./{ZIP}"', json.dumps(f"s3://{bucket}/{code_key}"))
    template_key = f"{sha256(text.encode()).hexdigest()}.json"
    s3.put_object(**owned, Key=template_key, Body=text.encode())
    # CloudFormation takes templates over 51,200 bytes only by URL.
    return f"{s3.meta.endpoint_url}/{bucket}/{template_key}"


if __name__ == "__main__":
    main(sys.argv[1:])
