"""Measures the processor time of each flow's own code: `python -m bench milliseconds`.

Prints what bench/milliseconds.toml keeps. AWS's answers are those that moto gave once, handed back
from memory: timed are the handler, its validation, and the SDK's signing and parsing, but neither
the emulator nor a network. Processor time hardly changes on a busy machine.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from itertools import cycle
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from botocore.awsrequest import AWSResponse
from moto.core.models import botocore_stubber

from bench.page import machine
from bench.usage import Run, Usage, record

_RUNS: Final = 51


class Timed:
    """Runs each flow many times, on the answers that its first run was given."""

    def __init__(self, app: Any, milliseconds: dict[str, float]) -> None:
        self._milliseconds = milliseconds
        self._heard: defaultdict[str, list[tuple[int, Any, bytes]]] = defaultdict(list)
        self._answers: dict[str, Iterator[tuple[int, Any, bytes]]] = {}
        for client in (app.services.dynamodb, app.services.sqs):
            client.meta.events.register("before-send.*.*", self._answer)
            client.meta.events.register("after-call.*.*", self._keep)

    def __call__(self, name: str, function: str, run: Run) -> tuple[Usage, Any]:
        self._heard.clear()
        with redirect_stdout(StringIO()):
            answer = run()
            if name:
                self._milliseconds[name] = self._median(run) * 1000
        return Usage(function), answer

    def _median(self, run: Run) -> float:
        self._answers = {operation: cycle(heard) for operation, heard in self._heard.items()}
        times: list[float] = []
        with patch.object(botocore_stubber, "enabled", False):
            for _ in range(_RUNS):
                began = time.process_time()
                run()
                times.append(time.process_time() - began)
        self._answers = {}
        return statistics.median(times)

    def _keep(self, http_response: Any, model: Any, **_: Any) -> None:
        if not self._answers:
            kept = (http_response.status_code, http_response.headers, http_response.content)
            self._heard[model.name].append(kept)

    def _answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        if not self._answers:
            return None
        status, headers, content = next(self._answers[event_name.rpartition(".")[2]])
        raw = SimpleNamespace(stream=lambda **_: iter([content]))
        return AWSResponse(request.url, status, headers, raw)


def main(_: list[str]) -> None:
    milliseconds: dict[str, float] = {}
    record(lambda app: Timed(app, milliseconds))
    print(f'measured = "{datetime.now(UTC):%Y-%m-%d}"')
    print(f'machine = "{machine()}"')
    print("\n[cpu_ms]")
    for name, each in milliseconds.items():
        print(f'"{name}" = {each:.1f}')
