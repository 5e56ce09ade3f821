"""What each flow of the product uses, as seen when its handlers run against recorded AWS calls.

Guarantee: nothing here is typed in. The handlers run as Lambda calls them, on moto, one thread; the
calls, units and bytes are counted as they go by. The figures do not hang on the day, the machine or
chance: ids and times have one width, and the one thing printed that has not is given one.
"""

import contextlib
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import boto3

from chalicelib.api_keys import new_secret
from chalicelib.model import ApiKey, Scope
from chalicelib.queue_jobs import BATCH_SIZE
from chalicelib.store import BY_STATUS, EVERYTHING
from chalicelib.webhook_sender import Attempt
from infra.local import provision
from sizing.meter import Load, Meter, Row, size_bytes

API: Final = "API"
PROCESSOR: Final = "webhook_processor"
COURIER: Final = "delivery_worker"
SWEEPER: Final = "sweeper"

_REQUEST_ID: Final = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
_LATENCY: Final = re.compile(r'"latency_ms": [0-9.]+')
_PAYMENT: Final = "/v1/payments/{payment_id}"
_REPLAYED: Final = "order-00000001-5d1f"
_STATS: Final = "from=2026-01-01&to=2026-01-30"
"""Thirty days, none of them today: a run at midnight finds the same."""

BODY: Final = {
    "merchant": "Northern Lights Coffee",
    "amount": "12.50",
    "currency": "CAD",
    "type": "eft",
    "description": "Invoice 2026-117",
    "metadata": {"order": "10023", "simulate": "completed"},
}
"""A payment as shops send them. Its wish has it end in the same way each time."""


@dataclass
class Usage:
    """What one run of a flow uses. A run of Lambda's is named by its function."""

    calls: Counter[str] = field(default_factory=Counter)
    reads: list[Load] = field(default_factory=list)
    writes: list[Load] = field(default_factory=list)
    invocations: Counter[str] = field(default_factory=Counter)
    log_lines: int = 0
    log_bytes: int = 0
    api_requests: int = 0
    out_bytes: int = 0
    """To the internet: answers of the API, and webhooks."""
    metrics: frozenset[str] = frozenset()
    """Of our own, that it counted."""

    @property
    def read_units(self) -> float:
        return sum(load.units for load in self.reads)

    @property
    def write_units(self) -> float:
        return sum(load.units for load in self.writes)


class Stored(NamedTuple):
    """What a settled payment leaves behind, in bytes and items, by place."""

    bytes: dict[str, int]
    items: dict[str, int]


class Watcher:
    """Sees each flow; this one does not care."""

    def starts(self, meter: Meter) -> None:
        """Something is about to run under the meter."""

    def done(self, name: str, run: Callable[[], Any]) -> None:
        """What ran last was the flow of this name; `run` does it once more."""


