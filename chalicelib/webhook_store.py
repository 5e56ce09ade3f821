"""Endpoints and deliveries, as the payments table keeps them.

Guarantee: never more than `MAX_ENDPOINTS`, however many are added at once: each is counted in the
transaction that adds it. A delivery is claimed by one worker at a time, and never before it is
due; what a worker writes of it holds only while its claim does. What one transaction says, all of
it or nothing:

    add        count    below the most, and one more      delete    endpoint  is there; it goes
               endpoint absent                                      count     one less
    disable    endpoint enabled, and the settings that we saw; still failing, if that is why
               event    absent

A claim and the fence behind it are one attribute, `dueAt`:

    due ──▶ claim: dueAt has come ──▶ dueAt = until ──▶ send ──▶ write: dueAt is still `until`
                                          └── a worker that dies here leaves it due at `until`

While a delivery is pending it is in the index of what is due; an entry is unique and in time
order, as those of payments are. Raises Conflict and Unavailable as tables.py does.
"""

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.errors import EndpointLimitReached, NotFound
from chalicelib.model import PAYMENT_ID, SYSTEM, rfc3339
from chalicelib.tables import (
    ConditionFailed,
    Index,
    Item,
    Span,
    Table,
    encode,
    present,
    to_moment,
)
from chalicelib.webhook_model import (
    ENDPOINT_ID,
    MAX_ENDPOINTS,
    Attempt,
    Delivery,
    DeliveryKey,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    EndpointEvent,
    OldSecret,
    delivery_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_ENDPOINT: Final = Index("endpoint-deliveryAt-index", "endpointId", "deliveryAt")
DUE: Final = Index("due-index", "due", "dueAt")
DUE_SHARDS: Final = 8
"""What is due lies in as many partitions, so that deliveries seldom wait for each other."""
MAX_OF_PAYMENT: Final = 50
_ENDPOINTS: Final = "ENDPOINTS"
_COUNT_KEY: Final = {"PK": _ENDPOINTS, "SK": "COUNT"}


class EndpointMoved(Exception):
    """The endpoint is no longer what the caller saw; `current` is what it is now."""

    def __init__(self, current: Endpoint) -> None:
        super().__init__(current.id)
        self.current = current


class DeliveryMoved(Exception):
    """Another worker has claimed the delivery, or it was replayed or done."""


class Entry(NamedTuple):
    """A delivery as an index names it."""

    delivery_id: str
    sort_key: str


class WebhookStore:
    """The endpoints of one stage, and what is and was on its way to them."""

    def __init__(self, dynamodb: "DynamoDBClient", *, payments_table: str) -> None:
        self._table = Table(dynamodb, payments_table)

    def add(self, endpoint: Endpoint) -> None:
        """Raises EndpointLimitReached."""
        one_more = self._counted(1, "attribute_not_exists(endpoints) OR endpoints < :most")
        one_more["ExpressionAttributeValues"] |= encode({":most": MAX_ENDPOINTS})
        put = self._table.when_absent(_endpoint_item(endpoint))
        try:
            self._table.transact(endpoint.id, {"Update": one_more}, {"Put": put})
        except ConditionFailed as failed:
            raise EndpointLimitReached(
                f"There are {MAX_ENDPOINTS} endpoints, the most there can be; delete one first."
            ) from failed

    def delete(self, endpoint_id: str, token: str) -> None:
        """Raises NotFound."""
        there = {
            "TableName": self._table.name,
            "Key": encode(self._known_key(endpoint_id)),
            "ConditionExpression": "attribute_exists(PK)",
        }
        one_less = self._counted(-1, "endpoints > :none")
        one_less["ExpressionAttributeValues"] |= encode({":none": 0})
        try:
            self._table.transact(token, {"Delete": there}, {"Update": one_less})
        except ConditionFailed as failed:
            raise _no_endpoint() from failed

    def all(self) -> list[Endpoint]:
        """Oldest first, as of the last write."""
        items = self._table.partition(_ENDPOINTS, "ENDPOINT#", "ENDPOINT$")
        return [_endpoint(item) for item in items]

    def get(self, endpoint_id: str) -> Endpoint:
        """As of the last write. Raises NotFound."""
        item = self._table.find(self._known_key(endpoint_id))
        if item is None:
            raise _no_endpoint()
        return _endpoint(item)

    def change(self, before: Endpoint, after: Endpoint) -> None:
        """Write what differs. Raises EndpointMoved if the secret is another by now, or NotFound."""
        old, new = _endpoint_item(before), _endpoint_item(after)
        if old == new:
            return
        try:
            self._table.update(self._table.step(old, new, "secret"))
        except ConditionFailed as failed:
            raise _moved(failed) from failed

    def disable(self, before: Endpoint, after: Endpoint, event_id: str) -> None:
        """With the event that tells of it. Raises EndpointMoved if it is disabled or another by
        now, or has had a success where failures are the reason; or NotFound.
        """
        assert after.disabled_at is not None
        seen = ["isEnabled", "url"]
        if after.disabled_reason is DisabledReason.FAILING:
            seen.append("failingSince")
        step = self._table.step(_endpoint_item(before), _endpoint_item(after), *seen)
        event = {
            "PK": f"ENDPOINT#{after.id}",
            "SK": f"EVENT#{event_id}",
            "id": event_id,
            "type": EndpointEvent.DISABLED,
            "endpointId": after.id,
            "createdAt": rfc3339(after.disabled_at),
            "actor": SYSTEM,
            "data": {"reason": after.disabled_reason, "url": after.url},
        }
        put = self._table.when_absent(event)
        try:
            self._table.transact(event_id, {"Update": step}, {"Put": put})
        except ConditionFailed as failed:
            raise _moved(failed) from failed

    def note_failure(self, endpoint: Endpoint, now: datetime) -> Endpoint:
        """As it is then: failing since `now`, or since before. Raises NotFound."""
        return self._noted(
            endpoint,
            "SET failingSince = if_not_exists(failingSince, :now)",
            "attribute_exists(PK)",
            {":now": rfc3339(now)},
        )

    def note_success(self, endpoint: Endpoint) -> None:
        """Forget its failures, but for those that came after they were seen."""
        if endpoint.failing_since is None:  # nearly always, and then it costs nothing
            return
        seen = {":seen": rfc3339(endpoint.failing_since)}
        try:
            self._noted(endpoint, "REMOVE failingSince", "failingSince = :seen", seen)
        except NotFound:
            return

    def _noted(self, endpoint: Endpoint, what: str, condition: str, values: Item) -> Endpoint:
        request = {
            "TableName": self._table.name,
            "Key": encode(_endpoint_key(endpoint.id)),
            "UpdateExpression": what,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": encode(values),
        }
        try:
            return _endpoint(self._table.update(request))
        except ConditionFailed as failed:
            raise _no_endpoint() from failed

    def _counted(self, step: int, condition: str) -> Item:
        return {
            "TableName": self._table.name,
            "Key": encode(_COUNT_KEY),
            "UpdateExpression": "ADD endpoints :step",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": encode({":step": step}),
        }

    def _known_key(self, endpoint_id: str) -> Item:
        if not ENDPOINT_ID.fullmatch(endpoint_id):  # it may be longer than a key can be
            raise _no_endpoint()
        return _endpoint_key(endpoint_id)

    def add_delivery(self, delivery: Delivery) -> None:
        """One that no change of a payment brings with it."""
        self._table.put(self._table.when_absent(delivery_item(delivery)))

    def claim(self, delivery_id: str, now: datetime, until: datetime) -> Delivery | None:
        """Begin an attempt: the delivery is this worker's `until` then. None if it is not due:
        done, another's, not there, or its time has not come.
        """
        key = _known_delivery(delivery_id)
        request = {
            "TableName": self._table.name,
            "Key": encode(_delivery_key(key)),
            "UpdateExpression": "SET dueAt = :until, attempts = list_append(attempts, :begun)",
            "ConditionExpression": "dueAt <= :now",
            "ExpressionAttributeValues": encode(
                {
                    ":now": to_moment(now),
                    ":until": _due_at(key, until),
                    ":begun": [_attempt_item(Attempt(at=now))],
                }
            ),
        }
        try:
            return _delivery(self._table.update(request))
        except ConditionFailed:
            return None

    def record(self, claimed: Delivery, after: Delivery) -> None:
        """What came of an attempt. Raises DeliveryMoved when the claim has run out."""
        self._step(claimed, after, "dueAt")

    def replay(self, before: Delivery, after: Delivery) -> None:
        """Raises DeliveryMoved when it is no longer what the caller saw."""
        self._step(before, after, "dueAt", "state")

    def _step(self, before: Delivery, after: Delivery, *seen: str) -> None:
        step = self._table.step(delivery_item(before), delivery_item(after), *seen)
        try:
            self._table.update(step)
        except ConditionFailed as failed:
            raise DeliveryMoved(before.id) from failed

    def get_delivery(self, delivery_id: str) -> Delivery:
        """As of the last write. Raises NotFound."""
        item = self._table.find(_delivery_key(_known_delivery(delivery_id)))
        if item is None:
            raise _no_delivery()
        return _delivery(item)

    def get_deliveries(self, delivery_ids: Sequence[str]) -> dict[str, Delivery]:
        """By id, at most 100, as of the last write."""
        keys = [_delivery_key(_known_delivery(delivery_id)) for delivery_id in delivery_ids]
        found = map(_delivery, self._table.find_many(keys))
        return {delivery.id: delivery for delivery in found}

    def of_payment(self, payment_id: str) -> list[Delivery]:
        """The newest of a payment's deliveries, newest first, as of the last write."""
        if not PAYMENT_ID.fullmatch(payment_id):
            return []
        items = self._table.last_of_partition(
            f"PAY#{payment_id}", "DELIVERY#", "DELIVERY$", MAX_OF_PAYMENT
        )
        return [_delivery(item) for item in items]

    def of_endpoint(
        self, endpoint_id: str, lower: str, upper: str, limit: int, *, newest_first: bool
    ) -> list[Entry]:
        span = Span(endpoint_id, lower, upper)
        items = self._table.query(BY_ENDPOINT, span, limit, newest_first=newest_first)
        return [Entry(_delivery_id(item), item["deliveryAt"]) for item in items]

    def due(self, shard: int, lower: str, upper: str, limit: int) -> list[Entry]:
        """Deliveries that are due, the longest first; one that is unreadable too."""
        span = Span(str(shard), lower, upper)
        items = self._table.query(DUE, span, limit, newest_first=False)
        return [Entry(_delivery_id(item), item["dueAt"]) for item in items]


def delivery_at(delivery: Delivery) -> str:
    """As stored: unique within its endpoint, fixed-width, and in time order as text."""
    return f"{rfc3339(delivery.created_at)}#{delivery.event_id}"


def delivery_item(delivery: Delivery) -> Item:
    key = _known_delivery(delivery.id)
    due = delivery.next_attempt_at
    item = _delivery_key(key) | {
        "endpointId": delivery.endpoint_id,
        "deliveryAt": delivery_at(delivery),
        "type": delivery.event_type,
        # `state`: what carries a `status` is in the lists of payments.
        "state": delivery.status,
        "reason": delivery.failure_reason,
        "due": None if due is None else str(_shard(delivery.id)),
        "dueAt": None if due is None else _due_at(key, due),
        "attempts": [_attempt_item(attempt) for attempt in delivery.attempts],
        "attemptsBefore": delivery.attempts_before or None,
        "payload": delivery.payload,
    }
    return present(item)


def _delivery(item: Item) -> Delivery:
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
        next_attempt_at=item["dueAt"].partition("#")[0] if "dueAt" in item else None,
        attempts=[_attempt(attempt) for attempt in item["attempts"]],
        payload=item["payload"],
        attempts_before=item.get("attemptsBefore", 0),
    )


