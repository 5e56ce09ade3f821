"""The sweeper: what it finds, what it leaves, and what it says."""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import Unavailable
from chalicelib.payments.items import sort_key
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.service import Payments
from chalicelib.sweeper import Sweeper, age_windows, stuck_before
from chalicelib.webhooks.items import DUE_SHARDS
from tests.conftest import START, TEST, Clock, KeptQueue, refund_command
from tests.payments.test_service import enqueued, made

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MINUTE = timedelta(minutes=1)


def test_sweeper_replaces_a_lost_message_after_two_minutes(
    payments: Payments,
    sweeper: Sweeper,
    sqs: "SQSClient",
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as outage:
        outage.setattr(type(payments.queue), "send", lambda *_, **__: _refuse())
        payment = made(payments)
    assert enqueued(payments, sqs) == []
    clock.advance(seconds=119)
    assert sweeper.sweep(clock.now).enqueued == 0
    clock.advance(seconds=2)
    assert sweeper.sweep(clock.now).enqueued == 1
    assert enqueued(payments, sqs) == [payment.id]


def _refuse() -> None:
    raise Unavailable("The queue does not answer.")


def test_items_of_a_missed_run_are_found_at_the_next_doubling(
    payments: Payments, sweeper: Sweeper, clock: Clock
) -> None:
    made(payments)
    clock.advance(minutes=3, seconds=1)  # the runs of the third minute never came
    assert sweeper.sweep(clock.now).enqueued == 0
    clock.advance(minutes=1)
    assert sweeper.sweep(clock.now).enqueued == 1


def test_payment_is_enqueued_at_each_doubling_then_reported_stuck(
    payments: Payments, sweeper: Sweeper, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    payment = made(payments, metadata={"simulate": "pending"})
    born = clock.now
    doublings = []
    for minute in sorted({2**k + late for k in range(1, 14) for late in (-1, 0, 1)} | {8194}):
        clock.now = born + MINUTE * minute
        if sweeper.sweep(clock.now).enqueued:
            doublings.append(minute)
    assert doublings == [2**k for k in range(1, 14)]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stuck = [line["oldest"] for line in lines if line.get("kind") == "payments_stuck"]
    assert stuck == [[payment.id]] * 2, "at 8,193 minutes and ever after"
    assert [line["StuckPayments"] for line in lines if "SweeperHeartbeat" in line][-3:] == [0, 1, 1]


def test_nothing_is_enqueued_or_stuck_before_its_outcome_is_expected(
    payments: Payments, refunds: Refunds, sweeper: Sweeper, sqs: "SQSClient", clock: Clock
) -> None:
    day = 86_400
    expected = made(payments, metadata={"simulate": f"submitted:{7 * day}"})
    paid = made(
        payments,
        metadata={"simulate": "completed", "simulate_refund": f"submitted:{7 * day}"},
    )
    for payment in (expected, paid):
        payments.settle(payment.id)
    refund_id = refunds.create(paid.id, refund_command(), actor=TEST).resource_id
    refunds.settle(paid.id, refund_id)
    enqueued(payments, sqs)
    born = clock.now
    for minutes in (2, 4, 4096):
        clock.now = born + MINUTE * minutes
        assert sweeper.sweep(clock.now) == (0, 0)
    clock.now = born + timedelta(days=6)
    assert sweeper.sweep(clock.now) == (0, 0), "older than every window, and not stuck"
    clock.now = born + timedelta(days=7, minutes=1)
    assert sweeper.sweep(clock.now) == (0, 2)
    assert sweeper.requeue(clock.now) == 2


def test_item_is_enqueued_in_the_first_window_after_its_outcome_is_expected(
    payments: Payments, sweeper: Sweeper, sqs: "SQSClient", clock: Clock
) -> None:
    payment = made(payments, metadata={"simulate": "submitted:180"})
    payments.settle(payment.id)
    enqueued(payments, sqs)
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now).enqueued == 0
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now).enqueued == 1
    assert enqueued(payments, sqs) == [payment.id]