class Flows:
    """The handlers of an `app` that was imported with moto's clients, under a meter."""

    def __init__(self, app: Any, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher
        self.last_run: Callable[[], Any] = lambda: None
        self._stage = app.settings.stage
        self._numbers = iter(range(10_000_000, 100_000_000))
        self._meter = Meter(app.dynamodb, app.sqs)
        self._secret = new_secret(self._stage)
        provision_tables(app.dynamodb, self._stage)
        sqs = boto3.client("sqs", region_name=app.settings.region)
        for url in (app.settings.webhook_queue_url, app.settings.deliveries_queue_url):
            sqs.create_queue(QueueName=url.rpartition("/")[2])
        self._admit()

    def close(self) -> None:
        self._meter.close()

    def measure(self, function: str, run: Callable[[], Any]) -> tuple[Usage, Any]:
        """What `run`, one invocation of `function`, uses; and what it returns."""
        said = io.StringIO()
        self._watcher.starts(self._meter)
        with self._meter.running() as asked, contextlib.redirect_stdout(said):
            answer = run()
            calls = asked().calls
        lines = [_LATENCY.sub('"latency_ms": 12.3', line) for line in said.getvalue().splitlines()]
        usage = Usage(
            Counter(calls),
            list(self._meter.reads),
            list(self._meter.writes),
            Counter([function]),
            len(lines),
            sum(len(line.encode()) for line in lines),
            metrics=frozenset(name for line in lines for name in _metrics(line)),
        )
        self.last_run = run
        return usage, answer

    def request(self, method: str, resource: str, body: Any = None, **path: str) -> Usage:
        """One request of the API."""
        return self.answered(method, resource, body, **path)[0]

    def answered(
        self, method: str, resource: str, body: Any = None, **path: str
    ) -> tuple[Usage, dict[str, Any]]:
        query = path.pop("query", "")
        event = self._api_event(method, resource, body, path)
        if query:
            pairs = [pair.split("=") for pair in query.split("&")]
            event["multiValueQueryStringParameters"] = {name: [value] for name, value in pairs}
        self._keep_key_known()
        usage, answer = self.measure(API, lambda: self._app.app(event, None))
        if answer["statusCode"] >= 500:
            raise AssertionError(f"{method} {resource}: {answer}")
        usage.api_requests = 1
        usage.out_bytes = len(answer["body"].encode()) + _header_bytes(answer["headers"])
        return usage, answer

    def create(self, **fields: Any) -> tuple[Usage, str]:
        """A new payment, and its id."""
        body = BODY | {"idempotency_key": f"order-{next(self._numbers)}-5d1f"} | fields
        usage, answer = self.answered("POST", "/v1/payments", body)
        return usage, json.loads(answer["body"])["id"]

    def settle(self, *payment_ids: str) -> Usage:
        """One batch: its jobs one after the other, since moto has one thread."""
        jobs = [self._app.SettlePayment(payment_id) for payment_id in payment_ids]

        def run() -> None:
            self._app.outbox._known = None  # every batch reads the endpoints anew
            for job in jobs:
                self._app.settle(job)

        return self.measure(PROCESSOR, run)[0]

    def deliver(self, *delivery_ids: str) -> Usage:
        """One batch of webhooks; the merchants answer 200."""
        sent: list[int] = []

        def send(_: str, body: bytes, headers: dict[str, str]) -> Attempt:
            sent.append(len(body) + _header_bytes(headers))
            return Attempt(200, 12, "ok", None, None, None)

        def run() -> None:
            with _replaced(self._app, "sender", lambda: _Sender(send)):
                for delivery_id in delivery_ids:
                    self._app.deliver(self._app.Deliver(delivery_id))

        usage, _ = self.measure(COURIER, run)
        usage.out_bytes = sum(sent)
        return usage

    def sweep(self) -> Usage:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # nothing is old enough for it
        event = {
            "version": "0", "id": "1", "account": "123456789012", "resources": [], "detail": {},
            "region": self._app.settings.region, "detail-type": "Scheduled Event",
            "source": "aws.events", "time": at,
        }  # fmt: skip
        return self.measure(SWEEPER, lambda: self._app.sweeper(event, None))[0]

    def endpoint(self) -> None:
        body = {"url": "https://northern-lights.example/webhooks/payflow"}
        _, answer = self.answered("POST", "/v1/webhook_endpoints", body)
        assert answer["statusCode"] == 201, answer

    def deliveries_of(self, payment_id: str) -> list[str]:
        return [delivery.id for delivery in self._app.webhook_store.of_payment(payment_id)]

    def refund(self, payment_id: str) -> tuple[Usage, Callable[[], None]]:
        """A refund, and what settles it."""
        body = {"amount": "2.50", "idempotency_key": "refund-00000001"}
        usage, answer = self.answered("POST", f"{_PAYMENT}/refunds", body, payment_id=payment_id)
        job = self._app.SettleRefund(payment_id, json.loads(answer["body"])["id"])

        def run() -> None:
            self._app.outbox._known = None
            self._app.settle(job)

        return usage, run

    def stored(self, payment_id: str) -> Stored:
        """The rows of a payment, its idempotency record left out: that is gone after a day."""
        rows = self._rows(f"PAY#{payment_id}")
        sizes = {"payflow-payments": [size_bytes(row) for row in rows]}
        listed = [row for row in rows if row["SK"]["S"] == "PAYMENT"]
        sizes[BY_STATUS.name] = [size_bytes(row) for row in listed]
        keys = ("PK", "SK", EVERYTHING.hash, EVERYTHING.range)
        sizes[EVERYTHING.name] = [size_bytes({key: row[key] for key in keys}) for row in listed]
        return Stored(
            {place: sum(parts) for place, parts in sizes.items()},
            {place: len(parts) for place, parts in sizes.items()},
        )

    def record_bytes(self) -> int:
        """An idempotency record's."""
        table = self._app.settings.idempotency_table
        (item,) = self._app.dynamodb.scan(TableName=table, Limit=1)["Items"]
        return size_bytes(item)

    def _rows(self, key: str) -> list[Row]:
        found = self._app.dynamodb.query(
            TableName=self._app.settings.payments_table,
            KeyConditionExpression="PK = :key",
            ExpressionAttributeValues={":key": {"S": key}},
        )
        rows: list[Row] = found["Items"]
        return rows

    def _admit(self) -> None:
        """A key for the requests, as a deployed stage asks for one."""
        digest = hashlib.sha256(self._secret.encode()).hexdigest()
        key = ApiKey(
            id=f"KEY-{digest[:20].upper()}", name="shop", scopes=[Scope.ADMIN],
            created_at=datetime.now(UTC), last_used_at=None, expires_at=None, revoked_at=None,
            digest=digest,
        )  # fmt: skip
        self._app.store.add_key(key)

    def _keep_key_known(self) -> None:
        """However long this takes on a busy machine: only the first request looks the key up."""
        remembered, now = self._app.keys._remembered, datetime.now(UTC)
        for digest, known in remembered.items():
            remembered[digest] = known._replace(since=now)

    def _api_event(
        self, method: str, resource: str, body: Any, path: dict[str, str]
    ) -> dict[str, Any]:
        return {
            "resource": resource,
            "httpMethod": method,
            "path": resource.format(**path),
            "headers": {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self._secret}",
            },
            "multiValueQueryStringParameters": None,
            "pathParameters": path or None,
            "stageVariables": None,
            "requestContext": {
                "requestId": _REQUEST_ID,
                "resourcePath": resource,
                "httpMethod": method,
                "path": "/api" + resource.format(**path),
                "stage": "api",
                "identity": {"sourceIp": "203.0.113.7"},
            },
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }


