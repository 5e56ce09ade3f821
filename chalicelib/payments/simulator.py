"""The processor that ships with PayFlow: it simulates a bank.

Guarantee: the outcome is a pure function of the payment's id and metadata (or of the refund's id
and the payment's metadata), so that a repeated message gets the same outcome.
"""

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Final

from chalicelib.payments.models import FailureCode, Payment, PaymentType, Refund
from chalicelib.payments.processor import Completed, Failed, Outcome, Pending
from chalicelib.values import Currency

MAX_SLOW_SECONDS: Final = 30
SIMULATE: Final = "simulate"
SIMULATE_REFUND: Final = "simulate_refund"
"""The metadata keys of a payment that set its outcome, and the outcome of its refunds."""


class SimulatedOutage(Exception):
    """The metadata asked for an error of the processor."""


_UNSUPPORTED: Final = frozenset(
    {(PaymentType.INTERAC, Currency.USD), (PaymentType.ACH, Currency.CAD)}
)
_RANDOM_FAILURES: Final = (
    FailureCode.INSUFFICIENT_FUNDS,
    FailureCode.ACCOUNT_CLOSED,
    FailureCode.ACCOUNT_NOT_FOUND,
    FailureCode.REJECTED_BY_BANK,
)
_SLOW: Final = re.compile(r"slow:([0-9]{1,2}(\.[0-9]{1,3})?)")


@dataclass(frozen=True)
class Simulator:
    """Completes `success_rate` of the payments and refunds, and fails the others."""

    success_rate: float = 0.85

    def settle(self, payment: Payment) -> Outcome:
        if outcome := _requested(payment.metadata.get(SIMULATE)):
            return outcome
        if (payment.type, payment.currency) in _UNSUPPORTED:
            return Failed(FailureCode.CURRENCY_NOT_SUPPORTED)
        return self._by_id(payment.id)

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        return _requested(payment.metadata.get(SIMULATE_REFUND)) or self._by_id(refund.id)

    def _by_id(self, name: str) -> Outcome:
        digest = hashlib.sha256(name.encode()).digest()
        if int.from_bytes(digest[:8]) < self.success_rate * 2**64:
            return Completed()
        return Failed(_RANDOM_FAILURES[digest[8] % len(_RANDOM_FAILURES)])


def check_simulation(wish: str) -> None:
    """Raise ValueError, with a text for the caller, unless `wish` is a known outcome."""
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


def _requested(wish: str | None) -> Outcome | None:
    """Return the requested outcome. None if there is none, or after a requested delay."""
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
        raise SimulatedOutage("the metadata asked for an error")
    return Failed(FailureCode(wish.removeprefix("failed:")))
