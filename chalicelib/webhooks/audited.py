"""What the audit log says of changes of webhook endpoints. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from chalicelib.audit.models import (
    AuditEvent,
    AuditType,
    FieldChange,
    Values,
    changes_of_new,
    origin,
)
from chalicelib.values import Actor
from chalicelib.webhooks.models import Endpoint

_BY_ENABLED: Final[Mapping[bool, AuditType]] = MappingProxyType(
    {True: AuditType.ENDPOINT_ENABLED, False: AuditType.ENDPOINT_DISABLED}
)


def created(endpoint: Endpoint, actor: Actor) -> AuditEvent:
    changes = changes_of_new(_settings(endpoint))
    return _event(AuditType.ENDPOINT_CREATED, endpoint, actor, endpoint.created_at, changes)


def changed(before: Endpoint, after: Endpoint, actor: Actor, now: datetime) -> AuditEvent | None:
    """Return what changed, or None if nothing did."""
    old, new = _settings(before), _settings(after)
    changes = [
        FieldChange(field=name, before=old[name], after=new[name])
        for name in old
        if old[name] != new[name] or (name == "url" and before.url != after.url)
    ]
    if not changes:
        return None
    type_ = AuditType.ENDPOINT_CHANGED
    if before.enabled is not after.enabled:
        type_ = _BY_ENABLED[after.enabled]
    return _event(type_, after, actor, now, changes)


def rotated(endpoint: Endpoint, actor: Actor, now: datetime) -> AuditEvent:
    return _event(AuditType.ENDPOINT_ROTATED, endpoint, actor, now, [])


def deleted(endpoint_id: str, url: str, actor: Actor, now: datetime) -> AuditEvent:
    return AuditEvent.of(
        AuditType.ENDPOINT_DELETED, actor, now, resource=(endpoint_id, origin(url)), changes=[]
    )


def _event(
    type_: AuditType, endpoint: Endpoint, actor: Actor, now: datetime, changes: list[FieldChange]
) -> AuditEvent:
    resource = (endpoint.id, origin(endpoint.url))
    return AuditEvent.of(type_, actor, now, resource=resource, changes=changes)


def _settings(endpoint: Endpoint) -> Values:
    """Return what an administrator sets, and why the endpoint is disabled."""
    return {
        "url": origin(endpoint.url),
        "description": endpoint.description,
        "events": [event.value for event in endpoint.events],
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason and endpoint.disabled_reason.value,
    }