def _attempt_item(attempt: Attempt) -> Item:
    item = {
        "at": rfc3339(attempt.at),
        "status": attempt.status,
        "latencyMs": attempt.latency_ms,
        "response": attempt.response,
        "error": attempt.error,
        "detail": attempt.detail,
    }
    return present(item)


def _attempt(item: Item) -> Attempt:
    return Attempt(
        at=item["at"],
        status=item.get("status"),
        latency_ms=item.get("latencyMs"),
        response=item.get("response"),
        error=item.get("error"),
        detail=item.get("detail"),
    )


def _delivery_key(key: DeliveryKey) -> Item:
    owner = f"PAY#{key.payment_id}" if key.payment_id else f"ENDPOINT#{key.endpoint_id}"
    return {"PK": owner, "SK": f"DELIVERY#{key.event_id}#{key.endpoint_id}"}


def _stored_key(item: Item) -> DeliveryKey:
    kind, _, owner = item["PK"].partition("#")
    _, event_id, endpoint_id = item["SK"].split("#")
    return DeliveryKey(owner if kind == "PAY" else None, event_id, endpoint_id)


def _delivery_id(item: Item) -> str:
    return _stored_key(item).delivery_id


def _known_delivery(delivery_id: str) -> DeliveryKey:
    key = delivery_key(delivery_id)
    if key is None:
        raise _no_delivery()
    return key


