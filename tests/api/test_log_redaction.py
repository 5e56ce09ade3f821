"""Nothing that a caller or a merchant says, and no secret, is in any line that PayFlow logs.

The app is driven as Lambda drives it, with words that nobody would use by chance wherever a word
can stand; then all that it has printed is searched for them, in every spelling that they may have.
"""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, patch
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from pydantic import ValidationError

from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import new_secret
from chalicelib.telemetry import log, log_exception
from chalicelib.validation import validated
from chalicelib.values import SYSTEM
from chalicelib.webhooks.commands import CreateEndpoint
from chalicelib.webhooks.http_client import PostResult as Answer
from chalicelib.webhooks.signing import new_secret as new_webhook_secret
from infra.local.lambda_events import api_event, scheduled_event, sqs_event, with_key
from tests import engines
from tests.conftest import SESSION, payflow
from tests.engines import IS_THOROUGH

WORD = "Kumquat"
"""In everything that a caller says; no text of ours has it."""
ANSWER = "Tamarillo"
"""What a merchant's server answers."""
KEY = new_secret("test")
"""A key that nobody has made, but that looks like one."""
WEBHOOK_SECRET = new_webhook_secret()
RAW_WEBHOOK_SECRET = WEBHOOK_SECRET.removeprefix("whsec_")
UNKNOWN = "01M82Y8T27997E9EYD0G6SK6MT"
UNKNOWN_IDS = {
    "payment_id": f"PAY-{UNKNOWN}",
    "endpoint_id": f"EP-{UNKNOWN}",
    "delivery_id": f"DLV-{UNKNOWN * 3}",
    "export_id": f"EXP-{UNKNOWN}",
    "key_id": "KEY-0123456789ABCDEF0123",
}
OPERATIONS = [
    (method, route) for route, methods in payflow.app.routes.items() for method in sorted(methods)
]
BODY = {
    "merchant": WORD,
    "amount": "12.50",
    "currency": "CAD",
    "type": "eft",
    "idempotency_key": f"{WORD}-{KEY}",
    "description": f"{WORD} {KEY} {WEBHOOK_SECRET}",
    "metadata": {WORD: WEBHOOK_SECRET},
}


def named(text: str) -> str:
    """A test's name for a text that has a secret in it, which is another one in each run."""
    known = {KEY: "KEY", KEY.upper(): "KEY upper", KEY[12:60]: "KEY part"}
    known |= {WEBHOOK_SECRET: "WEBHOOK", RAW_WEBHOOK_SECRET: "WEBHOOK raw"}
    for secret, name in known.items():
        text = text.replace(secret, name)
    return text


