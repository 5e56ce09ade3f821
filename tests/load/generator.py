"""Offers requests on a schedule, whether or not earlier ones were answered.

Guarantee: a latency counts from the moment at which its request was due, so that a server which
keeps some waiting is not flattered by fewer being sent. Arrivals are a Poisson process. A client
gives up so many seconds after its request was due: no step takes longer than that.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from tests.load.connections import Answer, Connections
from tests.load.ledger import Ledger, Operation, Outcome, Request
from tests.load.traffic import Traffic

_HEADERS: Final = {"Content-Type": "application/json"}
_DEPTH_SECONDS: Final = 1.0
_AGAIN_AT_ONCE: Final = 8
_AGAIN_TIMES: Final = 30
_AGAIN_SECONDS: Final = 30.0
_AGAIN_IN_ALL_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Sample:
    """What became of one request, and how long after it was due."""

    operation: Operation
    outcome: Outcome
    latency_seconds: float


@dataclass
class Step:
    """So many requests a second, for so long."""

    offered_per_second: float
    seconds: float = 0
    """From the first request until the last was answered or given up."""
    samples: list[Sample] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    """Of both queues together, hidden messages included, once a second."""
    late_seconds: float = 0
    """The most by which the generator itself was behind its schedule."""

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(sample.outcome for sample in self.samples)

    def latencies(self, operation: Operation | None = None) -> list[float]:
        """Of what was served, in seconds, the shortest first."""
        return sorted(
            sample.latency_seconds
            for sample in self.samples
            if sample.outcome is Outcome.SERVED and operation in {None, sample.operation}
        )


@dataclass
class Generator:
    """The clients of one run. `depth` tells how many messages there are, and may block."""

    traffic: Traffic
    ledger: Ledger
    connections: Connections
    depth: Callable[[], int]
    key: str | None = None
    """An API key, where the stack asks for one."""

    @property
    def _headers(self) -> dict[str, str]:
        bearer = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return _HEADERS | bearer

    async def offer(
        self,
        mix: Mapping[str, int],
        per_second: float,
        *,
        seconds: float,
        patience_seconds: float,
        creates: int | None = None,
    ) -> Step:
        """For so many `seconds`, or until so many payments were asked for."""
        loop = asyncio.get_running_loop()
        step = Step(per_second)
        watching = asyncio.create_task(self._watch(step))
        tasks: list[asyncio.Task[None]] = []
        began = due = loop.time()
        asked = 0
        while due < began + seconds and (creates is None or asked < creates):
            due += self.traffic.random.expovariate(per_second)
            await asyncio.sleep(due - loop.time())
            step.late_seconds = max(step.late_seconds, loop.time() - due)
            requests = self.traffic.next(mix)
            asked += requests[0].operation is Operation.CREATE
            tasks += [
                asyncio.create_task(self._request(step, request, due, patience_seconds))
                for request in requests
            ]
            due += self.traffic.random.expovariate(per_second) * (len(requests) - 1)
        await asyncio.gather(*tasks)
        step.seconds = loop.time() - began
        watching.cancel()
        step.depths.append(await asyncio.to_thread(self.depth))
        return step

    async def _request(self, step: Step, request: Request, due: float, patience: float) -> None:
        loop = asyncio.get_running_loop()
        outcome = Outcome.NOT_SENT
        try:
            async with asyncio.timeout_at(due + patience):
                connection = await self.connections.take()
                try:
                    outcome = Outcome.UNANSWERED
                    self.ledger.sent(request)
                    answer = await connection.exchange(
                        request.method, request.path, _body(request), self._headers
                    )
                finally:
                    self.connections.give_back(connection)
            outcome = self._hear(request, answer)
        except TimeoutError:
            pass
        except (OSError, h11.ProtocolError) as error:
            outcome = Outcome.WRONG
            self.ledger.wrong.append(f"{request.method} {request.path}: {error!r}")
        step.samples.append(Sample(request.operation, outcome, loop.time() - due))

    def _hear(self, request: Request, answer: Answer) -> Outcome:
        outcome = self.ledger.answered(request, answer)
        if outcome is Outcome.SERVED:
            self.traffic.learn(request, answer)
        return outcome

    async def _watch(self, step: Step) -> None:
        while True:
            step.depths.append(await asyncio.to_thread(self.depth))
            await asyncio.sleep(_DEPTH_SECONDS)

    async def make_good(self) -> int:
        """Send again, until it is answered, whatever was sent and got no answer that settles it:
        as a client does that wants to be sure. Returns how many requests that took.
        """
        uncertain = iter(requests := self.ledger.uncertain())

        async def one_after_another() -> None:
            for request in uncertain:
                await self._insist(request)

        with suppress(TimeoutError):  # promises.py tells what is left
            async with asyncio.timeout(_AGAIN_IN_ALL_SECONDS):
                await asyncio.gather(*(one_after_another() for _ in range(_AGAIN_AT_ONCE)))
        return len(requests)

    async def _insist(self, request: Request) -> None:
        again = Request(**{**vars(request), "expected": request.expected | {"200", "201"}})
        for _ in range(_AGAIN_TIMES):
            connection = await self.connections.take()
            self.ledger.sent(again)
            try:
                async with asyncio.timeout(_AGAIN_SECONDS):
                    answer = await connection.exchange(
                        again.method, again.path, _body(again), self._headers
                    )
            except (OSError, h11.ProtocolError):  # a timeout is an OSError
                continue
            finally:
                self.connections.give_back(connection)
            if self._hear(again, answer) in {Outcome.SERVED, Outcome.WRONG}:
                return
            await asyncio.sleep(int(answer.headers.get("retry-after", "1")))

    async def read(self, path: str) -> Any:
        """The body of a GET that must be answered 200, sooner or later. Raises OSError."""
        for _ in range(_AGAIN_TIMES):
            connection = await self.connections.take()
            try:
                async with asyncio.timeout(_AGAIN_SECONDS):
                    answer = await connection.exchange("GET", path, None, self._headers)
            finally:
                self.connections.give_back(connection)
            if answer.status == 200:
                return answer.json
            await asyncio.sleep(int(answer.headers.get("retry-after", "1")))
        raise ConnectionError(f"GET {path}: {answer.status} {answer.body[:300]!r}")


def _body(request: Request) -> bytes | None:
    if request.raw is not None:
        return request.raw
    return None if request.body is None else json.dumps(request.body).encode()


def percentile(latencies: Sequence[float], share: float) -> float:
    """The latency that so large a `share` of them does not exceed; 0 of none."""
    if not latencies:
        return 0.0
    return latencies[min(len(latencies) - 1, int(share * len(latencies)))]
