"""Each function may do what it does, and nothing else.

What a function does is heard, not listed: `tests/hearing.py` records the calls that its handler
makes in the walk below. tests/test_heard.py judges those of all other tests.

- A call that the policy lacks fails.
- A grant that the walk does not use fails. The walk alone must therefore go everywhere, and
  the answer is the same whether one test runs or all do. A new route or function that the walk
  does not visit fails too.

Another try of the same call (a conflict, throttling, unprocessed keys) needs no grant of its
own, so the walk does not provoke it.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from chalice.config import Config
from moto import mock_aws

from bench.usage import OneThread
from chalicelib import idempotency
from chalicelib.aws.s3 import Part
from chalicelib.errors import Unavailable
from chalicelib.payments.models import Payment
from chalicelib.payments.settling import Settling
from chalicelib.webhooks.http_client import PostResult as Answer
from infra.deploy import policies
from infra.local.lambda_events import api_event, scheduled_event, sqs_event, with_key
from tests import engines, hearing, iam
from tests.api.test_app import create, message_of
from tests.conftest import (
    HEARD_FROM_TESTS,
    QUEUE_URL,
    REGION,
    payflow,
    recorder,
)
from tests.hearing import API, Call
from tests.iam import Grant, NotUnderstood

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

STAGE = payflow.settings.stage
FUNCTIONS = iam.functions(payflow.app)
CONFIG = json.loads((policies.CHALICE / "config.json").read_text())
each_function = pytest.mark.parametrize("function", FUNCTIONS)


class Walk(NamedTuple):
    """What was called on the way, and where it led."""

    calls: Sequence[Call]
    entered: set[str]


@pytest.fixture(scope="module")
def walk() -> Walk:
    """Every function, through its handler, to every end that it can come to."""
    calls, entered = len(heard_here()), len(recorder.entered)
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        sqs = boto3.client("sqs", region_name=REGION)
        engines.create_tables(dynamodb, STAGE)
        sqs.create_queue(QueueName=payflow.settings.webhook_queue)
        sqs.create_queue(QueueName=payflow.settings.deliveries_queue)
        sqs.create_queue(QueueName=payflow.settings.exports_queue)
        s3: Any = boto3.client("s3", region_name=REGION)
        s3.create_bucket(
            Bucket=payflow.settings.exports_bucket,
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        logs = boto3.client("logs", region_name=REGION)
        logs.create_log_group(logGroupName=payflow.settings.api_log_group)
        walk_through_creating(dynamodb)
        walk_through_reading()
        walk_through_settling()
        walk_through_canceling()
        walk_through_refunds(dynamodb)
        walk_through_returns()
        walk_through_sweeping()
        walk_through_keys()
        walk_through_webhooks()
        walk_through_secrets_apart(boto3.client("kms", region_name=REGION))
        walk_through_exports()
        walk_through_an_outage_of_the_queue(sqs)
    return Walk(heard_here()[calls:], set(recorder.entered[entered:]))


def heard_here() -> list[Call]:
    """What this process has heard; others run other tests at the same time."""
    return list(hearing.read(hearing.file_of_this_process(HEARD_FROM_TESTS)))


def walk_through_creating(dynamodb: "DynamoDBClient") -> None:
    assert create()["statusCode"] == 201
    assert create()["statusCode"] == 200, "a replay"
    assert create(amount=1)["statusCode"] == 422, "the key is another request's"
    expire_the_record(dynamodb, "create_payment", "payments", "a-key-of-its-own")
    assert create(amount=1)["statusCode"] == 201
    assert create(amount="much")["statusCode"] == 400


def expire_the_record(dynamodb: "DynamoDBClient", *key: str) -> None:
    dynamodb.update_item(
        TableName=payflow.settings.idempotency_table,
        Key={"idempotencyKey": {"S": idempotency.record_key(*key)}},
        UpdateExpression="SET expiresAt = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )


def walk_through_reading() -> None:
    payment_id = json.loads(create(idempotency_key="to-be-read")["body"])["id"]
    route = "/v1/payments/{payment_id}"
    for asked_for, status in [(payment_id, 200), (f"{payment_id[:-4]}0000", 404), ("none", 404)]:
        event = api_event("GET", route, payment_id=asked_for)
        assert payflow.app(event, None)["statusCode"] == status
    for filters in ({}, {"status": "processing"}, {"type": "eft"}):
        page = ask("/v1/payments", limit="1", **filters)
        cursor = json.loads(page["body"])["next_cursor"]
        assert ask("/v1/payments", limit="1", cursor=cursor, **filters)["statusCode"] == 200
    for found in ({"merchant": "Northern"}, {"idempotency_key": "order-10023"}):
        assert ask("/v1/payments", **found)["statusCode"] == 200
    assert ask("/v1/payments", cursor="made-up")["statusCode"] == 400
    assert ask("/v1/stats", **{"from": "2026-11-22", "to": "2026-11-22"})["statusCode"] == 200
    for filters in ({}, {"status": "completed"}):
        assert ask("/v1/refunds", **filters)["statusCode"] == 200
    assert ask("/v1/events")["statusCode"] == 200
    assert ask("/v1/logs")["statusCode"] == 200
    for query in ({}, {"type": "api_key.created"}):
        assert ask("/v1/audit_events", **query)["statusCode"] == 200
    assert ask("/v1/health")["statusCode"] == 200
    assert ask("/v1/health", deep="1")["statusCode"] == 200
    assert ask("/v1/openapi.json")["statusCode"] == 200
    for public in ("/v1/health", "/v1/openapi.json"):
        assert payflow.app(api_event("HEAD", public), None)["statusCode"] == 200


def ask(resource: str, **query: str) -> Any:
    event = api_event("GET", resource)
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return payflow.app(event, None)


def walk_through_settling() -> None:
    for wish, done in [
        ("completed", True),
        ("failed:account_closed", True),
        ("pending", True),
        ("error", False),
    ]:
        payment_id = made(wish)
        assert is_done(message_of(payment_id)) is done
        assert is_done(message_of(payment_id)) is done, "a repeated message"
    assert is_done(message_of("PAY-01M82Y8T27997E9EYD0G6SK6MT")), "of no payment"
    assert is_done("no job")
    assert not is_done(json.dumps({"type": "of_tomorrow"}))
    with another_worker_is_faster():
        assert is_done(message_of(made("completed", key="settled-by-another")))
    batch = [message_of(made("completed", key=f"of-a-batch-{number}")) for number in range(3)]
    assert is_done(*batch)


def walk_through_canceling() -> None:
    payment_id = made("completed", key="to-be-canceled")
    assert of_payment("POST", payment_id, "cancel")["statusCode"] == 200
    assert of_payment("POST", payment_id, "cancel")["statusCode"] == 200
    assert of_payment("GET", payment_id, "events")["statusCode"] == 200
    assert of_payment("GET", "none", "events")["statusCode"] == 404


def of_payment(method: str, payment_id: str, what: str, body: Any = None) -> Any:
    route = f"/v1/payments/{{payment_id}}/{what}"
    return payflow.app(api_event(method, route, body, payment_id=payment_id), None)


def walk_through_refunds(dynamodb: "DynamoDBClient") -> None:
    for wish, done in [("completed", True), ("failed:account_closed", True), ("error", False)]:
        payment_id = paid(key=f"refund-{wish}", simulate_refund=wish)
        half = {"amount": 6, "idempotency_key": "one-half"}
        made = of_payment("POST", payment_id, "refunds", half)
        assert made["statusCode"] == 201
        job = {"type": "settle_refund", "payment_id": payment_id}
        refund_message = json.dumps(job | {"refund_id": json.loads(made["body"])["id"]})
        assert is_done(refund_message) is done
        assert is_done(refund_message) is done, "a repeated message"
        assert of_payment("POST", payment_id, "refunds", half)["statusCode"] == 200
        rest = {"idempotency_key": "all-the-rest"}
        assert of_payment("POST", payment_id, "refunds", rest)["statusCode"] == 201
        assert of_payment("POST", payment_id, "refunds", rest)["statusCode"] == 200
        expire_the_record(dynamodb, "create_refund", payment_id, "all-the-rest")
        assert of_payment("POST", payment_id, "refunds", rest)["statusCode"] == 409
        assert of_payment("GET", payment_id, "refunds")["statusCode"] == 200
    assert of_payment("GET", "none", "refunds")["statusCode"] == 404


def paid(key: str, **metadata: str) -> str:
    fields = {"idempotency_key": key, "metadata": {"simulate": "completed"} | metadata}
    payment_id: str = json.loads(create(**fields)["body"])["id"]
    assert is_done(message_of(payment_id))
    return payment_id


def walk_through_returns() -> None:
    payment_id = paid(key="to-be-returned")
    assert of_payment("POST", payment_id, "simulate_return", {"code": "x"})["statusCode"] == 400
    assert of_payment("POST", payment_id, "simulate_return")["statusCode"] == 200
    assert of_payment("POST", payment_id, "simulate_return")["statusCode"] == 200
    payment_id = paid(key="its-refund-to-be-returned", simulate_refund="completed")
    body = {"amount": 6, "idempotency_key": "refund-to-be-returned"}
    refund_id = json.loads(of_payment("POST", payment_id, "refunds", body)["body"])["id"]
    assert is_done(json.dumps(settle_refund(payment_id, refund_id)))
    returned = {"refund_id": refund_id}
    for _ in range(2):
        answer = of_payment("POST", payment_id, "simulate_refund_return", returned)
        assert answer["statusCode"] == 200


def settle_refund(payment_id: str, refund_id: str) -> dict[str, str]:
    return {"type": "settle_refund", "payment_id": payment_id, "refund_id": refund_id}


def made(wish: str, key: str | None = None) -> str:
    payment = create(metadata={"simulate": wish}, idempotency_key=key or f"wish-{wish}")
    payment_id: str = json.loads(payment["body"])["id"]
    return payment_id


def is_done(*bodies: str) -> bool:
    in_one_thread = Settling(payflow.services.payments, OneThread())  # moto is not safe under more
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vars(payflow.services), "settling", in_one_thread)
        answer: dict[str, Any] = payflow.webhook_processor(sqs_event(*bodies), None)
    return not answer["batchItemFailures"]


@contextmanager
def another_worker_is_faster() -> Iterator[None]:
    settle = type(payflow.services.payments.processor).settle
    with pytest.MonkeyPatch.context() as patch:

        def settle_after_another(processor: Any, submitted: Payment) -> Any:
            patch.undo()
            payflow.services.payments.settle(submitted.id)
            return settle(processor, submitted)

        patch.setattr(type(payflow.services.payments.processor), "settle", settle_after_another)
        yield


def walk_through_sweeping() -> None:
    assert sweep() == {"enqueued": 0, "stuck": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.sweeper._PAGE", 1)
        assert sweep(minutes=2, seconds=30)["enqueued"] > 1
    assert sweep(days=6)["stuck"] > 1


def sweep(**later: float) -> Any:
    return payflow.sweeper(scheduled_event(datetime.now(UTC) + timedelta(**later)), None)


def walk_through_keys() -> None:
    keyed = {"name": "till", "scopes": ["read"], "idempotency_key": "the-till-1"}
    for status in (201, 200):
        assert payflow.app(api_event("POST", "/v1/api_keys", keyed), None)["statusCode"] == status
    admin = issued(api_event("POST", "/v1/api_keys", {"name": "operator", "scopes": ["admin"]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payflow.services.api_keys, "is_required", True)
        assert ask("/v1/payments")["statusCode"] == 401
        roll = api_event("POST", "/v1/api_keys/{key_id}/roll", {}, key_id=admin["id"])
        rolled = issued(with_key(roll, admin["key"]))
        listed = with_key(api_event("GET", "/v1/api_keys"), rolled["key"])
        assert payflow.app(listed, None)["statusCode"] == 200
        revoke = api_event("DELETE", "/v1/api_keys/{key_id}", key_id=admin["id"])
        assert payflow.app(with_key(revoke, rolled["key"]), None)["statusCode"] == 204


def walk_through_webhooks() -> None:
    url = "https://merchant.example/webhooks"
    endpoint_id = issued(api_event("POST", "/v1/webhook_endpoints", {"url": url}))["id"]
    assert ask("/v1/webhook_endpoints")["statusCode"] == 200
    assert of_endpoint("GET", endpoint_id)["statusCode"] == 200
    assert of_endpoint("GET", "none")["statusCode"] == 404
    assert of_endpoint("PATCH", endpoint_id, body={"events": ["*"]})["statusCode"] == 200
    assert of_endpoint("POST", endpoint_id, "/rotate_secret")["statusCode"] == 200
    payment_id = paid(key="to-be-told-of", simulate_refund="completed")
    body = {"amount": 6, "idempotency_key": "refund-to-be-told-of"}
    refund_id = json.loads(of_payment("POST", payment_id, "refunds", body)["body"])["id"]
    assert is_done(json.dumps(settle_refund(payment_id, refund_id)))
    assert of_payment("POST", payment_id, "simulate_return")["statusCode"] == 200
    canceled = made("completed", key="cancel-to-be-told-of")
    assert of_payment("POST", canceled, "cancel")["statusCode"] == 200
    for status in (503, 200):  # a failure, and the success that forgets it
        test = of_endpoint("POST", endpoint_id, "/test")
        assert test["statusCode"] == 201
        deliver(json.loads(test["body"])["id"], status)
        assert replay(json.loads(test["body"])["id"])["statusCode"] == 200
    told = json.loads(of_payment("GET", payment_id, "deliveries")["body"])["deliveries"]
    assert [one["event_type"] for one in told] == [
        "payment.returned",
        "refund.completed",
        "payment.completed",
    ]
    deliver(told[0]["id"], 200)
    assert sweep(minutes=2)["enqueued"] >= 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.webhooks.retry_schedule.DELAYS", (timedelta(0),))
        patch.setattr("chalicelib.webhooks.retry_schedule.MAX_ATTEMPTS", 1)
        deliver(told[1]["id"], 503)
    assert replay(told[0]["id"])["statusCode"] == 200
    failed = {"since": "2026-01-01"}
    again = of_endpoint("POST", endpoint_id, "/replay_failed", failed)
    assert json.loads(again["body"])["replayed"] == 1
    for query in ({}, {"status": "failed"}):
        event = api_event(
            "GET", "/v1/webhook_endpoints/{endpoint_id}/deliveries", endpoint_id=endpoint_id
        )
        event["multiValueQueryStringParameters"] = {name: [one] for name, one in query.items()}
        assert payflow.app(event, None)["statusCode"] == 200
    deliver(told[0]["id"], 410)
    assert not json.loads(of_endpoint("GET", endpoint_id)["body"])["enabled"]
    deliver(told[1]["id"], 200)
    assert of_endpoint("DELETE", endpoint_id)["statusCode"] == 204
    assert of_endpoint("DELETE", endpoint_id)["statusCode"] == 404


def walk_through_secrets_apart(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=payflow.settings.secrets_key, TargetKeyId=key)
    payflow.services.webhook_repository.keep_secrets_apart(True)
    url = "https://merchant.example/webhooks"
    endpoint_id = issued(api_event("POST", "/v1/webhook_endpoints", {"url": url}))["id"]
    assert of_endpoint("POST", endpoint_id, "/rotate_secret")["statusCode"] == 200
    test = of_endpoint("POST", endpoint_id, "/test")
    deliver(json.loads(test["body"])["id"], 200)
    assert of_endpoint("DELETE", endpoint_id)["statusCode"] == 204
    assert ask("/v1/audit_events")["statusCode"] == 200


def walk_through_exports() -> None:
    asked = {"resource": "payments", "format": "csv", "idempotency_key": "an-export"}
    made = [payflow.app(api_event("POST", "/v1/exports", asked), None) for _ in range(2)]
    assert [answer["statusCode"] for answer in made] == [202, 200]
    asked["idempotency_key"] = "one-to-be-lost"
    with pytest.MonkeyPatch.context() as patch:
        settled = replace(payflow.services.exports, settled_after=timedelta(0))
        patch.setitem(vars(payflow.services), "exports", settled)
        made = [payflow.app(api_event("POST", "/v1/exports", asked), None)]
        made += [payflow.app(api_event("POST", "/v1/exports", {**asked, **OTHER}), None)]
    export_id, lost_id = (json.loads(answer["body"])["id"] for answer in made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.exports.walk.PAGE", 2)
        assert run_export(export_id, run_time=timedelta(0))["state"] == "processing"
    assert sweep(minutes=2)["enqueued"] >= 1
    completed = run_export(export_id)
    assert completed["state"] == "completed"
    assert completed["link"].startswith("https://")
    assert ask("/v1/exports", limit="1")["statusCode"] == 200
    bucket = type(payflow.services.exports_bucket)
    complete = bucket.complete_upload
    with pytest.MonkeyPatch.context() as patch:

        def complete_other_parts(self: Any, key: str, upload_id: str, parts: list[Part]) -> None:
            complete(self, key, upload_id, [Part(part.number, "other") for part in parts])

        patch.setattr(bucket, "complete_upload", complete_other_parts)
        assert run_export(lost_id)["failure_reason"] == "upload_lost"
    event = api_event("GET", "/v1/exports/{export_id}", export_id="none")
    assert payflow.app(event, None)["statusCode"] == 404


OTHER = {"idempotency_key": "one-more-export"}


def run_export(export_id: str, **changes: Any) -> Any:
    """By the worker's handler. Returns the export as the API then shows it."""
    message = json.dumps({"type": "run_export", "export_id": export_id})
    with pytest.MonkeyPatch.context() as patch:
        worker = replace(payflow.services.export_worker, **changes)
        patch.setitem(vars(payflow.services), "export_worker", worker)
        assert payflow.export_worker(sqs_event(message), None) == {"batchItemFailures": []}
    event = api_event("GET", "/v1/exports/{export_id}", export_id=export_id)
    return json.loads(payflow.app(event, None)["body"])


