"""A restore: what AWS is asked for, what is set up again, and what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from infra.local import provision
from infra.ops import restore as module
from infra.ops.restore import RestoreError, check, moment, restore, tables_at
from infra.ops.stages import Tables
from tests import engines
from tests.conftest import REGION, SESSION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT = datetime(2026, 11, 20, 12, 0, 1, tzinfo=UTC)
FIRST = Tables("payflow-payments-test", "payflow-idempotency-test")
RESTORED = Tables(
    "payflow-payments-20261120T120001Z-test", "payflow-idempotency-20261120T120001Z-test"
)


@pytest.fixture
def dynamodb() -> Iterator["DynamoDBClient"]:
    """With a stage's tables, whose TTL is on."""
    with mock_aws():
        client = SESSION.client("dynamodb")
        engines.create_tables(client, "test")
        for table in provision.tables("test"):
            provision.enable_ttl(client, table)
        yield client


def test_both_tables_are_restored_to_one_moment(dynamodb: "DynamoDBClient") -> None:
    asked: list[dict[str, Any]] = []
    dynamodb.meta.events.register(
        "provide-client-params.dynamodb.RestoreTableToPointInTime",
        lambda params, **_: asked.append(dict(params)),
    )
    assert restore(dynamodb, "test", AT, FIRST) == RESTORED
    assert asked == [
        {"SourceTableName": old, "TargetTableName": new, "RestoreDateTime": AT}
        for old, new in zip(FIRST, RESTORED, strict=True)
    ]


def test_restored_table_gets_the_settings_that_dynamodb_omits(dynamodb: "DynamoDBClient") -> None:
    restore(dynamodb, "test", AT, FIRST)
    ttl = dynamodb.describe_time_to_live(TableName=RESTORED.idempotency)["TimeToLiveDescription"]
    assert (ttl.get("TimeToLiveStatus"), ttl.get("AttributeName")) == ("ENABLED", "expiresAt")
    for name in RESTORED:
        backups = dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        assert recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
        arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
        tags = dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"Project": "payflow", "Stage": "test"}


def test_second_run_continues_with_existing_tables(dynamodb: "DynamoDBClient") -> None:
    restore(dynamodb, "test", AT, FIRST)
    dynamodb.delete_table(TableName=RESTORED.idempotency)
    assert restore(dynamodb, "test", AT, FIRST) == RESTORED
    check(dynamodb, "test", AT)


def test_tables_in_use_are_not_restored_over(dynamodb: "DynamoDBClient") -> None:
    with pytest.raises(RestoreError, match="already"):
        restore(dynamodb, "test", AT, RESTORED)


def test_table_of_before_an_index_was_added_lacks_it_and_its_missing_rows_are_listed(
    dynamodb: "DynamoDBClient", tmp_path: Path
) -> None:
    bare: dict[str, Any] = provision.tables("test", "20261120T120001Z-")[0]
    added = {"search-index": "searchKey"}
    dynamodb.create_table(
        TableName=RESTORED.payments,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            one
            for one in bare["AttributeDefinitions"]
            if one["AttributeName"] not in added.values()
        ],
        KeySchema=bare["KeySchema"],
        GlobalSecondaryIndexes=[
            one for one in bare["GlobalSecondaryIndexes"] if one["IndexName"] not in added
        ],
    )
    later = {"PK": {"S": "PAY#1"}, "SK": {"S": "PAYMENT"}, "listing": {"S": "PAYMENT"}}
    dynamodb.put_item(TableName=FIRST.payments, Item=later | {"createdAt": {"S": "2026-11-21"}})
    target = restore(dynamodb, "test", AT, FIRST)
    missing = module.write_missing(tmp_path / "missing", dynamodb, FIRST, target, AT)
    assert missing == {"payment, created later": 1}
    switch = "make switch STAGE=test RESTORED=20261120T120001Z"
    with pytest.raises(RestoreError, match=f"{RESTORED.payments} lacks search-index.*{switch}"):
        check(dynamodb, "test", AT)


def test_recovery_is_enabled_once_dynamodb_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0)
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    with Stubber(dynamodb) as stub:
        stub.add_client_error("update_continuous_backups", "ContinuousBackupsUnavailableException")
        stub.add_response("update_continuous_backups", {})
        module._enable_recovery(dynamodb, "a-table")
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "said",
    ["", "now", "2026-11-20", "2026-11-20T12:00:00", "2026-11-20T14:00:00+02:00", "20261120T1200Z"],
)
def test_moment_is_in_utc_and_to_the_second(said: str) -> None:
    with pytest.raises(RestoreError, match="2026-11-25T12:00:00Z"):
        moment(said)


def test_future_moment_is_refused() -> None:
    assert moment("2026-11-20T12:00:01Z") == AT
    with pytest.raises(RestoreError, match="in the future"):
        moment("2999-01-01T00:00:00Z")


def test_names_of_restored_tables_end_in_the_stage_as_the_roles_permit() -> None:
    assert tables_at("test", "20261120T120001Z-") == RESTORED
    assert tables_at("test", "") == FIRST
