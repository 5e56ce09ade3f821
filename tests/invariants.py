"""Invariants of all payments, whatever happened to them.

Pure functions of the items in the tables and of what clients and merchants were told. Each returns
a sentence for every broken promise:

    books = read(scan(dynamodb, payments_table), scan(dynamodb, idempotency_table))
    assert not broken(books)                    at any moment
    assert not unsettled(books)                 once all work is done
    assert not forgotten(books, bodies)         what clients were told is stored
    assert not untold(books, received)          every outcome reached the merchant
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.dynamodb import decode
from chalicelib.idempotency import Record, record_from_item
from chalicelib.payments import items
from chalicelib.payments.models import (
    Direction,
    Event,
    Payment,
    Refund,
    RefundState,
    RefundStatus,
    Status,
    Total,
)
from chalicelib.payments.simulator import SIMULATE, SIMULATE_REFUND

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = Mapping[str, Any]
Broken = Iterator[str]

_CHANGING: Final = frozenset(
    {
        "status",
        "updated_at",
        "expected_at",
        "completed_at",
        "failure_code",
        "bank_code",
        "return_reason",
        "amount_refunded",
        "amount_returned",
        "version",
    }
)
"""The fields of a payment or refund that change after its creation."""
NEXT: Final[Mapping[Status, frozenset[Status]]] = {
    Status.PROCESSING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED}),
    Status.COMPLETED: frozenset({Status.RETURNED}),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.RETURNED: frozenset(),
}
"""What may become of a payment."""
_NEXT_OF_REFUNDS: Final[Mapping[RefundStatus, frozenset[RefundStatus]]] = {
    RefundStatus.PROCESSING: frozenset({RefundStatus.COMPLETED, RefundStatus.FAILED}),
    RefundStatus.COMPLETED: frozenset({RefundStatus.RETURNED}),
    RefundStatus.FAILED: frozenset(),
    RefundStatus.RETURNED: frozenset(),
}
"""What may become of a refund."""
_NOTHING: Final = (0, Decimal(0))
NEVER_SETTLED: Final = frozenset({"pending", "error"})


@dataclass(frozen=True)
class Life:
    """A payment and all its items, as the table has them."""

    payment: Payment
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    """Oldest first."""
    deliveries: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Books:
    """All payments, as the tables have them."""

    lives: Mapping[str, Life]
    totals: list[Total]
    records: list[Record]
    halves: list[str]
    """Partitions that should have a payment, and have none."""

    @property
    def payments(self) -> list[Payment]:
        return [life.payment for life in self.lives.values()]


def scan(dynamodb: "DynamoDBClient", table: str) -> Iterator[Row]:
    """Yield every item of a table, as only a test may do."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from map(decode, page["Items"])


def read(rows: Iterable[Row], records: Iterable[Row] = ()) -> Books:
    """Return the books, from the items of the payments table and the idempotency table."""
    partitions: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        partitions[row["PK"]][row["SK"]] = row
    of_payments = {key: found for key, found in partitions.items() if key.startswith("PAY#")}
    lives = [_life(found) for found in of_payments.values() if "PAYMENT" in found]
    return Books(
        lives={life.payment.id: life for life in lives},
        totals=[
            items.total_from_item(dict(row))
            for key, found in partitions.items()
            if key.startswith("STATS#")
            for row in found.values()
        ],
        records=[record_from_item(dict(row)) for row in records],
        halves=[key for key, found in of_payments.items() if "PAYMENT" not in found],
    )


def _life(rows: Mapping[str, Row]) -> Life:
    def under(prefix: str) -> list[dict[str, Any]]:
        return [dict(rows[key]) for key in sorted(rows) if key.startswith(prefix)]

    refunds = map(items.refund_from_item, under("REFUND#"))
    return Life(
        payment=items.payment_from_item(dict(rows["PAYMENT"])),
        refunds={refund.id: refund for refund in refunds},
        events=[items.event_from_item(row) for row in under("EVENT#")],
        deliveries=[*under("DELIVERY#")],
    )


def broken(books: Books, endpoints: int = 1) -> list[str]:
    """Return every promise that is broken, which none may be at any moment.

    `endpoints` counts those that have wanted every event since before the first payment.
    """
    return [*of_lives(books, endpoints), *totals(books), *keys(books)]


