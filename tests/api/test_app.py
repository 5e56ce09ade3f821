"""The handlers as Lambda calls them: events of API Gateway, SQS and EventBridge, on moto."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from moto import mock_aws

from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import new_secret
from infra.local.lambda_events import api_event, scheduled_event, sqs_event, with_key
from tests import engines
from tests.conftest import QUEUE_URL, SESSION, payflow


@pytest.fixture(autouse=True)
def aws() -> Iterator[Any]:
    with mock_aws():
        engines.create_tables(SESSION.client("dynamodb"), "test")
        sqs = SESSION.client("sqs")
        sqs.create_queue(QueueName="payflow-webhooks-test")
        sqs.create_queue(QueueName="payflow-deliveries-test")
        yield sqs


REQUEST = {
    "merchant": "Northern Lights Coffee",
    "amount": 12.50,
    "currency": "CAD",
    "type": "eft",
    "idempotency_key": "a-key-of-its-own",
}


def create(**fields: Any) -> Any:
    return payflow.app(api_event("POST", "/v1/payments", REQUEST | fields), None)


def test_location_has_the_stage_prefix_and_request_id_is_api_gateways() -> None:
    answer = create()
    assert answer["statusCode"] == 201
    payment = json.loads(answer["body"])
    assert answer["headers"]["Location"] == f"/api/v1/payments/{payment['id']}"
    assert answer["headers"]["X-Request-Id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert answer["headers"]["Access-Control-Allow-Origin"] == "https://dashboard.example"
    got = payflow.app(api_event("GET", "/v1/payments/{payment_id}", payment_id=payment["id"]), None)
    assert json.loads(got["body"]) == payment


def test_base64_body_from_api_gateway_is_decoded() -> None:
    event = api_event("POST", "/v1/payments", {"merchant": " "})
    event["body"] = base64.b64encode(event["body"].encode()).decode()
    event["isBase64Encoded"] = True
    answer = payflow.app(event, None)
    assert json.loads(answer["body"])["errors"][0]["field"] == "merchant"


def test_bug_is_a_500_with_its_request_id_and_no_internals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(type(payflow.services.payments), "create", break_down)
    answer = create()
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["code"] == "internal"
    assert "secret" not in answer["body"]
    assert answer["headers"]["Access-Control-Allow-Origin"] == "https://dashboard.example"
    bug, request = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert bug["kind"] == "bug"
    assert "a secret of the inside" in bug["trace"]
    assert bug["request_id"] == request["request_id"] == answer["headers"]["X-Request-Id"]


def test_the_request_log_has_no_body_and_no_key(capsys: pytest.CaptureFixture[str]) -> None:
    payment = json.loads(create(merchant="Private", idempotency_key="private-key")["body"])
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert (logged["method"], logged["path"], logged["status"]) == ("POST", "/v1/payments", 201)
    assert logged["payment_id"] == payment["id"]
    assert "rivate" not in line


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a stage that requires keys."""
    monkeypatch.setattr(payflow.services.api_keys, "is_required", True)


def test_only_health_and_the_document_need_no_key(closed: None) -> None:
    answers = {}
    for route, methods in payflow.app.routes.items():
        path = dict.fromkeys(re.findall(r"{(\w+)}", route), "x")
        for method in methods:
            answer = payflow.app(api_event(method, route, **path), None)
            answers[f"{method} {route}"] = answer["statusCode"]
    public = {route for route, status in answers.items() if status != 401}
    assert public == {
        f"{method} {path}"
        for method in ("GET", "HEAD")
        for path in ("/v1/health", "/v1/openapi.json")
    }
    deep = api_event("GET", "/v1/health")
    deep["multiValueQueryStringParameters"] = {"deep": ["1"]}
    assert payflow.app(deep, None)["statusCode"] == 401


def test_body_is_not_read_before_the_key_is_checked(closed: None) -> None:
    for body in ("{", "x" * 70_000):
        event = api_event("POST", "/v1/payments")
        event["body"] = body
        assert payflow.app(event, None)["statusCode"] == 401


def test_body_is_limited_to_64_kib() -> None:
    event = api_event("POST", "/v1/payments")
    codes = []
    for size_bytes in (64 * 1024, 64 * 1024 + 1):
        event["body"] = "{}".ljust(size_bytes)
        codes.append(json.loads(payflow.app(event, None)["body"])["code"])
    assert codes == ["validation_failed", "body_too_large"]


