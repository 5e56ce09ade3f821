"""The rules of a payment, without anything around them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import exact_json
from chalicelib.errors import (
    Conflict,
    PaymentNotCancelable,
    PaymentNotRefundable,
    PaymentNotReturnable,
    RefundExceedsPayment,
)
from chalicelib.payments.models import (
    TRANSITIONS,
    Change,
    EventData,
    EventType,
    FailureCode,
    IllegalTransition,
    Payment,
    Refund,
    RefundStatus,
    Status,
)
from chalicelib.payments.service import new_payment
from chalicelib.values import (
    MAX_AMOUNT,
    SYSTEM,
    Actor,
    Currency,
    exact_amount,
    new_id,
    rfc3339,
    with_decimals,
)
from tests.conftest import START, TEST, command

PROCESSING = new_payment(command(), START, actor=TEST).payment
LATER = START + timedelta(seconds=1)


def test_a_new_payment_is_processing_and_its_event_says_so() -> None:
    change = new_payment(command(), START, actor=TEST)
    assert change.payment.status is Status.PROCESSING
    assert change.event.type is EventType.PAYMENT_CREATED
    assert (change.event.seq, change.event.actor) == (1, "test")
    assert change.event.data == EventData(status=Status.PROCESSING)


def test_completing_sets_the_time_and_what_can_be_refunded() -> None:
    payment, event, _ = PROCESSING.complete(LATER, actor=SYSTEM)
    assert (payment.status, payment.completed_at) == (Status.COMPLETED, LATER)
    assert payment.refundable == payment.amount
    assert (event.type, event.seq, event.data) == (
        EventType.PAYMENT_COMPLETED,
        2,
        EventData(status=Status.COMPLETED),
    )


def test_failing_keeps_the_reason_on_the_payment_and_in_the_event() -> None:
    payment, event, _ = PROCESSING.fail(FailureCode.ACCOUNT_CLOSED, LATER, actor=SYSTEM)
    assert payment.failure_code == "account_closed"
    assert payment.completed_at is None
    assert event.data == EventData(status=Status.FAILED, failure_code="account_closed")


def step(payment: Payment, to: Status) -> Change:
    if to is Status.COMPLETED:
        return payment.complete(LATER, actor=SYSTEM)
    return payment.fail(FailureCode.ACCOUNT_CLOSED, LATER, actor=SYSTEM)


def test_only_listed_transitions_are_legal() -> None:
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


COMPLETED = PROCESSING.complete(LATER, actor=SYSTEM).payment


def refund_of(amount: str, status: RefundStatus = RefundStatus.PROCESSING) -> Refund:
    return Refund(
        id=new_id("REF", LATER),
        payment_id=COMPLETED.id,
        amount=Decimal(amount),
        currency=COMPLETED.currency,
        reason=None,
        idempotency_key="a-key-of-its-own",
        status=status,
        created_at=LATER,
        updated_at=LATER,
        completed_at=None,
        failure_code=None,
    )


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("submitted_at", [None, START])
def test_only_processing_unsubmitted_payments_can_be_canceled(
    status: Status, submitted_at: datetime | None
) -> None:
    payment = PROCESSING.model_copy(update={"status": status, "submitted_at": submitted_at})
    if status is Status.PROCESSING and submitted_at is None:
        canceled = payment.cancel(LATER, actor=Actor("clerk"))
        assert (canceled.payment.status, canceled.payment.version) == (Status.CANCELED, 2)
        assert (canceled.event.type, canceled.event.actor) == ("payment.canceled", "clerk")
    else:
        with pytest.raises(PaymentNotCancelable):
            payment.cancel(LATER, actor=Actor("clerk"))


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.COMPLETED}))
def test_only_a_completed_payment_is_refunded_or_returned(status: Status) -> None:
    payment = COMPLETED.model_copy(update={"status": status})
    with pytest.raises(PaymentNotRefundable):
        payment.refund(refund_of("1"), LATER, actor=TEST)
    with pytest.raises(PaymentNotReturnable):
        payment.record_return("R01", LATER, actor=TEST)


@given(steps=st.lists(st.tuples(st.integers(1, 1250), st.sampled_from(RefundStatus)), max_size=20))
def test_refunded_and_refundable_add_up_to_the_amount(
    steps: list[tuple[int, RefundStatus]],
) -> None:
    payment, refunded = COMPLETED, Decimal(0)
    for cents, end in steps:
        refund = refund_of(str(Decimal(cents).scaleb(-2)))
        try:
            payment = payment.refund(refund, LATER, actor=TEST).payment
        except RefundExceedsPayment:
            assert refunded + refund.amount > payment.amount
            continue
        if end is RefundStatus.FAILED:
            payment = payment.fail_refund(
                refund, FailureCode.ACCOUNT_CLOSED, LATER, actor=TEST
            ).payment
        else:
            refunded += refund.amount
        if end is RefundStatus.COMPLETED:
            payment = payment.complete_refund(refund, LATER, actor=TEST).payment
        assert payment.amount_refunded == refunded <= payment.amount
        assert payment.amount_refunded + payment.refundable == payment.amount


@pytest.mark.parametrize("status", [RefundStatus.COMPLETED, RefundStatus.FAILED])
def test_settled_refund_stays_settled(status: RefundStatus) -> None:
    payment = COMPLETED.refund(refund_of("1"), LATER, actor=TEST).payment
    with pytest.raises(IllegalTransition):
        payment.complete_refund(refund_of("1", status), LATER, actor=TEST)
    with pytest.raises(IllegalTransition):
        payment.fail_refund(refund_of("1", status), FailureCode.ACCOUNT_CLOSED, LATER, actor=TEST)


def test_return_takes_the_rest_and_waits_for_processing_refunds() -> None:
    refund = refund_of("2.50")
    under_way = COMPLETED.refund(refund, LATER, actor=TEST).payment
    with pytest.raises(Conflict):
        under_way.record_return("R01", LATER, actor=Actor("bank"))
    refunded = under_way.complete_refund(refund, LATER, actor=TEST).payment
    payment, event, _ = refunded.record_return("R01", LATER, actor=Actor("bank"))
    assert (payment.status, payment.failure_code) == (Status.RETURNED, "R01")
    assert (str(payment.amount_refunded), str(payment.refundable)) == ("2.50", "0.00")
    assert event.data == EventData(
        status=Status.RETURNED, failure_code="R01", amount_refunded=Decimal("2.50")
    )


def test_fully_refunded_payment_cannot_be_returned() -> None:
    refund = refund_of("12.50")
    refunded = COMPLETED.refund(refund, LATER, actor=TEST).payment
    refunded = refunded.complete_refund(refund, LATER, actor=TEST).payment
    with pytest.raises(PaymentNotReturnable):
        refunded.record_return("R01", LATER, actor=Actor("bank"))


@given(
    cents=st.integers(1, 100_000_000), zeros=st.integers(0, 5), currency=st.sampled_from(Currency)
)
def test_amount_in_cents_is_exact_however_it_is_written(
    cents: int, zeros: int, currency: Currency
) -> None:
    value = Decimal(cents).scaleb(-2)
    spelled = Decimal(str(value) + "0" * zeros)
    assert exact_amount(spelled, currency) == value
    body = exact_json.dumps(exact_amount(spelled, currency))
    assert exact_json.loads(body.encode()) == value


@pytest.mark.parametrize("currency", Currency)
def test_currency_has_the_decimals_of_iso_4217(currency: Currency) -> None:
    written = with_decimals(Decimal(1), currency)
    assert -int(written.as_tuple().exponent) == iso4217.Currency(currency.value).exponent


@given(value=st.decimals(allow_nan=False))
def test_accepted_amount_is_payable_and_unchanged(value: Decimal) -> None:
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
def test_timestamps_have_one_width_and_sort_by_time(first: datetime, second: datetime) -> None:
    assert len(rfc3339(first)) == len(rfc3339(second)) == 27
    assert (rfc3339(first) < rfc3339(second)) == (first < second)


def test_timestamps_are_utc_whatever_the_zone() -> None:
    eastern = datetime(2026, 11, 22, 16, 57, 1, tzinfo=timezone(timedelta(hours=-5)))
    assert rfc3339(eastern) == "2026-11-22T21:57:01.000000Z"


def test_ids_sort_by_the_millisecond_and_never_repeat() -> None:
    early, late = new_id("PAY", START), new_id("PAY", START + timedelta(milliseconds=1))
    assert early < late
    assert len({new_id("PAY", START) for _ in range(10_000)}) == 10_000
