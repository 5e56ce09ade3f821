"""Refunds: never more than was paid, once a key."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib import exact_json
from chalicelib.aws.dynamodb import StaleVersion
from chalicelib.errors import (
    Conflict,
    IdempotencyKeyReused,
    NotFound,
    PayFlowError,
    PaymentNotRefundable,
    PaymentNotReturnable,
    RefundExceedsPayment,
    RefundNotReturnable,
    ValidationFailed,
)
from chalicelib.idempotency import Created, RecordExists
from chalicelib.messages import SettleRefund, decode
from chalicelib.payments.commands import (
    ListOfPayment,
    ReadStats,
    SimulateRefundReturn,
    SimulateReturn,
)
from chalicelib.payments.facts import Completed, Failed, Returned
from chalicelib.payments.items import payment_key, refund_key, total_key, total_shard_of
from chalicelib.payments.models import (
    MAX_VERSION,
    Payment,
    Refund,
    RefundStatus,
    Status,
    totals_moved,
)
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import SimulatedOutage
from chalicelib.values import rfc3339
from infra.ops.count_refunds import count_refunds
from tests.conftest import (
    TEST,
    Clock,
    KeptQueue,
    command,
    new_repository,
    payments_on,
    refund_command,
    refunds_beside,
    stored_events,
    stored_refund,
    stored_refunds,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

UNKNOWN = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
UNKNOWN_REFUND = "REF-01M82Y8T27997E9EYD0G6SK6MT"


class Desk(NamedTuple):
    """Both kinds of use cases, and what they asked of the queue."""

    payments: Payments
    refunds: Refunds
    queue: KeptQueue

    def paid(self, amount: str = "100", **fields: Any) -> Payment:
        """A completed payment."""
        wish = {"simulate": "completed"} | fields.pop("metadata", {})
        request = command(amount=amount, metadata=wish, **fields)
        payment_id = self.payments.create(request, actor=TEST).resource_id
        self.payments.settle(payment_id)
        return self.payments.get(payment_id)

    def refund(self, payment: Payment, **fields: Any) -> Created:
        return self.refunds.create(payment.id, refund_command(**fields), actor=TEST)

    def settled(self, payment: Payment, **fields: Any) -> Refund:
        """A new refund of `payment`, settled."""
        created = self.refund(payment, **fields)
        self.refunds.settle(payment.id, created.resource_id)
        return stored_refund(self.payments.repository, payment.id, created.resource_id)


def on(store: PaymentRepository, clock: Callable[[], datetime]) -> Desk:
    payments = payments_on(store, clock)
    assert isinstance(payments.queue, KeptQueue)
    return Desk(payments, refunds_beside(payments), payments.queue)


@pytest.fixture
def desk(engine: "DynamoDBClient") -> Desk:
    return on(new_repository(engine), Clock())


@pytest.fixture
def clock(desk: Desk) -> Clock:
    assert isinstance(desk.payments.clock, Clock)
    return desk.payments.clock


def left(desk: Desk, payment: Payment) -> tuple[str, str, int]:
    """What is refunded, what can be, and how many refunds are on their way."""
    now = desk.payments.get(payment.id)
    return str(now.amount_refunded), str(now.refundable), now.refunds_processing


def test_new_refund_is_processing_and_reserves_its_amount(desk: Desk) -> None:
    payment = desk.paid()
    created = desk.refund(payment, amount="30", reason="Broken cup")
    (refund,) = stored_refunds(desk.payments.repository, payment.id)
    assert exact_json.dumps(refund.model_dump()) == created.body
    assert (refund.status, str(refund.amount), refund.reason) == (
        RefundStatus.PROCESSING,
        "30.00",
        "Broken cup",
    )
    assert left(desk, payment) == ("30.00", "70.00", 1)
    assert desk.queue.messages[-1] == SettleRefund(payment.id, refund.id)


def test_refund_without_an_amount_takes_the_rest(desk: Desk) -> None:
    payment = desk.paid()
    desk.refund(payment, amount="30")
    body = exact_json.loads(desk.refund(payment).body.encode())
    assert body["amount"] == Decimal(70)
    assert left(desk, payment) == ("100.00", "0.00", 2)


def test_refund_of_more_than_the_rest_is_refused_with_the_rest(desk: Desk) -> None:
    payment = desk.paid()
    desk.refund(payment, amount="30")
    with pytest.raises(
        RefundExceedsPayment,
        match=r"At most 70\.00 CAD of this payment can be refunded, not 70\.01",
    ):
        desk.refund(payment, amount="70.01")
    assert left(desk, payment) == ("30.00", "70.00", 1)


def test_fully_refunded_payment_takes_no_refund(desk: Desk) -> None:
    payment = desk.paid()
    desk.refund(payment)
    with pytest.raises(PaymentNotRefundable):
        desk.refund(payment)
    with pytest.raises(RefundExceedsPayment):
        desk.refund(payment, amount="0.01")


@pytest.mark.parametrize("wish", ["pending", "failed:account_closed"])
def test_only_a_completed_payment_is_refunded(desk: Desk, wish: str) -> None:
    request = command(metadata={"simulate": wish})
    payment_id = desk.payments.create(request, actor=TEST).resource_id
    desk.payments.settle(payment_id)
    with pytest.raises(PaymentNotRefundable):
        desk.refund(desk.payments.get(payment_id), amount="1")


@pytest.mark.parametrize("payment_id", [UNKNOWN, "", "../x", "P" * 3000])
def test_refund_of_an_unknown_payment_is_not_found(desk: Desk, payment_id: str) -> None:
    with pytest.raises(NotFound):
        desk.refunds.create(payment_id, refund_command(), actor=TEST)
    for read in (desk.refunds.of_payment, desk.payments.events):
        with pytest.raises(NotFound):
            read(payment_id, ListOfPayment())


def test_a_payment_without_refunds_has_none(desk: Desk) -> None:
    assert stored_refunds(desk.payments.repository, desk.paid().id) == []


def test_refunds_are_listed_in_the_order_of_creation(desk: Desk) -> None:
    payment = desk.paid()
    made = [desk.refund(payment, amount="1").resource_id for _ in range(5)]
    assert [refund.id for refund in stored_refunds(desk.payments.repository, payment.id)] == made


def test_an_amount_has_no_more_decimals_than_the_payments_currency(desk: Desk) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        desk.refund(desk.paid(), amount="0.001")
    assert refusal.value.errors == (("amount", "must have at most 2 decimal places in CAD"),)


def test_retry_of_a_full_refund_is_replayed(desk: Desk) -> None:
    payment = desk.paid()
    request = refund_command()
    first = desk.refunds.create(payment.id, request, actor=TEST)
    desk.refunds.settle(payment.id, first.resource_id)
    sent = len(desk.queue.messages)
    again = desk.refunds.create(payment.id, request, actor=TEST)
    assert again == (first.body, first.resource_id, True)
    assert len(desk.queue.messages) == sent
    assert len(stored_refunds(desk.payments.repository, payment.id)) == 1


def test_retry_of_a_partial_refund_is_replayed_however_written(desk: Desk) -> None:
    payment = desk.paid()
    first = desk.refund(payment, amount="30", idempotency_key="one-refund")
    again = desk.refund(payment, amount="30.00", idempotency_key="one-refund")
    assert (again.body, again.replayed) == (first.body, True)
    assert left(desk, payment) == ("30.00", "70.00", 1)


def test_refund_is_replayed_after_the_payment_was_returned(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    request = refund_command(amount="30")
    first = desk.refunds.create(payment.id, request, actor=TEST)
    desk.refunds.settle(payment.id, first.resource_id)
    desk.payments.simulate_return(payment.id, SimulateReturn(), actor=TEST)
    assert desk.refunds.create(payment.id, request, actor=TEST).replayed


@pytest.mark.parametrize("other", [{"amount": "31"}, {"amount": "999"}, {}, {"reason": "x"}])
def test_reused_key_is_refused_even_if_nothing_is_refundable(desk: Desk, other: Any) -> None:
    payment = desk.paid()
    desk.refund(payment, amount="30", idempotency_key="one-refund")
    with pytest.raises(IdempotencyKeyReused):
        desk.refund(payment, **other, idempotency_key="one-refund")


def test_two_payments_may_be_refunded_with_one_key(desk: Desk) -> None:
    for payment in (desk.paid(), desk.paid()):
        assert not desk.refund(payment, idempotency_key="one-key-twice").replayed


def test_refused_refund_leaves_its_key_free(desk: Desk) -> None:
    payment = desk.paid()
    with pytest.raises(RefundExceedsPayment):
        desk.refund(payment, amount="101", idempotency_key="one-refund")
    assert not desk.refund(payment, amount="100", idempotency_key="one-refund").replayed


def test_a_key_is_free_again_after_a_day(desk: Desk, clock: Clock) -> None:
    payment = desk.paid()
    request = refund_command(amount="30")
    desk.refunds.create(payment.id, request, actor=TEST)
    clock.advance(hours=24)
    assert desk.refunds.create(payment.id, request, actor=TEST).replayed, "no second too early"
    clock.advance(seconds=1)
    assert not desk.refunds.create(payment.id, request, actor=TEST).replayed
    clock.advance(hours=24, seconds=1)
    desk.refund(payment)
    with pytest.raises(RefundExceedsPayment):
        desk.refunds.create(payment.id, request, actor=TEST)


def test_record_of_our_own_first_attempt_means_it_committed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = PaymentRepository.create_refund

    def commit_and_lose_the_answer(
        store: Any, before: Any, change: Any, record: Any, now: Any
    ) -> None:
        commit(store, before, change, record, now)
        raise RecordExists(record)

    monkeypatch.setattr(PaymentRepository, "create_refund", commit_and_lose_the_answer)
    payment = desk.paid()
    assert not desk.refund(payment).replayed
    assert left(desk, payment) == ("100.00", "0.00", 1)


def test_message_is_enqueued_only_after_the_commit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid()
    found: list[Refund] = []

    def look(_: Any, body: str, **__: Any) -> None:
        message = decode(body)
        assert isinstance(message, SettleRefund)
        found.append(stored_refund(desk.payments.repository, message.payment_id, message.refund_id))

    monkeypatch.setattr(KeptQueue, "send", look)
    created = desk.refund(payment, amount="60")
    assert [refund.id for refund in found] == [created.resource_id]
    with pytest.raises(RefundExceedsPayment):
        desk.refund(payment, amount="60")
    assert len(found) == 1


def test_existing_record_outranks_a_stale_payment(desk: Desk) -> None:
    """In the transaction itself: both conditions fail, and the record is what is told of."""
    payment = desk.paid()
    change = payment.refund(wanted(payment, "60"), datetime.now(UTC), actor=TEST)
    first = desk.refund(payment, amount="60", idempotency_key="one-refund")
    key = f"create_refund#{payment.id}#one-refund"
    record = desk.payments.repository.records.find(key, datetime(2026, 1, 1, tzinfo=UTC))
    assert record is not None
    with pytest.raises(RecordExists) as exists:
        desk.payments.repository.create_refund(payment, change, record, payment.created_at)
    assert exists.value.record.resource_id == first.resource_id


def wanted(payment: Payment, amount: str) -> Refund:
    """A refund that nobody has asked for yet."""
    return Refund(
        id=UNKNOWN_REFUND,
        payment_id=payment.id,
        amount=Decimal(amount),
        currency=payment.currency,
        reason=None,
        idempotency_key="a-key-of-its-own",
        status=RefundStatus.PROCESSING,
        created_at=payment.updated_at,
        updated_at=payment.updated_at,
        expected_at=None,
        completed_at=None,
        failure_code=None,
        bank_code=None,
    )


def test_condition_on_the_row_refuses_more_than_is_refundable(desk: Desk) -> None:
    payment = desk.paid()
    richer = payment.model_copy(update={"refundable": Decimal(200)})
    change = richer.refund(wanted(payment, "150"), payment.updated_at, actor=TEST)
    record = replace(_record_of(desk, desk.paid()), key="another", resource_id=UNKNOWN_REFUND)
    with pytest.raises(StaleVersion) as moved:
        desk.payments.repository.create_refund(payment, change, record, payment.updated_at)
    assert moved.value.current == payment


def _record_of(desk: Desk, payment: Payment) -> Any:
    desk.refund(payment, idempotency_key="for-its-record")
    key = f"create_refund#{payment.id}#for-its-record"
    return desk.payments.repository.records.find(key, payment.created_at)


def test_refund_that_lost_the_race_retries_on_the_current_payment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid()
    commit = PaymentRepository.create_refund

    def another_is_faster(*attempt: Any) -> None:
        monkeypatch.undo()
        desk.refund(payment, amount="30")
        commit(*attempt)

    monkeypatch.setattr(PaymentRepository, "create_refund", another_is_faster)
    created = desk.refund(payment)
    assert exact_json.loads(created.body.encode())["amount"] == Decimal(70)
    assert seqs(desk, payment) == [1, 2, 3, 4]


def test_endless_race_is_a_conflict_with_retry_after(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    payment = desk.paid()

    def always_moved(*_: Any) -> None:
        raise StaleVersion(payment)

    monkeypatch.setattr(PaymentRepository, "create_refund", always_moved)
    with pytest.raises(Conflict) as refusal:
        desk.refund(payment)
    assert "Retry-After" in refusal.value.headers()


def test_number_of_refunds_is_limited(desk: Desk) -> None:
    payment = desk.paid().model_copy(update={"version": MAX_VERSION})
    with pytest.raises(PaymentNotRefundable, match="limit of refunds"):
        payment.refund(wanted(payment, "1"), payment.updated_at, actor=TEST)


def test_a_completed_refund_stays_refunded(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment, amount="30")
    assert (refund.status, refund.completed_at) == (RefundStatus.COMPLETED, refund.updated_at)
    assert left(desk, payment) == ("30.00", "70.00", 0)


def test_failed_refund_frees_its_amount(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "failed:account_closed"})
    refund = desk.settled(payment)
    assert (refund.status, refund.failure_code) == (RefundStatus.FAILED, "account_closed")
    assert refund.completed_at is None
    assert left(desk, payment) == ("0.00", "100.00", 0)
    assert not desk.refund(payment, amount="100").replayed


def test_pending_refund_waits_and_failed_attempt_is_retried(desk: Desk) -> None:
    pending = desk.paid(metadata={"simulate_refund": "pending"})
    assert desk.settled(pending).status is RefundStatus.PROCESSING
    poison = desk.paid(metadata={"simulate_refund": "error"})
    with pytest.raises(SimulatedOutage):
        desk.settled(poison)
    assert left(desk, poison) == ("100.00", "0.00", 1)


def test_refund_is_settled_once_however_often_its_message_arrives(desk: Desk) -> None:
    payment = desk.paid()
    refund = desk.settled(payment)
    for _ in range(3):
        desk.refunds.settle(payment.id, refund.id)
    assert stored_refunds(desk.payments.repository, payment.id) == [refund]
    assert seqs(desk, payment) == [1, 2, 3, 4]


def test_refund_settled_by_another_worker_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid()
    created = desk.refund(payment)
    before = desk.payments.get(payment.id)
    processing = stored_refund(desk.payments.repository, payment.id, created.resource_id)
    desk.refunds.settle(payment.id, created.resource_id)
    late = before.record_refund(processing, Completed(), before.updated_at, actor=TEST)
    assert late is not None
    with pytest.raises(StaleVersion) as stale:
        desk.payments.repository.change_refund(before, processing, late)
    now = desk.payments.get(payment.id)
    settled = stored_refund(desk.payments.repository, payment.id, created.resource_id)
    assert stale.value.current == (now, settled)
    # As it happens to a worker whose processor took its time.
    monkeypatch.setattr(PaymentRepository, "find_refund", lambda *_: processing)
    desk.refunds.settle(payment.id, created.resource_id)
    assert seqs(desk, payment) == [1, 2, 3, 4]


def test_refund_of_a_returned_payment_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    created = desk.refund(payment, amount="30")
    processing = stored_refund(desk.payments.repository, payment.id, created.resource_id)
    desk.refunds.settle(payment.id, created.resource_id)
    desk.payments.simulate_return(payment.id, SimulateReturn(), actor=TEST)
    # As it happens to a worker who is held up between its two reads.
    monkeypatch.setattr(PaymentRepository, "find_refund", lambda *_: processing)
    desk.refunds.settle(payment.id, created.resource_id)
    assert seqs(desk, payment) == [1, 2, 3, 4, 5]


def test_refund_that_has_not_begun_fails_when_its_payment_is_returned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    waiting = desk.refund(payment, amount="30").resource_id
    returned = desk.payments.record(payment.id, Returned("901"))
    assert (returned.status, returned.amount_returned) == (Status.RETURNED, payment.amount)

    def ask(*_: Any) -> Any:
        pytest.fail("its bank must not see it")

    monkeypatch.setattr(type(desk.payments.processor), "refund", ask)
    for _ in range(2):
        desk.refunds.settle(payment.id, waiting)
        refund = stored_refund(desk.payments.repository, payment.id, waiting)
        assert (refund.status, refund.failure_code) == (RefundStatus.FAILED, "payment_returned")
    assert left(desk, payment) == ("0.00", "0.00", 0)
    assert seqs(desk, payment) == [1, 2, 3, 4, 5]


def test_refund_that_has_begun_goes_on_after_its_payment_is_returned(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "pending"})
    begun = desk.settled(payment, amount="30")
    assert not begun.is_waiting
    desk.payments.record(payment.id, Returned("901"))
    assert left(desk, payment) == ("30.00", "0.00", 1)
    desk.refunds.record(payment.id, begun.id, Completed())
    refund = stored_refund(desk.payments.repository, payment.id, begun.id)
    assert refund.status is RefundStatus.COMPLETED
    assert left(desk, payment) == ("30.00", "0.00", 0), "which is lost"


def test_worker_that_is_late_leaves_a_refund_alone_that_failed_for_its_return(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    refund_id = desk.refund(payment, amount="30").resource_id
    waiting = stored_refund(desk.payments.repository, payment.id, refund_id)
    desk.payments.record(payment.id, Returned("901"))
    desk.refunds.settle(payment.id, refund_id)
    monkeypatch.setattr(PaymentRepository, "find_refund", lambda *_: waiting)
    desk.refunds.settle(payment.id, refund_id)
    assert seqs(desk, payment) == [1, 2, 3, 4, 5]


def test_refund_of_a_version_before_may_be_with_its_bank(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    created = desk.refund(payment, amount="30")
    old = stored_refund(desk.payments.repository, payment.id, created.resource_id)
    old = old.model_copy(update={"is_waiting": False})  # as such a version writes it
    monkeypatch.setattr(PaymentRepository, "find_refund", lambda *_: old)
    desk.payments.record(payment.id, Returned("901"))
    desk.refunds.settle(payment.id, old.id)
    monkeypatch.undo()
    refund = stored_refund(desk.payments.repository, payment.id, old.id)
    assert refund.status is RefundStatus.COMPLETED


def test_submitted_refund_says_when_to_expect_its_outcome(desk: Desk, clock: Clock) -> None:
    payment = desk.paid(metadata={"simulate_refund": "submitted:3600"})
    refund = desk.settled(payment, amount="30")
    assert refund.expected_at == refund.created_at + timedelta(hours=1)
    clock.advance(hours=1)
    desk.refunds.settle(payment.id, refund.id)
    settled = stored_refund(desk.payments.repository, payment.id, refund.id)
    assert settled.status is not RefundStatus.PROCESSING
    assert settled.expected_at is None


def test_returned_refund_frees_its_amount_and_the_same_return_again_changes_nothing(
    desk: Desk,
) -> None:
    payment = desk.paid(type="eft", metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment, amount="100")
    command = SimulateRefundReturn(refund_id=refund.id)
    for _ in range(2):
        returned = desk.refunds.simulate_return(payment.id, command, actor=TEST)
        assert (returned.status, returned.bank_code, returned.failure_code) == (
            RefundStatus.RETURNED,
            "902",
            "account_not_found",
        )
    assert left(desk, payment) == ("0.00", "100.00", 0)
    assert not desk.refund(payment, amount="100").replayed
    other = SimulateRefundReturn(refund_id=refund.id, code="905")
    with pytest.raises(RefundNotReturnable, match="is returned, not completed"):
        desk.refunds.simulate_return(payment.id, other, actor=TEST)


def test_return_of_a_refund_is_refused_unless_its_bank_could_return_it(desk: Desk) -> None:
    pending = desk.paid(type="eft", metadata={"simulate_refund": "pending"})
    wired = desk.paid(type="wire", metadata={"simulate_refund": "completed"})
    for payment, refusal in ((pending, RefundNotReturnable), (wired, PaymentNotReturnable)):
        command = SimulateRefundReturn(refund_id=desk.settled(payment, amount="1").id)
        with pytest.raises(refusal):
            desk.refunds.simulate_return(payment.id, command, actor=TEST)
    with pytest.raises(NotFound, match="no refund"):
        desk.refunds.record(pending.id, UNKNOWN_REFUND, Completed())
    with pytest.raises(ValidationFailed):
        desk.refunds.simulate_return(
            pending.id, SimulateRefundReturn(refund_id=UNKNOWN_REFUND), actor=TEST
        )
    bad = SimulateRefundReturn.model_construct(refund_id=UNKNOWN_REFUND, code="999")
    with pytest.raises(ValidationFailed):
        desk.refunds.simulate_return(pending.id, bad, actor=TEST)


def test_second_word_of_a_bank_about_a_refund_is_an_event_of_its_own(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment, amount="30")
    for _ in range(2):
        desk.refunds.record(payment.id, refund.id, Failed.by_bank("905"))
    *_, event = stored_events(desk.payments.repository, payment.id)
    assert (event.seq, event.type) == (5, "refund.contradicted")
    assert event.data.fact is not None
    assert (event.data.fact.outcome, event.data.fact.bank_code) == ("failed", "905")
    assert left(desk, payment) == ("30.00", "70.00", 0)


def test_totals_have_refunds_by_the_day_of_their_payment(desk: Desk, clock: Clock) -> None:
    payment = desk.paid(type="eft", metadata={"simulate_refund": "completed"})
    clock.advance(days=2)
    first, second = (desk.settled(payment, amount=amount) for amount in ("30", "20"))
    desk.refunds.record(payment.id, second.id, Returned("902"))
    day = payment.created_at.date().isoformat()
    query = ReadStats.model_validate({"from": day, "to": day})
    stats = desk.payments.stats(query)
    assert [(row.status, row.count, str(row.volume)) for row in stats.refunds] == [
        ("completed", 1, "30.00"),
        ("returned", 1, "20.00"),
    ]
    (sums,) = stats.summary
    assert (sums.gross, sums.refunded, sums.returned, sums.net, sums.credits) == (
        Decimal(100),
        first.amount,
        Decimal(0),
        Decimal(70),
        Decimal(0),
    )


def test_refund_that_an_earlier_version_settled_is_counted_once(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    day = payment.created_at.date().isoformat()
    query = ReadStats.model_validate({"from": day, "to": day})
    refunds = [desk.settled(payment, amount="10") for _ in range(3)]
    store = desk.payments.repository._payments
    for refund in refunds[:2]:
        key = refund_key(payment.id, refund.id)
        store.write(store.update_request(key, remove=["isCounted"]))
    uncounted = refunds[0].model_copy(update={"is_counted": False})
    (total,) = totals_moved(payment, uncounted, refunds[0])
    shard = total_key(payment.id, total_shard_of(total).kind)
    store.write(store.update_request(shard, add={"count": -2, "volume": Decimal(-20)}))
    assert [row.count for row in desk.payments.stats(query).refunds] == [1]
    assert count_refunds(desk.payments.repository) == 2
    assert count_refunds(desk.payments.repository) == 0
    (row,) = desk.payments.stats(query).refunds
    assert (row.count, str(row.volume)) == (3, "30.00")


def test_refund_of_a_payment_that_an_earlier_version_returned_in_part_is_not_counted(
    desk: Desk,
) -> None:
    payment = desk.paid(type="eft", metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment, amount="10")
    desk.payments.record(payment.id, Returned("901"))
    store = desk.payments.repository._payments
    store.write(store.update_request(payment_key(payment.id), remove=["amountReturned"]))
    store.write(store.update_request(refund_key(payment.id, refund.id), remove=["isCounted"]))
    assert desk.payments.get(payment.id).amount_returned == Decimal(90)
    assert count_refunds(desk.payments.repository) == 0


def test_refund_that_is_counted_while_it_is_returned_is_counted_once(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment, amount="10")
    uncounted = refund.model_copy(update={"is_counted": False})  # as it was before `count_refund`
    latest = desk.payments.get(payment.id)
    returned = latest.record_refund(uncounted, Returned("902"), refund.updated_at, actor=TEST)
    assert returned is not None
    with pytest.raises(StaleVersion) as stale:
        desk.payments.repository.change_refund(latest, uncounted, returned)
    assert stale.value.current == (latest, refund)


def test_processor_is_not_asked_about_a_settled_refund(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = desk.paid(metadata={"simulate_refund": "completed"})
    refund = desk.settled(payment)

    def ask(*_: Any) -> Any:
        pytest.fail("the money may move again")

    monkeypatch.setattr(type(desk.payments.processor), "refund", ask)
    desk.refunds.settle(payment.id, refund.id)


def test_message_of_an_unknown_refund_is_dropped(desk: Desk) -> None:
    for payment_id in (desk.paid().id, UNKNOWN):
        desk.refunds.settle(payment_id, UNKNOWN_REFUND)


def test_refunds_are_in_no_list_of_payments(desk: Desk, clock: Clock) -> None:
    since = rfc3339(clock())
    payment = desk.paid()
    refund_id = desk.refund(payment).resource_id
    store = desk.payments.repository
    for status in Status:
        listed = [one for _, one in store.by_status(status, since, "~", 10)]
        assert [one and one.id for one in listed] == (
            [payment.id] if status is Status.COMPLETED else []
        )
    assert store.processing(since, "~", 10) == []
    assert [entry.payment_id for entry in store.all(since, "~", 10)] == [payment.id]
    (entry,) = store.processing_refunds(since, "~", 10)
    assert (entry.payment_id, entry.refund_id) == (payment.id, refund_id)
    desk.refunds.settle(payment.id, refund_id)
    assert store.processing_refunds(since, "~", 10) == []


def test_events_have_each_change_once_with_the_state_after_it(desk: Desk) -> None:
    payment = desk.paid(metadata={"simulate_refund": "failed:account_closed"})
    failed = desk.settled(payment, amount="30")
    events = stored_events(desk.payments.repository, payment.id)
    assert [(event.seq, event.type) for event in events] == [
        (1, "payment.created"),
        (2, "payment.completed"),
        (3, "refund.created"),
        (4, "refund.failed"),
    ]
    assert [event.actor for event in events] == ["test", "system", "test", "system"]
    refund = {"id": failed.id, "amount": "30.00"}
    completed = {"status": "completed", "completed_at": rfc3339(events[1].created_at)}
    assert [event.model_dump(mode="json", exclude_none=True)["data"] for event in events] == [
        {"status": "processing"},
        completed,
        completed | {"amount_refunded": "30.00", "refund": refund | {"status": "processing"}},
        completed
        | {
            "amount_refunded": "0.00",
            "refund": refund | {"status": "failed", "failure_code": "account_closed"},
        },
    ]


def seqs(desk: Desk, payment: Payment) -> list[int]:
    return [event.seq for event in stored_events(desk.payments.repository, payment.id)]


@pytest.fixture
def real(engine: "DynamoDBClient") -> Desk:
    """By the machine's clock, since the threads of a test share it."""
    return on(new_repository(engine), lambda: datetime.now(UTC))


