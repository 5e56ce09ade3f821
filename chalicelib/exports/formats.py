"""The lines of a file: CSV (RFC 4180) or JSON Lines.

Guarantee: amounts keep their digits, and no cell of a CSV is a formula to a spreadsheet. Text of a
merchant or payer may begin with `=`, and a spreadsheet would run it: a quote goes before it, also
where a spreadsheet with another separator would begin a cell.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from chalicelib.exports.models import DecimalSign, Format, Layout
from chalicelib.payments.models import EventBody, Payment, Refund, Status
from chalicelib.values import with_decimals

Cell = str | Decimal | datetime | None

CONTENT_TYPES: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON_LINES: "application/jsonl",
}

_BYTE_ORDER_MARK: Final = "\ufeff"  # makes spreadsheets read the file as UTF-8
# A cell begins where the text does, and after whatever a spreadsheet may take for a separator.
_FORMULA: Final = re.compile("(\\A|[,;|\t\r\n])([\\s\ufeff]*)([=+\\-@\uff1d\uff0b\uff0d\uff20])")
_QUOTED: Final = re.compile('[",;|\t\r\n]')


@dataclass(frozen=True)
class Columns:
    """The columns of a CSV."""

    cells: Mapping[str, Callable[[Any], Cell]]
    times: frozenset[str]
    """The names of those that are times."""


class Lines(Protocol):
    """Writes rows as lines."""

    def header(self) -> bytes: ...

    def line(self, row: Any) -> bytes: ...


def lines(layout: Layout, columns: Columns) -> Lines:
    """Return what writes rows in this layout."""
    return JsonLines() if layout.format is Format.JSON_LINES else Csv(layout, columns)


class JsonLines:
    """Each row as the API answers it, in a line of its own."""

    def header(self) -> bytes:
        return b""

    def line(self, row: Any) -> bytes:
        return f"{row.to_json()}\n".encode()


class Csv:
    """A header and a line for each row, in UTF-8."""

    def __init__(self, layout: Layout, columns: Columns) -> None:
        self._separator = str(layout.separator)
        self._sign = layout.decimal_sign or DecimalSign.POINT
        self._zone = ZoneInfo(layout.time_zone or "UTC")
        self._columns = columns

    def header(self) -> bytes:
        suffix = "_utc" if self._zone.key == "UTC" else f" ({self._zone.key})"
        times = self._columns.times
        names = (f"{name}{suffix}" if name in times else name for name in self._columns.cells)
        return _BYTE_ORDER_MARK.encode() + self._joined(names)

    def line(self, row: Any) -> bytes:
        return self._joined(self.cell(cell(row)) for cell in self._columns.cells.values())

    def cell(self, value: Cell) -> str:
        """Return one cell, quoted if it has to be."""
        if value is None:
            return ""
        if isinstance(value, Decimal):
            return _quoted(f"{value:f}".replace(".", self._sign))
        if isinstance(value, datetime):  # as spreadsheets read it: no T, no offset, no fraction
            return value.astimezone(self._zone).isoformat(" ", "seconds")[:19]
        return _quoted(_FORMULA.sub(r"\1\2'\3", value))

    def _joined(self, cells: Iterable[str]) -> bytes:
        return f"{self._separator.join(cells)}\r\n".encode()


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def amount_lost(payment: Payment) -> Decimal:
    """Return what went back twice: refunded by the merchant, and taken back by the bank."""
    if payment.status is not Status.RETURNED:
        return with_decimals(Decimal(0), payment.currency)
    return payment.amount_refunded + payment.amount_returned - payment.amount


OF_PAYMENTS: Final = Columns(
    {
        "id": lambda payment: payment.id,
        "created_at": lambda payment: payment.created_at,
        "status": lambda payment: payment.status,
        "merchant": lambda payment: payment.merchant,
        "amount": lambda payment: payment.amount,
        "currency": lambda payment: payment.currency,
        "type": lambda payment: payment.type,
        "direction": lambda payment: payment.direction,
        "amount_refunded": lambda payment: payment.amount_refunded,
        "amount_returned": lambda payment: payment.amount_returned,
        "amount_lost": amount_lost,
        "failure_code": lambda payment: payment.failure_code,
        "bank_code": lambda payment: payment.bank_code,
        "expected_at": lambda payment: payment.expected_at,
        "completed_at": lambda payment: payment.completed_at,
        "description": lambda payment: payment.description,
    },
    times=frozenset({"created_at", "expected_at", "completed_at"}),
)

OF_REFUNDS: Final = Columns(
    {
        "id": lambda refund: refund.id,
        "created_at": lambda refund: refund.created_at,
        "status": lambda refund: refund.status,
        "payment_id": lambda refund: refund.payment_id,
        "amount": lambda refund: refund.amount,
        "currency": lambda refund: refund.currency,
        "failure_code": lambda refund: refund.failure_code,
        "bank_code": lambda refund: refund.bank_code,
        "expected_at": lambda refund: refund.expected_at,
        "completed_at": lambda refund: refund.completed_at,
        "reason": lambda refund: refund.reason,
    },
    times=OF_PAYMENTS.times,
)


def _payment_id(event: EventBody) -> str:
    return event.data.payment_id if isinstance(event.data, Refund) else event.data.id


OF_EVENTS: Final = Columns(
    {
        "id": lambda event: event.id,
        "timestamp": lambda event: event.timestamp,
        "type": lambda event: event.type,
        "payment_id": _payment_id,
        "seq": lambda event: str(event.seq),
        "refund_id": lambda event: event.data.id if isinstance(event.data, Refund) else None,
        "status": lambda event: event.data.status,
        "amount": lambda event: event.data.amount,
        "currency": lambda event: event.data.currency,
        "failure_code": lambda event: event.data.failure_code,
        "bank_code": lambda event: event.data.bank_code,
    },
    times=frozenset({"timestamp"}),
)
