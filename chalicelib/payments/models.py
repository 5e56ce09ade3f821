"""Payments, refunds and events: frozen records and their legal changes. Pure.

Guarantee: only the changes below are possible, and each has exactly one event. This module uses no
clock, no environment and no AWS: the caller passes `now`, and a method returns the whole change.

    payment   processing ──┬─▶ completed ──▶ returned
                           ├─▶ failed
                           └─▶ canceled

    refund    processing ──┬─▶ completed ──▶ returned        created of a completed debit only
                           └─▶ failed

What a bank says is never refused (`Payment.record`, `Payment.record_refund`). What it has said
before changes nothing. What does not fit changes no status: it is an event of its own.

The time of a change is later than that of the change before, whatever the clocks say. An event
holds every field that changes: with the fields that do not, it tells the state after it.

A return takes the whole amount of a payment, whatever was refunded; refunds that are with their
bank go on. amount_refunded is the sum of the refunds that are processing or completed. refundable
is amount - amount_refunded while a debit is completed, and otherwise 0.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from pydantic import ConfigDict, Field, computed_field

from chalicelib import errors, exact_json
from chalicelib.payments.facts import (
    Completed,
    Fact,
    Failed,
    FailureCode,
    PaymentType,
    Returned,
    failure_code_of,
)
from chalicelib.schema import Schema
from chalicelib.values import (
    PAYMENT_ID,
    REFUND_ID,
    Actor,
    Amount,
    Currency,
    Day,
    Timestamp,
    new_id,
    with_decimals,
)

_TICK: Final = timedelta(microseconds=1)
MAX_VERSION: Final = 2_000
"""A payment with this many changes takes no new refund: its events must fit into one answer."""


class Direction(StrEnum):
    """Which way the money of a payment goes."""

    DEBIT = "debit"
    """It is collected."""
    CREDIT = "credit"
    """It is paid out."""


class Status(StrEnum):
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    RETURNED = "returned"


class RefundStatus(StrEnum):
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    RETURNED = "returned"


class EventType(StrEnum):
    PAYMENT_CREATED = "payment.created"
    PAYMENT_COMPLETED = "payment.completed"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELED = "payment.canceled"
    PAYMENT_RETURNED = "payment.returned"
    PAYMENT_CONTRADICTED = "payment.contradicted"
    """Its bank said what does not fit its status, which stays as it is."""
    REFUND_CREATED = "refund.created"
    REFUND_COMPLETED = "refund.completed"
    REFUND_FAILED = "refund.failed"
    REFUND_RETURNED = "refund.returned"
    REFUND_CONTRADICTED = "refund.contradicted"


class Payment(Schema):
    """A payment as the API shows it; the last fields are internal."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^{PAYMENT_ID.pattern}$")
    merchant: str
    amount: Amount
    currency: Currency
    type: PaymentType
    direction: Direction = Field(
        description="`debit`: the money is collected; `credit`: it is paid out"
    )
    idempotency_key: str
    description: str | None
    metadata: dict[str, str]
    status: Status
    created_at: Timestamp
    updated_at: Timestamp
    expected_at: Timestamp | None = Field(
        description="when its outcome is expected, if its bank said so; null once it is settled"
    )
    completed_at: Timestamp | None = Field(description="when it reached `completed`")
    failure_code: str | None = Field(description="why it failed, or the bank's code for its return")
    bank_code: str | None = Field(
        description="the bank's own code for the failure or the return, as it came"
    )
    amount_returned: Amount = Field(
        description="what its bank took back: all of `amount` once it is returned, whatever was "
        "refunded; before version 0.3, what was not refunded"
    )
    amount_refunded: Amount = Field(
        description="the sum of its refunds that are processing or completed; the rest of "
        "`amount` can be refunded while the payment is completed"
    )

    version: int = Field(
        description="counts the changes of the payment: of two of its states, the one with the "
        "higher version is newer; it is the `seq` of the newest event"
    )

    refundable: Decimal = Field(
        exclude=True, description="the rest of `amount`; 0 unless it is a completed debit"
    )
    refunds_processing: int = Field(
        exclude=True, description="for versions before 0.3, in which a return waits for them"
    )
    submitted_at: Timestamp | None = Field(
        exclude=True, description="when a worker first submitted it"
    )
    contradictions: tuple[str, ...] = Field(
        default=(), exclude=True, description="what its bank said that did not fit"
    )

    @computed_field(  # type: ignore[prop-decorator]
        description="why its bank returned it, as a failure code; null unless it is returned"
    )
    @property
    def return_reason(self) -> FailureCode | None:
        if self.status is not Status.RETURNED or self.bank_code is None:
            return None
        return failure_code_of(self.bank_code)

    def next_time(self, now: datetime) -> datetime:
        """Return the time of a change that is made `now`: later than that of the last one."""
        return max(now, self.updated_at + _TICK)

    def record(self, fact: Fact, now: datetime, *, actor: Actor) -> "Change | None":
        """Record what the bank said of this payment. None if it has said so before.

        Never refused: a fact that does not fit is an event of its own. A return of a payment that
        is processing means that the money will not arrive.
        """
        now = self.next_time(now)
        match self.status, fact:
            case Status.PROCESSING, Completed():
                return self._change_status(
                    Status.COMPLETED,
                    now,
                    actor,
                    completed_at=now,
                    refundable=self._left(Status.COMPLETED, self.amount_refunded),
                )
            case Status.PROCESSING, Failed() | Returned():
                return self._change_status(
                    Status.FAILED, now, actor, failure_code=fact.code, bank_code=fact.bank_code
                )
            case Status.COMPLETED, Returned():
                return self._change_status(
                    Status.RETURNED,
                    now,
                    actor,
                    failure_code=fact.bank_code,
                    bank_code=fact.bank_code,
                    amount_returned=self.amount,
                    refundable=self._left(Status.RETURNED, self.amount_refunded),
                )
        if _is_told(self, fact):
            return None
        told = (*self.contradictions, str(fact))
        return self._change(EventType.PAYMENT_CONTRADICTED, now, actor, fact, contradictions=told)

    def cancel(self, now: datetime, *, actor: Actor) -> "Change":
        """Stop the payment. Raises PaymentNotCancelable once the money may have moved."""
        if self.status is not Status.PROCESSING:
            raise errors.PaymentNotCancelable(f"The payment is already {self.status}.")
        if self.submitted_at is not None:
            raise errors.PaymentNotCancelable(
                "The payment is with its processor; the money may have moved."
            )
        return self._change_status(Status.CANCELED, now, actor)

    def _left(self, status: Status, amount_refunded: Decimal) -> Decimal:
        """Return what can be refunded in that status, once so much is refunded."""
        if status is Status.COMPLETED and self.direction is Direction.DEBIT:
            return self.amount - amount_refunded
        return with_decimals(Decimal(0), self.currency)

    def refund(self, refund: "Refund", now: datetime, *, actor: Actor) -> "Change":
        """Reserve the amount of a new refund.

        Raises PaymentNotRefundable or RefundExceedsPayment.
        """
        if self.direction is Direction.CREDIT:
            raise errors.PaymentNotRefundable(
                "The payment is a credit: it paid money out, and has nothing to give back."
            )
        if self.status is not Status.COMPLETED:
            raise errors.PaymentNotRefundable(f"The payment is {self.status}, not completed.")
        if refund.amount > self.refundable:
            raise errors.RefundExceedsPayment(
                f"At most {self.refundable} {self.currency} of this payment can be refunded, "
                f"not {refund.amount}."
            )
        if not refund.amount:
            raise errors.PaymentNotRefundable("Nothing is left to refund.")
        if self.version >= MAX_VERSION:
            raise errors.PaymentNotRefundable("The payment has reached its limit of refunds.")
        return self._change(
            EventType.REFUND_CREATED,
            now,
            actor,
            refund=refund,
            amount_refunded=self.amount_refunded + refund.amount,
            refundable=self.refundable - refund.amount,
            refunds_processing=self.refunds_processing + 1,
        )

    def record_refund(
        self, refund: "Refund", fact: Fact, now: datetime, *, actor: Actor
    ) -> "Change | None":
        """Record what the bank said of a refund of this payment, as `record` does.

        What the payer did not receive, or sent back, can be refunded again while the payment is
        completed.
        """
        now = self.next_time(now)
        match refund.status, fact:
            case RefundStatus.PROCESSING, Completed():
                return self._settle_refund(
                    refund, RefundStatus.COMPLETED, now, actor, completed_at=now
                )
            case RefundStatus.PROCESSING, Failed() | Returned():
                to = RefundStatus.FAILED
            case RefundStatus.COMPLETED, Returned():
                to = RefundStatus.RETURNED
            case _:
                return self._contradict_refund(refund, fact, now, actor)
        return self._settle_refund(
            refund, to, now, actor, failure_code=fact.code, bank_code=fact.bank_code
        )

    def _contradict_refund(
        self, refund: "Refund", fact: Fact, now: datetime, actor: Actor
    ) -> "Change | None":
        if _is_told(refund, fact):
            return None
        told = (*refund.contradictions, str(fact))
        after = refund.model_copy(update={"updated_at": now, "contradictions": told})
        return self._change(EventType.REFUND_CONTRADICTED, now, actor, fact, after)

    def _settle_refund(
        self, refund: "Refund", to: RefundStatus, now: datetime, actor: Actor, **fields: Any
    ) -> "Change":
        freed = Decimal(0) if to is RefundStatus.COMPLETED else refund.amount
        amount_refunded = self.amount_refunded - freed
        was_processing = refund.status is RefundStatus.PROCESSING
        settled = {"status": to, "updated_at": now, "expected_at": None, "is_waiting": False}
        return self._change(
            EventType(f"refund.{to}"),
            now,
            actor,
            refund=refund.model_copy(update={**settled, "is_counted": True, **fields}),
            amount_refunded=amount_refunded,
            refundable=self._left(self.status, amount_refunded),
            refunds_processing=self.refunds_processing - was_processing,
        )

    def _change_status(self, to: Status, now: datetime, actor: Actor, **fields: Any) -> "Change":
        return self._change(
            EventType(f"payment.{to}"), now, actor, status=to, expected_at=None, **fields
        )

    def _change(
        self,
        event_type: EventType,
        now: datetime,
        actor: Actor,
        fact: Fact | None = None,
        refund: "Refund | None" = None,
        **fields: Any,
    ) -> "Change":
        now = self.next_time(now)
        after = self.model_copy(update={"updated_at": now, "version": self.version + 1, **fields})
        return Change(after, Event.of(after, event_type, now, actor, fact, refund), refund)