def test_two_idempotency_keys_in_one_request_must_be_the_same() -> None:
    codes = []
    for key in ("another-key", "a-key-of-its-own"):
        event = api_event("POST", "/v1/payments", REQUEST)
        event["headers"]["Idempotency-Key"] = key
        codes.append(json.loads(payflow.app(event, None)["body"]).get("code"))
    assert codes == ["idempotency_key_mismatch", None]


SECRET = new_secret("test")
WITHOUT_ITS_BEGINNING = SECRET.removeprefix("pf_test_")


@pytest.mark.parametrize(
    "path",
    [
        SECRET,
        SECRET.upper(),
        SECRET[:24],
        WITHOUT_ITS_BEGINNING,
        f"{SECRET}/{SECRET}",
        SECRET.replace("_", "%5F"),
        "".join(f"%{ord(character):02x}" for character in SECRET),
        "x" * 180 + SECRET,
    ],
    ids=[
        "whole",
        "capitals",
        "cut",
        "headless",
        "twice",
        "partly encoded",
        "encoded",
        "at the end",
    ],
)
def test_key_in_the_path_is_not_logged(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = payflow.app(api_event("GET", "/v1/payments/{payment_id}", payment_id=path), None)
    assert answer["statusCode"] == 404
    logged = unquote(capsys.readouterr().out).lower()
    assert "/v1/payments/" in logged
    assert WITHOUT_ITS_BEGINNING[:8] not in logged


def test_key_id_in_the_path_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    key_id = "KEY-0123456789ABCDEF0123"
    payflow.app(api_event("DELETE", "/v1/api_keys/{key_id}", key_id=key_id), None)
    assert json.loads(capsys.readouterr().out)["path"] == f"/v1/api_keys/{key_id}"


def test_webhook_processor_settles_and_reports_failures(aws: Any) -> None:
    good = json.loads(create(metadata={"simulate": "completed"})["body"])
    wish = {"simulate": "error"}
    poison = json.loads(create(metadata=wish, idempotency_key="another-key")["body"])
    received = aws.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10)["Messages"]
    bodies = [message["Body"] for message in received]
    assert len(bodies) == 2
    results = {}
    for body in bodies:  # one at a time: moto is not safe under threads
        results[body] = payflow.webhook_processor(sqs_event(body), None)
    failures = [result["batchItemFailures"] for result in results.values()]
    assert sorted(failures, key=len) == [[], [{"itemIdentifier": "message-0"}]]
    assert payflow.services.payments.get(good["id"]).status == "completed"
    assert payflow.services.payments.get(poison["id"]).status == "processing"


