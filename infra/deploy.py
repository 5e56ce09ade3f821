"""Deploy what `make package` has made: upload the zip, then create or update the stage's stack.

Guarantee: the stack changes as a whole or not at all (CloudFormation rolls back), and tables that
a deleted stack has left behind are taken into the new one with their data.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from infra.package import ROOT, TEMPLATE, ZIP
from infra.stage import choose_region

_WAITING: Final = {"Delay": 2, "MaxAttempts": 900}
_CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_TABLE: Final = "AWS::DynamoDB::Table"


class DeployError(Exception):
    """The stack is not what it should be; the message says why and what to do."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--origin", default="", help="the dashboard's, https://…")
    parser.add_argument("--email", default="", help="who hears of alarms")
    parser.add_argument("--bucket", default="", help="where packages are uploaded")
    asked = parser.parse_args(arguments)
    wanted = {"AllowedOrigin": asked.origin, "AlarmEmail": asked.email}
    chosen = {name: value for name, value in wanted.items() if value}
    try:
        choose_region()
        outputs = deploy(asked.stage, ROOT / "dist" / asked.stage, chosen, asked.bucket)
    except DeployError as error:
        sys.exit(f"Not deployed: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not deployed; AWS says: {error}")
    for name, value in sorted(outputs.items()):
        print(f"  {name:16} {value}")


def deploy(stage: str, folder: Path, chosen: Mapping[str, str], bucket: str = "") -> dict[str, str]:
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
        previous = stack.take_in(template, stage)
    # Also when tables were taken in: a stack that never came up never had a say in it.
    if "ApiGatewayLogsRole" not in (previous or ()):
        chosen = {"ApiGatewayLogsRole": _logs_role(), **chosen}
    values = parameter_values(template, chosen, previous or set())
    url = _upload(bucket, folder / ZIP, template)
    stack.change(TemplateURL=url, Parameters=values, Capabilities=_CAPABILITIES)
    return stack.outputs()


class Stack:
    """One CloudFormation stack, changed by change sets only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cloudformation: Any = boto3.client("cloudformation")

    def parameters(self) -> set[str] | None:
        """The names that it has values for; None where there is no stack."""
        stack = self._description()
        if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        if stack["StackStatus"] in {"ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}:
            raise DeployError(
                f"{self._name} could not be created last time; remove what is left of it with "
                f"`aws cloudformation delete-stack --stack-name {self._name}`, and try again"
            )
        return {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}

    def outputs(self) -> dict[str, str]:
        stack = self._description()
        assert stack is not None, "it has just been deployed"
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def take_in(self, template: Mapping[str, Any], stage: str) -> set[str] | None:
        """Make the stack of those of its tables that exist, if any does; returns `parameters`.

        An import may hold nothing else: no transform, no output and nothing new. What is missing
        comes with the next change.
        """
        tables = _left_behind(template, stage)
        if not tables:
            return None
        print(f"Taking in the tables of an earlier stack: {', '.join(tables.values())}")
        body = {
            "Parameters": {"Stage": template["Parameters"]["Stage"]},
            "Resources": {logical_id: template["Resources"][logical_id] for logical_id in tables},
        }
        self.change(
            TemplateBody=json.dumps(body),
            Parameters=[{"ParameterKey": "Stage", "ParameterValue": stage}],
            ChangeSetType="IMPORT",
            ResourcesToImport=[
                {
                    "ResourceType": _TABLE,
                    "LogicalResourceId": logical_id,
                    "ResourceIdentifier": {"TableName": name},
                }
                for logical_id, name in tables.items()
            ],
        )
        return self.parameters()

    def change(self, **what: Any) -> None:
        """Make a change set and carry it out; nothing, when there is nothing to change."""
        kind = what.pop("ChangeSetType", "CREATE" if self.parameters() is None else "UPDATE")
        change_set = self._cloudformation.create_change_set(
            StackName=self._name,
            ChangeSetName=f"payflow-{uuid.uuid4()}",
            ChangeSetType=kind,
            **what,
        )["Id"]
        try:
            self._wait("change_set_create_complete", ChangeSetName=change_set)
        except WaiterError:
            reason = self._cloudformation.describe_change_set(ChangeSetName=change_set).get(
                "StatusReason", "no reason given"
            )
            self._cloudformation.delete_change_set(ChangeSetName=change_set)
            if "didn't contain changes" in reason or "No updates" in reason:
                print("Nothing to change.")
                return
            raise DeployError(reason) from None
        self._cloudformation.execute_change_set(ChangeSetName=change_set)
        try:
            self._wait(f"stack_{kind.lower()}_complete", StackName=self._name)
        except WaiterError:
            raise DeployError("\n".join(["CloudFormation says:", *self._failures()])) from None

    def _description(self) -> Any:
        try:
            return self._cloudformation.describe_stacks(StackName=self._name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def _wait(self, state: str, **what: str) -> None:
        self._cloudformation.get_waiter(state).wait(**what, WaiterConfig=_WAITING)

    def _failures(self) -> Iterable[str]:
        events = self._cloudformation.describe_stack_events(StackName=self._name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                reason = event.get("ResourceStatusReason", "")
                yield f"  {event['LogicalResourceId']}: {reason}"


def parameter_values(
    template: Mapping[str, Any], chosen: Mapping[str, str], previous: set[str]
) -> list[dict[str, Any]]:
    """Each of the template's parameters: as chosen, or as it was; or its default."""
    values: list[dict[str, Any]] = []
    for name in template["Parameters"]:
        if name in chosen:
            values.append({"ParameterKey": name, "ParameterValue": chosen[name]})
        elif name in previous:
            values.append({"ParameterKey": name, "UsePreviousValue": True})
    return values


def _left_behind(template: Mapping[str, Any], stage: str) -> dict[str, str]:
    """The tables of the template that exist already, by logical id."""
    dynamodb = boto3.client("dynamodb")
    existing: dict[str, str] = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != _TABLE:
            continue
        name = resource["Properties"]["TableName"]["Fn::Sub"].replace("${Stage}", stage)
        try:
            dynamodb.describe_table(TableName=name)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
        existing[logical_id] = name
    return existing


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
