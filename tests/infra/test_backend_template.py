"""What infra/backend.yaml must say, whatever an emulator makes of it."""

import json
from typing import Any

import pytest

from chalicelib.aws.sqs import MAX_DELAY
from chalicelib.exports.models import KEPT
from chalicelib.sweeper import Sweeper
from infra.local.provision import template
from infra.ops.stages import secrets_key
from tests.conftest import START, payflow

TEMPLATE_BODY: dict[str, Any] = template()
RESOURCES: dict[str, Any] = TEMPLATE_BODY["Resources"]
TABLES = ["PaymentsTable", "IdempotencyTable"]


@pytest.mark.parametrize("table", TABLES)
def test_table_is_on_demand_encrypted_recoverable_and_retained(table: str) -> None:
    resource = RESOURCES[table]
    properties = resource["Properties"]
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] is True


def test_the_payments_table_has_its_four_indexes_and_no_other() -> None:
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
        "search-index": (["searchKey", "createdAt"], "KEYS_ONLY"),
        "endpoint-deliveryAt-index": (["endpointId", "deliveryAt"], "KEYS_ONLY"),
        "due-index": (["due", "dueAt"], "KEYS_ONLY"),
    }


@pytest.mark.parametrize("resource", ["SecretsKey", "SecretsKeyAlias"])
def test_key_of_the_secrets_is_retained_as_the_tables_are(resource: str) -> None:
    """Without it, nobody can read the secrets in a table that was kept or restored."""
    assert RESOURCES[resource]["DeletionPolicy"] == "Retain"
    assert RESOURCES[resource]["UpdateReplacePolicy"] == "Retain"
    alias = RESOURCES["SecretsKeyAlias"]["Properties"]
    assert alias["AliasName"]["Fn::Sub"].replace("${Stage}", "dev") == secrets_key("dev")
    assert payflow.settings.secrets_key == secrets_key(payflow.settings.stage)


def test_idempotency_records_expire_by_their_own_attribute() -> None:
    ttl = RESOURCES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]
    assert ttl == {"AttributeName": "expiresAt", "Enabled": True}


@pytest.mark.parametrize("kind", ["Webhook", "Deliveries", "Exports"])
def test_a_message_is_tried_three_times_though_twice_throttled_then_kept_for_14_days(
    kind: str,
) -> None:
    redrive = RESOURCES[f"{kind}Queue"]["Properties"]["RedrivePolicy"]
    throttled = 2  # SQS counts a receive whose invocation Lambda throttles
    assert redrive["maxReceiveCount"] - throttled == 3
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [f"{kind}DeadLetterQueue", "Arn"]}
    dead = RESOURCES[f"{kind}DeadLetterQueue"]["Properties"]
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


NAMES = (
    "TableName",
    "QueueName",
    "TopicName",
    "LogGroupName",
    "AlarmName",
    "AliasName",
    "BucketName",
)
UNTAGGABLE = {
    "AWS::KMS::Alias",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
}


def of_type(kind: str) -> dict[str, Any]:
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


def test_names_carry_the_stage() -> None:
    names = [
        properties[name]["Fn::Sub"]
        for properties in (resource["Properties"] for resource in RESOURCES.values())
        for name in NAMES
        if name in properties
    ]
    assert all("${Stage}" in name for name in names)
    assert len(names) == len(set(names))
    assert {
        "payflow-payments-${Restored}${Stage}",
        "payflow-idempotency-${Restored}${Stage}",
        "payflow-webhooks-${Stage}",
        "payflow-webhooks-dlq-${Stage}",
        "payflow-deliveries-${Stage}",
        "payflow-deliveries-dlq-${Stage}",
        "payflow-exports-${Stage}",
        "payflow-exports-dlq-${Stage}",
        "payflow-exports-${Stage}-${AWS::AccountId}",
    } <= set(names)


def test_every_taggable_resource_has_project_and_stage() -> None:
    tags = [{"Key": "Project", "Value": "payflow"}, {"Key": "Stage", "Value": {"Ref": "Stage"}}]
    for logical_id, resource in RESOURCES.items():
        if resource["Type"] not in UNTAGGABLE:
            assert resource["Properties"]["Tags"] == tags, logical_id


