"""The sweeper: enqueues unfinished work again, so that a lost message loses nothing.

Guarantee: it keeps no state and never scans. Every run queries an index for items of certain ages,
counted back from its scheduled time. If a run is missed, the next age window catches its items.
Items older than every window are stuck: they are counted and reported, and never delay others.

    age   0   1   2──3   4──5         8──9               16──17  …  2¹³ units   stuck
                   └ enqueue ┴ enqueue ─┴─ enqueue ─────────┴─ enqueue ───┴─── report

The age of a payment or refund counts from its creation, the age of a delivery from its due time. So
the sweeper also enqueues attempts that are due later than SQS can delay a message. Deliveries have
one more window, from one unit to two. A shard with nothing late costs one query. A merchant that is
down for long has many due deliveries: a run enqueues a limited number from each window, and the
next window catches the rest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from chalicelib.aws.dynamodb import EARLIEST
from chalicelib.aws.pagination import just_after, to_moment
from chalicelib.aws.sqs import Queue
from chalicelib.errors import Unavailable
from chalicelib.messages import Deliver, Message, SettlePayment, SettleRefund, enqueue_all
from chalicelib.payments.items import PaymentEntry, RefundEntry
from chalicelib.payments.repository import PaymentRepository
from chalicelib.telemetry import count, log
from chalicelib.webhooks.items import DUE_SHARDS, DeliveryEntry
from chalicelib.webhooks.repository import WebhookRepository

_DOUBLINGS: Final = range(1, 14)
_PAGE: Final = 500
_STUCK_SHOWN: Final = 10
MAX_STUCK_COUNTED: Final = 1000
"""The limit for payments, for refunds, and for the deliveries of each shard."""
MAX_DUE_ENQUEUED: Final = 1000
"""The limit for each run, window and shard."""
Entry = TypeVar("Entry", PaymentEntry, RefundEntry, DeliveryEntry)


class Swept(NamedTuple):
    """The result of one run. `stuck` counts payments, refunds and deliveries."""

    enqueued: int
    stuck: int


@dataclass(frozen=True)
class Sweeper:
    """The sweeper of one stage; `unit` is its period, and the unit of its age windows."""

    stage: str
    payments: PaymentRepository
    payments_queue: Queue
    webhooks: WebhookRepository
    deliveries_queue: Queue
    unit: timedelta

    def sweep(self, now: datetime) -> Swept:
        """Enqueue the unfinished items of every window, youngest first, and report stuck ones.

        Raises Unavailable if some messages could not be sent, but only after the report.
        """
        enqueued = 0
        outage: Unavailable | None = None
        late = [shard for shard in range(DUE_SHARDS) if self._has_late(shard, now)]
        for send in [*self._enqueue_processing(now), *self._enqueue_due(late, now)]:
            try:
                enqueued += send()
            except Unavailable as error:
                outage = error
        stuck = self._stuck(late, now)
        for kind, ids in stuck.items():
            if ids:
                oldest = ids[:_STUCK_SHOWN]
                log(f"{kind}_stuck", count=len(ids), at_most=MAX_STUCK_COUNTED, oldest=oldest)
        counts = {f"Stuck{kind.capitalize()}": len(ids) for kind, ids in stuck.items()}
        count(self.stage, SweeperHeartbeat=1, MessagesResent=enqueued, **counts)
        if outage is not None:
            raise outage
        return Swept(enqueued, sum(counts.values()))

    def requeue(self, now: datetime, older_than: timedelta = timedelta()) -> int:
        """Enqueue all items unfinished for `older_than`, stuck ones too; return how many.

        Raises Unavailable.
        """
        unfinished = (EARLIEST, to_moment(now - older_than))
        enqueued = enqueue_all(self.payments_queue, self._processing(*unfinished))
        for shard in range(DUE_SHARDS):
            enqueued += enqueue_all(self.deliveries_queue, self._due(shard, *unfinished))
        return enqueued

    def _enqueue_processing(self, now: datetime) -> Iterator[Callable[[], int]]:
        """Yield functions that enqueue one window each. They return how many, or raise."""
        for window in age_windows(now, self.unit):
            yield partial(enqueue_all, self.payments_queue, self._processing(*window))

    def _enqueue_due(self, shards: list[int], now: datetime) -> Iterator[Callable[[], int]]:
        for window in [_just_late(now, self.unit), *age_windows(now, self.unit)]:
            for shard in shards:
                due = islice(self._due(shard, *window), MAX_DUE_ENQUEUED)
                yield partial(enqueue_all, self.deliveries_queue, due)

    def _has_late(self, shard: int, now: datetime) -> bool:
        """Return whether anything in the shard has been due for a unit or longer."""
        return bool(self.webhooks.due(shard, EARLIEST, to_moment(now - self.unit), 1))

    def _stuck(self, shards: list[int], now: datetime) -> dict[str, list[str]]:
        """Return the ids of stuck items by kind, oldest first in each shard."""
        bound = (EARLIEST, stuck_before(now, self.unit), MAX_STUCK_COUNTED)
        due = [self.webhooks.due(shard, *bound) for shard in shards]
        return {
            "payments": [entry.payment_id for entry in self.payments.processing(*bound)],
            "refunds": [entry.refund_id for entry in self.payments.processing_refunds(*bound)],
            "deliveries": [entry.delivery_id for entries in due for entry in entries],
        }

    def _processing(self, lower: str, upper: str) -> Iterator[Message]:
        for payment in _walk(self.payments.processing, lower, upper):
            yield SettlePayment(payment.payment_id)
        for refund in _walk(self.payments.processing_refunds, lower, upper):
            yield SettleRefund(refund.payment_id, refund.refund_id)

    def _due(self, shard: int, lower: str, upper: str) -> Iterator[Message]:
        for delivery in _walk(partial(self.webhooks.due, shard), lower, upper):
            yield Deliver(delivery.delivery_id)


def _walk(read: Callable[[str, str, int], list[Entry]], lower: str, upper: str) -> Iterator[Entry]:
    """Yield all entries of the range, reading page by page."""
    while True:
        page = read(lower, upper, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        lower = just_after(page[-1].sort_key)


def age_windows(now: datetime, unit: timedelta) -> list[tuple[str, str]]:
    """Return ranges of sort keys for the ages [2ᵏ, 2ᵏ + 1) units, k = 1 … 13, youngest first.

    Each window is as wide as the sweeper's period, so that each finds an item exactly once.
    """
    return [(to_moment(now - unit * (2**k + 1)), to_moment(now - unit * 2**k)) for k in _DOUBLINGS]


def _just_late(now: datetime, unit: timedelta) -> tuple[str, str]:
    """Return the extra window of deliveries: the ages from one unit to two."""
    return to_moment(now - unit * 2), to_moment(now - unit)


def stuck_before(now: datetime, unit: timedelta) -> str:
    """Return the upper end of the range of stuck items: those older than every window."""
    return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 1))
