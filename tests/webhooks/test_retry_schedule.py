"""When a delivery is retried, and when an endpoint is disabled."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.sqs import MAX_DELAY
from chalicelib.webhooks.retry_schedule import (
    DELAYS,
    MAX_ATTEMPTS,
    MAX_RETRY_AFTER,
    delay_after,
    should_disable,
)
from tests.conftest import START

jitters = st.floats(0, 1)
failed_attempts = st.integers(0, MAX_ATTEMPTS - 1)
retry_afters = st.timedeltas(timedelta(0), timedelta(days=300))


LOOP = 16
"""Lambda ends a chain of messages at about this many passes through one function.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"""


@given(
    answers=st.lists(
        st.tuples(jitters, st.none() | retry_afters),
        min_size=MAX_ATTEMPTS,
        max_size=MAX_ATTEMPTS,
    )
)
def test_chain_of_one_deliverys_messages_stays_well_below_lambdas_loop_detection(
    answers: list[tuple[float, timedelta | None]],
) -> None:
    """The worker enqueues a retry that SQS can delay; the sweeper starts a chain for any other."""
    longest = passes = 1
    for attempts, (jitter, retry_after) in enumerate(answers, start=1):
        delay = delay_after(attempts, jitter=jitter, retry_after=retry_after)
        passes = passes + 1 if delay is not None and delay <= MAX_DELAY else 1
        longest = max(longest, passes)
    assert longest <= LOOP // 4


def test_ten_attempts_take_three_days_with_growing_delays() -> None:
    assert len(DELAYS) == 10
    assert round(sum(DELAYS, timedelta()) / timedelta(hours=1), 1) == 75.6
    assert all(earlier < later for earlier, later in pairwise(DELAYS))


@given(jitters)
def test_first_attempt_is_due_at_once_and_none_follows_the_last(jitter: float) -> None:
    assert delay_after(0, jitter=jitter) == timedelta(0)
    assert delay_after(MAX_ATTEMPTS, jitter=jitter) is None
    assert delay_after(MAX_ATTEMPTS, jitter=jitter, retry_after=timedelta(hours=1)) is None


@given(failed_attempts, jitters)
def test_jitter_moves_a_delay_by_at_most_a_tenth(attempts: int, jitter: float) -> None:
    delay = delay_after(attempts, jitter=jitter)
    assert delay is not None
    assert abs(delay - DELAYS[attempts]) <= DELAYS[attempts] / 10 + timedelta(microseconds=1)


@given(failed_attempts, jitters, retry_afters)
def test_attempt_is_never_before_the_schedule_or_the_retry_after(
    attempts: int, jitter: float, retry_after: timedelta
) -> None:
    delay = delay_after(attempts, jitter=jitter, retry_after=retry_after)
    plain = delay_after(attempts, jitter=jitter)
    assert delay is not None
    assert plain is not None
    assert delay >= plain
    assert delay >= min(retry_after, MAX_RETRY_AFTER)


@given(failed_attempts, jitters, retry_afters)
def test_retry_after_cannot_postpone_by_more_than_a_day_and_its_tenth(
    attempts: int, jitter: float, retry_after: timedelta
) -> None:
    delay = delay_after(attempts, jitter=jitter, retry_after=retry_after)
    assert delay is not None
    assert delay <= timedelta(hours=26.4)


@pytest.mark.parametrize(
    ("failing_for", "expected"),
    [
        (None, False),
        (timedelta(0), False),
        (timedelta(days=5, microseconds=-1), False),
        (timedelta(days=5), True),
        (timedelta(days=50), True),
    ],
)
def test_endpoint_should_be_disabled_after_five_days_of_failures(
    failing_for: timedelta | None, expected: bool
) -> None:
    since = None if failing_for is None else START - failing_for
    assert should_disable(since, START) is expected
