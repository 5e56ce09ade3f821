"""What a caller may ask for: the request models, their limits and their error messages.

Guarantee: a command that exists has passed every rule that needs nothing but the
request itself. The same models are the request half of `/v1/openapi.json`.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from chalicelib.errors import FieldError, ValidationFailed
from chalicelib.model import (
    MAX_AMOUNT,
    RETURN_CODES,
    SYSTEM,
    Currency,
    PaymentType,
    Scope,
    Status,
    check_bounds,
    exact_amount,
)
from chalicelib.schema import Schema
from chalicelib.webhook_model import DeliveryStatus, Subscription
from chalicelib.webhook_url import MAX_URL_LENGTH

MAX_METADATA_BYTES = 2048
MAX_ERRORS_SHOWN = 20
Command = TypeVar("Command", bound=Schema)
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STATUS_CODE = re.compile("[1-5]([0-9]{2}|xx)")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise ValueError("must be a JSON number or a decimal string such as 10.50")


def _pattern(pattern: str) -> dict[str, JsonValue]:
    """Tells `/v1/openapi.json` of a rule that a validator below applies."""
    return {"pattern": pattern}


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must not contain control characters")
    return text


def _text(text: str) -> str:
    _one_line(text.translate({ord("\n"): None, ord("\r"): None, ord("\t"): None}))
    return text


def _not_blank(text: str) -> str:
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise ValueError("must not be blank")
    return text


def _not_reserved(name: str) -> str:
    if re.search("pf_[a-z0-9]+_[0-9a-f]{16}|whsec_[a-z0-9+/]{16}", name, re.IGNORECASE):
        raise ValueError("must not be a key: names stand in logs and events")
    if name.strip().lower() == SYSTEM:
        raise ValueError(f"must not be {SYSTEM!r}: events that no key stands behind have it")
    return name


def _printable_ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII characters only")
    return text


def _small(metadata: dict[str, str]) -> dict[str, str]:
    size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if size_bytes > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes in all; it has {size_bytes}")
    return metadata


def _moment(value: Any, *, end_of_day: bool) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    try:
        if _DATE.fullmatch(value):
            day = datetime.fromisoformat(value).replace(tzinfo=UTC)
            return day + timedelta(days=1, microseconds=-1) if end_of_day else day
        if _DATE_TIME.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a date or time that exists") from error
    raise ValueError(
        "must be a date (2026-11-22) or an RFC 3339 time (2026-11-22T21:57:01Z; "
        "percent-encode the + of an offset)"
    )


def _day(value: Any) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("must be a date that exists") from error
    raise ValueError("must be a date (2026-11-22)")


def _day_schema(description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": "date", "description": description})


def _moment_schema(description: str) -> WithJsonSchema:
    formats = [{"type": "string", "format": form} for form in ("date", "date-time")]
    return WithJsonSchema({"description": description, "anyOf": [*formats, {"type": "null"}]})


def _status_code(text: str) -> str:
    if not _STATUS_CODE.fullmatch(text):
        raise ValueError("must be an HTTP status such as 404, or a class of them such as 4xx")
    return text


def _whole_number(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError("must be a whole number")
    return value


def _whole_json_number(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        # By comparing, which no size of number is too large for.
        return int(value) if -MAX_AMOUNT < value < MAX_AMOUNT else MAX_AMOUNT
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


_ONE_LINE = _pattern(r"^[^\u0000-\u001f\u007f-\u009f]*$")
_TEXT = _pattern(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")
_CURSOR = _pattern("^[A-Za-z0-9_-]+$")
Text = Annotated[str, Field(max_length=500, json_schema_extra=_TEXT), AfterValidator(_text)]
IdempotencyKey = Annotated[
    str,
    Field(min_length=8, max_length=128, json_schema_extra=_pattern("^[ -~]+$")),
    AfterValidator(_printable_ascii),
]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_one_line)],
        Text,
    ],
    Field(max_length=20),
    AfterValidator(_small),
]
RequestedAmount = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": int(MAX_AMOUNT)},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"},
            ],
            "examples": [1250.75, "1250.75"],
        }
    ),
]


class CreatePayment(Schema):
    """A payment to make. `amount` has no more decimals than its currency (ISO 4217)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    merchant: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            examples=["Northern Lights Coffee"],
            json_schema_extra=_ONE_LINE,
        ),
        AfterValidator(_one_line),
        AfterValidator(_not_blank),
    ]
    currency: Currency
    amount: RequestedAmount
    type: PaymentType
    idempotency_key: IdempotencyKey = Field(
        description="8 to 128 printable ASCII characters; here or in the header Idempotency-Key",
        examples=["order-10023-attempt-1"],
    )
    description: Text | None = None
    metadata: Metadata = Field(
        default_factory=dict,
        description="at most 20 pairs and 2 KiB in all; `simulate` steers the simulator, "
        "`simulate_refund` steers it for refunds",
    )

    @field_validator("amount")
    @classmethod
    def _payable(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        currency = info.data.get("currency")
        if currency is None:  # refused on its own; the bounds hold in every currency
            check_bounds(amount)
            return amount
        return exact_amount(amount, currency)


class CreateRefund(Schema):
    """Money to give back. Without `amount`, all that is left of the payment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: RequestedAmount | None = Field(
        default=None, description="no more than is left; in the payment's currency"
    )
    reason: Text | None = None
    idempotency_key: IdempotencyKey = Field(
        description="8 to 128 printable ASCII characters; here or in the header Idempotency-Key",
        examples=["refund-of-order-10023"],
    )

    def in_currency(self, currency: Currency) -> "CreateRefund":
        """The same with its amount as `currency` writes it. Raises ValidationFailed."""
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


class SimulateReturn(Schema):
    """A bank's late return to act out. Without `code`, the rail's word for no funds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[
        str | None,
        Field(
            max_length=3,
            description="ACH: R01 to R29; EFT: 900 to 999",
            json_schema_extra=_pattern(
                "^(" + "|".join(codes.pattern.pattern for codes in RETURN_CODES.values()) + ")$"
            ),
        ),
    ] = None


class ListPayments(Schema):
    """A page of payments, newest first. Both ends of the time range belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = None
    type: PaymentType | None = None
    currency: Currency | None = None
    created_from: Annotated[
        datetime | None,
        BeforeValidator(lambda value: _moment(value, end_of_day=False)),
        _moment_schema("a date or an RFC 3339 time, included"),
    ] = None
    created_to: Annotated[
        datetime | None,
        BeforeValidator(lambda value: _moment(value, end_of_day=True)),
        _moment_schema("a date (to the end of that UTC day) or an RFC 3339 time, included"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(_whole_number)] = 20
    cursor: Annotated[
        str | None,
        Field(
            description="`next_cursor` of the page before, with the same filters",
            json_schema_extra=_CURSOR,
        ),
    ] = None

    @field_validator("created_to")
    @classmethod
    def _not_reversed(cls, created_to: datetime | None, info: ValidationInfo) -> datetime | None:
        created_from = info.data.get("created_from")
        if created_from and created_to and created_to < created_from:
            raise ValueError("must not be earlier than created_from")
        return created_to


class ReadStats(Schema):
    """Whole UTC days, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_: Annotated[
        date | None,
        BeforeValidator(_day),
        Field(alias="from"),
        _day_schema("the first UTC day; without it, 30 days in all"),
    ] = None
    to: Annotated[
        date | None, BeforeValidator(_day), _day_schema("the last UTC day; without it, today")
    ] = None


class ReadLogs(Schema):
    """The requests of the last hour, as far as both filters let them through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Annotated[
        str | None,
        Field(
            description="as 404, or a whole class, as 4xx",
            examples=["404", "4xx"],
            json_schema_extra=_pattern(f"^{_STATUS_CODE.pattern}$"),
        ),
        AfterValidator(_status_code),
    ] = None
    path: Annotated[str | None, Field(max_length=200, description="a part of the path")] = None


class CreateApiKey(Schema):
    """A key to make; it is shown once, in the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            description="the actor in events and logs",
            json_schema_extra=_ONE_LINE,
        ),
        AfterValidator(_one_line),
        AfterValidator(_not_blank),
        AfterValidator(_not_reserved),
    ]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_at: Annotated[
        datetime | None,
        BeforeValidator(lambda value: None if value is None else _moment(value, end_of_day=True)),
        _moment_schema("a date (to its end, UTC) or an RFC 3339 time; without it, never"),
    ] = None


