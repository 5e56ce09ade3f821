"""Exports as DynamoDB items of the payments table: keys and codecs.

export    EXPORT#<export id> / EXPORT; in the due index until it ends
"""

from typing import Any, Final, NamedTuple

from chalicelib.aws.dynamodb import Index, Item, drop_none
from chalicelib.aws.pagination import moment_of
from chalicelib.aws.s3 import Part
from chalicelib.exports.models import Export, Progress, Tail
from chalicelib.values import rfc3339

LISTING: Final = "EXPORT"
DUE_INDEX: Final = Index("due-index", "due", "dueAt")
DUE: Final = "exports"
"""The key of unfinished exports in the due index; deliveries have numbers there."""


class ExportEntry(NamedTuple):
    """The entry of an export in the due index."""

    export_id: str
    sort_key: str


def export_key(export_id: str) -> Item:
    return {"PK": f"EXPORT#{export_id}", "SK": "EXPORT"}


def export_to_item(export: Export) -> Item:
    progress = export.progress
    item: dict[str, Any] = export_key(export.id) | {
        "listing": LISTING,
        "id": export.id,
        "resource": export.resource,
        "filters": export.filters.model_dump(mode="json", exclude_none=True),
        "layout": export.layout.model_dump(mode="json", exclude_none=True),
        # Not `status`: that attribute would put exports into the lists of payments.
        "state": export.state,
        "reason": export.failure_reason,
        "rows": export.rows,
        "unreadable": export.unreadable or None,
        "sizeBytes": export.size_bytes,
        "upTo": rfc3339(export.up_to),
        "createdAt": f"{rfc3339(export.created_at)}#{export.id}",
        "completedAt": export.completed_at and rfc3339(export.completed_at),
        "expiresAt": export.expires_at and rfc3339(export.expires_at),
        "createdBy": export.created_by,
        "createdById": export.created_by_id,
        "due": None if export.due_at is None else DUE,
        "dueAt": export.due_at and f"{rfc3339(export.due_at)}#{export.id}",
        "cursor": progress.cursor or None,
        "isWalked": progress.is_walked or None,
        "uploadId": progress.upload_id or None,
        "parts": [[part.number, part.etag] for part in progress.parts] or None,
        "tail": progress.tail and list(progress.tail),
        "fruitless": progress.fruitless or None,
    }
    return drop_none(item)


def export_from_item(item: Item) -> Export:
    layout = {"separator": None, "decimal_sign": None, "time_zone": None} | item["layout"]
    return Export(
        id=item["id"],
        resource=item["resource"],
        filters=item["filters"],
        layout=layout,
        state=item["state"],
        failure_reason=item.get("reason"),
        rows=item["rows"],
        unreadable=item.get("unreadable", 0),
        size_bytes=item["sizeBytes"],
        up_to=item["upTo"],
        created_at=item["createdAt"].partition("#")[0],
        completed_at=item.get("completedAt"),
        expires_at=item.get("expiresAt"),
        created_by=item.get("createdBy"),
        created_by_id=item.get("createdById"),
        due_at=moment_of(item["dueAt"]) if "dueAt" in item else None,
        progress=Progress(
            cursor=item.get("cursor", ""),
            is_walked=item.get("isWalked", False),
            upload_id=item.get("uploadId", ""),
            parts=tuple(Part(int(number), etag) for number, etag in item.get("parts", [])),
            tail=_tail(item),
            fruitless=int(item.get("fruitless", 0)),
        ),
    )


def _tail(item: Item) -> Tail | None:
    if "tail" not in item:
        return None
    key, size_bytes = item["tail"]
    return Tail(key, int(size_bytes))


def due_entry(item: Item) -> ExportEntry:
    return ExportEntry(item["PK"].partition("#")[2], item[DUE_INDEX.range])
