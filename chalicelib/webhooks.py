"""What PayFlow does with webhook endpoints, and what it shows of their deliveries.

Guarantee: at most ten endpoints, each at a URL that was checked, and a secret that is shown when
it is made and never again. What is replayed is the event that it was, under the same id. Whatever
is changed here is in force for the very next attempt.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ConfigDict, Field

from chalicelib import listing, webhook_signature, webhook_url
from chalicelib.commands import (
    CreateEndpoint,
    ListDeliveries,
    ReplayFailed,
    UpdateEndpoint,
)
from chalicelib.errors import Conflict, EndpointDisabled, FieldError, ValidationFailed
from chalicelib.model import Timestamp, new_id
from chalicelib.schema import Schema
from chalicelib.tables import EARLIEST, LATEST, from_moment, just_after, just_before
from chalicelib.webhook_model import (
    Delivery,
    DeliveryKey,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    EndpointEvent,
    Subscription,
)
from chalicelib.webhook_outbox import Outbox, payload_of
from chalicelib.webhook_store import (
    DeliveryMoved,
    EndpointMoved,
    WebhookStore,
    delivery_at,
)

MAX_REPLAYED: Final = 100
_MAX_LOOKED_AT: Final = 1000
_PAGE: Final = 100
_MOVES: Final = 5


class DeliveryPage(Schema):
    """Deliveries, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    deliveries: list[Delivery]
    next_cursor: str | None
    count: int


class Replayed(Schema):
    """How many are due again. While there are more, ask again from `next_since`."""

    model_config = ConfigDict(frozen=True)

    replayed: int
    has_more: bool
    next_since: Timestamp | None = Field(description="null when there are no more")


class _Place(Schema):
    """What a cursor belongs to."""

    endpoint_id: str
    status: DeliveryStatus | None


