"""Runs the app's handlers as Lambda does, each in its own process, forked from this one.

The app is imported here once, so a fork takes a few milliseconds. Its clients talk to the proxy and
wait half as long as on AWS. Handlers see the conductor's clock, which is in memory that all
processes share. Their random numbers come from the invocation's seed, so that a run can be
repeated.
"""

import gc
import importlib
import json
import math
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from tests.crash.faults import Plan

_LONGEST_SECONDS: Final = 15
"""The limit for an invocation, as Lambda has one. No handler should take so long here."""
_PATIENCE: Final = 0.5
"""The fraction of the read timeout on AWS that clients wait here."""
_DEADLINE_SECONDS: Final = 0.3
"""The deadline for a merchant's answer."""
_HASTE: Final = 0.02
"""The fraction of the time that a handler asks to sleep."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN: Final = "https://dashboard.example"


class Outcome(NamedTuple):
    """The result of an invocation."""

    answer: Any
    """The value that the handler returned; None if it was killed or raised."""
    raised: str | None
    stopped: bool
    """Whether the process is stopped; `resume` continues it."""
    calls: list[str]
    met: list[list[str]]
    """The calls that each fault hit."""


class Clock:
    """The conductor's clock, in memory that its children share. Each reading adds a microsecond."""

    def __init__(self, start: datetime) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.reset(start)

    def __call__(self) -> datetime:
        (now,) = struct.unpack("q", self._memory[:])
        self._write(now + 1)
        return _EPOCH + timedelta(microseconds=now)

    def advance(self, delta: timedelta) -> None:
        self.reset(self() + delta)

    def reset(self, now: datetime) -> None:
        self._write((now - _EPOCH) // timedelta(microseconds=1))

    def _write(self, microseconds: int) -> None:
        self._memory[:] = struct.pack("q", microseconds)


class Conductor:
    """Starts the proxy, imports the app behind it, and runs the handlers one after another."""

    def __init__(
        self,
        *,
        dynamodb: str,
        sqs: str,
        queues: Mapping[str, str],
        log: Path,
        clock: Clock,
        stage: str,
    ) -> None:
        self.clock = clock
        self._log = log
        self._heard_until = 0
        ours, theirs = socket.socketpair()
        self._proxy = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.proxy", str(theirs.fileno()), dynamodb, sqs],
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self._control = ours
        self._lines = ours.makefile("r")
        self.url = f"http://127.0.0.1:{self._heard()['port']}"
        self.app = _imported(self.url, stage, queues, clock)
        self._children: dict[int, tuple[int, int]] = {}
        """Pid and the file descriptor of the answer, by invocation number."""

    def close(self) -> None:
        """End the proxy and every stopped process."""
        for pid, _ in self._children.values():
            os.kill(pid, signal.SIGKILL)
        self._lines.close()
        self._control.close()
        self._proxy.terminate()
        self._proxy.wait(10)

    def ask(self, **what: Any) -> dict[str, Any]:
        """Send a command to the proxy, and return its answer."""
        self._control.sendall(json.dumps(what).encode() + b"\n")
        while "stopped" in (heard := self._heard()):
            pass  # a process that ended meanwhile: a merchant's deadline had passed
        return heard

    def _heard(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self._lines.readline())
        return heard

    def warm_up(self, work: Callable[[], object]) -> None:
        """Do `work` here, so that the children have loaded its modules. Keeps no connection."""
        self.ask(begin=0, pid=os.getpid(), plans=[])
        work()
        self.ask(end=0)
        for client in (self.app.services.dynamodb, self.app.services.sqs):
            client._endpoint.http_session.close()
        gc.collect()
        gc.freeze()

    def said(self) -> list[dict[str, Any]]:
        """Return the lines of the log since the last call."""
        with self._log.open() as log:
            log.seek(self._heard_until)
            lines = log.readlines()
            self._heard_until = log.tell()
        return [json.loads(line) for line in lines]

    def invoke(
        self,
        number: int,
        handler: str,
        event: Mapping[str, Any],
        plans: Sequence[Plan],
        seed: str,
    ) -> Outcome:
        """Run one handler in its own process, until it ends or is stopped."""
        answer, answers = os.pipe()
        go, gate = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(answer)
            os.close(gate)
            self._child(handler, event, go, answers, seed)
        os.close(answers)
        os.close(go)
        told = [(plan.fault, plan.at, plan.wide) for plan in plans]
        self.ask(begin=number, pid=pid, plans=told)
        os.write(gate, b"!")
        os.close(gate)
        self._children[number] = (pid, answer)
        return self._until_it_ends(number)

    def resume(self, number: int) -> Outcome:
        """Continue a stopped process: its call is sent now, or its answer arrives."""
        self.ask(resume=number)
        return self._until_it_ends(number)

    def kill(self, number: int) -> Outcome:
        """Kill a stopped process."""
        os.kill(self._children[number][0], signal.SIGKILL)
        return self._until_it_ends(number)

    def _until_it_ends(self, number: int) -> Outcome:
        pid, answer = self._children[number]
        told = b""
        deadline = time.monotonic() + _LONGEST_SECONDS
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([answer, self._control.fileno()], [], [], left)
            if self._control.fileno() in ready:
                assert self._heard() == {"stopped": number}
                return Outcome(None, None, True, [], [])
            if not ready:
                os.kill(pid, signal.SIGKILL)
            piece = os.read(answer, 65_536)
            told += piece
            if not piece:
                break
        os.close(answer)
        os.waitpid(pid, 0)
        del self._children[number]
        seen = self.ask(end=number)
        result = json.loads(told) if told else {}
        return Outcome(
            result.get("answer"), result.get("raised"), False, seen["calls"], seen["met"]
        )

    def _child(
        self, handler: str, event: Mapping[str, Any], go: int, answers: int, seed: str
    ) -> NoReturn:
        code = 1
        with suppress(BaseException):
            os.read(go, 1)
            log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            _be_repeatable(seed)
            os.write(answers, json.dumps(self._called(handler, event)).encode())
            code = 0
        os._exit(code)

    def _called(self, handler: str, event: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"answer": getattr(self.app, handler)(event, None)}
        except Exception as error:  # as Lambda reports it
            return {"raised": f"{type(error).__name__}: {error}"}


def _be_repeatable(seed: str) -> None:
    drawn = random.Random(seed)
    random.seed(seed)
    os.urandom = drawn.randbytes  # ids are made from it
    asleep: Callable[[float], None] = time.sleep
    time.sleep = lambda seconds: asleep(float(seconds) * _HASTE)


@dataclass(frozen=True)
class _Hurried:
    """`clients._config`, with shorter timeouts."""

    config: Callable[..., Any]

    def __call__(self, connect: float, read: float, *, attempts: int) -> Any:
        return self.config(connect, read * _PATIENCE, attempts=attempts)


class _OneByOne(ThreadPoolExecutor):
    def __init__(self, max_workers: int) -> None:  # noqa: ARG002
        super().__init__(max_workers=1)


class _AtOnce(ThreadPoolExecutor):
    """Does all work in the thread that submits it."""

    def submit(self, work: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*values, **named))
        except Exception as error:
            done.set_exception(error)
        return done


