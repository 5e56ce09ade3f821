"""A proxy between the handlers and the services, in its own process, that makes calls fail.

Handlers send it all their calls. It forwards those to DynamoDB and SQS to the engines, and answers
those to merchants itself. The conductor (invocation.py) tells it, in lines of JSON over a pair of
sockets, which process runs and which of its calls get faults:

    {"begin": number, "pid": …, "plans": [[fault, at, wide], …]}   → {"ok": …}
    {"resume": number}                                             → {"ok": …}
    {"end": number}                                                → {"calls": […], "met": […]}
    {"calm": true}    from now on merchants accept everything      → {"ok": …}
    {"received": …}                                                → {"received": […]}

The proxy sends `{"stopped": number}` when it has stopped a process.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from tests.crash.faults import (
    DEADLY,
    POST,
    SLOW,
    STOPPING,
    Answer,
    Call,
    Fault,
    Indexes,
    Plan,
    partly_done,
    refusal,
)

_IDLE_SECONDS: Final = 1
_BEFORE: Final = frozenset(
    {Fault.KILL_BEFORE, Fault.CUT_BEFORE, Fault.HANG_BEFORE, Fault.STOP_BEFORE}
)
_REFUSED: Final = frozenset({Fault.THROTTLED, Fault.CONFLICT, Fault.BROKEN, Fault.GARBLED})
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Process:
    """The process of one handler, as the proxy knows it."""

    pid: int
    plans: list[Plan]
    calls: list[str] = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Upstream:
    """A service, with its open connections."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._idle: list[tuple[float, Stream]] = []

    async def ask(self, request: bytes) -> bytes:
        """Return the whole answer, unchanged."""
        answer = None
        if self._idle and monotonic() - self._idle[-1][0] < _IDLE_SECONDS:
            _, stream = self._idle.pop()
            with suppress(ConnectionError):
                answer = await self._asked(
                    stream, request
                )  # None if the connection was just closed
        if answer is None:
            stream = await asyncio.open_connection(self._host, self._port)
            answer = await self._asked(stream, request)
        assert answer is not None, "the engine is gone"
        return answer

    async def _asked(self, stream: Stream, request: bytes) -> bytes | None:
        reader, writer = stream
        writer.write(request)
        answer = await _message(reader)
        if answer is not None:
            self._idle.append((monotonic(), stream))
        return answer


