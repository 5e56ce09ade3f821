"""CloudFormation stacks, changed only by change sets.

Guarantee: a stack changes as a whole or not at all (CloudFormation rolls back). Tables that a
deleted stack left behind are imported into the new one with their data.
"""

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import boto3
from botocore.exceptions import ClientError, WaiterError

_REGION: Final = "ca-central-1"
_WAITING: Final = {"Delay": 2, "MaxAttempts": 900}
TABLE: Final = "AWS::DynamoDB::Table"
RESTORED: Final = "|[0-9]{8}T[0-9]{6}Z-"
"""The template's parameter `Restored`: the moment that the stage's tables were restored to."""


_ADVICE: Final = {
    "must be verified": "AWS has not verified this new account for CloudFront yet. Ask for it in a "
    "case at AWS Support (account and billing, no plan needed), then run this again."
}
"""What to do, by a part of the reason that AWS gives."""


class DeployError(Exception):
    """The stack cannot be changed; the message says why and what to do."""


def choose_region() -> None:
    """Choose the region for every client: AWS_REGION, else the AWS profile's, else ours."""
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name or _REGION
    os.environ.update(AWS_REGION=region, AWS_DEFAULT_REGION=region)


class Stack:
    """One CloudFormation stack, changed only by change sets."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cloudformation: Any = boto3.client("cloudformation")

    def parameters(self) -> set[str] | None:
        """Return the names of its parameters, or None if the stack does not exist."""
        stack = self._description()
        if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        if stack["StackStatus"] in {"ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}:
            raise DeployError(
                f"{self._name} could not be created last time. Remove what is left of it with "
                f"`aws cloudformation delete-stack --stack-name {self._name}`, then try again."
            )
        return {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}

    def outputs(self) -> dict[str, str]:
        stack = self._description()
        assert stack is not None, "it was just deployed"
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def import_tables(
        self, template: Mapping[str, Any], stage: str, restored: str | None = None
    ) -> set[str] | None:
        """Create the stack from tables that already exist; return its `parameters`, if any does.

        An import may contain only the imported resources: the next change adds the rest.
        `restored` chooses between tables of several moments; "" means the original ones.
        Raises DeployError if there are several and none is chosen.
        """
        if restored is None:
            restored = _restored_of_existing(template, stage)
        tables = _existing(template, stage, restored)
        if not tables:
            return None
        print(f"Importing the tables of an earlier stack: {', '.join(tables.values())}")
        body = {
            "Parameters": {name: template["Parameters"][name] for name in ("Stage", "Restored")},
            "Resources": {logical_id: template["Resources"][logical_id] for logical_id in tables},
        }
        imported = importing(tables)
        for kept in [*_existing_key(template, stage), *_existing_bucket(template, stage)]:
            logical_id = kept["LogicalResourceId"]
            body["Resources"][logical_id] = template["Resources"][logical_id]
            imported["ResourcesToImport"].append(kept)
        self.change(
            TemplateBody=json.dumps(body),
            Parameters=[
                {"ParameterKey": "Stage", "ParameterValue": stage},
                {"ParameterKey": "Restored", "ParameterValue": restored},
            ],
            **imported,
        )
        return self.parameters()

    def template(self, stage: Literal["Original", "Processed"]) -> Any:
        """Return its template, before or after transforms; as text if it is YAML."""
        answer = self._cloudformation.get_template(StackName=self._name, TemplateStage=stage)
        return answer["TemplateBody"]

    def change(self, **what: Any) -> None:
        """Create a change set and execute it, unless nothing changes. Raises DeployError."""
        kind = what.pop("ChangeSetType", "CREATE" if self.parameters() is None else "UPDATE")
        # GitHub's deploys have a role for CloudFormation, and carry out only change sets so named.
        whose = "pipeline" if "RoleARN" in what else "administrator"
        # By both names: of a change set's ARN alone, IAM may check another resource than the stack.
        stack = {"StackName": self._name}
        change_set = {**stack, "ChangeSetName": f"payflow-{whose}-{uuid.uuid4()}"}
        self._cloudformation.create_change_set(**change_set, ChangeSetType=kind, **what)
        try:
            self._wait("change_set_create_complete", **change_set)
        except WaiterError:
            found = self._cloudformation.describe_change_set(**change_set)
            reason = found.get("StatusReason", "no reason given")
            self._cloudformation.delete_change_set(**change_set)
            if "didn't contain changes" in reason or "No updates" in reason:
                print("Nothing to change.")
                return
            raise DeployError(reason) from None
        self._cloudformation.execute_change_set(**change_set)
        try:
            self._wait(f"stack_{kind.lower()}_complete", **stack)
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
            logical_id, reason = event["LogicalResourceId"], event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED"):
                yield f"  {logical_id}: {reason}"
                yield from (f"  {advice}" for told, advice in _ADVICE.items() if told in reason)
            elif event["ResourceStatus"] == "DELETE_SKIPPED":
                yield f"  {logical_id}: was kept; delete {event['PhysicalResourceId']} yourself"


def parameter_values(
    template: Mapping[str, Any], chosen: Mapping[str, str], previous: set[str]
) -> list[dict[str, Any]]:
    """Give each parameter its chosen value, else its previous one, else its default."""
    values: list[dict[str, Any]] = []
    for name in template["Parameters"]:
        if name in chosen:
            values.append({"ParameterKey": name, "ParameterValue": chosen[name]})
        elif name in previous:
            values.append({"ParameterKey": name, "UsePreviousValue": True})
    return values


def importing(tables: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments that make a change set import `tables`, given by logical id."""
    return {
        "ChangeSetType": "IMPORT",
        "ResourcesToImport": [
            {
                "ResourceType": TABLE,
                "LogicalResourceId": logical_id,
                "ResourceIdentifier": {"TableName": name},
            }
            for logical_id, name in tables.items()
        ],
    }


