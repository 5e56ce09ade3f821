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

An export has one window more, the age below a unit: a run that had no more time is due at once.

A payment or refund whose outcome is expected later is left alone until then, and is not stuck.

Every look and every window is on its own: if one does not answer, the others go on, and the run
fails after its report. They go on side by side, and a run ends in time, whatever there is to do. It
says what it left, and the next window catches that too.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from chalicelib.aws.dynamodb import EARLIEST
from chalicelib.aws.pagination import just_after, to_moment
from chalicelib.aws.sqs import Queue
from chalicelib.errors import Unavailable
from chalicelib.exports.items import ExportEntry
from chalicelib.exports.repository import ExportRepository
from chalicelib.messages import (
    Deliver,
    Message,
    RunExport,
    SettlePayment,
    SettleRefund,
    enqueue_all,
)
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
MAX_STUCK_EXAMINED: Final = 20_000
"""The limit of old payments, and of old refunds, that a run looks at to find stuck ones."""
MAX_DUE_ENQUEUED: Final = 1000
"""The limit for each run, window and shard."""
RUN_SECONDS: Final = 40.0
"""Less than the function may run: what was begun still ends."""
_AT_ONCE: Final = 16
Entry = TypeVar("Entry", PaymentEntry, RefundEntry, DeliveryEntry, ExportEntry)
Settled = TypeVar("Settled", PaymentEntry, RefundEntry)
Result = TypeVar("Result")


class Swept(NamedTuple):
    """The result of one run. `stuck` counts payments, refunds, deliveries and exports."""

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
    exports: ExportRepository
    exports_queue: Queue
    unit: timedelta
    run_seconds: float = RUN_SECONDS

    def sweep(self, now: datetime) -> Swept:
        """Enqueue the unfinished items of every window, youngest first, and report stuck ones.

        Raises Unavailable if something did not answer, but only after the report.
        """
        run = _Run(time.monotonic() + self.run_seconds)
        looks = [partial(self._late, shard, now) for shard in range(DUE_SHARDS)]
        late = [shard for shards in run.each(looks) for shard in shards]
        windows = [*self._enqueue_processing(run, now), *self._enqueue_due(run, late, now)]
        has_exports = any(run.each([partial(self._has_exports, now)]))
        if has_exports:
            windows += self._enqueue_exports(run, now)
        enqueued = sum(run.each(windows))
        stuck: dict[str, list[str]] = {"deliveries": [], "exports": []}
        for kind, ids in run.each(self._stuck(run, late, now, has_exports=has_exports)):
            stuck.setdefault(kind, []).extend(ids)
        for kind, ids in stuck.items():
            if ids:
                oldest = ids[:_STUCK_SHOWN]
                log(f"{kind}_stuck", count=len(ids), at_most=MAX_STUCK_COUNTED, oldest=oldest)
        counts = {f"Stuck{kind.capitalize()}": len(ids) for kind, ids in stuck.items()}
        if run.left:
            log("sweep_cut_short", left=sorted(run.left))
        count(self.stage, SweeperHeartbeat=1, MessagesResent=enqueued, **counts)
        if run.outage is not None:
            raise run.outage
        return Swept(enqueued, sum(counts.values()))

    def requeue(self, now: datetime, older_than: timedelta = timedelta()) -> int:
        """Enqueue all items unfinished for `older_than`, stuck ones too; return how many.

        Not those whose outcome is expected later.

        Raises Unavailable.
        """
        unfinished = (EARLIEST, to_moment(now - older_than))
        enqueued = enqueue_all(self.payments_queue, self._processing(now, *unfinished))
        for shard in range(DUE_SHARDS):
            enqueued += enqueue_all(self.deliveries_queue, self._due(shard, *unfinished))
        return enqueued + enqueue_all(self.exports_queue, self._due_exports(*unfinished))

    def _enqueue_processing(self, run: "_Run", now: datetime) -> Iterator[Callable[[], int]]:
        """Yield functions that enqueue one window each. They return how many, or raise."""
        for window in age_windows(now, self.unit):
            messages = run.in_time(f"payments until {window[1]}", self._processing(now, *window))
            yield partial(enqueue_all, self.payments_queue, messages)

    def _enqueue_due(
        self, run: "_Run", shards: list[int], now: datetime
    ) -> Iterator[Callable[[], int]]:
        for window in [_just_late(now, self.unit), *age_windows(now, self.unit)]:
            for shard in shards:
                due = islice(self._due(shard, *window), MAX_DUE_ENQUEUED)
                messages = run.in_time(f"deliveries until {window[1]}", due)
                yield partial(enqueue_all, self.deliveries_queue, messages)

    def _has_exports(self, now: datetime) -> bool:
        """Return whether any export is due."""
        return bool(self.exports.due(EARLIEST, to_moment(now), 1))

    def _enqueue_exports(self, run: "_Run", now: datetime) -> Iterator[Callable[[], int]]:
        at_once = (to_moment(now - self.unit), to_moment(now))
        for window in [at_once, _just_late(now, self.unit), *age_windows(now, self.unit)]:
            due = islice(self._due_exports(*window), MAX_DUE_ENQUEUED)
            messages = run.in_time(f"exports until {window[1]}", due)
            yield partial(enqueue_all, self.exports_queue, messages)

    def _late(self, shard: int, now: datetime) -> list[int]:
        """Return the shard if anything in it has been due for a unit or longer."""
        is_late = self.webhooks.due(shard, EARLIEST, to_moment(now - self.unit), 1)
        return [shard] if is_late else []

    def _stuck(
        self, run: "_Run", shards: list[int], now: datetime, *, has_exports: bool
    ) -> list[Callable[[], tuple[str, list[str]]]]:
        """Return functions that look for stuck items: their kind, and their ids, oldest first."""
        old = (EARLIEST, stuck_before(now, self.unit))

        def payments() -> tuple[str, list[str]]:
            walked = _walk(self.payments.processing, *old)
            return "payments", [
                one.payment_id for one in run.overdue("stuck payments", walked, now)
            ]

        def refunds() -> tuple[str, list[str]]:
            walked = _walk(self.payments.processing_refunds, *old)
            return "refunds", [one.refund_id for one in run.overdue("stuck refunds", walked, now)]

        def deliveries(shard: int) -> tuple[str, list[str]]:
            found = self.webhooks.due(shard, *old, MAX_STUCK_COUNTED)
            return "deliveries", [one.delivery_id for one in found]

        def exports() -> tuple[str, list[str]]:
            found = self.exports.due(*old, MAX_STUCK_COUNTED)
            return "exports", [one.export_id for one in found]

        more = [exports] if has_exports else []
        return [payments, refunds, *more, *(partial(deliveries, shard) for shard in shards)]

    def _processing(self, now: datetime, lower: str, upper: str) -> Iterator[Message]:
        for payment in _walk(self.payments.processing, lower, upper):
            if _is_asked_for(payment, now):
                yield SettlePayment(payment.payment_id)
        for refund in _walk(self.payments.processing_refunds, lower, upper):
            if _is_asked_for(refund, now):
                yield SettleRefund(refund.payment_id, refund.refund_id)

    def _due(self, shard: int, lower: str, upper: str) -> Iterator[Message]:
        for delivery in _walk(partial(self.webhooks.due, shard), lower, upper):
            yield Deliver(delivery.delivery_id)

    def _due_exports(self, lower: str, upper: str) -> Iterator[Message]:
        for export in _walk(self.exports.due, lower, upper):
            yield RunExport(export.export_id)


