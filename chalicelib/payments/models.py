"""Payments, refunds and events: frozen records and their legal changes. Pure.

Guarantee: only the changes below are possible, and each has exactly one event. This module uses no
clock, no environment and no AWS: the caller passes `now`, and a method returns the whole change.

    payment   processing ──┬─▶ completed ──▶ returned
                           ├─▶ failed
                           └─▶ canceled

    refund    processing ──┬─▶ completed        only of a completed payment, which stays completed
                           └─▶ failed           while a refund of it is processing

A completed payment always has amount = amount_refunded + refundable. Here amount_refunded is the
sum of its refunds that have not failed.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import ConfigDict, Field

from chalicelib import errors, exact_json
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

MAX_VERSION: Final = 2_000
"""A payment with this many changes takes no new refund: its events must fit into one answer."""


class PaymentType(StrEnum):
    """The rail that carries a payment."""

    WIRE = "wire"
    EFT = "eft"
    INTERAC = "interac"
    ACH = "ach"


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


class FailureCode(StrEnum):
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_NOT_FOUND = "account_not_found"
    REJECTED_BY_BANK = "rejected_by_bank"
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"


class EventType(StrEnum):
    PAYMENT_CREATED = "payment.created"
    PAYMENT_COMPLETED = "payment.completed"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELED = "payment.canceled"
    PAYMENT_RETURNED = "payment.returned"
    REFUND_CREATED = "refund.created"
    REFUND_COMPLETED = "refund.completed"
    REFUND_FAILED = "refund.failed"


TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.PROCESSING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED}),
        Status.COMPLETED: frozenset({Status.RETURNED}),
        Status.FAILED: frozenset(),
        Status.CANCELED: frozenset(),
        Status.RETURNED: frozenset(),
    }
)


class ReturnCodes(NamedTuple):
    """The codes of a rail for the return of a payment."""

    pattern: re.Pattern[str]
    described: str
    no_funds: str


RETURN_CODES: Mapping[PaymentType, ReturnCodes] = MappingProxyType(
    {
        PaymentType.ACH: ReturnCodes(
            re.compile(r"R(0[1-9]|[1-3][0-9]|4[0-7]|5[0-3]|6[12789]|7[0-7]|8[0-5])"),
            "R01 to R47, R50 to R53, R61, R62, R67 to R77 or R80 to R85",
            "R01",
        ),
        PaymentType.EFT: ReturnCodes(
            re.compile(r"9(0[1-5]|0[7-9]|1[0-2]|1[4-9]|2[0-2]|90)"),
            "901 to 905, 907 to 912, 914 to 922 or 990",
            "901",
        ),
    }
)
"""The return reason codes of Nacha and of Payments Canada (Standard 007). Other rails are final."""


class IllegalTransition(Exception):
    """A change that is not legal: a bug in the caller, never bad input."""


class Payment(Schema):
    """A payment as the API shows it; the last fields are internal."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^{PAYMENT_ID.pattern}$")
    merchant: str
    amount: Amount
    currency: Currency
    type: PaymentType
    idempotency_key: str
    description: str | None
    metadata: dict[str, str]
    status: Status
    created_at: Timestamp
    updated_at: Timestamp
    completed_at: Timestamp | None = Field(description="when it reached `completed`")
    failure_code: str | None = Field(description="why it failed, or the bank's code for its return")
    amount_refunded: Amount = Field(
        description="the sum of its refunds that are processing or completed; the rest of "
        "`amount` can be refunded while the payment is completed"
    )

    version: int = Field(
        description="counts the changes of the payment: of two of its states, the one with the "
        "higher version is newer; it is the `seq` of the newest event"
    )

    refundable: Decimal = Field(
        exclude=True, description="the rest of `amount`; 0 unless completed"
    )
    refunds_processing: int = Field(exclude=True, description="a return waits for them")
    submitted_at: Timestamp | None = Field(
        exclude=True, description="when a worker first submitted it"
    )

    def complete(self, now: datetime, *, actor: Actor) -> "Change":
        """Record that the money arrived. Raises IllegalTransition unless processing."""
        return self._change_status(
            Status.COMPLETED, now, actor, completed_at=now, refundable=self.amount
        )

    def fail(self, failure_code: FailureCode, now: datetime, *, actor: Actor) -> "Change":
        """Record that the money will not arrive. Raises IllegalTransition unless processing."""
        return self._change_status(Status.FAILED, now, actor, failure_code=failure_code.value)

    def cancel(self, now: datetime, *, actor: Actor) -> "Change":
        """Stop the payment. Raises PaymentNotCancelable once the money may have moved."""
        if self.status is not Status.PROCESSING:
            raise errors.PaymentNotCancelable(f"The payment is already {self.status}.")
        if self.submitted_at is not None:
            raise errors.PaymentNotCancelable(
                "The payment is with its processor; the money may have moved."
            )
        return self._change_status(Status.CANCELED, now, actor)

    def record_return(self, code: str, now: datetime, *, actor: Actor) -> "Change":
        """Record that the payer's bank took back the part of a payment that is not refunded.

        Raises PaymentNotReturnable, or Conflict while a refund is processing, because that part is
        not known yet.
        """
        if self.status is not Status.COMPLETED:
            raise errors.PaymentNotReturnable(f"The payment is {self.status}, not completed.")
        if self.refunds_processing:
            raise errors.Conflict(
                "A refund of this payment is processing; try again once it is settled."
            )
        if not self.refundable:
            raise errors.PaymentNotReturnable(
                "The payment is fully refunded; nothing is left to return."
            )
        nothing = with_decimals(Decimal(0), self.currency)
        return self._change_status(
            Status.RETURNED, now, actor, failure_code=code, refundable=nothing
        )

    def refund(self, refund: "Refund", now: datetime, *, actor: Actor) -> "Change":
        """Reserve the amount of a new refund.

        Raises PaymentNotRefundable or RefundExceedsPayment.
        """
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

    def complete_refund(self, refund: "Refund", now: datetime, *, actor: Actor) -> "Change":
        """Record that the payer received the money.

        Raises IllegalTransition unless the refund is processing.
        """
        return self._settle_refund(refund, RefundStatus.COMPLETED, now, actor, completed_at=now)

    def fail_refund(
        self, refund: "Refund", failure_code: FailureCode, now: datetime, *, actor: Actor
    ) -> "Change":
        """Record that the payer did not receive the money; the amount can be refunded again.

        Raises IllegalTransition unless the refund is processing.
        """
        return self._settle_refund(
            refund, RefundStatus.FAILED, now, actor, failure_code=failure_code.value
        )

    def _settle_refund(
        self, refund: "Refund", to: RefundStatus, now: datetime, actor: Actor, **fields: Any
    ) -> "Change":
        if refund.status is not RefundStatus.PROCESSING or self.status is not Status.COMPLETED:
            raise IllegalTransition(f"{refund.id}: {refund.status} to {to}, {self.status} payment")
        freed = refund.amount if to is RefundStatus.FAILED else Decimal(0)
        return self._change(
            EventType(f"refund.{to}"),
            now,
            actor,
            refund=refund.model_copy(update={"status": to, "updated_at": now, **fields}),
            amount_refunded=self.amount_refunded - freed,
            refundable=self.refundable + freed,
            refunds_processing=self.refunds_processing - 1,
        )

    def _change_status(self, to: Status, now: datetime, actor: Actor, **fields: Any) -> "Change":
        if to not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.id}: {self.status} to {to}")
        return self._change(EventType(f"payment.{to}"), now, actor, status=to, **fields)

    def _change(
        self,
        event_type: EventType,
        now: datetime,
        actor: Actor,
        refund: "Refund | None" = None,
        **fields: Any,
    ) -> "Change":
        after = self.model_copy(update={"updated_at": now, "version": self.version + 1, **fields})
        return Change(after, Event.of(after, event_type, now, actor, refund), refund)


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
    completed_at: Timestamp | None = Field(description="when it reached `completed`")
    failure_code: str | None = Field(description="why it failed")


