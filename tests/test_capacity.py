"""What each operation asks of AWS: its calls, and what they cost by AWS's own formula.

The units are computed from the requests as recorded, for items up to 1 KB (bench/meter.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.meter import Meter, size_bytes
from bench.usage import OneThread
from chalicelib.aws.dynamodb import encode
from chalicelib.messages import SettlePayment
from chalicelib.payments.commands import ListPayments, ReadStats
from chalicelib.payments.items import TOTALS_SHARDS, payment_to_item
from chalicelib.payments.models import Payment
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.service import Payments
from chalicelib.payments.settling import Settling
from chalicelib.sweeper import Sweeper
from chalicelib.webhooks.commands import CreateEndpoint
from chalicelib.webhooks.items import DUE_SHARDS, delivery_to_item
from tests.conftest import (
    TEST,
    Clock,
    command,
    delivery_worker_on,
    outbox_of,
    refund_command,
    stored_deliveries,
    webhooks_beside,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


CREATE, CANCEL, REFUND = 11, 9, 11
MARK, SETTLE = 2, 9
MARK_TEN, SETTLE_TEN = 30, 72
BEGIN_REFUND, SETTLE_REFUND = 5, 12
"""Write units."""


def test_architecture_page_has_these_units() -> None:
    page = Path("docs/architecture.md").read_text(encoding="utf-8")
    endpoints = "1 for the endpoints"
    for row in [
        f"| create | {CREATE} | |",
        f"| mark submitted; settle | {MARK}; {SETTLE} | {endpoints}, which",
        f"| the same for ten at once | {MARK_TEN}; {SETTLE_TEN} | 10; {endpoints} |",
        f"| refund | {REFUND} | 1 |",
        f"| begin the refund; settle it | {BEGIN_REFUND}; {SETTLE_REFUND} | 1; 2 |",
        f"| cancel | {CANCEL} | 2 |",
    ]:
        assert f"\n{row}" in page


@pytest.fixture
def meter(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient", payments: Payments) -> Meter:
    return Meter(emulated_dynamodb, sqs)


def typical(payments: Payments) -> Payment:
    request = command(description="Invoice 2026-117", metadata={"order": "10023"})
    return payments.get(payments.create(request, actor=TEST).resource_id)


def test_create_is_one_transaction_and_one_send_for_11_write_units(
    payments: Payments, meter: Meter
) -> None:
    asked = meter.asked(payments.create, command(metadata={"order": "10023"}), actor=TEST)
    assert asked == (["TransactWriteItems", "SendMessage"], 0, CREATE)


def test_a_replay_is_one_transaction_that_fails(payments: Payments, meter: Meter) -> None:
    request = command()
    payments.create(request, actor=TEST)
    assert meter.asked(payments.create, request, actor=TEST).calls == ["TransactWriteItems"]


def test_get_is_one_consistent_read_of_one_unit(payments: Payments, meter: Meter) -> None:
    payment = typical(payments)
    assert meter.asked(payments.get, payment.id) == (["GetItem"], 1, 0)


def test_a_list_by_status_is_one_query(payments: Payments, meter: Meter) -> None:
    for _ in range(25):
        typical(payments)
    asked = meter.asked(payments.list_page, ListPayments.model_validate({"status": "processing"}))
    assert asked == (["Query"], 1.5, 0)


def test_a_list_of_everything_is_one_query_and_one_batch_get(
    payments: Payments, meter: Meter
) -> None:
    for _ in range(25):
        typical(payments)
    asked = meter.asked(payments.list_page, ListPayments())
    assert asked == (["Query", "BatchGetItem"], 0.5 + 20, 0)


def test_settling_marks_for_2_write_units_and_changes_for_9(
    payments: Payments, meter: Meter
) -> None:
    payment = typical(payments)
    asked = meter.asked(payments.settle, payment.id)
    assert asked == (["UpdateItem", "Query", "TransactWriteItems"], 1, MARK + SETTLE)


def test_settling_ten_marks_for_30_write_units_and_changes_for_72(
    payments: Payments, meter: Meter
) -> None:
    """Ten times as many alone: 20 and 90. Their total is one row, which is updated once."""
    request = {"description": "Invoice 2026-117", "metadata": {"simulate": "completed"}}
    made = [payments.create(command(**request), actor=TEST) for _ in range(10)]
    messages = [SettlePayment(one.resource_id) for one in made]
    asked = meter.asked(Settling(payments, OneThread()).settle, messages)
    calls = ["BatchGetItem", "TransactWriteItems", "Query", "TransactWriteItems"]
    assert asked == (calls, 10 + 1, MARK_TEN + SETTLE_TEN)


@pytest.mark.parametrize("first", ["2026-11-22", "2026-08-23"])
def test_totals_are_two_reads_a_shard_and_a_count_for_any_days(
    payments: Payments, meter: Meter, first: str
) -> None:
    payments.settle(typical(payments).id)
    query = ReadStats.model_validate({"from": first, "to": "2026-11-22"})
    asked = meter.asked(payments.stats, query)
    assert asked == (["Query"] * (2 * TOTALS_SHARDS + 1), 2 * TOTALS_SHARDS + 0.5, 0)


def test_a_repeated_message_costs_one_refused_write(payments: Payments, meter: Meter) -> None:
    payment = typical(payments)
    payments.settle(payment.id)
    assert meter.asked(payments.settle, payment.id).calls == ["UpdateItem"]


def test_a_refund_is_read_set_aside_and_sent_for_11_write_units(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    asked = meter.asked(
        refunds.create,
        payment.id,
        refund_command(amount="5", reason="Broken cup"),
        actor=TEST,
    )
    assert asked == (["GetItem", "TransactWriteItems", "SendMessage"], 1, REFUND)


def test_refund_replay_is_a_read_and_a_failed_transaction_or_a_read(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    for amount, last in [("5", "TransactWriteItems"), (None, "GetItem")]:
        request = refund_command(amount=amount)
        refunds.create(payment.id, request, actor=TEST)
        replay = meter.asked(refunds.create, payment.id, request, actor=TEST)
        assert replay.calls == ["GetItem", last]


def test_settling_a_refund_reads_3_units_and_writes_17(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    refund_id = refunds.create(payment.id, refund_command(), actor=TEST).resource_id
    asked = meter.asked(refunds.settle, payment.id, refund_id)
    begin = ["GetItem", "TransactWriteItems"]
    settle = ["GetItem", "Query", "TransactWriteItems"]
    assert asked == ([*begin, *settle], 3, BEGIN_REFUND + SETTLE_REFUND)
    asked = meter.asked(refunds.settle, payment.id, refund_id)
    assert asked == (["GetItem"], 1, 0)


def test_a_cancel_is_a_read_and_one_transaction_of_9_write_units(
    payments: Payments, meter: Meter
) -> None:
    payment = typical(payments)
    asked = meter.asked(payments.cancel, payment.id, actor=TEST)
    assert asked == (["GetItem", "Query", "TransactWriteItems"], 2, CANCEL)


def test_refunds_and_events_of_a_payment_are_one_query_each(
    payments: Payments, refunds: Refunds, meter: Meter
) -> None:
    payment = completed(payments)
    refunds.create(payment.id, refund_command(), actor=TEST)
    for read in (payments.repository.refunds, payments.repository.events):
        assert meter.asked(read, payment.id) == (["Query"], 1, 0)


def completed(payments: Payments) -> Payment:
    payment_id = payments.create(
        command(metadata={"simulate": "completed"}), actor=TEST
    ).resource_id
    payments.settle(payment_id)
    return payments.get(payment_id)


def test_quiet_sweep_is_one_query_a_window_kind_and_shard(
    sweeper: Sweeper, meter: Meter, clock: Clock
) -> None:
    clock.advance(minutes=2)
    asked = meter.asked(sweeper.sweep, clock.now)
    looks = 28 + DUE_SHARDS + 1  # one for exports
    assert asked == (["Query"] * looks, looks * 0.5, 0)


def test_endpoint_adds_4_write_units_to_an_outcome_and_5_to_deliver(
    payments: Payments, meter: Meter
) -> None:
    url = "https://northern-lights.example/webhooks/payflow"
    webhooks_beside(payments).create(CreateEndpoint(url=url), actor=TEST)
    outbox = outbox_of(payments)
    payment = typical(payments)
    calls = ["UpdateItem", "Query", "TransactWriteItems", "SendMessage"]
    assert meter.asked(payments.settle, payment.id) == (calls, 1, MARK + SETTLE + 4)
    (delivery,) = stored_deliveries(outbox.repository, payment.id)
    worker = delivery_worker_on(outbox.repository, outbox.queue, payments.clock)
    asked = meter.asked(worker.deliver, delivery.id)
    assert asked == (["GetItem", "UpdateItem", "GetItem", "UpdateItem"], 2, 3 + 2)
    asked = meter.asked(outbox.repository.of_payment, payment.id)
    assert asked == (["Query"], 1, 0)
    item = encode(delivery_to_item(outbox.repository.get_delivery(delivery.id)))
    assert size_bytes(item) < 1024


def test_a_typical_payment_fits_in_one_unit_with_room_to_spare(payments: Payments) -> None:
    payment = typical(payments)
    item = encode(payment_to_item(payment))
    assert size_bytes(item) < 700
