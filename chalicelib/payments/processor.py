"""The interface of a processor, which moves the money. PayFlow ships a simulator; bring your own.

Guarantee required of every processor: it moves the money of each payment and refund once. PayFlow
calls `settle` and `refund` at least once, possibly several times at once. The id of the payment or
refund is the idempotency key. A processor that does not know the outcome raises, and never guesses.
"""

from dataclasses import dataclass
from typing import Protocol

from chalicelib.payments.models import FailureCode, Payment, Refund


@dataclass(frozen=True)
class Completed:
    """The money has arrived."""


@dataclass(frozen=True)
class Failed:
    """The money will not arrive; `code` says why."""

    code: FailureCode


@dataclass(frozen=True)
class Pending:
    """The bank has not decided; ask again later."""


Outcome = Completed | Failed | Pending


class Processor(Protocol):
    def settle(self, payment: Payment) -> Outcome:
        """Move the money of `payment` once, however often this is called."""

    def refund(self, refund: Refund, payment: Payment) -> Outcome:
        """Send back the money of `refund` once, however often this is called."""