@pytest.fixture(scope="module", autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        engines.create_tables(SESSION.client("dynamodb"), "test")
        sqs = SESSION.client("sqs")
        sqs.create_queue(QueueName="payflow-webhooks-test")
        sqs.create_queue(QueueName="payflow-deliveries-test")
        sqs.create_queue(QueueName="payflow-exports-test")
        SESSION.client("logs").create_log_group(logGroupName="/aws/lambda/payflow-test")
        yield


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> str:
    """A key that works, on a stage that asks for one."""
    monkeypatch.setattr(payflow.services.api_keys, "is_required", True)
    wanted = validated(CreateApiKey, {"name": "operator", "scopes": ["admin"]})
    secret: str = payflow.services.api_keys.create(wanted).key
    return secret


class Printed:
    """All that was printed, and what must not be in it."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def lines(self) -> list[Any]:
        """Those of standard output, once none of `secrets` is found in any."""
        return self.without()

    def without(self, *secrets: str) -> list[Any]:
        captured = self._capture.readouterr()
        text = captured.out + captured.err
        parsed = [json.loads(line) for line in captured.out.splitlines()]
        said = text + str(parsed)  # as it is printed, and as it reads without JSON's escapes
        fixed = (WORD, ANSWER, KEY, RAW_WEBHOOK_SECRET)
        for secret in itertools.chain.from_iterable(map(spellings, (*fixed, *secrets))):
            assert secret.lower() not in said.lower()
        return parsed


def spellings(secret: str) -> set[str]:
    """Whole, without its beginning, encoded; and the first of what is random in it."""
    bare = secret.removeprefix("pf_test_").removeprefix("whsec_")
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]
    return {bare, bare[:20], bare[-20:], quote(bare, safe=""), encoded}


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str]) -> Printed:
    return Printed(capfd)


def call(method: str, route: str, body: Any = None, **path: str) -> Any:
    event = api_event(method, route, body, **path)
    event["headers"] |= {"User-Agent": WORD, "Cookie": f"session={WORD}", "X-Api-Key": KEY}
    event["multiValueQueryStringParameters"] = {"api_key": [KEY], WORD: [WEBHOOK_SECRET]}
    return event


def names_in(route: str) -> list[str]:
    return [part[1:-1] for part in route.split("/") if part.startswith("{")]


SECRETS = {"key": KEY, "webhook secret": WEBHOOK_SECRET, "part": KEY[12:60]}
if IS_THOROUGH:
    SECRETS |= {
        "without its beginning": RAW_WEBHOOK_SECRET,
        "an address": f"{WORD}@example.com",
        "capitals": KEY.upper(),
    }


@pytest.mark.parametrize(("method", "route"), OPERATIONS)
@pytest.mark.parametrize("said", SECRETS.values(), ids=SECRETS)
def test_text_in_place_of_an_id_is_not_logged(
    method: str, route: str, said: str, printed: Printed
) -> None:
    for spelling in (said, quote(said, safe=""), quote(quote(said, safe=""), safe="")):
        ids = dict.fromkeys(names_in(route), spelling)
        payflow.app(call(method, route, BODY, **ids), None)
    assert {line["kind"] for line in printed.lines()} == {"request"}


@pytest.mark.parametrize(("method", "route"), OPERATIONS)
def test_key_is_not_logged_however_it_is_sent(
    method: str, route: str, admin: str, printed: Printed
) -> None:
    ids = {name: UNKNOWN_IDS[name] for name in names_in(route)}
    basic = base64.b64encode(f"{admin}:".encode()).decode()
    for header in (
        f"Bearer {admin}",
        f"bearer  {admin}",
        admin,
        f"Token {admin}",
        f"Basic {basic}",
    ):
        event = call(method, route, BODY, **ids)
        event["headers"]["Authorization"] = header
        event["headers"]["Idempotency-Key"] = admin
        payflow.app(event, None)
    lines = [line for line in printed.without(admin) if line["kind"] == "request"]
    assert len(lines) == 5
    assert {line["path"] for line in lines} == {route.format(**ids)}


def answered(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    return Answer(500, 12, f"{ANSWER} {headers['webhook-signature']}", None, None, ANSWER)


def test_log_of_a_payments_life_has_no_personal_data(
    admin: str, monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    monkeypatch.setitem(vars(payflow.services), "http_client", Mock(post=answered))
    monkeypatch.delitem(vars(payflow.services), "delivery_worker", raising=False)

    def ask(method: str, route: str, body: Any = None, **path: str) -> Any:
        answer = payflow.app(with_key(api_event(method, route, body, **path), admin), None)
        assert answer["statusCode"] < 300, answer
        return json.loads(answer["body"] or "null")

    hook = {"url": f"https://merchant.example/{WORD}?token={WORD}", "description": WORD}
    endpoint = ask("POST", "/v1/webhook_endpoints", hook)
    on_endpoint = {"endpoint_id": endpoint["id"]}
    wishes = {"simulate": "completed", "simulate_refund": "failed:account_closed"}
    own = {"idempotency_key": f"{WORD} of a life {KEY}", "metadata": {WORD: WORD} | wishes}
    body = BODY | own
    payment = {"payment_id": ask("POST", "/v1/payments", body)["id"]}
    ask("POST", "/v1/payments", body)
    payflow.webhook_processor(sqs_event(json.dumps({"type": "settle_payment", **payment})), None)
    wanted = {"amount": 1, "reason": WORD, "idempotency_key": f"refund {WORD}"}
    refund = ask("POST", "/v1/payments/{payment_id}/refunds", wanted, **payment)
    settle = {"type": "settle_refund", "refund_id": refund["id"], **payment}
    payflow.webhook_processor(sqs_event(json.dumps(settle)), None)
    ask("POST", "/v1/webhook_endpoints/{endpoint_id}/test", **on_endpoint)
    rotated = ask("POST", "/v1/webhook_endpoints/{endpoint_id}/rotate_secret", **on_endpoint)
    log_of = ask("GET", "/v1/webhook_endpoints/{endpoint_id}/deliveries", **on_endpoint)
    for delivery in log_of["deliveries"]:
        message = json.dumps({"type": "deliver", "delivery_id": delivery["id"]})
        payflow.delivery_worker(sqs_event(message), None)
        ask("POST", "/v1/deliveries/{delivery_id}/replay", delivery_id=delivery["id"])
    made = ask("POST", "/v1/api_keys", {"name": "shop", "scopes": ["write"]})
    rolled = ask("POST", "/v1/api_keys/{key_id}/roll", key_id=made["id"])
    ask("DELETE", "/v1/webhook_endpoints/{endpoint_id}", **on_endpoint)
    payflow.sweeper(scheduled_event(datetime.now(UTC) + timedelta(minutes=2)), None)

    secrets = (endpoint["secret"], rotated["secret"], made["key"], rolled["key"])
    kinds = {line.get("kind") for line in printed.without(admin, *secrets)}
    assert kinds >= {"request", "changed", "delivery_tried"}


OUTAGE = EndpointConnectionError(endpoint_url="https://dynamodb.example")
THROTTLED = ClientError(
    {"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "TransactWriteItems"
)
REJECTED = ClientError(
    {"Error": {"Code": "ValidationException", "Message": f"{KEY} {WEBHOOK_SECRET}"}}, "GetItem"
)


@pytest.mark.parametrize("error", [OUTAGE, THROTTLED, REJECTED], ids=["out", "throttled", "a bug"])
def test_outage_of_aws_logs_no_request_data(error: Exception, admin: str, printed: Printed) -> None:
    settle = {"type": "settle_payment", "payment_id": UNKNOWN_IDS["payment_id"]}
    deliver = {"type": "deliver", "delivery_id": UNKNOWN_IDS["delivery_id"]}
    run = {"type": "run_export", "export_id": UNKNOWN_IDS["export_id"]}
    mistaken = {"type": "settle_payment", "payment_id": KEY, WORD: WORD}
    with patch("botocore.client.BaseClient._make_api_call", side_effect=error):
        for method, route in OPERATIONS:
            ids = {name: UNKNOWN_IDS[name] for name in names_in(route)}
            event = with_key(api_event(method, route, BODY, **ids), admin)
            payflow.app(event, None)
        payflow.webhook_processor(sqs_event(json.dumps(settle)), None)
        payflow.delivery_worker(sqs_event(json.dumps(deliver)), None)
        payflow.export_worker(sqs_event(json.dumps(run)), None)
        payflow.webhook_processor(sqs_event(json.dumps(mistaken)), None)
    kinds = {line.get("kind") for line in printed.without(admin)}
    assert kinds >= {"request", "message_failed"}


@pytest.mark.parametrize("secret", [KEY, WEBHOOK_SECRET, KEY.upper(), f"x{KEY}x"], ids=named)
def test_secret_in_an_error_text_is_not_logged(secret: str, printed: Printed) -> None:
    try:
        raise RuntimeError(f"cannot use {secret}, says Ñandú") from ValueError(secret)
    except RuntimeError as error:
        log_exception("bug", error, of={"a": [secret]})
    (line,) = printed.without(secret)
    assert "cannot use" in line["error"]
    assert "[redacted]" in line["error"]
    assert "Ñandú" in line["error"]


def test_id_is_logged_in_full(printed: Printed) -> None:
    ids = [*UNKNOWN_IDS.values(), f"EVT-{UNKNOWN}", f"REF-{UNKNOWN}"]
    log("test", ids=ids)
    assert printed.lines()[0]["ids"] == ids


@pytest.mark.parametrize("spoilt", ["metadata", "merchant", "description"])
def test_unreadable_row_is_reported_without_its_content(spoilt: str, printed: Printed) -> None:
    made = payflow.app(api_event("POST", "/v1/payments", BODY), None)
    payment_id = json.loads(made["body"])["id"]
    SESSION.client("dynamodb").update_item(
        TableName="payflow-payments-test",
        Key={"PK": {"S": f"PAY#{payment_id}"}, "SK": {"S": "PAYMENT"}},
        UpdateExpression="SET #spoilt = :value",
        ExpressionAttributeNames={"#spoilt": spoilt},
        ExpressionAttributeValues={":value": {"L": [{"S": WORD}]}},
    )
    answer = payflow.app(api_event("GET", "/v1/payments/{payment_id}", payment_id=payment_id), None)
    assert answer["statusCode"] == 500
    (bug,) = (line for line in printed.lines() if line["kind"] == "bug")
    assert "ValidationError" in bug["error"]
    assert spoilt in bug["error"]


def test_unreadable_endpoint_is_reported_without_secret_and_url() -> None:
    made = payflow.services.webhooks.create(
        CreateEndpoint(url=f"https://merchant.example/{WORD}"), actor=SYSTEM
    )
    with pytest.raises(ValidationError) as spoilt:
        type(made)(**vars(made) | {"secret": [made.secret], "url": [made.url], "events": [WORD]})
    assert made.secret not in str(spoilt.value)
    assert WORD not in str(spoilt.value)


@pytest.mark.parametrize("name", [KEY, KEY.upper(), f"for {WEBHOOK_SECRET}"], ids=named)
def test_secret_is_refused_as_the_name_of_a_key(name: str) -> None:
    answer = payflow.app(
        api_event("POST", "/v1/api_keys", {"name": name, "scopes": [Scope.READ]}), None
    )
    assert answer["statusCode"] == 400