def of_endpoint(method: str, endpoint_id: str, what: str = "", body: Any = None) -> Any:
    route = f"/v1/webhook_endpoints/{{endpoint_id}}{what}"
    return payflow.app(api_event(method, route, body, endpoint_id=endpoint_id), None)


def replay(delivery_id: str) -> Any:
    route = "/v1/deliveries/{delivery_id}/replay"
    return payflow.app(api_event("POST", route, delivery_id=delivery_id), None)


def deliver(delivery_id: str, status: int) -> None:
    """By the worker's handler, to a merchant who answers with `status`."""
    message = json.dumps({"type": "deliver", "delivery_id": delivery_id})
    answer = Answer(status, 12, "", None, None, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            vars(payflow.services), "http_client", SimpleNamespace(post=lambda *_: answer)
        )
        patch.delitem(vars(payflow.services), "delivery_worker", raising=False)
        answered = payflow.delivery_worker(sqs_event(message), None)
    assert answered == {"batchItemFailures": []}


def issued(event: dict[str, Any]) -> Any:
    answer = payflow.app(event, None)
    assert answer["statusCode"] == 201
    return json.loads(answer["body"])


def walk_through_an_outage_of_the_queue(sqs: "SQSClient") -> None:
    sqs.delete_queue(QueueUrl=QUEUE_URL)
    assert create(idempotency_key="a-lost-message")["statusCode"] == 201
    assert ask("/v1/health", deep="1")["statusCode"] == 503
    with pytest.raises(Unavailable):
        sweep(minutes=2, seconds=30)


