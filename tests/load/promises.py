"""What must be true when all is done: clients, merchants, tables, queues and logs agree.

Each check gives sentences about what is not so, as those of tests/invariants.py, and there are no
sentences when there is nothing to say.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from chalicelib.aws.dynamodb import EARLIEST, LATEST
from chalicelib.messages import Deliver, SettlePayment, SettleRefund, decode
from chalicelib.payments.models import Book, Total
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.simulator import SIMULATE, SIMULATE_REFUND
from chalicelib.sweeper import _walk
from infra.local.webhook_receiver import Received
from tests.invariants import (
    Books,
    forgotten,
    keys,
    of_lives,
    read,
    recounted,
    scan,
    totals,
    untold,
    wrongly_settled,
)
from tests.load.ledger import Effect, Ledger
from tests.load.stack import Stack

Broken = Iterator[str]
_WORKERS_MAY_RETRY: Final = ("Conflict:", "StaleVersion:", "Throttled:", "Unavailable:")
_MEANT: Final = "SimulatedOutage:"


@dataclass
class Found:
    """The books of the run, and what the merchant got."""

    books: Books
    received: Sequence[Received] = ()

    @property
    def pending_deliveries(self) -> list[str]:
        return [
            row["SK"]
            for life in self.books.lives.values()
            for row in life.deliveries
            if row["state"] == "pending"
        ]


@dataclass
class Said:
    """What the API's and the worker's logs hold that is no request and no success."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    put_back: set[str] = field(default_factory=set)
    """The ids of messages that met an outage or a conflict."""
    messages_resent: int = 0
    late: set[str] = field(default_factory=set)
    """The ids of events that were committed later than the feed waits for them."""


def look(stack: Stack) -> Found:
    """Read both tables, whole, as only a test may."""
    tables = (stack.payments_table, stack.idempotency_table)
    return Found(read(*(scan(stack.dynamodb, table) for table in tables)))


def broken_promises(stack: Stack, ledger: Ledger, found: Found, said: Said) -> list[str]:
    """Of everything but what was answered, what is in the logs, and what the API reads back."""
    return [
        *of_lives(found.books),
        *totals(found.books),
        *keys(found.books),
        *wrongly_settled(found.books),
        *told_otherwise(ledger, found.books),
        *not_asked_for(ledger, found.books),
        *seen_otherwise(ledger, found.books),
        *told_to_merchants(found),
        *unfindable(stack, found.books),
        *dead_letters(stack, found.books, said),
    ]


def told_otherwise(ledger: Ledger, books: Books) -> Broken:
    """One key had one answer, and what it told of is there as it was told and asked for."""
    for effect in ledger.effects.values():
        key = effect.request.makes
        if len(set(effect.bodies)) > 1:
            yield f"key {key}: {len(set(effect.bodies))} different answers"
        if effect.made > 1:
            yield f"key {key}: {effect.made} answers of 201"
        if effect.bodies:
            yield from _not_as_asked(effect)
    bodies = {body for effect in ledger.effects.values() for body in effect.bodies}
    yield from forgotten(books, bodies)


def _not_as_asked(effect: Effect) -> Broken:
    told = json.loads(effect.bodies[0], parse_float=Decimal)
    for name, asked in (effect.request.body or {}).items():
        if str(told[name]) != str(asked):
            yield f"{told['id']}: asked for {name} {asked!r}, told {told[name]!r}"


def not_asked_for(ledger: Ledger, books: Books) -> Broken:
    """What is there was asked for, so; and what was refused for good is not there."""
    for life in books.lives.values():
        refunds: list[tuple[str | None, Any]]
        refunds = [(life.payment.id, refund) for refund in life.refunds.values()]
        for payment_id, one in [(None, life.payment), *refunds]:
            effect = ledger.effects.get((payment_id, one.idempotency_key))
            if effect is None:
                yield f"{one.id}: nobody asked for the key {one.idempotency_key!r}"
            elif not effect.bodies and effect.refusals and effect.sent == 1:
                yield f"{one.id}: is there, and was refused: {effect.refusals}"
            elif effect.request.body and "amount" in effect.request.body:
                asked = Decimal(effect.request.body["amount"])
                if asked != one.amount:
                    yield f"{one.id}: asked for {asked}, it is of {one.amount}"


def seen_otherwise(ledger: Ledger, books: Books) -> Broken:
    """What a client once saw as final stayed so, but for a bank's late return."""
    for payment_id, seen in ledger.statuses.items():
        life = books.lives.get(payment_id)
        if life is None:
            yield f"{payment_id}: was read, and is not there"
            continue
        status = life.payment.status.value
        before = {"processing", status} | ({"completed"} if status == "returned" else set())
        if not set(seen) <= before:
            yield f"{payment_id}: was seen as {seen}, and is {status}"


def told_to_merchants(found: Found) -> Broken:
    """Every outcome has arrived, signed, under one id; and nothing else has."""
    ids: dict[str, set[str]] = {}
    for one in found.received:
        if not one.verified:
            yield f"webhook {one.webhook_id}: its signature does not verify"
        ids.setdefault(one.body, set()).add(str(one.webhook_id))
    for body, under in ids.items():
        if len(under) > 1:
            yield f"{body[:200]}: arrived under {len(under)} ids"
    verified = {str(one.webhook_id) for one in found.received if one.verified}
    yield from untold(found.books, verified)
    events = {event.id for life in found.books.lives.values() for event in life.events}
    for webhook_id in verified - events:
        yield f"webhook {webhook_id}: tells of no event"


