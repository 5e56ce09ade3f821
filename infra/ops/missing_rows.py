"""The rows of a stage's tables that tables restored to a point in time lack.

Guarantee: this names every payment, refund, key, endpoint and audit event that the restored tables
lack, and every outcome that only the current ones have. It queries indexes, never scans, and
changes nothing: people decide what to carry over, because they know what went wrong.

A process dates a row and writes it a moment later. So the search begins some time before the moment
of the restore, and reports only rows that the restored tables lack.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from chalicelib.api_keys.repository import PARTITION as API_KEYS
from chalicelib.audit.items import LISTING as AUDIT_EVENTS
from chalicelib.aws.dynamodb import MAX_KEYS, Index, Item, KeyRange, Table
from chalicelib.aws.pagination import from_moment, just_after
from chalicelib.payments.items import ALL, BY_STATUS, LISTING, stored_refund_status
from chalicelib.payments.models import RefundStatus, Status
from chalicelib.webhooks.items import ENDPOINTS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = dict[str, Any]
_MARGIN: Final = timedelta(minutes=15)
_KEY: Final = ("PK", "SK")
_REFUNDS: Final = [stored_refund_status(status) for status in RefundStatus]
_VOLATILE: Final = {"lastUsedAt", "failingSince"}
"""Attributes that every use changes."""


def missing_rows(dynamodb: "DynamoDBClient", old: str, new: str, at: datetime) -> Iterator[Row]:
    """Yield the rows of `old` that `new`, restored to `at`, lacks. Raises Unavailable."""
    was, now = Table(dynamodb, old), Table(dynamodb, new)
    since = from_moment(at - _MARGIN)
    for kind, listing in (("payment", LISTING), ("audit_event", AUDIT_EVENTS)):
        for item, _ in _differing(was, now, ALL, KeyRange(listing, since)):
            yield _row(kind, item, "created later")
    for status in _REFUNDS:
        for item, restored in _differing(was, now, BY_STATUS, KeyRange(status, since)):
            if restored is None:
                yield _row("refund", item, "created later")
    yield from _outcomes(was, now)
    yield from _settings(was, now)


def _outcomes(was: Table, now: Table) -> Iterator[Row]:
    """Yield existing payments and refunds that were settled or returned later."""
    for status in (Status.PROCESSING, _REFUNDS[0]):
        kind = "payment" if status == Status.PROCESSING else "refund"
        for unfinished, ended in _pairs(now, was, BY_STATUS, KeyRange(status)):
            if ended is not None and ended["status"] != unfinished["status"]:
                yield _row(kind, ended, "settled later; processing again")
    for item, restored in _pairs(was, now, BY_STATUS, KeyRange(Status.RETURNED)):
        if restored is not None and restored["status"] == Status.COMPLETED:
            yield _row("payment", item, "returned later; completed again")


def _settings(was: Table, now: Table) -> Iterator[Row]:
    """Yield API keys and endpoints that were created, changed or deleted later."""
    for kind, partition in (("api_key", API_KEYS), ("endpoint", ENDPOINTS)):
        items = {item["SK"]: item for item in was.query(KeyRange(partition))}
        restored = {item["SK"]: item for item in now.query(KeyRange(partition))}
        for name in sorted((items.keys() | restored.keys()) - {"COUNT"}):
            one, other = items.get(name), restored.get(name)
            if one is None and other is not None:
                yield _row(kind, other, "deleted later; present again")
            elif one is not None and other is None:
                yield _row(kind, one, "created later")
            elif one is not None and other is not None and _stable(one) != _stable(other):
                yield _row(kind, one, "changed later; old values again")


def _stable(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in _VOLATILE}


def _differing(
    one: Table, other: Table, index: Index, key_range: KeyRange
) -> Iterator[tuple[Item, Item | None]]:
    """Yield the rows that `other` lacks."""
    return ((item, twin) for item, twin in _pairs(one, other, index, key_range) if twin is None)


def _pairs(
    one: Table, other: Table, index: Index, key_range: KeyRange
) -> Iterator[tuple[Item, Item | None]]:
    """Yield the rows of `one` in the index's range, each with its counterpart in `other`."""
    while page := one.query(key_range, index, limit=MAX_KEYS):
        keys = [{name: item[name] for name in _KEY} for item in page]
        rows, twins = _by_key(one, keys), _by_key(other, keys)
        for item in page:
            key = item["PK"], item["SK"]
            if key in rows:
                yield rows[key], twins.get(key)
        if len(page) < MAX_KEYS:
            return
        key_range = key_range._replace(lower=just_after(page[-1][index.range]))


def _by_key(table: Table, keys: list[Item]) -> dict[tuple[str, str], Item]:
    return {(item["PK"], item["SK"]): item for item in table.find_many(keys)}


def _row(kind: str, item: Mapping[str, Any], why: str) -> Row:
    """Describe a row: without secrets or digests of keys, and with amounts as text."""
    shown = ("id", "paymentId", "status", "amount", "currency", "type", "merchant", "name", "url")
    who = ("actor", "actorId", "resourceId", "resourceName")
    dates = ("idempotencyKey", "createdAt", "completedAt", "revokedAt", "expiresAt", "disabledAt")
    found = {name: str(item[name]) for name in (*shown, *who, *dates) if name in item}
    found |= {name: found[name].partition("#")[0] for name in ("createdAt",) if name in found}
    return {"kind": kind, "why": why} | found
