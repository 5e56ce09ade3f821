"""What PayFlow does with payments: create, read, cancel, settle, give back.

Guarantee: the row is the truth and a message is a hint. A payment is committed before its
hint is sent, so a hint may be lost, repeated or late and the payment still ends once:

    create ── commit ── hint ──▶ settle ── claim ── processor ── commit
                │                  ▲
                └── hint lost? ── the sweeper finds it by its age

Knows no HTTP, no Lambda and no table layout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from chalicelib import exact_json, idempotency
from chalicelib.commands import CreatePayment, SimulateReturn
from chalicelib.errors import FieldError, NotFound, PaymentNotReturnable, ValidationFailed
from chalicelib.idempotency import Record
from chalicelib.model import (
    RETURN_CODES,
    SYSTEM,
    Change,
    Event,
    EventType,
    Payment,
    PaymentType,
    Status,
    new_id,
    with_decimals,
)
from chalicelib.processor import (
    SIMULATE,
    SIMULATE_REFUND,
    Completed,
    Failed,
    Outcome,
    Pending,
    Processor,
    check_simulation,
)
from chalicelib.queue_jobs import Queue, SettlePayment, hint
from chalicelib.store import PaymentMoved, RecordExists, Store, on_the_latest
from chalicelib.telemetry import log
from chalicelib.webhook_outbox import Outbox

_CREATE: Final = "create_payment"


class Created(NamedTuple):
    """The answer to a create request: its body, and whether it was given before."""

    body: str
    payment_id: str
    replayed: bool


@dataclass(frozen=True)
class Payments:
    """The use cases of one stage."""

    stage: str
    store: Store
    queue: Queue
    processor: Processor
    outbox: Outbox
    simulation_allowed: bool
    clock: Callable[[], datetime]

    def create(self, command: CreatePayment, *, actor: str) -> Created:
        """Commit a new payment, then send its hint.

        A lost hint is logged and left to the sweeper. Raises ValidationFailed,
        IdempotencyKeyReused, Conflict or Unavailable.
        """
        self._check_simulation(command)
        now = self.clock()
        change = opened(command, now, actor=actor)
        payment_id = change.payment.id
        record = Record(
            key=idempotency.record_key(_CREATE, "payments", command.idempotency_key),
            fingerprint=idempotency.fingerprint(command),
            resource_id=payment_id,
            response=exact_json.dumps(change.payment.model_dump()),
            expires_at_seconds=idempotency.expiry_seconds(now),
        )
        try:
            self.store.create(change, record, now)
        except RecordExists as exists:
            # A record that names our own id: an earlier try of ours had committed.
            if exists.record.resource_id != payment_id:
                body = exists.record.replay(record.fingerprint)
                return Created(body, exists.record.resource_id, replayed=True)
        hint(self.queue, SettlePayment(payment_id), stage=self.stage)
        return Created(record.response, payment_id, replayed=False)

    def get(self, payment_id: str) -> Payment:
        """Raises NotFound or Unavailable."""
        return self.store.get(payment_id)

    def cancel(self, payment_id: str, *, actor: str) -> Payment:
        """Stop a payment that no worker has claimed yet. Of the two, one is first.

        Raises NotFound, PaymentNotCancelable, Conflict or Unavailable.
        """
        return self._take(payment_id, lambda payment: payment.cancel(self.clock(), actor=actor))

    def give_back(self, payment_id: str, command: SimulateReturn, *, actor: str) -> Payment:
        """Have a bank return a completed payment late.

        Raises NotFound, ValidationFailed, PaymentNotReturnable, Conflict or Unavailable.
        """

        def step(payment: Payment) -> Change:
            code = return_code(command, payment.type)
            return payment.give_back(code, self.clock(), actor=actor)

        return self._take(payment_id, step)

    def settle(self, payment_id: str) -> None:
        """Bring a processing payment to its end, once, however often this is called.

        Raises what the processor raises, and Conflict or Unavailable: call again then.
        """
        try:
            payment = self.store.claim(payment_id, self.clock())
        except NotFound as error:
            # The row is committed before its hint is sent: a later try would not find it either.
            log("message_dropped", payment_id=payment_id, reason=error.detail)
            return
        if payment.status is not Status.PROCESSING:
            return
        change = settled(payment, self.processor.settle(payment), self.clock())
        if change is None:
            return
        deliveries = self.outbox.deliveries(change, created=payment.created_at)
        try:
            self.store.change(payment, change, deliveries)
        except PaymentMoved as moved:
            if moved.current.status is Status.PROCESSING:
                raise
            return  # another worker was faster
        self.outbox.hint(deliveries)
        log("payment_settled", payment_id=payment_id, status=change.payment.status)

    def check(self) -> None:
        """Raises Unavailable unless the tables and the queue answer."""
        self.store.check()
        self.queue.check()

    def _take(self, payment_id: str, step: Callable[[Payment], Change]) -> Payment:
        """Take `step` from where the payment stands, be it while others move it."""

        asked_at = self.clock()

        def attempt(payment: Payment) -> Payment:
            change = step(payment)
            deliveries = self.outbox.deliveries(change, created=asked_at)
            self.store.change(payment, change, deliveries)
            self.outbox.hint(deliveries)
            return change.payment

        return on_the_latest(self.store.get(payment_id), attempt)

    def _check_simulation(self, command: CreatePayment) -> None:
        for name in {SIMULATE, SIMULATE_REFUND} & command.metadata.keys():
            try:
                if not self.simulation_allowed:
                    raise ValueError("simulation is not allowed in this stage; leave it out")
                check_simulation(command.metadata[name])
            except ValueError as error:
                raise ValidationFailed([FieldError(f"metadata.{name}", str(error))]) from error


def return_code(command: SimulateReturn, rail: PaymentType) -> str:
    """The code that `rail` returns with. Raises ValidationFailed, or PaymentNotReturnable."""
    codes = RETURN_CODES.get(rail)
    if codes is None:
        raise PaymentNotReturnable(f"A payment by {rail} is final: no bank returns it.")
    code = codes.no_funds if command.code is None else command.code
    if not codes.pattern.fullmatch(code):
        raise ValidationFailed([FieldError("code", f"must be one of {codes.described}")])
    return code


def opened(command: CreatePayment, now: datetime, *, actor: str) -> Change:
    """A new payment, and the event that says so."""
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


def settled(payment: Payment, outcome: Outcome, now: datetime) -> Change | None:
    """The step that `outcome` asks for; None while the bank has not decided."""
    match outcome:
        case Completed():
            return payment.complete(now, actor=SYSTEM)
        case Failed(code):
            return payment.fail(code, now, actor=SYSTEM)
        case Pending():
            return None