def test_batch_reports_only_the_failed_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [f"PAY-01M82Y8T27997E9EYD0G6SK6M{digit}" for digit in "0123456789"]

    def settle(_: Any, payment_id: str) -> None:
        if payment_id == ids[4]:
            raise RuntimeError("poison")

    monkeypatch.setattr(type(payflow.services.payments), "settle", settle)
    answer = payflow.webhook_processor(sqs_event(*map(message_of, ids)), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-4"}]}


def message_of(payment_id: str) -> str:
    return json.dumps({"type": "settle_payment", "payment_id": payment_id})


def test_sweeper_counts_ages_from_its_scheduled_time() -> None:
    created = json.loads(create()["body"])["created_at"]
    scheduled = datetime.fromisoformat(created) + timedelta(minutes=2, seconds=30)
    assert payflow.sweeper(scheduled_event(scheduled), None) == {"enqueued": 1, "stuck": 0}


def of_payment(method: str, payment_id: str, what: str, body: Any = None) -> Any:
    route = f"/v1/payments/{{payment_id}}/{what}"
    return payflow.app(api_event(method, route, body, payment_id=payment_id), None)


def test_events_have_exact_amounts_and_no_nulls() -> None:
    wishes = {"simulate": "completed", "simulate_refund": "completed"}
    payment_id = json.loads(create(metadata=wishes)["body"])["id"]
    payflow.webhook_processor(sqs_event(message_of(payment_id)), None)
    body = {"amount": "2.50", "idempotency_key": "one-refund"}
    refund_id = json.loads(of_payment("POST", payment_id, "refunds", body)["body"])["id"]
    settle = {"type": "settle_refund", "payment_id": payment_id, "refund_id": refund_id}
    payflow.webhook_processor(sqs_event(json.dumps(settle)), None)
    returned = of_payment("POST", payment_id, "simulate_return", {"code": "905"})
    assert '"amount_refunded":2.50' in returned["body"]

    text = of_payment("GET", payment_id, "events")["body"]
    events = json.loads(text)["events"]
    assert [event["type"] for event in events] == [
        "payment.created",
        "payment.completed",
        "refund.created",
        "refund.completed",
        "payment.returned",
    ]
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert {event["payment_id"] for event in events} == {payment_id}
    assert '"amount_refunded":2.50,"refund":{"id"' in text
    assert "null" not in text.removesuffix('"next_cursor":null}')
    assert events[-1]["data"] == {
        "status": "returned",
        "completed_at": events[1]["created_at"],
        "failure_code": "905",
        "bank_code": "905",
        "amount_refunded": 2.5,
        "amount_returned": 12.5,
    }


def test_refund_is_the_same_in_post_list_and_replay() -> None:
    payment_id = json.loads(create(metadata={"simulate": "completed"})["body"])["id"]
    payflow.webhook_processor(sqs_event(message_of(payment_id)), None)
    event = api_event("POST", "/v1/payments/{payment_id}/refunds", {}, payment_id=payment_id)
    event["headers"]["Idempotency-Key"] = "all-of-it"
    created, replayed = payflow.app(event, None), payflow.app(event, None)
    assert (created["statusCode"], replayed["statusCode"]) == (201, 200)
    assert replayed["headers"]["Idempotent-Replayed"] == "true"
    assert replayed["body"] == created["body"]
    listed = f'{{"refunds":[{created["body"]}],"next_cursor":null}}'
    assert listed == of_payment("GET", payment_id, "refunds")["body"]
    assert '"amount":12.50,"currency":"CAD"' in created["body"]


@pytest.mark.parametrize("body", [None, "", "null", '{"amount":null}', '{"amount":"NaN"}'])
def test_refund_of_everything_is_asked_for_by_an_object_without_an_amount(body: str | None) -> None:
    payment_id = json.loads(create(metadata={"simulate": "completed"})["body"])["id"]
    payflow.webhook_processor(sqs_event(message_of(payment_id)), None)
    event = api_event("POST", "/v1/payments/{payment_id}/refunds", payment_id=payment_id)
    event["headers"]["Idempotency-Key"] = "all-of-it"
    assert payflow.app(event | {"body": body}, None)["statusCode"] == 400
    assert of_payment("GET", payment_id, "refunds")["body"] == '{"refunds":[],"next_cursor":null}'


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"Content-Encoding": "gzip"}, 415, "gzip"),
        ({"Content-Encoding": "Identity"}, 201, ""),
        ({"Idempotency-Key": '"order-10023"'}, 400, "quotes"),
        ({"Idempotency-Key": "order-10023"}, 201, ""),
    ],
)
def test_header_that_would_be_misread_is_refused_by_name(
    headers: dict[str, str], status: int, says: str
) -> None:
    fields = {"merchant": "a", "amount": 1, "currency": "CAD", "type": "eft"}
    event = api_event("POST", "/v1/payments", fields)
    event["headers"] |= {"Idempotency-Key": "order-10023"} | headers
    answer = payflow.app(event, None)
    assert answer["statusCode"] == status
    assert says in answer["body"]


def test_two_idempotency_keys_are_refused() -> None:
    event = api_event("POST", "/v1/payments", {"merchant": "a"})
    event["headers"]["Idempotency-Key"] = "the-second"
    event["multiValueHeaders"] = {"idempotency-key": ["the-first", "the-second"]}
    answer = payflow.app(event, None)
    assert answer["statusCode"] == 400
    assert "must be sent once" in answer["body"]


def test_idempotency_key_counts_whichever_api_key_sends_it(closed: None) -> None:
    wanted = CreateApiKey(name="till", scopes=[Scope.WRITE])
    answers = []
    for key in (payflow.services.api_keys.create(wanted).key for _ in range(2)):
        event = with_key(api_event("POST", "/v1/payments", REQUEST), key)
        event["headers"]["Idempotency-Key"] = REQUEST["idempotency_key"]
        answers.append(payflow.app(event, None))
    assert [answer["statusCode"] for answer in answers] == [201, 200]
    assert answers[0]["body"] == answers[1]["body"]


