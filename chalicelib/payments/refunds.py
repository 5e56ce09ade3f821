"""Refunds: create, list, settle, record what a bank says.

Guarantee: the refunds of a payment, without the failed ones, never add up to more than the payment.
The transaction that creates a refund reserves its amount, and fails if less is refundable. As with
payments, one key creates one refund. It is committed before its message is sent, found by the
sweeper if the message is lost, and settled once.

    create ── commit ── message ──▶ settle ── begin ── processor ── commit
              the amount is                   │        completed: it stays refunded
              reserved                        │        failed, returned: it can be refunded again
                                              └─ its payment was returned: it fails

A refund waits until `begin`, which fails once its payment is returned: then its bank never sees it.
What has begun goes on, whatever happens to its payment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from chalicelib import idempotency
from chalicelib.aws.dynamodb import retry_on_conflict
from chalicelib.errors import (
    FieldError,
    NotFound,
    PaymentNotRefundable,
    RefundExceedsPayment,
    RefundNotReturnable,
    ValidationFailed,
)
from chalicelib.idempotency import Created, RecordExists
from chalicelib.messages import SettleRefund, enqueue
from chalicelib.payments import feed, listing
from chalicelib.payments.commands import (
    CreateRefund,
    ListOfPayment,
    ListRefunds,
    SimulateRefundReturn,
)
from chalicelib.payments.facts import Fact, Failed, FailureCode, Returned
from chalicelib.payments.models import Change, Payment, Refund, RefundList, RefundStatus
from chalicelib.payments.processor import Pending, Submitted
from chalicelib.payments.service import MAX_TRIES, Payments, return_code
from chalicelib.telemetry import log
from chalicelib.values import SYSTEM, Actor, new_id

_CREATE: Final = "create_refund"


@dataclass(frozen=True)
class Refunds:
    """The refunds of one stage. They share the repository, queue and processor of its payments."""

    payments: Payments

    def create(self, payment_id: str, command: CreateRefund, *, actor: Actor) -> Created:
        """Commit a new refund, then enqueue its message.

        Raises NotFound, ValidationFailed, PaymentNotRefundable, RefundExceedsPayment,
        IdempotencyKeyReused, Conflict or Unavailable.
        """
        payment = self.payments.get(payment_id)
        command = command.in_currency(payment.currency)
        refund_id = new_id("REF", self.payments.clock())
        created = retry_on_conflict(
            payment, lambda latest: self._commit(latest, command, refund_id, actor), tries=MAX_TRIES
        )
        if not created.replayed:
            enqueue(
                self.payments.queue,
                [SettleRefund(payment_id, created.resource_id)],
                stage=self.payments.stage,
            )
        return created

    def list_page(self, query: ListRefunds) -> listing.RefundPage:
        """Return one page of the refunds of all payments. Raises InvalidCursor or Unavailable."""
        return listing.list_refunds(self.payments.repository, query)

    def of_payment(self, payment_id: str, query: ListOfPayment) -> RefundList:
        """Return one page of refunds. Raises NotFound, InvalidCursor or Unavailable."""
        return listing.list_refunds_of_payment(self.payments.repository, payment_id, query)

    def settle(self, payment_id: str, refund_id: str) -> None:
        """Settle a processing refund once, however often this is called.

        Raises what the processor raises, Conflict or Unavailable: call again then.
        """
        refund = self.payments.repository.find_refund(payment_id, refund_id)
        if refund is None:
            # It is committed before its message is sent: a retry would not find it either.
            log("message_dropped", refund_id=refund_id, reason="there is no such refund")
            return
        if refund.status is not RefundStatus.PROCESSING:
            return
        if refund.is_waiting:
            refund = self.payments.repository.begin_refund(refund)
            if refund.status is not RefundStatus.PROCESSING:
                return
        payment = self.payments.get(payment_id)
        if refund.is_waiting:
            self._record(payment, refund, Failed(FailureCode.PAYMENT_RETURNED), SYSTEM)
            return
        match self.payments.processor.refund(refund, payment):
            case Pending():
                return
            case Submitted(expected_at):
                self.payments.repository.expect(refund, expected_at)
            case fact:
                self._record(payment, refund, fact, SYSTEM)

    def record(
        self, payment_id: str, refund_id: str, fact: Fact, *, actor: Actor = SYSTEM
    ) -> Refund:
        """Record what the bank said of a refund. No-op if it has said so before.

        Raises NotFound, Conflict or Unavailable: call again after the last two.
        """
        payment = self.payments.get(payment_id)
        refund = self.payments.repository.find_refund(payment_id, refund_id)
        if refund is None:
            raise NotFound("There is no refund with this id.")
        return self._record(payment, refund, fact, actor)

    def simulate_return(
        self, payment_id: str, command: SimulateRefundReturn, *, actor: Actor
    ) -> Refund:
        """Record that the bank returned a completed refund. No-op if it did for that code.

        Raises NotFound, ValidationFailed, PaymentNotReturnable, RefundNotReturnable, Conflict or
        Unavailable.
        """
        payment = self.payments.get(payment_id)
        fact = Returned(return_code(command.code, payment.type, for_funds=False))

        def change(latest: Payment, refund: Refund) -> Change | None:
            has_said = refund.status is RefundStatus.RETURNED and refund.bank_code == fact.bank_code
            if refund.status is not RefundStatus.COMPLETED and not has_said:
                raise RefundNotReturnable(f"The refund is {refund.status}, not completed.")
            return latest.record_refund(refund, fact, self.payments.clock(), actor=actor)

        refund = self.payments.repository.find_refund(payment_id, command.refund_id)
        if refund is None:
            raise ValidationFailed([FieldError("refund_id", "must be a refund of this payment")])
        return self._change(payment, refund, change)

    def _record(self, payment: Payment, refund: Refund, fact: Fact, actor: Actor) -> Refund:
        def change(latest: Payment, current: Refund) -> Change | None:
            return latest.record_refund(current, fact, self.payments.clock(), actor=actor)

        return self._change(payment, refund, change)

    def _change(
        self,
        payment: Payment,
        refund: Refund,
        change_of: Callable[[Payment, Refund], Change | None],
    ) -> Refund:
        """Apply `change_of` to the current payment and refund, retrying on concurrent updates.

        None means that they are as they should be.
        """

        def attempt(stored: tuple[Payment, Refund]) -> Refund:
            change = change_of(*stored)
            if change is None or change.refund is None:
                return stored[1]
            write = partial(self.payments.repository.change_refund, *stored, change)
            self.payments.commit([change], write)
            return change.refund

        return retry_on_conflict((payment, refund), attempt, tries=MAX_TRIES)

    def _commit(
        self, payment: Payment, command: CreateRefund, refund_id: str, actor: Actor
    ) -> Created:
        now = payment.next_time(self.payments.clock())
        key = idempotency.record_key(_CREATE, payment.id, command.idempotency_key)
        refund = new_refund(payment, command, refund_id, now)
        try:
            change = payment.refund(refund, now, actor=actor)
        except (PaymentNotRefundable, RefundExceedsPayment):
            # An earlier request with this key may have made this refund: then return its answer.
            existing = self.payments.repository.records.find(key, now)
            if existing is None:
                raise
            return existing.answer(refund_id, command)
        record = idempotency.record_of(command, key, refund_id, refund.to_json(), now)
        try:
            with feed.in_time([change.event], self.payments.clock, self.payments.stage):
                self.payments.repository.create_refund(payment, change, record, now)
        except RecordExists as exists:
            return exists.record.answer(refund_id, command)
        return Created(record.response, refund_id, replayed=False)


def new_refund(payment: Payment, command: CreateRefund, refund_id: str, now: datetime) -> Refund:
    """Return the requested refund. The caller checks whether it is allowed."""
    return Refund(
        id=refund_id,
        payment_id=payment.id,
        amount=payment.refundable if command.amount is None else command.amount,
        currency=payment.currency,
        reason=command.reason,
        idempotency_key=command.idempotency_key,
        status=RefundStatus.PROCESSING,
        created_at=now,
        updated_at=now,
        expected_at=None,
        completed_at=None,
        failure_code=None,
        bank_code=None,
        is_waiting=True,
    )
