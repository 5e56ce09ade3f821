"""What each flow uses: calls, units and bytes, counted while the handlers run on moto.

Guarantee: nothing is typed in. The handlers run as Lambda calls them, in one thread. The figures
depend on neither the day, the machine nor chance: ids and times have one width, and so gets the
latency in a log line.
"""

import contextlib
import importlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qs

import boto3
from moto import mock_aws

from bench.meter import Load, Meter, Row, indexes, size_bytes
from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.messages import Message, SettlePayment, SettleRefund
from chalicelib.payments.settling import Settling
from chalicelib.webhooks.http_client import PostResult
from infra.local import provision
from infra.local.lambda_events import REGION, api_event, scheduled_event, with_key

API: Final = "API"
PROCESSOR: Final = "webhook_processor"
DELIVERY_WORKER: Final = "delivery_worker"
SWEEPER: Final = "sweeper"
BATCH: Final = 10

_QUEUES: Final = f"https://sqs.{REGION}.amazonaws.com/123456789012"
SETTINGS: Final = {
    "PAYFLOW_STAGE": "prod",
    "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
    "PAYFLOW_WEBHOOK_QUEUE_URL": f"{_QUEUES}/payflow-webhooks-prod",
    "PAYFLOW_DELIVERIES_QUEUE_URL": f"{_QUEUES}/payflow-deliveries-prod",
    "PAYFLOW_SIMULATION": "allowed",
    "PAYFLOW_AUTH": "required",
    "PAYFLOW_PARTIAL_BATCHES": "reported",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    # Whatever a developer's shell says, no account is reached.
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
BODY: Final = {
    "merchant": "Northern Lights Coffee",
    "amount": "12.50",
    "currency": "CAD",
    "type": "eft",
    "description": "Invoice 2026-117",
    "metadata": {"order": "10023", "simulate": "completed"},
}
"""A payment as shops send them. It asks the simulator to complete it."""

_LATENCY: Final = re.compile(r'"latency_ms": [0-9.]+')
_PAYMENT: Final = "/v1/payments/{payment_id}"
_REPLAYED: Final = "order-00000001-5d1f"
_STATS: Final = "from=2026-01-01&to=2026-01-30"
"""Thirty days, none of them today: a run at midnight finds the same."""
Run = Callable[[], Any]


class OneThread(ThreadPoolExecutor):
    """Does each thing in the thread that asks for it, before `submit` returns or raises."""

    def submit(self, do: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(do(*arguments, **options))
        return future


@dataclass
class Usage:
    """What one run of a Lambda function uses."""

    function: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    reads: list[Load] = field(default_factory=list)
    writes: list[Load] = field(default_factory=list)
    log_lines: int = 0
    log_bytes: int = 0
    api_requests: int = 0
    out_bytes: int = 0
    """To the internet: answers of the API, and webhooks."""
    metrics: frozenset[str] = frozenset()
    """Our own, that it counted."""

    @property
    def read_units(self) -> float:
        return sum(load.units for load in self.reads)

    @property
    def write_units(self) -> float:
        return sum(load.units for load in self.writes)

    def beyond(self, less: "Usage") -> "Usage":
        """The units that this run takes and `less` does not."""
        return Usage(
            reads=_beyond(self.reads, less.reads), writes=_beyond(self.writes, less.writes)
        )


def _beyond(more: list[Load], less: list[Load]) -> list[Load]:
    left = list(more)
    for load in less:
        left.remove(next(one for one in left if (one.place, one.units) == (load.place, load.units)))
    return left


class Recorded(NamedTuple):
    """What was seen of all flows."""

    flows: dict[str, Usage]
    stored: dict[str, list[int]]
    """Bytes of each item of a settled payment without webhooks, by place. Its idempotency record
    is left out: it expires."""
    record_bytes: int
    delivery_bytes: int


class Metered:
    """Counts what a run asks of AWS and prints."""

    def __init__(self, app: Any) -> None:
        self._meter = Meter(app.services.dynamodb, app.services.sqs)

    def __call__(self, _: str, function: str, run: Run) -> tuple[Usage, Any]:
        said, answers = io.StringIO(), []
        with contextlib.redirect_stdout(said):
            asked = self._meter.asked(lambda: answers.append(run()))
        lines = [_LATENCY.sub('"latency_ms": 12.3', line) for line in said.getvalue().splitlines()]
        usage = Usage(
            function,
            Counter(asked.calls),
            self._meter.reads,
            self._meter.writes,
            len(lines),
            sum(len(line.encode()) for line in lines),
            metrics=frozenset(metric for line in lines for metric in _metrics(line)),
        )
        return usage, answers[0]


def record(measure: Callable[[Any], Any] = Metered) -> Recorded:
    """Run every flow. `measure` gets the app, and returns what runs a flow of some name."""
    with patch.dict(os.environ, SETTINGS), mock_aws():
        app = importlib.import_module("app")
        return _Flows(app, measure(app)).record()


class _Flows:
    """The handlers of an `app` that was imported with moto's clients."""

    def __init__(self, app: Any, measure: Any) -> None:
        self._app = app
        self._services = app.services
        self._measure = measure
        self._found: dict[str, Usage] = {}
        self._numbers = iter(range(10_000_000, 100_000_000))
        provision.create_tables(app.services.dynamodb, app.settings.stage)
        sqs = boto3.client("sqs", region_name=REGION)
        for url in (app.settings.webhook_queue_url, app.settings.deliveries_queue_url):
            sqs.create_queue(QueueName=url.rpartition("/")[2])
        shop = CreateApiKey(name="shop", scopes=[Scope.ADMIN])
        self._secret = app.services.api_keys.create(shop).key

    def record(self) -> Recorded:
        first, payment = self._create("")  # looks the key up, and notes its use
        self._settle("", payment)  # so that a slow machine's sweep finds nothing
        create, payment = self._create("create", idempotency_key=_REPLAYED)
        self._found["key looked up"] = first.beyond(create)
        self._create("replay", idempotency_key=_REPLAYED)
        self._settle("settle", payment)
        self._settle("settle ten", *[self._create("")[1] for _ in range(BATCH)])
        self._ask("get", "GET", _PAYMENT, payment_id=payment)
        self._ask("events", "GET", f"{_PAYMENT}/events", payment_id=payment)
        for _ in range(BATCH):
            _, last = self._create("")
            self._settle("", last)
        stored, record_bytes = self._stored(last), self._record_bytes()
        self._ask("list by status", "GET", "/v1/payments", query="status=completed")
        self._ask("list all", "GET", "/v1/payments")
        self._ask("stats of 30 days", "GET", "/v1/stats", query=_STATS)
        self._ask("refused", "POST", "/v1/payments", BODY | {"amount": "12.505"})
        _, canceled = self._create("")
        self._ask("cancel", "POST", f"{_PAYMENT}/cancel", {}, payment_id=canceled)
        self._refund()
        now = datetime.now(UTC)  # nothing is old enough for it
        self._note("sweep", SWEEPER, lambda: self._app.sweeper(scheduled_event(now), None))
        told = self._webhook()
        with_delivery = sum(self._stored(told)["payflow-payments"])
        delivery_bytes = with_delivery - sum(stored["payflow-payments"])
        return Recorded(self._found, stored, record_bytes, delivery_bytes)

    def _note(self, name: str, function: str, run: Run) -> tuple[Usage, Any]:
        usage, answer = self._measure(name, function, run)
        if name:
            self._found[name] = usage
        return usage, answer

    def _ask(
        self, name: str, method: str, path: str, body: Any = None, *, query: str = "", **ids: str
    ) -> tuple[Usage, Any]:
        """One request of the API, and the JSON of its answer."""
        event = with_key(api_event(method, path, body, **ids), self._secret)
        event["multiValueQueryStringParameters"] = parse_qs(query) or None
        self._keep_key_known()
        usage, answer = self._note(name, API, lambda: self._app.app(event, None))
        if answer["statusCode"] >= 500:
            raise AssertionError(f"{method} {path}: {answer}")
        usage.api_requests = 1
        usage.out_bytes = len(answer["body"].encode()) + _header_bytes(answer["headers"])
        return usage, json.loads(answer["body"])

    def _create(self, name: str, **fields: Any) -> tuple[Usage, str]:
        """A new payment, and its id."""
        body = BODY | {"idempotency_key": f"order-{next(self._numbers)}-5d1f"} | fields
        usage, answer = self._ask(name, "POST", "/v1/payments", body)
        return usage, answer["id"]

    def _settle(self, name: str, *payment_ids: str) -> Usage:
        return self._process(name, [SettlePayment(one) for one in payment_ids])

    def _process(self, name: str, messages: list[Message]) -> Usage:
        """One batch, in one thread, since moto has one."""

        def run() -> None:
            services = self._services
            services.outbox._snapshot = None  # every batch reads the endpoints anew
            for message in messages:
                if isinstance(message, SettleRefund):
                    services.refunds.settle(**vars(message))
            payments = [one for one in messages if isinstance(one, SettlePayment)]
            failures = Settling(services.payments, OneThread()).settle(payments)
            if failures:
                raise AssertionError(failures)

        return self._note(name, PROCESSOR, run)[0]

    def _refund(self) -> None:
        wishes = {"simulate": "completed", "simulate_refund": "completed"}
        _, payment = self._create("", metadata=wishes)
        self._settle("", payment)
        body = {"amount": "2.50", "idempotency_key": "refund-00000001"}
        _, refund = self._ask("refund", "POST", f"{_PAYMENT}/refunds", body, payment_id=payment)
        self._process("settle refund", [SettleRefund(payment, refund["id"])])

    def _webhook(self) -> str:
        """A payment whose outcome one endpoint is told, by a merchant that answers 200."""
        url = "https://northern-lights.example/webhooks/payflow"
        self._ask("", "POST", "/v1/webhook_endpoints", {"url": url})
        _, payment = self._create("")
        usage = self._settle("settle, one endpoint", payment)
        self._found["endpoint told"] = usage.beyond(self._found["settle"])
        ((_, delivery),) = self._services.webhook_repository.of_payment(payment)
        sent: list[int] = []

        def post(_: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
            sent.append(len(body) + _header_bytes(headers))
            return PostResult(200, 12, "ok", None, None, None)

        worker = replace(self._services.delivery_worker, post=post)
        usage, _ = self._note("deliver", DELIVERY_WORKER, lambda: worker.deliver(delivery.id))
        usage.out_bytes = sent[0]
        return payment

    def _stored(self, payment_id: str) -> dict[str, list[int]]:
        rows: list[Row] = self._services.dynamodb.query(
            TableName=self._app.settings.payments_table,
            KeyConditionExpression="PK = :key",
            ExpressionAttributeValues={":key": {"S": f"PAY#{payment_id}"}},
        )["Items"]
        sizes = {"payflow-payments": [size_bytes(row) for row in rows]}
        for name, index in indexes().items():
            keys = ("PK", "SK", index.hash, index.range)
            sizes[name] = [
                size_bytes(row if index.holds_all else {key: row[key] for key in keys})
                for row in rows
                if index.hash in row and index.range in row
            ]
        return {place: found for place, found in sizes.items() if found}

    def _record_bytes(self) -> int:
        table = self._app.settings.idempotency_table
        (item,) = self._services.dynamodb.scan(TableName=table, Limit=1)["Items"]
        return size_bytes(item)

    def _keep_key_known(self) -> None:
        """Only the first request looks the key up, however slow the machine."""
        cache, now = self._services.api_keys._cache, datetime.now(UTC)
        for digest, known in cache.items():
            cache[digest] = known._replace(since=now)


def _metrics(line: str) -> list[str]:
    told = json.loads(line).get("_aws", {"CloudWatchMetrics": []})
    return [metric["Name"] for group in told["CloudWatchMetrics"] for metric in group["Metrics"]]


def _header_bytes(headers: Mapping[str, Any]) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())
