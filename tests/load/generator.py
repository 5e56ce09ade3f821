"""Offers requests on a schedule, whether or not earlier ones were answered.

Guarantee: a latency counts from the moment at which its request was due, so that a server which
keeps some waiting is not flattered by fewer being sent. Arrivals are a Poisson process. A client
gives up so many seconds after its request was due.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from infra.local.settings import HOST
from tests.http_client import Reply, exchange
from tests.load.ledger import Ledger, Operation, Outcome, Request
from tests.load.traffic import Traffic

CONNECTIONS: Final = 16
_HEADERS: Final = {"Content-Type": "application/json"}
_AGAIN_TIMES: Final = 30
_AGAIN_SECONDS: Final = 30.0
_AGAIN_IN_ALL_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Sample:
    """What became of one request, and how long after it was due."""

    outcome: Outcome
    latency_seconds: float


@dataclass
class Step:
    """So many requests a second, for so long."""

    offered_per_second: float
    seconds: float = 0
    """From the first request until the last was answered or given up."""
    samples: list[Sample] = field(default_factory=list)
    queued: int = 0
    """Messages in both queues at the end, hidden ones included."""

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(sample.outcome for sample in self.samples)

    @property
    def latencies(self) -> list[float]:
        """Of what was served, in seconds."""
        return [one.latency_seconds for one in self.samples if one.outcome is Outcome.SERVED]


class Generator:
    """The clients of one run, and their kept connections. Used in a `with`."""

    def __init__(
        self,
        traffic: Traffic,
        ledger: Ledger,
        port: int,
        depth: Callable[[], int],
        connections: int = CONNECTIONS,
    ) -> None:
        """`depth` tells how many messages there are."""
        self.traffic = traffic
        self.ledger = ledger
        self._depth = depth
        self._pool = ThreadPoolExecutor(connections)
        self._port = port
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        """What clients know is changed by one at a time."""

    def __enter__(self) -> "Generator":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for connection in self._opened:
            connection.close()

    def offer(
        self,
        mix: Mapping[str, int],
        per_second: float,
        *,
        seconds: float,
        patience_seconds: float,
        creates: int | None = None,
    ) -> Step:
        """For so many `seconds`, or until so many payments were asked for."""
        step, answers, asked = Step(per_second), [], 0
        began = due = time.monotonic()
        while due < began + seconds and (creates is None or asked < creates):
            due += self.traffic.random.expovariate(per_second)
            time.sleep(max(0, due - time.monotonic()))
            with self._lock:
                requests = self.traffic.next(mix)
            asked += requests[0].operation is Operation.CREATE
            answers += [
                self._pool.submit(self._request, request, due, patience_seconds)
                for request in requests
            ]
            due += self.traffic.random.expovariate(per_second) * (len(requests) - 1)
        step.samples = [answer.result() for answer in answers]
        step.seconds = time.monotonic() - began
        step.queued = self._depth()
        return step

    def _request(self, request: Request, due: float, patience_seconds: float) -> Sample:
        left = due + patience_seconds - time.monotonic()
        outcome = Outcome.NOT_SENT if left <= 0 else self._sent(request, left)
        return Sample(outcome, time.monotonic() - due)

    def _sent(self, request: Request, timeout_seconds: float) -> Outcome:
        with self._lock:
            self.ledger.sent(request)
        try:
            reply = self._exchange(request, timeout_seconds)
        except TimeoutError:
            return Outcome.UNANSWERED
        except (OSError, http.client.HTTPException) as error:
            self.ledger.wrong.append(f"{request.method} {request.path}: {error!r}")
            return Outcome.WRONG
        return self._hear(request, reply)

    def _exchange(self, request: Request, timeout_seconds: float) -> Reply:
        """On this thread's connection, which is closed whatever goes wrong: what is still to come
        on it belongs to nobody.
        """
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(HOST, self._port)
            self._opened.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        connection.timeout = timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        try:
            return exchange(connection, request.method, request.path, request.sent, _HEADERS)
        except BaseException:
            connection.close()
            raise

    def _hear(self, request: Request, reply: Reply) -> Outcome:
        with self._lock:
            outcome = self.ledger.answered(request, reply)
            if outcome is Outcome.SERVED:
                self.traffic.learn(request, reply)
        return outcome

    def insist(self) -> int:
        """Send again, until it is answered, whatever was sent and got no answer that settles it:
        as a client does that wants to be sure. Returns how many requests that took.

        promises.py tells what is left after two minutes.
        """
        uncertain = self.ledger.uncertain()
        deadline = time.monotonic() + _AGAIN_IN_ALL_SECONDS
        list(self._pool.map(lambda request: self._insist(request, deadline), uncertain))
        return len(uncertain)

    def _insist(self, request: Request, deadline: float) -> None:
        again = replace(request, expected=request.expected | {"200", "201"})
        for _ in range(_AGAIN_TIMES):
            if time.monotonic() > deadline:
                return
            with self._lock:
                self.ledger.sent(again)
            try:
                reply = self._exchange(again, _AGAIN_SECONDS)
            except (OSError, http.client.HTTPException):  # a timeout is an OSError
                continue
            if self._hear(again, reply) in {Outcome.SERVED, Outcome.WRONG}:
                return
            time.sleep(int(reply.headers.get("Retry-After", "1")))

    def read(self, path: str) -> Any:
        """The body of a GET that must be answered 200, sooner or later. Raises OSError."""
        request = Request(Operation.GET, "GET", path, frozenset())
        for _ in range(_AGAIN_TIMES):
            reply = self._exchange(request, _AGAIN_SECONDS)
            if reply.status == 200:
                return reply.json
            time.sleep(int(reply.headers.get("Retry-After", "1")))
        raise ConnectionError(f"GET {path}: {reply.status} {reply.body[:300]!r}")
