"""`make restore`: restore a stage's tables to a point in time, as new tables.

Guarantee: existing tables do not change. Both tables are restored to the same moment. Otherwise a
key could be used twice (a payment without its idempotency record), or a replay could return a
payment that does not exist (a record without its payment). DynamoDB does not restore TTL,
point-in-time recovery and tags: this sets them again before it reports the tables as ready. A
second run with the same moment continues an interrupted one.

`make switch` then has the stage use the restored tables.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from chalicelib.aws.clients import dynamodb_client
from infra import ROOT, cli
from infra.deploy.stacks import table_names
from infra.local import provision, settings
from infra.ops import stages
from infra.ops.missing_rows import missing_rows
from infra.ops.stages import Tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WaiterConfigTypeDef

_WAITING: "WaiterConfigTypeDef" = {"Delay": 15, "MaxAttempts": 1440}
"""Six hours: a restore takes minutes to hours, regardless of the table's size."""

_RECOVERY_TRIES: Final = 30
_PAUSE_SECONDS: Final = 10.0


class RestoreError(Exception):
    """The tables are not restored, or not completely; the message says why."""


def main(arguments: list[str]) -> None:
    parser = cli.parser("restore", __doc__)
    parser.add_argument("at", metavar="AT", help="the moment, in UTC: 2026-11-25T12:00:00Z")
    asked = parser.parse_args(arguments)
    with stages.operated(asked.stage, "Not restored", RestoreError):
        at = moment(asked.at)
        source = stages.tables_of(asked.stage)
        dynamodb = boto3.client("dynamodb")
        target = restore(dynamodb, asked.stage, at, source)
        print(report(asked.stage, at, source, target))
        check(dynamodb, asked.stage, at)
        print(f"Ready. To use them: {_switch(asked.stage, at)}")


def moment(text: str) -> datetime:
    """Parse a moment, to the second as AWS restores. Raises RestoreError."""
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise RestoreError(f"AT is {text!r}; it must be like 2026-11-25T12:00:00Z.") from None
    if at > datetime.now(UTC):
        raise RestoreError(f"AT is {text}, which is in the future.")
    return at


def restored_parameter(at: datetime) -> str:
    """Format the moment as in the parameter `Restored` and in the tables' names."""
    return at.strftime("%Y%m%dT%H%M%SZ-")


def tables_at(stage: str, restored: str) -> Tables:
    names = table_names(provision.template(), stage, restored)
    return Tables(names["PaymentsTable"], names["IdempotencyTable"])


def restore(dynamodb: "DynamoDBClient", stage: str, at: datetime, source: Tables) -> Tables:
    """Return the restored tables, for `check` to judge. Raises RestoreError or boto3 errors."""
    target = tables_at(stage, restored_parameter(at))
    if target == source:
        raise RestoreError(f"The stage already uses the tables of {at:%Y-%m-%dT%H:%M:%SZ}.")
    for old, new in zip(source, target, strict=True):
        _begin(dynamodb, old, new, at)
    for wanted in provision.tables(stage, restored_parameter(at)):
        new = wanted["TableName"]
        print(f"  Waiting for {new} …", flush=True)
        dynamodb.get_waiter("table_exists").wait(TableName=new, WaiterConfig=_WAITING)
        _set_up(dynamodb, stage, wanted)
    return target


def check(dynamodb: "DynamoDBClient", stage: str, at: datetime) -> None:
    """Compare the restored tables with the template. Raises RestoreError if they differ."""
    for wanted in provision.tables(stage, restored_parameter(at)):
        _check(dynamodb, stage, at, wanted)


def report(stage: str, at: datetime, source: Tables, target: Tables) -> str:
    """Summarise what the tables lack; list the missing rows in a file. Raises Unavailable."""
    file = ROOT / "dist" / f"missing-from-{target.payments}.jsonl"
    kinds = write_missing(file, dynamodb_client(os.environ["AWS_REGION"]), source, target, at)
    lines = [f"Restored: {target.payments} and {target.idempotency}."]
    if stage == settings.STAGE:
        lines.append("The emulated AWS keeps no history: they are copies of the current tables.")
    lines += [
        f"Rows of {source.payments} that they lack:",
        *(f"  {kind}: {number}" for kind, number in sorted(kinds.items())),
        f"  listed in {file.relative_to(ROOT)}" if kinds else "  none",
    ]
    return "\n".join(lines)


def _switch(stage: str, at: datetime) -> str:
    return f"make switch STAGE={stage} RESTORED={restored_parameter(at).rstrip('-')}"


def write_missing(
    file: Path, dynamodb: "DynamoDBClient", source: Tables, target: Tables, at: datetime
) -> Counter[str]:
    """Write the missing rows to `file`; return their number by kind. Raises Unavailable."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kinds: Counter[str] = Counter()
    with file.open("w") as lines:
        for row in missing_rows(dynamodb, source.payments, target.payments, at):
            lines.write(json.dumps(row) + "\n")
            kinds[f"{row['kind']}, {row['why']}"] += 1
    if not kinds:
        file.unlink()
    return kinds


def _begin(dynamodb: "DynamoDBClient", old: str, new: str, at: datetime) -> None:
    try:
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=old, TargetTableName=new, RestoreDateTime=at
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TableAlreadyExistsException":
            raise
        print(f"  {new} already exists")
    else:
        print(f"  Restoring {old} as {new}", flush=True)


def _set_up(dynamodb: "DynamoDBClient", stage: str, wanted: Mapping[str, Any]) -> None:
    """Set what DynamoDB does not restore: TTL, point-in-time recovery and tags."""
    name = wanted["TableName"]
    provision.enable_ttl(dynamodb, dict(wanted))
    _enable_recovery(dynamodb, name)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    tags: Any = [
        {"Key": tag["Key"], "Value": stage if tag["Value"] == {"Ref": "Stage"} else tag["Value"]}
        for tag in wanted["Tags"]
    ]
    dynamodb.tag_resource(ResourceArn=arn, Tags=tags)


def _enable_recovery(dynamodb: "DynamoDBClient", name: str) -> None:
    """Retry for five minutes: DynamoDB refuses at first. Raises RestoreError."""
    for _ in range(_RECOVERY_TRIES):
        try:
            dynamodb.update_continuous_backups(
                TableName=name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ContinuousBackupsUnavailableException":
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    raise RestoreError(f"Point-in-time recovery of {name} is not available yet; run this again.")


def _check(dynamodb: "DynamoDBClient", stage: str, at: datetime, wanted: Mapping[str, Any]) -> None:
    name = wanted["TableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    indexes = {index["IndexName"] for index in wanted.get("GlobalSecondaryIndexes", [])}
    ready = {
        index["IndexName"]
        for index in table.get("GlobalSecondaryIndexes", [])
        if index.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    if table["KeySchema"] != wanted["KeySchema"] or ready - indexes:
        raise RestoreError(f"{name} has other keys or indexes than the template: {sorted(ready)}.")
    if lacking := ", ".join(sorted(indexes - ready)):
        raise RestoreError(
            f"{name} lacks {lacking}: a later version added it. From the checkout of the version "
            f"of that moment, run {_switch(stage, at)}; then deploy this version."
        )
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    expires = ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    if expires != ("TimeToLiveSpecification" in wanted):
        raise RestoreError(f"The TTL of {name} is {ttl.get('TimeToLiveStatus')}.")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RestoreError(f"{name} has no point-in-time recovery.")


if __name__ == "__main__":
    main(sys.argv[1:])
