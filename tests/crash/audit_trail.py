"""The audit log has exactly one event for each change of an API key or endpoint that was made."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.audit.items import from_item
from chalicelib.audit.models import AuditEvent, AuditType
from chalicelib.webhooks.audited import _settings
from chalicelib.webhooks.items import endpoint_from_item

Row = Mapping[str, Any]


def broken(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the broken promises; `rows` are all items of the payments table."""
    events = [from_item(dict(row)) for row in rows if row["PK"].startswith("AUDIT#")]
    keys = {row["id"]: row for row in rows if row["SK"].startswith("APIKEY#")}
    of_keys = [one for one in events if one.type.value.startswith("api_key.")]
    yield from _differences(_told(of_keys), _changes_of_keys(keys))
    endpoints = {row["id"]: row for row in rows if row["SK"].startswith("ENDPOINT#")}
    created = {one.resource_id for one in events if one.type is AuditType.ENDPOINT_CREATED}
    changes = Counter((AuditType.ENDPOINT_CREATED, one) for one in created | endpoints.keys())
    changes += Counter((AuditType.ENDPOINT_DELETED, one) for one in created - endpoints.keys())
    ends = {AuditType.ENDPOINT_CREATED, AuditType.ENDPOINT_DELETED}
    yield from _differences(_told(one for one in events if one.type in ends), changes)
    for endpoint_id, row in endpoints.items():
        yield from _not_as_told(row, [one for one in events if one.resource_id == endpoint_id])


def _told(events: Iterable[AuditEvent]) -> Counter[Any]:
    return Counter((one.type, one.resource_id) for one in events)


def _changes_of_keys(keys: Mapping[str, Row]) -> Counter[Any]:
    """Return the changes that the keys' rows show."""
    successors = {row["replacedBy"] for row in keys.values() if "replacedBy" in row}
    return Counter(
        (type_, key_id)
        for key_id, row in keys.items()
        for type_, is_made in (
            (AuditType.API_KEY_CREATED, key_id not in successors),
            (AuditType.API_KEY_ROLLED, "replacedBy" in row),
            (AuditType.API_KEY_REVOKED, "revokedAt" in row),
        )
        if is_made
    )


def _differences(told: Counter[Any], made: Counter[Any]) -> Iterator[str]:
    for (type_, resource_id), count in ((told - made) + (made - told)).items():
        yield f"{count} more or fewer audit events {type_} of {resource_id} than changes"


def _not_as_told(row: Row, events: Sequence[AuditEvent]) -> Iterator[str]:
    """Check that the changes lead from nothing to what the endpoint is, each by one event."""
    before: defaultdict[str, Counter[str]] = defaultdict(Counter)
    after: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for change in (change for event in events for change in event.changes):
        before[change.field][json.dumps(change.before)] += 1
        after[change.field][json.dumps(change.after)] += 1
    for field, value in _settings(endpoint_from_item(dict(row))).items():
        begun, ended = Counter([json.dumps(None)]), Counter([json.dumps(value)])
        if begun + after[field] != ended + before[field]:
            yield f"{row['id']}: {field} is {value!r}, and was told {before[field]}, {after[field]}"
