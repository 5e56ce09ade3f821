"""Whatever comes in from outside is read as what it says, or refused in the parser's own words.

Another exception would be an answer 500, a message that goes round until it is dead, or a log that
cannot be read.
"""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib import exact_json
from chalicelib.api.request_log import ReadLogs, _request
from chalicelib.api_keys.commands import RollApiKey
from chalicelib.aws.pagination import decode_cursor, encode_cursor
from chalicelib.errors import InvalidCursor, ValidationFailed
from chalicelib.messages import (
    Deliver,
    MalformedMessage,
    Message,
    RunExport,
    SettlePayment,
    SettleRefund,
    UnknownMessage,
    decode,
    each,
    encode,
    process_batch,
)
from chalicelib.payments.commands import (
    CreatePayment,
    CreateRefund,
    ListPayments,
    ReadStats,
    SimulateReturn,
)
from chalicelib.validation import Command, validated
from chalicelib.values import Currency, rfc3339
from chalicelib.webhooks import retry_schedule, signing, url_policy
from chalicelib.webhooks.commands import (
    CreateEndpoint,
    ListDeliveries,
    ReplayFailed,
    UpdateEndpoint,
)
from chalicelib.webhooks.http_client import _retry_after_seconds
from chalicelib.webhooks.models import DeliveryKey, delivery_key
from chalicelib.webhooks.url_policy import UrlRefused
from infra.local.lambda_events import sqs_event
from tests.conftest import START, payflow

ULIDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)
PAYMENT_IDS, REFUND_IDS = ULIDS.map("PAY-{}".format), ULIDS.map("REF-{}".format)
EXPORT_IDS = ULIDS.map("EXP-{}".format)
DELIVERY_KEYS = st.builds(
    DeliveryKey,
    st.none() | PAYMENT_IDS,
    ULIDS.map("EVT-{}".format),
    ULIDS.map("EP-{}".format),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(SettlePayment, PAYMENT_IDS),
    st.builds(SettleRefund, PAYMENT_IDS, REFUND_IDS),
    st.builds(Deliver, DELIVERY_KEYS.map(lambda key: key.delivery_id)),
    st.builds(RunExport, EXPORT_IDS),
)
NUMBERS = (
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.from_regex(
        r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,20})?", fullmatch=True
    )
).map(str)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MOMENTS = st.integers(0, 10**16).map(lambda us: START + timedelta(microseconds=us))
PAYMENT = {
    "merchant": "Northern Lights Coffee",
    "currency": "CAD",
    "type": "eft",
    "idempotency_key": "order-10023",
}  # fmt: skip


def is_refused(command: type[Command], fields: object) -> bool:
    """Raises whatever is no refusal."""
    try:
        validated(command, fields)
    except ValidationFailed:
        return True
    return False


# Money.


@given(
    cents=st.integers(1, 100_000_000),
    zeros=st.integers(0, 40),
    is_text=st.booleans(),
    currency=st.sampled_from(Currency),
)
def test_amount_comes_back_byte_for_byte_however_it_was_written(
    cents: int, zeros: int, is_text: bool, currency: Currency
) -> None:
    shown = f"{cents // 100}.{cents % 100:02}"
    spelled = shown + "0" * zeros
    body = json.dumps(PAYMENT | {"currency": currency, "amount": None})
    sent = body.replace("null", f'"00{spelled}"' if is_text else spelled)
    amount = validated(CreatePayment, exact_json.loads(sent.encode())).amount
    assert exact_json.dumps(amount) == shown


@given(number=NUMBERS)
def test_any_number_is_a_payable_amount_or_is_refused(number: str) -> None:
    fields = exact_json.loads(f'{{"amount":{number}}}'.lower().encode())
    for command, others in ((CreatePayment, PAYMENT), (CreateRefund, {"idempotency_key": "k" * 8})):
        if not is_refused(command, others | fields):
            amount: Any = validated(command, others | fields)
            assert 0 < amount.amount <= 1_000_000
            assert amount.amount == Decimal(number)


@given(text=st.text(st.characters(categories=["Nd", "No", "Nl", "Sm", "P", "Zs"]), max_size=9))
def test_amount_in_other_digits_is_refused(text: str) -> None:
    assume(not text.isascii())
    assert is_refused(CreatePayment, PAYMENT | {"amount": text})
    assert is_refused(CreateRefund, {"idempotency_key": "k" * 8, "amount": text})


@given(number=NUMBERS)
def test_any_number_of_hours_is_valid_or_refused(number: str) -> None:
    fields = exact_json.loads(f'{{"overlap_hours":{number}}}'.lower().encode())
    if not is_refused(RollApiKey, fields):
        assert validated(RollApiKey, fields).overlap_hours == Decimal(number)


@pytest.mark.parametrize("number", ["1e1000000", "-1e1000000", "1e999999999999999999"])
def test_hours_beyond_arithmetic_are_refused(number: str) -> None:
    assert is_refused(RollApiKey, exact_json.loads(f'{{"overlap_hours":{number}}}'.encode()))


# Bodies and queries.


