"""Pages of lists, and the cursors between them.

Guarantee: a client that follows `next_cursor` to the end sees every item that the index had at the
start exactly once, even while items are added and changed. A list of all payments or deliveries
walks an index whose entries never change. A list by status may miss or repeat an item whose status
changes meanwhile. An index is eventually consistent: it lags a write by a moment. A page reads a
limited number of rows: with a rare filter it may be short and still have a `next_cursor`.

Sort keys are `<RFC 3339 time>#<id>`: unique, of one width, and in time order as text. The lists of
one payment walk its partition, by the range keys of its rows.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TypeVar

from chalicelib import exact_json
from chalicelib.errors import InvalidCursor, MalformedJson
from chalicelib.schema import Schema
from chalicelib.values import ULID_PATTERN, rfc3339

MAX_ROWS: Final = 1000
"""The limit of rows read for one page, whatever the filter."""

_FILTERED_READ: Final = 100
_VERSION: Final = 1
_CHECKSUM_BYTES: Final = 6
_NO_FILTERS: Final = {"limit", "cursor"}
_NEWER: Final = {"idempotency_key", "merchant"}
"""Filters that version 0.3 does not know."""
_MAX_CURSOR_CHARACTERS: Final = 300
_SORT_KEY: Final = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}\.[0-9]{{6}}Z#[A-Z]{{3}}-{ULID_PATTERN}"
    rf"|EVENT#[0-9]{{10}}|REFUND#REF-{ULID_PATTERN}"
    rf"|DELIVERY#EVT-{ULID_PATTERN}#EP-{ULID_PATTERN}"
)
_MAX_BYTES: Final = 4_000_000
"""Of the JSON of a page's rows: an answer of a Lambda function has at most 6 MB."""

Row = TypeVar("Row")
Read = Callable[[str | None, int], list[tuple[str, Row | None]]]
"""Returns at most so many rows after a sort key, with their keys; None for a deleted row."""


class OfPayment(Schema):
    """What the cursor of a list of one payment belongs to."""

    payment_id: str
    kind: Literal["events", "refunds", "deliveries"]


class PageQuery(Protocol):
    """The fields of every list query."""

    @property
    def limit(self) -> int: ...

    @property
    def cursor(self) -> str | None: ...


def read_page(
    read: Read[Row],
    query: PageQuery,
    filters: Schema,
    *,
    matches: Callable[[Row], bool] = lambda _: True,
    is_filtered: bool = False,
    size_of: Callable[[Row], int] = lambda _: 0,
) -> tuple[list[Row], str | None]:
    """Return the rows of one page, and the cursor of the next.

    A cursor is valid for the same `filters` only. `is_filtered` means that some rows may not match.
    `size_of` says how many bytes of the answer a row takes; a page of large rows has fewer of them.

    Raises InvalidCursor, or what `read` raises.
    """
    start = None if query.cursor is None else decode_cursor(query.cursor, filters)
    found, last, has_more = read_rows(
        read, start, query.limit, matches=matches, is_filtered=is_filtered, size_of=size_of
    )
    return found, encode_cursor(last, filters) if has_more and last else None


def read_rows(
    read: Read[Row],
    last: str | None,
    limit: int,
    *,
    matches: Callable[[Row], bool],
    is_filtered: bool,
    size_of: Callable[[Row], int] = lambda _: 0,
) -> tuple[list[Row], str | None, bool]:
    """Return the rows of a page, the last key that was examined, and whether there is more."""
    found: list[Row] = []
    size_bytes = 0
    # One row more than is wanted tells whether there is a next page.
    read_size = _FILTERED_READ if is_filtered else limit + 1
    for _ in range(MAX_ROWS // read_size):
        rows = read(last, read_size)
        is_end = len(rows) < read_size
        for index, (key, row) in enumerate(rows if is_end else rows[:-1], start=1):
            last = key
            if row is not None and matches(row):
                found.append(row)
                size_bytes += size_of(row)
                is_full = len(found) == limit or size_bytes >= _MAX_BYTES
                if is_full and index < len(rows):
                    return found, last, True
        if is_end:
            return found, last, False
    return found, last, True


def encode_cursor(last: str, filters: Schema) -> str:
    """Return opaque text: a checksum, a version, the filters' digest and the last sort key.

    Filters that are not set are no part of it: it stays valid when a later version adds some.
    """
    said = filters.model_dump(mode="json", exclude=_NO_FILTERS, exclude_none=True)
    return _cursor(last, said | _kind_of(filters))


def _kind_of(filters: Schema) -> dict[str, str]:
    """Return what tells apart the lists that have the same filters: version 0.3 had none."""
    kind = getattr(filters, "kind", None)
    return {} if kind is None else {"kind": kind}


def _cursor(last: str, said: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(exact_json.canonical(said).encode()).hexdigest()[:16]
    content = exact_json.dumps([_VERSION, digest, last]).encode()
    return base64.urlsafe_b64encode(_checksum(content) + content).decode().rstrip("=")


def decode_cursor(cursor: str, filters: Schema) -> str:
    """Return the last sort key of the previous page.

    Raises InvalidCursor for a cursor that is corrupt or has other filters. The checksum is no
    secret: a forged cursor shows nothing that the list would not.
    """
    invalid = InvalidCursor("Send next_cursor exactly as received, with the same filters.")
    if len(cursor) > _MAX_CURSOR_CHARACTERS:
        raise invalid
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        _, _, last = exact_json.loads(decoded[_CHECKSUM_BYTES:])
    except (ValueError, TypeError, MalformedJson) as error:
        raise invalid from error
    if not (isinstance(last, str) and is_sort_key(last)):
        raise invalid
    # Trust nothing else: the cursor must equal the one that we would make for this position, or
    # that version 0.3 made, whose digest has the filters that are not set.
    unset = {name for name in _NEWER if getattr(filters, name, None) is None}
    whole = filters.model_dump(mode="json", exclude=_NO_FILTERS | unset)
    earlier = _cursor(last, whole | _kind_of(filters))
    if cursor not in {encode_cursor(last, filters), earlier}:
        raise invalid
    return last


def is_sort_key(text: str) -> bool:
    """Return whether `text` is a sort key: a time and an id."""
    return _SORT_KEY.fullmatch(text) is not None


def from_moment(moment: datetime) -> str:
    """Return the lower end of a range that holds everything at `moment` or later."""
    return rfc3339(moment)


def to_moment(moment: datetime) -> str:
    """Return the upper end of a range that holds everything at `moment` or earlier.

    As a lower end, it excludes exactly those: '$' sorts right after the '#' of a sort key.
    """
    return f"{rfc3339(moment)}$"


def moment_of(key: str) -> datetime:
    """Return the time of a sort key."""
    return datetime.fromisoformat(key.partition("#")[0])


def just_before(key: str) -> str:
    """Return the upper end of a range that holds every sort key below `key`."""
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~"


def just_after(key: str) -> str:
    """Return the lower end of a range that holds every sort key above `key`."""
    return f"{key}!"


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECKSUM_BYTES]
