"""What reading costs does not hang on how much there is: calls and units, without a clock.

`make growth` times it on a million rows; those rows, and what it says of them, are held here too.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from chalicelib.commands import ListPayments, ReadStats, validated
from chalicelib.listing import list_payments
from chalicelib.model import Change, Event, EventType, Payment, Status, new_id
from chalicelib.store import Store
from chalicelib.tables import decode

from bench import growth_report as report
from bench.filling import Days, Made, made, row_of
from bench.growth_report import Measured
from chalicelib import stats
from sizing.meter import Asked, Meter
from tests import invariants
from tests.conftest import START, new_store
from tests.payments.test_repository import record_for

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

NEWEST = date(2026, 11, 21)
A_DAY = timedelta(days=1)
Row = dict[str, Any]
Read = Callable[[Store], Any]


def days_of(payments: list[Made]) -> Days:
    return Days(NEWEST, [row_of(payment) for payment in payments])


def listed(**query: str) -> Read:
    wanted = validated(ListPayments, query)
    return lambda store: list_payments(store, wanted)


def totals_of(first: str) -> Read:
    wanted = validated(ReadStats, {"from": first, "to": "2026-11-21"})
    return lambda store: stats.read(store, wanted, START)


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


def write(dynamodb: "DynamoDBClient", store: Store, items: Iterable[str]) -> None:
    puts: list[Any] = [{"PutRequest": {"Item": json.loads(item)}} for item in items]
    for start in range(0, len(puts), 25):
        dynamodb.batch_write_item(RequestItems={store._payments.name: puts[start : start + 25]})


@pytest.fixture
def meter(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient") -> Iterator[Meter]:
    with closing(Meter(emulated_dynamodb, sqs)) as meter:
        yield meter


def asked_by(read: Read, store: Store, meter: Meter) -> Asked:
    with meter.running() as asked:
        read(store)
        return asked()


def test_lists_and_totals_ask_for_the_same_however_many_payments_there_are(
    emulated_dynamodb: "DynamoDBClient", meter: Meter
) -> None:
    store, days = new_store(emulated_dynamodb), days_of(made(NEWEST, 200))
    write(emulated_dynamodb, store, days.items(0))
    of_few = {name: asked_by(read, store, meter) for name, read in READS.items()}
    write(emulated_dynamodb, store, days.items(30))
    for ago in range(31, 43):  # of the totals enough to be more than a unit a shard
        write(emulated_dynamodb, store, (item for item in days.items(ago) if "STATS#" in item))
    assert {name: asked_by(read, store, meter) for name, read in READS.items()} == of_few


def test_page_1000_asks_for_what_page_1_asks_for(
    emulated_dynamodb: "DynamoDBClient", meter: Meter
) -> None:
    store = new_store(emulated_dynamodb)
    completed = [one for one in made(NEWEST, 1_250) if one.settled.status is Status.COMPLETED]
    write(emulated_dynamodb, store, days_of(completed).items(0, still_processing=0))
    for filters in ({}, {"status": "completed"}):
        cursor: dict[str, str] = {}
        for size in [*["100"] * 9, "99"]:
            page = listed(**filters, **cursor, limit=size)(store)
            cursor = {"cursor": page.next_cursor}
        first = asked_by(listed(**filters, limit="1"), store, meter)
        assert asked_by(listed(**filters, **cursor, limit="1"), store, meter) == first


def test_a_row_that_is_filled_in_is_what_the_product_writes(
    emulated_dynamodb: "DynamoDBClient",
) -> None:
    day = made(NEWEST, 60)
    by_product, in_bulk = new_store(emulated_dynamodb), new_store(emulated_dynamodb)
    for number, payment in enumerate(day):
        through_the_product(by_product, payment, settles=number < 50)
    write(emulated_dynamodb, in_bulk, days_of(day).items(0, still_processing=10))
    assert rows_of(emulated_dynamodb, in_bulk) == rows_of(emulated_dynamodb, by_product)


def through_the_product(store: Store, payment: Made, *, settles: bool) -> None:
    opened, settled = payment
    event = Event.of(opened, EventType.PAYMENT_CREATED, opened.created_at, "test")
    change = Change(opened, event)
    store.create(change, record_for(change, opened.idempotency_key), opened.created_at)
    if not settles:
        return
    if settled.submitted_at is not None:
        opened = store.claim(opened.id, settled.submitted_at)
    outcome = EventType(f"payment.{settled.status}")
    event = Event.of(settled, outcome, settled.updated_at, "test")
    store.change(opened, Change(settled, event))


def rows_of(dynamodb: "DynamoDBClient", store: Store) -> dict[tuple[str, str], Row]:
    """All of the payments table but the events."""
    rows = invariants.scan(dynamodb, store._payments.name)
    return {
        (row["PK"], row["SK"]): row for row in map(dict, rows) if not row["SK"].startswith("EVENT#")
    }


def test_a_day_before_is_the_newest_day_again_under_ids_and_dates_of_its_own() -> None:
    day = made(NEWEST, 200)
    days = days_of(day)
    newest = [payment_in(item) for item in days.items(0, still_processing=0) if "listing" in item]
    books = invariants.read(
        [dict(decode(json.loads(item))) for ago in (1, 2) for item in days.items(ago)]
    )
    assert list(invariants.totals(books)) == []
    ids = [days.payment_id(ago, number) for ago in (0, 1, 2) for number in range(200)]
    assert len(set(ids)) == 600
    for ago in (1, 2):
        for number, payment in enumerate(newest):
            again = books.lives[days.payment_id(ago, number)].payment
            assert again == moved(payment, again.id, ago * A_DAY)
            assert again.id[4:14] == new_id("PAY", again.created_at)[4:14], "the time in it"


def payment_in(item: str) -> Payment:
    (life,) = invariants.read([dict(decode(json.loads(item)))]).lives.values()
    return life.payment


def moved(payment: Payment, to_id: str, by: timedelta) -> Payment:
    """The payment as it is so much earlier."""
    moments = ("created_at", "updated_at", "completed_at", "submitted_at")
    earlier = {
        name: getattr(payment, name) - by for name in moments if getattr(payment, name) is not None
    }
    key = {"idempotency_key": f"order-{to_id[4:]}"}
    return payment.model_copy(update={"id": to_id, **key, **earlier})


def test_a_day_has_every_outcome_and_is_settled_before_it_ends() -> None:
    day = made(NEWEST)
    statuses = [payment.settled.status for payment in day]
    assert set(statuses) == {Status.COMPLETED, Status.FAILED, Status.CANCELED}
    assert statuses.count(Status.COMPLETED) > 800
    assert {payment.settled.updated_at.date() for payment in day} == {NEWEST}
    for payment in day:
        is_canceled = payment.settled.status is Status.CANCELED
        assert (payment.settled.submitted_at is None) == is_canceled, "a worker takes it up first"


def measured(**medians_ms: dict[int, float]) -> Measured:
    """Three calls of each flow at each size, the one in the middle as given."""
    seconds = {
        (flow, size): [ms / 2000, ms / 1000, ms / 100]
        for flow, of_sizes in medians_ms.items()
        for size, ms in of_sizes.items()
    }
    pages = {name for name, _ in seconds if ", page" in name}
    return Measured(
        sizes=[1_000, 100_000],
        filled=[],
        seconds=seconds,
        costs={},
        floors=[],
        flows=sorted({name for name, _ in seconds} - pages),
        lists=sorted({name.partition(",")[0] for name in pages}),
        rounds=3,
        took_seconds=1,
        busy=0,
    )


def test_what_is_more_than_a_fifth_dearer_is_not_flat() -> None:
    flat = measured(get={1_000: 10, 100_000: 11.9}, stats={100_000: 80})
    assert report.verdict(flat) == []
    grown = measured(get={1_000: 10, 100_000: 12.1}, list={1_000: 10, 100_000: 9})
    assert report.verdict(grown) == [
        "get costs 1.21 times as much at 100,000 payments as at 1,000."
    ]
    assert "Not flat" in report.page(grown)


def test_page_1000_is_held_against_page_1_of_the_same_size() -> None:
    pages = {"list, page 1": {100_000: 10.0}, "list, page 1,000": {100_000: 12.1}}
    assert report.verdict(measured(**pages)) == [
        "Page 1,000 of list costs 1.21 times page 1 at 100,000 payments."
    ]