@pytest.mark.parametrize(
    "command",
    [CreatePayment, CreateRefund, CreateEndpoint, UpdateEndpoint, ReplayFailed, RollApiKey,
     SimulateReturn],
)  # fmt: skip
@given(data=st.data())
def test_any_body_is_a_command_or_is_refused(command: Any, data: st.DataObject) -> None:
    names = [field.alias or name for name, field in command.model_fields.items()]
    fields = st.dictionaries(st.sampled_from(names) | st.text(), JSON)
    is_refused(command, data.draw(fields | JSON))


@pytest.mark.parametrize("command", [ListPayments, ListDeliveries, ReadStats, ReadLogs])
@given(data=st.data())
def test_any_query_is_a_command_or_is_refused(command: Any, data: st.DataObject) -> None:
    names = [field.alias or name for name, field in command.model_fields.items()]
    moment = st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}[Z+-].{0,5})?")
    is_refused(command, data.draw(st.dictionaries(st.sampled_from(names), st.text() | moment)))


@given(value=JSON)
def test_json_survives_a_round_trip(value: Any) -> None:
    text = exact_json.dumps(value) if _is_finite(value) else "0"
    assert exact_json.dumps(exact_json.loads(text.encode())) == text


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, Decimal) or value.is_finite()


@given(key=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=128))
def test_printable_key_is_kept_unchanged(key: str) -> None:
    assert validated(CreateRefund, {"idempotency_key": key}).idempotency_key == key


@given(key=st.text(max_size=140))
def test_unprintable_key_is_refused(key: str) -> None:
    is_key = 8 <= len(key) <= 128 and all(" " <= character <= "~" for character in key)
    assert is_refused(CreateRefund, {"idempotency_key": key}) is not is_key


# Cursors.


@given(moment=MOMENTS, payment_id=PAYMENT_IDS, limit=st.integers(1, 100))
def test_cursor_survives_a_round_trip(moment: datetime, payment_id: str, limit: int) -> None:
    last, query = f"{rfc3339(moment)}#{payment_id}", validated(ListPayments, {"type": "eft"})
    cursor = encode_cursor(last, query)
    assert len(cursor) <= 300
    assert decode_cursor(cursor, query.model_copy(update={"limit": limit})) == last


@given(moment=MOMENTS, payment_id=PAYMENT_IDS, data=st.data())
def test_a_cursor_that_was_changed_is_refused(
    moment: datetime, payment_id: str, data: st.DataObject
) -> None:
    query = validated(ListPayments, {})
    cursor = encode_cursor(f"{rfc3339(moment)}#{payment_id}", query)
    start = data.draw(st.integers(0, len(cursor)))
    end = data.draw(st.integers(start, len(cursor)))
    garbled = cursor[:start] + data.draw(st.text(max_size=4)) + cursor[end:]
    assume(garbled != cursor)
    with pytest.raises(InvalidCursor):
        decode_cursor(garbled, query)


# Webhooks.


BODIES = st.dictionaries(st.text(), st.text()).map(lambda body: exact_json.dumps(body).encode())
SECRETS = st.binary(min_size=24, max_size=64).map(lambda raw: "whsec_" + b64encode(raw).decode())


@given(body=BODIES, secret=SECRETS, event=ULIDS, seconds=st.integers(-240, 240))
def test_signed_webhook_verifies(body: bytes, secret: str, event: str, seconds: int) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    sent = signing.headers(f"EVT-{event}", at, body, [secret])
    assert Webhook(secret).verify(body, sent) == json.loads(body)


@given(body=BODIES, secret=SECRETS, other=SECRETS, event=ULIDS, data=st.data())
def test_altered_webhook_does_not_verify(
    body: bytes, secret: str, other: str, event: str, data: st.DataObject
) -> None:
    at = datetime.now(UTC)
    sent = signing.headers(f"EVT-{event}", at, body, [secret])
    place = data.draw(st.integers(0, len(body) - 1))
    changed = (
        body[:place] + bytes([body[place] ^ data.draw(st.integers(1, 127))]) + body[place + 1 :]
    )
    later = str(int(sent["webhook-timestamp"]) + data.draw(st.integers(1, 60)))
    altered = f"EVT-{data.draw(ULIDS)}"
    forgeries = [
        (changed, sent, secret),
        (body, sent | {"webhook-timestamp": later}, secret),
        *([(body, sent | {"webhook-id": altered}, secret)] if altered != f"EVT-{event}" else []),
        *([(body, sent, other)] if other != secret else []),
    ]
    for forged, headers, key in forgeries:
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(forged, headers)


@given(
    url=st.text()
    | st.text().map("https://{}".format)
    | st.from_regex(
        r"https://[a-z0-9.\-\[\]:%@]{1,30}(/[^ ]{0,20})?(\?[^ ]{0,9})?", fullmatch=True
    ),
    allows_private=st.booleans(),
)
def test_accepted_url_is_accepted_again_unchanged(url: str, allows_private: bool) -> None:
    try:
        target = url_policy.parse(url, allows_private=allows_private)
    except UrlRefused:
        return
    assert url_policy.parse(target.url, allows_private=allows_private) == target
    assert target.url.isascii()
    assert target.is_tls or allows_private


