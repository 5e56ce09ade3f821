"""When a delivery is tried, and when an endpoint is given up.

Guarantee: pure functions of what they are given. Ten attempts over 75.6 hours; never one sooner
than the merchant asked, and no merchant can put one off for more than a day at a time.
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
"""Before each attempt, the first included."""

MAX_ATTEMPTS: Final = len(DELAYS)
MAX_RETRY_AFTER: Final = timedelta(hours=24)
GIVEN_UP_AFTER: Final = timedelta(days=5)
_SPREAD: Final = 0.1


def delay_after(
    attempts: int, *, chance: float, retry_after: timedelta | None = None
) -> timedelta | None:
    """How long to wait when `attempts` have failed; None when that was the last. `chance`, 0 to
    1, moves a delay by a tenth either way, so that what failed together does not return together.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay = DELAYS[attempts] * (1 - _SPREAD + 2 * _SPREAD * chance)
    if retry_after is None:
        return delay
    # Later only: sooner than it asked, a busy merchant would have to refuse again.
    return max(delay, min(retry_after, MAX_RETRY_AFTER) * (1 + _SPREAD * chance))


def is_given_up(failing_since: datetime | None, now: datetime) -> bool:
    """Whether an endpoint has done nothing but fail for five days. `failing_since` is its first
    failure after its last success; None while there is none.
    """
    return failing_since is not None and now - failing_since >= GIVEN_UP_AFTER
