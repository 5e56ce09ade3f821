"""What clients have asked for and what they were told: all that they could hold against us.

The books (tests/invariants.py) are what is there; promises.py compares the two.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.http_client import Reply


class Operation(StrEnum):
    """What a request is for, as far as its answer is remembered by it."""

    CREATE = "create"
    REPLAY = "create again"
    REFUSED = "refused at once"
    GET = "get"
    LIST = "list"
    EVENTS = "events, deliveries"
    STATS = "stats"
    CANCEL = "cancel, return"
    REFUND = "refund"


@dataclass(frozen=True)
class Request:
    """What is to be sent, and which answers there may be when nothing is wrong."""

    operation: Operation
    method: str
    path: str
    expected: frozenset[str]
    """As `200`, or `409 payment_not_cancelable`; that we are busy is always one."""
    body: dict[str, Any] | None = None
    raw: bytes | None = None
    """Sent instead of `body`."""
    payment_id: str | None = None
    makes: str | None = None
    """The idempotency key of what it makes, when it should make anything."""

    @property
    def sent(self) -> bytes | None:
        return self.raw if self.body is None else json.dumps(self.body).encode()


class Outcome(StrEnum):
    """What became of an offered request."""

    SERVED = "served"
    CONFLICT = "409 conflict"
    LIMITED = "429"
    UNAVAILABLE = "503"
    WRONG = "wrong"
    """A 5xx that is no 503, or any answer that was not to be expected."""
    UNANSWERED = "no answer in time"
    NOT_SENT = "given up before it was sent"


BUSY = {
    "409 conflict": Outcome.CONFLICT,
    "429 rate_limited": Outcome.LIMITED,
    "503 unavailable": Outcome.UNAVAILABLE,
}
"""Answers that ask for the same request once more; another 409 is a refusal that stays."""


@dataclass
class Effect:
    """What one idempotency key has led to, as its client sees it."""

    request: Request
    sent: int = 0
    bodies: list[bytes] = field(default_factory=list)
    made: int = 0
    """Answers of 201; the others were replays."""
    refusals: list[str] = field(default_factory=list)

    @property
    def is_certain(self) -> bool:
        return bool(self.bodies or self.refusals)


@dataclass
class Ledger:
    """Everything that was sent, but for what was only read."""

    effects: dict[tuple[str | None, str], Effect] = field(default_factory=dict)
    """By payment (none for what makes one) and key; of what was sent."""
    statuses: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What each payment was seen to be, when that was something else than before."""
    wrong: list[str] = field(default_factory=list)
    """Sentences about answers that were not to be expected."""

    def sent(self, request: Request) -> None:
        """To be called before it is: what gets no answer may be done all the same."""
        if request.makes is not None:
            key = (request.payment_id, request.makes)
            self.effects.setdefault(key, Effect(request)).sent += 1

    def answered(self, request: Request, answer: Reply) -> Outcome:
        problem = answer.json if answer.status >= 400 else None
        said = f"{answer.status} {problem['code']}" if problem else str(answer.status)
        if busy := BUSY.get(said):
            if "Retry-After" not in answer.headers:
                self.wrong.append(f"{request.method} {request.path}: {said}, no Retry-After")
            return busy
        if said not in request.expected:
            self.wrong.append(
                f"{request.method} {request.path} ({request.operation}): {said}, "
                f"not {' or '.join(sorted(request.expected))}: {answer.body[:300]!r}"
            )
            return Outcome.WRONG
        self._keep(request, answer, said)
        return Outcome.SERVED

    def _keep(self, request: Request, answer: Reply, said: str) -> None:
        if request.makes is not None:
            effect = self.effects[request.payment_id, request.makes]
            if answer.status in {200, 201}:
                effect.bodies.append(answer.body)
                effect.made += answer.status == 201
            else:
                effect.refusals.append(said)
        elif request.operation in {Operation.GET, Operation.CANCEL} and answer.status == 200:
            payment = answer.json
            seen = self.statuses[payment["id"]]
            if seen[-1:] != [payment["status"]]:
                seen.append(payment["status"])

    def uncertain(self) -> list[Request]:
        """What was sent and never got an answer that settles it: to be sent again."""
        return [effect.request for effect in self.effects.values() if not effect.is_certain]
