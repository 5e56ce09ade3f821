"""What infra/backend.yaml must say, whatever an emulator makes of it."""

from typing import Any

import pytest
import yaml

from infra.local.provision import TEMPLATE

RESOURCES: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())["Resources"]
TABLES = ["PaymentsTable", "IdempotencyTable"]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_on_demand_encrypted_recoverable_and_outlives_its_stack(table: str) -> None:
    resource = RESOURCES[table]
    properties = resource["Properties"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_payments_table_has_its_two_indexes_and_no_other() -> None:
    indexes = {
        index["IndexName"]: (
            [key["AttributeName"] for key in index["KeySchema"]],
            index["Projection"]["ProjectionType"],
        )
        for index in RESOURCES["PaymentsTable"]["Properties"]["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "status-createdAt-index": (["status", "createdAt"], "ALL"),
        "all-createdAt-index": (["listing", "createdAt"], "KEYS_ONLY"),
    }


def test_idempotency_records_expire_by_their_own_attribute() -> None:
    ttl = RESOURCES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]
    assert ttl == {"AttributeName": "expiresAt", "Enabled": True}


def test_a_message_is_tried_three_times_and_then_kept_for_14_days() -> None:
    redrive = RESOURCES["WebhookQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 3
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["WebhookDeadLetterQueue", "Arn"]}
    dead = RESOURCES["WebhookDeadLetterQueue"]["Properties"]
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


def test_names_carry_the_stage() -> None:
    names = {
        resource["Properties"].get("TableName", resource["Properties"].get("QueueName"))["Fn::Sub"]
        for resource in RESOURCES.values()
    }
    assert names == {
        "payflow-payments-${Stage}",
        "payflow-idempotency-${Stage}",
        "payflow-webhooks-${Stage}",
        "payflow-webhooks-dlq-${Stage}",
    }
