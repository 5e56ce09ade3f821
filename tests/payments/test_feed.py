"""The feed: every event once and in order, whatever the writers' clocks and the answers do."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.clients import dynamodb_client
from chalicelib.aws.dynamodb import key_of
from chalicelib.errors import InvalidCursor, Unavailable
from chalicelib.payments.commands import ReadFeed
from chalicelib.payments.facts import Completed, Returned
from chalicelib.payments.models import EventBody, EventType
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.validation import validated
from chalicelib.webhooks.commands import CreateEndpoint
from infra.ops.index_payments import index_payments
from tests.conftest import (
    TEST,
    Clock,
    command,
    new_repository,
    outbox_of,
    payments_on,
    refund_command,
    stored_deliveries,
    webhooks_beside,
)
from tests.engines import IS_THOROUGH
from tests.invariants import read, scan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def desk(engine: "DynamoDBClient", clock: Clock) -> Payments:
    return payments_on(new_repository(engine), clock)


def query(**fields: Any) -> ReadFeed:
    return validated(ReadFeed, fields)


def followed(payments: Payments, cursor: str | None = None, **fields: Any) -> Iterator[EventBody]:
    """What a client gets that follows the cursor until there is no more."""
    while True:
        asked = fields if cursor is None else fields | {"cursor": cursor}
        page = payments.feed(query(**asked))
        yield from page.events
        cursor = page.next_cursor
        if not page.has_more:
            return


def lives(payments: Payments, number: int = 1) -> None:
    """Payments with a refund that completed, and a return after it."""
    refunds = Refunds(payments)
    for _ in range(number):
        wishes = {"simulate": "completed", "simulate_refund": "completed"}
        created = payments.create(command(type="eft", metadata=wishes), actor=TEST).resource_id
        payments.settle(created)
        refund = refunds.create(created, refund_command(amount="2.50"), actor=TEST)
        refunds.settle(created, refund.resource_id)
        payments.record(created, Returned("901"))


LIFE = [
    "payment.created",
    "payment.completed",
    "refund.created",
    "refund.completed",
    "payment.returned",
]


@pytest.mark.parametrize("limit", ["1", "3", "100"])
def test_events_of_all_payments_come_once_and_oldest_first(
    desk: Payments, clock: Clock, limit: str
) -> None:
    lives(desk, 3)
    clock.advance(seconds=20)
    events = list(followed(desk, limit=limit))
    assert [event.type for event in events] == LIFE * 3
    moments = [event.timestamp for event in events]
    assert moments == sorted(set(moments))


def test_feed_says_the_bytes_of_the_webhooks(payments: Payments, clock: Clock) -> None:
    endpoint = CreateEndpoint(url="https://merchant.example/hook")
    webhooks_beside(payments).create(endpoint, actor=TEST)
    lives(payments)
    clock.advance(seconds=20)
    told = {event.id: event.to_json() for event in followed(payments)}
    payment_id = next(iter(followed(payments))).data.id
    sent = {
        one.event_id: one.payload
        for one in stored_deliveries(outbox_of(payments).repository, payment_id)
    }
    assert len(sent) == 3
    assert sent.items() <= told.items()


def test_feed_ends_some_seconds_ago_and_goes_on_from_there(desk: Payments, clock: Clock) -> None:
    empty = desk.feed(query())
    assert (empty.events, empty.has_more) == ([], False)
    lives(desk)
    assert desk.feed(query(cursor=empty.next_cursor)).events == []
    clock.advance(seconds=15)
    page = desk.feed(query(cursor=empty.next_cursor, limit="2"))
    assert ([event.type for event in page.events], page.has_more) == (LIFE[:2], True)
    rest = desk.feed(query(cursor=page.next_cursor))
    assert ([event.type for event in rest.events], rest.has_more) == (LIFE[2:], False)
    assert desk.feed(query(cursor=rest.next_cursor)).next_cursor == rest.next_cursor


def test_feed_of_one_type_and_from_a_time(desk: Payments, clock: Clock) -> None:
    lives(desk)
    clock.advance(hours=1)
    since = clock()
    lives(desk)
    clock.advance(seconds=20)
    of_type = list(followed(desk, type="payment.returned", limit="1"))
    assert [event.type for event in of_type] == [EventType.PAYMENT_RETURNED] * 2
    later = list(followed(desk, created_from=since.isoformat()))
    assert [event.type for event in later] == LIFE


def test_cursor_is_good_for_its_filters_and_no_others(desk: Payments, clock: Clock) -> None:
    lives(desk)
    clock.advance(seconds=20)
    cursor = desk.feed(query(limit="1")).next_cursor
    with pytest.raises(InvalidCursor):
        desk.feed(query(cursor=cursor, type="payment.returned"))
    with pytest.raises(InvalidCursor):
        desk.feed(query(cursor=cursor[:-2]))


def test_contradiction_says_what_the_bank_said(desk: Payments, clock: Clock) -> None:
    wishes = {"simulate": "failed:account_closed"}
    failed = desk.create(command(metadata=wishes), actor=TEST).resource_id
    desk.settle(failed)
    desk.record(failed, Completed())
    clock.advance(seconds=20)
    *_, event = followed(desk)
    assert event.type is EventType.PAYMENT_CONTRADICTED
    assert event.fact is not None
    assert event.fact.outcome == "completed"
    assert '"fact":{"outcome":"completed"' in event.to_json()


def test_writer_whose_clock_is_behind_makes_no_earlier_event(
    engine: "DynamoDBClient", clock: Clock
) -> None:
    repository = new_repository(engine)
    ahead = payments_on(repository, lambda: clock() + timedelta(seconds=2))
    behind = payments_on(repository, clock)
    created = ahead.create(command(metadata={"simulate": "completed"}), actor=TEST).resource_id
    behind.settle(created)
    clock.advance(seconds=20)
    first, second = followed(ahead)
    assert second.timestamp == first.timestamp + timedelta(microseconds=1)


class Slow:
    """A clock that passes some seconds whenever it is read."""

    def __init__(self, seconds: float) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)
        self.step = timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        self.now += self.step
        return self.now


@contextmanager
def sends(client: Any) -> Iterator[list[str]]:
    """The transactions that leave the machine."""
    sent: list[str] = []

    def note(**_: Any) -> None:
        sent.append("transaction")

    client.meta.events.register_last("before-send.dynamodb.TransactWriteItems", note)
    yield sent
    client.meta.events.unregister("before-send.dynamodb.TransactWriteItems", note)


@pytest.fixture
def real_client(emulated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The product's own client, of the emulated AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", emulated_url)
    client = dynamodb_client("ca-central-1")
    yield client
    client.close()


def test_no_event_is_sent_later_than_the_feed_waits_for_it(
    emulated_dynamodb: "DynamoDBClient", real_client: Any
) -> None:
    repository = of_tables(new_repository(emulated_dynamodb), real_client)
    with sends(real_client) as sent:
        payments_on(repository, Slow(4)).create(command(), actor=TEST)
        assert sent == ["transaction"]
        with pytest.raises(Unavailable):
            payments_on(repository, Slow(6)).create(command(), actor=TEST)
        assert sent == ["transaction"]


def of_tables(repository: PaymentRepository, client: Any) -> PaymentRepository:
    return PaymentRepository(
        client,
        payments_table=repository._payments.name,
        idempotency_table=repository.records._table.name,
    )


@pytest.mark.parametrize(("seconds", "is_counted"), [(7.9, False), (8.1, True)])
def test_commit_that_is_answered_late_is_counted(
    desk: Payments, capsys: pytest.CaptureFixture[str], seconds: float, is_counted: bool
) -> None:
    slow = payments_on(desk.repository, Slow(seconds))
    slow.create(command(), actor=TEST)
    assert ('"LateEvents": 1' in capsys.readouterr().out) is is_counted


@pytest.fixture
def unreliable(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client whose answers are lost on their way, every third one: what it sent is sent again."""
    calls, send = count(1), engine._make_api_call

    def lossy(operation: str, params: Any) -> Any:
        if operation == "TransactWriteItems" and next(calls) % 3 == 0:
            send(operation, params)
        return send(operation, params)

    monkeypatch.setattr(engine, "_make_api_call", lossy)
    return engine


