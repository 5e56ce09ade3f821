"""Refunds: create, list, settle.

Guarantee: the refunds of a payment, without the failed ones, never add up to more than the payment.
The transaction that creates a refund reserves its amount, and fails if less is refundable. As with
payments, one key creates one refund. It is committed before its message is sent, found by the
sweeper if the message is lost, and settled once.

    create ── commit ── message ──▶ settle ── processor ── commit
              the amount is         completed: it stays refunded
              reserved              failed: it can be refunded again

A refund is not marked as submitted before the processor is called, because it cannot be canceled.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib import idempotency
from chalicelib.aws.dynamodb import retry_on_conflict
from chalicelib.errors import PaymentNotRefundable, RefundExceedsPayment
from chalicelib.idempotency import Created, RecordExists
from chalicelib.messages import SettleRefund, enqueue
from chalicelib.payments import listing
from chalicelib.payments.commands import CreateRefund, ListOfPayment
from chalicelib.payments.models import Change, Payment, Refund, RefundList, RefundStatus, Status
from chalicelib.payments.processor import Completed, Failed, Pending
from chalicelib.payments.repository import RefundSettled
from chalicelib.payments.service import MAX_TRIES, Payments
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

    def all(self, payment_id: str, query: ListOfPayment) -> RefundList:
        """Return one page of refunds. Raises NotFound, InvalidCursor or Unavailable."""
        return listing.list_refunds(self.payments.repository, payment_id, query)

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
        payment = self.payments.get(payment_id)
        outcome = self.payments.processor.refund(refund, payment)
        if isinstance(outcome, Pending):
            return
        try:
            change = retry_on_conflict(
                payment, lambda latest: self._settle(latest, refund, outcome), tries=MAX_TRIES
            )
        except RefundSettled:
            return  # another worker was faster
        log("refund_settled", refund_id=refund_id, payment_id=payment_id, event=change.event.type)

    def _commit(
        self, payment: Payment, command: CreateRefund, refund_id: str, actor: Actor
    ) -> Created:
        now = self.payments.clock()
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
            self.payments.repository.create_refund(payment, change, record, now)
        except RecordExists as exists:
            return exists.record.answer(refund_id, command)
        return Created(record.response, refund_id, replayed=False)

    def _settle(self, payment: Payment, refund: Refund, outcome: Completed | Failed) -> Change:
        if payment.status is not Status.COMPLETED:
            # It was returned after the read. A return waits for refunds, so this one is settled.
            raise RefundSettled(refund.id)
        now = self.payments.clock()
        match outcome:
            case Completed():
                change = payment.complete_refund(refund, now, actor=SYSTEM)
            case Failed(code):
                change = payment.fail_refund(refund, code, now, actor=SYSTEM)
        outgoing = self.payments.outbox.prepare(change)
        self.payments.repository.settle_refund(payment, refund, change, outgoing.writes)
        self.payments.outbox.enqueue(outgoing)
        return change


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
        completed_at=None,
        failure_code=None,
    )