def _imported(url: str, stage: str, queues: Mapping[str, str], clock: Clock) -> Any:
    os.environ.update(
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",
        AWS_REGION="ca-central-1",
        AWS_ENDPOINT_URL=url,
        PAYFLOW_STAGE=stage,
        PAYFLOW_ALLOWED_ORIGIN=ORIGIN,
        PAYFLOW_WEBHOOK_QUEUE_URL=queues["webhooks"],
        PAYFLOW_DELIVERIES_QUEUE_URL=queues["deliveries"],
        PAYFLOW_SIMULATION="allowed",
        PAYFLOW_WEBHOOKS_PRIVATE="allowed",
        PAYFLOW_AUTH="open",
        PAYFLOW_PARTIAL_BATCHES="reported",
        PAYFLOW_SWEEP_UNIT_SECONDS="60",
    )
    aws = importlib.import_module("chalicelib.aws.clients")
    aws._config = _Hurried(aws._config)  # type: ignore[attr-defined]
    app: Any = importlib.import_module("app")

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:  # noqa: ARG003
            return clock()

    bootstrap: Any = importlib.import_module("chalicelib.bootstrap")
    bootstrap.datetime = Datetime
    # Do one thing at a time: threads would take another order in each run.
    messages = importlib.import_module("chalicelib.messages")
    messages.ThreadPoolExecutor = _OneByOne  # type: ignore[attr-defined]
    sweeper = importlib.import_module("chalicelib.sweeper")
    sweeper.ThreadPoolExecutor = _OneByOne  # type: ignore[attr-defined]
    outbox = importlib.import_module("chalicelib.webhooks.outbox")
    outbox.ThreadPoolExecutor = _AtOnce  # type: ignore[attr-defined]
    outbox.FRESH_SECONDS = math.inf  # type: ignore[attr-defined]
    http_client = importlib.import_module("chalicelib.webhooks.http_client")
    patient = http_client.HttpClient(allows_private=True, deadline_seconds=_DEADLINE_SECONDS)
    vars(app.services)["http_client"] = patient
    return app