@dataclass(frozen=True)
class Webhooks:
    """The use cases of one stage."""

    store: WebhookStore
    outbox: Outbox
    allows_private: bool
    clock: Callable[[], datetime]

    def create(self, command: CreateEndpoint) -> Endpoint:
        """Raises ValidationFailed, EndpointLimitReached, Conflict or Unavailable."""
        now = self.clock()
        endpoint = Endpoint(
            id=new_id("EP", now),
            url=self._checked(command.url),
            description=command.description,
            events=chosen(command.events),
            enabled=True,
            created_at=now,
            updated_at=now,
            disabled_at=None,
            disabled_reason=None,
            failing_since=None,
            secret=webhook_signature.new_secret(),
            old_secrets=(),
        )
        self.store.add(endpoint)
        return endpoint

    def update(self, endpoint_id: str, command: UpdateEndpoint) -> Endpoint:
        """Change what the command has, and leave the rest.

        Raises NotFound, ValidationFailed, Conflict or Unavailable.
        """
        said = {
            name: value
            for name, value in command.model_dump(exclude_unset=True).items()
            if value is not None or name == "description"
        }
        enabled = said.pop("enabled", None)
        if "url" in said:
            said["url"] = self._checked(said["url"])
        if "events" in said:
            said["events"] = chosen(said["events"])

        def step(before: Endpoint) -> Endpoint:
            now = self.clock()
            after = before.model_copy(update=said | {"updated_at": now})
            if enabled is None or enabled is before.enabled:
                return after
            if enabled:
                return after.enabled_again()
            return after.disabled(DisabledReason.REQUESTED, now)

        return self._take(endpoint_id, step)

    def rotate(self, endpoint_id: str) -> Endpoint:
        """A new secret; the old one signs along for 24 hours.

        Raises NotFound, Conflict or Unavailable.
        """
        secret = webhook_signature.new_secret()
        return self._take(endpoint_id, lambda before: before.rotated(secret, self.clock()))

    def delete(self, endpoint_id: str) -> None:
        """What is on its way to it fails. Raises NotFound or Unavailable."""
        self.store.delete(endpoint_id, new_id("DEL", self.clock()))

    def test(self, endpoint_id: str) -> Delivery:
        """Send it an event of no consequence. Raises NotFound, EndpointDisabled or Unavailable."""
        endpoint = self._enabled(endpoint_id)
        now = self.clock()
        key = DeliveryKey(None, new_id("EVT", now), endpoint.id)
        payload = payload_of(EndpointEvent.TEST, now, endpoint)
        delivery = Delivery.of(key, EndpointEvent.TEST, payload, now)
        self.store.add_delivery(delivery)
        self.outbox.hint([delivery])
        return delivery

    def deliveries(self, endpoint_id: str, query: ListDeliveries) -> DeliveryPage:
        """Raises NotFound, InvalidCursor or Unavailable."""
        self.store.get(endpoint_id)
        place = _Place(endpoint_id=endpoint_id, status=query.status)

        def read(last: str | None, size: int) -> list[tuple[str, Delivery | None]]:
            upper = LATEST if last is None else just_before(last)
            entries = self.store.of_endpoint(endpoint_id, EARLIEST, upper, size, newest_first=True)
            # A full read's last row only tells that there is more.
            wanted = entries if len(entries) < size else entries[:-1]
            found = self.store.get_deliveries([entry.delivery_id for entry in wanted])
            return [(key, found.get(delivery_id)) for delivery_id, key in entries]

        deliveries, cursor = listing.page(
            read,
            lambda delivery: query.status in {None, delivery.status},
            query,
            place,
            is_filtered=query.status is not None,
        )
        return DeliveryPage(deliveries=deliveries, next_cursor=cursor, count=len(deliveries))

    def replay(self, delivery_id: str) -> Delivery:
        """Make it due at once, with ten attempts anew.

        Raises NotFound, EndpointDisabled, Unavailable, or Conflict while an attempt is under way.
        """
        before = self.store.get_delivery(delivery_id)
        self._enabled(before.endpoint_id)
        after = before.replayed(self.clock())
        try:
            self.store.replay(before, after)
        except DeliveryMoved:
            raise Conflict("The delivery is being made at this moment; look at it again.") from None
        self.outbox.hint([after])
        return after

    def replay_failed(self, endpoint_id: str, command: ReplayFailed) -> Replayed:
        """Replay what has failed of the events since a moment, the oldest first; so many a call.

        Raises NotFound, EndpointDisabled or Unavailable.
        """
        self._enabled(endpoint_id)
        replayed: list[Delivery] = []
        looked_at = 0
        for delivery in self._since(endpoint_id, from_moment(command.since)):
            if looked_at == _MAX_LOOKED_AT or len(replayed) == MAX_REPLAYED:
                self.outbox.hint(replayed)
                return Replayed(
                    replayed=len(replayed), has_more=True, next_since=delivery.created_at
                )
            looked_at += 1
            if delivery.status is not DeliveryStatus.FAILED:
                continue
            again = delivery.replayed(self.clock())
            try:
                self.store.replay(delivery, again)
            except DeliveryMoved:  # somebody else has replayed it
                continue
            replayed.append(again)
        self.outbox.hint(replayed)
        return Replayed(replayed=len(replayed), has_more=False, next_since=None)

    def _since(self, endpoint_id: str, lower: str) -> Iterator[Delivery]:
        """All of an endpoint's deliveries from there on, oldest first."""
        while True:
            entries = self.store.of_endpoint(endpoint_id, lower, LATEST, _PAGE, newest_first=False)
            found = self.store.get_deliveries([entry.delivery_id for entry in entries])
            yield from sorted(found.values(), key=delivery_at)
            if len(entries) < _PAGE:
                return
            lower = just_after(entries[-1].sort_key)

    def _enabled(self, endpoint_id: str) -> Endpoint:
        endpoint = self.store.get(endpoint_id)
        if not endpoint.enabled:
            raise EndpointDisabled("Enable the endpoint first: it is sent nothing until then.")
        return endpoint

    def _take(self, endpoint_id: str, step: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Take `step` from where the endpoint stands, be it while its secret is rotated."""
        before = self.store.get(endpoint_id)
        for _ in range(_MOVES):
            after = step(before)
            try:
                self.store.change(before, after)
            except EndpointMoved as moved:
                before = moved.current
            else:
                return after
        raise Conflict("Others are changing this endpoint at this moment; try again.")

    def _checked(self, url: str) -> str:
        """As it is used, not as it was written. Raises ValidationFailed."""
        try:
            return webhook_url.parse(url, allows_private=self.allows_private).url
        except webhook_url.UrlRefused as refused:
            raise ValidationFailed(
                [FieldError("url", sentence) for sentence in refused.sentences]
            ) from refused


def chosen(events: list[Subscription]) -> list[Subscription]:
    """In the order of the list, each once; `*` says all that any other says."""
    if Subscription.EVERYTHING in events:
        return [Subscription.EVERYTHING]
    return [event for event in Subscription if event in events]
