"""Storage: what a transaction promises."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import idempotency
from chalicelib.aws.clients import Throttled
from chalicelib.aws.dynamodb import ConditionFailed, StaleVersion, decode, encode
from chalicelib.aws.pagination import just_after, just_before
from chalicelib.errors import Conflict, Unavailable
from chalicelib.idempotency import Fingerprints, Record, RecordExists, record_to_item
from chalicelib.payments import items as payment_items
from chalicelib.payments.facts import Completed, Failed, FailureCode
from chalicelib.payments.items import sort_key
from chalicelib.payments.models import Change, Payment, Status
from chalicelib.payments.refunds import new_refund
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import new_payment
from chalicelib.values import new_id, rfc3339
from chalicelib.webhooks.items import delivery_to_item
from chalicelib.webhooks.models import Delivery, DeliveryKey
from tests.conftest import (
    SESSION,
    START,
    TEST,
    command,
    new_repository,
    recorded,
    refund_command,
    refund_recorded,
    stored,
    stored_events,
    stored_refund,
    webhook_repository_beside,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LATER = START + timedelta(seconds=1)
"""A moment after the payment was made."""


def record_for(change: Change, key: str = "a-key-of-its-own") -> Record:
    return Record(
        key=idempotency.record_key("create_payment", "payments", key),
        fingerprints=Fingerprints("e" * 64, "f" * 64),
        resource_id=change.payment.id,
        response='{"amount":0.30}',
        expires_at_seconds=idempotency.expiry_seconds(START),
    )


def put(repository: PaymentRepository, at: Any = START, **fields: Any) -> Payment:
    """Store a new payment."""
    wanted = command(**fields)
    change = new_payment(wanted, at, actor=TEST)
    repository.create(change, record_for(change, wanted.idempotency_key), at)
    return change.payment


def submitted(repository: PaymentRepository, payment_id: str, at: datetime) -> Payment:
    payment = repository.mark_submitted(payment_id, at)
    assert payment is not None
    return payment


def rows(
    engine: "DynamoDBClient", repository: PaymentRepository, payment_id: str
) -> dict[str, Any]:
    """All that lies under a payment's partition key, by sort key."""
    items = engine.query(
        TableName=repository._payments.name,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": f"PAY#{payment_id}"}},
        ConsistentRead=True,
    )["Items"]
    return {item["SK"]["S"]: item for item in items}