def test_look_for_stuck_payments_goes_on_past_those_expected_later_and_says_if_it_was_cut(
    payments: Payments,
    sweeper: Sweeper,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(4):
        payments.settle(made(payments, metadata={"simulate": "submitted:604800"}).id)
    made(payments, metadata={"simulate": "pending"})
    clock.advance(days=6)
    monkeypatch.setattr("chalicelib.sweeper._PAGE", 2)
    monkeypatch.setattr("chalicelib.sweeper.MAX_STUCK_EXAMINED", 5)
    assert sweeper.sweep(clock.now) == (0, 1)
    assert "sweep_cut_short" not in capsys.readouterr().out
    monkeypatch.setattr("chalicelib.sweeper.MAX_STUCK_EXAMINED", 4)
    assert sweeper.sweep(clock.now) == (0, 0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (cut,) = (line for line in lines if line.get("kind") == "sweep_cut_short")
    assert cut["left"] == ["stuck payments"]


def test_stuck_payments_do_not_hide_newer_ones(
    payments: Payments, sweeper: Sweeper, clock: Clock
) -> None:
    for _ in range(30):
        made(payments, metadata={"simulate": "pending"})
    clock.advance(days=6)
    made(payments)
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now) == (1, 30)


def test_outage_of_the_queue_hides_neither_stuck_nor_heartbeat(
    payments: Payments,
    sweeper: Sweeper,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made(payments)
    clock.advance(days=6)
    made(payments)
    clock.advance(minutes=2)
    monkeypatch.setattr(type(sweeper.payments_queue), "send_batch", lambda *_: _refuse())
    with pytest.raises(Unavailable):
        sweeper.sweep(clock.now)
    *_, metrics = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (metrics["SweeperHeartbeat"], metrics["StuckPayments"]) == (1, 1)


def test_requeue_enqueues_stuck_payments(
    payments: Payments, sweeper: Sweeper, sqs: "SQSClient", clock: Clock
) -> None:
    stuck = made(payments)
    clock.advance(days=6)
    made(payments)
    enqueued(payments, sqs)
    assert sweeper.requeue(clock.now, timedelta(days=5)) == 1
    assert enqueued(payments, sqs) == [stuck.id]


def test_requeue_enqueues_unfinished_payments_of_any_age(
    payments: Payments, sweeper: Sweeper, sqs: "SQSClient", clock: Clock
) -> None:
    old = made(payments)
    clock.advance(days=6)
    payments.settle(made(payments, metadata={"simulate": "completed"}).id)
    young = made(payments)
    enqueued(payments, sqs)
    assert sweeper.requeue(clock.now) == 2
    assert set(enqueued(payments, sqs)) == {old.id, young.id}


def test_settled_payments_are_not_enqueued(
    payments: Payments, sweeper: Sweeper, clock: Clock
) -> None:
    payments.settle(made(payments, metadata={"simulate": "completed"}).id)
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now) == (0, 0)


def test_window_of_more_than_a_page_is_enqueued_in_full(
    payments: Payments,
    sweeper: Sweeper,
    sqs: "SQSClient",
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chalicelib.sweeper._PAGE", 4)
    moment = clock()
    at_once = Payments(**{**vars(payments), "clock": lambda: moment})
    expected = {made(one).id for one in [payments, *[at_once] * 9, payments]}
    enqueued(payments, sqs)
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now).enqueued == 11
    assert set(enqueued(payments, sqs)) == expected


def test_the_windows_of_successive_runs_meet_without_gap_or_overlap() -> None:
    for (_, upper), (lower, _) in zip(
        age_windows(START, MINUTE), age_windows(START + MINUTE, MINUTE), strict=True
    ):
        assert upper == lower
    lower, _ = age_windows(START, MINUTE)[-1]
    assert stuck_before(START, MINUTE) == lower


def test_window_includes_its_late_end_but_not_its_early_one(payments: Payments) -> None:
    payment = made(payments)
    exactly_two = payment.created_at + 2 * MINUTE
    lower, upper = age_windows(exactly_two, MINUTE)[0]
    assert lower < sort_key(payment) < upper
    lower, upper = age_windows(exactly_two + MINUTE, MINUTE)[0]
    assert not lower < sort_key(payment) < upper


def test_silent_shard_stops_neither_payments_nor_other_shards_nor_the_heartbeat(
    payments: Payments,
    sweeper: Sweeper,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(payments)
    clock.advance(minutes=2)
    due, asked = sweeper.webhooks.due, set()

    def silent(shard: int, *range_: Any) -> Any:
        asked.add(shard)
        if shard == 3:
            raise Unavailable("DynamoDB does not answer.")
        return due(shard, *range_)

    monkeypatch.setattr(type(sweeper.webhooks), "due", lambda _, *asked: silent(*asked))
    with pytest.raises(Unavailable):
        sweeper.sweep(clock.now)
    assert asked == set(range(DUE_SHARDS))
    heartbeat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (heartbeat["SweeperHeartbeat"], heartbeat["MessagesResent"]) == (1, 1)


def test_silent_look_for_stuck_refunds_says_nothing_of_them(
    sweeper: Sweeper,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(*_: Any) -> Any:
        raise Unavailable("DynamoDB does not answer.")

    monkeypatch.setattr(type(sweeper.payments), "processing_refunds", silent)
    with pytest.raises(Unavailable):
        sweeper.sweep(clock.now)
    heartbeat = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert heartbeat["StuckPayments"] == 0
    assert "StuckRefunds" not in heartbeat, "0 would end the alarm"


def test_run_ends_in_time_and_says_what_it_left(
    payments: Payments, sweeper: Sweeper, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    made(payments)
    clock.advance(minutes=2)
    assert replace(sweeper, run_seconds=0).sweep(clock.now).enqueued == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (cut,) = [line for line in lines if line.get("kind") == "sweep_cut_short"]
    (left,) = cut["left"]
    assert left.startswith("payments until 2026-11-22T21:57")
    assert lines[-1]["SweeperHeartbeat"] == 1
    assert sweeper.sweep(clock.now).enqueued == 1


def test_windows_are_sent_side_by_side(
    payments: Payments, sweeper: Sweeper, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(payments)
    clock.advance(minutes=2)
    made(payments)
    clock.advance(minutes=2)
    both = threading.Barrier(2, timeout=60)

    def send_batch(_: object, bodies: Sequence[str]) -> dict[int, str]:
        both.wait()  # the other window is being sent too
        return {}

    monkeypatch.setattr(type(sweeper.payments_queue), "send_batch", send_batch)
    assert sweeper.sweep(clock.now).enqueued == 2


def test_refunds_are_swept_like_payments(
    payments: Payments,
    refunds: Refunds,
    sweeper: Sweeper,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wishes = {"simulate": "completed", "simulate_refund": "pending"}
    payment = made(payments, metadata=wishes)
    payments.settle(payment.id)
    kept = KeptQueue()
    for method in ("send", "send_batch"):
        monkeypatch.setattr(payments.queue, method, getattr(kept, method))
    refunds.create(payment.id, refund_command(), actor=TEST)
    (sent,) = kept.messages
    clock.advance(minutes=2)
    assert sweeper.sweep(clock.now) == (1, 0)
    assert kept.messages == [sent, sent]
    clock.advance(days=6)
    assert sweeper.sweep(clock.now) == (0, 1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-2]["kind"] == "refunds_stuck"
    assert lines[-2]["oldest"] == [getattr(sent, "refund_id", None)]
    assert (lines[-1]["StuckPayments"], lines[-1]["StuckRefunds"]) == (0, 1)
    assert sweeper.requeue(clock.now) == 1
    assert kept.messages[-1] == sent