@pytest.mark.parametrize("resource", ["ü" * 700, "?q=" + "☕" * 300])
def test_url_that_gets_too_long_when_encoded_is_refused(
    resource: str,
) -> None:
    with pytest.raises(UrlRefused, match="at most 2048 characters"):
        url_policy.parse(f"https://example.com/{resource}", allows_private=False)


@given(
    value=st.text(st.characters(max_codepoint=255))
    | st.from_regex(
        r"([A-Z][a-z]{2}, )?[0-9]{1,2}[ -][A-Z][a-z]{2}[ -][0-9]{1,9} "
        r"[0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})?( GMT| [+-][0-9]{1,6}| [A-Z]{1,4})?",
        fullmatch=True,
    ),
    now=MOMENTS,
)
def test_any_retry_after_is_seconds_or_none(value: str, now: datetime) -> None:
    seconds = _retry_after_seconds(value, now)
    assert seconds is None or 0 <= seconds <= retry_schedule.MAX_RETRY_AFTER.total_seconds()


@given(key=DELIVERY_KEYS)
def test_delivery_id_says_where_the_delivery_is_stored(key: DeliveryKey) -> None:
    assert delivery_key(key.delivery_id) == key


@given(text=st.text() | ULIDS.map("DLV-{}".format) | st.from_regex(r"DLV-[0-9A-Z]{52,78}"))
def test_any_text_is_a_delivery_id_or_none(text: str) -> None:
    key = delivery_key(text)
    assert key is None or key.delivery_id == text


# Queues.


@given(job=MESSAGES)
def test_any_message_survives_encoding(job: Message) -> None:
    assert decode(encode(job)) == job


@given(
    content=JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["settle_payment", "settle_refund", "deliver"]) | JSON},
        optional={
            "payment_id": PAYMENT_IDS | JSON,
            "refund_id": REFUND_IDS | JSON,
            "delivery_id": JSON,
        },
    )
)
def test_any_json_is_a_message_or_is_refused(content: Any) -> None:
    assume(_is_finite(content))
    job = read(exact_json.dumps(content))
    if isinstance(job, Message):
        assert decode(encode(job)) == job


def read(body: str) -> Message | type[MalformedMessage | UnknownMessage]:
    """The message, or the error that it is none."""
    try:
        return decode(body)
    except (MalformedMessage, UnknownMessage) as error:
        return type(error)


@given(bodies=st.lists(st.tuples(MESSAGES.map(encode) | st.text(), st.booleans()), max_size=10))
def test_any_batch_reports_exactly_what_a_retry_could_fix(bodies: list[tuple[str, bool]]) -> None:
    poison = [read(body) for body, fails in bodies if fails and isinstance(read(body), Message)]

    def handler(kind: Any) -> Any:
        def work(**ids: str) -> None:
            if kind(**ids) in poison:
                raise RuntimeError("poison")

        return each(work)

    handlers = {kind: handler(kind) for kind in (SettlePayment, SettleRefund, Deliver, RunExport)}
    answer = process_batch(
        sqs_event(*(body for body, _ in bodies)), handlers, failures_are_kept=True
    )
    assert answer["batchItemFailures"] == [
        {"itemIdentifier": f"message-{index}"}
        for index, (body, _) in enumerate(bodies)
        if read(body) in poison or read(body) is UnknownMessage
    ]


@pytest.mark.parametrize("handler", ["webhook_processor", "delivery_worker"])
@given(
    bodies=st.lists(
        st.text() | JSON.filter(_is_finite).map(exact_json.dumps), min_size=1, max_size=10
    )
)
def test_malformed_messages_block_no_queue(handler: str, bodies: list[str]) -> None:
    records = [
        {"messageId": str(index), "body": body, "receiptHandle": "r"}
        for index, body in enumerate(bodies)
    ]
    with patch.object(payflow.services.outbox.repository, "all", return_value=[]):
        answer = payflow.app.handler_map[handler]({"Records": records}, None)
    unknown = [str(index) for index, body in enumerate(bodies) if read(body) is UnknownMessage]
    assert answer == {"batchItemFailures": [{"itemIdentifier": one} for one in unknown]}


# The log.


@given(
    line=st.text()
    | JSON.filter(_is_finite).map(exact_json.dumps)
    | st.fixed_dictionaries(
        {"kind": st.just("request"), "time_ms": st.integers() | JSON},
        optional={
            "method": st.text() | JSON,
            "path": st.text() | JSON,
            "status": st.integers() | JSON,
            "latency_ms": JSON,
            "request_id": st.text() | JSON,
            "key": JSON,
            "payment_id": JSON,
        },
    )
    .filter(_is_finite)
    .map(exact_json.dumps)
)
def test_any_log_line_is_a_request_or_is_ignored(line: str) -> None:
    for request in _request(line):
        assert exact_json.loads(line.encode())["request_id"] == request.request_id