def test_create_writes_the_payment_and_its_event_under_one_partition_key(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    payment = put(repository)
    found = rows(engine, repository, payment.id)
    assert set(found) == {"PAYMENT", "EVENT#0000000001"}
    assert found["EVENT#0000000001"]["type"] == {"S": "payment.created"}
    assert "status" not in found["EVENT#0000000001"], "only payments and refunds carry a status"
    assert found["PAYMENT"]["createdAt"] == {"S": f"2026-11-22T21:57:01.120000Z#{payment.id}"}


def test_payment_is_read_as_it_was_written(repository: PaymentRepository) -> None:
    payment = put(repository, description="two\nlines", metadata={"order": "10023", "é": ""})
    assert stored(repository, payment.id) == payment


@pytest.mark.parametrize("amount", ["0.01", "0.1", "0.30", "10", "999999.99", "1000000"])
def test_amounts_are_read_digit_for_digit(repository: PaymentRepository, amount: str) -> None:
    found = stored(repository, put(repository, amount=amount).id)
    assert found.amount == Decimal(amount)
    assert str(found.amount) == f"{Decimal(amount):.2f}"


def test_an_unknown_payment_is_not_found(repository: PaymentRepository) -> None:
    assert repository.find("PAY-01M82Y8T27997E9EYD0G6SK6MT") is None


def test_a_key_with_a_live_record_writes_nothing_and_names_the_record(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    first = new_payment(command(), START, actor=TEST)
    repository.create(first, record_for(first), START)
    second = new_payment(command(), LATER, actor=TEST)
    with pytest.raises(RecordExists) as exists:
        repository.create(second, record_for(second), LATER)
    assert exists.value.record == record_for(first)
    assert rows(engine, repository, second.payment.id) == {}


def test_expired_record_counts_as_absent_until_it_is_deleted(
    repository: PaymentRepository,
) -> None:
    first = new_payment(command(), START, actor=TEST)
    repository.create(first, record_for(first), START)
    almost = START + idempotency.WINDOW
    second = new_payment(command(), almost, actor=TEST)
    with pytest.raises(RecordExists):
        repository.create(second, record_for(second), almost)
    repository.create(second, record_for(second), almost + timedelta(seconds=1))
    assert stored(repository, second.payment.id) == second.payment


def test_a_change_replaces_the_payment_and_adds_its_event(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    payment = put(repository)
    change = recorded(payment, Failed(FailureCode.ACCOUNT_CLOSED), LATER)
    repository.change(payment, change)
    assert stored(repository, payment.id) == change.payment
    event = rows(engine, repository, payment.id)["EVENT#0000000002"]
    assert event["type"] == {"S": "payment.failed"}
    assert event["data"] == {
        "M": {"status": {"S": "failed"}, "failure_code": {"S": "account_closed"}}
    }


def test_a_change_may_leave_the_status_as_it_is(repository: PaymentRepository) -> None:
    payment = put(repository)
    change = recorded(payment, Completed(), LATER)
    same_status = change.payment.model_copy(update={"status": payment.status})
    repository.change(payment, change._replace(payment=same_status))
    assert stored(repository, payment.id) == same_status


def test_stale_change_writes_nothing_and_has_the_current_payment(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    payment = put(repository)
    completed = recorded(payment, Completed(), LATER)
    repository.change(payment, completed)
    with pytest.raises(StaleVersion) as moved:
        repository.change(payment, recorded(payment, Failed(FailureCode.ACCOUNT_CLOSED), LATER))
    assert moved.value.current == completed.payment
    assert set(rows(engine, repository, payment.id)) == {
        "PAYMENT",
        "EVENT#0000000001",
        "EVENT#0000000002",
    }


@pytest.mark.parametrize(
    ("attribute", "now"),
    [("status", "canceled"), ("version", 7), ("submittedAt", rfc3339(LATER))],
)
def test_change_fails_if_any_field_that_was_read_changed(
    engine: "DynamoDBClient", repository: PaymentRepository, attribute: str, now: Any
) -> None:
    """Each by itself: whichever of them another writer forgets to move, the others still tell."""
    payment = put(repository)
    engine.update_item(
        TableName=repository._payments.name,
        Key=encode(payment_items.payment_key(payment.id)),
        UpdateExpression="SET #it = :now",
        ExpressionAttributeNames={"#it": attribute},
        ExpressionAttributeValues=encode({":now": now}),
    )
    with pytest.raises(StaleVersion) as moved:
        repository.change(payment, recorded(payment, Completed(), LATER))
    assert moved.value.current == stored(repository, payment.id)
    assert set(rows(engine, repository, payment.id)) == {"PAYMENT", "EVENT#0000000001"}


def take_place(
    engine: "DynamoDBClient", repository: PaymentRepository, payment_id: str, sort_key: str
) -> None:
    """Where `sort_key` would be written, something is already."""
    item = {"PK": f"PAY#{payment_id}", "SK": sort_key, "id": "who was first"}
    engine.put_item(TableName=repository._payments.name, Item=encode(item))


@pytest.mark.parametrize("place", ["PAYMENT", "EVENT#0000000001"])
def test_create_overwrites_nothing(
    engine: "DynamoDBClient", repository: PaymentRepository, place: str
) -> None:
    change = new_payment(command(), START, actor=TEST)
    take_place(engine, repository, change.payment.id, place)
    with pytest.raises(ConditionFailed):
        repository.create(change, record_for(change), START)
    found = rows(engine, repository, change.payment.id)
    assert [row["id"] for row in found.values()] == [{"S": "who was first"}]
    assert repository.records.find(record_for(change).key, START) is None


@pytest.mark.parametrize("place", ["EVENT#0000000002", "DELIVERY"])
def test_change_overwrites_nothing(
    engine: "DynamoDBClient", repository: PaymentRepository, place: str
) -> None:
    payment = put(repository)
    change = recorded(payment, Completed(), LATER)
    key = DeliveryKey(payment.id, change.event.id, "EP-01M82Y8T27997E9EYD0G6SK6MT")
    delivery = Delivery.of(key, change.event.type, "{}", LATER, is_enabled=True)
    place = place.replace("DELIVERY", delivery_to_item(delivery)["SK"])
    take_place(engine, repository, payment.id, place)
    writes = [webhook_repository_beside(repository).put_delivery(delivery)]
    with pytest.raises(ConditionFailed):
        repository.change(payment, change, writes)
    assert stored(repository, payment.id) == payment
    assert rows(engine, repository, payment.id)[place]["id"] == {"S": "who was first"}


@pytest.mark.parametrize("place", ["REFUND", "EVENT#0000000003"])
def test_new_refund_overwrites_nothing(
    engine: "DynamoDBClient", repository: PaymentRepository, place: str
) -> None:
    payment, change = with_a_refund(repository)
    assert change.refund is not None
    place = place.replace("REFUND", f"REFUND#{change.refund.id}")
    take_place(engine, repository, payment.id, place)
    record = record_for(change, "of the refund")
    with pytest.raises(ConditionFailed):
        repository.create_refund(payment, change, record, LATER)
    assert stored(repository, payment.id) == payment
    assert rows(engine, repository, payment.id)[place]["id"] == {"S": "who was first"}


def test_outcome_of_a_refund_overwrites_no_event(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    payment, change = with_a_refund(repository)
    assert change.refund is not None
    repository.create_refund(payment, change, record_for(change, "of the refund"), LATER)
    take_place(engine, repository, payment.id, "EVENT#0000000004")
    done = refund_recorded(change.payment, change.refund, Completed(), LATER)
    with pytest.raises(ConditionFailed):
        repository.change_refund(change.payment, change.refund, done)
    assert stored_refund(repository, payment.id, change.refund.id) == change.refund


def with_a_refund(repository: PaymentRepository) -> tuple[Payment, Change]:
    """A completed payment, and a refund of it that is not written yet."""
    made = put(repository)
    completed = recorded(made, Completed(), LATER)
    repository.change(made, completed)
    payment = completed.payment
    refund = new_refund(payment, refund_command(), new_id("REF", LATER), LATER)
    return payment, payment.refund(refund, LATER, actor=TEST)


def test_payment_keeps_the_time_of_its_first_submission(
    repository: PaymentRepository,
) -> None:
    payment = put(repository)
    assert submitted(repository, payment.id, LATER).submitted_at == LATER
    again = submitted(repository, payment.id, LATER + timedelta(seconds=9))
    assert again.submitted_at == LATER
    assert again.version == payment.version


def test_marking_a_final_payment_returns_it_unchanged(repository: PaymentRepository) -> None:
    payment = put(repository)
    completed = recorded(payment, Completed(), LATER)
    repository.change(payment, completed)
    assert submitted(repository, payment.id, LATER) == completed.payment
    assert stored(repository, payment.id).submitted_at is None


def test_marking_an_unknown_payment_leaves_no_row(
    engine: "DynamoDBClient", repository: PaymentRepository
) -> None:
    unknown = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
    assert repository.mark_submitted(unknown, LATER) is None
    assert rows(engine, repository, unknown) == {}


def test_lists_are_in_time_order_also_within_one_microsecond(repository: PaymentRepository) -> None:
    made = [put(repository) for _ in range(5)] + [put(repository, LATER)]
    expected = sorted((sort_key(payment) for payment in made), reverse=True)
    by_status = repository.by_status(Status.PROCESSING, "0", "~", 10)
    assert [key for key, _ in by_status] == expected
    assert [sort_key(payment) for _, payment in by_status if payment] == expected
    assert [entry.sort_key for entry in repository.all("0", "~", 10)] == expected


def test_just_before_and_just_after_a_key_split_a_range_around_it(
    repository: PaymentRepository,
) -> None:
    keys = sorted(sort_key(put(repository)) for _ in range(5))
    below = [entry.sort_key for entry in repository.all("0", just_before(keys[2]), 10)]
    above = repository.processing(just_after(keys[2]), "~", 10)
    assert below == [keys[1], keys[0]]
    assert [entry.sort_key for entry in above] == keys[3:]


def test_empty_range_has_no_payments(repository: PaymentRepository) -> None:
    put(repository)
    assert repository.all(rfc3339(LATER), rfc3339(START), 10) == []


def test_settled_payment_moves_to_the_list_of_its_status(
    repository: PaymentRepository,
) -> None:
    payment = put(repository)
    repository.change(payment, recorded(payment, Completed(), LATER))
    assert repository.by_status(Status.PROCESSING, "0", "~", 10) == []
    ((_, listed),) = repository.by_status(Status.COMPLETED, "0", "~", 10)
    assert listed == stored(repository, payment.id)


def test_find_many_leaves_out_unknown_payments(repository: PaymentRepository) -> None:
    made = [put(repository) for _ in range(3)]
    unknown = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
    found = repository.find_many([payment.id for payment in made] + [unknown])
    assert found == {payment.id: payment for payment in made}


def test_read_outside_an_index_asks_for_the_last_write(
    emulated_dynamodb: "DynamoDBClient",
) -> None:
    """No local engine lags, so the test looks at the requests."""
    requests: dict[str, Any] = {}

    def note(params: Any, model: Any, **_: Any) -> None:
        requests[model.name] = params

    emulated_dynamodb.meta.events.register("provide-client-params.dynamodb", note)
    repository = new_repository(emulated_dynamodb)
    payment = put(repository)
    repository.find(payment.id)
    repository.find_many([payment.id])
    stored_events(repository, payment.id)
    (batch,) = requests["BatchGetItem"]["RequestItems"].values()
    for read in (requests["GetItem"], requests["Query"], batch):
        assert read["ConsistentRead"] is True


def test_check_passes_if_the_tables_exist(repository: PaymentRepository) -> None:
    repository.check()


def test_check_fails_if_a_table_is_missing(engine: "DynamoDBClient") -> None:
    nowhere = PaymentRepository(
        engine, payments_table="no-such-table", idempotency_table="no-such-table"
    )
    with pytest.raises(Unavailable):
        nowhere.check()


def cancelled(stub: Stubber, *codes: str, item: Any = None) -> None:
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    if item is not None:
        reasons[0]["Item"] = item
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        http_status_code=400,
        modeled_fields={"CancellationReasons": reasons},
    )


def create_on(stub: Stubber, dynamodb: "DynamoDBClient") -> None:
    change = new_payment(command(), START, actor=TEST)
    with stub:
        PaymentRepository(dynamodb, payments_table="p", idempotency_table="i").create(
            change, record_for(change), START
        )
    stub.assert_no_pending_responses()


def test_transaction_conflict_is_retried_until_it_succeeds(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    stub = Stubber(emulated_dynamodb)
    cancelled(stub, "None", "TransactionConflict", "None")
    cancelled(stub, "ThrottlingError", "None", "None")
    cancelled(stub, "None", "None", "ProvisionedThroughputExceeded")
    stub.add_response("transact_write_items", {})
    create_on(stub, emulated_dynamodb)


def test_condition_of_another_item_counts_only_without_a_collision(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    stub = Stubber(emulated_dynamodb)
    cancelled(stub, "TransactionConflict", "ConditionalCheckFailed", "None")
    cancelled(stub, "None", "ConditionalCheckFailed", "ThrottlingError")
    stub.add_response("transact_write_items", {})
    create_on(stub, emulated_dynamodb)


def test_resent_transaction_has_the_same_token(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    tokens: list[str | None] = []

    def note(params: Any, **_: Any) -> None:
        tokens.append(params.get("ClientRequestToken"))

    emulated_dynamodb.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems", note
    )
    stub, repository = stubbed_repository(emulated_dynamodb)
    created = new_payment(command(), START, actor=TEST)
    completed = recorded(created.payment, Completed(), LATER)
    for _ in range(2):
        cancelled(stub, "None", "TransactionConflict", "None")
        stub.add_response("transact_write_items", {})
    with stub:
        repository.create(created, record_for(created), START)
        repository.change(created.payment, completed)
    assert tokens == [created.payment.id] * 2 + [completed.event.id] * 2


@contextmanager
def a_server_that_is(kind: str) -> Iterator[str]:
    """The address of one where nobody listens, or which takes requests and answers none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if kind == "silent":
            server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["gone", "silent"])
def test_unreachable_dynamodb_is_unavailable(kind: str) -> None:
    patience = Config(connect_timeout=0.2, read_timeout=0.2, retries={"total_max_attempts": 1})
    with a_server_that_is(kind) as url:
        dynamodb = SESSION.client("dynamodb", endpoint_url=url, config=patience)
        repository = PaymentRepository(dynamodb, payments_table="p", idempotency_table="i")
        with pytest.raises(Unavailable):
            put(repository)
        with pytest.raises(Unavailable):
            stored(repository, "PAY-01M82Y8T27997E9EYD0G6SK6MT")
        dynamodb.close()


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("TransactionInProgressException", 400, Unavailable),  # our own first try has not ended
        ("ProvisionedThroughputExceededException", 400, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("RequestLimitExceeded", 400, Throttled),
        ("InternalServerError", 500, Unavailable),
        ("ServiceUnavailable", 503, Unavailable),
    ],
)
def test_error_of_aws_is_unavailable(
    emulated_dynamodb: "DynamoDBClient", code: str, status: int, said: type[Unavailable]
) -> None:
    stub = Stubber(emulated_dynamodb)
    stub.add_client_error("transact_write_items", code, http_status_code=status)
    with pytest.raises(Unavailable) as refusal:
        create_on(stub, emulated_dynamodb)
    assert type(refusal.value) is said


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_error_of_our_own_is_not_hidden(emulated_dynamodb: "DynamoDBClient", code: str) -> None:
    stub = Stubber(emulated_dynamodb)
    stub.add_client_error("transact_write_items", code)
    with pytest.raises(ClientError):
        create_on(stub, emulated_dynamodb)


def stubbed_repository(dynamodb: "DynamoDBClient") -> tuple[Stubber, PaymentRepository]:
    return Stubber(dynamodb), PaymentRepository(dynamodb, payments_table="p", idempotency_table="i")


def encoded(payment: Payment) -> dict[str, Any]:
    return encode(payment_items.payment_to_item(payment))


def test_query_continues_after_a_page_of_one_megabyte(
    emulated_dynamodb: "DynamoDBClient",
) -> None:
    made = [encoded(new_payment(command(), START, actor=TEST).payment) for _ in range(3)]
    stub, repository = stubbed_repository(emulated_dynamodb)
    place = {name: made[1][name] for name in ("PK", "SK", "status", "createdAt")}
    stub.add_response("query", {"Items": made[:2], "LastEvaluatedKey": place})
    stub.add_response("query", {"Items": made[2:]})
    with stub:
        assert len(repository.by_status(Status.PROCESSING, "0", "~", 10)) == 3
    stub.assert_no_pending_responses()


def test_unprocessed_keys_of_a_batch_get_are_retried(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    made = [new_payment(command(), START, actor=TEST).payment for _ in range(2)]
    left = {"p": {"Keys": [encode(payment_items.payment_key(made[1].id))]}}
    stub, repository = stubbed_repository(emulated_dynamodb)
    stub.add_response(
        "batch_get_item", {"Responses": {"p": [encoded(made[0])]}, "UnprocessedKeys": left}
    )
    stub.add_response(
        "batch_get_item", {"Responses": {"p": [encoded(made[1])]}, "UnprocessedKeys": {}}
    )
    with stub:
        found = repository.find_many([payment.id for payment in made])
    assert found == {payment.id: payment for payment in made}
    stub.assert_no_pending_responses()


def test_batch_get_without_progress_is_unavailable(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    payment = new_payment(command(), START, actor=TEST).payment
    left = {"p": {"Keys": [encode(payment_items.payment_key(payment.id))]}}
    stub, repository = stubbed_repository(emulated_dynamodb)
    for _ in range(6):
        stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    with stub, pytest.raises(Throttled):
        repository.find_many([payment.id])


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("TransactionConflict", Conflict),
        ("ThrottlingError", Throttled),
        ("ProvisionedThroughputExceeded", Throttled),
    ],
)
def test_lasting_collision_is_raised_with_retry_after(
    emulated_dynamodb: "DynamoDBClient", quick: None, reason: str, said: type[Conflict]
) -> None:
    stub = Stubber(emulated_dynamodb)
    for _ in range(6):
        cancelled(stub, "None", reason, "None")
    with pytest.raises(said) as refusal:
        create_on(stub, emulated_dynamodb)
    assert "Retry-After" in refusal.value.headers()
    stub.assert_no_pending_responses()


def test_existing_record_outranks_a_conflict_on_another_item(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    stub = Stubber(emulated_dynamodb)
    other = new_payment(command(), START, actor=TEST)
    item = encode(record_to_item(record_for(other)))
    cancelled(stub, "ConditionalCheckFailed", "TransactionConflict", "None", item=item)
    with pytest.raises(RecordExists) as exists:
        create_on(stub, emulated_dynamodb)
    assert exists.value.record.resource_id == other.payment.id


def test_mark_submitted_retries_when_it_meets_a_transaction(
    emulated_dynamodb: "DynamoDBClient", quick: None
) -> None:
    stub = Stubber(emulated_dynamodb)
    payment = new_payment(command(), START, actor=TEST).payment
    stub.add_client_error("update_item", "TransactionConflictException")
    stub.add_response(
        "update_item",
        {"Attributes": encode(payment_items.payment_to_item(payment))},
    )
    with stub:
        repository = PaymentRepository(emulated_dynamodb, payments_table="p", idempotency_table="i")
        assert repository.mark_submitted(payment.id, LATER) == payment


@pytest.mark.parametrize(
    ("number", "kept"),
    [("12.50", "12.5"), ("12.5", "12.5"), ("100", "100"), ("1E+2", "100"), ("0.00", "0")],
)
def test_numbers_are_sent_as_dynamodb_stores_them(number: str, kept: str) -> None:
    """Else the emulator takes the resend of a transaction for another one with its token."""
    assert encode({"amount": Decimal(number)}) == {"amount": {"N": kept}}


NUMBERS = st.decimals(-(10**30), 10**30, places=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | NUMBERS,
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(item=st.dictionaries(st.text(), VALUES))
def test_attributes_equal_those_of_boto3(item: dict[str, Any]) -> None:
    written = encode(item)
    assert decode(written) == item
    assert {name: TypeDeserializer().deserialize(one) for name, one in written.items()} == item
    boto3s = {name: TypeSerializer().serialize(value) for name, value in item.items()}
    assert decode(boto3s) == item


def test_value_of_an_unknown_type_raises_type_error() -> None:
    with pytest.raises(TypeError, match="float"):
        encode({"amount": 0.1})
    with pytest.raises(TypeError, match="SS"):
        decode({"names": {"SS": ["a"]}})
