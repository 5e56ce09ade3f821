"""Payments: create, read, list, cancel, settle, record what a bank says.

Guarantee: the row is the truth, and a message only says "look at this row". A payment is committed
before its message is sent. If the message is lost, repeated or late, the payment is still settled
once:

    create ── commit ── message ──▶ settle ── mark submitted ── processor ── commit
                │                     ▲
                └── message lost? ── the sweeper finds the payment by its age

A processor may answer that the outcome comes later, and a bank may speak at any time: `record`
takes its word, in any order and any number of times.

Knows nothing of HTTP, Lambda or the table layout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from chalicelib import idempotency
from chalicelib.aws.dynamodb import Write, retry_on_conflict
from chalicelib.aws.sqs import Queue
from chalicelib.errors import FieldError, PaymentNotReturnable, ValidationFailed
from chalicelib.idempotency import Created, RecordExists
from chalicelib.messages import SettlePayment, enqueue
from chalicelib.payments import feed, listing, stats
from chalicelib.payments.commands import (
    CreatePayment,
    ListOfPayment,
    ListPayments,
    ReadFeed,
    ReadStats,
    SimulateReturn,
)
from chalicelib.payments.facts import (
    RETURN_CODES,
    Completed,
    Fact,
    Failed,
    PaymentType,
    Returned,
)
from chalicelib.payments.models import (
    Change,
    Direction,
    Event,
    EventList,
    EventType,
    Payment,
    Status,
)
from chalicelib.payments.outbox import Outbox
from chalicelib.payments.processor import Pending, Processor, Submitted
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.simulator import SIMULATE, SIMULATE_REFUND, check_simulation
from chalicelib.telemetry import count, log
from chalicelib.values import SYSTEM, Actor, new_id, with_decimals

MAX_TRIES: Final = 12
"""More than one batch of messages: all of them may be about refunds of one payment."""

_CREATE: Final = "create_payment"


@dataclass(frozen=True)
class Payments:
    """The payments of one stage."""

    stage: str
    repository: PaymentRepository
    queue: Queue
    processor: Processor
    outbox: Outbox
    simulation_allowed: bool
    clock: Callable[[], datetime]
    feed_behind: timedelta = feed.BEHIND

    def create(self, command: CreatePayment, *, actor: Actor) -> Created:
        """Commit a new payment, then enqueue its message.

        Raises ValidationFailed, IdempotencyKeyReused, Conflict or Unavailable.
        """
        self._check_simulation(command)
        now = self.clock()
        change = new_payment(command, now, actor=actor)
        payment_id = change.payment.id
        key = idempotency.record_key(_CREATE, "payments", command.idempotency_key)
        record = idempotency.record_of(command, key, payment_id, change.payment.to_json(), now)
        created = Created(record.response, payment_id, replayed=False)
        try:
            with feed.in_time([change.event], self.clock, self.stage):
                self.repository.create(change, record, now)
        except RecordExists as exists:
            created = exists.record.answer(payment_id, command)
        if not created.replayed:
            enqueue(self.queue, [SettlePayment(payment_id)], stage=self.stage)
        return created

    def get(self, payment_id: str) -> Payment:
        """Return the payment, as of the last write. Raises NotFound or Unavailable."""
        payment = self.repository.find(payment_id)
        if payment is None:
            raise listing.not_found()
        return payment

    def list_page(self, query: ListPayments) -> listing.Page:
        """Return one page, newest first. Raises InvalidCursor or Unavailable."""
        return listing.list_payments(self.repository, query)

    def events(self, payment_id: str, query: ListOfPayment) -> EventList:
        """Return one page of events. Raises NotFound, InvalidCursor or Unavailable."""
        return listing.list_events(self.repository, payment_id, query)

    def feed(self, query: ReadFeed) -> feed.Feed:
        """Return the events after a cursor. Raises InvalidCursor or Unavailable."""
        return feed.read(self.repository, query, self.clock(), behind=self.feed_behind)

    def stats(self, query: ReadStats) -> stats.Stats:
        """Return the totals of a range of days. Raises ValidationFailed or Unavailable."""
        return stats.read(self.repository, query, self.clock())

    def cancel(self, payment_id: str, *, actor: Actor) -> Payment:
        """Cancel a payment that no worker has submitted yet. No-op if it is canceled.

        Raises NotFound, PaymentNotCancelable, Conflict or Unavailable.
        """

        def change(payment: Payment) -> Change | None:
            if payment.status is Status.CANCELED:
                return None
            return payment.cancel(self.clock(), actor=actor)

        return self._change(self.get(payment_id), change)

    def record(self, payment_id: str, fact: Fact, *, actor: Actor = SYSTEM) -> Payment:
        """Record what the bank said of a payment. No-op if it has said so before.

        Raises NotFound, Conflict or Unavailable: call again after the last two.
        """
        return self.record_outcome(self.get(payment_id), fact, actor=actor)

    def simulate_return(self, payment_id: str, command: SimulateReturn, *, actor: Actor) -> Payment:
        """Record that the bank returned a completed payment. No-op if it did for that code.

        Raises NotFound, ValidationFailed, PaymentNotReturnable, Conflict or Unavailable.
        """

        def change(payment: Payment) -> Change | None:
            is_debit = payment.direction is Direction.DEBIT
            fact = Returned(return_code(command.code, payment.type, for_funds=is_debit))
            has_said = payment.status is Status.RETURNED and payment.bank_code == fact.bank_code
            if payment.status is not Status.COMPLETED and not has_said:
                raise PaymentNotReturnable(f"The payment is {payment.status}, not completed.")
            return payment.record(fact, self.clock(), actor=actor)

        return self._change(self.get(payment_id), change)

    def settle(self, payment_id: str) -> None:
        """Settle a processing payment once, however often this is called.

        Raises what the processor raises, Conflict or Unavailable: call again then.
        """
        payment = self.repository.mark_submitted(payment_id, self.clock())
        if payment is None:
            # The row is committed before its message is sent: a retry would not find it either.
            log("message_dropped", payment_id=payment_id, reason="there is no such payment")
            return
        if payment.status is Status.PROCESSING and (fact := self.ask(payment)):
            self.record_outcome(payment, fact)

    def ask(self, payment: Payment) -> Completed | Failed | None:
        """Ask the processor of a payment that is marked as submitted; None if it cannot tell yet.

        Raises what the processor raises, or Unavailable.
        """
        match self.processor.settle(payment):
            case Pending():
                return None
            case Submitted(expected_at):
                self.repository.expect(payment, expected_at)
                return None
            case fact:
                return fact

    def check(self) -> None:
        """Raise Unavailable unless the tables and the queue answer."""
        self.repository.check()
        self.queue.check()

    def record_outcome(self, payment: Payment, fact: Fact, *, actor: Actor = SYSTEM) -> Payment:
        """Record what was said of a payment that is read already, as `record` does.

        Raises Conflict or Unavailable.
        """
        return self._change(payment, lambda latest: latest.record(fact, self.clock(), actor=actor))

    def _change(self, latest: Payment, change_of: Callable[[Payment], Change | None]) -> Payment:
        """Apply `change_of` to the current payment, retrying on concurrent updates.

        None means that it is as it should be.
        """

        def attempt(payment: Payment) -> Payment:
            change = change_of(payment)
            if change is None:
                return payment
            self.commit([change], partial(self.repository.change, payment, change))
            return change.payment

        return retry_on_conflict(latest, attempt, tries=MAX_TRIES)

    def commit(self, changes: Sequence[Change], write: Callable[[Sequence[Write]], None]) -> None:
        """Write changes together with their deliveries, then send these and log the changes.

        `write` is given the rows of the deliveries. Raises what it raises, or Unavailable.
        """
        outgoing = self.outbox.prepare(changes)
        with feed.in_time([change.event for change in changes], self.clock, self.stage):
            write(outgoing.writes)
        self.outbox.enqueue(outgoing)
        for change in changes:
            about = {"refund_id": change.refund.id} if change.refund else {}
            log("changed", event=change.event.type, payment_id=change.payment.id, **about)
            if change.event.data.fact is not None:
                count(self.stage, BankContradictions=1)

    def _check_simulation(self, command: CreatePayment) -> None:
        for name in {SIMULATE, SIMULATE_REFUND} & command.metadata.keys():
            try:
                if not self.simulation_allowed:
                    raise ValueError("simulation is not allowed in this stage; leave it out")
                check_simulation(command.metadata[name])
            except ValueError as error:
                raise ValidationFailed([FieldError(f"metadata.{name}", str(error))]) from error


def return_code(code: str | None, rail: PaymentType, *, for_funds: bool) -> str:
    """Return the code of a return by `rail`, by default for missing funds or a missing account.

    Raises ValidationFailed or PaymentNotReturnable.
    """
    codes = RETURN_CODES.get(rail)
    if codes is None:
        raise PaymentNotReturnable(f"A payment by {rail} is final: no bank returns it.")
    if code is None:
        return codes.no_funds if for_funds else codes.no_account
    if not codes.pattern.fullmatch(code):
        raise ValidationFailed([FieldError("code", f"must be one of {codes.described}")])
    return code


def new_payment(command: CreatePayment, now: datetime, *, actor: Actor) -> Change:
    """Return a new payment and its event."""
    nothing = with_decimals(Decimal(0), command.currency)
    payment = Payment(
        id=new_id("PAY", now),
        **command.model_dump(),
        status=Status.PROCESSING,
        created_at=now,
        updated_at=now,
        expected_at=None,
        completed_at=None,
        failure_code=None,
        bank_code=None,
        amount_returned=nothing,
        amount_refunded=nothing,
        refundable=nothing,
        refunds_processing=0,
        version=1,
        submitted_at=None,
    )
    return Change(payment, Event.of(payment, EventType.PAYMENT_CREATED, now, actor))
