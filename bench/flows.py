"""`make bench`: each flow beside a floor, the time in which its AWS calls are under way.

A call more would raise the floor too: tests/test_capacity.py fixes which calls a flow makes. Then
every call is held up: by 5 ms, as if AWS were elsewhere, and so long that it shows how many of them
follow one another.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from bench import page
from bench.ground import ground
from bench.growth import payments_of, put_rows, rows_of
from bench.page import percentile, table
from bench.usage import BATCH, BODY
from chalicelib.messages import SettlePayment, encode
from infra.local.lambda_events import api_event, sqs_event

PAGE: Final = "bench"
AWAY_SECONDS: Final = 0.005
"""How much longer a call takes where AWS is on another machine."""
DELAY_SECONDS: Final = 0.05
"""So long that calls which can overlap do: ten threads need less to begin one each."""
MOST_TIMES_THE_FLOOR: Final = {
    "create": 1.25, "replay": 1.4, "get": 1.4, "list by status": 1.6, "list all": 1.4,
    "stats, 90 days": 1.5, "process one": 1.25, "process ten": 1.35,
}  # fmt: skip
MOST_WAITS: Final = {
    "create": 2, "replay": 1, "get": 1, "list by status": 1, "list all": 2, "process one": 2,
    "process ten": 2,
}  # fmt: skip
MOST_TIMES_ONE: Final = 4.0
"""How many times as long as one message ten may take, here and where AWS is farther away."""
_WARM_UP_SECONDS: Final = 2.0
_FILLED: Final = 30
STATS_DAYS: Final = 90
_PAYMENTS_A_DAY: Final = 100
_RUNS_HELD_UP: Final = 11
_PAYMENTS: Final = "/v1/payments"
Run = Callable[[], object]
Prepare = Callable[[], Run]
"""Makes one run of a flow ready, which is not timed."""


class Calls:
    """Times what clients are asked for, and holds it up."""

    def __init__(self, *clients: Any) -> None:
        self.spans: list[tuple[float, float]] = []
        self.delay_seconds = 0.0
        for client in clients:
            client._make_api_call = self._timed(client._make_api_call)

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(operation: str, request: Any) -> Any:
            began = time.perf_counter()
            time.sleep(self.delay_seconds)
            try:
                return call(operation, request)
            finally:
                self.spans.append((began, time.perf_counter()))

        return timed

    def under_way_seconds(self) -> float:
        """In which at least one was."""
        whole = until = 0.0
        for began, ended in sorted(self.spans):
            whole += max(0.0, ended - max(began, until))
            until = max(until, ended)
        return whole

    def waits(self) -> int:
        """How many calls follow one another: the most of which no two overlap."""
        following = 0
        until = 0.0
        for began, ended in sorted(self.spans, key=itemgetter(1)):
            if began >= until:
                following += 1
                until = ended
        return following


class Flows:
    """The flows of an app that runs on the engines."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._numbers = count()

    def prepare(self) -> dict[str, Prepare]:
        """By name. Fills the tables with what the lists show."""
        settled = [self._created() for _ in range(_FILLED)]
        for start in range(0, _FILLED, BATCH):
            self._process(settled[start : start + BATCH])
        replayed = self._posted()
        self._ask(replayed, 201)
        get = api_event("GET", _PAYMENTS + "/{payment_id}", payment_id=settled[-1])
        by_status = api_event("GET", _PAYMENTS)
        by_status["multiValueQueryStringParameters"] = {"status": ["completed"]}
        stats = api_event("GET", "/v1/stats")
        stats["multiValueQueryStringParameters"] = {
            name: [day.isoformat()] for name, day in self._fill_totals().items()
        }
        return {
            "create": lambda: partial(self._ask, self._posted(), 201),
            "replay": lambda: partial(self._ask, replayed, 200),
            "get": lambda: partial(self._ask, get, 200),
            "list by status": lambda: partial(self._ask, by_status, 200),
            "list all": lambda: partial(self._ask, api_event("GET", _PAYMENTS), 200),
            "stats, 90 days": lambda: partial(self._ask, stats, 200),
            "process one": self._processing(1),
            "process ten": self._processing(BATCH),
        }

    def _fill_totals(self) -> dict[str, date]:
        """The totals of days before today; returns the first and the last of them."""
        newest = datetime.now(UTC).date() - timedelta(days=1)
        for ago in range(STATS_DAYS):
            rows = rows_of(payments_of(newest - timedelta(days=ago), _PAYMENTS_A_DAY))
            totals = [row for row in rows if "count" in row]
            put_rows(self._app.services.dynamodb, self._app.settings.payments_table, totals)
        return {"from": newest - timedelta(days=STATS_DAYS - 1), "to": newest}

    def _processing(self, size: int) -> Prepare:
        def prepare() -> Run:
            ids = [self._created() for _ in range(size)]
            return lambda: self._process(ids)

        return prepare

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
        payment_id: str = json.loads(self._ask(self._posted(), 201)["body"])["id"]
        return payment_id

    def _posted(self) -> dict[str, Any]:
        body = BODY | {"idempotency_key": f"order-{next(self._numbers):09}"}
        return api_event("POST", _PAYMENTS, body)


