"""Create the local tables and queues from infra/backend.yaml, the template for AWS.

DynamoDB Local has no CloudFormation: if it is the engine, its tables are created through its API
from the same template, and the tables in the emulated AWS stay empty.
"""

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import ROOT
from infra.deploy import yaml_text
from infra.deploy.stacks import table_names
from infra.local.settings import STAGE, Local, SetupError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE: Final = ROOT / "infra" / "backend.yaml"
_STACK: Final = f"payflow-backend-{STAGE}"
_TIMEOUT_SECONDS: Final = 30
_CREATED_WITH: Final = (
    "TableName",
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
)


def table_settings(local: Local) -> dict[str, str]:
    """Return the settings that name the app's tables, which need not be there yet.

    Raises SetupError.
    """
    with _reported(local):
        restored = _parameter(_described(_client("cloudformation")), "Restored")
    names = table_names(template(), STAGE, restored)
    return {
        "PAYFLOW_PAYMENTS_TABLE": names["PaymentsTable"],
        "PAYFLOW_IDEMPOTENCY_TABLE": names["IdempotencyTable"],
    }


def provision(local: Local) -> None:
    """Create the stack, or update it to the template and keep the data. Raises SetupError."""
    with _reported(local):
        restored = _deploy(_client("cloudformation"), local.visibility_seconds)
        dynamodb = _client("dynamodb")
        if local.dynamodb_port is not None:
            create_tables(dynamodb, STAGE, restored)
        for table in tables(STAGE, restored):
            _check(dynamodb, table)
            enable_ttl(dynamodb, table)


@contextmanager
def _reported(local: Local) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise SetupError(
            f"The tables and queues could not be created: {error}. "
            f"The engine's log is in {local.logs}. `make reset` starts from scratch."
        ) from error


def _client(service: Literal["cloudformation", "dynamodb"]) -> Any:
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    return boto3.client(service, config=config)


def tables(stage: str, restored: str = "") -> list[dict[str, Any]]:
    """Return the properties of the template's tables, with their names."""
    return [
        {**template()["Resources"][logical_id]["Properties"], "TableName": name}
        for logical_id, name in table_names(template(), stage, restored).items()
    ]


def create_tables(dynamodb: "DynamoDBClient", stage: str, restored: str = "") -> None:
    """Create the template's missing tables, for an engine without CloudFormation."""
    for table in tables(stage, restored):
        wanted: dict[str, Any] = {name: table[name] for name in _CREATED_WITH if name in table}
        with suppress(dynamodb.exceptions.ResourceInUseException):
            dynamodb.create_table(**wanted)


@functools.cache
def template() -> dict[str, Any]:
    """Read infra/backend.yaml, once per process."""
    body: dict[str, Any] = yaml_text.read(TEMPLATE.read_text())
    return body


def _deploy(cloudformation: "CloudFormationClient", visibility_seconds: int) -> str:
    """Deploy the template; return the parameter `Restored`, which `make switch` may have set."""
    before = _described(cloudformation)
    restored = _parameter(before, "Restored")
    stack: dict[str, Any] = {
        "StackName": _STACK,
        "TemplateBody": json.dumps(template()),  # which the emulator reads faster than YAML
        "Parameters": [
            {"ParameterKey": "Stage", "ParameterValue": STAGE},
            {"ParameterKey": "Restored", "ParameterValue": restored},
            *(
                {"ParameterKey": name, "ParameterValue": str(visibility_seconds)}
                for name in ("VisibilityTimeoutSeconds", "ExportsVisibilityTimeoutSeconds")
            ),
        ],
    }
    if before is None:
        cloudformation.create_stack(**stack)
    else:
        try:
            cloudformation.update_stack(**stack)
        except ClientError as error:
            if "No updates" not in error.response["Error"]["Message"]:
                raise
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while (status := _status(cloudformation)).endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise SetupError(
            f"The emulated AWS could not deploy infra/backend.yaml ({status}). "
            "`make reset` starts from scratch."
        )
    return restored


def _status(cloudformation: "CloudFormationClient") -> str:
    described = _described(cloudformation)
    return described["StackStatus"] if described else ""


def _parameter(described: "StackTypeDef | None", name: str) -> str:
    parameters = described.get("Parameters", []) if described else []
    values = {one.get("ParameterKey"): one.get("ParameterValue") for one in parameters}
    return values.get(name) or ""


def _described(cloudformation: "CloudFormationClient") -> "StackTypeDef | None":
    try:
        return cloudformation.describe_stacks(StackName=_STACK)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def _check(dynamodb: "DynamoDBClient", wanted: dict[str, Any]) -> None:
    """Read the table back: the emulator reports success for templates it does not understand."""
    table = dynamodb.describe_table(TableName=wanted["TableName"])["Table"]
    indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
    wanted_indexes = {index["IndexName"] for index in wanted.get("GlobalSecondaryIndexes", [])}
    if table["KeySchema"] != wanted["KeySchema"] or indexes != wanted_indexes:
        raise SetupError(
            f"The local table {wanted['TableName']} is not what infra/backend.yaml says. "
            "`make reset` creates it again, without its data."
        )


def enable_ttl(dynamodb: "DynamoDBClient", table: dict[str, Any]) -> None:
    """Set the TTL, which the emulator's CloudFormation ignores and a restored table lacks."""
    specification = table.get("TimeToLiveSpecification")
    if specification is None:
        return
    name = table["TableName"]
    now = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if now.get("TimeToLiveStatus") != "ENABLED":
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
