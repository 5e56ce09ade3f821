"""The rules of a payment, without anything around them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import exact_json
from chalicelib.model import (
    MAX_AMOUNT,
    TRANSITIONS,
    Change,
    Currency,
    EventType,
    FailureCode,
    IllegalTransition,
    Payment,
    Status,
    exact_amount,
    new_id,
    rfc3339,
)
from chalicelib.payments import opened
from tests.conftest import START, command

PROCESSING = opened(command(), START, actor="test").payment
LATER = START + timedelta(seconds=1)


def test_a_new_payment_is_processing_and_its_event_says_so() -> None:
    change = opened(command(), START, actor="test")
    assert change.payment.status is Status.PROCESSING
    assert change.event.type is EventType.PAYMENT_CREATED
    assert (change.event.seq, change.event.actor) == (1, "test")
    assert change.event.data == {"status": "processing"}


def test_completing_sets_the_time_and_what_can_be_refunded() -> None:
    payment, event = PROCESSING.complete(LATER, actor="system")
    assert (payment.status, payment.completed_at) == (Status.COMPLETED, LATER)
    assert payment.refundable == payment.amount
    assert (event.type, event.seq, event.data) == (
        EventType.PAYMENT_COMPLETED,
        2,
        {"status": "completed"},
    )


def test_failing_keeps_the_reason_on_the_payment_and_in_the_event() -> None:
    payment, event = PROCESSING.fail(FailureCode.ACCOUNT_CLOSED, LATER, actor="system")
    assert payment.failure_code == "account_closed"
    assert payment.completed_at is None
    assert event.data == {"status": "failed", "failure_code": "account_closed"}


def step(payment: Payment, to: Status) -> Change:
    if to is Status.COMPLETED:
        return payment.complete(LATER, actor="system")
    return payment.fail(FailureCode.ACCOUNT_CLOSED, LATER, actor="system")


def test_no_step_but_the_listed_ones_can_be_taken() -> None:
    listed = {(source, to) for source, targets in TRANSITIONS.items() for to in targets}
    assert listed == {
        (Status.PROCESSING, Status.COMPLETED),
        (Status.PROCESSING, Status.FAILED),
        (Status.PROCESSING, Status.CANCELED),
        (Status.COMPLETED, Status.RETURNED),
    }
    for source, to in product(Status, (Status.COMPLETED, Status.FAILED)):
        if (source, to) not in listed:
            payment = PROCESSING.model_copy(update={"status": source})
            with pytest.raises(IllegalTransition):
                step(payment, to)


@given(
    cents=st.integers(1, 100_000_000), zeros=st.integers(0, 5), currency=st.sampled_from(Currency)
)
def test_every_amount_of_whole_cents_is_exact_however_it_is_spelled(
    cents: int, zeros: int, currency: Currency
) -> None:
    value = Decimal(cents).scaleb(-2)
    spelled = Decimal(str(value) + "0" * zeros)
    assert exact_amount(spelled, currency) == value
    body = exact_json.dumps(exact_amount(spelled, currency))
    assert exact_json.loads(body.encode()) == value


@given(value=st.decimals(allow_nan=False))
def test_an_amount_that_is_accepted_is_payable_and_unchanged(value: Decimal) -> None:
    try:
        amount = exact_amount(value, Currency.CAD)
    except ValueError:
        return
    assert amount == value
    assert 0 < amount <= MAX_AMOUNT
    assert amount.as_tuple().exponent == -2


@pytest.mark.parametrize(
    "value", ["0", "-1", "1000000.01", "1e400", "1e-400", "10.005", "NaN", "sNaN", "Infinity"]
)
def test_an_amount_that_cannot_be_paid_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        exact_amount(Decimal(value), Currency.CAD)


@given(
    first=st.datetimes(timezones=st.just(UTC)),
    second=st.datetimes(timezones=st.just(UTC)),
)
def test_timestamps_are_of_one_width_and_sort_as_text_as_they_do_in_time(
    first: datetime, second: datetime
) -> None:
    assert len(rfc3339(first)) == len(rfc3339(second)) == 27
    assert (rfc3339(first) < rfc3339(second)) == (first < second)


def test_timestamps_are_utc_whatever_the_zone() -> None:
    eastern = datetime(2026, 11, 22, 16, 57, 1, tzinfo=timezone(timedelta(hours=-5)))
    assert rfc3339(eastern) == "2026-11-22T21:57:01.000000Z"


def test_ids_sort_by_the_millisecond_and_never_repeat() -> None:
    early, late = new_id("PAY", START), new_id("PAY", START + timedelta(milliseconds=1))
    assert early < late
    assert len({new_id("PAY", START) for _ in range(10_000)}) == 10_000
