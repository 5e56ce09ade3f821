"""The webhook outbox: deliveries in the transaction of a change, messages after its commit.

Guarantee: an endpoint that existed when a payment or refund was created receives each outcome that
it subscribes to. So a snapshot of the endpoints must be read after that creation, and is used for
at most `CACHE`. A burst of payments shares one read. (The times come from two machines: this
assumes that their clocks differ by less than the time from one request to the next.)

    endpoint created ── payment created ── endpoints read ── outcome and its deliveries written
                                              └── reused for payments created before it

If an endpoint is disabled, deleted or changed in those seconds, the delivery worker notices: it
reads the endpoint again before it sends. At worst, an endpoint that has just unsubscribed from a
type receives one more event of it.
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
    """The endpoints, read at `at` or later."""

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
        """Return the deliveries of `change`. Its payment or refund was created at `created`.

        Raises Unavailable.
        """
        deliveries = self._deliveries(change, created)
        return Outgoing(
            writes=[self.repository.put_delivery(delivery) for delivery in deliveries],
            messages=[Deliver(delivery.id) for delivery in deliveries],
        )

    def enqueue(self, outgoing: Outgoing) -> None:
        """Enqueue the messages after the commit. If SQS is down, log them: the sweeper retries."""
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
    """Return the body of a webhook, with `data` as the API shows it at that moment.

    Leaves out the URL of an endpoint, which may hold a secret, and who created it: a caller who may
    read deliveries may not be allowed to read endpoints.
    """
    private = {"url", "created_by", "created_by_id"} if isinstance(data, Endpoint) else None
    shown = data.model_dump(exclude=private)
    return exact_json.dumps({"type": event_type, "timestamp": rfc3339(at), "data": shown})
