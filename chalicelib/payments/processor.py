"""The interface of a processor, which moves the money. PayFlow ships a simulator; bring your own.

Guarantee required of every processor: it moves the money of each payment and refund once. PayFlow
calls `settle` and `refund` at least once, possibly several times at once. The id of the payment or
refund is the idempotency key. A processor that does not know the outcome raises, and never guesses.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.payments.facts import Completed, Failed
from chalicelib.payments.models import Payment, Refund


@dataclass(frozen=True)
class Pending:
    """The bank has not decided; ask again later."""


@dataclass(frozen=True)
class Submitted:
    """The bank has it, and will have decided at `expected_at`; do not ask before."""

    expected_at: datetime


Outcome = Completed | Failed | Pending | Submitted


class Processor(Protocol):
    def settle(self, payment: Payment) -> Outcome:
        """Move the money of `payment` once, however often this is called."""

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        """Send back the money of `refund` once, however often this is called."""