def test_follower_who_is_killed_and_resumed_misses_and_doubles_nothing(unreliable: Any) -> None:
    """While writers whose clocks differ by two seconds write, and lose answers."""
    repository = new_repository(unreliable)
    writers = [payments_on(repository, by(timedelta(seconds=skew))) for skew in (-1, 0, 1)]
    reader = payments_on(repository, _now, feed_behind=timedelta(seconds=3))
    done = threading.Event()
    number = 20 if IS_THOROUGH else 8
    with ThreadPoolExecutor(len(writers) + 1) as pool:
        followed = pool.submit(follow, reader, done)
        for writing in [pool.submit(lives, writer, number) for writer in writers]:
            writing.result()
        done.set()
        events = followed.result()
    books = read(scan(unreliable, repository._payments.name))
    written = [event.id for life in books.lives.values() for event in life.events]
    assert len(written) == len(LIFE) * number * len(writers)
    assert sorted(events) == sorted(written), "missed or doubled"


def _now() -> datetime:
    return datetime.now(UTC)


def by(skew: timedelta) -> Callable[[], datetime]:
    return lambda: _now() + skew


def follow(reader: Payments, done: threading.Event) -> list[str]:
    """Follow the feed until it shows nothing new after all is done; forget all but the cursor."""
    cursor: str | None = None
    events: list[str] = []
    ends: datetime | None = None
    while ends is None or _now() < ends:
        page = reader.feed(query(limit="7") if cursor is None else query(limit="7", cursor=cursor))
        events += [event.id for event in page.events]
        cursor = page.next_cursor
        if ends is None and done.is_set():
            ends = _now() + timedelta(seconds=4.5)
    return events


def outside(payments: Payments) -> None:
    """Write every event again as version 0.3 did."""
    table = payments.repository._payments
    for row in scan(table._dynamodb, table.name):
        if row["SK"].startswith("EVENT#"):
            data = {name: told for name, told in row["data"].items() if name != "completed_at"}
            if refund := data.get("refund"):
                data["refund"] = {n: told for n, told in refund.items() if n != "completed_at"}
            changes = {"createdAt": row["createdAt"].partition("#")[0], "data": data}
            table.write(table.update_request(key_of(dict(row)), set_=changes, remove=["listing"]))


def test_events_of_an_earlier_version_are_added_once_and_whole(
    desk: Payments, clock: Clock
) -> None:
    lives(desk, 2)
    failed = desk.create(command(metadata={"simulate": "failed:account_closed"}), actor=TEST)
    desk.settle(failed.resource_id)
    clock.advance(seconds=20)
    before = [event.to_json() for event in followed(desk)]
    outside(desk)
    assert list(followed(desk)) == []
    assert [index_payments(desk.repository) for _ in range(2)] == [len(before), 0]
    assert [event.to_json() for event in followed(desk)] == before
