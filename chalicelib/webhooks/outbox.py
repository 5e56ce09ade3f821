"""The deliveries that go out with a change of a payment, and their messages once it is committed.

Guarantee: an endpoint that existed when a payment or refund was created receives each outcome of
it that the endpoint wants. So a snapshot of the endpoints is used only if it was read after that
moment, and for `CACHE` at most; a burst of payments shares one read. (The two moments are from two
machines; their clocks may differ by less than the time from one request to the next.)

    endpoint created ── payment created ── endpoints read ── outcome and its deliveries written
                                              └── used again for what was created before it

If an endpoint is disabled, deleted or changed in those seconds, the delivery worker notices: it
reads the endpoint again before it sends. At worst an endpoint receives one more event of a type
that it has just unsubscribed from.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib import exact_json
from chalicelib.aws.sqs import Queue
from chalicelib.messages import Deliver, enqueue
from chalicelib.payments.models import Change, EventType, Payment, Refund
from chalicelib.payments.outbox import Outgoing
from chalicelib.values import rfc3339
from chalicelib.webhooks.models import Delivery, DeliveryKey, Endpoint, EndpointEvent
from chalicelib.webhooks.repository import WebhookRepository

CACHE: Final = timedelta(seconds=5)


class Snapshot(NamedTuple):
    """The endpoints as they were at a moment, or after it."""

    endpoints: Sequence[Endpoint]
    at: datetime


@dataclass
class WebhookOutbox:
    """The outbox of one stage, in one process."""

    stage: str
    repository: WebhookRepository
    queue: Queue
    clock: Callable[[], datetime]
    _snapshot: Snapshot | None = None
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self, change: Change, *, created: datetime) -> Outgoing:
        """Return the deliveries of `change`; `created` is when its payment or refund was created.

        Raises Unavailable.
        """
        deliveries = self._deliveries(change, created)
        return Outgoing(
            writes=[self.repository.put_delivery(delivery) for delivery in deliveries],
            messages=[Deliver(delivery.id) for delivery in deliveries],
        )

    def enqueue(self, outgoing: Outgoing) -> None:
        """Enqueue what was committed. If SQS is down, log it: the sweeper is the retry."""
        enqueue(self.queue, outgoing.messages, stage=self.stage)

    def _deliveries(self, change: Change, created: datetime) -> list[Delivery]:
        event = change.event
        endpoints = [one for one in self._endpoints(created) if one.wants(event.type)]
        if not endpoints:
            return []
        data = change.payment if change.refund is None else change.refund
        payload = payload_of(event.type, event.created_at, data)
        return [
            Delivery.of(
                DeliveryKey(event.payment_id, event.id, endpoint.id),
                event.type,
                payload,
                event.created_at,
            )
            for endpoint in endpoints
        ]

    def _endpoints(self, created: datetime) -> Sequence[Endpoint]:
        with self._reading:  # threads that wait here share the one read
            now = self.clock()
            snapshot = self._snapshot
            if snapshot is None or snapshot.at <= created or now - snapshot.at >= CACHE:
                snapshot = self._snapshot = Snapshot(self.repository.all(), now)
            return snapshot.endpoints


def payload_of(
    event_type: EventType | EndpointEvent, at: datetime, data: Payment | Refund | Endpoint
) -> str:
    """Return the body of a webhook, with `data` as its GET shows it at that moment.

    An endpoint is shown without its URL, which can be as good as a password: whoever may read
    deliveries need not be allowed to read endpoints.
    """
    shown = data.model_dump(exclude={"url"} if isinstance(data, Endpoint) else None)
    return exact_json.dumps({"type": event_type, "timestamp": rfc3339(at), "data": shown})