def of_lives(books: Books, endpoints: int = 1) -> Broken:
    """Yield the broken promises of each payment by itself."""
    for key in books.halves:
        yield f"{key}: half a payment"
    for payment_id, life in books.lives.items():
        for sentence in (*money(life), *numbering(life), *deliveries(life, endpoints)):
            yield f"{payment_id}: {sentence}"


def money(life: Life) -> Broken:
    """Check that refunds never exceed the payment, and that its sums agree with them."""
    payment, refunds = life.payment, life.refunds
    is_open = payment.status is Status.COMPLETED and payment.direction is Direction.DEBIT
    given = alive(refunds)
    taken = payment.amount if payment.status is Status.RETURNED else 0
    if payment.amount_returned != taken:
        yield f"{payment.amount_returned} returned of a payment that is {payment.status}"
    left = payment.amount - given if is_open else 0
    if not payment.amount_refunded == given <= payment.amount:
        yield f"{given} of {payment.amount} refunded, counted {payment.amount_refunded}"
    if payment.refundable != left:
        yield f"{left} is left to refund, and refundable {payment.refundable}"
    if payment.refunds_processing != under_way(refunds):
        yield f"{under_way(refunds)} refunds processing, counted {payment.refunds_processing}"
    if refunds and not (is_open or payment.status is Status.RETURNED):
        yield f"refunds of a payment that is {payment.status}"


def alive(refunds: Mapping[str, Refund]) -> Decimal:
    """Return the sum of the refunds that are processing or completed."""
    living = {RefundStatus.PROCESSING, RefundStatus.COMPLETED}
    return sum((one.amount for one in refunds.values() if one.status in living), Decimal(0))


def under_way(refunds: Mapping[str, Refund]) -> int:
    return sum(one.status is RefundStatus.PROCESSING for one in refunds.values())


def numbering(life: Life) -> Broken:
    """Check that every change has exactly one event, and that the last has the current state."""
    payment, events = life.payment, life.events
    told = Counter(
        (event.type.value, event.data.refund and event.data.refund.id)
        for event in events
        if event.data.fact is None
    )
    said = Counter(_said(event) for event in events if event.data.fact is not None)
    everyone: list[Payment | Refund] = [payment, *life.refunds.values()]
    heard = Counter((one.id, fact) for one in everyone for fact in one.contradictions)
    if said != heard:
        yield f"its bank contradicted itself by {sorted(said)}, and it has {sorted(heard)}"
    changes = Counter(_changes(life))
    if told != changes:
        yield f"events {sorted(map(str, told.elements()))}, changes {sorted(map(str, changes))}"
    if [event.seq for event in events] != list(range(1, payment.version + 1)):
        yield f"version {payment.version}, events {[event.seq for event in events]}"
    if len({event.id for event in events}) != len(events):
        yield "two events of one id"
    moments = [event.created_at for event in events]
    if moments != sorted(set(moments)):
        yield f"events out of time: {moments}"
    if events:
        yield from _last_event(events[-1], life)


def _changes(life: Life) -> Iterator[tuple[str, str | None]]:
    payment = life.payment
    yield "payment.created", None
    if payment.completed_at is not None:
        yield "payment.completed", None
    if payment.status not in {Status.PROCESSING, Status.COMPLETED}:
        yield f"payment.{payment.status}", None
    for refund in life.refunds.values():
        yield "refund.created", refund.id
        if refund.completed_at is not None:
            yield "refund.completed", refund.id
        if refund.status not in {RefundStatus.PROCESSING, RefundStatus.COMPLETED}:
            yield f"refund.{refund.status}", refund.id


def _said(event: Event) -> tuple[str, str]:
    """Return whom the bank contradicted itself about, and the fact as it is remembered."""
    fact = event.data.fact
    assert fact is not None
    about = event.payment_id if event.data.refund is None else event.data.refund.id
    why = fact.bank_code if fact.bank_code is not None else fact.failure_code
    return about, fact.outcome if why is None else f"{fact.outcome}:{why}"