class RollApiKey(Schema):
    """A key to replace; the old one works for `overlap_hours` more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap_hours: Annotated[int, Field(ge=0, le=168), BeforeValidator(_whole_json_number)] = 24


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="https, on port 443 or above 1023, on the public internet",
        examples=["https://example.com/webhooks"],
        json_schema_extra={"format": "uri"},
    ),
]
Subscriptions = Annotated[list[Subscription], Field(min_length=1, max_length=len(Subscription))]
EndpointDescription = Annotated[
    str, Field(max_length=200, json_schema_extra=_ONE_LINE), AfterValidator(_one_line)
]


class CreateEndpoint(Schema):
    """Where to send webhooks. Its secret is shown once, in the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    events: Subscriptions = Field(
        default=[Subscription.EVERYTHING], description="`*` is all of them, later ones too"
    )
    description: EndpointDescription | None = None


class UpdateEndpoint(Schema):
    """What is to change of an endpoint; what is left out or null stays, but for a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url | None = None
    events: Subscriptions | None = None
    description: EndpointDescription | None = Field(default=None, description="null clears it")
    enabled: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="enabling one again forgets its failures"
    )


class ListDeliveries(Schema):
    """A page of what is and was on its way to an endpoint, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: DeliveryStatus | None = None
    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(_whole_number)] = 20
    cursor: Annotated[
        str | None,
        Field(
            description="`next_cursor` of the page before, with the same filter",
            json_schema_extra=_CURSOR,
        ),
    ] = None