def test_queue_refuses_calls_without_tls() -> None:
    policies = {
        policy["Queues"][0]["Ref"]: policy for policy in of_type("AWS::SQS::QueuePolicy").values()
    }
    assert set(policies) == set(of_type("AWS::SQS::Queue"))
    for queue, policy in policies.items():
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": {"Fn::GetAtt": [queue, "Arn"]},
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]


def test_no_log_is_kept_for_ever() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert len(groups) == 5
    for group in groups.values():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_alarm_notifies_the_topic_at_its_start_and_end() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) == 28
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]


@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "WriteThrottleEvents"])
def test_payments_table_and_its_indexes_have_throttling_alarms(metric: str) -> None:
    watched = [
        {part["Name"]: part["Value"] for part in alarm["Dimensions"]}
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == metric
    ]
    table = {"TableName": {"Ref": "PaymentsTable"}}
    assert table in watched
    for index in RESOURCES["PaymentsTable"]["Properties"]["GlobalSecondaryIndexes"]:
        assert table | {"GlobalSecondaryIndexName": index["IndexName"]} in watched


def test_address_is_subscribed_only_if_given() -> None:
    assert RESOURCES["AlarmSubscription"]["Condition"] == "HasAlarmEmail"
    assert RESOURCES["AlarmSubscription"]["Properties"]["Endpoint"] == {"Ref": "AlarmEmail"}


def test_missing_heartbeat_of_the_sweeper_triggers_an_alarm() -> None:
    alarm = RESOURCES["SilentSweeperAlarm"]["Properties"]
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


@pytest.mark.parametrize(
    ("alarm", "metric"),
    [
        ("SilentSweeperAlarm", "SweeperHeartbeat"),
        ("StuckPaymentsAlarm", "StuckPayments"),
        ("StuckRefundsAlarm", "StuckRefunds"),
        ("StuckDeliveriesAlarm", "StuckDeliveries"),
        ("StuckExportsAlarm", "StuckExports"),
    ],
)
def test_alarms_watch_the_metrics_that_the_code_writes(
    alarm: str, metric: str, sweeper: Sweeper, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeper.sweep(START)
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    watched = RESOURCES[alarm]["Properties"]
    assert watched["MetricName"] == metric
    assert watched["MetricName"] in written
    assert watched["Namespace"] == directive["Namespace"]
    assert [[dimension["Name"] for dimension in watched["Dimensions"]]] == directive["Dimensions"]


def test_failing_message_triggers_no_alarm_for_age() -> None:
    for queue, alarm, kept_back in [
        ("WebhookQueue", "OldMessagesAlarm", 0),
        ("DeliveriesQueue", "OldDeliveriesAlarm", MAX_DELAY.total_seconds()),
        ("ExportsQueue", "OldExportsAlarm", 0),
    ]:
        timeout = RESOURCES[queue]["Properties"]["VisibilityTimeout"]["Ref"]
        visibility_seconds = TEMPLATE_BODY["Parameters"][timeout]["Default"]
        receives = RESOURCES[queue]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        longest = kept_back + visibility_seconds * receives
        threshold = RESOURCES[alarm]["Properties"]["Threshold"]
        assert longest < threshold <= longest + visibility_seconds, "and not much later"


def test_bucket_of_exports_is_private_encrypted_and_empties_itself() -> None:
    bucket = RESOURCES["ExportsBucket"]
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    expire, abort = properties["LifecycleConfiguration"]["Rules"]
    assert expire["ExpirationInDays"] == KEPT.days
    assert abort["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert {expire["Status"], abort["Status"]} == {"Enabled"}
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"


def test_bucket_of_exports_refuses_calls_without_tls() -> None:
    (denial,) = RESOURCES["ExportsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", "s3:*")
    assert denial["Resource"] == [
        {"Fn::GetAtt": ["ExportsBucket", "Arn"]},
        {"Fn::Sub": "${ExportsBucket.Arn}/*"},
    ]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