class Proxy:
    """DynamoDB, SQS and the merchants of one lane's handlers."""

    def __init__(self, control: socket.socket, dynamodb: str, sqs: str) -> None:
        self._control = control
        self._services = {"DynamoDB": Upstream(dynamodb), "AmazonSQS": Upstream(sqs)}
        self._processes: dict[int, Process] = {}
        self._running: Process | None = None
        self._indexes = Indexes()
        self._received: list[dict[str, Any]] = []
        self._is_calm = False

    async def run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=128)
        port = server.sockets[0].getsockname()[1]
        reader, self._to_conductor = await asyncio.open_connection(sock=self._control)
        self._tell(port=port)
        async with server:
            while line := await reader.readline():
                self._tell(**self._told(json.loads(line)))

    def _tell(self, **what: Any) -> None:
        self._to_conductor.write(json.dumps(what).encode() + b"\n")

    def _told(self, what: Mapping[str, Any]) -> dict[str, Any]:
        match what:
            case {"begin": number, "pid": pid, "plans": plans}:
                planned = [Plan(Fault(fault), at, wide) for fault, at, wide in plans]
                self._running = self._processes[number] = Process(pid, planned)
            case {"resume": number}:
                self._running = self._processes[number]
                self._running.goes_on.set()
            case {"end": number}:
                ended = self._processes.pop(number)
                ended.ended.set()
                ended.goes_on.set()
                return {"calls": ended.calls, "met": [plan.met for plan in ended.plans]}
            case {"calm": is_calm}:
                self._is_calm = is_calm
            case {"received": _}:
                received, self._received = self._received, []
                self._indexes = Indexes()
                return {"received": received}
        return {"ok": True}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = self._running
        assert process is not None
        # A fault may have killed the process meanwhile, at another of its calls.
        with suppress(ConnectionError, asyncio.IncompleteReadError, ProcessLookupError):
            while request := await _message(reader):
                answer = await self._answer(process, request)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                # It was stopped; now its answer is there. One that has ended is not there any more.
                if process.goes_on.is_set() and not process.ended.is_set():
                    process.goes_on.clear()
                    os.kill(process.pid, signal.SIGCONT)
        writer.close()

    async def _answer(self, process: Process, request: bytes) -> bytes | None:
        """Return the answer to the process; None to break its connection."""
        call, service = _call(request)
        process.calls.append(call.name)
        met = (plan for plan in process.plans if plan.meets(len(process.calls), call))
        plan = next(met, None)
        if plan is None:
            return await self._done(call, service, request)
        fault = plan.fault
        if fault in _REFUSED:
            return _encoded(refusal(fault, call))
        done = None if fault in _BEFORE else await self._done(call, service, request)
        if fault in DEADLY:
            os.kill(process.pid, signal.SIGKILL)
            return None
        if fault in SLOW:
            await process.ended.wait()
            return None
        if fault in STOPPING:
            await self._stop(process)
            if process.ended.is_set():  # it was killed meanwhile
                return None
            return done or await self._done(call, service, request)
        if done is None or fault is Fault.CUT_AFTER:
            return None
        if fault is Fault.PARTIAL:
            return _encoded(partly_done(_decoded(done)))
        return _encoded(self._indexes.late(fault, call, _decoded(done)))

    async def _stop(self, process: Process) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        number = next(n for n, known in self._processes.items() if known is process)
        self._tell(stopped=number)
        await process.goes_on.wait()

    async def _done(self, call: Call, service: str, request: bytes) -> bytes:
        if service == POST:
            return _encoded(self._receive(request))
        if call.body.get("DelaySeconds"):
            request = _without_delay(call, request)
        answer = await self._services[service].ask(request)
        self._indexes.watch(call, _decoded(answer))
        return answer

    def _receive(self, request: bytes) -> Answer:
        """Answer like a merchant. /moody refuses a third of its requests, except in the calm."""
        head, _, body = request.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        path = line.split(" ")[1]
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
        is_refused = (
            path == "/moody"
            and not self._is_calm
            and zlib.crc32((headers["webhook-id"] + headers["webhook-timestamp"]).encode()) % 3 == 0
        )
        told = {"path": path, "headers": headers, "body": body.decode(), "taken": not is_refused}
        self._received.append(told)
        return Answer(500 if is_refused else 200, "text/plain", b"")


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """Read one request or answer, head and body; None at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = _field(head, b"content-length")
    if length is None:
        assert _field(head, b"transfer-encoding") is None, head
        return head
    return head + await reader.readexactly(int(length))


def _field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return None


def _call(request: bytes) -> tuple[Call, str]:
    head, _, body = request.partition(b"\r\n\r\n")
    target = _field(head, b"x-amz-target")
    if target is None:
        return Call(POST, {}), POST
    service, _, operation = target.decode().partition(".")
    return Call(operation, json.loads(body)), service.partition("_")[0]


def _without_delay(call: Call, request: bytes) -> bytes:
    """Return the request without its delay, since SQS does not use the conductor's clock.

    The message arrives before its attempt is due, which shows that it cannot bypass the schedule.
    """
    head = request.partition(b"\r\n\r\n")[0]
    body = json.dumps({**call.body, "DelaySeconds": 0}).encode()
    lines = [
        line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")
    ]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def _encoded(answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} Told\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n\r\n"
    )
    return head.encode() + answer.body


def _decoded(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ")[1]), (_field(head, b"content-type") or b"").decode(), body)


if __name__ == "__main__":
    asyncio.run(Proxy(socket.socket(fileno=int(sys.argv[1])), *sys.argv[2:4]).run())
