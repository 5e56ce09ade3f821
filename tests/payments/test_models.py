"""The rules of a payment, without anything around them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import exact_json
from chalicelib.errors import (
    PaymentNotCancelable,
    PaymentNotRefundable,
    RefundExceedsPayment,
)
from chalicelib.payments.facts import (
    Completed,
    Fact,
    Failed,
    FailureCode,
    Returned,
    failure_code_of,
)
from chalicelib.payments.models import (
    Direction,
    EventData,
    EventType,
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
from tests.conftest import START, TEST, command, recorded, refund_recorded
from tests.invariants import NEXT

PROCESSING = new_payment(command(), START, actor=TEST).payment
LATER = START + timedelta(seconds=1)


def test_a_new_payment_is_processing_and_its_event_says_so() -> None:
    change = new_payment(command(), START, actor=TEST)
    assert change.payment.status is Status.PROCESSING
    assert change.event.type is EventType.PAYMENT_CREATED
    assert (change.event.seq, change.event.actor) == (1, "test")
    assert change.event.data == EventData(status=Status.PROCESSING)


def test_completing_sets_the_time_and_what_can_be_refunded() -> None:
    payment, event, _ = recorded(PROCESSING, Completed(), LATER)
    assert (payment.status, payment.completed_at) == (Status.COMPLETED, LATER)
    assert payment.refundable == payment.amount
    assert (event.type, event.seq, event.data) == (
        EventType.PAYMENT_COMPLETED,
        2,
        EventData(status=Status.COMPLETED, completed_at=LATER),
    )


def test_failing_keeps_the_reason_on_the_payment_and_in_the_event() -> None:
    payment, event, _ = recorded(PROCESSING, Failed(FailureCode.ACCOUNT_CLOSED), LATER)
    assert payment.failure_code == "account_closed"
    assert payment.completed_at is None
    assert event.data == EventData(status=Status.FAILED, failure_code="account_closed")


@pytest.mark.parametrize("fact", [Failed.by_bank("911"), Returned("911")])
def test_bank_code_is_kept_as_it_came_and_read_as_a_failure_code(fact: Fact) -> None:
    payment, event, _ = recorded(PROCESSING, fact, LATER)
    assert (payment.status, payment.failure_code) == (Status.FAILED, "account_frozen")
    assert payment.bank_code == event.data.bank_code == "911"
    assert payment.return_reason is None


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("901", "insufficient_funds"), ("R01", "insufficient_funds"), ("905", "account_closed"),
        ("R03", "account_not_found"), ("R16", "account_frozen"), ("R07", "no_authorization"),
        ("921", "no_authorization"), ("R08", "payment_stopped"), ("990", "rejected_by_bank"),
        ("R99", "rejected_by_bank"), ("", "rejected_by_bank"), ("bénéficiaire", "rejected_by_bank"),
        ("x" * 1000, "rejected_by_bank"),
    ],
)  # fmt: skip
def test_any_code_of_a_bank_has_a_meaning(code: str, meaning: str) -> None:
    assert failure_code_of(code) == meaning
    returned = recorded(COMPLETED, Returned(code), LATER).payment
    assert (returned.failure_code, returned.bank_code) == (code, code)
    assert returned.return_reason == meaning


SAYINGS: tuple[Fact, ...] = (
    Completed(),
    Failed(FailureCode.ACCOUNT_CLOSED),
    Failed.by_bank("905"),
    Failed.by_bank("911"),
    Returned("901"),
    Returned("905"),
)


@given(said=st.lists(st.sampled_from(SAYINGS), min_size=1, max_size=8))
def test_bank_may_say_anything_in_any_order_and_twice(said: list[Fact]) -> None:
    payment, heard = PROCESSING, 0
    for fact in said:
        change = payment.record(fact, LATER, actor=SYSTEM)
        if change is not None:
            to = change.payment.status
            moved = to is not payment.status
            assert not moved or to in NEXT[payment.status]
            assert moved is (change.event.type is not EventType.PAYMENT_CONTRADICTED)
            assert (change.event.data.fact is None) is moved
            assert change.event.seq == change.payment.version == payment.version + 1
            payment, heard = change.payment, heard + 1
        assert payment.record(fact, LATER, actor=SYSTEM) is None, "it has just said so"
        is_returned = payment.status is Status.RETURNED
        assert payment.amount_returned == (payment.amount if is_returned else 0)
    assert heard <= len(set(said))


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PROCESSING}))
@pytest.mark.parametrize("fact", SAYINGS)
def test_fact_that_does_not_fit_is_an_event_and_changes_no_status(
    status: Status, fact: Fact
) -> None:
    of: dict[str, Fact] = {"failed": Failed.by_bank("902"), "returned": Returned("902")}
    payment = COMPLETED if status in {Status.COMPLETED, Status.RETURNED} else PROCESSING
    if status is Status.CANCELED:
        payment = payment.cancel(LATER, actor=TEST).payment
    elif status in of:
        payment = recorded(payment, of[status], LATER).payment
    fits = (status is Status.COMPLETED and fact in {Completed(), *SAYINGS[4:]}) or (
        status is Status.RETURNED and fact == Completed()
    )
    change = payment.record(fact, LATER, actor=Actor("bank"))
    if fits:
        assert change is None or change.payment.status is Status.RETURNED
        return
    assert change is not None
    after, event, _ = change
    assert (after.status, after.failure_code) == (payment.status, payment.failure_code)
    assert (event.type, event.actor) == ("payment.contradicted", "bank")
    assert event.data.fact is not None
    assert event.data.fact.outcome == str(fact).partition(":")[0]
    assert event.data.fact.bank_code == getattr(fact, "bank_code", None)


COMPLETED = recorded(PROCESSING, Completed(), LATER).payment


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
        expected_at=None,
        completed_at=None,
        failure_code=None,
        bank_code=None,
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
def test_only_a_completed_payment_is_refunded(status: Status) -> None:
    payment = COMPLETED.model_copy(update={"status": status})
    with pytest.raises(PaymentNotRefundable):
        payment.refund(refund_of("1"), LATER, actor=TEST)


def test_credit_is_completed_and_returned_and_never_refunded() -> None:
    opened = new_payment(command(direction="credit"), START, actor=TEST).payment
    paid = recorded(opened, Completed(), LATER).payment
    assert (paid.direction, str(paid.refundable)) == (Direction.CREDIT, "0.00")
    with pytest.raises(PaymentNotRefundable, match="is a credit"):
        paid.refund(refund_of("1"), LATER, actor=TEST)
    returned = recorded(paid, Returned("R03"), LATER).payment
    assert (returned.status, returned.amount_returned) == (Status.RETURNED, paid.amount)


REFUND_SAYINGS = st.sampled_from(
    [Completed(), Failed(FailureCode.ACCOUNT_CLOSED), Returned("902"), Returned("905")]
)


class Purse:
    """A payment and its refunds, as facts change them in any order."""

    def __init__(self) -> None:
        self.payment = COMPLETED
        self.refunds: list[Refund] = []

    def ask(self, cents: int) -> None:
        refund = refund_of(str(Decimal(cents).scaleb(-2)))
        with suppress(RefundExceedsPayment, PaymentNotRefundable):
            self.payment = self.payment.refund(refund, LATER, actor=TEST).payment
            self.refunds.append(refund)

    def say(self, number: int, fact: Fact) -> None:
        refund = self.refunds[number % len(self.refunds)]
        change = self.payment.record_refund(refund, fact, LATER, actor=SYSTEM)
        if change is None:
            return
        assert change.refund is not None
        self.payment = change.payment
        self.refunds[number % len(self.refunds)] = change.refund
        assert self.payment.record_refund(change.refund, fact, LATER, actor=SYSTEM) is None

    def check(self) -> None:
        alive = {RefundStatus.PROCESSING, RefundStatus.COMPLETED}
        refunded = sum((one.amount for one in self.refunds if one.status in alive), Decimal(0))
        is_open = self.payment.status is Status.COMPLETED
        assert self.payment.amount_refunded == refunded <= self.payment.amount
        assert self.payment.refundable == (self.payment.amount - refunded if is_open else 0)
        assert self.payment.refunds_processing == sum(
            one.status is RefundStatus.PROCESSING for one in self.refunds
        )


@given(
    steps=st.lists(
        st.one_of(
            st.integers(1, 1250),
            st.tuples(st.integers(0, 20), REFUND_SAYINGS),
            st.just(Returned("901")),
        ),
        max_size=25,
    )
)
def test_refunded_is_the_sum_of_its_living_refunds_in_every_order(steps: list[Any]) -> None:
    purse = Purse()
    for step in steps:
        if isinstance(step, int):
            purse.ask(step)
        elif isinstance(step, Returned):
            change = purse.payment.record(step, LATER, actor=SYSTEM)
            purse.payment = change.payment if change else purse.payment
        elif purse.refunds:
            purse.say(*step)
        purse.check()


def test_return_takes_the_whole_amount_and_waits_for_nothing() -> None:
    refund = refund_of("2.50")
    under_way = COMPLETED.refund(refund, LATER, actor=TEST).payment
    payment, event, _ = recorded(under_way, Returned("R01"), LATER)
    assert (payment.status, payment.failure_code) == (Status.RETURNED, "R01")
    assert (payment.amount_returned, str(payment.refundable)) == (payment.amount, "0.00")
    assert str(payment.amount_refunded) == "2.50", "which is lost if the refund completes"
    assert event.data == EventData(
        status=Status.RETURNED,
        completed_at=COMPLETED.completed_at,
        failure_code="R01",
        bank_code="R01",
        amount_refunded=Decimal("2.50"),
        amount_returned=payment.amount,
    )
    settled = refund_recorded(payment, refund, Completed(), LATER)
    assert settled.refund is not None
    assert settled.refund.status is RefundStatus.COMPLETED
    assert settled.payment.status is Status.RETURNED


def test_returned_refund_can_be_made_again_while_the_payment_is_completed() -> None:
    refund = refund_of("12.50")
    under_way = COMPLETED.refund(refund, LATER, actor=TEST).payment
    completed = refund_recorded(under_way, refund, Completed(), LATER)
    assert completed.refund is not None
    after, event, returned = refund_recorded(
        completed.payment, completed.refund, Returned("902"), LATER
    )
    assert returned is not None
    assert (returned.status, returned.failure_code, returned.bank_code) == (
        RefundStatus.RETURNED,
        "account_not_found",
        "902",
    )
    assert event.type is EventType.REFUND_RETURNED
    assert (str(after.amount_refunded), after.refundable) == ("0.00", after.amount)
    assert after.refund(refund_of("12.50"), LATER, actor=TEST).payment.refundable == 0


def test_second_code_for_a_refund_is_an_event_of_its_own() -> None:
    refund = refund_of("1")
    under_way = COMPLETED.refund(refund, LATER, actor=TEST).payment
    failed = refund_recorded(under_way, refund, Returned("902"), LATER)
    assert failed.refund is not None
    assert failed.refund.status is RefundStatus.FAILED
    after, event, again = refund_recorded(failed.payment, failed.refund, Returned("905"), LATER)
    assert again is not None
    assert (event.type, again.status) == (EventType.REFUND_CONTRADICTED, RefundStatus.FAILED)
    assert (again.bank_code, str(after.amount_refunded)) == ("902", "0.00")


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
