"""Audit events as DynamoDB items of the payments table: `AUDIT#<event id>` / `AUDIT`.

They are listed by `listing` and `createdAt` in the index of all payments, under a key of their own:
a version that knows no audit log never sees them.
"""

from typing import Final

from chalicelib.audit.models import AuditEvent, FieldChange
from chalicelib.aws.dynamodb import Index, Item, Table, Write, drop_none
from chalicelib.values import rfc3339

ALL: Final = Index("all-createdAt-index", "listing", "createdAt")
LISTING: Final = "AUDIT"
_NOTHING: Final = {"before": None, "after": None}


def put(table: Table, event: AuditEvent) -> Write:
    """Return the write of a new event, for the transaction of its change."""
    return table.put_if_absent(to_item(event))


def to_item(event: AuditEvent) -> Item:
    item = {
        "PK": f"AUDIT#{event.id}",
        "SK": "AUDIT",
        "id": event.id,
        "listing": LISTING,
        "createdAt": f"{rfc3339(event.created_at)}#{event.id}",
        "type": event.type.value,
        "actor": event.actor,
        "actorId": event.actor_id,
        "sourceAddress": event.source_address,
        "resourceId": event.resource_id,
        "resourceName": event.resource_name,
        "changes": [change.model_dump(exclude_none=True) for change in event.changes],
    }
    return drop_none(item)


def from_item(item: Item) -> AuditEvent:
    return AuditEvent(
        id=item["id"],
        type=item["type"],
        created_at=item["createdAt"].partition("#")[0],
        actor=item["actor"],
        actor_id=item.get("actorId"),
        source_address=item.get("sourceAddress"),
        resource_id=item["resourceId"],
        resource_name=item["resourceName"],
        changes=[FieldChange(**_NOTHING | change) for change in item["changes"]],
    )
