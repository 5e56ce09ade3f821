"""The payment, its refunds and its events: frozen records, legal steps, ids and money. Pure.

Guarantee: a step that the tables below do not list cannot be taken, and each that is taken
has exactly one event. No clock, no environment and no AWS in here: the caller brings `now`,
and every step returns all that it changed, together with its event.

    payment   processing ──┬─▶ completed ──▶ returned
                           ├─▶ failed
                           └─▶ canceled

    refund    processing ──┬─▶ completed        only of a completed payment, and while one is
                           └─▶ failed           processing the payment stays completed

Of a completed payment, always:  amount = amount_refunded + refundable,
amount_refunded being the sum of its refunds that have not failed.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, Field, PlainSerializer, WithJsonSchema
from ulid import ULID

from chalicelib.errors import (
    Conflict,
    PaymentNotCancelable,
    PaymentNotRefundable,
    PaymentNotReturnable,
    RefundExceedsPayment,
)
from chalicelib.schema import Schema

MAX_AMOUNT = Decimal(1_000_000)
SYSTEM = "system"
"""The actor of what no key of a caller stands behind."""
PAYMENT_ID = re.compile(r"PAY-[0-9A-HJKMNP-TV-Z]{26}")
REFUND_ID = re.compile(r"REF-[0-9A-HJKMNP-TV-Z]{26}")
MAX_VERSION = 2_000
"""A payment that has changed so often takes no new refund: its story must fit into one answer."""


class Currency(StrEnum):
    """The currencies that PayFlow moves, by their ISO 4217 codes."""

    CAD = "CAD"
    USD = "USD"


_DECIMALS: Mapping[Currency, int] = MappingProxyType({Currency.CAD: 2, Currency.USD: 2})
"""As ISO 4217 says, which a test reads: a new process does not, for all the world's currencies."""


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


class Scope(StrEnum):
    """What a key may do; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


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
    """With what codes a rail returns a payment late."""

    pattern: re.Pattern[str]
    described: str
    no_funds: str


RETURN_CODES: Mapping[PaymentType, ReturnCodes] = MappingProxyType(
    {
        PaymentType.ACH: ReturnCodes(re.compile(r"R(0[1-9]|[12][0-9])"), "R01 to R29", "R01"),
        PaymentType.EFT: ReturnCodes(re.compile(r"9[0-9]{2}"), "900 to 999", "901"),
    }
)
"""What another rail has delivered is final."""


class IllegalTransition(Exception):
    """A step that the module's table does not list: a bug in the caller, never bad input."""


