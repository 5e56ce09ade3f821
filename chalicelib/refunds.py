"""What PayFlow does with refunds: create, settle.

Guarantee: the refunds of a payment that have not failed never add up to more than the payment,
however many are asked for at once: each sets its amount aside in the transaction that creates
it, on the condition that so much is left. What else is true of payments is true of refunds: one
key makes one, and each is committed before its hint is sent, found by the sweeper, and ends once.

    create ── commit ── hint ──▶ settle ── processor ── commit
              amount is set       completed: it stays so
              aside               failed: it can be refunded again

A refund is not claimed before its processor is asked, since nothing can cancel it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from chalicelib import exact_json, idempotency
from chalicelib.commands import CreateRefund
from chalicelib.errors import NotFound, PaymentNotRefundable, RefundExceedsPayment
from chalicelib.idempotency import Record
from chalicelib.model import SYSTEM, Change, Payment, Refund, RefundStatus, Status, new_id
from chalicelib.processor import Completed, Failed, Pending, Processor
from chalicelib.queue_jobs import Queue, SettleRefund, hint
from chalicelib.store import RecordExists, RefundSettled, Store, on_the_latest
from chalicelib.telemetry import log
from chalicelib.webhook_outbox import Outbox

_CREATE: Final = "create_refund"


class Created(NamedTuple):
    """The answer to a request for a refund: its body, and whether it was given before."""

    body: str
    refund_id: str
    replayed: bool


@dataclass(frozen=True)
class Refunds:
    """The use cases of one stage."""

    stage: str
    store: Store
    queue: Queue
    processor: Processor
    outbox: Outbox
    clock: Callable[[], datetime]

    def create(self, payment_id: str, command: CreateRefund, *, actor: str) -> Created:
        """Commit a new refund, then send its hint.

        A lost hint is logged and left to the sweeper. Raises NotFound, ValidationFailed,
        PaymentNotRefundable, RefundExceedsPayment, IdempotencyKeyReused, Conflict or Unavailable.
        """
        payment = self.store.get(payment_id)
        wanted = command.in_currency(payment.currency)
        refund_id = new_id("REF", self.clock())
        created = on_the_latest(
            payment, lambda latest: self._commit(latest, wanted, refund_id, actor)
        )
        if not created.replayed:
            hint(self.queue, SettleRefund(payment_id, created.refund_id), stage=self.stage)
        return created

    def settle(self, payment_id: str, refund_id: str) -> None:
        """Bring a processing refund to its end, once, however often this is called.

        Raises what the processor raises, and Conflict or Unavailable: call again then.
        """
        try:
            refund = self.store.get_refund(payment_id, refund_id)
        except NotFound as error:
            # It is committed before its hint is sent: a later try would not find it either.
            log("message_dropped", refund_id=refund_id, reason=error.detail)
            return
        if refund.status is not RefundStatus.PROCESSING:
            return
        payment = self.store.get(payment_id)
        outcome = self.processor.refund(refund, payment)
        if isinstance(outcome, Pending):
            return
        try:
            change = on_the_latest(payment, lambda latest: self._finish(latest, refund, outcome))
        except RefundSettled:
            return  # another worker was faster
        log("refund_settled", refund_id=refund_id, payment_id=payment_id, event=change.event.type)

    def _commit(
        self, payment: Payment, command: CreateRefund, refund_id: str, actor: str
    ) -> Created:
        now = self.clock()
        key = idempotency.record_key(_CREATE, payment.id, command.idempotency_key)
        fingerprint = idempotency.fingerprint(command)
        refund = asked_for(payment, command, refund_id, now)
        try:
            change = payment.refund(refund, now, actor=actor)
        except (PaymentNotRefundable, RefundExceedsPayment):
            # What the key has done may be the very reason; then its answer stands.
            record = self.store.find_record(key, now)
            if record is None:
                raise
            return _answer(record, refund_id, fingerprint)
        record = Record(
            key=key,
            fingerprint=fingerprint,
            resource_id=refund_id,
            response=exact_json.dumps(refund.model_dump()),
            expires_at_seconds=idempotency.expiry_seconds(now),
        )
        try:
            self.store.create_refund(payment, change, record, now)
        except RecordExists as exists:
            record = exists.record
        return _answer(record, refund_id, fingerprint)

    def _finish(self, payment: Payment, refund: Refund, outcome: Completed | Failed) -> Change:
        if payment.status is not Status.COMPLETED:
            # It was returned since the refund was read, which waits until none is processing.
            raise RefundSettled(refund.id)
        now = self.clock()
        match outcome:
            case Completed():
                change = payment.complete_refund(refund, now, actor=SYSTEM)
            case Failed(code):
                change = payment.fail_refund(refund, code, now, actor=SYSTEM)
        deliveries = self.outbox.deliveries(change, created=refund.created_at)
        self.store.settle_refund(payment, refund, change, deliveries)
        self.outbox.hint(deliveries)
        return change


def _answer(record: Record, refund_id: str, fingerprint: str) -> Created:
    """What a request for `refund_id` is answered. A record that names it is its own."""
    if record.resource_id == refund_id:
        return Created(record.response, refund_id, replayed=False)
    return Created(record.replay(fingerprint), record.resource_id, replayed=True)


def asked_for(payment: Payment, command: CreateRefund, refund_id: str, now: datetime) -> Refund:
    """The refund that `command` wants of `payment` as it stands; whether it can be is not asked."""
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
