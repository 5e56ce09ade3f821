"""Webhook endpoints and deliveries in DynamoDB.

Guarantee: there are never more than `MAX_ENDPOINTS` endpoints, however many are added at once: the
transaction that adds one also counts it. One worker at a time holds the lease of a due delivery,
and can write a result only while it holds the lease. Each transaction writes all of these items or
none:

    add        count    below the maximum, plus one       delete    endpoint  exists; it is deleted
               endpoint absent                                      count     minus one
    disable    endpoint enabled, with the URL that we read; still failing, if that is the reason
               event    absent

A lease is the attribute `dueAt`:

    due ──▶ lease: dueAt has come ──▶ dueAt = until ──▶ send ──▶ record: dueAt is still `until`
                                          └── if the worker dies here, it is due again at `until`

A pending delivery is in the due index; its sort key there is unique and in time order.
Raises Conflict and Unavailable as `aws.dynamodb` does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from boto3.dynamodb.conditions import Attr, ConditionBase

from chalicelib.aws.dynamodb import (
    ConditionFailed,
    KeyRange,
    StaleVersion,
    Table,
    Write,
    exists,
    unchanged,
)
from chalicelib.aws.pagination import to_moment
from chalicelib.errors import EndpointLimitReached, NotFound
from chalicelib.payments.items import payment_partition
from chalicelib.values import ENDPOINT_ID, PAYMENT_ID, rfc3339
from chalicelib.webhooks import items
from chalicelib.webhooks.models import (
    MAX_ENDPOINTS,
    Attempt,
    Delivery,
    DisabledReason,
    Endpoint,
    delivery_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_OF_PAYMENT: Final = 50


class LeaseLost(Exception):
    """Another worker holds the lease, or the delivery was replayed or has ended."""


class WebhookRepository:
    """The webhook endpoints and deliveries of one stage."""

    def __init__(self, dynamodb: "DynamoDBClient", *, payments_table: str) -> None:
        self._table = Table(dynamodb, payments_table)

    def add(self, endpoint: Endpoint) -> None:
        """Store a new endpoint. Raises EndpointLimitReached."""
        may_add = Attr("endpoints").not_exists() | Attr("endpoints").lt(MAX_ENDPOINTS)
        try:
            self._table.transact(
                endpoint.id,
                self._table.update_request(items.COUNT_KEY, may_add, add={"endpoints": 1}),
                self._table.put_if_absent(items.endpoint_to_item(endpoint)),
            )
        except ConditionFailed as failed:
            raise EndpointLimitReached(
                f"There are already {MAX_ENDPOINTS} webhook endpoints; delete one first."
            ) from failed

    def delete(self, endpoint_id: str, token: str) -> None:
        """Delete the endpoint. Raises NotFound."""
        _check_id(endpoint_id)
        one_less = self._table.update_request(
            items.COUNT_KEY, Attr("endpoints").gt(0), add={"endpoints": -1}
        )
        try:
            self._table.transact(
                token,
                self._table.delete_request(items.endpoint_key(endpoint_id), exists()),
                one_less,
            )
        except ConditionFailed as failed:
            raise _endpoint_not_found() from failed

    def all(self) -> list[Endpoint]:
        """Return all endpoints, oldest first, as of the last write."""
        found = self._table.query(KeyRange(items.ENDPOINTS, "ENDPOINT#", "ENDPOINT$"))
        return [items.endpoint_from_item(item) for item in found]

    def get(self, endpoint_id: str) -> Endpoint:
        """Return the endpoint, as of the last write. Raises NotFound."""
        _check_id(endpoint_id)
        item = self._table.find(items.endpoint_key(endpoint_id))
        if item is None:
            raise _endpoint_not_found()
        return items.endpoint_from_item(item)

    def change(self, before: Endpoint, after: Endpoint) -> None:
        """Write the attributes that differ.

        Raises StaleVersion if the secret changed since it was read, or NotFound.
        """
        old, new = items.endpoint_to_item(before), items.endpoint_to_item(after)
        if old == new:
            return
        try:
            self._table.write(self._table.replace_request(old, new, unchanged(old, "secret")))
        except ConditionFailed as failed:
            raise _stale(failed) from failed

    def disable(self, before: Endpoint, after: Endpoint, event_id: str) -> None:
        """Disable the endpoint and write the event that says so.

        Raises NotFound, or StaleVersion if the endpoint is already disabled or has another URL. If
        the reason is its failures, a success since the read also raises StaleVersion.
        """
        old = items.endpoint_to_item(before)
        read = ["isEnabled", "url"]
        if after.disabled_reason is DisabledReason.FAILING:
            read.append("failingSince")
        try:
            self._table.transact(
                event_id,
                self._table.replace_request(
                    old, items.endpoint_to_item(after), unchanged(old, *read)
                ),
                self._table.put_if_absent(items.disabled_event_item(after, event_id)),
            )
        except ConditionFailed as failed:
            raise _stale(failed) from failed

    def note_failure(self, endpoint: Endpoint, now: datetime) -> Endpoint:
        """Set `failingSince` to `now`, unless it is set, and return the endpoint.

        Raises NotFound.
        """
        request = self._table.update_request(
            items.endpoint_key(endpoint.id), exists(), set_if_absent={"failingSince": rfc3339(now)}
        )
        try:
            return items.endpoint_from_item(self._table.write(request))
        except ConditionFailed as failed:
            raise _endpoint_not_found() from failed

    def note_success(self, endpoint: Endpoint) -> None:
        """Remove `failingSince` if it is still as it was read; a later one stays."""
        if endpoint.failing_since is None:  # the usual case costs no write
            return
        was_read = Attr("failingSince").eq(rfc3339(endpoint.failing_since))
        request = self._table.update_request(
            items.endpoint_key(endpoint.id), was_read, remove=["failingSince"]
        )
        try:
            self._table.write(request)
        except ConditionFailed:
            return

    def put_delivery(self, delivery: Delivery) -> Write:
        """Return the write of a new delivery, for the transaction of the change."""
        return self._table.put_if_absent(items.delivery_to_item(delivery))

    def add_delivery(self, delivery: Delivery) -> None:
        """Store a delivery of an event of the endpoint itself."""
        self._table.write(self.put_delivery(delivery))

    def lease(self, delivery_id: str, now: datetime, until: datetime) -> Delivery | None:
        """Begin an attempt, and lease the delivery until `until`.

        Returns None if it is not due: done, leased by another worker, unknown, or too early.
        """
        key = delivery_key(delivery_id)
        if key is None:
            return None
        request = self._table.update_request(
            items.delivery_item_key(key),
            Attr("dueAt").lte(to_moment(now)),
            set_={"dueAt": items.due_at(key, until)},
            append={"attempts": [items.attempt_to_item(Attempt(at=now))]},
        )
        try:
            return items.delivery_from_item(self._table.write(request))
        except ConditionFailed:
            return None

    def record(self, leased: Delivery, after: Delivery) -> None:
        """Write the result of an attempt. Raises LeaseLost when the lease has ended."""
        self._replace(leased, after, "dueAt")

    def replay(self, before: Delivery, after: Delivery) -> None:
        """Make a delivery due again. Raises LeaseLost when it changed since it was read."""
        self._replace(before, after, "dueAt", "state")

    def _replace(self, before: Delivery, after: Delivery, *read: str) -> None:
        old = items.delivery_to_item(before)
        condition: ConditionBase = unchanged(old, *read)
        try:
            self._table.write(
                self._table.replace_request(old, items.delivery_to_item(after), condition)
            )
        except ConditionFailed as failed:
            raise LeaseLost(before.id) from failed

    def get_delivery(self, delivery_id: str) -> Delivery:
        """Return the delivery, as of the last write. Raises NotFound."""
        key = delivery_key(delivery_id)
        item = self._table.find(items.delivery_item_key(key)) if key is not None else None
        if item is None:
            raise NotFound("There is no delivery with this id.")
        return items.delivery_from_item(item)

    def find_deliveries(self, delivery_ids: Sequence[str]) -> dict[str, Delivery]:
        """Return deliveries by id, at most 100, as of the last write."""
        keys = [key for key in map(delivery_key, delivery_ids) if key is not None]
        found = self._table.find_many([items.delivery_item_key(key) for key in keys])
        return {delivery.id: delivery for delivery in map(items.delivery_from_item, found)}

    def of_payment(self, payment_id: str) -> list[Delivery]:
        """Return the newest deliveries of a payment, newest first, as of the last write."""
        if not PAYMENT_ID.fullmatch(payment_id):
            return []
        keys = KeyRange(payment_partition(payment_id), "DELIVERY#", "DELIVERY$")
        found = self._table.query(keys, limit=MAX_OF_PAYMENT, newest_first=True)
        return [items.delivery_from_item(item) for item in found]

    def of_endpoint(
        self, endpoint_id: str, lower: str, upper: str, limit: int, *, newest_first: bool
    ) -> list[items.DeliveryEntry]:
        """Return entries of deliveries to an endpoint, from the index."""
        keys = KeyRange(endpoint_id, lower, upper)
        found = self._table.query(keys, items.BY_ENDPOINT, limit=limit, newest_first=newest_first)
        return [items.delivery_entry(item, items.BY_ENDPOINT) for item in found]

    def due(self, shard: int, lower: str, upper: str, limit: int) -> list[items.DeliveryEntry]:
        """Return entries of due deliveries, the longest due first, malformed ones included."""
        found = self._table.query(KeyRange(str(shard), lower, upper), items.DUE, limit=limit)
        return [items.delivery_entry(item, items.DUE) for item in found]


def _check_id(endpoint_id: str) -> None:
    """Raise NotFound for text that is not an id: it may exceed DynamoDB's limit for keys."""
    if not ENDPOINT_ID.fullmatch(endpoint_id):
        raise _endpoint_not_found()


def _stale(failed: ConditionFailed) -> StaleVersion[Endpoint] | NotFound:
    item = failed.items[0]
    return _endpoint_not_found() if item is None else StaleVersion(items.endpoint_from_item(item))


def _endpoint_not_found() -> NotFound:
    return NotFound("There is no webhook endpoint with this id.")