class ReplayFailed(Schema):
    """From when on the failed deliveries of an endpoint are to be made again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Annotated[
        datetime,
        BeforeValidator(lambda value: _moment(value, end_of_day=False)),
        WithJsonSchema(
            {
                "description": "a date or an RFC 3339 time, included, by when the events were",
                "examples": ["2026-11-22"],
                "anyOf": [{"type": "string", "format": form} for form in ("date", "date-time")],
            }
        ),
    ]


class CheckHealth(Schema):
    """Whether the service answers; with `deep=1`, whether its table and queue do too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deep: Literal["0", "1"] = "0"


def validated(command: type[Command], data: object) -> Command:
    """`data` as a `command`. Raises ValidationFailed, which names every field at fault."""
    try:
        return command.model_validate(data)
    except ValidationError as failure:
        errors = [
            FieldError(_field(error["loc"]), _message(error["type"], error))
            for error in failure.errors(include_url=False, include_input=False)
        ][:MAX_ERRORS_SHOWN]
        raise ValidationFailed(errors) from failure


def _field(location: tuple[int | str, ...]) -> str:
    if not location:
        return "body"
    names = [str(part) for part in location if part != "[key]"]
    field = ".".join(names)[:100] or '""'
    return field.encode("utf-8", "replace").decode()  # a name may hold a lone surrogate


_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_unicode": "must be well-formed Unicode, without lone surrogates",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "dict_type": "must be an object whose values are strings",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entry",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "model_type": "must be a JSON object",
    "finite_number": "must be a finite number",
    "value_error": "{error}",
}


def _message(kind: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    template = _MESSAGES.get(kind)
    return template.format(**context) if template else str(error["msg"])
