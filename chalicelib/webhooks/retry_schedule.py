"""When a delivery is retried, and when an endpoint is disabled. Pure.

Guarantee: ten attempts over 75.6 hours. None is made sooner than the merchant's Retry-After asks,
of which at most a day is honoured.
"""

from datetime import datetime, timedelta
from typing import Final

DELAYS: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The delay before each attempt, the first included."""

MAX_ATTEMPTS: Final = len(DELAYS)
MAX_RETRY_AFTER: Final = timedelta(hours=24)
DISABLE_AFTER: Final = timedelta(days=5)
SILENCE: Final = timedelta(hours=48)
"""Failures further apart are no streak. The longest delay between two attempts is shorter."""
_JITTER: Final = 0.1


def delay_after(
    attempts: int, *, jitter: float, retry_after: timedelta | None = None
) -> timedelta | None:
    """Return how long to wait after `attempts` have failed; None after the last.

    `jitter`, from 0 to 1, moves the delay by a tenth either way, so that deliveries that failed
    together are not retried together.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay = DELAYS[attempts] * (1 - _JITTER + 2 * _JITTER * jitter)
    if retry_after is None:
        return delay
    # Never sooner than Retry-After: a busy merchant would have to refuse again.
    return max(delay, min(retry_after, MAX_RETRY_AFTER) * (1 + _JITTER * jitter))


def goes_on(last_failed_at: datetime | None, now: datetime) -> bool:
    """Return whether a failure at `now` belongs to the streak of the last one."""
    return last_failed_at is not None and now - last_failed_at <= SILENCE


def should_disable(failing_since: datetime | None, now: datetime) -> bool:
    """Return whether every attempt of the last five days failed.

    `failing_since` is the first failure of the endpoint's streak, or None.
    """
    return failing_since is not None and now - failing_since >= DISABLE_AFTER
