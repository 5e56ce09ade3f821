"""Exports in DynamoDB, and the rows that they walk.

Guarantee: one worker at a time holds the lease of a due export, and writes how far it is only
while it holds the lease. What it writes is one update, on this condition:

    create    record  absent or expired, if the request has a key
              export  absent
              audit event
    lease     export  due, and `dueAt` as we read it      dueAt = until
    save      export  `dueAt` as we wrote it last         dueAt = until, or none at the end
                └── if the worker dies, it is due again at `until`, from its last save

Raises Conflict and Unavailable as `aws.dynamodb` does.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from chalicelib.audit import items as audit_items
from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import (
    MAX_KEYS,
    ConditionFailed,
    Item,
    KeyRange,
    Table,
    key_of,
    unchanged,
)
from chalicelib.aws.pagination import just_after
from chalicelib.errors import NotFound
from chalicelib.exports import items
from chalicelib.exports.models import Export
from chalicelib.idempotency import Record, Records
from chalicelib.payments.items import ALL
from chalicelib.values import EXPORT_ID

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AT_ONCE: Final = 4
"""Reads side by side: an export must leave the table's capacity to the API."""
PAGE: Final = _AT_ONCE * MAX_KEYS

Row = TypeVar("Row")


class LeaseLost(Exception):
    """Another worker holds the lease, or the export has ended."""


class ExportRepository:
    """The exports of one stage."""

    def __init__(
        self, dynamodb: "DynamoDBClient", *, payments_table: str, idempotency_table: str
    ) -> None:
        self._table = Table(dynamodb, payments_table)
        self._records = Records(dynamodb, idempotency_table)

    def create(self, export: Export, event: AuditEvent, record: Record | None) -> None:
        """Store a new export, its audit event, and a record if it is given, together.

        Raises RecordExists.
        """
        self._records.transact(
            self._table,
            export.id,
            record,
            export.created_at,
            self._table.put_if_absent(items.export_to_item(export)),
            audit_items.put(self._table, event),
        )

    def get(self, export_id: str) -> Export:
        """Return the export, as of the last write. Raises NotFound."""
        item = None
        if EXPORT_ID.fullmatch(export_id):  # other text may exceed DynamoDB's limit for keys
            item = self._table.find(items.export_key(export_id))
        if item is None:
            raise NotFound("There is no export with this id.")
        return items.export_from_item(item)

    def newest(self, upper: str, limit: int) -> list[tuple[str, Export | None]]:
        """Return exports up to a sort key, newest first: see `Table.listed`."""
        keys = KeyRange(items.LISTING, upper=upper)
        return self._table.listed(keys, ALL, limit, items.export_from_item, newest_first=True)

    def due(self, lower: str, upper: str, limit: int) -> list[items.ExportEntry]:
        """Return entries of unfinished exports, the longest due first."""
        keys = KeyRange(items.DUE, lower, upper)
        found = self._table.query(keys, items.DUE_INDEX, limit=limit)
        return [items.due_entry(item) for item in found]

    def lease(self, export_id: str, now: datetime, until: datetime) -> Export | None:
        """Lease the export until `until`.

        Returns None if it is unknown, has ended, or is leased by another worker.
        """
        try:
            before = self.get(export_id)
        except NotFound:
            return None
        if before.due_at is None or before.due_at > now:
            return None
        leased = before.leased(until)
        try:
            self.save(before, leased)
        except LeaseLost:
            return None
        return leased

    def save(self, before: Export, after: Export) -> None:
        """Write what differs. Raises LeaseLost when the lease has ended."""
        old, new = items.export_to_item(before), items.export_to_item(after)
        write = self._table.replace_request(old, new, unchanged(old, "dueAt"), is_silent=True)
        try:
            self._table.write(write)
        except ConditionFailed as failed:
            if self._table.find(key_of(old)) != new:  # an earlier try whose answer was lost
                raise LeaseLost(before.id) from failed

    def entries(self, listing: str, after: str, upper: str, limit: int) -> list[Item]:
        """Return the keys of rows with their sort keys, oldest first, from after a sort key."""
        keys = KeyRange(listing, just_after(after), upper)
        return self._table.query(keys, ALL, limit=limit)

    def rows(self, entries: Sequence[Item], codec: Callable[[Item], Row]) -> list[Row | None]:
        """Return the rows of the entries in their order, as of the last write.

        None stands for a row that this version cannot read.
        """
        keys = [key_of(entry) for entry in entries]
        batches = [keys[start : start + MAX_KEYS] for start in range(0, len(keys), MAX_KEYS)]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            found = pool.map(lambda batch: list(self._table.find_many(batch)), batches)
            by_key = {(item["PK"], item["SK"]): item for batch in found for item in batch}
        stored = (by_key.get((key["PK"], key["SK"])) for key in keys)
        return [self._table.read(item, codec) for item in stored if item is not None]
