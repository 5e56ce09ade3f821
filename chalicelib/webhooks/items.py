"""Webhook endpoints and deliveries as DynamoDB items of the payments table: keys and codecs.

endpoint         ENDPOINTS         / ENDPOINT#<endpoint id>
endpoint count   ENDPOINTS         / COUNT; says where the secrets of new endpoints go
endpoint secret  SECRET#<id>       / SECRET, encrypted; or in plain text within the endpoint
endpoint event   ENDPOINT#<id>     / EVENT#<event id>
delivery         PAY#<payment id>  / DELIVERY#<event id>#<endpoint id>
                 or ENDPOINT#<id>, for an event of the endpoint itself
"""

import zlib
from datetime import datetime
from typing import Any, Final, NamedTuple

from chalicelib.aws.dynamodb import Index, Item, drop_none
from chalicelib.aws.pagination import moment_of
from chalicelib.payments.items import payment_partition
from chalicelib.values import SYSTEM, rfc3339
from chalicelib.webhooks.models import (
    Attempt,
    Delivery,
    DeliveryKey,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    EndpointEvent,
    OldSecret,
    Secrets,
    Subscription,
    delivery_key,
)

BY_ENDPOINT: Final = Index("endpoint-deliveryAt-index", "endpointId", "deliveryAt")
DUE: Final = Index("due-index", "due", "dueAt")
DUE_SHARDS: Final = 8
"""The partitions of the due index: with several, deliveries seldom wait for each other."""
ENDPOINTS: Final = "ENDPOINTS"
COUNT_KEY: Final = {"PK": ENDPOINTS, "SK": "COUNT"}


DELIVERY: Final = (
    "PK",
    "SK",
    "endpointId",
    "deliveryAt",
    "type",
    "state",
    "reason",
    "due",
    "dueAt",
    "attempts",
    "attemptsBefore",
    "payload",
)
"""All attributes of a delivery: its worker's policy allows it no others of a payment's rows."""


class DeliveryEntry(NamedTuple):
    """The entry of a delivery in an index."""

    delivery_id: str
    sort_key: str


def endpoint_key(endpoint_id: str) -> Item:
    return {"PK": ENDPOINTS, "SK": f"ENDPOINT#{endpoint_id}"}


def endpoint_to_item(endpoint: Endpoint) -> Item:
    item: dict[str, Any] = endpoint_key(endpoint.id) | {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": [event.value for event in endpoint.events],
        "isEnabled": endpoint.enabled,
        "createdAt": rfc3339(endpoint.created_at),
        "updatedAt": rfc3339(endpoint.updated_at),
        "disabledAt": endpoint.disabled_at and rfc3339(endpoint.disabled_at),
        "disabledReason": endpoint.disabled_reason,
        "failingSince": endpoint.failing_since and rfc3339(endpoint.failing_since),
        "lastFailedAt": endpoint.last_failed_at and rfc3339(endpoint.last_failed_at),
        "secretsExpireAt": endpoint.secrets_expire_at and rfc3339(endpoint.secrets_expire_at),
        "createdBy": endpoint.created_by,
        "createdById": endpoint.created_by_id,
    }
    if endpoint.inline_secrets is not None:
        item |= _secrets_to_item(endpoint.inline_secrets)
    return drop_none(item)


def secret_key(endpoint_id: str) -> Item:
    return {"PK": f"SECRET#{endpoint_id}", "SK": "SECRET"}


def secret_to_item(endpoint_id: str, encrypted: Secrets) -> Item:
    return secret_key(endpoint_id) | _secrets_to_item(encrypted)


def secrets_from_item(item: Item) -> Secrets:
    old = (OldSecret(old["secret"], _moment(old["until"])) for old in item["oldSecrets"])
    return Secrets(item["secret"], tuple(old))


