"""The feed: the events of all payments, oldest first, for a client that follows its cursor.

Guarantee: nothing is missed and nothing comes twice, within these bounds. An event has the time at
which its change was made, by the writer's clock. No transaction with an event is sent later than
`SENDING` after that time, resends included. The feed ends some time ago (15 s on AWS): 5 s for
sending, 3 s until the last answer, 2 s for clocks that differ, 5 s for the index to follow.

    event's time ──── sent ──── committed ──── in the index ──── the feed reaches it
         │◀─── at most 5 s ───▶│◀───── counted when late ─────▶│

A commit that is answered `LATE` or later after its event's time is counted (`LateEvents`): it may
have come too late for a client that was already further. Another trace is a gap in the `seq` of a
payment.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ConfigDict

from chalicelib.aws.clients import sent_unless
from chalicelib.aws.pagination import (
    decode_cursor,
    encode_cursor,
    from_moment,
    just_after,
    read_rows,
    to_moment,
)
from chalicelib.payments.commands import ReadFeed
from chalicelib.payments.models import Event, EventBody
from chalicelib.payments.repository import PaymentRepository
from chalicelib.schema import Schema
from chalicelib.telemetry import count, log

BEHIND: Final = timedelta(seconds=15)
SENDING: Final = timedelta(seconds=5)
LATE: Final = timedelta(seconds=8)

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_ID: Final = "EVT-" + "0" * 26


class Feed(Schema):
    """Events of all payments, oldest first. `next_cursor` is never null: ask with it later."""

    model_config = ConfigDict(frozen=True)

    events: list[EventBody]
    next_cursor: str
    has_more: bool


def read(
    repository: PaymentRepository, query: ReadFeed, now: datetime, *, behind: timedelta
) -> Feed:
    """Return the events after the cursor, up to a moment `behind` now.

    Raises InvalidCursor or Unavailable.
    """
    start = _start(query) if query.cursor is None else decode_cursor(query.cursor, query)
    upper = to_moment(now - behind)
    events, last, has_more = read_rows(
        lambda last, size: repository.feed(just_after(last or start), upper, size),
        start,
        query.limit,
        matches=lambda event: query.type in {None, event.type},
        is_filtered=query.type is not None,
    )
    return Feed(events=events, next_cursor=encode_cursor(last or start, query), has_more=has_more)


def _start(query: ReadFeed) -> str:
    """Return a sort key below every event of the range."""
    return f"{from_moment(query.created_from or _BEGINNING)}#{_FIRST_ID}"


@contextmanager
def in_time(events: Sequence[Event], clock: Callable[[], datetime], stage: str) -> Iterator[None]:
    """Commit `events` inside the block: within the bounds of the feed, or counted as late.

    The transaction raises Unavailable if it is not sent in time.
    """
    oldest = min(event.created_at for event in events)
    with sent_unless(lambda: clock() > oldest + SENDING):
        yield
    now = clock()
    for event in events:
        if now > event.created_at + LATE:
            log("event_late", event_id=event.id, payment_id=event.payment_id)
            count(stage, LateEvents=1)
