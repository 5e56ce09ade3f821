"""Lists, newest first, a page at a time, and the cursor between pages.

Guarantee: whoever follows `next_cursor` to its end sees every payment that the index held at
the start, once, while others are added and move. The list of everything walks an index whose
entries never change; a list by status sees what moves between states at that instant on
either page, both or none. An index lags a write by a moment (it is eventually consistent).
A page reads a bounded number of rows, so with a rare filter it may be short and still have a
`next_cursor`.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from pydantic import ConfigDict

from chalicelib import exact_json
from chalicelib.commands import ListPayments
from chalicelib.errors import InvalidCursor, MalformedJson
from chalicelib.model import Payment
from chalicelib.schema import Schema
from chalicelib.store import Store, sort_key
from chalicelib.tables import (
    EARLIEST,
    LATEST,
    from_moment,
    is_sort_key,
    just_before,
    to_moment,
)

MAX_ROWS: Final = 1000
"""What one page may read, whatever its filter lets through."""

_FILTERED_READ: Final = 100
_VERSION: Final = 1
_CHECKSUM_BYTES: Final = 6
_MAX_CURSOR_CHARACTERS: Final = 300


Row = TypeVar("Row")
Read = Callable[[str | None, int], list[tuple[str, Row | None]]]
"""At most so many rows below a sort key, each with its own; None for one that is not there."""


class Asked(Protocol):
    """What every list is asked for."""

    @property
    def limit(self) -> int: ...

    @property
    def cursor(self) -> str | None: ...


class Page(Schema):
    """Payments, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    payments: list[Payment]
    next_cursor: str | None
    count: int


def list_payments(store: Store, query: ListPayments) -> Page:
    """One page. Raises InvalidCursor or Unavailable."""
    payments, next_cursor = page(
        lambda last, size: _read(store, query, last, size),
        lambda payment: _matches(payment, query),
        query,
        query,
        is_filtered=bool(query.type or query.currency),
    )
    return Page(payments=payments, next_cursor=next_cursor, count=len(payments))


def page(
    read: Read[Row],
    matches: Callable[[Row], bool],
    asked: Asked,
    filters: Schema,
    *,
    is_filtered: bool,
) -> tuple[list[Row], str | None]:
    """The rows of one page, and the cursor of the next. Raises InvalidCursor, or what `read` does.

    `filters` are what the cursor belongs to; `is_filtered` where not every row `matches`.
    """
    last = None if asked.cursor is None else decode_cursor(asked.cursor, filters)
    found: list[Row] = []
    # One row more than is wanted tells whether there is a next page.
    read_size = _FILTERED_READ if is_filtered else asked.limit + 1
    for _ in range(MAX_ROWS // read_size):
        rows = read(last, read_size)
        is_end = len(rows) < read_size
        for index, (last, row) in enumerate(rows if is_end else rows[:-1], start=1):
            if row is not None and matches(row):
                found.append(row)
                if len(found) == asked.limit and index < len(rows):
                    return found, encode_cursor(last, filters)
        if is_end:
            return found, None
    return found, encode_cursor(last, filters) if last else None


def encode_cursor(last: str, filters: Schema) -> str:
    """Opaque text that holds a version, the filter and the last sort key, with a checksum."""
    content = exact_json.dumps([_VERSION, _filter_digest(filters), last]).encode()
    return base64.urlsafe_b64encode(_checksum(content) + content).decode().rstrip("=")


def decode_cursor(cursor: str, filters: Schema) -> str:
    """The sort key that the page before ended with.

    Raises InvalidCursor for a cursor that is garbled, cut or another filter's. The checksum
    is no secret: a made-up position shows nothing that the list would not.
    """
    refusal = InvalidCursor("Send next_cursor as the last page gave it, with the same filters.")
    if len(cursor) > _MAX_CURSOR_CHARACTERS:
        raise refusal
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        _, _, last = exact_json.loads(decoded[_CHECKSUM_BYTES:])
    except (ValueError, TypeError, MalformedJson) as error:
        raise refusal from error
    # What it says of itself need not be trusted: it must be what we would write for this place.
    if not (isinstance(last, str) and is_sort_key(last)):
        raise refusal
    if encode_cursor(last, filters) != cursor:
        raise refusal
    return last


def _read(
    store: Store, query: ListPayments, last: str | None, size: int
) -> list[tuple[str, Payment | None]]:
    lower = from_moment(query.created_from) if query.created_from else EARLIEST
    upper = to_moment(query.created_to) if query.created_to else LATEST
    if last is not None:
        upper = min(upper, just_before(last))
    if query.status is not None:
        payments = store.by_status(query.status, lower, upper, size)
        return [(sort_key(payment), payment) for payment in payments]
    entries = store.everything(lower, upper, size)
    # A full read's last row only tells that there is more.
    found = store.get_many([payment_id for payment_id, _ in entries[: size - 1]])
    return [(key, found.get(payment_id)) for payment_id, key in entries]


def _matches(payment: Payment, query: ListPayments) -> bool:
    return query.type in {None, payment.type} and query.currency in {None, payment.currency}


def _filter_digest(filters: Schema) -> str:
    said = filters.model_dump(mode="json", exclude={"limit", "cursor"})
    return hashlib.sha256(exact_json.canonical(said).encode()).hexdigest()[:16]


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECKSUM_BYTES]