def test_the_walk_visits_every_route_and_every_function(walk: Walk) -> None:
    routes = {
        f"{method} {path}" for path, methods in payflow.app.routes.items() for method in methods
    }
    assert walk.entered == routes | set(FUNCTIONS) - {API}


@each_function
def test_function_is_granted_every_call_of_the_walk(function: str, walk: Walk) -> None:
    refused = iam.refused(walk.calls, function, STAGE)
    assert not refused, "\n".join(refused)
    needs = iam.asked(walk.calls, function, STAGE)
    assert needs, "a function that asks nothing was not heard"
    lacking = iam.lacking(function, iam.granted(iam.read_policy(function)), needs)
    assert not lacking, "\n".join(lacking)


@each_function
def test_function_is_granted_what_lambda_does_with_its_role(function: str) -> None:
    needs = dict.fromkeys(iam.of_the_service(payflow.app, function, STAGE), "Lambda itself")
    lacking = iam.lacking(function, iam.granted(iam.read_policy(function)), needs)
    assert not lacking, "\n".join(lacking)


@each_function
def test_function_is_granted_only_calls_of_the_walk(function: str, walk: Walk) -> None:
    needs = {
        *iam.asked(walk.calls, function, STAGE),
        *iam.of_the_service(payflow.app, function, STAGE),
    }
    unused = iam.unused(function, iam.granted(iam.read_policy(function)), needs)
    assert not unused, "\n".join(unused)


