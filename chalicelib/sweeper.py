"""Finds what is still processing and sends its hint again, so that a lost one loses nothing.

Guarantee: keeps no state and never scans. Every run asks an index for what has certain ages, at
the time for which it was scheduled; one that was missed is made good at the next doubling. What
has outlived them all is stuck: counted, reported, and never in the way of what came after it.

    age   0   1   2──3   4──5       8──9              16──17  …  2¹³ units   stuck
                   └─ hint ─┴─ hint ───┴─ hint ──────────┴─ hint ──────┴─ reported
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from chalicelib.errors import Unavailable
from chalicelib.queue_jobs import Job, Queue, SettlePayment, SettleRefund
from chalicelib.store import Entry, RefundEntry, Store
from chalicelib.tables import EARLIEST, just_after, to_moment
from chalicelib.telemetry import count, log

_DOUBLINGS: Final = range(1, 14)
_PAGE: Final = 500
_STUCK_SHOWN: Final = 10
MAX_STUCK_COUNTED: Final = 1000
"""Of payments, and of refunds."""
Found = TypeVar("Found", Entry, RefundEntry)


class Swept(NamedTuple):
    """What one run of the sweeper found. `stuck` are payments and refunds."""

    hinted: int
    stuck: int


@dataclass(frozen=True)
class Sweeper:
    """The sweeper of one stage; `unit` is its period, and the unit of its age windows."""

    stage: str
    store: Store
    queue: Queue
    unit: timedelta

    def sweep(self, now: datetime) -> Swept:
        """Send again the hints of what is processing too long, youngest first.

        What is stuck is reported whatever became of the rest. Raises Unavailable when some
        hints could not be sent.
        """
        hinted = 0
        outage: Unavailable | None = None
        for lower, upper in age_windows(now, self.unit):
            try:
                hinted += self._hint_all(lower, upper)
            except Unavailable as error:
                outage = error
        bound = (EARLIEST, stuck_before(now, self.unit), MAX_STUCK_COUNTED)
        payments = [entry.payment_id for entry in self.store.processing(*bound)]
        refunds = [entry.refund_id for entry in self.store.processing_refunds(*bound)]
        for kind, stuck in [("payments_stuck", payments), ("refunds_stuck", refunds)]:
            if stuck:
                oldest = stuck[:_STUCK_SHOWN]
                log(kind, count=len(stuck), at_most=MAX_STUCK_COUNTED, oldest=oldest)
        count(
            self.stage,
            SweeperHeartbeat=1,
            HintsResent=hinted,
            StuckPayments=len(payments),
            StuckRefunds=len(refunds),
        )
        if outage is not None:
            raise outage
        return Swept(hinted, len(payments) + len(refunds))

    def hint_stuck(self, now: datetime) -> int:
        """Send hints of all that the sweeper has given up; returns how many. Raises Unavailable."""
        return self._hint_all(EARLIEST, stuck_before(now, self.unit))

    def _hint_all(self, lower: str, upper: str) -> int:
        """Hint of every payment and refund that is processing and lies in the range."""
        return self.queue.send_all(self._jobs(lower, upper))

    def _jobs(self, lower: str, upper: str) -> Iterator[Job]:
        for payment in _walked(self.store.processing, lower, upper):
            yield SettlePayment(payment.payment_id)
        for refund in _walked(self.store.processing_refunds, lower, upper):
            yield SettleRefund(refund.payment_id, refund.refund_id)


def _walked(
    read: Callable[[str, str, int], list[Found]], lower: str, upper: str
) -> Iterator[Found]:
    """All that lies in the range, read page by page."""
    while True:
        page = read(lower, upper, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        lower = just_after(page[-1].sort_key)


def age_windows(now: datetime, unit: timedelta) -> list[tuple[str, str]]:
    """Ranges of sort keys for the ages [2ᵏ, 2ᵏ + 1) units, k = 1 … 13, youngest first.

    A window is as wide as the sweeper's period, so runs that are scheduled one unit apart
    meet what is processing once in each. One that was missed is made good at the next doubling.
    """
    return [(to_moment(now - unit * (2**k + 1)), to_moment(now - unit * 2**k)) for k in _DOUBLINGS]


def stuck_before(now: datetime, unit: timedelta) -> str:
    """The end of the range of those that have outlived every window."""
    return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 1))