def _secrets_to_item(secrets: Secrets) -> Item:
    old = [{"secret": old.secret, "until": rfc3339(old.until)} for old in secrets.old]
    return {"secret": secrets.current, "oldSecrets": old}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def endpoint_from_item(item: Item) -> Endpoint:
    reason = item.get("disabledReason")
    return Endpoint(
        id=item["id"],
        url=item["url"],
        description=item.get("description"),
        # A newer version may know more events; the endpoint still receives those of this one.
        events=[event for event in item["events"] if event in set(Subscription)],
        enabled=item["isEnabled"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
        disabled_at=item.get("disabledAt"),
        disabled_reason=reason and DisabledReason(reason),
        failing_since=item.get("failingSince"),
        last_failed_at=item.get("lastFailedAt"),
        inline_secrets=secrets_from_item(item) if "secret" in item else None,
        secrets_expire_at=item.get("secretsExpireAt"),
        created_by=item.get("createdBy"),
        created_by_id=item.get("createdById"),
    )


def disabled_event_item(endpoint: Endpoint, event_id: str) -> Item:
    """Return the item of the event `endpoint.disabled`."""
    assert endpoint.disabled_at is not None
    return {
        "PK": _endpoint_partition(endpoint.id),
        "SK": f"EVENT#{event_id}",
        "id": event_id,
        "type": EndpointEvent.DISABLED,
        "endpointId": endpoint.id,
        "createdAt": rfc3339(endpoint.disabled_at),
        "actor": SYSTEM.name,
        "data": {"reason": endpoint.disabled_reason, "url": endpoint.url},
    }


def delivery_item_key(key: DeliveryKey) -> Item:
    owner = (
        payment_partition(key.payment_id)
        if key.payment_id
        else _endpoint_partition(key.endpoint_id)
    )
    return {"PK": owner, "SK": f"DELIVERY#{key.event_id}#{key.endpoint_id}"}


def delivery_to_item(delivery: Delivery) -> Item:
    key = delivery_key(delivery.id)
    assert key is not None
    due = delivery.next_attempt_at
    item = delivery_item_key(key) | {
        "endpointId": delivery.endpoint_id,
        "deliveryAt": delivery_at(delivery),
        "type": delivery.event_type,
        # Not `status`: that attribute would put deliveries into the lists of payments.
        "state": delivery.status,
        "reason": delivery.failure_reason,
        "due": None if due is None else due_shard(delivery.id),
        "dueAt": None if due is None else due_at(key, due),
        "attempts": [attempt_to_item(attempt) for attempt in delivery.attempts],
        "attemptsBefore": delivery.attempts_before or None,
        "payload": delivery.payload,
    }
    return drop_none(item)


def delivery_from_item(item: Item) -> Delivery:
    key = _stored_key(item)
    return Delivery(
        id=key.delivery_id,
        endpoint_id=key.endpoint_id,
        payment_id=key.payment_id,
        event_id=key.event_id,
        event_type=item["type"],
        status=DeliveryStatus(item["state"]),
        failure_reason=item.get("reason"),
        created_at=item["deliveryAt"].partition("#")[0],
        next_attempt_at=moment_of(item["dueAt"]) if "dueAt" in item else None,
        attempts=[_attempt_from_item(attempt) for attempt in item["attempts"]],
        payload=item["payload"],
        attempts_before=item.get("attemptsBefore", 0),
    )


def delivery_entry(item: Item, index: Index) -> DeliveryEntry:
    return DeliveryEntry(_stored_key(item).delivery_id, item[index.range])


def attempt_to_item(attempt: Attempt) -> Item:
    item = {
        "at": rfc3339(attempt.at),
        "status": attempt.status,
        "latencyMs": attempt.latency_ms,
        "response": attempt.response,
        "error": attempt.error,
        "detail": attempt.detail,
    }
    return drop_none(item)


def _attempt_from_item(item: Item) -> Attempt:
    return Attempt(
        at=item["at"],
        status=item.get("status"),
        latency_ms=item.get("latencyMs"),
        response=item.get("response"),
        error=item.get("error"),
        detail=item.get("detail"),
    )


def delivery_at(delivery: Delivery) -> str:
    """Return the sort key: unique within its endpoint, of one width, and in time order as text."""
    return f"{rfc3339(delivery.created_at)}#{delivery.event_id}"


def due_at(key: DeliveryKey, moment: datetime) -> str:
    """Return a sort key of the due index; the random ends of the ids make it unique."""
    return f"{rfc3339(moment)}#{key.event_id[-8:]}{key.endpoint_id[-8:]}"


def due_shard(delivery_id: str) -> str:
    return str(zlib.crc32(delivery_id.encode()) % DUE_SHARDS)


def _endpoint_partition(endpoint_id: str) -> str:
    return f"ENDPOINT#{endpoint_id}"


def _stored_key(item: Item) -> DeliveryKey:
    kind, _, owner = item["PK"].partition("#")
    _, event_id, endpoint_id = item["SK"].split("#")
    return DeliveryKey(owner if kind == "PAY" else None, event_id, endpoint_id)
