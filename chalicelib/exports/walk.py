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


@dataclass(frozen=True)
class Source:
    """Where the rows of a resource come from: a listing of `all-createdAt-index`."""

    listing: str
    codec: Callable[[Item], Any]
    columns: formats.Columns


SOURCES: Final = {
    Resource.PAYMENTS: Source(items.LISTING, items.payment_from_item, formats.OF_PAYMENTS),
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
        read = repository.rows(entries, source.codec)
        cursor = entries[-1][items.ALL.range] if entries else cursor
        is_last = len(entries) < PAGE
        matching = [row for row in read if row is not None and export.filters.match(row)]
        yield Page(matching, read.count(None), cursor, is_last)
