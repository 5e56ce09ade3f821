"""`make bench`: times each flow against a floor of its AWS calls alone, in docs/reports/bench.md.

A floor is made of the calls that the flow was heard to make, with other ids, by the same clients.
Which calls those are is fixed below: one more is an error, and does not raise the floor. Then every
call is held up, which shows how many calls a flow waits for one after the other.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from itertools import count, repeat
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from botocore import xform_name
from botocore.exceptions import ClientError

from bench import page
from bench.ground import ground
from bench.page import percentile, table
from bench.usage import BATCH, BODY
from chalicelib import store
from chalicelib.model import new_id
from chalicelib.queue_jobs import SettlePayment, encode
from infra.local.lambda_events import api_event, sqs_event

PAGE: Final = "bench"
DELAY_SECONDS: Final = 0.005
MOST_TIMES_THE_FLOOR: Final = {
    "create": 1.3, "get": 1.8, "list by status": 1.8, "list all": 1.8
}  # fmt: skip
CREATE_WAITS: Final = 2
_A_WAIT_MORE_OR_LESS: Final = 0.5
"""Less than one: a busy machine adds that much, but a call adds one."""
_WARM_UP_SECONDS: Final = 2.0
_FILLED: Final = 30
_CREATE: Final = ["TransactWriteItems", "SendMessage"]
_SETTLE: Final = ["UpdateItem", "Query", "TransactWriteItems"]
_PAYMENTS: Final = "/v1/payments"
Run = Callable[[], object]


class Call(NamedTuple):
    """A call of a client, which can be made again with nothing around it."""

    make: Callable[..., Any]
    operation: str
    request: Any

    def again(self) -> Any:
        return self.make(**self.request)

    def with_others(self, names: Mapping[str, str]) -> "Call":
        """The same of another payment: each text in `names` is replaced wherever it stands."""
        text = json.dumps(self.request)
        for old, new in names.items():
            text = text.replace(old, new)
        return Call(self.make, self.operation, json.loads(text))


class Flow(NamedTuple):
    """Runs of a flow and of its floor, each to be made once; making one ready is not timed."""

    ours: Iterator[Run]
    floor: Iterator[Run]


class UnlikeItsFloor(Exception):
    """A flow made other calls than its floor is made of."""


class Flows:
    """The flows of an app that runs on the engines."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._numbers = count()
        self._pool = ThreadPoolExecutor(max_workers=BATCH)
        self._calls: list[Call] = []
        self.delay_seconds = 0.0
        """By how much each call is held up."""
        for client in (app.dynamodb, app.sqs):
            client.meta.events.register("provide-client-params.*.*", self._hear)
            client.meta.events.register("before-send.*.*", self._hold)

    def prepare(self) -> dict[str, Flow]:
        """By name. Fills the tables with what the lists show."""
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

    def _hear(self, params: Any, model: Any, **event: Any) -> None:
        service = event["event_name"].split(".")[1]
        client = self._app.dynamodb if service == "dynamodb" else self._app.sqs
        self._calls.append(Call(getattr(client, xform_name(model.name)), model.name, params))

    def _hold(self, **_: Any) -> None:
        time.sleep(self.delay_seconds)

    def _create(self) -> Flow:
        body = self._body()
        calls = self._heard(_CREATE, self._asking(_posted(body), 201))
        key, (payment, event) = body["idempotency_key"], _ids(calls[0])

        def floor() -> Iterator[Run]:
            while True:
                names = {key: self._key(), payment: _id("PAY"), event: _id("EVT")}
                yield _again([call.with_others(names) for call in calls])

        return Flow((self._asking(_posted(self._body()), 201) for _ in repeat(0)), floor())

    def _replay(self) -> Flow:
        again = _posted(self._body())
        self._asking(again, 201)()
        (call,) = self._heard(["TransactWriteItems"], self._asking(again, 200))
        payment, event = _ids(call)

        def floor() -> Iterator[Run]:
            while True:
                names = {payment: _id("PAY"), event: _id("EVT")}
                yield _refused(call.with_others(names))

        return Flow(repeat(self._asking(again, 200)), floor())

    def _read(self, event: dict[str, Any], operations: list[str]) -> Flow:
        ask = self._asking(event, 200)
        return Flow(repeat(ask), repeat(_again(self._heard(operations, ask))))

    def _settle(self, size: int) -> Flow:
        payment = self._created()
        claim, endpoints, change = self._heard(_SETTLE, lambda: self._process([payment]))
        _, event = _ids(change)
        totals = _totals_of(payment)

        def ours() -> Iterator[Run]:
            while True:
                ids = [self._created() for _ in range(size)]
                yield lambda ids=ids: self._process(ids)  # type: ignore[misc]

        def floor() -> Iterator[Run]:
            while True:
                claims, changes = [], []
                for _ in range(size):
                    other = self._created()
                    names = {payment: other, event: _id("EVT"), totals: _totals_of(other)}
                    claims.append(claim.with_others(names))
                    changes.append(change.with_others(names))
                steps = (claims, [endpoints], changes)
                yield lambda steps=steps: list(map(self._side_by_side, steps))  # type: ignore[misc]

        return Flow(ours(), floor())

    def _side_by_side(self, calls: list[Call]) -> None:
        if len(calls) == 1:
            calls[0].again()
        else:
            list(self._pool.map(Call.again, calls))

    def _heard(self, operations: list[str], run: Run) -> list[Call]:
        self._calls.clear()
        run()
        if (made := [call.operation for call in self._calls]) != operations:
            raise UnlikeItsFloor(f"It asked {', '.join(made)}, and not {', '.join(operations)}.")
        return list(self._calls)

    def _asking(self, event: dict[str, Any], status: int) -> Callable[[], Any]:
        def ask() -> Any:
            answer = self._app.app(event, None)
            if answer["statusCode"] != status:
                raise AssertionError(answer)
            return answer

        return ask

    def _process(self, payment_ids: list[str]) -> None:
        bodies = [encode(SettlePayment(payment_id)) for payment_id in payment_ids]
        answer = self._app.webhook_processor(sqs_event(*bodies), None)
        if answer["batchItemFailures"]:
            raise AssertionError(answer)

    def _created(self) -> str:
        payment_id: str = json.loads(self._asking(_posted(self._body()), 201)()["body"])["id"]
        return payment_id

    def _body(self) -> dict[str, Any]:
        return BODY | {"idempotency_key": self._key()}

    def _key(self) -> str:
        return f"order-{next(self._numbers):09}"