class Refund(Schema):
    """Money that the merchant gives back to the payer: all of a payment, or a part of it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^{REFUND_ID.pattern}$")
    payment_id: str
    amount: Amount
    currency: Currency
    reason: str | None
    idempotency_key: str
    status: RefundStatus
    created_at: Timestamp
    updated_at: Timestamp
    expected_at: Timestamp | None = Field(
        description="when its outcome is expected, if its bank said so; null once it is settled"
    )
    completed_at: Timestamp | None = Field(description="when it reached `completed`")
    failure_code: str | None = Field(description="why it failed or was returned")
    bank_code: str | None = Field(
        description="the bank's own code for the failure or the return, as it came"
    )

    is_waiting: bool = Field(
        default=False,
        exclude=True,
        description="its bank has not seen it: it fails if its payment is returned before",
    )
    is_counted: bool = Field(
        default=False, exclude=True, description="the totals count it: since version 0.3"
    )
    contradictions: tuple[str, ...] = Field(
        default=(), exclude=True, description="what its bank said that did not fit"
    )


def _is_told(one: Payment | Refund, fact: Fact) -> bool:
    """Return whether the bank has said this before of a settled payment or refund."""
    if str(fact) in one.contradictions:
        return True
    match fact:
        case Completed():
            return one.status in {"completed", "returned"}
        case Failed():
            has_ended_so = one.status == "failed"
        case Returned():
            has_ended_so = one.status in {"failed", "returned"}
    if one.bank_code is None or fact.bank_code is None:
        return has_ended_so and one.failure_code == fact.code
    return has_ended_so and one.bank_code == fact.bank_code


class RefundState(Schema):
    """A refund after an event."""

    model_config = ConfigDict(frozen=True)

    id: str
    amount: Amount
    status: RefundStatus
    completed_at: Timestamp | None = None
    failure_code: str | None = None
    bank_code: str | None = None


class BankFact(Schema):
    """What a bank said that does not fit."""

    model_config = ConfigDict(frozen=True)

    outcome: Literal["completed", "failed", "returned"]
    failure_code: FailureCode | None = None
    bank_code: str | None = None

    @classmethod
    def of(cls, fact: Fact) -> "BankFact":
        match fact:
            case Completed():
                return cls(outcome="completed")
            case Failed():
                return cls(outcome="failed", failure_code=fact.code, bank_code=fact.bank_code)
            case Returned():
                return cls(outcome="returned", failure_code=fact.code, bank_code=fact.bank_code)


class EventData(Schema):
    """The state after an event. Fields that do not apply are left out, never null."""

    model_config = ConfigDict(frozen=True)

    status: Status = Field(description="the payment's")
    completed_at: Timestamp | None = Field(default=None, description="the payment's")
    failure_code: str | None = Field(default=None, description="the payment's")
    bank_code: str | None = Field(default=None, description="the payment's")
    amount_refunded: Amount | None = Field(
        default=None, description="the payment's; left out before its first refund"
    )
    amount_returned: Amount | None = Field(
        default=None, description="the payment's; for returns only"
    )
    refund: RefundState | None = Field(default=None, description="for refunds only")
    fact: BankFact | None = Field(
        default=None, description="what the bank said, for `*.contradicted` only"
    )


class Event(Schema):
    """One change of one payment, and the state after it."""

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int = Field(description="1, 2, 3 … without a gap, for each payment")
    type: EventType
    payment_id: str
    created_at: Timestamp
    actor: str = Field(description="the name of the API key that made the change, or `system`")
    actor_id: str | None = Field(
        default=None,
        description="the id of that API key; left out for `system`, and before version 0.2.0",
    )
    data: EventData

    @classmethod
    def of(
        cls,
        payment: Payment,
        event_type: EventType,
        now: datetime,
        actor: Actor,
        fact: Fact | None = None,
        refund: Refund | None = None,
    ) -> "Event":
        """Return the event of the newest change of `payment`."""
        is_refunded = refund or payment.amount_refunded or payment.amount_returned
        return cls(
            id=new_id("EVT", now),
            seq=payment.version,
            type=event_type,
            payment_id=payment.id,
            created_at=now,
            actor=actor.name,
            actor_id=actor.key_id,
            data=EventData(
                status=payment.status,
                completed_at=payment.completed_at,
                failure_code=payment.failure_code,
                bank_code=payment.bank_code,
                amount_refunded=payment.amount_refunded if is_refunded else None,
                amount_returned=payment.amount_returned or None,
                refund=refund and RefundState.model_validate(refund, from_attributes=True),
                fact=fact and BankFact.of(fact),
            ),
        )

    @property
    def subject_id(self) -> str:
        """The id of the payment or refund that it is about."""
        return self.payment_id if self.data.refund is None else self.data.refund.id

    def body(self, subject: Payment | Refund) -> "EventBody":
        """Return what this event tells of its payment or refund, whatever became of it since."""
        data = self._refund(subject) if isinstance(subject, Refund) else self._payment(subject)
        return EventBody(
            id=self.id,
            seq=self.seq,
            type=self.type,
            timestamp=self.created_at,
            data=data,
            fact=self.data.fact,
        )

    def completed_from(self, payment: Payment, refunds: Mapping[str, Refund]) -> "Event":
        """Return this event with what versions before 0.4 left out of it."""
        data = self.data
        if data.status not in {Status.COMPLETED, Status.RETURNED}:
            return self
        told: dict[str, Any] = {"completed_at": payment.completed_at}
        if data.status is Status.RETURNED and data.amount_returned is None:
            told["amount_returned"] = payment.amount_returned or None
            told["amount_refunded"] = data.amount_refunded or payment.amount_refunded
        refund = data.refund and refunds.get(data.refund.id)
        if data.refund and refund and data.refund.status in {"completed", "returned"}:
            at = {"completed_at": refund.completed_at}
            told["refund"] = data.refund.model_copy(update=at)
        return self.model_copy(update={"data": data.model_copy(update=told)})

    def _payment(self, payment: Payment) -> Payment:
        nothing = with_decimals(Decimal(0), payment.currency)
        return payment.model_copy(
            update={
                "status": self.data.status,
                "updated_at": self.created_at,
                "expected_at": None,
                "completed_at": self.data.completed_at,
                "failure_code": self.data.failure_code,
                "bank_code": self.data.bank_code,
                "amount_refunded": self.data.amount_refunded or nothing,
                "amount_returned": self.data.amount_returned or nothing,
                "version": self.seq,
            }
        )

    def _refund(self, refund: Refund) -> Refund:
        assert self.data.refund is not None
        told = self.data.refund.model_dump(include={"status", "failure_code", "bank_code"})
        moments = {
            "updated_at": self.created_at,
            "expected_at": None,
            "completed_at": self.data.refund.completed_at,
        }
        return refund.model_copy(update=told | moments)


class EventBody(Schema):
    """An event as the feed and webhooks tell it, with the payment or refund after it."""

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int = Field(description="1, 2, 3 … without a gap, for each payment")
    type: EventType
    timestamp: Timestamp
    data: Payment | Refund
    fact: BankFact | None = Field(
        default=None,
        exclude_if=lambda fact: fact is None,
        description="what the bank said, for `*.contradicted` only",
    )


class Change(NamedTuple):
    """A change: the payment after it, its event, and the refund after it, if it changes one."""

    payment: Payment
    event: Event
    refund: Refund | None = None


class Book(StrEnum):
    """What a total counts."""

    DEBITS = "debits"
    CREDITS = "credits"
    REFUNDS = "refunds"


class Total(Schema):
    """The number and volume of payments or refunds, by day, currency, type and status."""

    model_config = ConfigDict(frozen=True)

    book: Book = Field(default=Book.DEBITS, exclude=True)
    day: Day = Field(description="the UTC day on which the payments were created")
    currency: Currency
    type: PaymentType
    status: Status
    count: int
    volume: Amount


def totals_moved(
    payment: Payment, before: Payment | Refund, after: Payment | Refund
) -> list[Total]:
    """Return what a change of `payment`, or of its refund, takes from the totals and adds to them.

    What is processing is in no total. A payment counts for the day of its creation, even if it
    changes later: a bank's return updates the totals of that day. So do its refunds, and the net
    of a day is what its payments brought.
    """
    if before.status == after.status and _is_counted(before) == _is_counted(after):
        return []
    left = [_total(payment, before, -1)] if _is_counted(before) else []
    return [*left, _total(payment, after, 1)]


def _is_counted(one: Payment | Refund) -> bool:
    return one.is_counted if isinstance(one, Refund) else one.status is not Status.PROCESSING


def _total(payment: Payment, one: Payment | Refund, sign: int) -> Total:
    is_credit = payment.direction is Direction.CREDIT
    of_payments = Book.CREDITS if is_credit else Book.DEBITS
    return Total(
        book=Book.REFUNDS if isinstance(one, Refund) else of_payments,
        day=payment.created_at.astimezone(UTC).date(),
        currency=payment.currency,
        type=payment.type,
        status=Status(one.status.value),
        count=sign,
        volume=sign * one.amount,
    )


class RefundList(Schema):
    """Refunds of a payment, oldest first; `next_cursor` is null on the last page."""

    refunds: list[Refund]
    next_cursor: str | None


class EventList(Schema):
    """Events of a payment, oldest first; `next_cursor` is null on the last page."""

    events: list[Event]
    next_cursor: str | None

    def to_json(self) -> str:
        """Return the JSON of an API answer, without the fields of events that do not apply."""
        events = self.model_dump(include={"events"}, exclude_none=True)
        return exact_json.dumps({**events, "next_cursor": self.next_cursor})
