"""What reading costs does not depend on how much there is: calls and units, without a clock.

`make growth` times it on a million rows; those rows, and its verdict, are held here too.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bench.growth import payments_of, rows_of, verdict
from bench.meter import Meter
from chalicelib.aws.dynamodb import encode
from chalicelib.payments import stats
from chalicelib.payments.commands import ListPayments, ReadStats
from chalicelib.payments.listing import list_payments
from chalicelib.payments.models import Change, Event, EventType, Payment, Status
from chalicelib.payments.repository import PaymentRepository
from chalicelib.validation import validated
from tests import invariants
from tests.conftest import START, TEST, new_repository
from tests.payments.test_repository import record_for

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

NEWEST = date(2026, 11, 21)
Row = dict[str, Any]
Read = Callable[[PaymentRepository], Any]


def listed(**query: str) -> Read:
    wanted = validated(ListPayments, query)
    return lambda repository: list_payments(repository, wanted)


def totals_of(first: str) -> Read:
    wanted = validated(ReadStats, {"from": first, "to": "2026-11-21"})
    return lambda repository: stats.read(repository, wanted, START)


READS = {
    "all": listed(),
    "completed": listed(status="completed"),
    "processing": listed(status="processing"),
    "filtered": listed(type="eft", currency="CAD", limit="5"),
    "filtered and completed": listed(status="completed", type="eft", currency="CAD", limit="5"),
    "of a day": listed(created_from="2026-11-21", created_to="2026-11-21"),
    "totals of a day": totals_of("2026-11-21"),
    "totals of weeks": totals_of("2026-11-01"),
}


def write(dynamodb: "DynamoDBClient", repository: PaymentRepository, rows: list[Row]) -> None:
    puts: list[Any] = [{"PutRequest": {"Item": encode(row)}} for row in rows]
    for start in range(0, len(puts), 25):
        dynamodb.batch_write_item(
            RequestItems={repository._payments.name: puts[start : start + 25]}
        )


@pytest.fixture
def meter(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient") -> Meter:
    return Meter(emulated_dynamodb, sqs)


def test_lists_and_totals_ask_for_the_same_however_many_payments(
    emulated_dynamodb: "DynamoDBClient", meter: Meter
) -> None:
    repository = new_repository(emulated_dynamodb)
    write(emulated_dynamodb, repository, rows_of(payments_of(NEWEST, 200), still_processing=40))
    of_few = {name: meter.asked(read, repository) for name, read in READS.items()}
    for ago in range(30, 42):
        rows = rows_of(payments_of(NEWEST - timedelta(days=ago), 200))
        # A day's payments, and of the totals enough to be more than a unit a shard.
        write(emulated_dynamodb, repository, [row for row in rows if ago == 30 or "count" in row])
    assert {name: meter.asked(read, repository) for name, read in READS.items()} == of_few


def test_page_1000_asks_for_what_page_1_asks_for(
    emulated_dynamodb: "DynamoDBClient", meter: Meter
) -> None:
    repository = new_repository(emulated_dynamodb)
    day = payments_of(NEWEST, 1_250)
    completed = [one for one in day if one[1].status is Status.COMPLETED]
    write(emulated_dynamodb, repository, rows_of(completed))
    for filters in ({}, {"status": "completed"}):
        cursor: dict[str, str] = {}
        for size in [*["100"] * 9, "99"]:
            page = listed(**filters, **cursor, limit=size)(repository)
            cursor = {"cursor": page.next_cursor}
        first = meter.asked(listed(**filters, limit="1"), repository)
        assert meter.asked(listed(**filters, **cursor, limit="1"), repository) == first


def test_rows_filled_in_bulk_are_what_the_product_writes(
    emulated_dynamodb: "DynamoDBClient",
) -> None:
    day = payments_of(NEWEST, 60)
    by_product, in_bulk = new_repository(emulated_dynamodb), new_repository(emulated_dynamodb)
    for number, (opened, settled) in enumerate(day):
        through_the_product(by_product, opened, settled if number < 50 else None)
    write(emulated_dynamodb, in_bulk, rows_of(day, still_processing=10))
    assert rows_in(emulated_dynamodb, in_bulk) == rows_in(emulated_dynamodb, by_product)


def through_the_product(
    repository: PaymentRepository, opened: Payment, settled: Payment | None
) -> None:
    event = Event.of(opened, EventType.PAYMENT_CREATED, opened.created_at, TEST)
    change = Change(opened, event)
    repository.create(change, record_for(change, opened.idempotency_key), opened.created_at)
    if settled is None:
        return
    if settled.submitted_at is not None:
        submitted = repository.mark_submitted(opened.id, settled.submitted_at)
        assert submitted is not None
        opened = submitted
    outcome = EventType(f"payment.{settled.status}")
    event = Event.of(settled, outcome, settled.updated_at, TEST)
    repository.change(opened, Change(settled, event))


def rows_in(
    dynamodb: "DynamoDBClient", repository: PaymentRepository
) -> dict[tuple[str, str], Row]:
    """All of the payments table but the events."""
    rows = map(dict, invariants.scan(dynamodb, repository._payments.name))
    return {(row["PK"], row["SK"]): row for row in rows if not row["SK"].startswith("EVENT#")}


def test_flow_more_than_a_fifth_dearer_than_at_first_is_not_flat() -> None:
    seconds = {("get", 1_000): [5.0, 10.0, 99.0], ("get", 10_000): [11.9], ("get", 100_000): [12.1]}
    assert verdict(seconds) == ["get: 1.21 times as much at 100,000 payments"]


def test_page_1000_is_compared_with_page_1_of_the_same_size() -> None:
    seconds = {("list", 100_000): [10.0], ("list, page 1,000", 100_000): [12.1]}
    assert verdict(seconds) == ["list, page 1,000: 1.21 times as much at 100,000 payments"]
