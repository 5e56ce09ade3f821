"""Restores a stage's tables to a point in time, beside those that it runs on: `make restore AT=…`.

Guarantee: nothing that is there is changed. Both tables are restored to the same moment: payments
without their idempotency records would let a key be used twice, and records without their
payments would answer with payments that there are not. What DynamoDB leaves out of a restored
table (TTL, point-in-time recovery, tags) is set up again, before the tables are called ready. Run
again with the same moment it goes on where it broke off.

`make switch` has the stage run on them.
"""

import argparse
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
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import dynamodb_client
from chalicelib.errors import Unavailable
from infra import ROOT
from infra.deploy.stacks import DeployError, table_names
from infra.local import provision, settings
from infra.local.settings import SetupError
from infra.ops import stages
from infra.ops.missing_rows import lost
from infra.ops.stages import Tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WaiterConfigTypeDef

_WAITING: "WaiterConfigTypeDef" = {"Delay": 15, "MaxAttempts": 1440}
"""Six hours: a restore takes from minutes to hours, whatever the table's size."""

_BACKUP_TRIES: Final = 30
_PAUSE_SECONDS: Final = 10.0


class RestoreError(Exception):
    """The tables are not restored, or not as they should be; the message says why."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make restore", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("at", help="UTC, as in 2026-11-25T12:00:00Z")
    asked = parser.parse_args(arguments)
    try:
        at = moment(asked.at)
        stages.enter(asked.stage)
        source = stages.tables_of(asked.stage)
        target = restore(boto3.client("dynamodb"), asked.stage, at, source)
        print(report(asked.stage, at, source, target))
    except (RestoreError, SetupError, DeployError, Unavailable) as error:
        sys.exit(f"Not restored: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not restored; AWS says: {error}")


def moment(said: str) -> datetime:
    """To the second, as AWS restores. Raises RestoreError."""
    try:
        at = datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise RestoreError(f"{said!r} is no moment in UTC as in AT=2026-11-25T12:00:00Z") from None
    if at > datetime.now(UTC):
        raise RestoreError(f"{said} is still to come")
    return at


def restored_parameter(at: datetime) -> str:
    """The moment as the template's parameter, and the tables' names, have it."""
    return at.strftime("%Y%m%dT%H%M%SZ-")


def tables_at(stage: str, restored: str) -> Tables:
    names = table_names(provision.template(), stage, restored)
    return Tables(names["PaymentsTable"], names["IdempotencyTable"])


def restore(dynamodb: "DynamoDBClient", stage: str, at: datetime, source: Tables) -> Tables:
    """Returns the restored tables, ready for use. Raises RestoreError and what boto3 raises."""
    target = tables_at(stage, restored_parameter(at))
    if target == source:
        raise RestoreError(f"the stage runs on the tables of {at:%Y-%m-%dT%H:%M:%SZ} already")
    for old, new in zip(source, target, strict=True):
        _begin(dynamodb, old, new, at)
    wanted = {
        table["TableName"]: table for table in provision.tables(stage, restored_parameter(at))
    }
    for new in target:
        print(f"  waiting for {new} …", flush=True)
        dynamodb.get_waiter("table_exists").wait(TableName=new, WaiterConfig=_WAITING)
        _set_up(dynamodb, stage, wanted[new])
        _check(dynamodb, wanted[new])
    return target


def report(stage: str, at: datetime, source: Tables, target: Tables) -> str:
    """What there is to know; the rows that are missing go into a file. Raises Unavailable."""
    file = ROOT / "dist" / f"lost-{target.payments}.jsonl"
    kinds = write_lost(file, dynamodb_client(os.environ["AWS_REGION"]), source, target, at)
    restored = restored_parameter(at).rstrip("-")
    lines = [f"Ready: {target.payments} and {target.idempotency}."]
    if stage == settings.STAGE:
        lines.append("The emulated AWS keeps no past: they are as the tables were just now.")
    lines += [
        f"They lack, of what {source.payments} has:",
        *(f"  {kind}: {number}" for kind, number in sorted(kinds.items())),
        f"  each of them in {file.relative_to(ROOT)}" if kinds else "  nothing",
        f"To run on them: make switch STAGE={stage} RESTORED={restored}",
    ]
    return "\n".join(lines)


def write_lost(
    file: Path, dynamodb: "DynamoDBClient", source: Tables, target: Tables, at: datetime
) -> Counter[str]:
    """Returns how many there are of each kind. Raises Unavailable."""
    file.parent.mkdir(parents=True, exist_ok=True)
    kinds: Counter[str] = Counter()
    with file.open("w") as lines:
        for row in lost(dynamodb, source.payments, target.payments, at):
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
        print(f"  {new} is there already")
    else:
        print(f"  restoring {old} as {new}", flush=True)


def _set_up(dynamodb: "DynamoDBClient", stage: str, wanted: Mapping[str, Any]) -> None:
    """What a restored table comes without."""
    name = wanted["TableName"]
    provision.switch_on_ttl(dynamodb, dict(wanted))
    _switch_on_backups(dynamodb, name)
    arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
    tags: Any = [
        {"Key": tag["Key"], "Value": stage if tag["Value"] == {"Ref": "Stage"} else tag["Value"]}
        for tag in wanted["Tags"]
    ]
    dynamodb.tag_resource(ResourceArn=arn, Tags=tags)


def _switch_on_backups(dynamodb: "DynamoDBClient", name: str) -> None:
    """DynamoDB refuses it for a while after the table is there."""
    for _ in range(_BACKUP_TRIES):
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
    raise RestoreError(f"point-in-time recovery of {name} is not to be had yet; run this again")


def _check(dynamodb: "DynamoDBClient", wanted: Mapping[str, Any]) -> None:
    """Read it back. Raises RestoreError unless it is what the template says."""
    name = wanted["TableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    indexes = {index["IndexName"] for index in wanted.get("GlobalSecondaryIndexes", [])}
    ready = {
        index["IndexName"]
        for index in table.get("GlobalSecondaryIndexes", [])
        if index.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    if table["KeySchema"] != wanted["KeySchema"] or ready != indexes:
        raise RestoreError(f"{name} lacks indexes: it has {sorted(ready)}, not {sorted(indexes)}")
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    expires = ttl.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    if expires != ("TimeToLiveSpecification" in wanted):
        raise RestoreError(f"the TTL of {name} is {ttl.get('TimeToLiveStatus')}")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RestoreError(f"{name} has no point-in-time recovery")


if __name__ == "__main__":
    main(sys.argv[1:])
