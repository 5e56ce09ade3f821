"""Where the code keeps what is frozen: the one module here that a refactoring edits."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from chalicelib import config, exact_json, telemetry
from chalicelib.api import openapi
from chalicelib.api.request_log import ReadLogs, RequestLog
from chalicelib.api_keys import repository as api_keys
from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.api_keys.service import ApiKeys
from chalicelib.aws.dynamodb import decode, encode
from chalicelib.aws.pagination import decode_cursor, encode_cursor
from chalicelib.bootstrap import Services
from chalicelib.errors import PayFlowError
from chalicelib.idempotency import (
    Fingerprints,
    Record,
    fingerprints,
    record_from_item,
    record_to_item,
)
from chalicelib.messages import Deliver, SettlePayment, SettleRefund
from chalicelib.messages import decode as message_of_body
from chalicelib.messages import encode as body_of_message
from chalicelib.payments.commands import (
    CreatePayment,
    CreateRefund,
    ListPayments,
    SimulateRefundReturn,
    SimulateReturn,
)
from chalicelib.payments.facts import Returned
from chalicelib.payments.items import (
    event_from_item,
    event_to_item,
    payment_from_item,
    payment_to_item,
    refund_from_item,
    refund_to_item,
)
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import Simulator
from chalicelib.validation import validated
from chalicelib.values import Actor
from chalicelib.webhooks.commands import CreateEndpoint, ListDeliveries, UpdateEndpoint
from chalicelib.webhooks.delivery_worker import DeliveryWorker
from chalicelib.webhooks.http_client import PostError
from chalicelib.webhooks.http_client import PostResult as Answer
from chalicelib.webhooks.items import (
    delivery_from_item,
    delivery_to_item,
    endpoint_from_item,
    endpoint_to_item,
)
from chalicelib.webhooks.outbox import WebhookOutbox
from chalicelib.webhooks.repository import WebhookRepository
from chalicelib.webhooks.service import Webhooks, _DeliveryFilters
from infra.deploy import artifact, package, yaml_text
from tests.conftest import KeptQueue, payflow, secrets_key, stored_deliveries, stored_refunds
from tests.engines import ROOT

Row = dict[str, Any]
CODECS: Final[Mapping[str, tuple[Callable[[Row], Any], Callable[[Any], Row]]]] = {
    "PAYMENT": (payment_from_item, payment_to_item),
    "REFUND": (refund_from_item, refund_to_item),
    "EVENT": (event_from_item, event_to_item),
    "DELIVERY": (delivery_from_item, delivery_to_item),
    "ENDPOINT": (endpoint_from_item, endpoint_to_item),
    "APIKEY": (api_keys.from_item, api_keys.to_item),
    "record": (record_from_item, record_to_item),
}
"""How a row is read and written, by how its sort key begins."""
NOT_READ: Final = {"replacedBy", "searchKey"}
"""Attributes that only a condition or an index asks for."""
ACTOR: Final = Actor("till 7", "KEY-0123456789ABCDEF0123")
app = payflow


def new_services() -> Any:
    """Return a context in which the app has new services, with clients of their own."""
    services = Services(app.settings)
    services.warm_up()
    return patch.object(app, "services", services)


def round_trip(kind: str, row: Row) -> Row:
    """`row` as it is written after it was read."""
    from_item, to_item = CODECS[kind]
    return encode(to_item(from_item(decode(row))))


def message_round_trip(body: str) -> str:
    return body_of_message(message_of_body(body))


def payments_cursor(filters: Mapping[str, str]) -> Any:
    return validated(ListPayments, dict(filters))


def deliveries_cursor(filters: Mapping[str, str]) -> Any:
    return _DeliveryFilters(
        endpoint_id=filters["endpoint_id"],
        status=validated(ListDeliveries, {"status": filters.get("status")}).status,
    )


CURSOR_FILTERS: Final = {"payments": payments_cursor, "deliveries": deliveries_cursor}
COMMANDS: Final[Mapping[str, type[Any]]] = {
    "create_payment": CreatePayment,
    "create_refund": CreateRefund,
}


def cursor_at(kind: str, filters: Mapping[str, str], last: str) -> str:
    return encode_cursor(last, CURSOR_FILTERS[kind](filters))


def place_of(kind: str, filters: Mapping[str, str], cursor: str) -> str:
    return decode_cursor(cursor, CURSOR_FILTERS[kind](filters))


def digest_of(command: str, fields: Mapping[str, Any]) -> str:
    return fingerprints(validated(COMMANDS[command], fields)).whole


def matches(command: str, fields: Mapping[str, Any], digest: str) -> bool:
    """Whether a record with this fingerprint is one of this request."""
    record = Record("key", Fingerprints(None, digest), "PAY-1", "the answer", 0)
    return record.replay(validated(COMMANDS[command], fields)) == record.response


def document() -> Any:
    return openapi.document(app.app)


def read_settings(environment: Mapping[str, str]) -> None:
    config.from_environment(environment)


def write_metric(stage: str, **metrics: int) -> None:
    telemetry.count(stage, **metrics)


def logs(client: Any, now: datetime) -> str:
    """The requests that `/v1/logs` answers when CloudWatch is `client`."""
    found = RequestLog(client, "/aws/lambda/payflow-test").newest(validated(ReadLogs, {}), now)
    return exact_json.dumps(found.model_dump(include={"logs"}))


def templates() -> dict[str, Any]:
    """The templates as they are in the repository, by the names of their files."""
    folder = ROOT / "infra"
    return {
        name: yaml_text.read((folder / name).read_text())
        for name in ("backend.yaml", "frontend-stack.yaml")
    }


def packaged_template() -> Any:
    """The template that `make package` writes for a stage."""
    with tempfile.TemporaryDirectory() as folder:
        package.build("dev", Path(folder))
        return json.loads((Path(folder) / artifact.TEMPLATE).read_text())


Merchant = Callable[[str, bytes, Mapping[str, str]], tuple[int | None, str]]
"""Gets a POST; says the status, or None and which error there was."""


@dataclass
class Product:
    """The services of one stage, on the tables and queues of a test."""

    dynamodb: Any
    clock: Callable[[], datetime]
    merchant: Merchant
    queue: KeptQueue = field(default_factory=KeptQueue)
    deliveries_queue: KeptQueue = field(default_factory=KeptQueue)
    messages: list[str] = field(default_factory=list)
    """The bodies of processed messages."""

    def __post_init__(self) -> None:
        tables = {
            "payments_table": "payflow-payments-test",
            "idempotency_table": "payflow-idempotency-test",
        }
        repository = PaymentRepository(self.dynamodb, **tables)
        webhooks = WebhookRepository(self.dynamodb, **tables)
        outbox = WebhookOutbox("test", webhooks, self.deliveries_queue)
        shared: Any = {
            "stage": "test",
            "repository": repository,
            "queue": self.queue,
            "processor": Simulator(clock=self.clock),
            "outbox": outbox,
            "clock": self.clock,
        }
        self.payments = Payments(**shared, simulation_allowed=True)
        self.refunds = Refunds(self.payments)
        self.webhooks = Webhooks(
            "test",
            self.payments,
            webhooks,
            self.deliveries_queue,
            secrets_key(),
            allows_private=False,
            clock=self.clock,
        )
        keys = ApiKeyRepository(self.dynamodb, **tables)
        self.keys = ApiKeys("test", keys, is_required=True, clock=self.clock)
        self.worker = DeliveryWorker(
            stage="test",
            repository=webhooks,
            queue=self.deliveries_queue,
            secrets_key=secrets_key(),
            post=self._post,
            clock=self.clock,
            lease=timedelta(seconds=75),
            jitter=lambda: 0.5,
        )

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        status, said = self.merchant(url, body, headers)
        if status is None:
            return Answer(None, 15_000, "", None, PostError(said), "not done in 15 s")
        return Answer(status, 12, said, None, None, None)

    def create_payment(self, **fields: Any) -> tuple[str, str, bool]:
        """Its id, the answer's body, and whether that was given before."""
        created = self.payments.create(validated(CreatePayment, fields), actor=ACTOR)
        return created.resource_id, created.body, created.replayed

    def create_refund(self, payment_id: str, **fields: Any) -> tuple[str, str, bool]:
        created = self.refunds.create(payment_id, validated(CreateRefund, fields), actor=ACTOR)
        return created.resource_id, created.body, created.replayed

    def cancel(self, payment_id: str) -> None:
        self.payments.cancel(payment_id, actor=ACTOR)

    def return_by_bank(self, payment_id: str, **fields: str) -> None:
        command = validated(SimulateReturn, fields)
        self.payments.simulate_return(payment_id, command, actor=ACTOR)

    def return_refund(self, payment_id: str) -> None:
        """Return the payment's first refund."""
        refund_id = stored_refunds(self.payments.repository, payment_id)[0].id
        command = validated(SimulateRefundReturn, {"refund_id": refund_id})
        self.refunds.simulate_return(payment_id, command, actor=ACTOR)

    def bank_says(self, payment_id: str, code: str) -> None:
        """Record a return of the payment, and the same of its refunds."""
        for refund in stored_refunds(self.payments.repository, payment_id):
            self.refunds.record(payment_id, refund.id, Returned(code))
        self.payments.record(payment_id, Returned(code))

    def settle_all(self) -> None:
        """Process the messages of payments and refunds."""
        for message in self._received(self.queue):
            match message:
                case SettlePayment(payment_id):
                    self.payments.settle(payment_id)
                case SettleRefund(payment_id, refund_id):
                    self.refunds.settle(payment_id, refund_id)

    def deliver_all(self) -> None:
        """Process the messages of deliveries."""
        for message in self._received(self.deliveries_queue):
            assert isinstance(message, Deliver)
            self.worker.deliver(message.delivery_id)

    def deliver(self, delivery_id: str) -> None:
        self.worker.deliver(delivery_id)

    def deliveries_of(self, payment_id: str) -> list[str]:
        return [delivery.id for delivery in stored_deliveries(self.webhooks.repository, payment_id)]

    def _received(self, queue: KeptQueue) -> list[Any]:
        received, queue.messages = queue.messages, []
        self.messages += map(body_of_message, received)
        return received

    def create_endpoint(self, url: str, *events: str, **fields: Any) -> str:
        fields |= {"url": url, "events": list(events) or ["*"]}
        return self.webhooks.create(validated(CreateEndpoint, fields), actor=ACTOR).id

    def update_endpoint(self, endpoint_id: str, **fields: Any) -> None:
        self.webhooks.update(endpoint_id, validated(UpdateEndpoint, fields))

    def rotate_secret(self, endpoint_id: str) -> None:
        self.webhooks.rotate(endpoint_id)

    def delete_endpoint(self, endpoint_id: str) -> None:
        self.webhooks.delete(endpoint_id)

    def send_test_event(self, endpoint_id: str) -> str:
        return self.webhooks.test(endpoint_id).id

    def replay(self, delivery_id: str) -> None:
        self.webhooks.replay(delivery_id)

    def create_key(self, name: str, *scopes: str, **fields: Any) -> tuple[str, str]:
        """Its id and the key itself."""
        fields |= {"name": name, "scopes": list(scopes)}
        issued = self.keys.create(validated(CreateApiKey, fields), actor=ACTOR)
        return issued.id, issued.key

    def roll_key(self, key_id: str) -> None:
        self.keys.roll(key_id, validated(RollApiKey, {}), actor=ACTOR)

    def revoke_key(self, key_id: str) -> None:
        self.keys.revoke(key_id)

    def is_authorized(self, key: str) -> bool:
        try:
            self.keys.authorize(f"Bearer {key}", Scope.READ)
        except PayFlowError:
            return False
        return True
