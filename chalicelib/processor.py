"""The seam to whoever moves the money, and the simulator that ships with PayFlow.

Guarantee asked of every processor: `settle` is called at least once a payment and `refund`
at least once a refund, maybe several times and at the same time, and each must treat the id
of what it is given as its own idempotency key. It raises when it cannot tell: an unknown
outcome is never guessed.
"""

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Final, Protocol

from chalicelib.model import Currency, FailureCode, Payment, PaymentType, Refund

MAX_SLOW_SECONDS = 30
SIMULATE: Final = "simulate"
SIMULATE_REFUND: Final = "simulate_refund"
"""The metadata of a payment that say how it ends, and how every refund of it does."""


@dataclass(frozen=True)
class Completed:
    """The money has arrived."""


@dataclass(frozen=True)
class Failed:
    """The money will not arrive, and why."""

    code: FailureCode


@dataclass(frozen=True)
class Pending:
    """The bank has not decided; ask again later."""


Outcome = Completed | Failed | Pending


class Processor(Protocol):
    def settle(self, payment: Payment) -> Outcome:
        """Move the money of `payment` once, however often this is called."""

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        """Move the money of `refund` back once, however often this is called."""


class SimulatedOutage(Exception):
    """The metadata asked for a processor that breaks."""


_NOT_CARRIED: Final = frozenset(
    {(PaymentType.INTERAC, Currency.USD), (PaymentType.ACH, Currency.CAD)}
)
_CHANCE_FAILURES: Final = (
    FailureCode.INSUFFICIENT_FUNDS,
    FailureCode.ACCOUNT_CLOSED,
    FailureCode.ACCOUNT_NOT_FOUND,
    FailureCode.REJECTED_BY_BANK,
)
_SLOW: Final = re.compile(r"slow:([0-9]{1,2}(\.[0-9]{1,3})?)")


@dataclass(frozen=True)
class Simulator:
    """A pure function of the payment as it was made, or of a refund's id and the wish of its
    payment: a redelivered message decides the same.
    """

    success_rate: float = 0.85

    def settle(self, payment: Payment) -> Outcome:
        if wish := _granted(payment.metadata.get(SIMULATE)):
            return wish
        if (payment.type, payment.currency) in _NOT_CARRIED:
            return Failed(FailureCode.CURRENCY_NOT_SUPPORTED)
        return self._by_chance(payment.id)

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        return _granted(payment.metadata.get(SIMULATE_REFUND)) or self._by_chance(refund.id)

    def _by_chance(self, name: str) -> Outcome:
        digest = hashlib.sha256(name.encode()).digest()
        if int.from_bytes(digest[:8]) < self.success_rate * 2**64:
            return Completed()
        return Failed(_CHANCE_FAILURES[digest[8] % len(_CHANCE_FAILURES)])


def check_simulation(wish: str) -> None:
    """Raise ValueError, with a sentence for the caller, unless `wish` is one we know."""
    if wish in {"completed", "pending", "error"}:
        return
    if wish.startswith("failed:") and wish.removeprefix("failed:") in set(FailureCode):
        return
    if (slow := _SLOW.fullmatch(wish)) and float(slow[1]) <= MAX_SLOW_SECONDS:
        return
    raise ValueError(
        "must be completed, pending, error, failed:<failure code> "
        f"or slow:<seconds, at most {MAX_SLOW_SECONDS}>"
    )


def _granted(wish: str | None) -> Outcome | None:
    """The outcome that is wished for; None, maybe after a while, when it is left to chance."""
    if wish is None:
        return None
    check_simulation(wish)
    if slow := _SLOW.fullmatch(wish):
        time.sleep(float(slow[1]))
        return None
    if wish == "completed":
        return Completed()
    if wish == "pending":
        return Pending()
    if wish == "error":
        raise SimulatedOutage("the metadata ask for an error")
    return Failed(FailureCode(wish.removeprefix("failed:")))
