"""Totals of settled payments and refunds, by day, currency, type and status.

Guarantee: the totals are exact, because the transaction that settles a payment or refund updates
them. Amounts of different currencies are never added, nor what is collected to what is paid out.
Processing payments are counted from an index, which lags a write by a moment: the count is labelled
approximate.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Final, Literal

from pydantic import ConfigDict, Field

from chalicelib.aws.pagination import from_moment, to_moment
from chalicelib.errors import FieldError, ValidationFailed
from chalicelib.payments.commands import ReadStats
from chalicelib.payments.models import Book, Status, Total
from chalicelib.payments.repository import PaymentRepository
from chalicelib.schema import Schema
from chalicelib.telemetry import log
from chalicelib.values import Amount, Currency, Day, with_decimals

MAX_DAYS: Final = 92
"""A quarter."""

_DEFAULT_DAYS: Final = 30


class Approximate(Schema):
    """A count from an index, which lags a write by a moment."""

    count: int
    approximate: Literal[True] = True


class Sums(Schema):
    """Volumes of one currency."""

    model_config = ConfigDict(frozen=True)

    currency: Currency
    gross: Amount = Field(description="debits that were completed, also those returned since")
    refunded: Amount = Field(description="refunds that are completed, as far as `refunds` has them")
    returned: Amount = Field(description="debits that are returned, with their whole amounts")
    net: Amount = Field(description="gross - returned - refunded")
    credits: Amount = Field(description="credits that are completed: paid out, not part of `net`")


class Stats(Schema):
    """Totals of the payments created from one UTC day to another, both included."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    from_: Day = Field(serialization_alias="from")
    to: Day
    timezone: Literal["UTC"] = "UTC"
    rows: list[Total] = Field(
        description="of debits: one for each day, currency, type and status in use"
    )
    credits: list[Total] = Field(description="the same of credits, which pay money out")
    refunds: list[Total] = Field(
        description="the same of refunds, by the day and type of their payment; without those that "
        "a version before 0.3 settled and that no operator has counted since"
    )
    summary: list[Sums] = Field(description="the volumes of each currency in use")
    incomplete: bool = Field(
        description="true if more payments left a total than had been counted, as when a payment "
        "is returned that a version before 0.1 settled: that total is left out"
    )
    processing: Approximate = Field(description="payments of the same days that no row counts")


def read(repository: PaymentRepository, query: ReadStats, now: datetime) -> Stats:
    """Return the totals of a range of days. Raises ValidationFailed or Unavailable."""
    first, last = days_of(query, now)
    totals = [total for total in repository.totals(first, last) if total.count]
    rows = sorted(totals, key=attrgetter("book", "day", "currency", "type", "status"))
    below_zero = [row for row in rows if row.count < 0 or row.volume < 0]
    for row in below_zero:
        log("total_below_zero", book=row.book, **row.model_dump())
    books: dict[Book, list[Total]] = {book: [] for book in Book}
    for row in rows:
        if row not in below_zero:
            books[row.book].append(row)
    return Stats(
        from_=first,
        to=last,
        rows=books[Book.DEBITS],
        credits=books[Book.CREDITS],
        refunds=books[Book.REFUNDS],
        summary=_summary(books),
        incomplete=bool(below_zero),
        processing=Approximate(count=repository.count_processing(*_created(first, last))),
    )


def days_of(query: ReadStats, now: datetime) -> tuple[date, date]:
    """Return the first and the last day of the range. Raises ValidationFailed."""
    last = query.to or max(now.astimezone(UTC).date(), query.from_ or date.min)
    try:
        first = query.from_ or last - timedelta(days=_DEFAULT_DAYS - 1)
    except OverflowError:
        first = date.min
    if last < first:
        raise ValidationFailed([FieldError("to", "must not be earlier than from")])
    if (last - first).days >= MAX_DAYS:
        raise ValidationFailed(
            [FieldError("from", f"ask for at most {MAX_DAYS} days, both ends included")]
        )
    return first, last


def _created(first: date, last: date) -> tuple[str, str]:
    return (
        from_moment(datetime.combine(first, time.min, UTC)),
        to_moment(datetime.combine(last, time.max, UTC)),
    )


def _summary(books: Mapping[Book, list[Total]]) -> list[Sums]:
    """Return the sums of each currency that has a total."""
    volumes: defaultdict[tuple[Book, Status, Currency], Decimal] = defaultdict(Decimal)
    for book, rows in books.items():
        for row in rows:
            volumes[book, row.status, row.currency] += row.volume
    return [_sums(currency, volumes) for currency in sorted({key[2] for key in volumes})]


def _sums(currency: Currency, volumes: Mapping[tuple[Book, Status, Currency], Decimal]) -> Sums:
    def volume(book: Book, status: Status) -> Decimal:
        return with_decimals(volumes.get((book, status, currency), Decimal(0)), currency)

    completed = volume(Book.DEBITS, Status.COMPLETED)
    returned = volume(Book.DEBITS, Status.RETURNED)
    refunded = volume(Book.REFUNDS, Status.COMPLETED)
    return Sums(
        currency=currency,
        gross=completed + returned,
        refunded=refunded,
        returned=returned,
        net=completed - refunded,
        credits=volume(Book.CREDITS, Status.COMPLETED),
    )