def rfc3339(moment: datetime) -> str:
    """Fixed-width UTC with six decimals and `Z` (RFC 3339), so that text sorts as time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def with_decimals(value: Decimal, currency: Currency) -> Decimal:
    """`value` rounded to, and written with, the decimals that ISO 4217 gives the currency."""
    return value.quantize(Decimal(1).scaleb(-_DECIMALS[currency]))


def exact_amount(value: Decimal, currency: Currency) -> Decimal:
    """`value` as an amount that can be paid: within bounds, and no digit is rounded away.

    Raises ValueError, with a sentence for the caller.
    """
    check_bounds(value)
    written = with_decimals(value, currency)
    if written != value:
        raise ValueError(f"at most {_DECIMALS[currency]} decimal places in {currency}")
    return written


def check_bounds(value: Decimal) -> None:
    """Raise ValueError unless 0 < `value` ≤ `MAX_AMOUNT`, whatever the currency."""
    if not value.is_finite() or value > MAX_AMOUNT:
        raise ValueError(f"must be at most {MAX_AMOUNT}")
    if value <= 0:
        raise ValueError("must be greater than 0")


def new_id(prefix: str, now: datetime) -> str:
    """`prefix-` and a ULID: time-ordered to the millisecond, 80 random bits, upper case."""
    return f"{prefix}-{ULID.from_datetime(now)}"


Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-22T21:57:01.120000Z"]}
    ),
]
Day = Annotated[
    date,
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-22"]}),
]
Amount = Annotated[
    Decimal,
    WithJsonSchema({"type": "number", "examples": [1250.75]}),
]


class Payment(Schema):
    """A payment as the API shows it; the fields at the end are ours alone."""

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
    failure_code: str | None = Field(description="why it failed; a returned one has the rail's")
    amount_refunded: Amount = Field(
        description="the sum of its refunds that are processing or completed; what is left of "
        "`amount` can be refunded while the payment is completed"
    )

    refundable: Decimal = Field(exclude=True, description="what is left; 0 unless completed")
    refunds_processing: int = Field(exclude=True, description="so many; a return waits for them")
    version: int = Field(exclude=True, description="counts changes; the newest event's `seq`")
    submitted_at: Timestamp | None = Field(exclude=True, description="set by the worker's claim")

    def complete(self, now: datetime, *, actor: str) -> "Change":
        """The money has arrived. Raises IllegalTransition unless processing."""
        return self._move(Status.COMPLETED, now, actor, completed_at=now, refundable=self.amount)

    def fail(self, failure_code: FailureCode, now: datetime, *, actor: str) -> "Change":
        """The money will not arrive. Raises IllegalTransition unless processing."""
        return self._move(Status.FAILED, now, actor, failure_code=failure_code.value)

    def cancel(self, now: datetime, *, actor: str) -> "Change":
        """The money shall not move. Raises PaymentNotCancelable once it may have."""
        if self.status is not Status.PROCESSING:
            raise PaymentNotCancelable(f"The payment is {self.status} already.")
        if self.submitted_at is not None:
            raise PaymentNotCancelable(
                "The payment is with its processor; the money may have moved."
            )
        return self._move(Status.CANCELED, now, actor)

    def give_back(self, code: str, now: datetime, *, actor: str) -> "Change":
        """The payer's bank takes back what refunds have left of a completed payment.

        Raises PaymentNotReturnable, or Conflict while a refund is processing: until it is
        settled nobody knows what is left.
        """
        if self.status is not Status.COMPLETED:
            raise PaymentNotReturnable(f"The payment is {self.status}, not completed.")
        if self.refunds_processing:
            raise Conflict("A refund of this payment is processing; try again when it is settled.")
        if not self.refundable:
            raise PaymentNotReturnable(
                "The payment is refunded in full; nothing is left to return."
            )
        nothing = with_decimals(Decimal(0), self.currency)
        return self._move(Status.RETURNED, now, actor, failure_code=code, refundable=nothing)

    def refund(self, refund: "Refund", now: datetime, *, actor: str) -> "Change":
        """Set the amount of a new refund aside. Raises PaymentNotRefundable or
        RefundExceedsPayment.
        """
        if self.status is not Status.COMPLETED:
            raise PaymentNotRefundable(f"The payment is {self.status}, not completed.")
        if refund.amount > self.refundable:
            raise RefundExceedsPayment(
                f"Of this payment {self.refundable} {self.currency} can be refunded, "
                f"not {refund.amount}."
            )
        if not refund.amount:
            raise PaymentNotRefundable("Nothing is left to refund.")
        if self.version >= MAX_VERSION:
            raise PaymentNotRefundable("The payment has had too many refunds.")
        return self._change(
            EventType.REFUND_CREATED,
            now,
            actor,
            refund=refund,
            amount_refunded=self.amount_refunded + refund.amount,
            refundable=self.refundable - refund.amount,
            refunds_processing=self.refunds_processing + 1,
        )

    def complete_refund(self, refund: "Refund", now: datetime, *, actor: str) -> "Change":
        """The money is back. Raises IllegalTransition unless the refund is processing."""
        return self._settle_refund(refund, RefundStatus.COMPLETED, now, actor, completed_at=now)

    def fail_refund(
        self, refund: "Refund", failure_code: FailureCode, now: datetime, *, actor: str
    ) -> "Change":
        """The money does not go back, so that its amount can be refunded again.

        Raises IllegalTransition unless the refund is processing.
        """
        return self._settle_refund(
            refund, RefundStatus.FAILED, now, actor, failure_code=failure_code.value
        )

    def _settle_refund(
        self, refund: "Refund", to: RefundStatus, now: datetime, actor: str, **fields: Any
    ) -> "Change":
        if refund.status is not RefundStatus.PROCESSING or self.status is not Status.COMPLETED:
            raise IllegalTransition(f"{refund.id}: {refund.status} to {to}, {self.status} payment")
        given_back = refund.amount if to is RefundStatus.FAILED else Decimal(0)
        return self._change(
            EventType(f"refund.{to}"),
            now,
            actor,
            refund=refund.model_copy(update={"status": to, "updated_at": now, **fields}),
            amount_refunded=self.amount_refunded - given_back,
            refundable=self.refundable + given_back,
            refunds_processing=self.refunds_processing - 1,
        )

    def _move(self, to: Status, now: datetime, actor: str, **fields: Any) -> "Change":
        if to not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.id}: {self.status} to {to}")
        return self._change(EventType(f"payment.{to}"), now, actor, status=to, **fields)

    def _change(
        self,
        event_type: EventType,
        now: datetime,
        actor: str,
        refund: "Refund | None" = None,
        **fields: Any,
    ) -> "Change":
        after = self.model_copy(update={"updated_at": now, "version": self.version + 1, **fields})
        return Change(after, Event.of(after, event_type, now, actor, refund), refund)


class Refund(Schema):
    """Money that goes back to whoever paid: all of a payment, or a part of it."""

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
    """A refund as an event left it."""

    model_config = ConfigDict(frozen=True)

    id: str
    amount: Amount
    status: RefundStatus
    failure_code: str | None = None

    @classmethod
    def of(cls, refund: Refund) -> "RefundState":
        return cls(
            id=refund.id,
            amount=refund.amount,
            status=refund.status,
            failure_code=refund.failure_code,
        )


class EventData(Schema):
    """The state that an event left behind. What does not apply is left out, and never null."""

    model_config = ConfigDict(frozen=True)

    status: Status = Field(description="the payment's")
    failure_code: str | None = Field(default=None, description="the payment's")
    amount_refunded: Amount | None = Field(
        default=None, description="the payment's; with refunds and returns"
    )
    refund: RefundState | None = Field(default=None, description="with refunds")


class Event(Schema):
    """One change of one payment, and the state that it left behind."""

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int = Field(description="1, 2, 3 … without a gap, payment by payment")
    type: EventType
    payment_id: str
    created_at: Timestamp
    actor: str = Field(description="the name of the API key behind it, or `system`")
    data: EventData

    @classmethod
    def of(
        cls,
        payment: Payment,
        event_type: EventType,
        now: datetime,
        actor: str,
        refund: Refund | None = None,
    ) -> "Event":
        """The event that tells of `payment`'s newest change."""
        has_money_back = refund is not None or payment.status is Status.RETURNED
        return cls(
            id=new_id("EVT", now),
            seq=payment.version,
            type=event_type,
            payment_id=payment.id,
            created_at=now,
            actor=actor,
            data=EventData(
                status=payment.status,
                failure_code=payment.failure_code,
                amount_refunded=payment.amount_refunded if has_money_back else None,
                refund=RefundState.of(refund) if refund is not None else None,
            ),
        )


class ApiKey(Schema):
    """A key as the API shows it. The key itself is known to its holder alone."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    last_used_at: Timestamp | None = Field(description="to the hour")
    expires_at: Timestamp | None
    revoked_at: Timestamp | None

    digest: str = Field(exclude=True, description="SHA-256 of the key, in hexadecimal")

    def may(self, scope: Scope) -> bool:
        """Whether one of its scopes is, or includes, `scope`."""
        order = list(Scope)
        return any(order.index(own) >= order.index(scope) for own in self.scopes)

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Change(NamedTuple):
    """A step that was taken: the payment after it, its one event, and the refund if it is one's."""

    payment: Payment
    event: Event
    refund: Refund | None = None


class Total(Schema):
    """So many payments, and their amounts added up: of one day, currency, type and status."""

    model_config = ConfigDict(frozen=True)

    day: Day = Field(description="the UTC day on which they were created")
    currency: Currency
    type: PaymentType
    status: Status
    count: int
    volume: Amount


def totals_moved(before: Payment, after: Payment) -> list[Total]:
    """What a step takes from the totals of settled payments, and what it adds to them.

    What is processing stands in none. The day is the one on which the payment was created, so
    that a step taken later, such as a bank's return, moves the counts of that same day.
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
