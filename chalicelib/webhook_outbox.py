"""Which deliveries a change brings with it, and their hints once it is committed.

Guarantee: an endpoint that was there when a payment or refund was created is sent each of its
outcomes that it wants. So what is known of the endpoints is used only if it was read after that
moment, and for `CACHE` at most; a burst of payments shares one read. (The moments are two machines'
own; their clocks may differ by less than the time from one request to the next.)

    endpoint made ─── payment created ─── endpoints read ─── outcome and its deliveries written
                                             └── used again for what was created before it

Whoever is disabled, deleted or changed in those seconds is met again by the worker, which reads
the endpoint as it is then: it is sent nothing that it should not get. At worst an event that an
endpoint has only just ceased to want is sent to it once more.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib import exact_json
from chalicelib.errors import Unavailable
from chalicelib.model import Change, EventType, Payment, Refund, rfc3339
from chalicelib.queue_jobs import Deliver, Queue
from chalicelib.telemetry import count, log
from chalicelib.webhook_model import Delivery, DeliveryKey, Endpoint, EndpointEvent
from chalicelib.webhook_store import WebhookStore

CACHE: Final = timedelta(seconds=5)


class Known(NamedTuple):
    """The endpoints, as they were at a moment or after it."""

    endpoints: Sequence[Endpoint]
    at: datetime


@dataclass
class Outbox:
    """The outbox of one stage, in one process."""

    stage: str
    store: WebhookStore
    queue: Queue
    clock: Callable[[], datetime]
    _known: Known | None = None
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def deliveries(self, change: Change, *, created: datetime) -> list[Delivery]:
        """Those that the transaction of `change` is to write; `created` is when the payment or
        refund was, of which it is an outcome. Raises Unavailable.
        """
        event = change.event
        wanting = [one for one in self._endpoints(created) if one.wants(event.type)]
        payload = _payload(change) if wanting else ""
        return [
            Delivery.of(
                DeliveryKey(event.payment_id, event.id, endpoint.id),
                event.type,
                payload,
                event.created_at,
            )
            for endpoint in wanting
        ]

    def hint(self, deliveries: Sequence[Delivery]) -> None:
        """Of what is committed. What is lost is logged, and left to the sweeper."""
        if not deliveries:
            return
        try:
            self.queue.send_all(Deliver(delivery.id) for delivery in deliveries)
        except Unavailable as error:
            lost = [delivery.id for delivery in deliveries]
            log("hint_lost", delivery_ids=lost, reason=error.detail)
            count(self.stage, HintsLost=len(lost))

    def _endpoints(self, created: datetime) -> Sequence[Endpoint]:
        with self._reading:  # who waits here is served by the one read
            now = self.clock()
            known = self._known
            if known is None or known.at <= created or now - known.at >= CACHE:
                known = self._known = Known(self.store.all(), now)
            return known.endpoints


def payload_of(
    event_type: EventType | EndpointEvent, at: datetime, data: Payment | Refund | Endpoint
) -> str:
    """The body of a webhook: `data` as its GET shows it at that moment. Of an endpoint without its
    URL, which may be as good as a password: whoever may see deliveries may not see endpoints.
    """
    shown = data.model_dump(exclude={"url"} if isinstance(data, Endpoint) else None)
    return exact_json.dumps({"type": event_type, "timestamp": rfc3339(at), "data": shown})


def _payload(change: Change) -> str:
    data = change.payment if change.refund is None else change.refund
    return payload_of(change.event.type, change.event.created_at, data)
