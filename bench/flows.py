"""The flows that are timed, each beside its floor: the same work, and nothing but its calls.

A floor is made of the calls that the flow was heard to make, with other ids, through the same
clients. Which those are is fixed below: one more is an error, and does not raise the floor.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count, repeat
from os import getpid
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from bench.recording import Call, Recorder
from chalicelib import store
from chalicelib.model import new_id
from chalicelib.queue_jobs import SettlePayment, encode
from infra.local.lambda_events import api_event, sqs_event
from sizing.flows import BODY

Run = Callable[[], object]

BATCH: Final = 10
_FILLED: Final = 30
_CREATE: Final = ["TransactWriteItems", "SendMessage"]
_SETTLE: Final = ["UpdateItem", "Query", "TransactWriteItems"]
_PAYMENTS: Final = "/v1/payments"


class Flow(NamedTuple):
    """Runs of a flow and of its floor, each to be made once; making one ready is not timed."""

    ours: Iterator[Run]
    floor: Iterator[Run]
    goal: float | None
    """Of the ratio of the medians; None where there is none."""


class UnlikeItsFloor(Exception):
    """A flow made other calls than its floor is made of."""


class Flows:
    """Those of an app that was imported to run on the engines."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._numbers = count()
        self._recorder = Recorder()
        for client in (app.dynamodb, app.sqs):
            self._recorder.listen_to(client)
        self._pool = ThreadPoolExecutor(max_workers=BATCH)

    def prepare(self) -> dict[str, Flow]:
        """By name. Fills the tables with what the lists show, as far as this process is to."""
        settled = [self._created() for _ in range(_FILLED)]
        for start in range(0, _FILLED, BATCH):
            self._process(settled[start : start + BATCH])
        get = api_event("GET", _PAYMENTS + "/{payment_id}", payment_id=settled[-1])
        by_status = api_event("GET", _PAYMENTS)
        by_status["multiValueQueryStringParameters"] = {"status": ["completed"]}
        return {
            "create": self._create(),
            "replay": self._replay(),
            "get": self._read(get, ["GetItem"]),
            "list by status": self._read(by_status, ["Query"]),
            "list all": self._read(api_event("GET", _PAYMENTS), ["Query", "BatchGetItem"]),
            "process one": self._settle(1),
            "process ten": self._settle(BATCH),
        }

    def _create(self) -> Flow:
        body = self._body()
        calls = self._heard(_CREATE, lambda: self._ask(_posted(body), 201))
        key, (payment, event) = body["idempotency_key"], _ids(calls[0])

        def floor() -> Iterator[Run]:
            while True:
                names = {key: self._key(), payment: _id("PAY"), event: _id("EVT")}
                yield _again([call.with_others(names) for call in calls])

        return Flow((self._asking(_posted(self._body()), 201) for _ in repeat(0)), floor(), 1.3)

    def _replay(self) -> Flow:
        body = self._body()
        self._ask(_posted(body), 201)
        calls = self._heard(["TransactWriteItems"], lambda: self._ask(_posted(body), 200))
        payment, event = _ids(calls[0])

        def floor() -> Iterator[Run]:
            while True:
                names = {payment: _id("PAY"), event: _id("EVT")}
                yield _refused(calls[0].with_others(names))

        return Flow(repeat(self._asking(_posted(body), 200)), floor(), None)

    def _read(self, event: dict[str, Any], operations: list[str]) -> Flow:
        calls = self._heard(operations, lambda: self._ask(event, 200))
        return Flow(repeat(self._asking(event, 200)), repeat(_again(calls)), 1.8)

    def _settle(self, size: int) -> Flow:
        payment = self._created()
        calls = self._heard(_SETTLE, lambda: self._process([payment]))
        claim, endpoints, change = calls
        _, event = _ids(change)
        totals = _totals_of(payment)

        def ours() -> Iterator[Run]:
            while True:
                ids = [self._created() for _ in range(size)]
                yield lambda ids=ids: self._process(ids)  # type: ignore[misc]

        def floor() -> Iterator[Run]:
            while True:
                pairs = []
                for _ in range(size):
                    other = self._created()
                    names = {payment: other, event: _id("EVT"), totals: _totals_of(other)}
                    pairs.append((claim.with_others(names), change.with_others(names)))
                yield lambda pairs=pairs: self._side_by_side(pairs, endpoints)  # type: ignore[misc]

        return Flow(ours(), floor(), None)

    def _side_by_side(self, pairs: list[tuple[Call, Call]], endpoints: Call) -> None:
        """All claims at once, one read of the endpoints, all changes at once."""
        claims, changes = zip(*pairs, strict=True)
        if len(pairs) == 1:
            _again([*claims, endpoints, *changes])()
            return
        list(self._pool.map(Call.again, claims))
        endpoints.again()
        list(self._pool.map(Call.again, changes))

    def _heard(self, operations: list[str], run: Run) -> list[Call]:
        with self._recorder.on() as calls:
            run()
        if (made := [call.operation for call in calls]) != operations:
            raise UnlikeItsFloor(f"It asked {', '.join(made)}, and not {', '.join(operations)}.")
        return calls

    def _asking(self, event: dict[str, Any], status: int) -> Run:
        return lambda: self._ask(event, status)

    def _ask(self, event: dict[str, Any], status: int) -> Any:
        answer = self._app.app(event, None)
        if answer["statusCode"] != status:
            raise AssertionError(answer)
        return answer

    def _process(self, payment_ids: list[str]) -> None:
        bodies = [encode(SettlePayment(payment_id)) for payment_id in payment_ids]
        answer = self._app.webhook_processor(sqs_event(*bodies), None)
        if answer["batchItemFailures"]:
            raise AssertionError(answer)

    def _created(self) -> str:
        payment_id: str = json.loads(self._ask(_posted(self._body()), 201)["body"])["id"]
        return payment_id

    def _body(self) -> dict[str, Any]:
        return BODY | {"idempotency_key": self._key()}

    def _key(self) -> str:
        return f"order-{getpid()}-{next(self._numbers):09}"


def _posted(body: dict[str, Any]) -> dict[str, Any]:
    return api_event("POST", _PAYMENTS, body)


def _again(calls: list[Call]) -> Run:
    def run() -> None:
        for call in calls:
            call.again()

    return run


def _refused(call: Call) -> Run:
    def run() -> None:
        try:
            call.again()
        except ClientError:
            return
        raise AssertionError("a replay's transaction went through")

    return run


def _ids(transaction: Call) -> tuple[str, str]:
    """The payment's and the event's, of a transaction that writes both."""
    puts = [item["Put"]["Item"] for item in transaction.request["TransactItems"] if "Put" in item]
    event = next(item for item in puts if item.get("SK", {}).get("S", "").startswith("EVENT#"))
    return event["paymentId"]["S"], event["id"]["S"]


def _id(kind: str) -> str:
    return new_id(kind, datetime.now(UTC))


def _totals_of(payment_id: str) -> str:
    return store._totals_partition(store.totals_shard(payment_id))
