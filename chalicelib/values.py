"""Values that every capability shares: ids, money and timestamps. Pure.

Guarantee: money is a `Decimal` with the decimals of its currency (ISO 4217). Timestamps have a
fixed width, so that sorting their text sorts them by time.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from pydantic import PlainSerializer, WithJsonSchema
from ulid import ULID


class Actor(NamedTuple):
    """Who made a change: an API key, by its name and id. Two keys may have one name."""

    name: str
    key_id: str | None = None
    address: str | None = None
    """Of the client that sent the request; None without a request."""


SYSTEM: Final = Actor("system")
"""Who made the changes of PayFlow itself, and of callers without a key where none is required."""

ULID_PATTERN: Final = "[0-9A-HJKMNP-TV-Z]{26}"
PAYMENT_ID: Final = re.compile(f"PAY-{ULID_PATTERN}")
REFUND_ID: Final = re.compile(f"REF-{ULID_PATTERN}")
ENDPOINT_ID: Final = re.compile(f"EP-{ULID_PATTERN}")
DELIVERY_ID: Final = re.compile(
    f"DLV-(?P<payment>{ULID_PATTERN})?(?P<event>{ULID_PATTERN})(?P<endpoint>{ULID_PATTERN})"
)
EXPORT_ID: Final = re.compile(f"EXP-{ULID_PATTERN}")
API_KEY_ID: Final = re.compile(r"KEY-[0-9A-F]{20}")

MAX_AMOUNT: Final = Decimal(1_000_000)


class Currency(StrEnum):
    """The supported currencies (ISO 4217)."""

    CAD = "CAD"
    USD = "USD"


_DECIMALS: Final[Mapping[Currency, int]] = MappingProxyType({Currency.CAD: 2, Currency.USD: 2})
"""From ISO 4217. A test compares them with the published table, which is slow to load."""
_SMALLEST: Final[Mapping[str, Decimal]] = MappingProxyType(
    {currency: Decimal(1).scaleb(-decimals) for currency, decimals in _DECIMALS.items()}
)


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC with six decimals and `Z` (RFC 3339). The width is fixed."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def with_decimals(value: Decimal, currency: str) -> Decimal:
    """Return `value` rounded to exactly the decimals of `currency` (ISO 4217).

    Raises KeyError for a currency that is not supported.
    """
    return value.quantize(_SMALLEST[currency])


def exact_amount(value: Decimal, currency: Currency) -> Decimal:
    """Return `value` with the decimals of `currency`. Raises ValueError if that loses a digit."""
    check_bounds(value)
    written = with_decimals(value, currency)
    if written != value:
        raise ValueError(f"must have at most {_DECIMALS[currency]} decimal places in {currency}")
    return written


def check_bounds(value: Decimal) -> None:
    """Raise ValueError unless 0 < `value` ≤ `MAX_AMOUNT`, whatever the currency."""
    if not value.is_finite() or value > MAX_AMOUNT:
        raise ValueError(f"must be at most {MAX_AMOUNT}")
    if value <= 0:
        raise ValueError("must be greater than 0")


def folded(text: str) -> str:
    """Return a name as it is compared: NFKC, without regard to case (Unicode, D146)."""
    folded_once = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded_once)  # folding may undo the normal form


def new_id(prefix: str, now: datetime) -> str:
    """Return `prefix-` and a ULID: time-ordered to the millisecond, 80 random bits, upper case."""
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
    Decimal, WithJsonSchema({"type": "number", "format": "double", "examples": [1250.75]})
]
"""Generators make a 32-bit number of one without a format, which has seven digits."""
