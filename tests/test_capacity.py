"""What each operation asks of AWS: its calls, and what they cost by AWS's own formula.

The units are computed from the requests as recorded, for items up to 1 KB (bench/meter.py).
"""

from typing import TYPE_CHECKING

import pytest
from chalicelib.commands import CreateEndpoint, ListPayments, ReadStats
from chalicelib.listing import list_payments
from chalicelib.model import Payment
from chalicelib.refunds import Refunds
from chalicelib.store import TOTALS_SHARDS
from chalicelib.tables import encode
from chalicelib.webhook_model import Endpoint
from chalicelib.webhook_store import DUE_SHARDS, delivery_item

from bench.meter import Meter, size_bytes
from chalicelib import stats
from chalicelib import store as store_module
from chalicelib.payments import Payments
from chalicelib.sweeper import Sweeper
from chalicelib.webhooks import Webhooks
from tests.conftest import Clock, command, courier_on, refund_command

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


@pytest.fixture
def meter(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient", payments: Payments) -> Meter:
    return Meter(emulated_dynamodb, sqs)


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


def test_burst_without_endpoints_pays_one_read_for_webhooks(
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


@pytest.mark.parametrize("first", ["2026-11-22", "2026-08-23"])
def test_totals_are_one_read_a_shard_and_a_count_for_any_days(
    payments: Payments, meter: Meter, clock: Clock, first: str
) -> None:
    payments.settle(typical(payments).id)
    query = ReadStats.model_validate({"from": first, "to": "2026-11-22"})
    with meter.running() as asked:
        stats.read(payments.store, query, clock.now)
    assert asked() == (["Query"] * (TOTALS_SHARDS + 1), TOTALS_SHARDS + 0.5, 0)


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


def test_refund_replay_is_a_read_and_a_failed_transaction_or_a_read(
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


def test_quiet_sweep_is_one_query_a_window_kind_and_shard(
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


def test_endpoint_adds_4_write_units_to_an_outcome_and_5_to_deliver(
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