class RefundState(Schema):
    """A refund after an event."""

    model_config = ConfigDict(frozen=True)

    id: str
    amount: Amount
    status: RefundStatus
    failure_code: str | None = None


class EventData(Schema):
    """The state after an event. Fields that do not apply are left out, never null."""

    model_config = ConfigDict(frozen=True)

    status: Status = Field(description="the payment's")
    failure_code: str | None = Field(default=None, description="the payment's")
    amount_refunded: Amount | None = Field(
        default=None, description="the payment's; for refunds and returns only"
    )
    refund: RefundState | None = Field(default=None, description="for refunds only")


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
        refund: Refund | None = None,
    ) -> "Event":
        """Return the event of the newest change of `payment`."""
        shows_refunded = refund is not None or payment.status is Status.RETURNED
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
                failure_code=payment.failure_code,
                amount_refunded=payment.amount_refunded if shows_refunded else None,
                refund=refund and RefundState.model_validate(refund, from_attributes=True),
            ),
        )


class Change(NamedTuple):
    """A change: the payment after it, its event, and the refund after it, if it changes one."""

    payment: Payment
    event: Event
    refund: Refund | None = None


class Total(Schema):
    """The number of payments and their volume, by day, currency, type and status."""

    model_config = ConfigDict(frozen=True)

    day: Day = Field(description="the UTC day on which they were created")
    currency: Currency
    type: PaymentType
    status: Status
    count: int
    volume: Amount


def totals_moved(before: Payment, after: Payment) -> list[Total]:
    """Return what a change subtracts from the totals of settled payments, and adds to them.

    Processing payments are in no total. A payment counts for the day of its creation, even if it
    changes later: a bank's return updates the totals of that day.
    """
    if before.status is after.status:
        return []
    left = [] if before.status is Status.PROCESSING else [(before.status, -1)]
    return [
        Total(
            day=after.created_at.astimezone(UTC).date(),
            currency=after.currency,
            type=after.type,
            status=status,
            count=sign,
            volume=sign * after.amount,
        )
        for status, sign in [*left, (after.status, 1)]
    ]


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
