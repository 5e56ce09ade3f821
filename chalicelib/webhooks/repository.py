"""Webhook endpoints and deliveries in DynamoDB.

Guarantee: there are never more than `MAX_ENDPOINTS` endpoints, nor two of one URL, however many are
added or moved at once: the transaction that does it also counts the change. One worker at a time
holds the lease of a due delivery, and can write a result only while it holds the lease. Each
transaction writes all of these items or none:

    add        record   absent or expired, if there       delete    endpoint  exists; it is deleted
                        is a key                                    count     minus one
               count    as read: one more, one change               secret    deleted
               endpoint absent
               secret   absent, if apart
    change     endpoint as we read it                     (every one of these has its audit event)
    rotate     endpoint as we read it                     move      endpoint  its secret is as read
               secret   as we read it                               secret    absent (back: as read)
    disable    endpoint enabled and unchanged; still failing, if that is the reason
               event    absent

The secrets of an endpoint lie encrypted in a row of their own ("apart"). Until an operator has
moved them, they lie in plain text within the endpoint's row ("inline"), where the version before
reads them. The endpoint's row decides for itself; the count's row decides for new endpoints.

A lease is the attribute `dueAt`:

    due ──▶ lease: dueAt has come ──▶ dueAt = until ──▶ send ──▶ record: dueAt is still `until`
                                          └── if the worker dies here, it is due again at `until`

A pending delivery is in the due index; its sort key there is unique and in time order.
Raises Conflict and Unavailable as `aws.dynamodb` does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.conditions import Attr, ConditionBase

from chalicelib.audit import items as audit_items
from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import (
    ConditionFailed,
    Item,
    KeyRange,
    StaleVersion,
    Table,
    Write,
    exists,
    key_of,
    unchanged,
)
from chalicelib.aws.pagination import just_before, moment_of
from chalicelib.errors import NotFound
from chalicelib.idempotency import Record, Records
from chalicelib.payments.items import payment_partition
from chalicelib.values import ENDPOINT_ID, PAYMENT_ID, rfc3339
from chalicelib.webhooks import items, retry_schedule
from chalicelib.webhooks.models import (
    MAX_ENDPOINTS,
    Attempt,
    Delivery,
    DisabledReason,
    Endpoint,
    Secrets,
    delivery_key,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class LeaseLost(Exception):
    """Another worker holds the lease, or the delivery was replayed or has ended."""


class NotDueYet(Exception):
    """The delivery will be due `within` so long."""

    def __init__(self, within: timedelta) -> None:
        super().__init__(f"due in {within}")
        self.within = within


class Registry(NamedTuple):
    """All endpoints, and the row that counts them and their changes."""

    endpoints: list[Endpoint]
    row: Item

    @property
    def keeps_secrets_apart(self) -> bool:
        """Whether the secrets of new endpoints are encrypted, in rows of their own."""
        return "secretsApart" in self.row

    @property
    def is_full(self) -> bool:
        return int(self.row.get("endpoints", 0)) >= MAX_ENDPOINTS

    @property
    def changes(self) -> int:
        return int(self.row.get("changes", 0))


class WebhookRepository:
    """The webhook endpoints and deliveries of one stage."""

    def __init__(
        self, dynamodb: "DynamoDBClient", *, payments_table: str, idempotency_table: str
    ) -> None:
        self._table = Table(dynamodb, payments_table)
        self.records = Records(dynamodb, idempotency_table)

    def registry(self) -> Registry:
        """Return all endpoints, and the count's row, as of the last write."""
        keys = KeyRange(items.ENDPOINTS, "COUNT", "ENDPOINT$")
        found = self._table.query(keys)
        return Registry(
            self._table.read_all(
                (item for item in found if item["SK"] != "COUNT"), items.endpoint_from_item
            ),
            next((item for item in found if item["SK"] == "COUNT"), items.COUNT_KEY),
        )

    def keep_secrets_apart(self, apart: bool) -> None:
        """Decide where the secrets of new endpoints go."""
        self._table.write(
            self._table.update_request(
                items.COUNT_KEY,
                set_={"secretsApart": True} if apart else None,
                remove=() if apart else ("secretsApart",),
            )
        )

    def add(
        self,
        registry: Registry,
        endpoint: Endpoint,
        event: AuditEvent,
        encrypted: Secrets | None = None,
        record: Record | None = None,
    ) -> None:
        """Store a new endpoint and its event, its secrets apart and a record if they are given.

        Raises RecordExists, or StaleVersion if the registry has changed since it was read.
        """
        writes = [
            self._changed(registry, endpoints=1),
            self._table.put_if_absent(items.endpoint_to_item(endpoint)),
            audit_items.put(self._table, event),
        ]
        if encrypted is not None:
            writes.append(self._table.put_if_absent(items.secret_to_item(endpoint.id, encrypted)))
        # Another try after a change of the registry is another request, and has another token.
        token = f"{endpoint.id[-20:]}-{registry.changes}"
        try:
            self.records.transact(self._table, token, record, endpoint.created_at, *writes)
        except ConditionFailed as failed:
            raise StaleVersion(self.registry()) from failed

    def _changed(self, registry: Registry, **add: int) -> Write:
        """Note a change of the registry, on the condition that there was none since it was read."""
        as_read = unchanged(registry.row, "endpoints", "changes", "secretsApart")
        return self._table.update_request(items.COUNT_KEY, as_read, add={"changes": 1, **add})

    def url_of(self, endpoint_id: str) -> str:
        """Return the endpoint's URL, even if this version cannot read the rest. Raises NotFound."""
        _check_id(endpoint_id)
        item = self._table.find(items.endpoint_key(endpoint_id), only=("url",))
        if item is None:
            raise _endpoint_not_found()
        return str(item.get("url", ""))

    def delete(self, endpoint_id: str, event: AuditEvent) -> None:
        """Delete the endpoint. Raises NotFound."""
        one_less = self._table.update_request(
            items.COUNT_KEY, Attr("endpoints").gt(0), add={"endpoints": -1}
        )
        try:
            self._table.transact(
                event.id,
                self._table.delete_request(items.endpoint_key(endpoint_id), exists()),
                one_less,
                self._table.delete_request(items.secret_key(endpoint_id)),
                audit_items.put(self._table, event),
            )
        except ConditionFailed as failed:
            raise _endpoint_not_found() from failed

    def all(self) -> list[Endpoint]:
        """Return all endpoints, oldest first, as of the last write."""
        found = self._table.query(KeyRange(items.ENDPOINTS, "ENDPOINT#", "ENDPOINT$"))
        return self._table.read_all(found, items.endpoint_from_item)

    def get(self, endpoint_id: str) -> Endpoint:
        """Return the endpoint, as of the last write. Raises NotFound."""
        _check_id(endpoint_id)
        item = self._table.find(items.endpoint_key(endpoint_id))
        if item is None:
            raise _endpoint_not_found()
        return items.endpoint_from_item(item)

    def move(
        self, registry: Registry, before: Endpoint, after: Endpoint, event: AuditEvent
    ) -> Endpoint:
        """Write the attributes that differ, the URL among them, and return the endpoint.

        Raises StaleVersion if the endpoint or the registry changed since they were read.
        """
        try:
            writes = self._change_request(before, after), self._changed(registry)
            self._table.transact(event.id, *writes, audit_items.put(self._table, event))
        except ConditionFailed as failed:
            raise StaleVersion(self.get(before.id)) from failed
        return self.get(before.id)

    def change(self, before: Endpoint, after: Endpoint, event: AuditEvent) -> Endpoint:
        """Write the attributes that differ, and return the endpoint as it is stored then.

        Raises StaleVersion if its settings or its secret changed since it was read, or NotFound.
        """
        try:
            change = self._change_request(before, after)
            self._table.transact(event.id, change, audit_items.put(self._table, event))
        except ConditionFailed as failed:
            raise _stale(failed) from failed
        return self.get(before.id)

    def find_secrets(self, endpoint_id: str) -> Secrets | None:
        """Return the encrypted secrets of the endpoint; None if they are not apart."""
        item = self._table.find(items.secret_key(endpoint_id))
        return None if item is None else items.secrets_from_item(item)

    def rotate(
        self,
        before: Endpoint,
        after: Endpoint,
        encrypted: Secrets,
        rotated: Secrets,
        event: AuditEvent,
    ) -> None:
        """Replace the encrypted secrets of an endpoint that were read.

        Raises StaleVersion if they changed or moved since then, or NotFound.
        """
        replace = self._replace_secret(before, encrypted, rotated)
        self._with_secret(before, after, event.id, replace, audit_items.put(self._table, event))

    def move_apart(self, before: Endpoint, encrypted: Secrets, token: str) -> None:
        """Move the secrets of an endpoint out of its row. Raises StaleVersion or NotFound."""
        put = self._table.put_if_absent(items.secret_to_item(before.id, encrypted))
        self._with_secret(before, before.with_secrets_apart(encrypted), token, put)

    def move_back(self, before: Endpoint, encrypted: Secrets, plain: Secrets, token: str) -> None:
        """Move the secrets of an endpoint into its row. Raises StaleVersion or NotFound."""
        is_as_read = unchanged(items.secret_to_item(before.id, encrypted), "secret")
        delete = self._table.delete_request(items.secret_key(before.id), is_as_read)
        self._with_secret(before, before.with_secrets_inline(plain), token, delete)

    def _with_secret(self, before: Endpoint, after: Endpoint, token: str, *secret: Write) -> None:
        try:
            self._table.transact(token, self._change_request(before, after), *secret)
        except ConditionFailed as failed:
            if failed.items[0] is None:  # the endpoint is gone, or only its secret has changed
                raise StaleVersion(self.get(before.id)) from failed
            raise _stale(failed) from failed

    def _replace_secret(self, endpoint: Endpoint, old: Secrets, new: Secrets) -> Write:
        before = items.secret_to_item(endpoint.id, old)
        after = items.secret_to_item(endpoint.id, new)
        return self._table.replace_request(before, after, unchanged(before, "secret"))

    def _change_request(self, before: Endpoint, after: Endpoint) -> Write:
        old, new = items.endpoint_to_item(before), items.endpoint_to_item(after)
        # What the audit event says was before must still be so.
        as_read = unchanged(old, "secret", "updatedAt", "isEnabled")
        return self._table.replace_request(old, new, exists() & as_read)

    def disable(self, before: Endpoint, after: Endpoint, event_id: str, event: AuditEvent) -> None:
        """Disable the endpoint and write the events that say so.

        Raises ConditionFailed if the endpoint is deleted, disabled or changed since it was read: it
        may have another URL. If the reason is its failures, so does a success since the read.
        """
        old = items.endpoint_to_item(before)
        # Not `url`: the worker's policy would then let it write that too.
        read = ["isEnabled", "updatedAt"]
        if after.disabled_reason is DisabledReason.FAILING:
            read.append("failingSince")
        self._table.transact(
            event_id,
            self._table.replace_request(
                old, items.endpoint_to_item(after), unchanged(old, *read), is_silent=True
            ),
            self._event(items.disabled_event_item(after, event_id)),
            self._event(audit_items.to_item(event)),
        )

    def _event(self, item: dict[str, Any]) -> Write:
        """Write a new item as an update: the worker may put nothing, and so replaces no row."""
        key = key_of(item)
        rest = {name: value for name, value in item.items() if name not in key}
        return self._table.update_request(key, ~exists(), set_=rest, is_silent=True)

    def note_failure(self, endpoint: Endpoint, now: datetime) -> Endpoint | None:
        """Note a failure in the streak of failures, and return the endpoint.

        Returns None if it was changed or deleted since it was read: it may have another URL.
        """
        began, last = {"failingSince": rfc3339(now)}, {"lastFailedAt": rfc3339(now)}
        goes_on = retry_schedule.goes_on(endpoint.last_failed_at, now)
        request = self._table.update_request(
            items.endpoint_key(endpoint.id),
            unchanged(items.endpoint_to_item(endpoint), "updatedAt"),
            set_=last if goes_on else last | began,
            set_if_absent=began if goes_on else None,
            is_silent=True,
        )
        try:
            noted = self._table.write(request).get("failingSince")  # left out if it stayed
        except ConditionFailed:
            return None
        since = endpoint.failing_since if noted is None else datetime.fromisoformat(noted)
        return endpoint.model_copy(update={"failing_since": since, "last_failed_at": now})

    def note_success(self, endpoint: Endpoint) -> None:
        """End the streak of failures if it is still as it was read; a later one stays."""
        if endpoint.failing_since is None:  # the usual case costs no write
            return
        was_read = unchanged(items.endpoint_to_item(endpoint), "failingSince")
        request = self._table.update_request(
            items.endpoint_key(endpoint.id),
            was_read,
            remove=["failingSince", "lastFailedAt"],
            is_silent=True,
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

        Returns None if it is done, unknown, or leased by another worker meanwhile. Raises
        NotDueYet.
        """
        key = delivery_key(delivery_id)
        if key is None:
            return None
        row = items.delivery_item_key(key)
        found = self._table.find(row, only=items.DELIVERY)
        if found is None or "dueAt" not in found:
            return None
        if (due := moment_of(found["dueAt"])) > now:
            raise NotDueYet(due - now)
        leased = {"dueAt": items.due_at(key, until)}
        attempt = [items.attempt_to_item(Attempt(at=now))]
        after = found | leased | {"attempts": [*found["attempts"], *attempt]}
        try:
            self._table.write(
                self._table.update_request(
                    row,
                    unchanged(found, "dueAt"),
                    set_=leased,
                    append={"attempts": attempt},
                    is_silent=True,
                )
            )
        except ConditionFailed:
            if self._table.find(row, only=items.DELIVERY) != after:
                return None
        return items.delivery_from_item(after)

    def record(self, leased: Delivery, after: Delivery) -> None:
        """Write the result of an attempt. Raises LeaseLost when the lease has ended."""
        self._replace(leased, after, "dueAt")

    def replay(self, before: Delivery, after: Delivery) -> None:
        """Make a delivery due again. Raises LeaseLost when it changed since it was read."""
        self._replace(before, after, "dueAt", "state")

    def _replace(self, before: Delivery, after: Delivery, *read: str) -> None:
        old = items.delivery_to_item(before)
        condition: ConditionBase = unchanged(old, *read)
        new = items.delivery_to_item(after)
        try:
            self._table.write(self._table.replace_request(old, new, condition, is_silent=True))
        except ConditionFailed as failed:
            if self._table.find(key_of(old), only=items.DELIVERY) != new:
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
        deliveries = self._table.read_all(found, items.delivery_from_item)
        return {delivery.id: delivery for delivery in deliveries}

    def of_payment(
        self, payment_id: str, last: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Delivery | None]]:
        """Return the deliveries of a payment before `last`, newest first, with their range keys.

        As of the last write. None stands for one that this version cannot read.
        """
        if not PAYMENT_ID.fullmatch(payment_id):
            return []
        upper = "DELIVERY$" if last is None else just_before(last)
        keys = KeyRange(payment_partition(payment_id), "DELIVERY#", upper)
        found = self._table.query(keys, limit=limit, newest_first=True)
        return [(item["SK"], self._table.read(item, items.delivery_from_item)) for item in found]

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
