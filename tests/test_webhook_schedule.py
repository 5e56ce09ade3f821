"""When a delivery is tried, and when an endpoint is given up."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webhook_schedule import (
    DELAYS,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    delay_after,
    is_given_up,
)
from tests.conftest import START

chances = st.floats(0, 1)
failed_attempts = st.integers(0, MAX_ATTEMPTS - 1)
waits = st.timedeltas(timedelta(0), timedelta(days=300))


def test_ten_attempts_take_three_days_and_grow_further_apart() -> None:
    assert len(DELAYS) == 10
    assert round(sum(DELAYS, timedelta()) / timedelta(hours=1), 1) == 75.6
    assert all(earlier < later for earlier, later in pairwise(DELAYS))


@given(chances)
def test_the_first_attempt_is_made_at_once_and_none_follows_the_last(chance: float) -> None:
    assert delay_after(0, chance=chance) == timedelta(0)
    assert delay_after(MAX_ATTEMPTS, chance=chance) is None
    assert delay_after(MAX_ATTEMPTS, chance=chance, retry_after=timedelta(hours=1)) is None


@given(failed_attempts, chances)
def test_chance_moves_a_delay_by_a_tenth_at_most(attempts: int, chance: float) -> None:
    delay = delay_after(attempts, chance=chance)
    assert delay is not None
    assert abs(delay - DELAYS[attempts]) <= DELAYS[attempts] / 10 + timedelta(microseconds=1)


@given(failed_attempts, chances, waits)
def test_no_attempt_is_sooner_than_the_merchant_asked_or_the_schedule_says(
    attempts: int, chance: float, wait: timedelta
) -> None:
    delay = delay_after(attempts, chance=chance, retry_after=wait)
    plain = delay_after(attempts, chance=chance)
    assert delay is not None
    assert plain is not None
    assert delay >= plain
    assert delay >= min(wait, MAX_RETRY_AFTER)


@given(failed_attempts, chances, waits)
def test_a_merchant_cannot_put_an_attempt_off_by_more_than_a_day_and_its_tenth(
    attempts: int, chance: float, wait: timedelta
) -> None:
    delay = delay_after(attempts, chance=chance, retry_after=wait)
    assert delay is not None
    assert delay <= timedelta(hours=26.4)


@pytest.mark.parametrize(
    ("failing_for", "is_over"),
    [
        (None, False),
        (timedelta(0), False),
        (timedelta(days=5, microseconds=-1), False),
        (timedelta(days=5), True),
        (timedelta(days=50), True),
    ],
)
def test_five_days_of_nothing_but_failures_are_the_end(
    failing_for: timedelta | None, is_over: bool
) -> None:
    since = None if failing_for is None else START - failing_for
    assert is_given_up(since, START) is is_over
