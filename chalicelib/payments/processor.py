"""The processor: whoever moves the money. PayFlow ships a simulator; bring your own.

Guarantee asked of every processor: `settle` is called at least once for each payment and `refund`
at least once for each refund, maybe several times and at the same time. The id of the payment or
refund is the processor's idempotency key. It raises when it cannot tell the outcome: an unknown
outcome is never guessed.
"""

from dataclasses import dataclass
from typing import Protocol

from chalicelib.payments.models import FailureCode, Payment, Refund


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
