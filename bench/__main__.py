"""Measures the API's flows and the processor's against their floor, on DynamoDB Local and the
emulator's SQS.

    make bench [SECONDS=3] [REPORT=docs/reports/bench.md]

Exits with 1 where a goal is missed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from bench.ground import Engines, engines
from bench.report import DELAY_MS, MANY, Measured, Waited, missed, page, tables

_WARM_UP_SECONDS: Final = 2.0


class Worker:
    """A process of `bench.worker`."""

    def __init__(self, stack: ExitStack, where: Engines) -> None:
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "bench.worker"],
                env=where.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self._process.terminate)

    def goals(self) -> dict[str, float | None]:
        """Once it is ready, by flow."""
        goals: dict[str, float | None] = self._answer()
        return goals

    def ask(self, flow: str, which: str, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([flow, which, seconds]) + "\n")
        self._process.stdin.flush()

    def heard(self) -> dict[str, list[float]]:
        seconds: dict[str, list[float]] = self._answer()
        return seconds

    def timed(self, flow: str, which: str, seconds: float) -> dict[str, list[float]]:
        self.ask(flow, which, seconds)
        return self.heard()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            sys.exit("A worker broke down; what it said is above.")
        return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3, help="for each flow and way")
    parser.add_argument("--report", type=Path, help="where to write the page")
    asked = parser.parse_args()
    with engines() as where, ExitStack() as stack:
        workers = [Worker(stack, where) for _ in range(MANY)]
        goals, *_ = [worker.goals() for worker in workers]
        for flow in goals:  # the JVM compiles what it is asked often
            workers[0].timed(flow, "both", _WARM_UP_SECONDS)
        measured = [_measured(workers, flow, goal, asked.seconds) for flow, goal in goals.items()]
        waited = list(_waited(where, list(goals), asked.seconds))
    print(tables(measured, waited))
    if asked.report:
        asked.report.write_text(page(measured, waited))
    if reasons := missed(measured, waited):
        sys.exit("\n".join(reasons))


def _measured(workers: list[Worker], flow: str, goal: float | None, seconds: float) -> Measured:
    alone = workers[0].timed(flow, "both", 2 * seconds)
    throughput: dict[str, float] = {}
    for which in ("floor", "ours"):
        for worker in workers:
            worker.ask(flow, which, seconds)
        runs = [worker.heard()[which] for worker in workers]
        # A worker's rate is of the time in which it ran: making runs ready is not in it.
        throughput[which] = sum(len(times) / sum(times) for times in runs)
    return Measured.of(flow, goal, alone, throughput)


def _waited(where: Engines, flows: list[str], seconds: float) -> Iterator[Waited]:
    """How much longer each flow takes where each call takes longer."""
    quick, quick_call = _medians(where, flows, seconds, 0)
    slow, slow_call = _medians(where, flows, seconds, DELAY_MS)
    for flow in flows:
        yield Waited(flow, slow[flow], (slow[flow] - quick[flow]) / (slow_call - quick_call))


def _medians(
    where: Engines, flows: list[str], seconds: float, delay_ms: int
) -> tuple[dict[str, float], float]:
    """Of each flow, and of a single GetItem, where each call takes so much longer."""
    with ExitStack() as stack:
        slower = Engines(
            dynamodb=stack.enter_context(_delayed(where.dynamodb, delay_ms)),
            sqs=stack.enter_context(_delayed(where.sqs, delay_ms)),
        )
        worker = Worker(stack, slower)
        worker.goals()
        took = {flow: median(worker.timed(flow, "ours", seconds)["ours"]) for flow in flows}
        return took, median(worker.timed("get", "floor", seconds)["floor"])


@contextmanager
def _delayed(url: str, milliseconds: int) -> Iterator[str]:
    port = urlsplit(url).port
    command = [sys.executable, "-m", "bench.delay", str(port), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
