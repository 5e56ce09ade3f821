"""The processor that ships with PayFlow: it simulates a bank.

Guarantee: the outcome is a pure function of the payment's id and metadata (or of the refund's id
and the payment's metadata), so that a repeated message gets the same outcome. Only when it is told
may depend on the time.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.payments.facts import Completed, Failed, FailureCode, PaymentType
from chalicelib.payments.models import Payment, Refund
from chalicelib.payments.processor import Outcome, Pending, Submitted
from chalicelib.values import Currency

MAX_SLOW_SECONDS: Final = 30
MAX_SUBMITTED_SECONDS: Final = 604_800
"""A week."""
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
_SUBMITTED: Final = re.compile(r"submitted:([0-9]{1,6})")
_SLOW: Final = re.compile(r"slow:([0-9]{1,2}(\.[0-9]{1,3})?)")


@dataclass(frozen=True)
class Simulator:
    """Completes `success_rate` of the payments and refunds, and fails the others."""

    success_rate: float = 0.85
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def settle(self, payment: Payment) -> Outcome:
        if outcome := self._requested(payment.metadata.get(SIMULATE), payment.created_at):
            return outcome
        if (payment.type, payment.currency) in _UNSUPPORTED:
            return Failed(FailureCode.CURRENCY_NOT_SUPPORTED)
        return self._by_id(payment.id)

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        wish = payment.metadata.get(SIMULATE_REFUND)
        return self._requested(wish, refund.created_at) or self._by_id(refund.id)

    def _requested(self, wish: str | None, created_at: datetime) -> Outcome | None:
        """Return the requested outcome. None if there is none, or after a requested delay."""
        if wish is None:
            return None
        check_simulation(wish)
        if submitted := _SUBMITTED.fullmatch(wish):
            expected_at = created_at + timedelta(seconds=int(submitted[1]))
            return Submitted(expected_at) if self.clock() < expected_at else None
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
    if (submitted := _SUBMITTED.fullmatch(wish)) and int(submitted[1]) <= MAX_SUBMITTED_SECONDS:
        return
    raise ValueError(
        "must be completed, pending, error, failed:<failure code>, "
        f"slow:<seconds, at most {MAX_SLOW_SECONDS}> "
        f"or submitted:<seconds, at most {MAX_SUBMITTED_SECONDS}>"
    )
