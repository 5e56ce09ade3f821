"""API keys in the payments table: `APIKEYS` / `APIKEY#<sha256 of the key>`.

Guarantee: a key is replaced at most once, in one transaction with its successor. Every change that
somebody asked for is one transaction with its audit event. Raises Conflict and Unavailable as
`aws.dynamodb` does.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from boto3.dynamodb.conditions import Attr

from chalicelib.api_keys.models import ApiKey
from chalicelib.audit import items as audit_items
from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import (
    ConditionFailed,
    Item,
    KeyRange,
    Table,
    drop_none,
    exists,
)
from chalicelib.idempotency import Record, Records
from chalicelib.values import API_KEY_ID, rfc3339

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION: Final = "APIKEYS"


class KeyEnded(Exception):
    """The API key is revoked, has expired or was already replaced."""


class ApiKeyRepository:
    """The API keys of one stage."""

    def __init__(
        self, dynamodb: "DynamoDBClient", *, payments_table: str, idempotency_table: str
    ) -> None:
        self._table = Table(dynamodb, payments_table)
        self._records = Records(dynamodb, idempotency_table)

    def add(self, key: ApiKey, event: AuditEvent, record: Record | None = None) -> None:
        """Store a new key, its audit event, and a record if it is given. Raises RecordExists."""
        put = self._table.put_if_absent(to_item(key))
        self._records.transact(
            self._table, event.id, record, key.created_at, put, audit_items.put(self._table, event)
        )

    def find_by_digest(self, digest: str) -> ApiKey | None:
        """Return the key with this SHA-256, as of the last write."""
        item = self._table.find(item_key(digest))
        return from_item(item) if item is not None else None

    def find(self, key_id: str) -> ApiKey | None:
        """Return the key with this id. The id contains the first digits of the digest."""
        if not API_KEY_ID.fullmatch(key_id):
            return None
        found = self._starting_with(key_id.removeprefix("KEY-").lower())
        return found[0] if found else None

    def all(self) -> list[ApiKey]:
        """Return every key that was ever created."""
        return self._starting_with("")

    def replace(self, old: ApiKey, old_ends_at: datetime, new: ApiKey, event: AuditEvent) -> None:
        """Add `new` and set the end of `old`, in one transaction with the audit event.

        Raises KeyEnded when `old` is revoked or was already replaced.
        """
        end = self._table.update_request(
            item_key(old.digest),
            exists() & Attr("revokedAt").not_exists() & Attr("replacedBy").not_exists(),
            set_={"expiresAt": rfc3339(old_ends_at), "replacedBy": new.id},
        )
        try:
            put = self._table.put_if_absent(to_item(new))
            self._table.transact(new.id, end, put, audit_items.put(self._table, event))
        except ConditionFailed as failed:
            raise KeyEnded from failed

    def revoke(self, key: ApiKey, event: AuditEvent) -> None:
        """Revoke the key. No-op if it is already revoked."""
        revoke = self._table.update_request(
            item_key(key.digest),
            exists() & Attr("revokedAt").not_exists(),
            set_={"revokedAt": rfc3339(event.created_at)},
        )
        try:
            self._table.transact(event.id, revoke, audit_items.put(self._table, event))
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise

    def note_use(self, key: ApiKey, hour: datetime) -> None:
        """Store the hour of the last use."""
        request = self._table.update_request(
            item_key(key.digest), exists(), set_={"lastUsedAt": rfc3339(hour)}
        )
        self._table.write(request)

    def _starting_with(self, digits: str) -> list[ApiKey]:
        start = f"APIKEY#{digits}"
        found = self._table.query(KeyRange(PARTITION, start, f"{start}~"))
        return self._table.read_all(found, from_item)


def item_key(digest: str) -> Item:
    return {"PK": PARTITION, "SK": f"APIKEY#{digest}"}


def to_item(key: ApiKey) -> Item:
    item = item_key(key.digest) | {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "createdAt": rfc3339(key.created_at),
        "lastUsedAt": key.last_used_at and rfc3339(key.last_used_at),
        "expiresAt": key.expires_at and rfc3339(key.expires_at),
        "revokedAt": key.revoked_at and rfc3339(key.revoked_at),
        "createdBy": key.created_by,
        "createdById": key.created_by_id,
    }
    return drop_none(item)


def from_item(item: Item) -> ApiKey:
    return ApiKey(
        id=item["id"],
        name=item["name"],
        scopes=item["scopes"],
        created_at=item["createdAt"],
        last_used_at=item.get("lastUsedAt"),
        expires_at=item.get("expiresAt"),
        revoked_at=item.get("revokedAt"),
        created_by=item.get("createdBy"),
        created_by_id=item.get("createdById"),
        digest=item["SK"].removeprefix("APIKEY#"),
    )