def unfindable(stack: Stack, books: Books) -> Broken:
    """What is processing is where the sweeper asks for it, and nothing else of ours is."""
    repository = PaymentRepository(
        stack.dynamodb,
        payments_table=stack.payments_table,
        idempotency_table=stack.idempotency_table,
    )
    payments = {entry.payment_id for entry in _walk(repository.processing, EARLIEST, LATEST)}
    refunds = {entry.refund_id for entry in _walk(repository.processing_refunds, EARLIEST, LATEST)}
    statuses: dict[str, str] = {}
    for life in books.lives.values():
        statuses[life.payment.id] = life.payment.status
        statuses |= {refund.id: refund.status for refund in life.refunds.values()}
    for one, status in statuses.items():
        if (status == "processing") is not (one in payments | refunds):
            yield f"{one}: is {status}, unlike in the index that the sweeper asks"


def dead_letters(stack: Stack, books: Books, said: Said) -> Broken:
    """Only what has asked for a processor that breaks has ended there, or met an outage at each
    try: for that the sweeper has sent another message.
    """
    for queue in ("webhooks", "deliveries"):
        for message_id, body in stack.dead_letters(queue).items():
            if _asked_for_an_error(body, books):
                continue
            if message_id not in said.put_back:
                yield f"dead letter queue of {queue}: {body}"
            said.counts["dead letters of an outage, settled by another message"] += 1


def _asked_for_an_error(body: str, books: Books) -> bool:
    match decode(body):
        case SettlePayment(payment_id):
            name = SIMULATE
        case SettleRefund(payment_id, _):
            name = SIMULATE_REFUND
        case Deliver():
            return False
    life = books.lives.get(payment_id)
    return life is not None and life.payment.metadata.get(name) == "error"


def stats_otherwise(answer: Any, books: Books) -> Broken:
    """What GET /v1/stats counts of today and yesterday is what a recount comes to."""
    by_book = {Book.DEBITS: "rows", Book.CREDITS: "credits", Book.REFUNDS: "refunds"}
    told = {
        Total.model_validate(row | {"book": book})
        for book, name in by_book.items()
        for row in answer[name]
    }
    for total in told ^ set(recounted(books.lives.values())):
        yield f"/v1/stats {'says' if total in told else 'does not say'} {total}"


def listed_otherwise(ids: Sequence[str], books: Books) -> Broken:
    """The list, walked by its cursors, has every payment once, and no other."""
    for payment_id, count in Counter(ids).items():
        if count > 1:
            yield f"{payment_id}: is listed {count} times"
    for payment_id in set(ids) ^ books.lives.keys():
        is_there = payment_id in books.lives
        yield f"{payment_id}: {'is' if is_there else 'is not'} there, unlike in the list"


def followed_otherwise(ids: Sequence[str], books: Books, said: Said) -> Broken:
    """The feed told of every event once, but for those that were counted as late."""
    for event_id, count in Counter(ids).items():
        if count > 1:
            yield f"{event_id}: the feed told of it {count} times"
    events = {event.id for life in books.lives.values() for event in life.events}
    for event_id in (events ^ set(ids)) - said.late:
        yield f"{event_id}: {'is' if event_id in events else 'is not'} there, unlike in the feed"


def overslept(found: Found, said: Said, now: datetime, unit: timedelta) -> Broken:
    """The sweeper has sent messages again for what a bank has long left undecided."""
    long_ago = now - 4 * unit
    waiting = [
        one
        for one in found.books.payments
        if one.status == "processing" and one.created_at < long_ago
    ]
    if waiting and not said.messages_resent:
        yield f"{len(waiting)} payments wait for their banks, and the sweeper sent no message again"


def said_in_logs(stack: Stack) -> Said:
    """A trace in the API's log is a bug. A worker may fail, and try again, where that is meant."""
    said = Said()
    for line in _lines(stack.local.log_of("infra.local.server"), said):
        if "trace" in line or "Traceback" in str(line):
            said.wrong.append(f"the API's log: {line}")
        elif line.get("kind") == "enqueue_failed":
            said.counts["messages lost by the API, found by the sweeper"] += 1
    for line in _lines(stack.local.log_of("infra.local.worker"), said):
        said.messages_resent += line.get("MessagesResent", 0)
        error = str(line.get("error", ""))
        if line.get("kind") in {"poll_failed", "sweep_failed"}:
            said.counts[f"{line['kind']} ({error.split(':')[0]}), tried again"] += 1
        elif error.startswith(_MEANT):
            said.counts["processor broken, as asked"] += 1
        elif line.get("kind") == "message_failed" and error.startswith(_WORKERS_MAY_RETRY):
            said.counts[f"messages put back ({error.split(':')[0]})"] += 1
            said.put_back.add(line["message_id"])
        elif "trace" in line:
            said.wrong.append(f"the worker's log: {line}")
    return said


def _lines(file: Path, said: Said) -> Iterator[dict[str, Any]]:
    with file.open(errors="replace") as log:
        for text in log:
            try:
                line = json.loads(text)
            except ValueError:
                said.wrong.append(f"{file.name}: {text.rstrip()}")
                continue
            if line.get("kind") == "event_late":
                said.late.add(line["event_id"])
            yield line