@pytest.mark.parametrize("path", ["/v1/health", "/v1/openapi.json"])
def test_head_is_get_without_the_body(path: str) -> None:
    got, head = (payflow.app(api_event(method, path), None) for method in ("GET", "HEAD"))
    assert (head["statusCode"], head["body"]) == (200, "")
    assert head["headers"]["Content-Type"] == got["headers"]["Content-Type"]


def test_health_ignores_parameters_of_monitors() -> None:
    event = api_event("GET", "/v1/health")
    event["multiValueQueryStringParameters"] = {"nocache": ["1"], "utm_source": ["monitor"]}
    assert payflow.app(event, None)["statusCode"] == 200


def on_endpoint(method: str, what: str = "", body: Any = None, endpoint_id: str = "") -> Any:
    route = f"/v1/webhook_endpoints{'/{endpoint_id}' if endpoint_id else ''}{what}"
    path = {"endpoint_id": endpoint_id} if endpoint_id else {}
    return payflow.app(api_event(method, route, body, **path), None)


def test_endpoint_secret_is_shown_only_on_creation_and_rotation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = "https://merchant.example/hooks"
    made = on_endpoint("POST", body={"url": url})
    endpoint = json.loads(made["body"])
    assert (made["statusCode"], endpoint["events"], endpoint["enabled"]) == (201, ["*"], True)
    endpoint_id = endpoint["id"]
    rotated = json.loads(on_endpoint("POST", "/rotate_secret", endpoint_id=endpoint_id)["body"])
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != endpoint["secret"]
    others = [
        on_endpoint("GET"),
        on_endpoint("GET", endpoint_id=endpoint_id),
        on_endpoint("PATCH", body={"description": "ours"}, endpoint_id=endpoint_id),
        on_endpoint("POST", "/test", endpoint_id=endpoint_id),
        on_endpoint("GET", "/deliveries", endpoint_id=endpoint_id),
    ]
    assert [answer["statusCode"] for answer in others] == [200, 200, 200, 201, 200]
    seen = "".join(answer["body"] for answer in others) + capsys.readouterr().out
    assert "whsec_" not in seen
    assert endpoint["secret"].removeprefix("whsec_") not in seen


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "http://merchant.example"}, "url"),
        ({"url": "https://10.0.0.1"}, "url"),
        ({"url": "https://" + "x" * 3000}, "url"),
        ({"url": "https://merchant.example", "events": []}, "events"),
        ({"url": "https://merchant.example", "events": ["payment.created"]}, "events.0"),
        ({"url": "https://merchant.example", "events": "*"}, "events"),
        ({"url": "https://merchant.example", "description": "a\x00b"}, "description"),
        ({"url": "https://merchant.example", "secret": "whsec_mine"}, "secret"),
    ],
)
def test_invalid_endpoint_names_the_bad_field(body: Any, field: str) -> None:
    refused = on_endpoint("POST", body=body)
    assert refused["statusCode"] == 400
    assert {error["field"] for error in json.loads(refused["body"])["errors"]} == {field}


@pytest.mark.parametrize("body", [{"enabled": "yes"}, {"enabled": 1}, {"id": "EP-1"}])
def test_invalid_update_changes_nothing(body: Any) -> None:
    made = json.loads(on_endpoint("POST", body={"url": "https://merchant.example"})["body"])
    assert on_endpoint("PATCH", body=body, endpoint_id=made["id"])["statusCode"] == 400
    shown = json.loads(on_endpoint("GET", endpoint_id=made["id"])["body"])
    assert shown == {name: value for name, value in made.items() if name != "secret"}


def test_aws_clients_have_short_timeouts() -> None:
    """Seconds to connect, seconds to read, and attempts."""
    said = {
        client.meta.service_model.service_name: (
            client.meta.config.connect_timeout,
            client.meta.config.read_timeout,
            client.meta.config.retries["total_max_attempts"],
        )
        for client in (payflow.services.dynamodb, payflow.services.sqs)
    }
    assert said == {"dynamodb": (1, 2, 3), "sqs": (1, 1, 2)}


def test_the_queue_handlers_take_ten_and_the_sweeper_runs_every_minute() -> None:
    by_name = {source.name: source for source in payflow.app.event_sources}
    assert by_name["webhook_processor"].batch_size == 10
    assert by_name["webhook_processor"].queue == "payflow-webhooks-test"
    assert by_name["delivery_worker"].batch_size == 10
    assert by_name["delivery_worker"].queue == "payflow-deliveries-test"
    assert by_name["sweeper"].schedule_expression.to_string() == "rate(1 minute)"
