"""The seam to whoever moves the money, and the simulator that ships with PayFlow.

Guarantee asked of every processor: `settle` is called at least once a payment, maybe
several times and at the same time, and must treat the payment's id as its own
idempotency key. It raises when it cannot tell: an unknown outcome is never guessed.
"""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from chalicelib.model import Currency, FailureCode, Payment, PaymentType

MAX_SLOW_SECONDS = 30


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


class SimulatedOutage(Exception):
    """`metadata.simulate` asked for a processor that breaks."""


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
    """A pure function of the payment as it was made: a redelivered message decides the same."""

    success_rate: float = 0.85

    def settle(self, payment: Payment) -> Outcome:
        wish = payment.metadata.get("simulate")
        if wish is None:
            return self._decide(payment)
        check_simulation(payment.metadata)
        if slow := _SLOW.fullmatch(wish):
            time.sleep(float(slow[1]))
            return self._decide(payment)
        return _forced(wish)

    def _decide(self, payment: Payment) -> Outcome:
        if (payment.type, payment.currency) in _NOT_CARRIED:
            return Failed(FailureCode.CURRENCY_NOT_SUPPORTED)
        digest = hashlib.sha256(payment.id.encode()).digest()
        if int.from_bytes(digest[:8]) < self.success_rate * 2**64:
            return Completed()
        return Failed(_CHANCE_FAILURES[digest[8] % len(_CHANCE_FAILURES)])


def check_simulation(metadata: Mapping[str, str]) -> None:
    """Raise ValueError, with a sentence for the caller, unless `simulate` is one we know."""
    wish = metadata.get("simulate")
    if wish is None or wish in {"completed", "pending", "error"}:
        return
    if wish.startswith("failed:") and wish.removeprefix("failed:") in set(FailureCode):
        return
    if (slow := _SLOW.fullmatch(wish)) and float(slow[1]) <= MAX_SLOW_SECONDS:
        return
    raise ValueError(
        "must be completed, pending, error, failed:<failure code> "
        f"or slow:<seconds, at most {MAX_SLOW_SECONDS}>"
    )


def _forced(wish: str) -> Outcome:
    if wish == "completed":
        return Completed()
    if wish == "pending":
        return Pending()
    if wish == "error":
        raise SimulatedOutage("metadata.simulate is error")
    return Failed(FailureCode(wish.removeprefix("failed:")))
