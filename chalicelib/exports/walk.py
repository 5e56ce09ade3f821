"""The rows of an export, oldest first, in pages.

Guarantee: every row of the listing that was created in the export's range is read once, whatever
is written meanwhile: a walk goes along sort keys that never change, up to a moment that was past
when the export was created. A row is read as it is at that time, not as it was when the export was
created.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from chalicelib.aws.dynamodb import EARLIEST, Item
from chalicelib.aws.pagination import from_moment, to_moment
from chalicelib.exports import formats
from chalicelib.exports.models import Export, Resource
from chalicelib.exports.repository import PAGE, ExportRepository
from chalicelib.payments import items
from chalicelib.payments.models import EventBody, EventType, Payment, Refund


@dataclass(frozen=True)
class Source:
    """Where the rows of a resource come from: a listing of `all-createdAt-index`."""

    listing: str
    read: Callable[[ExportRepository, list[Item]], list[Any]]
    """Returns the rows of entries of the listing; None for one that this version cannot read."""
    columns: formats.Columns


def _payments(repository: ExportRepository, entries: list[Item]) -> list[Payment | None]:
    return repository.rows(entries, items.payment_from_item)


def _events(repository: ExportRepository, entries: list[Item]) -> list[EventBody | None]:
    events = repository.rows(entries, items.event_from_item)
    keys = {event.subject_id: items.subject_key(event) for event in events if event is not None}
    subjects = repository.rows(list(keys.values()), items.subject_from_item)
    by_id = {one.id: one for one in subjects if one is not None}
    return [
        None
        if event is None or event.subject_id not in by_id
        else event.body(by_id[event.subject_id])
        for event in events
    ]


def _refunds(repository: ExportRepository, entries: list[Item]) -> list[Refund | None]:
    """Find refunds by their first events: their own entries move with their status."""
    events = repository.rows(entries, items.event_from_item)
    unreadable: list[Refund | None] = [None] * events.count(None)
    created = [one for one in events if one is not None and one.type is EventType.REFUND_CREATED]
    keys = [items.subject_key(event) for event in created]
    return unreadable + repository.rows(keys, items.refund_from_item)


SOURCES: Final = {
    Resource.PAYMENTS: Source(items.LISTING, _payments, formats.OF_PAYMENTS),
    Resource.REFUNDS: Source(items.FEED, _refunds, formats.OF_REFUNDS),
    Resource.EVENTS: Source(items.FEED, _events, formats.OF_EVENTS),
}


class Page(NamedTuple):
    """Some of the rows, and the sort key of the last one that was looked at."""

    rows: list[Any]
    unreadable: int
    cursor: str
    is_last: bool


def pages(repository: ExportRepository, export: Export) -> Iterator[Page]:
    """Yield the rest of the rows, after the export's cursor. Raises Unavailable."""
    source = SOURCES[export.resource]
    created_from = export.filters.created_from
    cursor = export.progress.cursor or (from_moment(created_from) if created_from else EARLIEST)
    upper = to_moment(export.up_to)
    is_last = False
    while not is_last:
        entries = repository.entries(source.listing, cursor, upper, PAGE)
        read = source.read(repository, entries)
        cursor = entries[-1][items.ALL.range] if entries else cursor
        is_last = len(entries) < PAGE
        matching = [row for row in read if row is not None and export.filters.match(row)]
        yield Page(matching, read.count(None), cursor, is_last)