@dataclass
class _Run:
    """One run of the sweeper, until `ends` in seconds of the process's clock."""

    ends: float
    outage: Unavailable | None = None
    left: set[str] = field(default_factory=set)

    def each(self, works: Sequence[Callable[[], Result]]) -> list[Result]:
        """Do all of the work side by side, and return what succeeded, in order."""
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            done = list(pool.map(self._attempted, works))
        return [result for results in done for result in results]

    def _attempted(self, work: Callable[[], Result]) -> list[Result]:
        try:
            return [work()]
        except Unavailable as outage:
            self.outage = outage
            return []

    def in_time(self, what: str, messages: Iterable[Message]) -> Iterator[Message]:
        """Yield the messages until the run must end; then note that there was more."""
        for message in messages:
            if time.monotonic() >= self.ends:
                self.left.add(what)
                return
            yield message

    def overdue(self, what: str, walked: Iterator[Settled], now: datetime) -> list[Settled]:
        """Return up to `MAX_STUCK_COUNTED` that are not expected later, and note if there are more.

        Looks at `MAX_STUCK_EXAMINED` of them.
        """
        examined = islice(walked, MAX_STUCK_EXAMINED)
        overdue = (entry for entry in examined if _is_asked_for(entry, now))
        found = list(islice(overdue, MAX_STUCK_COUNTED))
        if next(walked, None) is not None:
            self.left.add(what)
        return found


def _is_asked_for(entry: PaymentEntry | RefundEntry, now: datetime) -> bool:
    """Return whether its processor may be asked: no outcome is expected later."""
    return entry.expected_at is None or entry.expected_at <= now


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