class _Sender(NamedTuple):
    send: Callable[[str, bytes, dict[str, str]], Attempt]


class Measured(NamedTuple):
    """What was seen of all flows."""

    flows: dict[str, Usage]
    stored: Stored
    """Of a settled payment without webhooks, its idempotency record left out."""
    record_bytes: int
    delivery_bytes: int


def measured(app: Any, watcher: Watcher) -> Measured:
    """Needs moto's mock to be on, and an `app` that asks for keys and has no tables yet."""
    flows = Flows(app, watcher)
    with contextlib.closing(flows):
        return _measured(flows, watcher)


def _measured(flows: Flows, watcher: Watcher) -> Measured:
    found: dict[str, Usage] = {}

    def note(name: str, usage: Usage) -> Usage:
        watcher.done(name, flows.last_run)
        found[name] = usage
        return usage

    first, unwatched = flows.create()  # looks the key up, and notes its use
    flows.settle(unwatched)  # so that a slow machine's sweep finds nothing
    usage, payment = flows.create(idempotency_key=_REPLAYED)
    note("create", usage)
    found["key looked up"] = difference(first, usage)
    note("replay", flows.create(idempotency_key=_REPLAYED)[0])
    note("settle", flows.settle(payment))
    note("settle ten", flows.settle(*[flows.create()[1] for _ in range(BATCH_SIZE)]))
    note("get", flows.request("GET", _PAYMENT, payment_id=payment))
    note("events", flows.request("GET", f"{_PAYMENT}/events", payment_id=payment))
    for _ in range(BATCH_SIZE):
        _, last = flows.create()
        flows.settle(last)
    stored, record_bytes = flows.stored(last), flows.record_bytes()
    note("list by status", flows.request("GET", "/v1/payments", query="status=completed"))
    note("list all", flows.request("GET", "/v1/payments"))
    note("stats of 30 days", flows.request("GET", "/v1/stats", query=_STATS))
    note("refused", flows.request("POST", "/v1/payments", BODY | {"amount": "12.505"}))
    canceled = flows.create()[1]
    note("cancel", flows.request("POST", f"{_PAYMENT}/cancel", {}, payment_id=canceled))
    wishes = {"simulate": "completed", "simulate_refund": "completed"}
    _, given_back = flows.create(metadata=wishes)
    flows.settle(given_back)
    refund, job = flows.refund(given_back)
    note("refund", refund)
    note("settle refund", flows.measure(PROCESSOR, job)[0])
    note("sweep", flows.sweep())
    flows.endpoint()
    told = flows.create()[1]
    note("settle, one endpoint", flows.settle(told))
    note("deliver", flows.deliver(*flows.deliveries_of(told)))
    found["endpoint told"] = difference(found["settle, one endpoint"], found["settle"])
    with_delivery = flows.stored(told).bytes["payflow-payments"]
    delivery_bytes = with_delivery - stored.bytes["payflow-payments"]
    return Measured(found, stored, record_bytes, delivery_bytes)


def difference(more: Usage, less: Usage) -> Usage:
    """What `more` uses beyond `less`; their loads are told apart by place and size only."""
    reads, writes = list(more.reads), list(more.writes)
    for loads, taken in ((reads, less.reads), (writes, less.writes)):
        for load in taken:
            same = (load.place, load.units)
            loads.remove(next(one for one in loads if (one.place, one.units) == same))
    return Usage(
        more.calls - less.calls,
        reads,
        writes,
        Counter(),
        more.log_lines - less.log_lines,
        more.log_bytes - less.log_bytes,
        0,
        more.out_bytes - less.out_bytes,
    )


def provision_tables(dynamodb: Any, stage: str) -> None:
    """The tables of infra/backend.yaml: moto has no CloudFormation that makes them."""
    wanted = (
        "TableName",
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "GlobalSecondaryIndexes",
    )
    for table in provision.tables(stage):
        dynamodb.create_table(**{name: table[name] for name in wanted if name in table})


def _metrics(line: str) -> list[str]:
    told = json.loads(line).get("_aws", {"CloudWatchMetrics": []})
    return [metric["Name"] for group in told["CloudWatchMetrics"] for metric in group["Metrics"]]


def _header_bytes(headers: dict[str, Any]) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
