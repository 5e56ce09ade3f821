"""Audit events: who changed what, from what, to what, and from where. Pure.

Guarantee: no secret stands in them. Of a URL they have only its scheme, host and port: its path and
query often hold tokens.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field

from chalicelib.schema import Schema
from chalicelib.values import Actor, Timestamp, new_id

Value = str | bool | list[str] | None
Values = Mapping[str, Value]


class AuditType(StrEnum):
    """What was done. Every capability that an administrator changes adds its own types here."""

    API_KEY_CREATED = "api_key.created"
    API_KEY_ROLLED = "api_key.rolled"
    API_KEY_REVOKED = "api_key.revoked"
    ENDPOINT_CREATED = "webhook_endpoint.created"
    ENDPOINT_CHANGED = "webhook_endpoint.changed"
    ENDPOINT_ROTATED = "webhook_endpoint.secret_rotated"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    ENDPOINT_ENABLED = "webhook_endpoint.enabled"
    ENDPOINT_DELETED = "webhook_endpoint.deleted"
    EXPORT_CREATED = "export.created"


class FieldChange(Schema):
    """One field that changed. `before` is null for a field of something new."""

    model_config = ConfigDict(frozen=True)

    field: str
    before: Value
    after: Value


class AuditEvent(Schema):
    """One change by an administrator or by PayFlow itself. It is kept for ever."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: AuditType
    created_at: Timestamp
    actor: str = Field(
        description="the name of the API key; `system` for PayFlow itself, for `make key`, and "
        "where no key is required"
    )
    actor_id: str | None = Field(description="the id of that API key")
    source_address: str | None = Field(
        description="the address that sent the request; null without a request"
    )
    resource_id: str = Field(description="the id of the API key, webhook endpoint or export")
    resource_name: str = Field(
        description="the name of the API key; of a webhook endpoint the scheme, host and port of "
        "its URL; of an export what its rows are"
    )
    changes: list[FieldChange] = Field(
        description="of `url` only scheme, host and port are shown: if both are the same, the path "
        "or query changed"
    )

    @classmethod
    def of(
        cls,
        type_: AuditType,
        actor: Actor,
        now: datetime,
        *,
        resource: tuple[str, str],
        changes: list[FieldChange],
    ) -> "AuditEvent":
        """Return a new event about a resource, which is an id and a name."""
        resource_id, resource_name = resource
        return cls(
            id=new_id("AUD", now),
            type=type_,
            created_at=now,
            actor=actor.name,
            actor_id=actor.key_id,
            source_address=actor.address,
            resource_id=resource_id,
            resource_name=resource_name,
            changes=changes,
        )


class AuditPage(Schema):
    """Audit events, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    audit_events: list[AuditEvent]
    next_cursor: str | None
    count: int


def changes_of_new(values: Values) -> list[FieldChange]:
    """Return the fields of something new, without those that it lacks."""
    return [
        FieldChange(field=name, before=None, after=value)
        for name, value in values.items()
        if value is not None
    ]


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