def _shard(delivery_id: str) -> int:
    return zlib.crc32(delivery_id.encode()) % DUE_SHARDS


def _due_at(key: DeliveryKey, moment: datetime) -> str:
    """Unique by the random ends of its ids: pages go on after the last one."""
    return f"{rfc3339(moment)}#{key.event_id[-8:]}{key.endpoint_id[-8:]}"


def _endpoint_key(endpoint_id: str) -> Item:
    return {"PK": _ENDPOINTS, "SK": f"ENDPOINT#{endpoint_id}"}


def _endpoint_item(endpoint: Endpoint) -> Item:
    item: dict[str, Any] = _endpoint_key(endpoint.id) | {
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
        "secret": endpoint.secret,
        "oldSecrets": [
            {"secret": old.secret, "until": rfc3339(old.until)} for old in endpoint.old_secrets
        ],
    }
    return present(item)


def _endpoint(item: Item) -> Endpoint:
    reason = item.get("disabledReason")
    return Endpoint(
        id=item["id"],
        url=item["url"],
        description=item.get("description"),
        events=item["events"],
        enabled=item["isEnabled"],
        created_at=item["createdAt"],
        updated_at=item["updatedAt"],
        disabled_at=item.get("disabledAt"),
        disabled_reason=reason and DisabledReason(reason),
        failing_since=item.get("failingSince"),
        secret=item["secret"],
        old_secrets=tuple(
            OldSecret(old["secret"], datetime.fromisoformat(old["until"]))
            for old in item["oldSecrets"]
        ),
    )


def _moved(failed: ConditionFailed) -> EndpointMoved | NotFound:
    item = failed.items[0]
    return _no_endpoint() if item is None else EndpointMoved(_endpoint(item))


def _no_endpoint() -> NotFound:
    return NotFound("There is no webhook endpoint with this id.")


def _no_delivery() -> NotFound:
    return NotFound("There is no delivery with this id.")
