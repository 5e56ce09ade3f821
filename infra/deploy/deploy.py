"""Deploy what `make package` has made: upload the zip, then create or update the stage's stack."""

import argparse
import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy import artifact
from infra.deploy.artifact import TEMPLATE, ZIP
from infra.deploy.stacks import (
    DeployError,
    Stack,
    choose_region,
    parameter_values,
    restored_as_said,
)

_CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--origin", default="", help="the dashboard's, https://…")
    parser.add_argument("--email", default="", help="who hears of alarms")
    parser.add_argument("--bucket", default="", help="where packages are uploaded")
    parser.add_argument("--restored", default="", help="which tables a new stack takes in")
    parser.add_argument("--role", default="", help="by which CloudFormation works, if not yours")
    asked = parser.parse_args(arguments)
    wanted = {"AllowedOrigin": asked.origin, "AlarmEmail": asked.email}
    chosen = {name: value for name, value in wanted.items() if value}
    try:
        choose_region()
        folder = artifact.folder(asked.stage)
        restored = restored_as_said(asked.restored) if asked.restored else None
        outputs = deploy(asked.stage, folder, chosen, asked.bucket, asked.role, restored)
    except DeployError as error:
        sys.exit(f"Not deployed: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not deployed; AWS says: {error}")
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
    """Bring the stack up to the package in `folder`; returns its outputs.

    Parameters that are not `chosen` stay as they are. Raises DeployError, and what boto3 raises.
    """
    if not (folder / TEMPLATE).exists():
        raise DeployError(f"there is no package; make package STAGE={stage} first")
    template = json.loads((folder / TEMPLATE).read_text())
    stack = Stack(f"payflow-{stage}")
    previous = stack.parameters()
    if previous is None and "AllowedOrigin" not in chosen:
        raise DeployError("a new stack needs ORIGIN=https://…, the dashboard's origin")
    if previous is None:
        previous = stack.take_in(template, stage, restored)
    # Also when tables were taken in: a stack that never came up never had a say in it.
    if "ApiGatewayLogsRole" not in (previous or ()):
        chosen = {"ApiGatewayLogsRole": _logs_role(), **chosen}
    values = parameter_values(template, chosen, previous or set())
    url = _upload(bucket, folder / ZIP, template)
    by = {"RoleARN": role} if role else {}
    stack.change(TemplateURL=url, Parameters=values, Capabilities=_CAPABILITIES, **by)
    return stack.outputs()


def _logs_role() -> str:
    """Whether this account lets API Gateway write logs in this region, or must be told to."""
    account = boto3.client("apigateway").get_account()
    return "present" if account.get("cloudwatchRoleArn") else "create"


def _upload(bucket: str, archive: Path, template: Mapping[str, Any]) -> str:
    """Upload the package, under names that say its contents; returns the template's address."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    s3: Any = boto3.client("s3")
    region = s3.meta.region_name
    bucket = bucket or f"payflow-packages-{account}-{region}"
    owned = {"Bucket": bucket, "ExpectedBucketOwner": account}  # never into somebody else's
    try:
        s3.head_bucket(**owned)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
        # us-east-1 is the one region that must not be named. New buckets are private and encrypted.
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
    code = archive.read_bytes()
    code_key = f"{sha256(code).hexdigest()}.zip"
    s3.put_object(**owned, Key=code_key, Body=code)
    text = json.dumps(template).replace(f'"./{ZIP}"', json.dumps(f"s3://{bucket}/{code_key}"))
    template_key = f"{sha256(text.encode()).hexdigest()}.json"
    s3.put_object(**owned, Key=template_key, Body=text.encode())
    # Too large to be sent along: CloudFormation takes 51,200 bytes, or an address.
    return f"{s3.meta.endpoint_url}/{bucket}/{template_key}"


if __name__ == "__main__":
    main(sys.argv[1:])