class Measured(NamedTuple):
    """A flow: the seconds of each of its runs, and how many of its calls follow one another."""

    ours: list[float]
    floor: list[float]
    """Of the calls of the same runs."""
    away: list[float]
    """Of other runs, whose calls take longer, as where AWS is on another machine."""
    waits: int

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.floor)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench flows", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6, help="for each flow")
    parser.add_argument("--report", action="store_true", help="write docs/reports/bench.md")
    options = parser.parse_args(arguments)
    with ground() as app, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        measured = measure(app, options.seconds)
    blocks = {"flows": results(measured), "machine": f"Measured on {page.machine()}."}
    print(blocks["flows"])
    if options.report:
        page.write(PAGE, blocks)
    if reasons := missed(measured):
        sys.exit("\n".join(reasons))


def measure(app: Any, seconds: float) -> dict[str, Measured]:
    calls = Calls(app.services.dynamodb, app.services.sqs)
    flows = Flows(app).prepare()
    for flow in flows.values():  # the JVM compiles what it is often asked
        _timed(calls, flow, min(seconds, _WARM_UP_SECONDS))
    return {
        name: Measured(
            *_timed(calls, flow, seconds),
            _timed(calls, flow, seconds / 2, AWAY_SECONDS)[0],
            _waits(calls, flow),
        )
        for name, flow in flows.items()
    }


def _waits(calls: Calls, prepare: Prepare) -> int:
    """How many calls follow one another at least: in a slow run, some begin too late to overlap."""
    found = []
    for _ in range(_RUNS_HELD_UP):
        run = prepare()
        calls.spans.clear()
        calls.delay_seconds = DELAY_SECONDS
        run()
        calls.delay_seconds = 0.0
        found.append(calls.waits())
    return min(found)


def _timed(
    calls: Calls, prepare: Prepare, seconds: float, delay_seconds: float = 0.0
) -> tuple[list[float], list[float]]:
    """The seconds of each run, and of its calls. Each call is held up by the delay."""
    ours, floor = [], []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        run = prepare()
        calls.spans.clear()
        calls.delay_seconds = delay_seconds
        began = time.perf_counter()
        run()
        ours.append(time.perf_counter() - began)
        calls.delay_seconds = 0.0
        floor.append(calls.under_way_seconds())
    return ours, floor


def results(measured: Mapping[str, Measured]) -> str:
    rows = []
    for name, one in measured.items():
        goal = MOST_TIMES_THE_FLOOR.get(name)
        medians = [f"{1000 * median(times):.2f}" for times in (one.ours, one.floor)]
        tails = [f"{1000 * percentile(times, 0.99):.1f}" for times in (one.ours, one.floor)]
        ratios = [f"{one.ratio:.2f}", f"≤ {goal}" if goal else ""]
        rows.append(
            [name, *medians, *ratios, *tails, f"{1000 * median(one.away):.1f}", str(one.waits)]
        )
    ours_and_floor = ["p50 ms", "floor", "ratio", "goal", "p99 ms", "floor"]
    return table(["", *ours_and_floor, "p50 + 5 ms a call", "waits"], rows)


def missed(measured: Mapping[str, Measured]) -> list[str]:
    """A sentence for each goal that is missed."""
    reasons = [
        f"{name}: {measured[name].ratio:.2f} times its floor, and not {goal} at most"
        for name, goal in MOST_TIMES_THE_FLOOR.items()
        if measured[name].ratio > goal
    ]
    reasons += [
        f"{name}: {measured[name].waits} waits, and not {most} at most"
        for name, most in MOST_WAITS.items()
        if measured[name].waits > most
    ]
    one, ten = measured["process one"], measured["process ten"]
    reasons += [
        f"process ten, {where}: {times:.1f} times process one, and not {MOST_TIMES_ONE} at most"
        for where, times in (
            ("here", median(ten.ours) / median(one.ours)),
            ("away", median(ten.away) / median(one.away)),
        )
        if times > MOST_TIMES_ONE
    ]
    return reasons
