"""What has been settled, counted and added up by day, currency, type and status.

Guarantee: the totals are exact, since each is written in the transaction that settles its
payment; amounts of two currencies are never added. What is still processing is counted from an
index, which lags a write by a moment, and is labelled so.
"""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, Literal

from pydantic import ConfigDict, Field

from chalicelib.commands import ReadStats
from chalicelib.errors import FieldError, ValidationFailed
from chalicelib.model import Day, Total
from chalicelib.schema import Schema
from chalicelib.store import Store
from chalicelib.tables import from_moment, to_moment

MAX_DAYS: Final = 92
"""A quarter."""

_DEFAULT_DAYS: Final = 30


class Approximate(Schema):
    """A count from an index."""

    count: int
    approximate: Literal[True] = True


class Stats(Schema):
    """Totals of what was created from the one day to the other, both included."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    from_: Day = Field(serialization_alias="from")
    to: Day
    timezone: Literal["UTC"] = "UTC"
    rows: list[Total] = Field(description="by day, currency, type and status; none is empty")
    processing: Approximate = Field(description="of the same days, and in no row")


def read(store: Store, query: ReadStats, now: datetime) -> Stats:
    """Raises ValidationFailed or Unavailable."""
    first, last = days_of(query, now)
    return Stats(
        from_=first,
        to=last,
        rows=_added_up(store.totals(first, last)),
        processing=Approximate(count=store.count_processing(*_created(first, last))),
    )


def days_of(query: ReadStats, now: datetime) -> tuple[date, date]:
    """The first and the last of the days that are asked for. Raises ValidationFailed."""
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


def _added_up(shards: list[Total]) -> list[Total]:
    """One row for each day, currency, type and status that has a payment."""
    sums: defaultdict[tuple[date, str, str, str], tuple[int, Decimal]]
    sums = defaultdict(lambda: (0, Decimal(0)))
    for row in shards:
        key = (row.day, row.currency, row.type, row.status)
        count, volume = sums[key]
        sums[key] = (count + row.count, volume + row.volume)
    return [
        Total(
            day=day, currency=currency, type=payment_type, status=status, count=count, volume=volume
        )
        for (day, currency, payment_type, status), (count, volume) in sorted(sums.items())
        if count
    ]
