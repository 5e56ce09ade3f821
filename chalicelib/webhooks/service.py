"""Webhook endpoints, and the list and replay of their deliveries.

Guarantee: there are at most ten endpoints. Each has a checked URL, and a secret that is shown only
when it is created or rotated. A replay sends the same event under the same id. A change of an
endpoint applies to the next attempt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import EARLIEST, LATEST, StaleVersion, retry_on_conflict
from chalicelib.aws.kms import Key
from chalicelib.aws.pagination import (
    OfPayment,
    from_moment,
    just_after,
    just_before,
    read_page,
)
from chalicelib.aws.sqs import Queue
from chalicelib.errors import (
    Conflict,
    EndpointDisabled,
    EndpointLimitReached,
    FieldError,
    UrlInUse,
    ValidationFailed,
)
from chalicelib.idempotency import Created, Record, RecordExists, record_key, record_of
from chalicelib.messages import Deliver, enqueue
from chalicelib.payments.service import Payments
from chalicelib.schema import Schema
from chalicelib.values import SYSTEM, Actor, new_id
from chalicelib.webhooks import audited, commands, signing, url_policy
from chalicelib.webhooks.items import delivery_at
from chalicelib.webhooks.models import (
    MAX_ENDPOINTS,
    Delivery,
    DeliveryKey,
    DeliveryList,
    DeliveryPage,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    EndpointEvent,
    EndpointList,
    NewEndpoint,
    Replayed,
    Secrets,
    Subscription,
)
from chalicelib.webhooks.outbox import payload_of_test
from chalicelib.webhooks.repository import LeaseLost, Registry, WebhookRepository
from chalicelib.webhooks.signing import encrypted_secrets, encryption_context

MAX_REPLAYED: Final = 100
_MAX_EXAMINED: Final = 1000
_PAGE: Final = 100
_TRIES: Final = 5
_TRIES_OF_ALL: Final = 20
"""Twice as many as there may be endpoints: all of them may be created at once."""


class _DeliveryFilters(Schema):
    """The filters to which a cursor of deliveries belongs."""

    endpoint_id: str
    status: DeliveryStatus | None


@dataclass(frozen=True)
class Webhooks:
    """The webhook endpoints of one stage."""

    stage: str
    payments: Payments
    repository: WebhookRepository
    queue: Queue
    secrets_key: Key
    allows_private: bool
    clock: Callable[[], datetime]

    def create_once(
        self, command: commands.CreateEndpoint, *, actor: Actor
    ) -> NewEndpoint | Created:
        """Create an endpoint, or return the first answer for its key, without the secret.

        Raises as `create` does, and IdempotencyKeyReused.
        """
        try:
            return self.create(command, actor=actor)
        except RecordExists as exists:
            return exists.record.replayed(command)

    def create(self, command: commands.CreateEndpoint, *, actor: Actor) -> NewEndpoint:
        """Create an endpoint.

        Raises ValidationFailed, RecordExists, EndpointLimitReached, UrlInUse, Conflict or
        Unavailable.
        """
        now = self.clock()
        secrets = Secrets(signing.new_secret())
        endpoint = Endpoint(
            id=new_id("EP", now),
            url=self._checked_url(command.url),
            description=command.description,
            events=normalized(command.events),
            enabled=True,
            created_at=now,
            updated_at=now,
            disabled_at=None,
            disabled_reason=None,
            failing_since=None,
            inline_secrets=secrets,
            created_by=actor.name,
            created_by_id=actor.key_id,
        )
        event = audited.created(endpoint, actor)
        record = None
        if command.idempotency_key is not None:
            key = record_key("create_webhook_endpoint", "all", command.idempotency_key)
            record = record_of(command, key, endpoint.id, endpoint.to_json(), now)

        def attempt(registry: Registry) -> None:
            existing = record and self.repository.records.find(record.key, now)
            if existing:
                raise RecordExists(existing)
            if registry.is_full:
                raise EndpointLimitReached(
                    f"There are already {MAX_ENDPOINTS} webhook endpoints; delete one first."
                )
            _check_url_is_new(endpoint, registry)
            self._add(registry, endpoint, secrets, event, record)

        retry_on_conflict(self.repository.registry(), attempt, tries=_TRIES_OF_ALL)
        return _shown(endpoint, secrets.current)

    def _add(
        self,
        registry: Registry,
        endpoint: Endpoint,
        secrets: Secrets,
        event: AuditEvent,
        record: Record | None,
    ) -> None:
        if not registry.keeps_secrets_apart:
            self.repository.add(registry, endpoint, event, record=record)
            return
        encrypted = encrypted_secrets(self.secrets_key, self.stage, endpoint.id, secrets)
        apart = endpoint.with_secrets_apart(encrypted)
        self.repository.add(registry, apart, event, encrypted, record)

    def all(self) -> EndpointList:
        """Return all endpoints, oldest first. Raises Unavailable."""
        return EndpointList(webhook_endpoints=self.repository.all())

    def get(self, endpoint_id: str) -> Endpoint:
        """Return the endpoint. Raises NotFound or Unavailable."""
        return self.repository.get(endpoint_id)

    def update(
        self, endpoint_id: str, command: commands.UpdateEndpoint, *, actor: Actor = SYSTEM
    ) -> Endpoint:
        """Change the fields that the command has, and keep the others.

        Raises NotFound, ValidationFailed, UrlInUse, Conflict or Unavailable.
        """
        fields = {
            name: value
            for name, value in command.model_dump(exclude_unset=True).items()
            if value is not None or name == "description"
        }
        enabled = fields.pop("enabled", None)
        if "url" in fields:
            fields["url"] = self._checked_url(fields["url"])
        if "events" in fields:
            fields["events"] = normalized(fields["events"])

        def change(before: Endpoint) -> Endpoint:
            now = self.clock()
            after = before.model_copy(update=fields | {"updated_at": now})
            if after.url != before.url:
                after = after.without_failures()
            if enabled is None or enabled is before.enabled:
                return after
            if enabled:
                return after.enabled_again()
            return after.disabled(DisabledReason.REQUESTED, now)

        return self._change(endpoint_id, change, actor)

    def rotate(self, endpoint_id: str, *, actor: Actor = SYSTEM) -> NewEndpoint:
        """Rotate the secret of the endpoint; the old secret also signs for 24 hours.

        Raises NotFound, Conflict or Unavailable.
        """
        secret = signing.new_secret()

        def attempt(before: Endpoint) -> Endpoint:
            now = self.clock()
            event = audited.rotated(before, actor, now)
            if before.inline_secrets is not None:
                secrets = before.inline_secrets.rotated(secret, now)
                after = before.with_secrets_inline(secrets).model_copy(update={"updated_at": now})
                self.repository.change(before, after, event)
                return after
            old = self.repository.find_secrets(endpoint_id)
            if old is None:  # moved back, or deleted, since the endpoint was read
                raise StaleVersion(self.repository.get(endpoint_id))
            context = encryption_context(self.stage, endpoint_id)
            new = old.rotated(self.secrets_key.encrypt(secret, context), now)
            after = before.with_secrets_apart(new).model_copy(update={"updated_at": now})
            self.repository.rotate(before, after, old, new, event)
            return after

        before = self.repository.get(endpoint_id)
        return _shown(retry_on_conflict(before, attempt, tries=_TRIES), secret)

    def delete(self, endpoint_id: str, *, actor: Actor = SYSTEM) -> None:
        """Delete the endpoint; its pending deliveries fail. Raises NotFound or Unavailable."""
        url = self.repository.url_of(endpoint_id)
        event = audited.deleted(endpoint_id, url, actor, self.clock())
        self.repository.delete(endpoint_id, event)

    def test(self, endpoint_id: str) -> Delivery:
        """Send a test event. Raises NotFound, EndpointDisabled or Unavailable."""
        endpoint = self._enabled(endpoint_id)
        now = self.clock()
        key = DeliveryKey(None, new_id("EVT", now), endpoint.id)
        payload = payload_of_test(key.event_id, now, endpoint)
        delivery = Delivery.of(key, EndpointEvent.TEST, payload, now, is_enabled=True)
        self.repository.add_delivery(delivery)
        self._enqueue([delivery])
        return delivery

    def deliveries_of_payment(
        self, payment_id: str, query: commands.ListDeliveriesOfPayment
    ) -> DeliveryList:
        """Return one page of deliveries. Raises NotFound, InvalidCursor or Unavailable."""
        self.payments.get(payment_id)
        deliveries, cursor = read_page(
            lambda last, size: self.repository.of_payment(payment_id, last, size),
            query,
            OfPayment(payment_id=payment_id, kind="deliveries"),
            size_of=_size_bytes,
        )
        return DeliveryList(deliveries=deliveries, next_cursor=cursor)

    def deliveries(self, endpoint_id: str, query: commands.ListDeliveries) -> DeliveryPage:
        """Return one page of deliveries. Raises NotFound, InvalidCursor or Unavailable."""
        self.repository.get(endpoint_id)

        def read(last: str | None, size: int) -> list[tuple[str, Delivery | None]]:
            upper = LATEST if last is None else just_before(last)
            entries = self.repository.of_endpoint(
                endpoint_id, EARLIEST, upper, size, newest_first=True
            )
            # The last row of a full read only shows that there are more.
            wanted = entries if len(entries) < size else entries[:-1]
            found = self.repository.find_deliveries([entry.delivery_id for entry in wanted])
            return [(entry.sort_key, found.get(entry.delivery_id)) for entry in entries]

        deliveries, cursor = read_page(
            read,
            query,
            _DeliveryFilters(endpoint_id=endpoint_id, status=query.status),
            matches=lambda delivery: query.status in {None, delivery.status},
            is_filtered=query.status is not None,
            size_of=_size_bytes,
        )
        return DeliveryPage(deliveries=deliveries, next_cursor=cursor, count=len(deliveries))

    def replay(self, delivery_id: str) -> Delivery:
        """Make a delivery due at once, with ten new attempts.

        Raises NotFound, EndpointDisabled, Unavailable, or Conflict during an attempt.
        """
        before = self.repository.get_delivery(delivery_id)
        self._enabled(before.endpoint_id)
        after = before.replayed(self.clock())
        try:
            self.repository.replay(before, after)
        except LeaseLost:
            raise Conflict("An attempt has just begun; wait for its result.") from None
        self._enqueue([after])
        return after

    def replay_failed(self, endpoint_id: str, command: commands.ReplayFailed) -> Replayed:
        """Replay failed deliveries of events since a time, oldest first, up to a limit.

        Raises NotFound, EndpointDisabled or Unavailable.
        """
        self._enabled(endpoint_id)
        replayed: list[Delivery] = []
        next_since: datetime | None = None
        for examined, delivery in enumerate(self._since(endpoint_id, from_moment(command.since))):
            if examined == _MAX_EXAMINED or len(replayed) == MAX_REPLAYED:
                next_since = delivery.created_at
                break
            if delivery.status is not DeliveryStatus.FAILED:
                continue
            again = delivery.replayed(self.clock())
            try:
                self.repository.replay(delivery, again)
            except LeaseLost:  # another request has replayed it
                continue
            replayed.append(again)
        self._enqueue(replayed)
        return Replayed(
            replayed=len(replayed), has_more=next_since is not None, next_since=next_since
        )

    def _since(self, endpoint_id: str, lower: str) -> Iterator[Delivery]:
        """Yield the deliveries to an endpoint from `lower` on, oldest first."""
        while True:
            entries = self.repository.of_endpoint(
                endpoint_id, lower, LATEST, _PAGE, newest_first=False
            )
            found = self.repository.find_deliveries([entry.delivery_id for entry in entries])
            yield from sorted(found.values(), key=delivery_at)
            if len(entries) < _PAGE:
                return
            lower = just_after(entries[-1].sort_key)

    def _enqueue(self, deliveries: list[Delivery]) -> None:
        enqueue(self.queue, [Deliver(delivery.id) for delivery in deliveries], stage=self.stage)

    def _enabled(self, endpoint_id: str) -> Endpoint:
        endpoint = self.repository.get(endpoint_id)
        if not endpoint.enabled:
            raise EndpointDisabled("Enable the endpoint first; until then it receives nothing.")
        return endpoint

    def _change(
        self, endpoint_id: str, change_of: Callable[[Endpoint], Endpoint], actor: Actor
    ) -> Endpoint:
        """Apply `change_of` to the current endpoint, retrying on concurrent updates.

        Nothing is written if it changes nothing.
        """

        def attempt(before: Endpoint) -> Endpoint:
            after = change_of(before)
            event = audited.changed(before, after, actor, after.updated_at)
            if event is None:
                return before
            if after.url == before.url:
                return self.repository.change(before, after, event)
            registry = self.repository.registry()
            _check_url_is_new(after, registry)
            return self.repository.move(registry, before, after, event)

        return retry_on_conflict(self.repository.get(endpoint_id), attempt, tries=_TRIES)

    def _checked_url(self, url: str) -> str:
        """Return the URL in normal form. Raises ValidationFailed."""
        try:
            return url_policy.parse(url, allows_private=self.allows_private).url
        except url_policy.UrlRefused as refused:
            raise ValidationFailed(
                [FieldError("url", sentence) for sentence in refused.sentences]
            ) from refused


def _check_url_is_new(endpoint: Endpoint, registry: Registry) -> None:
    """Raise UrlInUse if another endpoint has the URL."""
    for other in registry.endpoints:
        if other.url == endpoint.url and other.id != endpoint.id:
            raise UrlInUse(f"The webhook endpoint {other.id} has this URL; change or delete it.")


def _size_bytes(delivery: Delivery) -> int:
    return len(delivery.to_json())


def _shown(endpoint: Endpoint, secret: str) -> NewEndpoint:
    return NewEndpoint.model_validate(dict(endpoint) | {"secret": secret})


def normalized(events: list[Subscription]) -> list[Subscription]:
    """Return the events without duplicates, in a fixed order; `*` includes all others."""
    if Subscription.EVERYTHING in events:
        return [Subscription.EVERYTHING]
    return [event for event in Subscription if event in events]