@each_function
def test_only_tracing_is_granted_on_everything_and_no_action_is_a_pattern(function: str) -> None:
    for grant in iam.granted(iam.read_policy(function)):
        assert "*" not in grant.action
        assert "?" not in grant.action + grant.resource
        if grant.resource == "*":
            assert grant.action in iam.X_RAY
        elif "*" in grant.resource:
            # The streams of a log group, and the objects of a folder, have no fixed names.
            assert grant.action.startswith(("logs:", "s3:"))
            assert grant.resource.index("*") == len(grant.resource) - 1


@each_function
def test_calls_that_read_many_rows_are_granted_in_one_statement(function: str) -> None:
    """IAM judges the keys of a batch together: two statements would each refuse a mixed one."""
    statements = [
        statement
        for statement in iam.read_policy(function)["Statement"]
        if "dynamodb:BatchGetItem" in statement["Action"]
    ]
    assert len(statements) <= 1


def test_a_transaction_that_no_single_statement_allows_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def granting(*partitions: list[str]) -> dict[str, Any]:
        payments = {"Fn::GetAtt": ["PaymentsTable", "Arn"]}
        statement = {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": payments}
        return {"Statement": [statement | {"Condition": leading(*keys)} for keys in partitions]}

    update = {"TableName": PAYMENTS, "Key": A_PAYMENT}
    count = {"TableName": PAYMENTS, "Key": {"PK": {"S": "STATS#2026-11-22"}}}
    both = call(
        "dynamodb", "TransactWriteItems", TransactItems=[{"Update": update}, {"Update": count}]
    )
    apart, together = granting(["PAY#*"], ["STATS#*"]), granting(["PAY#*", "STATS#*"])
    monkeypatch.setattr(iam, "read_policy", lambda _: apart)
    assert iam.refused([both], "sweeper", STAGE)
    monkeypatch.setattr(iam, "read_policy", lambda _: together)
    assert not iam.refused([both], "sweeper", STAGE)
    together["Statement"][0]["Condition"]["Null"] = {"dynamodb:LeadingKeys": "false"}
    assert iam.refused([both], "sweeper", STAGE), "AWS may fill no key"


@each_function
def test_a_request_without_a_key_is_refused_where_no_transaction_passes(
    function: str, walk: Walk
) -> None:
    """Whether a transaction has the key is not documented, so there its absence is no reason."""
    in_transactions = {
        action
        for heard in walk.calls
        if heard.function == function and heard.operation == "TransactWriteItems"
        for action, _, _ in iam.items(heard.params)
    }
    rights = iam.rights(function, STAGE)
    keyless = {one for one in rights.actions() if rights.allow(one, "<PaymentsTable.Arn>")}
    assert keyless - iam.X_RAY == in_transactions


@pytest.mark.parametrize(
    ("function", "partitions"),
    [
        ("webhook_processor", {"PAY#*", "STATS#*", "ENDPOINTS"}),
        ("delivery_worker", {"AUDIT#*", "PAY#*", "ENDPOINTS", "ENDPOINT#*", "SECRET#*"}),
        ("export_worker", {"PAY#*", "EXPORT#*"}),
        ("sweeper", set()),
    ],
)
def test_a_worker_may_not_touch_api_keys(function: str, partitions: set[str]) -> None:
    grants = iam.granted(iam.read_policy(function))
    assert partitions == {one.partitions for one in grants if one.resource == "PaymentsTable"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_api_and_the_delivery_worker_reach_secrets(function: str) -> None:
    """The API only writes them: it never decrypts one."""
    rights = iam.rights(function, STAGE)
    row = {"dynamodb:LeadingKeys": ["SECRET#EP-1"], "dynamodb:Attributes": ["PK", "SK"]}
    context = {"kms:EncryptionContext:stage": STAGE, "kms:EncryptionContext:endpoint": "EP-1"} | {
        "kms:RequestAlias": payflow.settings.secrets_key
    }
    other = context | {"kms:EncryptionContext:stage": "other"}
    may = {
        "read": rights.allow("dynamodb:GetItem", "<PaymentsTable.Arn>", row),
        "write": rights.allow("dynamodb:UpdateItem", "<PaymentsTable.Arn>", row),
        "encrypt": rights.allow("kms:Encrypt", "<SecretsKey.Arn>", context),
        "decrypt": rights.allow("kms:Decrypt", "<SecretsKey.Arn>", context),
    }
    allowed = {what for what, is_allowed in may.items() if is_allowed}
    assert allowed == {
        API: {"read", "write", "encrypt"},
        "delivery_worker": {"read", "decrypt"},
    }.get(function, set())
    for action in ("kms:Encrypt", "kms:Decrypt"):
        assert not rights.allow(action, "<SecretsKey.Arn>", other)
        assert not rights.allow(action, "<SecretsKey.Arn>")


PAYMENT: dict[str, Any] = {
    "Key": {"PK": {"S": "PAY#PAY-01M82Y8T27997E9EYD0G6SK6MT"}, "SK": {"S": "PAYMENT"}}
}
ENDPOINT: dict[str, Any] = {"Key": {"PK": {"S": "ENDPOINTS"}, "SK": {"S": "ENDPOINT#EP-1"}}}


def setting(*names: str, **more: str) -> dict[str, Any]:
    return {"ExpressionAttributeNames": {f"#{name}": name for name in names}} | more


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        *(
            ("dynamodb:UpdateItem", PAYMENT | setting(name))
            for name in ("status", "amount", "merchant", "amountRefunded", "version", "payload")
        ),
        ("dynamodb:UpdateItem", PAYMENT | setting("dueAt", ReturnValues="ALL_NEW")),
        ("dynamodb:UpdateItem", PAYMENT | setting("dueAt", ReturnValues="ALL_OLD")),
        ("dynamodb:UpdateItem", ENDPOINT | setting("url")),
        ("dynamodb:UpdateItem", ENDPOINT | setting("secret")),
        *(
            ("dynamodb:PutItem", {"Item": row["Key"]})
            for row in (PAYMENT, ENDPOINT, {"Key": {"PK": {"S": "ENDPOINT#EP-1"}}})
        ),
        ("dynamodb:DeleteItem", PAYMENT),
        ("dynamodb:GetItem", {**PAYMENT, "TableName": ""}),
        ("dynamodb:GetItem", PAYMENT | setting("merchant", ProjectionExpression="#merchant")),
    ],
)
def test_a_delivery_worker_taken_over_cannot(action: str, request_: dict[str, Any]) -> None:
    context = iam.request_context(request_)
    if action == "dynamodb:GetItem":
        context.setdefault("dynamodb:Select", "ALL_ATTRIBUTES")
    rights = iam.rights("delivery_worker", STAGE)
    assert not rights.allow(action, "<PaymentsTable.Arn>", context)


