"""Where the code keeps what is frozen: the one module here that a refactoring edits."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

from chalicelib import config, exact_json, openapi, telemetry
from chalicelib.api_keys import ApiKeys
from chalicelib.commands import (
    CreateApiKey,
    CreateEndpoint,
    CreatePayment,
    CreateRefund,
    ListDeliveries,
    ListPayments,
    ReadLogs,
    RollApiKey,
    SimulateReturn,
    UpdateEndpoint,
    validated,
)
from chalicelib.errors import PayFlowError
from chalicelib.idempotency import fingerprint
from chalicelib.listing import decode_cursor, encode_cursor
from chalicelib.model import Scope
from chalicelib.payments import Payments
from chalicelib.processor import Simulator
from chalicelib.queue_jobs import Deliver, SettlePayment, SettleRefund
from chalicelib.queue_jobs import decode as job_from_body
from chalicelib.queue_jobs import encode as body_of_job
from chalicelib.refunds import Refunds
from chalicelib.request_log import RequestLog
from chalicelib.store import (
    Store,
    _api_key,
    _api_key_item,
    _event,
    _event_item,
    _payment,
    _payment_item,
    _record,
    _record_item,
    _refund,
    _refund_item,
)
from chalicelib.tables import decode, encode
from chalicelib.webhook_delivery import Courier
from chalicelib.webhook_outbox import Outbox
from chalicelib.webhook_sender import Attempt as Answer
from chalicelib.webhook_sender import SendError
from chalicelib.webhook_store import (
    WebhookStore,
    _delivery,
    _endpoint,
    _endpoint_item,
    delivery_item,
)
from chalicelib.webhooks import Webhooks, _Place
from infra import dist, package
from tests.conftest import KeptQueue, payflow
from tests.engines import ROOT

Row = dict[str, Any]
CODECS: Final[Mapping[str, tuple[Callable[[Row], Any], Callable[[Any], Row]]]] = {
    "PAYMENT": (_payment, _payment_item),
    "REFUND": (_refund, _refund_item),
    "EVENT": (_event, _event_item),
    "DELIVERY": (_delivery, delivery_item),
    "ENDPOINT": (_endpoint, _endpoint_item),
    "APIKEY": (_api_key, _api_key_item),
    "record": (_record, _record_item),
}
"""How a row is read and written, by how its sort key begins."""
NOT_READ: Final = {"replacedBy"}
"""Attributes that only the condition of a write asks for."""
ACTOR: Final = "till 7"
app = payflow


def round_trip(kind: str, row: Row) -> Row:
    """`row` as it is written after it was read."""
    from_item, to_item = CODECS[kind]
    return encode(to_item(from_item(decode(row))))


def message_round_trip(body: str) -> str:
    return body_of_job(job_from_body(body))


def payments_cursor(filters: Mapping[str, str]) -> Any:
    return validated(ListPayments, dict(filters))


def deliveries_cursor(filters: Mapping[str, str]) -> Any:
    return _Place(
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
    return fingerprint(validated(COMMANDS[command], fields))


def document() -> Any:
    return openapi.document(app.app)


def read_settings(environment: Mapping[str, str]) -> None:
    config.from_environment(environment)


def write_metric(stage: str, **metrics: int) -> None:
    telemetry.count(stage, **metrics)


def logs(client: Any, now: datetime) -> str:
    """The body that `/v1/logs` answers when CloudWatch is `client`."""
    found = RequestLog(client, "/aws/lambda/payflow-test").newest(validated(ReadLogs, {}), now)
    return exact_json.dumps(found.model_dump())


def templates() -> dict[str, Any]:
    """The templates as they are in the repository, by the names of their files."""
    folder = ROOT / "infra"
    return {
        name: yaml.safe_load((folder / name).read_text())
        for name in ("backend.yaml", "frontend-stack.yaml")
    }


def packaged_template() -> Any:
    """The template that `make package` writes for a stage."""
    with tempfile.TemporaryDirectory() as folder:
        package.build("dev", Path(folder))
        return json.loads((Path(folder) / dist.TEMPLATE).read_text())


Merchant = Callable[[str, bytes, Mapping[str, str]], tuple[int | None, str]]
"""Gets a POST; says the status, or None and which error there was."""


@dataclass
class Product:
    """The use cases of one stage, on the tables and queues that a test has made."""

    dynamodb: Any
    clock: Callable[[], datetime]
    merchant: Merchant
    queue: KeptQueue = field(default_factory=KeptQueue)
    deliveries_queue: KeptQueue = field(default_factory=KeptQueue)
    messages: list[str] = field(default_factory=list)
    """Bodies of those that were worked off."""

    def __post_init__(self) -> None:
        tables = {"payments_table": "payflow-payments-test"}
        store = Store(self.dynamodb, **tables, idempotency_table="payflow-idempotency-test")
        webhook_store = WebhookStore(self.dynamodb, **tables)
        outbox = Outbox("test", webhook_store, self.deliveries_queue, self.clock)
        shared: Any = {
            "stage": "test",
            "store": store,
            "queue": self.queue,
            "processor": Simulator(),
            "outbox": outbox,
            "clock": self.clock,
        }
        self.payments = Payments(**shared, simulation_allowed=True)
        self.refunds = Refunds(**shared)
        self.webhooks = Webhooks(webhook_store, outbox, allows_private=False, clock=self.clock)
        self.keys = ApiKeys("test", store, is_required=True, clock=self.clock)
        self.worker = Courier(
            stage="test",
            store=webhook_store,
            queue=self.deliveries_queue,
            send=self._send,
            clock=self.clock,
            lease=timedelta(seconds=75),
            chance=lambda: 0.5,
        )

    def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        status, said = self.merchant(url, body, headers)
        if status is None:
            return Answer(None, 15_000, "", None, SendError(said), "not done in 15 s")
        return Answer(status, 12, said, None, None, None)

    def create_payment(self, **fields: Any) -> tuple[str, str, bool]:
        """Its id, the answer's body, and whether that was given before."""
        created = self.payments.create(validated(CreatePayment, fields), actor=ACTOR)
        return created.payment_id, created.body, created.replayed

    def create_refund(self, payment_id: str, **fields: Any) -> tuple[str, str, bool]:
        created = self.refunds.create(payment_id, validated(CreateRefund, fields), actor=ACTOR)
        return created.refund_id, created.body, created.replayed

    def cancel(self, payment_id: str) -> None:
        self.payments.cancel(payment_id, actor=ACTOR)

    def return_by_bank(self, payment_id: str, **fields: str) -> None:
        command = validated(SimulateReturn, fields)
        self.payments.give_back(payment_id, command, actor=ACTOR)

    def settle_all(self) -> None:
        """Work off the messages of payments and refunds."""
        for job in self._received(self.queue):
            match job:
                case SettlePayment(payment_id):
                    self.payments.settle(payment_id)
                case SettleRefund(payment_id, refund_id):
                    self.refunds.settle(payment_id, refund_id)

    def deliver_all(self) -> None:
        """Work off the messages of deliveries."""
        for job in self._received(self.deliveries_queue):
            assert isinstance(job, Deliver)
            self.worker.deliver(job.delivery_id)

    def deliver(self, delivery_id: str) -> None:
        self.worker.deliver(delivery_id)

    def deliveries_of(self, payment_id: str) -> list[str]:
        return [delivery.id for delivery in self.webhooks.store.of_payment(payment_id)]

    def _received(self, queue: KeptQueue) -> list[Any]:
        received, queue.jobs = queue.jobs, []
        self.messages += map(body_of_job, received)
        return received

    def create_endpoint(self, url: str, *events: str, **fields: Any) -> str:
        fields |= {"url": url, "events": list(events) or ["*"]}
        return self.webhooks.create(validated(CreateEndpoint, fields)).id

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
        issued = self.keys.create(validated(CreateApiKey, fields))
        return issued.key.id, issued.secret

    def roll_key(self, key_id: str) -> None:
        self.keys.roll(key_id, validated(RollApiKey, {}))

    def revoke_key(self, key_id: str) -> None:
        self.keys.revoke(key_id)

    def is_admitted(self, key: str) -> bool:
        try:
            self.keys.admit(f"Bearer {key}", Scope.READ)
        except PayFlowError:
            return False
        return True
