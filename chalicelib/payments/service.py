"""Payments: create, read, list, cancel, settle, record a return.

Guarantee: the row is the truth, and a message only says "look at this row". A payment is committed
before its message is sent. If the message is lost, repeated or late, the payment is still settled
once:

    create ── commit ── message ──▶ settle ── mark submitted ── processor ── commit
                │                     ▲
                └── message lost? ── the sweeper finds the payment by its age

Knows nothing of HTTP, Lambda or the table layout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from chalicelib import idempotency
from chalicelib.aws.dynamodb import StaleVersion, retry_on_conflict
from chalicelib.aws.sqs import Queue
from chalicelib.errors import FieldError, PaymentNotReturnable, ValidationFailed
from chalicelib.idempotency import Created, RecordExists
from chalicelib.messages import SettlePayment, enqueue
from chalicelib.payments import listing, stats
from chalicelib.payments.commands import (
    CreatePayment,
    ListOfPayment,
    ListPayments,
    ReadStats,
    SimulateReturn,
)
from chalicelib.payments.models import (
    RETURN_CODES,
    Change,
    Event,
    EventList,
    EventType,
    Payment,
    PaymentType,
    Status,
)
from chalicelib.payments.outbox import Outbox
from chalicelib.payments.processor import Completed, Failed, Outcome, Pending, Processor
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.simulator import SIMULATE, SIMULATE_REFUND, check_simulation
from chalicelib.telemetry import log
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

        return self._change(payment_id, change)

    def record_return(self, payment_id: str, command: SimulateReturn, *, actor: Actor) -> Payment:
        """Record that the payer's bank returned a completed payment.

        No-op if it is returned for that code already.

        Raises NotFound, ValidationFailed, PaymentNotReturnable, Conflict or Unavailable.
        """

        def change(payment: Payment) -> Change | None:
            code = return_code(command, payment.type)
            if (payment.status, payment.failure_code) == (Status.RETURNED, code):
                return None
            return payment.record_return(code, self.clock(), actor=actor)

        return self._change(payment_id, change)

    def settle(self, payment_id: str) -> None:
        """Settle a processing payment once, however often this is called.

        Raises what the processor raises, Conflict or Unavailable: call again then.
        """
        payment = self.repository.mark_submitted(payment_id, self.clock())
        if payment is None:
            # The row is committed before its message is sent: a retry would not find it either.
            log("message_dropped", payment_id=payment_id, reason="there is no such payment")
            return
        if payment.status is not Status.PROCESSING:
            return
        change = settle(payment, self.processor.settle(payment), self.clock())
        if change is None:
            return
        outgoing = self.outbox.prepare(change)
        try:
            self.repository.change(payment, change, outgoing.writes)
        except StaleVersion as stale:
            if stale.current.status is Status.PROCESSING:
                raise
            return  # another worker was faster
        self.outbox.enqueue(outgoing)
        log("payment_settled", payment_id=payment_id, status=change.payment.status)

    def check(self) -> None:
        """Raise Unavailable unless the tables and the queue answer."""
        self.repository.check()
        self.queue.check()

    def _change(self, payment_id: str, change_of: Callable[[Payment], Change | None]) -> Payment:
        """Apply `change_of` to the current payment, retrying on concurrent updates.

        None means that it is as it should be.
        """

        def attempt(payment: Payment) -> Payment:
            change = change_of(payment)
            if change is None:
                return payment
            outgoing = self.outbox.prepare(change)
            self.repository.change(payment, change, outgoing.writes)
            self.outbox.enqueue(outgoing)
            return change.payment

        return retry_on_conflict(self.get(payment_id), attempt, tries=MAX_TRIES)

    def _check_simulation(self, command: CreatePayment) -> None:
        for name in {SIMULATE, SIMULATE_REFUND} & command.metadata.keys():
            try:
                if not self.simulation_allowed:
                    raise ValueError("simulation is not allowed in this stage; leave it out")
                check_simulation(command.metadata[name])
            except ValueError as error:
                raise ValidationFailed([FieldError(f"metadata.{name}", str(error))]) from error


def return_code(command: SimulateReturn, rail: PaymentType) -> str:
    """Return the code for a return by `rail`. Raises ValidationFailed or PaymentNotReturnable."""
    codes = RETURN_CODES.get(rail)
    if codes is None:
        raise PaymentNotReturnable(f"A payment by {rail} is final: no bank returns it.")
    code = codes.no_funds if command.code is None else command.code
    if not codes.pattern.fullmatch(code):
        raise ValidationFailed([FieldError("code", f"must be one of {codes.described}")])
    return code


def new_payment(command: CreatePayment, now: datetime, *, actor: Actor) -> Change:
    """Return a new payment and its event."""
    payment = Payment(
        id=new_id("PAY", now),
        **command.model_dump(),
        status=Status.PROCESSING,
        created_at=now,
        updated_at=now,
        completed_at=None,
        failure_code=None,
        amount_refunded=with_decimals(Decimal(0), command.currency),
        refundable=with_decimals(Decimal(0), command.currency),
        refunds_processing=0,
        version=1,
        submitted_at=None,
    )
    return Change(payment, Event.of(payment, EventType.PAYMENT_CREATED, now, actor))


def settle(payment: Payment, outcome: Outcome, now: datetime) -> Change | None:
    """Return the change for `outcome`; None while the bank has not decided."""
    match outcome:
        case Completed():
            return payment.complete(now, actor=SYSTEM)
        case Failed(code):
            return payment.fail(code, now, actor=SYSTEM)
        case Pending():
            return None
