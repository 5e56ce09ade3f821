"""The webhook outbox: deliveries in the transaction of a change, messages after its commit.

Guarantee: an endpoint receives each outcome that it subscribes to at that moment, whether it was
just created, changed or enabled: the endpoints are read after the change was asked for. Changes at
the same time share a read. A batch reads them beside its first calls, for its changes within
FRESH_SECONDS. While an endpoint is disabled, its deliveries are written as failed, so that they can
be replayed once it is enabled again.

    change asked for ── endpoints read ── change and its deliveries written

If an endpoint is disabled, deleted or changed after that, the delivery worker notices: it reads
the endpoint again before it sends. At worst, an endpoint that has just unsubscribed from a type
receives one more event of it.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from chalicelib import exact_json
from chalicelib.aws.sqs import Queue
from chalicelib.messages import Deliver, enqueue
from chalicelib.payments.models import Change
from chalicelib.payments.outbox import Outgoing
from chalicelib.values import rfc3339
from chalicelib.webhooks.models import (
    Delivery,
    DeliveryKey,
    DeliveryStatus,
    Endpoint,
    EndpointEvent,
)
from chalicelib.webhooks.repository import WebhookRepository

FRESH_SECONDS: Final = 0.1
"""How old the endpoints of a batch's change may be: a slow processor's outcome reads them again."""


class Snapshot(NamedTuple):
    """The endpoints, read at `at` or later, in seconds of this process's clock."""

    endpoints: Sequence[Endpoint]
    at: float


@dataclass
class WebhookOutbox:
    """The outbox of one stage, in one process."""

    stage: str
    repository: WebhookRepository
    queue: Queue
    _snapshot: Snapshot | None = None
    _batch_began: float | None = None
    _reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    _reading: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Read the endpoints beside what the block, a batch of messages, does first.

        If the read fails, a change that needs it reads again. The block ends after the read: Lambda
        would freeze it.
        """
        self._batch_began = time.monotonic()
        read = self._reader.submit(self._endpoints)
        try:
            yield
        finally:
            self._batch_began = None
            wait([read])

    def prepare(self, changes: Sequence[Change]) -> Outgoing:
        """Return the deliveries of the changes, and messages for those that are due.

        Raises Unavailable.
        """
        endpoints = self._endpoints()
        deliveries = [one for change in changes for one in _deliveries(change, endpoints)]
        return Outgoing(
            writes=[self.repository.put_delivery(delivery) for delivery in deliveries],
            messages=[
                Deliver(delivery.id)
                for delivery in deliveries
                if delivery.status is DeliveryStatus.PENDING
            ],
        )

    def enqueue(self, outgoing: Outgoing) -> None:
        """Enqueue the messages after the commit. If SQS is down, log them: the sweeper retries."""
        enqueue(self.queue, outgoing.messages, stage=self.stage)

    def _endpoints(self) -> Sequence[Endpoint]:
        asked, batch_began = time.monotonic(), self._batch_began
        if batch_began is not None:
            asked = max(batch_began, asked - FRESH_SECONDS)
        with self._reading:  # threads that wait here share the one read
            if self._snapshot is None or self._snapshot.at <= asked:
                began = time.monotonic()
                self._snapshot = Snapshot(self.repository.all(), began)
            return self._snapshot.endpoints


def _deliveries(change: Change, endpoints: Sequence[Endpoint]) -> list[Delivery]:
    event = change.event
    wanting = [one for one in endpoints if one.wants(event.type)]
    if not wanting:
        return []
    payload = event.body(change.refund or change.payment).to_json()
    return [
        Delivery.of(
            DeliveryKey(event.payment_id, event.id, endpoint.id),
            event.type,
            payload,
            event.created_at,
            is_enabled=endpoint.enabled,
        )
        for endpoint in wanting
    ]


def payload_of_test(event_id: str, at: datetime, endpoint: Endpoint) -> str:
    """Return the body of a test event.

    Leaves out the URL of the endpoint, which may hold a secret, and who created it: a caller who
    may read deliveries may not be allowed to read endpoints.
    """
    data = endpoint.model_dump(exclude={"url", "created_by", "created_by_id"})
    return exact_json.dumps(
        {"id": event_id, "type": EndpointEvent.TEST, "timestamp": rfc3339(at), "data": data}
    )
