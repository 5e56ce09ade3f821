"""What the benchmark says: its tables, its page, and which goals are missed."""

import os
import platform
from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

from sizing.page import page as paged
from tests.load.report import table

MANY: Final = 16
DELAY_MS: Final = 5
CREATE_WAITS: Final = 2
_A_WAIT_MORE_OR_LESS: Final = 0.5
"""Less than one: it is what a busy machine adds, and cannot be a call."""

_ABOUT: Final = """
# Where the time goes

By `make bench REPORT=docs/reports/bench.md`, on {cores} cores ({machine}), which the handlers
share with AWS's DynamoDB Local (in memory) and the emulated AWS's queue. The figures are this
machine's; what counts is the ratio.

The **floor** of a flow is its calls alone, made again with other ids by the same clients of the
same process, in turns with the flow: create is one transaction of three items and one send; replay
is one transaction, which fails; get is one GetItem; a list by status one Query, the list of all one
Query and one batch get, of 20 payments; processing is a claim and a transaction of three items for
each payment and one read of the endpoints, those of ten payments side by side. What a flow takes
beyond that is its own: routing, validation, ids, encoding, the log lines.

A flow runs in its handler, as Lambda calls it. With {many} connections, {many} processes
run it at once, each as fast as it can.
"""
_NETWORK: Final = """
## What a network adds

A proxy between the clients and the engines holds each call up for {delay} ms more. How many such
waits a flow takes longer, measured in those of a single GetItem:
"""
_WAITS: Final = """
Create waits for its transaction and its send. Ten payments wait as often as one: for their claims,
the endpoints and their transactions.
"""


class Measured(NamedTuple):
    """A flow and its floor, in seconds and runs a second, by "ours" and "floor"."""

    flow: str
    goal: float | None
    p50: Mapping[str, float]
    p99: Mapping[str, float]
    throughput: Mapping[str, float]
    throughput_of_many: Mapping[str, float]

    @property
    def ratio(self) -> float:
        return self.p50["ours"] / self.p50["floor"]

    @classmethod
    def of(
        cls,
        flow: str,
        goal: float | None,
        alone: Mapping[str, list[float]],
        of_many: Mapping[str, float],
    ) -> "Measured":
        """`alone` has the seconds of each run, `of_many` the runs a second of them all."""
        return cls(
            flow,
            goal,
            {which: median(times) for which, times in alone.items()},
            {which: quantiles(times, n=100)[98] for which, times in alone.items()},
            {which: len(times) / sum(times) for which, times in alone.items()},
            of_many,
        )


class Waited(NamedTuple):
    """A flow where each call takes longer."""

    flow: str
    p50: float
    waits: float


def missed(measured: Sequence[Measured], waited: Sequence[Waited]) -> list[str]:
    """A sentence for each goal that is."""
    reasons = [
        f"{one.flow}: {one.ratio:.2f} times its floor, and not {one.goal} at most"
        for one in measured
        if one.goal is not None and one.ratio > one.goal
    ]
    waits = {one.flow: one.waits for one in waited}
    if waits["create"] > CREATE_WAITS + _A_WAIT_MORE_OR_LESS:
        reasons.append(f"create: {waits['create']:.1f} waits, and not {CREATE_WAITS} at most")
    if waits["process ten"] > waits["process one"] + _A_WAIT_MORE_OR_LESS:
        reasons.append(
            f"process ten: {waits['process ten']:.1f} waits, and not as many as one payment's"
        )
    return reasons


def tables(measured: Sequence[Measured], waited: Sequence[Waited]) -> str:
    return f"{_measured(measured)}\n\n{_waited(waited)}"


def page(measured: Sequence[Measured], waited: Sequence[Waited]) -> str:
    machine = f"{platform.machine()}, CPython {platform.python_version()}"
    return paged(
        _ABOUT.format(cores=os.cpu_count(), machine=machine, many=MANY),
        _measured(measured),
        _NETWORK.format(delay=DELAY_MS),
        _waited(waited),
        _WAITS,
    )


def _measured(measured: Sequence[Measured]) -> str:
    head = ["", "p50 ms", "floor", "ratio", "goal", "p99 ms", "floor", "a second", "floor"]
    head += [f"a second, {MANY}", "floor"]
    return table(head, [_row(one) for one in measured])


def _row(one: Measured) -> list[str]:
    return [
        one.flow,
        *_pair(one.p50, 1000, ".2f"),
        f"{one.ratio:.2f}",
        "" if one.goal is None else f"≤ {one.goal}",
        *_pair(one.p99, 1000, ".1f"),
        *_pair(one.throughput, 1, ",.0f"),
        *_pair(one.throughput_of_many, 1, ",.0f"),
    ]


def _pair(values: Mapping[str, float], times: float, form: str) -> list[str]:
    return [format(values[which] * times, form) for which in ("ours", "floor")]


def _waited(waited: Sequence[Waited]) -> str:
    rows = [[one.flow, f"{1000 * one.p50:.1f}", f"{one.waits:.1f}"] for one in waited]
    return table(["", f"p50 ms, {DELAY_MS} ms more a call", "waits"], rows)
