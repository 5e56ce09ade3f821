"""The use cases, in one thread."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import exact_json
from chalicelib.aws.dynamodb import StaleVersion
from chalicelib.errors import (
    Conflict,
    IdempotencyKeyReused,
    NotFound,
    PaymentNotCancelable,
    PaymentNotReturnable,
    Unavailable,
    ValidationFailed,
)
from chalicelib.idempotency import RecordExists
from chalicelib.messages import SettlePayment, decode
from chalicelib.payments.commands import SimulateReturn
from chalicelib.payments.facts import Completed, Failed, Returned
from chalicelib.payments.items import payment_key
from chalicelib.payments.models import Payment, Status
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import SimulatedOutage
from chalicelib.values import Actor
from tests.conftest import (
    TEST,
    Clock,
    command,
    outbox_of,
    stored,
    stored_deliveries,
    stored_events,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def enqueued(payments: Payments, sqs: "SQSClient") -> list[str]:
    """The ids of payments that have a message in the queue. Receiving hides the messages."""
    url = payments.queue._url
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        jobs = [decode(message["Body"]) for message in messages]
        found += [job.payment_id for job in jobs if isinstance(job, SettlePayment)]
    return found


def made(payments: Payments, **fields: Any) -> Payment:
    created = payments.create(command(**fields), actor=TEST)
    return stored(payments.repository, created.resource_id)


def test_create_commits_the_payment_and_enqueues_its_message(
    payments: Payments, sqs: "SQSClient"
) -> None:
    created = payments.create(command(), actor=TEST)
    payment = payments.get(created.resource_id)
    assert exact_json.dumps(payment.model_dump()) == created.body
    assert enqueued(payments, sqs) == [created.resource_id]


def test_repeated_request_gets_the_first_answer_byte_for_byte(
    payments: Payments, sqs: "SQSClient"
) -> None:
    request = command()
    first = payments.create(request, actor=TEST)
    payments.settle(first.resource_id)
    again = payments.create(request, actor=TEST)
    assert again == (first.body, first.resource_id, True)
    assert enqueued(payments, sqs) == [first.resource_id]


def test_reused_key_is_refused_and_reveals_nothing(payments: Payments) -> None:
    payments.create(command(idempotency_key="one-key-twice", merchant="Secret"), actor=TEST)
    with pytest.raises(IdempotencyKeyReused) as refusal:
        payments.create(command(idempotency_key="one-key-twice", amount="1"), actor=TEST)
    assert "Secret" not in refusal.value.detail
    assert "PAY-" not in refusal.value.detail


@pytest.mark.parametrize(
    "other",
    [
        {"merchant": "Southern Lights Coffee"}, {"amount": "12.51"}, {"currency": "USD"},
        {"type": "wire"}, {"description": "for the cup"}, {"metadata": {"order": "10024"}},
    ],
)  # fmt: skip
def test_reused_key_is_refused_whichever_field_differs(payments: Payments, other: Any) -> None:
    request = {"idempotency_key": "one-key-twice", "metadata": {"order": "10023"}}
    payments.create(command(**request), actor=TEST)
    with pytest.raises(IdempotencyKeyReused):
        payments.create(command(**request | other), actor=TEST)
    assert payments.create(command(**request), actor=TEST).replayed


def test_a_key_is_free_again_after_a_day(payments: Payments, clock: Clock) -> None:
    request = command()
    first = payments.create(request, actor=TEST)
    clock.advance(hours=24)
    assert payments.create(request, actor=TEST).replayed, "no second too early"
    clock.advance(seconds=1)
    second = payments.create(request, actor=TEST)
    assert not second.replayed
    assert second.resource_id != first.resource_id


def test_record_of_our_own_first_attempt_means_it_committed(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = type(payments.repository).create

    def commit_and_lose_the_answer(store: Any, change: Any, record: Any, now: Any) -> None:
        commit(store, change, record, now)
        raise RecordExists(record)

    monkeypatch.setattr(type(payments.repository), "create", commit_and_lose_the_answer)
    created = payments.create(command(), actor=TEST)
    assert not created.replayed
    assert payments.get(created.resource_id).status is Status.PROCESSING


def test_message_is_enqueued_only_after_the_commit(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Payment] = []

    def look(_: Any, body: str, **__: Any) -> None:
        message = decode(body)
        assert isinstance(message, SettlePayment)
        found.append(payments.get(message.payment_id))  # raises NotFound if it is not there yet

    monkeypatch.setattr(type(payments.queue), "send", look)
    created = payments.create(command(), actor=TEST)
    assert [payment.id for payment in found] == [created.resource_id]


def test_failed_commit_enqueues_nothing(
    payments: Payments, sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach(*_: Any) -> None:
        raise Unavailable("DynamoDB is out of reach; try again.")

    with monkeypatch.context() as outage:
        outage.setattr(type(payments.repository), "create", out_of_reach)
        with pytest.raises(Unavailable):
            payments.create(command(), actor=TEST)
    assert enqueued(payments, sqs) == []


def test_payment_is_created_even_if_its_message_is_lost(
    payments: Payments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def out_of_reach(*_: Any, **__: Any) -> None:
        raise Unavailable("The queue does not answer.")

    monkeypatch.setattr(type(payments.queue), "send", out_of_reach)
    created = payments.create(command(), actor=TEST)
    assert payments.get(created.resource_id).status is Status.PROCESSING
    lost, counted = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (lost["kind"], lost["payment_id"]) == ("enqueue_failed", created.resource_id)
    assert counted["EnqueueFailures"] == 1


def test_record_of_our_own_first_attempt_enqueues_its_message(
    payments: Payments, sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = type(payments.repository).create

    def commit_and_lose_the_answer(store: Any, change: Any, record: Any, now: Any) -> None:
        commit(store, change, record, now)
        raise RecordExists(record)

    monkeypatch.setattr(type(payments.repository), "create", commit_and_lose_the_answer)
    created = payments.create(command(), actor=TEST)
    assert enqueued(payments, sqs) == [created.resource_id]


def test_processor_is_asked_only_after_the_payment_is_marked(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "completed"})
    claimed_at: list[Any] = []

    def look(_: Any, asked: Payment) -> Any:
        claimed_at.append(payments.get(asked.id).submitted_at)
        return Completed()

    monkeypatch.setattr(type(payments.processor), "settle", look)
    payments.settle(payment.id)
    assert len(claimed_at) == 1
    assert None not in claimed_at


def test_unknown_outcome_leaves_the_payment_processing(payments: Payments) -> None:
    payment = made(payments, metadata={"simulate": "error"})
    with pytest.raises(SimulatedOutage):
        payments.settle(payment.id)
    assert payments.get(payment.id).status is Status.PROCESSING
    assert len(stored_events(payments.repository, payment.id)) == 1


def test_stale_commit_of_a_processing_payment_is_retried(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "completed"})

    def moved(*_: Any) -> None:
        raise StaleVersion(payment)

    with monkeypatch.context() as race:
        race.setattr("chalicelib.aws.dynamodb._BACKOFF_BASE_SECONDS", 0)
        race.setattr(type(payments.repository), "change", moved)
        with pytest.raises(Conflict):  # which the queue is told of
            payments.settle(payment.id)
    payments.settle(payment.id)
    assert payments.get(payment.id).status is Status.COMPLETED


def test_payment_is_settled_once(payments: Payments) -> None:
    payment = made(payments, metadata={"simulate": "completed"})
    payments.settle(payment.id)
    after = payments.get(payment.id)
    assert (after.status, after.version) == (Status.COMPLETED, 2)
    payments.settle(payment.id)
    assert payments.get(payment.id) == after


def test_pending_payment_stays_processing_and_submitted(payments: Payments) -> None:
    payment = made(payments, metadata={"simulate": "pending"})
    payments.settle(payment.id)
    after = payments.get(payment.id)
    assert (after.status, after.version) == (Status.PROCESSING, 1)
    assert after.submitted_at is not None


def test_payment_settled_by_another_worker_is_left_alone(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "completed"})
    settle = type(payments.processor).settle

    def settle_after_another(processor: Any, submitted: Payment) -> Any:
        monkeypatch.undo()
        payments.settle(submitted.id)
        return settle(processor, submitted)

    monkeypatch.setattr(type(payments.processor), "settle", settle_after_another)
    payments.settle(payment.id)
    assert payments.get(payment.id).version == 2


def test_message_of_an_unknown_payment_is_dropped_with_a_reason(
    payments: Payments, capsys: pytest.CaptureFixture[str]
) -> None:
    payments.settle("PAY-01M82Y8T27997E9EYD0G6SK6MT")
    line = json.loads(capsys.readouterr().out)
    assert line["kind"] == "message_dropped"
    assert line["payment_id"] == "PAY-01M82Y8T27997E9EYD0G6SK6MT"


@pytest.mark.parametrize("payment_id", ["", "PAY-1", "../x", "%00", "P" * 3000, "PAY-" + "I" * 26])
def test_malformed_id_is_not_found_without_a_read(payments: Payments, payment_id: str) -> None:
    with pytest.raises(NotFound):
        payments.get(payment_id)


@pytest.mark.parametrize("name", ["simulate", "simulate_refund"])
@pytest.mark.parametrize("wish", ["completed", "nonsense"])
def test_simulation_is_refused_unless_the_stage_allows_it(
    payments: Payments, name: str, wish: str
) -> None:
    prod = Payments(**{**vars(payments), "simulation_allowed": False})
    with pytest.raises(ValidationFailed) as refusal:
        prod.create(command(metadata={name: wish}), actor=TEST)
    assert refusal.value.errors[0].field == f"metadata.{name}"


@pytest.mark.parametrize("name", ["simulate", "simulate_refund"])
def test_unknown_simulation_is_refused_by_name(payments: Payments, name: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        payments.create(command(metadata={name: "explode"}), actor=TEST)
    assert refusal.value.errors[0].field == f"metadata.{name}"


def test_unsubmitted_payment_is_canceled_and_stays_canceled(payments: Payments) -> None:
    payment = made(payments, metadata={"simulate": "completed"})
    canceled = payments.cancel(payment.id, actor=Actor("clerk"))
    assert canceled.status is Status.CANCELED
    payments.settle(payment.id)
    assert payments.get(payment.id) == canceled
    assert [event.type for event in stored_events(payments.repository, payment.id)] == [
        "payment.created",
        "payment.canceled",
    ]


def test_repeated_cancel_answers_the_canceled_payment(payments: Payments) -> None:
    payment = made(payments)
    canceled = payments.cancel(payment.id, actor=Actor("clerk"))
    assert payments.cancel(payment.id, actor=Actor("other")) == canceled
    assert len(stored_events(payments.repository, payment.id)) == 2


def test_settled_payment_cannot_be_canceled(payments: Payments) -> None:
    with pytest.raises(PaymentNotCancelable, match="already completed"):
        payments.cancel(completed(payments).id, actor=Actor("clerk"))


def test_submission_between_read_and_cancel_wins(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "pending"})
    find = type(payments.repository).find

    def find_before_the_worker(repository: Any, payment_id: str) -> Payment | None:
        found = find(repository, payment_id)
        payments.settle(payment_id)
        return found

    monkeypatch.setattr(type(payments.repository), "find", find_before_the_worker)
    with pytest.raises(PaymentNotCancelable, match="with its processor"):
        payments.cancel(payment.id, actor=Actor("clerk"))
    assert stored_events(payments.repository, payment.id)[1:] == []


def completed(payments: Payments, **fields: Any) -> Payment:
    payment = made(payments, metadata={"simulate": "completed"}, **fields)
    payments.settle(payment.id)
    return payment


@pytest.mark.parametrize(
    ("fields", "codes", "wrong"),
    [
        (
            {"type": "ach", "currency": "USD"},
            [None, "R01", "R31", "R51", "R85"],
            ["R00", "R48", "R60", "R99", "r01", "901"],
        ),
        (
            {"type": "eft"},
            [None, "901", "905", "907", "914", "922", "990"],
            ["900", "906", "913", "923", "999", "R01", ""],
        ),
    ],
)
def test_return_takes_only_the_codes_of_its_rail(
    payments: Payments, fields: Any, codes: list[str | None], wrong: list[str]
) -> None:
    payment = completed(payments, **fields)
    for other in wrong:
        with pytest.raises(ValidationFailed) as refusal:
            payments.simulate_return(
                payment.id, SimulateReturn.model_construct(code=other), actor=Actor("bank")
            )
        assert refusal.value.errors[0].field == "code"
    for code in codes:
        payment = completed(payments, **fields)
        returned = payments.simulate_return(
            payment.id, SimulateReturn(code=code), actor=Actor("bank")
        )
        assert (returned.status, returned.failure_code) == (
            Status.RETURNED,
            code or {"ach": "R01", "eft": "901"}[payment.type],
        )
        assert payments.get(payment.id) == returned


@pytest.mark.parametrize("rail", ["wire", "interac"])
def test_payment_by_a_final_rail_cannot_be_returned(payments: Payments, rail: str) -> None:
    payment = completed(payments, type=rail)
    with pytest.raises(PaymentNotReturnable, match=f"by {rail} is final"):
        payments.simulate_return(payment.id, SimulateReturn(), actor=Actor("bank"))


def test_a_payment_is_returned_once(payments: Payments) -> None:
    payment = completed(payments, type="ach")
    returned = payments.simulate_return(payment.id, SimulateReturn(), actor=Actor("bank"))
    assert payments.simulate_return(payment.id, SimulateReturn(), actor=Actor("bank")) == returned
    with pytest.raises(PaymentNotReturnable, match="is returned, not completed"):
        payments.simulate_return(payment.id, SimulateReturn(code="R02"), actor=Actor("bank"))
    assert len(stored_events(payments.repository, payment.id)) == 3


def test_submitted_payment_stays_processing_and_says_when_to_expect_its_outcome(
    payments: Payments, clock: Clock
) -> None:
    payment = made(payments, metadata={"simulate": "submitted:3600"})
    expected_at = payment.created_at + timedelta(hours=1)
    for _ in range(2):
        payments.settle(payment.id)
        after = payments.get(payment.id)
        assert (after.status, after.expected_at) == (Status.PROCESSING, expected_at)
        assert after.version == 1, "nothing is known yet"
    clock.advance(hours=1)
    payments.settle(payment.id)
    settled = payments.get(payment.id)
    assert settled.status is not Status.PROCESSING
    assert settled.expected_at is None


def test_expectation_that_comes_after_the_outcome_changes_nothing(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "submitted:3600"})
    settle = type(payments.processor).settle

    def settle_after_the_bank(processor: Any, submitted: Payment) -> Any:
        payments.record(submitted.id, Completed())
        return settle(processor, submitted)

    monkeypatch.setattr(type(payments.processor), "settle", settle_after_the_bank)
    payments.settle(payment.id)
    after = payments.get(payment.id)
    assert (after.status, after.expected_at) == (Status.COMPLETED, None)
    row = payments.repository._payments.find(payment_key(payment.id))
    assert row is not None
    assert "expectedAt" not in row


def test_bank_settles_a_payment_that_nobody_asks_about(payments: Payments) -> None:
    payment = made(payments, metadata={"simulate": "submitted:3600"})
    for _ in range(2):
        failed = payments.record(payment.id, Returned("911"), actor=Actor("bank"))
        assert (failed.status, failed.failure_code, failed.bank_code) == (
            Status.FAILED,
            "account_frozen",
            "911",
        )
    assert payments.get(payment.id) == failed
    *_, event = stored_events(payments.repository, payment.id)
    assert (event.type, event.seq, event.actor) == ("payment.failed", 2, "bank")


def test_contradiction_is_an_event_a_log_line_and_a_metric_once(
    payments: Payments, capsys: pytest.CaptureFixture[str]
) -> None:
    payment = made(payments)
    payments.cancel(payment.id, actor=TEST)
    capsys.readouterr()
    for _ in range(2):
        assert payments.record(payment.id, Completed()).status is Status.CANCELED
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines if "event" in line] == ["payment.contradicted"]
    assert [line["BankContradictions"] for line in lines if "BankContradictions" in line] == [1]
    assert len(stored_events(payments.repository, payment.id)) == 3
    assert stored_deliveries(outbox_of(payments).repository, payment.id) == []


def test_two_words_of_a_bank_at_once_are_both_kept(payments: Payments) -> None:
    payment = completed(payments, type="ach")
    codes = [f"R{number:02}" for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda code: payments.record(payment.id, Returned(code)), codes))
    after = payments.get(payment.id)
    assert after.status is Status.RETURNED
    events = stored_events(payments.repository, payment.id)
    assert [event.type for event in events[3:]] == ["payment.contradicted"] * 7
    said = {event.data.fact.bank_code for event in events if event.data.fact}
    assert said | {after.bank_code} == set(codes)


def test_processor_that_changes_its_mind_is_heard(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = made(payments, metadata={"simulate": "completed"})

    def settle_after_another(*_: Any) -> Any:
        payments.record(payment.id, Completed())
        return Failed.by_bank("905")

    monkeypatch.setattr(type(payments.processor), "settle", settle_after_another)
    payments.settle(payment.id)
    after = payments.get(payment.id)
    assert (after.status, after.version) == (Status.COMPLETED, 3)
