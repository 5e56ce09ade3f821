"""One key, one effect: what a record remembers, and what a second request with its key gets.

The record is written in the very transaction that does the work (store.py), so there is
no "in progress" state, no lock to expire and no moment at which a crash leaves half of it:

    request ──▶ transaction ──┬─ committed ─────────────▶ 201, and the record holds the answer
                              └─ the key has a record ──▶ same fingerprint: 200, that answer
                                                          another one: 422
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib import exact_json
from chalicelib.errors import IdempotencyKeyReused
from chalicelib.schema import Schema

WINDOW: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Record:
    """What is kept of a request that was done, for `WINDOW`."""

    key: str
    fingerprint: str
    resource_id: str
    response: str
    expires_at_seconds: int

    def replay(self, fingerprint: str) -> str:
        """The stored answer, byte for byte. Raises IdempotencyKeyReused for another request."""
        if fingerprint != self.fingerprint:
            raise IdempotencyKeyReused(
                "This idempotency key was used for another request in the last "
                f"{WINDOW // timedelta(hours=1)} hours; send a new key."
            )
        return self.response


def record_key(operation: str, resource: str, key: str) -> str:
    """The record's key: a payment and a refund may use one idempotency key and not collide."""
    return f"{operation}#{resource}#{key}"


def fingerprint(command: Schema) -> str:
    """SHA-256 of the validated request: spelling (10, 10.0, "10.00"; order) drops out."""
    return hashlib.sha256(exact_json.canonical(command.model_dump()).encode()).hexdigest()


def expiry_seconds(now: datetime) -> int:
    """When a record written `now` stops counting, in Unix seconds as DynamoDB's TTL wants."""
    return int((now + WINDOW).timestamp())
