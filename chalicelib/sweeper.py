"""Finds what is still processing and sends its hint again, so that a lost one loses nothing.

Guarantee: keeps no state and never scans. Every run asks an index for what has certain ages, at
the time for which it was scheduled; one that was missed is made good at the next doubling. What
has outlived them all is stuck: counted, reported, and never in the way of what came after it.

    age   0   1   2──3   4──5       8──9              16──17  …  2¹³ units   stuck
                   └─ hint ─┴─ hint ───┴─ hint ──────────┴─ hint ──────┴─ reported
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.errors import Unavailable
from chalicelib.queue_jobs import Queue, SettlePayment
from chalicelib.store import EARLIEST, Store, just_after, to_moment
from chalicelib.telemetry import count, log

_DOUBLINGS: Final = range(1, 14)
_PAGE: Final = 500
_STUCK_SHOWN: Final = 10
MAX_STUCK_COUNTED: Final = 1000


class Swept(NamedTuple):
    """What one run of the sweeper found. `stuck` stops counting at `MAX_STUCK_COUNTED`."""

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
        stuck = self.store.processing(EARLIEST, stuck_before(now, self.unit), MAX_STUCK_COUNTED)
        if stuck:
            oldest = [entry.payment_id for entry in stuck[:_STUCK_SHOWN]]
            log("payments_stuck", count=len(stuck), at_most=MAX_STUCK_COUNTED, oldest=oldest)
        count(self.stage, SweeperHeartbeat=1, HintsResent=hinted, StuckPayments=len(stuck))
        if outage is not None:
            raise outage
        return Swept(hinted, len(stuck))

    def hint_stuck(self, now: datetime) -> int:
        """Send hints of all that the sweeper has given up; returns how many. Raises Unavailable."""
        return self._hint_all(EARLIEST, stuck_before(now, self.unit))

    def _hint_all(self, lower: str, upper: str) -> int:
        """Hint of every payment that is processing and lies in the range."""
        hinted = 0
        while True:
            page = self.store.processing(lower, upper, _PAGE)
            hinted += self.queue.send_all(SettlePayment(entry.payment_id) for entry in page)
            if len(page) < _PAGE:
                return hinted
            lower = just_after(page[-1].sort_key)


def age_windows(now: datetime, unit: timedelta) -> list[tuple[str, str]]:
    """Ranges of sort keys for the ages [2ᵏ, 2ᵏ + 1) units, k = 1 … 13, youngest first.

    A window is as wide as the sweeper's period, so runs that are scheduled one unit apart
    meet a payment once in each. One that was missed is made good at the next doubling.
    """
    return [(to_moment(now - unit * (2**k + 1)), to_moment(now - unit * 2**k)) for k in _DOUBLINGS]


def stuck_before(now: datetime, unit: timedelta) -> str:
    """The end of the range of those that have outlived every window."""
    return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 1))
