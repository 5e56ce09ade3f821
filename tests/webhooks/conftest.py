"""A payment gateway with webhooks, with a clock that the test sets.

The merchant answers as the test tells it. Real POSTs are in test_http_client.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import Item, KeyRange
from chalicelib.payments.models import Payment
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.service import Payments
from chalicelib.sweeper import Sweeper
from chalicelib.webhooks import audited
from chalicelib.webhooks.commands import CreateEndpoint
from chalicelib.webhooks.delivery_worker import DeliveryWorker
from chalicelib.webhooks.http_client import PostResult
from chalicelib.webhooks.models import Delivery, Endpoint
from chalicelib.webhooks.repository import WebhookRepository
from chalicelib.webhooks.service import Webhooks
from tests.conftest import (
    TEST,
    Clock,
    KeptQueue,
    command,
    delivery_worker_on,
    new_repository,
    outbox_of,
    payments_on,
    queue_of,
    refunds_beside,
    stored_deliveries,
    sweeper_of,
    webhooks_beside,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

URL = "https://merchant.example/webhooks"
OK = PostResult(200, 12, "ok", None, None, None)
BUSY = PostResult(503, 12, "busy", None, None, None)
GONE = PostResult(410, 12, "gone", None, None, None)
UNKNOWN = "01M82Y8T27997E9EYD0G6SK6MT"
"""A ULID that no resource has."""


@dataclass
class Merchant:
    """Answers as it is told, and keeps what it received."""

    answer: PostResult = OK
    received: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        self.received.append((url, body, headers))
        return self.answer

    @property
    def webhook_ids(self) -> list[str]:
        return [headers["webhook-id"] for _, _, headers in self.received]


@dataclass(frozen=True)
class Gateway:
    """Payments and webhooks of one stage, on one table."""

    payments: Payments
    refunds: Refunds
    webhooks: Webhooks
    repository: WebhookRepository
    worker: DeliveryWorker
    sweeper: Sweeper
    merchant: Merchant
    queue: KeptQueue
    """The queue of deliveries."""
    clock: Clock

    def create_endpoint(self, **fields: Any) -> Endpoint:
        """Create an endpoint, and return it as it is stored."""
        others = len(self.repository.all())
        url = f"{URL}/{others}" if others else URL  # two of one URL are refused
        asked_for = CreateEndpoint.model_validate({"url": url} | fields)
        created = self.webhooks.create(asked_for, actor=TEST)
        return self.repository.get(created.id)

    def settled_payment(self, outcome: str = "completed", **metadata: str) -> Payment:
        """Create a payment and settle it with this outcome."""
        request = command(metadata={"simulate": outcome} | metadata)
        payment_id = self.payments.create(request, actor=TEST).resource_id
        self.payments.settle(payment_id)
        return self.payments.get(payment_id)

    def new_delivery(self) -> Delivery:
        """Return the delivery of a new payment to the only endpoint."""
        (delivery,) = stored_deliveries(self.repository, self.settled_payment().id)
        return delivery

    def secrets_of(self, endpoint_id: str) -> list[str]:
        """Return the secrets that sign now, newest first."""
        return self.worker._secrets(self.repository.get(endpoint_id))

    def events_of(self, endpoint: Endpoint) -> list[Item]:
        """Return the stored events of the endpoint itself, oldest first."""
        return self.repository._table.query(KeyRange(f"ENDPOINT#{endpoint.id}", "EVENT#", "EVENT$"))

    def deliver(self, delivery: Delivery) -> Delivery:
        """Process a message of the delivery, and return it as it is then."""
        self.worker.deliver(delivery.id)
        return self.repository.get_delivery(delivery.id)

    def deliver_when_due(self, delivery: Delivery) -> Delivery:
        """Wait until the delivery is due, then do the same."""
        now = self.repository.get_delivery(delivery.id)
        assert now.next_attempt_at is not None
        self.clock.now = max(self.clock.now, now.next_attempt_at)
        return self.deliver(now)


def gateway_on(dynamodb: "DynamoDBClient", clock: Clock) -> Gateway:
    payments = payments_on(new_repository(dynamodb), clock)
    outbox = outbox_of(payments)
    queue = queue_of(outbox)
    merchant = Merchant()
    webhooks = webhooks_beside(payments)
    worker = delivery_worker_on(outbox.repository, queue, clock, merchant)
    return Gateway(
        payments=payments,
        refunds=refunds_beside(payments),
        webhooks=webhooks,
        repository=outbox.repository,
        worker=replace(worker, secrets_key=webhooks.secrets_key),
        sweeper=sweeper_of(payments),
        merchant=merchant,
        queue=queue,
        clock=clock,
    )


@pytest.fixture
def gateway(engine: "DynamoDBClient", clock: Clock) -> Gateway:
    """On the engine under test."""
    return gateway_on(engine, clock)


def audit_event(gateway: Gateway, endpoint: Endpoint) -> AuditEvent:
    return audited.rotated(endpoint, TEST, gateway.clock())