@pytest.mark.parametrize(
    "context",
    [
        {"dynamodb:Select": "ALL_ATTRIBUTES"},
        {"dynamodb:Select": "ALL_PROJECTED_ATTRIBUTES"},
        {},
        {
            "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
            "dynamodb:Attributes": ["PK", "status", "createdAt", "merchant"],
        },
    ],
)
def test_a_sweeper_taken_over_reads_no_texts(context: dict[str, Any]) -> None:
    rights = iam.rights("sweeper", STAGE)
    index = "<PaymentsTable.Arn>/index/status-createdAt-index"
    keys = {"dynamodb:Attributes": ["PK", "status", "createdAt"]}
    assert rights.allow("dynamodb:Query", index, keys | {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"})
    assert not rights.allow("dynamodb:Query", index, keys | context)


@pytest.mark.parametrize("stage", policies.deployed_stages())
def test_chalice_gives_every_function_its_own_policy_in_every_stage(stage: str) -> None:
    scopes = {name: Config(stage, name, config_from_disk=CONFIG) for name in FUNCTIONS}
    assert not any(scope.autogen_policy for scope in scopes.values()), "it would ignore the files"
    used = {name: scope.iam_policy_file for name, scope in scopes.items()}
    assert used == {name: policies.file_name(name, stage) for name in FUNCTIONS}


def test_every_function_has_one_policy_file() -> None:
    files = {path.name for path in iam.POLICIES.iterdir()}
    assert files == {iam.policy_file(name) for name in FUNCTIONS}
    assert len(files) == len(FUNCTIONS)


def test_removed_grant_is_reported_by_name(walk: Walk) -> None:
    """Every one, so that no part of a policy goes unwatched."""
    for function in FUNCTIONS:
        needs = iam.asked(walk.calls, function, STAGE)
        for grant in needs:
            (sentence,) = iam.lacking(function, needs.keys() - {grant}, needs)
            assert sentence.startswith(f"{iam.policy_file(function)} lacks {grant} (asked for by")


def test_unused_grant_is_reported_by_name(walk: Walk) -> None:
    policy = copy.deepcopy(iam.read_policy("sweeper"))
    payments = {"Fn::GetAtt": ["PaymentsTable", "Arn"]}
    policy["Statement"].append(
        {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": payments}
    )
    needs = {
        *iam.asked(walk.calls, "sweeper", STAGE),
        *iam.of_the_service(payflow.app, "sweeper", STAGE),
    }
    assert iam.unused("sweeper", iam.granted(policy), needs) == [
        "sweeper.json grants dynamodb:Query on PaymentsTable, which no call needs"
    ]


def leading(*keys: str) -> dict[str, Any]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}


def call(service: str, operation: str, **params: Any) -> Call:
    return Call("sweeper", service, operation, params, "a test")


PAYMENTS = payflow.settings.payments_table
A_PAYMENT = {"PK": {"S": "PAY#PAY-01M82Y8T27997E9EYD0G6SK6MT"}}
TRANSACTION = call(
    "dynamodb",
    "TransactWriteItems",
    TransactItems=[
        {"Put": {"TableName": payflow.settings.idempotency_table, "Item": {}}},
        {"Put": {"TableName": PAYMENTS, "Item": A_PAYMENT}},
        {"Update": {"TableName": PAYMENTS, "Key": A_PAYMENT}},
        {"Delete": {"TableName": PAYMENTS, "Key": {"PK": {"S": "APIKEYS"}}}},
        {"ConditionCheck": {"TableName": PAYMENTS, "Key": A_PAYMENT}},
    ],
)


@pytest.mark.parametrize(
    ("call", "grants"),
    [
        (
            TRANSACTION,
            {
                Grant("dynamodb:PutItem", "IdempotencyTable"),
                *(
                    Grant(f"dynamodb:{action}", "PaymentsTable", partitions)
                    for action in ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
                    for partitions in ("PAY#*", "APIKEYS")
                ),
            },
        ),
        (
            call("dynamodb", "Query", TableName=PAYMENTS, IndexName="an-index"),
            {Grant("dynamodb:Query", "PaymentsTable/index/an-index")},
        ),
        (
            call(
                "dynamodb",
                "Query",
                TableName=PAYMENTS,
                KeyConditionExpression="PK = :key AND begins_with(SK, :start)",
                ExpressionAttributeValues={":key": {"S": "APIKEYS"}},
            ),
            {Grant("dynamodb:Query", "PaymentsTable", "APIKEYS")},
        ),
        (
            call("dynamodb", "BatchGetItem", RequestItems={PAYMENTS: {"Keys": [A_PAYMENT]}}),
            {Grant("dynamodb:BatchGetItem", "PaymentsTable", "PAY#*")},
        ),
        (
            call("sqs", "SendMessageBatch", QueueUrl=QUEUE_URL),
            {Grant("sqs:SendMessage", "WebhookQueue")},
        ),
    ],
    ids=lambda value: value.operation if isinstance(value, Call) else "",
)
def test_call_needs_the_actions_that_aws_checks(call: Call, grants: set[Grant]) -> None:
    assert iam.asked([call], "sweeper", STAGE).keys() == grants


@pytest.mark.parametrize(
    "unknown",
    [
        call("dynamodb", "Scan", TableName=PAYMENTS),
        call("dynamodb", "GetItem", TableName="other"),
        call("dynamodb", "Query", TableName=PAYMENTS, KeyConditionExpression=":any = PK"),
    ],
    ids=["operation", "table", "key"],
)
def test_unknown_call_raises(unknown: Call) -> None:
    with pytest.raises(NotUnderstood):
        iam.asked([unknown], "sweeper", STAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny"},
        {"Condition": {}},
        {"Condition": {"StringLike": {"dynamodb:LeadingKeys": ["PAY#*"]}}},
        {"Condition": leading("PAY#*"), "Action": "dynamodb:Scan"},
        {"Condition": leading("PAY#*") | {"Bool": {"aws:SecureTransport": "true"}}},
        {"NotAction": "s3:GetObject"},
        {"Resource": "arn:aws:dynamodb:*:*:table/payflow-payments-prod"},
        {"Resource": {"Fn::ImportValue": "SomeTable"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_policy_with_unsupported_elements_is_refused(change: Any) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"} | change
    with pytest.raises(NotUnderstood):
        iam.granted({"Statement": [statement]})