def _last_event(event: Event, life: Life) -> Broken:
    payment, last = life.payment, event.data
    if (last.status, last.failure_code) != (payment.status, payment.failure_code):
        yield f"it is {payment.status} {payment.failure_code}, its last event says {last}"
    if last.amount_refunded not in {None, payment.amount_refunded}:
        yield f"{payment.amount_refunded} refunded, its last event says {last.amount_refunded}"
    if last.refund is not None:
        refund = life.refunds.get(last.refund.id)
        if refund is None or last.refund != RefundState.model_validate(
            refund, from_attributes=True
        ):
            yield f"its last event says {last.refund} of {refund}"


def deliveries(life: Life, endpoints: int = 1) -> Broken:
    """Check that every outcome has exactly one delivery to each endpoint, with its content."""
    unsent = (".created", ".contradicted")
    outcomes = {event.id: event for event in life.events if not event.type.endswith(unsent)}
    told = Counter(event_of(row) for row in life.deliveries)
    for event_id in outcomes.keys() | told.keys():
        if event_id not in outcomes:
            yield f"a delivery of {event_id}, which is no outcome"
        elif told[event_id] != endpoints:
            yield f"{told[event_id]} deliveries of {event_id}, for {endpoints} endpoints"
    for row in life.deliveries:
        event = outcomes.get(event_of(row))
        if event is not None:
            body = event.body(life.refunds.get(event.subject_id, life.payment)).to_json()
            if (row["type"], row["payload"]) != (event.type, body):
                yield f"{event.id} is {body}, its delivery {row['type']} of {row['payload']}"
        is_pending = row["state"] == "pending"
        if not is_pending == ("dueAt" in row) == ("due" in row):
            yield f"the delivery of {event_of(row)} is {row['state']}, due {row.get('dueAt')}"


def event_of(delivery: Row) -> str:
    """Return the id of the delivered event, which is sent as `webhook-id`."""
    event_id: str = delivery["SK"].split("#")[1]
    return event_id


def totals(books: Books) -> Broken:
    """Check that the totals equal a recount of the payments and refunds."""
    found: defaultdict[Any, tuple[int, Decimal]] = defaultdict(lambda: _NOTHING)
    for total in books.totals:
        count, volume = found[_kind(total)]
        found[_kind(total)] = (count + total.count, volume + total.volume)
    expected = {_kind(row): (row.count, row.volume) for row in recounted(books.lives.values())}
    for kind in found.keys() | expected.keys():
        (count, volume), (recount, amount) = found[kind], expected.get(kind, _NOTHING)
        if (count, volume) != (recount, amount):
            name = " ".join(kind)
            yield f"totals of {name}: {count} of {volume}, recounted {recount} of {amount}"


def _kind(total: Total) -> tuple[str, ...]:
    return (total.book, str(total.day), total.currency, total.type, total.status)


def recounted(lives: Iterable[Life]) -> list[Total]:
    """Return the totals of payments and their refunds, counted one by one."""
    counts: Counter[Any] = Counter()
    volumes: defaultdict[Any, Decimal] = defaultdict(Decimal)
    for life in lives:
        payment = life.payment
        day = payment.created_at.astimezone(UTC).date()
        counted = [(f"{payment.direction}s", payment.status.value, payment.amount)]
        counted += [("refunds", one.status.value, one.amount) for one in life.refunds.values()]
        for book, status, amount in counted:
            if status != "processing":
                key = (book, day, payment.currency, payment.type, status)
                counts[key] += 1
                volumes[key] += amount
    return [
        Total(book=b, day=d, currency=c, type=t, status=s, count=counts[key], volume=volumes[key])
        for key in sorted(counts)
        for b, d, c, t, s in [key]
    ]


def keys(books: Books) -> Broken:
    """Check that each key has one payment, or one refund of a payment, and a record of it.

    Records are valid for 24 hours: read later books without them.
    """
    of_payments = Counter(payment.idempotency_key for payment in books.payments)
    for key, count in of_payments.items():
        if count > 1:
            yield f"{count} payments of the key {key!r}"
    made: dict[str, Payment | Refund] = {one.id: one for one in books.payments}
    for life in books.lives.values():
        made |= life.refunds
        for key, count in Counter(one.idempotency_key for one in life.refunds.values()).items():
            if count > 1:
                yield f"{life.payment.id}: {count} refunds of the key {key!r}"
    if books.records:
        yield from _records(books.records, made)


