"""What each operation asks of AWS: its calls, and what they cost by AWS's own formula.

Emulators count transactions each in their own way, so the units are computed from the
requests as recorded, for items up to 1 KB:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
A transacted write counts twice; an index entry that appears, changes or goes is one more write,
one whose key changes is two (the old entry goes, the new one comes).
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib import stats
from chalicelib import store as store_module
from chalicelib.commands import CreateEndpoint, ListPayments, ReadStats
from chalicelib.listing import list_payments
from chalicelib.model import Payment
from chalicelib.payments import Payments
from chalicelib.refunds import Refunds
from chalicelib.store import TOTALS_SHARDS
from chalicelib.sweeper import Sweeper
from chalicelib.tables import encode
from chalicelib.webhook_model import Endpoint
from chalicelib.webhook_store import DUE_SHARDS, delivery_item
from chalicelib.webhooks import Webhooks
from tests.conftest import Clock, command, courier_on, refund_command

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

INDEXES = {
    "status-createdAt-index": ("status", "createdAt"),
    "all-createdAt-index": ("listing", "createdAt"),
    "endpoint-deliveryAt-index": ("endpointId", "deliveryAt"),
    "due-index": ("due", "dueAt"),
}
Row = dict[str, Any]


class Asked(NamedTuple):
    """The calls of an operation, and the units that its reads and writes cost."""

    calls: list[str]
    read_units: float
    write_units: int


class Meter:
    """Listens to the clients, and keeps the rows that the requests write."""

    def __init__(self, dynamodb: "DynamoDBClient", sqs: "SQSClient") -> None:
        self._dynamodb = dynamodb
        self._calls: list[str] = []
        self._read_units = 0.0
        self._write_units = 0
        self._is_consistent = False
        for client in (dynamodb, sqs):
            client.meta.events.register("provide-client-params.*.*", self._before)
        dynamodb.meta.events.register("after-call.dynamodb.*", self._after)

    @contextmanager
    def running(self) -> Iterator[Callable[[], Asked]]:
        self._calls, self._read_units, self._write_units = [], 0.0, 0
        yield lambda: Asked(list(self._calls), self._read_units, self._write_units)

    def _before(self, params: Row, model: Any, **_: Any) -> None:
        self._calls.append(model.name)
        asked = [params, *params.get("RequestItems", {}).values()]
        self._is_consistent = any(part.get("ConsistentRead") for part in asked)
        if model.name == "TransactWriteItems":
            for item in params["TransactItems"]:
                (kind, write), *_ = item.items()
                self._write_units += self._written(kind, write, transacted=True)
        elif model.name in {"UpdateItem", "PutItem"}:
            kind = model.name.removesuffix("Item")
            self._write_units += self._written(kind, params, transacted=False)

    def _after(self, model: Any, parsed: Row, **_: Any) -> None:
        consistent = self._is_consistent
        if model.name == "GetItem":
            size = size_bytes(parsed.get("Item", {}))
            self._read_units += read_units(size, consistent=consistent)
        elif model.name == "Query":
            counted = parsed["Count"] * 1024  # a count reads what it counts
            items = parsed.get("Items")
            total = counted if items is None else sum(map(size_bytes, items))
            self._read_units += read_units(total, consistent=consistent)
        elif model.name == "BatchGetItem":
            for items in parsed["Responses"].values():
                for item in items:
                    self._read_units += read_units(size_bytes(item), consistent=consistent)

    def _written(self, kind: str, write: Row, *, transacted: bool) -> int:
        if kind == "Put":
            before, after = {}, write["Item"]
        else:
            before = self._row(write)
            after = changed(before, write)
        units = math.ceil(max(size_bytes(before), size_bytes(after)) / 1024)
        in_payments: bool = write["TableName"].startswith("payflow-payments")
        return units * (2 if transacted else 1) + (
            index_writes(before, after) if in_payments else 0
        )

    def _row(self, write: Row) -> Row:
        calls, read_units = list(self._calls), self._read_units  # our own look is not counted
        found = self._dynamodb.get_item(TableName=write["TableName"], Key=write["Key"])
        self._calls, self._read_units = calls, read_units
        item: Row = found.get("Item", write["Key"])  # an update makes what is not there
        return item


SETTING = re.compile(r"([#\w]+) = (?:(\w+)\([#\w]+, )?(:\w+)")


def changed(before: Row, update: Row) -> Row:
    """The row that an update leaves behind: `SET a = :a, …`, with `if_not_exists(a, :b)` or
    `list_append(a, :b)` for values, `REMOVE a, …`, or `ADD a :a, …`, whose sums are as long as what
    is added, give or take.
    """
    names = update.get("ExpressionAttributeNames", {})
    values = update["ExpressionAttributeValues"]
    if update["UpdateExpression"].startswith("ADD "):
        added = [part.split() for part in update["UpdateExpression"][4:].split(", ")]
        return before | {names.get(name, name): values[value] for name, value in added}
    settings, _, removals = update["UpdateExpression"].partition("REMOVE ")
    after = dict(before)
    for name in removals.split(", "):
        after.pop(names.get(name, name), None)
    for name, function, value in SETTING.findall(settings):
        attribute = names.get(name, name)
        if function == "if_not_exists":
            after.setdefault(attribute, values[value])
        elif function == "list_append":
            after[attribute] = {"L": before[attribute]["L"] + values[value]["L"]}
        else:
            after[attribute] = values[value]
    return after


def index_writes(before: Row, after: Row) -> int:
    writes = 0
    for name, key in INDEXES.items():
        old = tuple(before.get(part) for part in key)
        new = tuple(after.get(part) for part in key)
        was, is_now = None not in old, None not in new
        if old != new:
            writes += was + is_now
        elif is_now:
            writes += name == "status-createdAt-index" and before != after  # it projects all
    return writes


def size_bytes(item: Row) -> int:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Row) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return math.ceil(len(content.replace(".", "").lstrip("-0") or "0") / 2) + 1
    if kind == "BOOL":
        return 1
    if kind == "L":
        return 3 + sum(1 + value_bytes(part) for part in content)
    if kind == "M":
        return 3 + sum(1 + len(name) + value_bytes(part) for name, part in content.items())
    raise AssertionError(f"no such type in our items: {kind}")


def read_units(total_bytes: int, *, consistent: bool) -> float:
    return math.ceil(max(total_bytes, 1) / 4096) * (1.0 if consistent else 0.5)


@pytest.fixture
def meter(moto_dynamodb: "DynamoDBClient", sqs: "SQSClient", payments: Payments) -> Meter:
    return Meter(moto_dynamodb, sqs)


def typical(payments: Payments) -> Payment:
    request = command(description="Invoice 2026-117", metadata={"order": "10023"})
    return payments.store.get(payments.create(request, actor="test").payment_id)


def test_create_is_one_transaction_and_one_send_for_8_write_units(
    payments: Payments, meter: Meter
) -> None:
    with meter.running() as asked:
        payments.create(command(metadata={"order": "10023"}), actor="test")
    assert asked() == (["TransactWriteItems", "SendMessage"], 0, 8)


def test_a_replay_is_one_transaction_that_fails(payments: Payments, meter: Meter) -> None:
    request = command()
    payments.create(request, actor="test")
    with meter.running() as asked:
        assert payments.create(request, actor="test").replayed
    assert asked().calls == ["TransactWriteItems"]


def test_get_is_one_consistent_read_of_one_unit(payments: Payments, meter: Meter) -> None:
    payment = typical(payments)
    with meter.running() as asked:
        payments.get(payment.id)
    assert asked() == (["GetItem"], 1, 0)


def test_a_list_by_status_is_one_query(payments: Payments, meter: Meter) -> None:
    for _ in range(25):
        typical(payments)
    with meter.running() as asked:
        list_payments(payments.store, ListPayments.model_validate({"status": "processing"}))
    assert asked() == (["Query"], 1.0, 0)


def test_a_list_of_everything_is_one_query_and_one_batch_get(
    payments: Payments, meter: Meter
) -> None:
    for _ in range(25):
        typical(payments)
    with meter.running() as asked:
        list_payments(payments.store, ListPayments())
    assert asked() == (["Query", "BatchGetItem"], 0.5 + 20, 0)


def test_settling_claims_for_2_write_units_and_changes_for_8(
    payments: Payments, meter: Meter
) -> None:
    payment = typical(payments)
    with meter.running() as asked:
        payments.settle(payment.id)
    assert asked() == (["UpdateItem", "Query", "TransactWriteItems"], 1, 2 + 8)


def test_where_there_is_no_endpoint_a_burst_of_payments_pays_one_read_for_webhooks(
    payments: Payments, meter: Meter
) -> None:
    burst = [typical(payments) for _ in range(10)]
    with meter.running() as asked:
        for payment in burst:
            payments.settle(payment.id)
    assert asked() == (
        ["UpdateItem", "Query", *["TransactWriteItems", "UpdateItem"] * 9, "TransactWriteItems"],
        1,
        10 * (2 + 8),
    )


def test_totals_are_one_read_of_each_shard_a_day_and_a_count(
    payments: Payments, meter: Meter, clock: Clock
) -> None:
    payments.settle(typical(payments).id)
    query = ReadStats.model_validate({"from": "2026-11-21", "to": "2026-11-22"})
    with meter.running() as asked:
        stats.read(payments.store, query, clock.now)
    assert asked() == (["Query"] * (2 * TOTALS_SHARDS + 1), 2 * TOTALS_SHARDS + 0.5, 0)


def test_a_repeated_hint_costs_one_refused_claim(payments: Payments, meter: Meter) -> None:
    payment = typical(payments)
    payments.settle(payment.id)
    with meter.running() as asked:
        payments.settle(payment.id)
    assert asked().calls == ["UpdateItem"]


def test_a_refund_is_read_set_aside_and_sent_for_10_write_units(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    with meter.running() as asked:
        refunds.create(payment.id, refund_command(amount="5", reason="Broken cup"), actor="test")
    assert asked() == (["GetItem", "TransactWriteItems", "SendMessage"], 1, 10)


def test_a_refunds_replay_is_a_read_and_a_transaction_that_fails_or_one_more_read(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    for amount, last in [("5", "TransactWriteItems"), (None, "GetItem")]:
        request = refund_command(amount=amount)
        refunds.create(payment.id, request, actor="test")
        with meter.running() as asked:
            assert refunds.create(payment.id, request, actor="test").replayed
        assert asked().calls == ["GetItem", last]


def test_settling_a_refund_reads_3_units_and_writes_9(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    refund_id = refunds.create(payment.id, refund_command(), actor="test").refund_id
    with meter.running() as asked:
        refunds.settle(payment.id, refund_id)
    assert asked() == (["GetItem", "GetItem", "Query", "TransactWriteItems"], 3, 9)
    with meter.running() as asked:
        refunds.settle(payment.id, refund_id)
    assert asked() == (["GetItem"], 1, 0), "a repeated hint"


def test_a_cancel_is_a_read_and_one_transaction_of_8_write_units(
    payments: Payments, meter: Meter
) -> None:
    payment = typical(payments)
    with meter.running() as asked:
        payments.cancel(payment.id, actor="test")
    assert asked() == (["GetItem", "Query", "TransactWriteItems"], 2, 8)


def test_refunds_and_the_story_of_a_payment_are_one_query_each(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    refunds.create(payment.id, refund_command(), actor="test")
    for read in (payments.store.refunds, payments.store.story):
        with meter.running() as asked:
            read(payment.id)
        assert asked() == (["Query"], 1, 0)


def completed(payments: Payments) -> Payment:
    payment_id = payments.create(
        command(metadata={"simulate": "completed"}), actor="test"
    ).payment_id
    payments.settle(payment_id)
    return payments.get(payment_id)


def test_a_quiet_sweep_is_one_query_a_window_and_one_for_the_stuck_of_each_kind_and_for_each_shard(
    sweeper: Sweeper, meter: Meter, clock: Clock
) -> None:
    clock.advance(minutes=2)
    with meter.running() as asked:
        sweeper.sweep(clock.now)
    assert asked() == (["Query"] * (28 + DUE_SHARDS), (28 + DUE_SHARDS) * 0.5, 0)


def an_endpoint(payments: Payments) -> Endpoint:
    outbox = payments.outbox
    webhooks = Webhooks(outbox.store, outbox, allows_private=False, clock=outbox.clock)
    command = CreateEndpoint(url="https://northern-lights.example/webhooks/payflow")
    return webhooks.create(command)


def test_with_an_endpoint_an_outcome_writes_4_units_more_and_its_delivery_5(
    payments: Payments, meter: Meter
) -> None:
    an_endpoint(payments)
    payment = typical(payments)
    with meter.running() as asked:
        payments.settle(payment.id)
    calls = ["UpdateItem", "Query", "TransactWriteItems", "SendMessageBatch"]
    assert asked() == (calls, 1, 2 + 8 + 4)
    (delivery,) = payments.outbox.store.of_payment(payment.id)
    courier = courier_on(payments.outbox.store, payments.outbox.queue, payments.clock)
    with meter.running() as asked:
        courier.deliver(delivery.id)
    assert asked() == (["UpdateItem", "GetItem", "UpdateItem"], 1, 3 + 2)
    with meter.running() as asked:
        courier.deliver(delivery.id)
    assert asked().calls == ["UpdateItem"], "a repeated hint"
    with meter.running() as asked:
        payments.outbox.store.of_payment(payment.id)
    assert asked() == (["Query"], 1, 0), "as of the last write"
    item = encode(delivery_item(payments.outbox.store.get_delivery(delivery.id)))
    assert size_bytes(item) < 1024


def test_a_typical_payment_fits_in_one_unit_with_room_to_spare(payments: Payments) -> None:
    payment = typical(payments)
    item = encode(store_module._payment_item(payment))
    assert size_bytes(item) < 700
