"""Commands for payments, refunds and totals."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from chalicelib import validation
from chalicelib.errors import FieldError, ValidationFailed
from chalicelib.payments.facts import RETURN_CODES, PaymentType
from chalicelib.payments.models import (
    Direction,
    EventBody,
    EventType,
    Payment,
    Refund,
    RefundStatus,
    Status,
)
from chalicelib.schema import Schema
from chalicelib.values import Currency, check_bounds, exact_amount, folded

MAX_METADATA_BYTES: Final = 2048


def _check_size(metadata: dict[str, str]) -> dict[str, str]:
    size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if size_bytes > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes in all; it has {size_bytes}")
    return metadata


Metadata = Annotated[
    dict[
        Annotated[
            str, Field(min_length=1, max_length=40), AfterValidator(validation.check_one_line)
        ],
        validation.Text,
    ],
    Field(max_length=20),
    AfterValidator(_check_size),
]


class CreatePayment(Schema):
    """A payment to create. `amount` has no more decimals than its currency (ISO 4217)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    merchant: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            examples=["Northern Lights Coffee"],
            json_schema_extra=validation.ONE_LINE,
        ),
        AfterValidator(validation.check_one_line),
        AfterValidator(validation.check_not_blank),
    ]
    currency: Currency
    amount: validation.RequestedAmount
    type: PaymentType = Field(examples=["eft"])
    direction: Direction = Field(
        default=Direction.DEBIT,
        description="`debit` collects the money, `credit` pays it out and cannot be refunded",
    )
    idempotency_key: validation.IdempotencyKey = Field(
        description="8 to 128 printable ASCII characters; here or in the Idempotency-Key header",
        examples=["order-10023-attempt-1"],
    )
    description: validation.Text | None = None
    metadata: Metadata = Field(
        default_factory=dict,
        description="at most 20 pairs and 2 KiB in all; `simulate` sets the simulated outcome of "
        "the payment, `simulate_refund` that of its refunds",
    )

    @field_validator("amount")
    @classmethod
    def _payable(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        currency = info.data.get("currency")
        if currency is None:  # reported by itself; the bounds hold in every currency
            check_bounds(amount)
            return amount
        return exact_amount(amount, currency)


class CreateRefund(Schema):
    """A refund to create. By default, it refunds all that is refundable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: validation.AmountIfGiven = Field(
        default=None,
        description="at most the refundable amount, in the payment's currency; left out, all of it",
        json_schema_extra=validation.without_default,
    )
    reason: validation.Text | None = None
    idempotency_key: validation.IdempotencyKey = Field(
        description="8 to 128 printable ASCII characters; here or in the Idempotency-Key header",
        examples=["refund-of-order-10023"],
    )

    def in_currency(self, currency: Currency) -> "CreateRefund":
        """Return the command with its amount in `currency`. Raises ValidationFailed."""
        if self.amount is None:
            return self
        try:
            amount = exact_amount(self.amount, currency)
        except ValueError as error:
            raise ValidationFailed([FieldError("amount", str(error))]) from error
        return self.model_copy(update={"amount": amount})

    @field_validator("amount")
    @classmethod
    def _payable(cls, amount: Decimal | None) -> Decimal | None:
        if amount is not None:
            check_bounds(amount)
        return amount


SimulatedCode = Annotated[
    str | None,
    Field(
        max_length=3,
        description="; ".join(
            f"{rail.upper()}: {codes.described}" for rail, codes in RETURN_CODES.items()
        ),
        json_schema_extra=validation.pattern(
            "^(" + "|".join(codes.pattern.pattern for codes in RETURN_CODES.values()) + ")$"
        ),
    ),
]


class SimulateReturn(Schema):
    """A return of a payment to simulate.

    By default, `code` means insufficient funds, or for a credit that there is no such account.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: SimulatedCode = None


class SimulateRefundReturn(Schema):
    """A return of a refund to simulate. By default, `code` means that there is no such account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refund_id: Annotated[
        str,
        Field(min_length=1, max_length=64, examples=["REF-01M8APXD011GRGZVGKNX3RWC8K"]),
    ]
    code: SimulatedCode = None


class _TimeRange(Schema):
    """What was created in a time range, which includes both ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created_from: Annotated[
        datetime | None,
        validation.optional_moment(end_of_day=False),
        validation.moment_schema("a date or an RFC 3339 time, inclusive"),
    ] = None
    created_to: Annotated[
        datetime | None,
        validation.optional_moment(end_of_day=True),
        validation.moment_schema("a date (the end of that UTC day) or an RFC 3339 time, inclusive"),
    ] = None

    @field_validator("created_to")
    @classmethod
    def _not_reversed(cls, created_to: datetime | None, info: ValidationInfo) -> datetime | None:
        created_from = info.data.get("created_from")
        if created_from and created_to and created_to < created_from:
            raise ValueError("must not be earlier than created_from")
        return created_to


class PaymentFilters(_TimeRange):
    """Which payments. The time range includes both ends."""

    status: Status | None = None
    type: PaymentType | None = None
    currency: Currency | None = None
    idempotency_key: validation.IdempotencyKey | None = None
    merchant: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="the whole name, in any case"),
    ] = None

    def match(self, payment: Payment) -> bool:
        """Return whether the payment is as every filter but the time range asks."""
        return (
            self.status in {None, payment.status}
            and self.type in {None, payment.type}
            and self.currency in {None, payment.currency}
            and self.idempotency_key in {None, payment.idempotency_key}
            and (self.merchant is None or folded(self.merchant) == folded(payment.merchant))
        )


class ListPayments(PaymentFilters):
    """A page of payments, newest first. The time range includes both ends."""

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 20
    cursor: validation.Cursor = None


class RefundFilters(_TimeRange):
    """Which refunds. The time range includes both ends."""

    status: RefundStatus | None = None

    def match(self, refund: Refund) -> bool:
        """Return whether the refund is as every filter but the time range asks."""
        return self.status in {None, refund.status}


class EventFilters(_TimeRange):
    """Which events. The time range includes both ends."""

    type: EventType | None = None

    def match(self, event: EventBody) -> bool:
        """Return whether the event is as every filter but the time range asks."""
        return self.type in {None, event.type}


class ListRefunds(RefundFilters):
    """A page of the refunds of all payments, newest first. The time range includes both ends."""

    kind: ClassVar = "refunds"

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 20
    cursor: validation.Cursor = None


class ListOfPayment(Schema):
    """A page of the events or refunds of a payment, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 100
    cursor: validation.Cursor = None


class ReadFeed(Schema):
    """Events of all payments after a cursor, or from a time on, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar = "feed"

    type: EventType | None = None
    created_from: Annotated[
        datetime | None,
        validation.optional_moment(end_of_day=False),
        validation.moment_schema("a date or an RFC 3339 time, inclusive"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 100
    cursor: validation.Cursor = None


class ReadStats(Schema):
    """A range of whole UTC days, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: Annotated[
        date | None,
        BeforeValidator(validation.day),
        Field(alias="from"),
        validation.day_schema("the first UTC day; by default, the range has 30 days"),
    ] = None
    to: Annotated[
        date | None,
        BeforeValidator(validation.day),
        validation.day_schema("the last UTC day; by default, today"),
    ] = None
