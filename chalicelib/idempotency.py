"""One effect for each idempotency key: the stored record, and the answer to a repeated request.

The record is written in the transaction that does the work (see the repositories), so there is no
"in progress" state, no lock to expire, and no moment at which a crash leaves half of the work:

    request ──▶ transaction ──┬─ committed ─────────────▶ 201, and the record holds the answer
                              └─ the key has a record ──▶ same fingerprint: 200, that answer
                                                          different one: 422
"""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boto3.dynamodb.conditions import Attr

from chalicelib import exact_json
from chalicelib.aws.dynamodb import ConditionFailed, Item, Table, Write, drop_none
from chalicelib.errors import IdempotencyKeyReused
from chalicelib.schema import Schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WINDOW: Final = timedelta(hours=24)
_KEY: Final = "idempotencyKey"
_NEWER: Final = frozenset({"direction"})
"""The optional fields that versions before 0.3 do not know."""


class Created(NamedTuple):
    """The answer to a request that creates something, and whether it is a replay."""

    body: str
    resource_id: str
    replayed: bool


@dataclass(frozen=True)
class Record:
    """The stored result of a successful request. It expires after `WINDOW`."""

    key: str
    fingerprints: "Fingerprints"
    resource_id: str
    response: str
    expires_at_seconds: int

    def replay(self, command: Schema) -> str:
        """Return the stored answer, byte for byte.

        Raises IdempotencyKeyReused when the record is of another command.
        """
        if not self.fingerprints.match(fingerprints(command)):
            raise IdempotencyKeyReused(
                "This idempotency key was used for another request in the last "
                f"{WINDOW // timedelta(hours=1)} hours; send a new key."
            )
        return self.response

    def replayed(self, command: Schema) -> Created:
        """Answer a repeated request. Raises IdempotencyKeyReused."""
        return Created(self.replay(command), self.resource_id, replayed=True)

    def answer(self, resource_id: str, command: Schema) -> Created:
        """Answer a request to create `resource_id` whose key already has this record.

        If the record has the same id, an earlier attempt of this request committed. Raises
        IdempotencyKeyReused.
        """
        if self.resource_id == resource_id:
            return Created(self.response, resource_id, replayed=False)
        return self.replayed(command)


def record_of(command: Schema, key: str, resource_id: str, response: str, now: datetime) -> Record:
    """Return the record of a request that creates a resource; `key` is its record key."""
    return Record(
        key=key,
        fingerprints=fingerprints(command),
        resource_id=resource_id,
        response=response,
        expires_at_seconds=expiry_seconds(now),
    )


def record_key(operation: str, resource: str, key: str) -> str:
    """Return the record's key. Payments and refunds may use the same idempotency key."""
    return f"{operation}#{resource}#{key}"


class Fingerprints(NamedTuple):
    """The SHA-256 of a request, in two forms. Both are the same for 10, 10.0 and "10.00"."""

    sent: str | None
    """Without the fields that have their defaults, so that a field which a later version adds
    changes nothing. None in records of versions before 0.3."""
    whole: str
    """With every field, as versions before 0.3 compare it. A later version leaves it out."""

    def match(self, other: "Fingerprints") -> bool:
        return self.whole == other.whole if self.sent is None else self.sent == other.sent


def fingerprints(command: Schema) -> Fingerprints:
    """Return the fingerprints of a validated request."""
    fields, defaults = command.model_dump(), _defaults(type(command))
    sent = {name: value for name, value in fields.items() if value != defaults[name]}
    whole = {name: value for name, value in fields.items() if name not in _NEWER}
    return Fingerprints(_digest(sent), _digest(whole))


@functools.cache
def _defaults(command: type[Schema]) -> Mapping[str, Any]:
    """Return the values of the fields that a request leaves out."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in command.model_fields.items()
    }


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(exact_json.canonical(fields).encode()).hexdigest()


def expiry_seconds(now: datetime) -> int:
    """Return the expiry of a record written `now`, in Unix seconds for DynamoDB's TTL."""
    return ceil((now + WINDOW).timestamp())  # never earlier


class RecordExists(Exception):
    """The idempotency key already has a live record."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.key)
        self.record = record


class Records:
    """The table of idempotency records."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._table = Table(dynamodb, table)

    def transact(
        self, table: Table, token: str, record: Record | None, now: datetime, *writes: Write
    ) -> None:
        """Make `writes` in one transaction with the record of their request, if it is given.

        Raises RecordExists if its key has a live one, even if another condition failed too, or
        ConditionFailed with the items of `writes`.
        """
        first = [] if record is None else [self._put(record, now)]
        try:
            table.transact(token, *first, *writes)
        except ConditionFailed as failed:
            existing = failed.items[: len(first)]
            if existing and existing[0] is not None:
                raise RecordExists(record_from_item(existing[0])) from failed
            raise ConditionFailed(failed.items[len(first) :]) from failed

    def _put(self, record: Record, now: datetime) -> Write:
        is_absent = Attr(_KEY).not_exists()
        is_expired = Attr("expiresAt").lte(int(now.timestamp()))
        return self._table.put_if(record_to_item(record), is_absent | is_expired)

    def find(self, key: str, now: datetime) -> Record | None:
        """Return the record of `key`, unless it has expired at `now`."""
        item = self._table.find({_KEY: key})
        record = record_from_item(item) if item is not None else None
        return record if record and record.expires_at_seconds > int(now.timestamp()) else None

    def check(self) -> None:
        """Read once. Raises Unavailable if that fails, whatever the reason."""
        self._table.check({_KEY: "HEALTH"})


def record_to_item(record: Record) -> Item:
    item = {
        _KEY: record.key,
        "fingerprint": record.fingerprints.whole,
        "sentFingerprint": record.fingerprints.sent,
        "resourceId": record.resource_id,
        "response": record.response,
        "expiresAt": record.expires_at_seconds,
    }
    return drop_none(item)


def record_from_item(item: Item) -> Record:
    return Record(
        key=item[_KEY],
        fingerprints=Fingerprints(item.get("sentFingerprint"), item["fingerprint"]),
        resource_id=item["resourceId"],
        response=item["response"],
        expires_at_seconds=int(item["expiresAt"]),
    )
