"""One effect for each idempotency key: the stored record, and the answer to a repeated request.

The record is written in the transaction that does the work (`repository.py`), so there is no "in
progress" state, no lock to expire, and no moment at which a crash leaves half of the work:

    request ──▶ transaction ──┬─ committed ─────────────▶ 201, and the record holds the answer
                              └─ the key has a record ──▶ same fingerprint: 200, that answer
                                                          different one: 422
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, NamedTuple

from chalicelib import exact_json
from chalicelib.errors import IdempotencyKeyReused
from chalicelib.schema import Schema

WINDOW: Final = timedelta(hours=24)


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

    def answer(self, resource_id: str, command: Schema) -> Created:
        """Answer a request to create `resource_id` whose key already has this record.

        If the record has the same id, an earlier attempt of this request committed. Raises
        IdempotencyKeyReused.
        """
        if self.resource_id == resource_id:
            return Created(self.response, resource_id, replayed=False)
        return Created(self.replay(command), self.resource_id, replayed=True)


def record_key(operation: str, resource: str, key: str) -> str:
    """Return the record's key. Payments and refunds may use the same idempotency key."""
    return f"{operation}#{resource}#{key}"


class Fingerprints(NamedTuple):
    """The SHA-256 of a request, in two forms. Both are the same for 10, 10.0 and "10.00"."""

    sent: str | None
    """Without the fields that have their defaults, so that a field which a later version adds
    changes nothing. None in records of versions before 0.3."""
    whole: str
    """With every field, as versions before 0.3 compare it. Version 0.4 leaves it out; until then
    it must stay as it is, without fields that are new."""

    def match(self, other: "Fingerprints") -> bool:
        return self.whole == other.whole if self.sent is None else self.sent == other.sent


def fingerprints(command: Schema) -> Fingerprints:
    """Return the fingerprints of a validated request."""
    whole, fields = command.model_dump(), type(command).model_fields
    sent = {
        name: value
        for name, value in whole.items()
        if value != fields[name].get_default(call_default_factory=True)
    }
    return Fingerprints(_digest(sent), _digest(whole))


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(exact_json.canonical(fields).encode()).hexdigest()


def expiry_seconds(now: datetime) -> int:
    """Return the expiry of a record written `now`, in Unix seconds for DynamoDB's TTL."""
    return ceil((now + WINDOW).timestamp())  # never earlier
