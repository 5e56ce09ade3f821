"""Measures the processor time of each flow's own code: `python -m sizing.milliseconds`.

Prints what sizing/milliseconds.toml keeps. AWS's answers are the ones that moto gave once, handed
back from memory: what is timed is the handler, its validation, the SDK's signing and parsing, and
neither the emulator nor a network. Processor time, not the clock's, so that a busy machine does not
count; the middle one of many runs.
"""

import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from botocore.awsrequest import AWSResponse
from moto.core.models import botocore_stubber

from sizing.flows import Watcher
from sizing.meter import Meter
from sizing.recorded import record

_BUDGET_SECONDS: Final = 0.3
_LEAST: Final = 7
_MOST: Final = 101


class _Raw:
    """A body, read once."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Any:
        yield self._content


class Timer(Watcher):
    """Does each flow many times, on the answers that its first run was given."""

    def __init__(self, *clients: Any) -> None:
        self.milliseconds: dict[str, float] = {}
        self._meter: Meter | None = None
        self._heard: defaultdict[str, list[tuple[int, Any, bytes]]] = defaultdict(list)
        self._answers: dict[str, Any] = {}
        for client in clients:
            client.meta.events.register("before-send.*.*", self._answer)
            client.meta.events.register("after-call.*.*", self._keep)

    def starts(self, meter: Meter) -> None:
        self._meter = meter
        self._heard.clear()

    def done(self, name: str, run: Callable[[], Any]) -> None:
        self._answers = {operation: cycle(heard) for operation, heard in self._heard.items()}
        times: list[float] = []
        with redirect_stdout(StringIO()), patch.object(botocore_stubber, "enabled", False):
            while len(times) < _LEAST or (sum(times) < _BUDGET_SECONDS and len(times) < _MOST):
                began = time.process_time()
                run()
                times.append(time.process_time() - began)
        self._answers = {}
        self.milliseconds[name] = statistics.median(times) * 1000

    def _keep(self, http_response: Any, model: Any, **_: Any) -> None:
        if self._meter is not None and self._meter.is_on:
            kept = (http_response.status_code, http_response.headers, http_response.content)
            self._heard[model.name].append(kept)

    def _answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        if not self._answers:
            return None
        status, headers, content = next(self._answers[event_name.rpartition(".")[2]])
        return AWSResponse(request.url, status, headers, _Raw(content))


def measured() -> dict[str, float]:
    """Milliseconds by flow."""
    timers: list[Timer] = []

    def watch(*clients: Any) -> Timer:
        timers.append(Timer(*clients))
        return timers[0]

    record(watch)
    return timers[0].milliseconds


def main() -> None:
    print(f'measured = "{datetime.now(UTC):%Y-%m-%d}"')
    print(f'machine = "{_processor()}, CPython {platform.python_version()}"')
    print("\n[cpu_ms]")
    for name, milliseconds in measured().items():
        print(f'"{name}" = {milliseconds:.1f}')


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line for line in lines if line.startswith("model name"))
        return name.partition(":")[2].strip()
    except (OSError, StopIteration):
        return platform.machine()


if __name__ == "__main__":
    main()