def _posted(body: dict[str, Any]) -> dict[str, Any]:
    return api_event("POST", _PAYMENTS, body)


def _again(calls: list[Call]) -> Run:
    return lambda: [call.again() for call in calls]


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


class Measured(NamedTuple):
    """The seconds of each run of a flow and of its floor, and how many calls it waits for."""

    ours: list[float]
    floor: list[float]
    waits: float

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.floor)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench flows", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="for each flow and way")
    parser.add_argument("--report", action="store_true", help="write docs/reports/bench.md")
    options = parser.parse_args(arguments)
    with ground() as app, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        measured = measure(Flows(app), options.seconds)
    blocks = {"flows": results(measured), "machine": f"Measured on {page.machine()}."}
    print(blocks["flows"])
    if options.report:
        page.write(PAGE, blocks)
    if reasons := missed(measured):
        sys.exit("\n".join(reasons))


def measure(flows: Flows, seconds: float) -> dict[str, Measured]:
    prepared = flows.prepare()
    for flow in prepared.values():  # the JVM compiles what it is often asked
        _timed(flow, min(seconds, _WARM_UP_SECONDS))
    quick = {name: _timed(flow, 2 * seconds) for name, flow in prepared.items()}
    flows.delay_seconds = DELAY_SECONDS
    slow = {name: _timed(flow, seconds) for name, flow in prepared.items()}

    def later(name: str, which: int) -> float:
        return median(slow[name][which]) - median(quick[name][which])

    a_call = later("get", 1)  # a floor that is a single call
    return {
        name: Measured(ours, floor, later(name, 0) / a_call)
        for name, (ours, floor) in quick.items()
    }


def _timed(flow: Flow, seconds: float) -> tuple[list[float], list[float]]:
    """The seconds of each run of the flow and of its floor, which take turns."""
    took: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for times, runs in zip(took, flow, strict=True):
            run = next(runs)
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
    return took


def results(measured: Mapping[str, Measured]) -> str:
    rows = []
    for name, one in measured.items():
        goal = MOST_TIMES_THE_FLOOR.get(name)
        medians = [f"{1000 * median(times):.2f}" for times in (one.ours, one.floor)]
        tails = [f"{1000 * percentile(times, 0.99):.1f}" for times in (one.ours, one.floor)]
        ratios = [f"{one.ratio:.2f}", f"≤ {goal}" if goal else ""]
        rows.append([name, *medians, *ratios, *tails, f"{one.waits:.1f}"])
    return table(["", "p50 ms", "floor", "ratio", "goal", "p99 ms", "floor", "waits"], rows)


def missed(measured: Mapping[str, Measured]) -> list[str]:
    """A sentence for each goal that is missed."""
    reasons = [
        f"{name}: {measured[name].ratio:.2f} times its floor, and not {goal} at most"
        for name, goal in MOST_TIMES_THE_FLOOR.items()
        if measured[name].ratio > goal
    ]
    waits = {name: one.waits for name, one in measured.items()}
    if waits["create"] > CREATE_WAITS + _A_WAIT_MORE_OR_LESS:
        reasons.append(f"create: {waits['create']:.1f} waits, and not {CREATE_WAITS} at most")
    if waits["process ten"] > waits["process one"] + _A_WAIT_MORE_OR_LESS:
        reasons.append(f"process ten: {waits['process ten']:.1f} waits, more than one payment's")
    return reasons