def outcomes(times: int, action: Callable[[], Any]) -> Counter[str]:
    """What so many at once come to."""
    barrier = threading.Barrier(times)

    def run() -> str:
        barrier.wait()
        try:
            action()
        except PayFlowError as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(times) as pool:
        return Counter(future.result() for future in [pool.submit(run) for _ in range(times)])


def test_fifty_concurrent_refunds_of_30_on_100_leave_10(real: Desk) -> None:
    payment = real.paid()
    found = outcomes(50, lambda: real.refund(payment, amount="30"))
    assert found == {"done": 3, "refund_exceeds_payment": 47}
    assert left(real, payment) == ("90.00", "10.00", 3)
    assert seqs(real, payment) == [1, 2, 3, 4, 5]


def test_fifty_concurrent_refunds_with_one_key_create_one(real: Desk) -> None:
    payment = real.paid()
    request = refund_command()
    found = outcomes(50, lambda: real.refunds.create(payment.id, request, actor=TEST))
    assert found == {"done": 50}
    assert len(stored_refunds(real.payments.repository, payment.id)) == 1


def test_ten_refunds_settled_concurrently_are_each_settled_once(real: Desk) -> None:
    payment = real.paid(metadata={"simulate_refund": "completed"})
    made = [real.refund(payment, amount="10").resource_id for _ in range(10)]
    again = iter(made * 2)
    assert outcomes(20, lambda: real.refunds.settle(payment.id, next(again))) == {"done": 20}
    assert left(real, payment) == ("100.00", "0.00", 0)
    assert seqs(real, payment) == list(range(1, 23))
    assert Completed() == real.payments.processor.refund(wanted(payment, "1"), payment)