def table_names(template: Mapping[str, Any], stage: str, restored: str = "") -> dict[str, str]:
    """Return the names of the template's tables, by logical id."""
    return {
        logical_id: resource["Properties"]["TableName"]["Fn::Sub"]
        .replace("${Restored}", restored)
        .replace("${Stage}", stage)
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == TABLE
    }


def restored_parameter(moment: str) -> str:
    """Return the parameter `Restored` for a moment such as 20261125T120000Z, or for `first`.

    `first` means the tables that the stage began with. Raises DeployError.
    """
    restored = "" if moment == "first" else f"{moment}-"
    if not re.fullmatch(RESTORED, restored):
        raise DeployError(f"RESTORED is {moment!r}; it must be `first`, or like 20261125T120000Z.")
    return restored


def _existing_key(template: Mapping[str, Any], stage: str) -> list[dict[str, Any]]:
    """Return how to import the key of the webhook secrets and its alias, if they exist."""
    alias = f"alias/payflow-secrets-{stage}"
    kms = boto3.client("kms")
    if "SecretsKey" not in template["Resources"]:
        return []
    try:
        key_id = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    except kms.exceptions.NotFoundException:
        return []
    return [
        {
            "ResourceType": "AWS::KMS::Key",
            "LogicalResourceId": "SecretsKey",
            "ResourceIdentifier": {"KeyId": key_id},
        },
        {
            "ResourceType": "AWS::KMS::Alias",
            "LogicalResourceId": "SecretsKeyAlias",
            "ResourceIdentifier": {"AliasName": alias},
        },
    ]


def _existing_bucket(template: Mapping[str, Any], stage: str) -> list[dict[str, Any]]:
    """Return how to import the bucket of exports, if it exists and is this account's."""
    if "ExportsBucket" not in template["Resources"]:
        return []
    account = boto3.client("sts").get_caller_identity()["Account"]
    name = f"payflow-exports-{stage}-{account}"
    try:
        boto3.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
        return []
    return [
        {
            "ResourceType": "AWS::S3::Bucket",
            "LogicalResourceId": "ExportsBucket",
            "ResourceIdentifier": {"BucketName": name},
        }
    ]


def _existing(template: Mapping[str, Any], stage: str, restored: str) -> dict[str, str]:
    """Return the template's tables that already exist, by logical id."""
    dynamodb = boto3.client("dynamodb")
    existing: dict[str, str] = {}
    for logical_id, name in table_names(template, stage, restored).items():
        try:
            dynamodb.describe_table(TableName=name)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
        existing[logical_id] = name
    return existing


def _restored_of_existing(template: Mapping[str, Any], stage: str) -> str:
    """Return the `Restored` of the existing tables, or "". Raises DeployError for several."""
    pages = boto3.client("dynamodb").get_paginator("list_tables").paginate()
    there = {name for page in pages for name in page["TableNames"]}
    patterns = [
        re.compile(re.escape(name).replace("MOMENT", f"({RESTORED})"))
        for name in table_names(template, stage, "MOMENT").values()
    ]
    found = {
        match[1] for name in there for pattern in patterns if (match := pattern.fullmatch(name))
    }
    if len(found) > 1:
        moments = " or ".join(
            f"RESTORED={moment.rstrip('-') or 'first'}" for moment in sorted(found)
        )
        raise DeployError(f"There are tables of several moments. Choose those to use: {moments}.")
    return found.pop() if found else ""
