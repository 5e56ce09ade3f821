"""Finds what is unfinished and sends its hint again, so that a lost one loses nothing.

Guarantee: keeps no state and never scans. Every run asks an index for what has certain ages, at
the time for which it was scheduled; one that was missed is made good at the next doubling. What
has outlived them all is stuck: counted, reported, and never in the way of what came after it.

    age   0   1   2──3   4──5       8──9              16──17  …  2¹³ units   stuck
                   └─ hint ─┴─ hint ───┴─ hint ──────────┴─ hint ──────┴─ reported

A payment's or refund's age counts from when it was made; a delivery's from when it was due, which
is also how an attempt that is due later than SQS can wait comes to be made. Its first window is
one unit old, and where nothing is due one look at each shard is all. Of deliveries a run takes so
many from each window and no more, since merchants who are down for long leave a great many: what
is beyond them is in the window of the next doubling, and what came later in one of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from chalicelib.errors import Unavailable
from chalicelib.queue_jobs import Deliver, Job, Queue, SettlePayment, SettleRefund
from chalicelib.store import Entry, RefundEntry, Store
from chalicelib.tables import EARLIEST, just_after, to_moment
from chalicelib.telemetry import count, log
from chalicelib.webhook_store import DUE_SHARDS, WebhookStore
from chalicelib.webhook_store import Entry as DeliveryEntry

_DOUBLINGS: Final = range(1, 14)
_PAGE: Final = 500
_STUCK_SHOWN: Final = 10
MAX_STUCK_COUNTED: Final = 1000
"""Of payments, of refunds, and of the deliveries in a shard."""
MAX_DUE_HINTED: Final = 1000
"""A run, in each window and shard."""
Found = TypeVar("Found", Entry, RefundEntry, DeliveryEntry)


class Swept(NamedTuple):
    """What one run of the sweeper found. `stuck` are payments, refunds and deliveries."""

    hinted: int
    stuck: int


@dataclass(frozen=True)
class Sweeper:
    """The sweeper of one stage; `unit` is its period, and the unit of its age windows."""

    stage: str
    store: Store
    queue: Queue
    webhooks: WebhookStore
    deliveries: Queue
    unit: timedelta

    def sweep(self, now: datetime) -> Swept:
        """Send again the hints of what is unfinished too long, youngest first.

        What is stuck is reported whatever became of the rest. Raises Unavailable when some
        hints could not be sent.
        """
        hinted = 0
        outage: Unavailable | None = None
        late = [shard for shard in range(DUE_SHARDS) if self._has_late(shard, now)]
        for send in [*self._of_what_is_processing(now), *self._of_what_is_due(late, now)]:
            try:
                hinted += send()
            except Unavailable as error:
                outage = error
        stuck = self._stuck(late, now)
        for kind, ids in stuck.items():
            if ids:
                oldest = ids[:_STUCK_SHOWN]
                log(f"{kind}_stuck", count=len(ids), at_most=MAX_STUCK_COUNTED, oldest=oldest)
        counts = {f"Stuck{kind.capitalize()}": len(ids) for kind, ids in stuck.items()}
        count(self.stage, SweeperHeartbeat=1, HintsResent=hinted, **counts)
        if outage is not None:
            raise outage
        return Swept(hinted, sum(counts.values()))

    def hint_all(self, now: datetime, older_than: timedelta = timedelta()) -> int:
        """Send hints of all that is unfinished for so long, of any age besides, and given up or
        not; returns how many. Raises Unavailable.
        """
        unfinished = (EARLIEST, to_moment(now - older_than))
        hinted = self.queue.send_all(self._jobs(*unfinished))
        for shard in range(DUE_SHARDS):
            hinted += self.deliveries.send_all(self._due_jobs(shard, *unfinished))
        return hinted

    def _of_what_is_processing(self, now: datetime) -> Iterator[Callable[[], int]]:
        """Sends of hints, each of which returns how many it sent or raises Unavailable."""
        for window in age_windows(now, self.unit):
            yield partial(self.queue.send_all, self._jobs(*window))

    def _of_what_is_due(self, shards: list[int], now: datetime) -> Iterator[Callable[[], int]]:
        for window in [_just_late(now, self.unit), *age_windows(now, self.unit)]:
            for shard in shards:
                jobs = islice(self._due_jobs(shard, *window), MAX_DUE_HINTED)
                yield partial(self.deliveries.send_all, jobs)

    def _has_late(self, shard: int, now: datetime) -> bool:
        """Whether anything in the shard has been due for a unit."""
        return bool(self.webhooks.due(shard, EARLIEST, to_moment(now - self.unit), 1))

    def _stuck(self, shards: list[int], now: datetime) -> dict[str, list[str]]:
        """The ids of what has outlived every window, by kind; oldest first, within a shard."""
        bound = (EARLIEST, stuck_before(now, self.unit), MAX_STUCK_COUNTED)
        due = [self.webhooks.due(shard, *bound) for shard in shards]
        return {
            "payments": [entry.payment_id for entry in self.store.processing(*bound)],
            "refunds": [entry.refund_id for entry in self.store.processing_refunds(*bound)],
            "deliveries": [entry.delivery_id for entries in due for entry in entries],
        }

    def _jobs(self, lower: str, upper: str) -> Iterator[Job]:
        for payment in _walked(self.store.processing, lower, upper):
            yield SettlePayment(payment.payment_id)
        for refund in _walked(self.store.processing_refunds, lower, upper):
            yield SettleRefund(refund.payment_id, refund.refund_id)

    def _due_jobs(self, shard: int, lower: str, upper: str) -> Iterator[Job]:
        for delivery in _walked(partial(self.webhooks.due, shard), lower, upper):
            yield Deliver(delivery.delivery_id)


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


def _just_late(now: datetime, unit: timedelta) -> tuple[str, str]:
    """The window before the others: the ages from one unit to two."""
    return to_moment(now - unit * 2), to_moment(now - unit)


def stuck_before(now: datetime, unit: timedelta) -> str:
    """The end of the range of those that have outlived every window."""
    return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 1))
