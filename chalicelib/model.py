"""The payment and its event: frozen records, legal transitions, ids and money. Pure.

Guarantee: a step that the table below does not list cannot be taken, and each that is
taken has exactly one event. No clock, no environment and no AWS in here: the caller brings
`now`, and every step returns the new payment together with its event.

    processing ──┬─▶ completed ──▶ returned
                 ├─▶ failed
                 └─▶ canceled
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import iso4217
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from ulid import ULID

MAX_AMOUNT = Decimal(1_000_000)
SYSTEM = "system"
"""The actor of what no key of a caller stands behind."""
PAYMENT_ID = re.compile(r"PAY-[0-9A-HJKMNP-TV-Z]{26}")


class Currency(StrEnum):
    """The currencies that PayFlow moves, by their ISO 4217 codes."""

    CAD = "CAD"
    USD = "USD"


_DECIMALS: Mapping[Currency, int] = MappingProxyType(
    {currency: iso4217.Currency(currency.value).exponent or 0 for currency in Currency}
)


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


TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.PROCESSING: frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELED}),
        Status.COMPLETED: frozenset({Status.RETURNED}),
        Status.FAILED: frozenset(),
        Status.CANCELED: frozenset(),
        Status.RETURNED: frozenset(),
    }
)


class IllegalTransition(Exception):
    """A step that `TRANSITIONS` does not list: a bug in the caller, never bad input."""


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


class Payment(BaseModel):
    """A payment as the API shows it; the fields at the end are ours alone."""

    model_config = ConfigDict(frozen=True)

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
    amount_refunded: Amount

    refundable: Decimal = Field(exclude=True)
    version: int = Field(exclude=True, description="counts changes; the newest event's `seq`")
    submitted_at: Timestamp | None = Field(exclude=True, description="set by the worker's claim")

    def complete(self, now: datetime, *, actor: str) -> "Change":
        """The money has arrived. Raises IllegalTransition unless processing."""
        return self._move(Status.COMPLETED, now, actor, completed_at=now, refundable=self.amount)

    def fail(self, failure_code: FailureCode, now: datetime, *, actor: str) -> "Change":
        """The money will not arrive. Raises IllegalTransition unless processing."""
        return self._move(Status.FAILED, now, actor, failure_code=failure_code.value)

    def _move(self, to: Status, now: datetime, actor: str, **fields: Any) -> "Change":
        if to not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"{self.id}: {self.status} to {to}")
        after = self.model_copy(
            update={"status": to, "updated_at": now, "version": self.version + 1, **fields}
        )
        return Change(after, Event.of(after, EventType(f"payment.{to}"), now, actor))


class Event(BaseModel):
    """One change of one payment, and the state that it left behind."""

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int
    type: EventType
    payment_id: str
    created_at: Timestamp
    actor: str
    data: dict[str, str]

    @classmethod
    def of(cls, payment: Payment, event_type: EventType, now: datetime, actor: str) -> "Event":
        """The event that tells of `payment`'s newest change."""
        data: dict[str, str] = {"status": payment.status.value}
        if payment.failure_code is not None:
            data["failure_code"] = payment.failure_code
        return cls(
            id=new_id("EVT", now),
            seq=payment.version,
            type=event_type,
            payment_id=payment.id,
            created_at=now,
            actor=actor,
            data=data,
        )


class ApiKey(BaseModel):
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
    """A step that was taken: the payment after it, and its one event."""

    payment: Payment
    event: Event


class Total(BaseModel):
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