def _records(records: Iterable[Record], made: Mapping[str, Payment | Refund]) -> Broken:
    remembered = Counter(record.resource_id for record in records)
    for one in made:
        if remembered[one] != 1:
            yield f"{one}: {remembered[one]} idempotency records"
    for record in records:
        if record.resource_id not in made:
            yield f"{record.resource_id}: a record of the key {record.key!r}, and nothing else"
            continue
        if not record.key.endswith(f"#{made[record.resource_id].idempotency_key}"):
            yield f"{record.resource_id}: remembered under the key {record.key!r}"
        yield from _differences(json.loads(record.response, parse_float=Decimal), made)


def forgotten(books: Books, bodies: Iterable[str | bytes]) -> list[str]:
    """Return what clients were told by 201 or 200 that is missing or different."""
    made: dict[str, Payment | Refund] = {one.id: one for one in books.payments}
    for life in books.lives.values():
        made |= life.refunds
    return [
        sentence
        for body in bodies
        for sentence in _differences(json.loads(body, parse_float=Decimal), made)
    ]


def _differences(told: Any, made: Mapping[str, Payment | Refund]) -> Broken:
    """Yield the differences between a stored payment or refund and its answer."""
    one = made.get(told["id"])
    if one is None:
        yield f"{told['id']}: acknowledged, and lost"
        return
    is_now = json.loads(one.model_dump_json(), parse_float=Decimal)
    for name in told.keys() - _CHANGING:
        if _plain(told[name]) != _plain(is_now[name]):
            yield f"{one.id}: told {name} {told[name]!r}, it has {is_now[name]!r}"


def _plain(value: Any) -> Any:
    """Return amounts as text: they are numbers in answers, but texts in a dump."""
    return str(value) if isinstance(value, Decimal | int) else value


def unsettled(books: Books) -> list[str]:
    """Return what is still processing, except what was created to stay so."""
    return [
        *(
            f"{one.id} is processing"
            for one in books.payments
            if one.status is Status.PROCESSING and one.metadata.get(SIMULATE) not in NEVER_SETTLED
        ),
        *(
            f"{refund.id} of {life.payment.id} is processing"
            for life in books.lives.values()
            if life.payment.metadata.get(SIMULATE_REFUND) not in NEVER_SETTLED
            for refund in life.refunds.values()
            if refund.status is RefundStatus.PROCESSING
        ),
    ]


def wrongly_settled(books: Books) -> list[str]:
    """Return what was settled although it was created to stay processing."""
    return [
        f"{one.id} asked for {one.metadata[SIMULATE]}, and is {one.status}"
        for one in books.payments
        if one.metadata.get(SIMULATE) in NEVER_SETTLED
        and one.status not in {Status.PROCESSING, Status.CANCELED}
    ]


def untold(books: Books, received: Collection[str]) -> list[str]:
    """Return deliveries that disagree with the merchant about what it accepted.

    `received` has the ids of the webhooks that the merchant accepted.
    """
    return [
        f"{life.payment.id}: the delivery of {event_of(row)} is {row['state']}, "
        f"and the merchant has {'' if event_of(row) in received else 'not '}taken it"
        for life in books.lives.values()
        for row in life.deliveries
        if (row["state"] == "delivered") is not (event_of(row) in received)
    ]


def steps(before: Life, after: Life) -> Broken:
    """Check that statuses changed legally, that no refund is gone, and no settled one changed."""
    was, is_now = before.payment.status, after.payment.status
    if was is not is_now and is_now not in NEXT[was]:
        yield f"{before.payment.id}: from {was} to {is_now}"
    for refund_id, refund in before.refunds.items():
        later = after.refunds.get(refund_id)
        if later is None:
            yield f"{refund_id}: gone"
        elif later.status is not refund.status:
            if later.status not in _NEXT_OF_REFUNDS[refund.status]:
                yield f"{refund_id}: from {refund.status} to {later.status}"
        elif refund.status is not RefundStatus.PROCESSING and _told(later) != _told(refund):
            yield f"{refund_id}: {refund.status}, and yet it became {later}"


def _told(refund: Refund) -> Any:
    """Return what the API tells of a refund, without the time, which a contradiction changes."""
    return refund.model_dump(exclude={"updated_at"})
