"""Random lives of payments, and after every step what must be true of all of them.

In one thread, on AWS's own engine (moto would take ten times as long for as many steps). Hints
are kept instead of sent, so that any of them is delivered at any time, again, in any order, or
never. What a step comes to is foretold from the rows as they were after the last one.
PAYFLOW_TEST_LIVES=200 lives 200 of them, of fifty steps each, instead of eight.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib import stats
from chalicelib import store as store_module
from chalicelib.commands import (
    CreateEndpoint,
    CreatePayment,
    CreateRefund,
    ReadStats,
    SimulateReturn,
)
from chalicelib.errors import PayFlowError
from chalicelib.model import (
    TRANSITIONS,
    Event,
    FailureCode,
    Payment,
    Refund,
    RefundState,
    RefundStatus,
    Status,
)
from chalicelib.processor import SimulatedOutage
from chalicelib.queue_jobs import Deliver, Job, SettlePayment, SettleRefund
from chalicelib.tables import decode
from chalicelib.webhook_sender import Attempt
from chalicelib.webhooks import Webhooks
from tests.conftest import (
    START,
    Clock,
    KeptQueue,
    command,
    courier_on,
    new_store,
    payments_on,
    refund_command,
    refunds_beside,
)
from tests.test_stats import recounted

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = dict[str, Any]
PLACES = st.integers(0, 10**6)
"""Which one of those that there are."""
WISHES = st.sampled_from(
    ["completed", "completed", None, "pending", "error", f"failed:{FailureCode.ACCOUNT_CLOSED}"]
)


class Known(NamedTuple):
    """A payment and its refunds, as they were after the last step."""

    payment: Payment
    refunds: dict[str, Refund]


class Story(RuleBasedStateMachine):
    """A company's payments, and whatever can be asked of them."""

    def __init__(self, dynamodb: "DynamoDBClient") -> None:
        super().__init__()
        self.dynamodb = dynamodb
        self.clock = Clock()
        self.store = new_store(dynamodb)
        self.payments = payments_on(self.store, self.clock)
        self.refunds = refunds_beside(self.payments)
        self.made: list[tuple[CreatePayment, str]] = []
        self.refunded: list[tuple[str, CreateRefund, str]] = []
        self.known: dict[str, Known] = {}
        outbox = self.payments.outbox
        webhooks = Webhooks(outbox.store, outbox, allows_private=False, clock=self.clock)
        webhooks.create(CreateEndpoint(url="https://merchant.example/webhooks"))
        self.courier = courier_on(outbox.store, outbox.queue, self.clock, self.receive)
        self.answer = 200
        self.received: set[str] = set()
        """The ids of the webhooks that the merchant has taken."""

    @property
    def jobs(self) -> list[Job]:
        assert isinstance(self.payments.queue, KeptQueue)
        return self.payments.queue.jobs

    def receive(self, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:  # noqa: ARG002
        assert headers["webhook-id"] not in self.received, "it was delivered before"
        if self.answer == 200:
            self.received.add(headers["webhook-id"])
        return Attempt(self.answer, 12, "", None, None, None)

    def any_payment(self, place: int) -> "Known":
        return self.known[sorted(self.known)[place % len(self.known)]]

    @initialize(cents=st.integers(1, 1000), end_of_refunds=WISHES)
    def create_the_first(self, cents: int, end_of_refunds: str | None) -> None:
        self.create(cents, ("eft", "CAD"), "completed", end_of_refunds)

    @rule(
        cents=st.integers(1, 1000),
        rail=st.sampled_from([("eft", "CAD"), ("ach", "USD"), ("wire", "CAD"), ("ach", "CAD")]),
        end=WISHES,
        end_of_refunds=WISHES,
    )
    @precondition(lambda self: len(self.made) < 6)
    def create(self, cents: int, rail: Any, end: str | None, end_of_refunds: str | None) -> None:
        wishes = {"simulate": end, "simulate_refund": end_of_refunds}
        request = command(
            amount=str(Decimal(cents).scaleb(-2)),
            type=rail[0],
            currency=rail[1],
            metadata={name: wish for name, wish in wishes.items() if wish},
        )
        self.made.append((request, self.payments.create(request, actor="test").body))

    @rule(place=PLACES)
    def create_again(self, place: int) -> None:
        request, body = self.made[place % len(self.made)]
        again = self.payments.create(request, actor="test")
        assert (again.body, again.replayed) == (body, True)

    @rule(place=PLACES)
    def deliver_any_message(self, place: int) -> None:
        job = self.jobs[place % len(self.jobs)]
        with suppress(SimulatedOutage):
            if isinstance(job, SettlePayment):
                self.payments.settle(job.payment_id)
            elif isinstance(job, SettleRefund):
                self.refunds.settle(job.payment_id, job.refund_id)

    @rule(place=PLACES, answer=st.sampled_from([200, 200, 503]))
    def deliver_any_webhook(self, place: int, answer: int) -> None:
        queue = self.payments.outbox.queue
        assert isinstance(queue, KeptQueue)
        if queue.jobs:
            job = queue.jobs[place % len(queue.jobs)]
            assert isinstance(job, Deliver)
            self.answer = answer
            self.courier.deliver(job.delivery_id)

    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        payment, _ = self.any_payment(place)
        is_early = payment.status is Status.PROCESSING and payment.submitted_at is None
        refusal = refusal_of(lambda: self.payments.cancel(payment.id, actor="test"))
        assert refusal == (None if is_early else "payment_not_cancelable")

    @rule(place=PLACES, cents=st.none() | st.integers(1, 1001))
    def refund(self, place: int, cents: int | None) -> None:
        payment, refunds = self.any_payment(place)
        amount = None if cents is None else Decimal(cents).scaleb(-2)
        left = payment.amount - not_failed(refunds)
        expected = None
        if payment.status is not Status.COMPLETED or (amount is None and not left):
            expected = "payment_not_refundable"
        elif amount is not None and amount > left:
            expected = "refund_exceeds_payment"
        request = refund_command(amount=amount)
        assert refusal_of(lambda: self.ask_for(payment.id, request)) == expected

    def ask_for(self, payment_id: str, request: CreateRefund) -> None:
        created = self.refunds.create(payment_id, request, actor="test")
        self.refunded.append((payment_id, request, created.body))

    @rule(place=PLACES)
    @precondition(lambda self: self.refunded)
    def refund_again(self, place: int) -> None:
        payment_id, request, body = self.refunded[place % len(self.refunded)]
        again = self.refunds.create(payment_id, request, actor="test")
        assert (again.body, again.replayed) == (body, True)

    @rule(place=PLACES)
    def give_back(self, place: int) -> None:
        payment, refunds = self.any_payment(place)
        expected = None
        if payment.type == "wire" or payment.status is not Status.COMPLETED:
            expected = "payment_not_returnable"
        elif under_way(refunds):
            expected = "conflict"
        elif not_failed(refunds) == payment.amount:
            expected = "payment_not_returnable"
        refusal = refusal_of(
            lambda: self.payments.give_back(payment.id, SimulateReturn(), actor="test")
        )
        assert refusal == expected

    @rule(hours=st.integers(1, 3))
    @precondition(lambda self: self.clock.now.date() == START.date())
    def wait(self, hours: int) -> None:
        """Into the next day once: the totals are by day, and no key is a day old."""
        self.clock.advance(hours=hours)

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        payments: defaultdict[str, list[Row]] = defaultdict(list)
        totals: list[Row] = []
        # One look at everything, as only a test may take it.
        for encoded in self.dynamodb.scan(TableName=self.store._payments.name)["Items"]:
            row = decode(encoded)
            if row["PK"].startswith("PAY#"):
                payments[row["PK"]].append(row)
            elif row["PK"].startswith("STATS#"):
                totals.append(row)
        known = [self.check_payment(rows) for rows in payments.values()]
        assert len(known) == len(self.made)
        self.known = {one.payment.id: one for one in known}
        check_totals([one.payment for one in known], totals)

    def check_payment(self, rows: list[Row]) -> Known:
        by_key = {row["SK"]: row for row in rows}
        payment = store_module._payment(by_key["PAYMENT"])
        refunds = [store_module._refund(row) for key, row in by_key.items() if key[:4] == "REFU"]
        story = [store_module._event(by_key[key]) for key in sorted(by_key) if key[:4] == "EVEN"]
        now = Known(payment, {refund.id: refund for refund in refunds})
        check_steps(self.known.get(payment.id, now), now)
        check_money(payment, now.refunds)
        check_story(payment, now.refunds, story)
        check_told(story, [row for key, row in by_key.items() if key[:4] == "DELI"], self.received)
        return now

    def teardown(self) -> None:
        """What is read back by those who ask is what was seen in the rows."""
        days = {"from": START.date().isoformat(), "to": self.clock.now.date().isoformat()}
        totals = stats.read(self.store, ReadStats.model_validate(days), self.clock.now)
        assert totals.rows == recounted([one.payment for one in self.known.values()])
        for payment, refunds in self.known.values():
            assert self.payments.get(payment.id) == payment
            assert {refund.id: refund for refund in self.store.refunds(payment.id)} == refunds
            check_story(payment, refunds, self.store.story(payment.id))


def refusal_of(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except PayFlowError as error:
        return error.code
    return None


def not_failed(refunds: Mapping[str, Refund]) -> Decimal:
    alive = [one.amount for one in refunds.values() if one.status is not RefundStatus.FAILED]
    return sum(alive, Decimal(0))


def under_way(refunds: Mapping[str, Refund]) -> int:
    return sum(one.status is RefundStatus.PROCESSING for one in refunds.values())


def check_steps(before: Known, after: Known) -> None:
    """No final state was left but for one that may follow, and no refund is gone."""
    was, is_now = before.payment.status, after.payment.status
    assert was is is_now or is_now in TRANSITIONS[was]
    for refund_id, refund in before.refunds.items():
        assert after.refunds[refund_id] == refund or refund.status is RefundStatus.PROCESSING


def check_money(payment: Payment, refunds: Mapping[str, Refund]) -> None:
    is_open = payment.status is Status.COMPLETED
    assert payment.amount_refunded == not_failed(refunds) <= payment.amount
    assert payment.refundable == (payment.amount - not_failed(refunds) if is_open else 0)
    assert payment.refunds_processing == under_way(refunds)
    assert is_open or not under_way(refunds), "of what is not there to be refunded"
    assert is_open or payment.status is Status.RETURNED or not refunds


def check_story(payment: Payment, refunds: Mapping[str, Refund], story: list[Event]) -> None:
    """Every change has exactly one event, and the last tells the state that is."""
    changes: list[tuple[str, str | None]] = [("payment.created", None)]
    if payment.completed_at is not None:
        changes.append(("payment.completed", None))
    if payment.status not in {Status.PROCESSING, Status.COMPLETED}:
        changes.append((f"payment.{payment.status}", None))
    for refund in refunds.values():
        changes.append(("refund.created", refund.id))
        if refund.status is not RefundStatus.PROCESSING:
            changes.append((f"refund.{refund.status}", refund.id))
    told = [(event.type.value, event.data.refund and event.data.refund.id) for event in story]
    assert Counter(told) == Counter(changes)
    assert [event.seq for event in story] == list(range(1, payment.version + 1))
    assert [event.created_at for event in story] == sorted(event.created_at for event in story)
    last = story[-1].data
    assert (last.status, last.failure_code) == (payment.status, payment.failure_code)
    assert last.amount_refunded in {None, payment.amount_refunded}
    if last.refund is not None:
        assert last.refund == RefundState.of(refunds[last.refund.id])


def check_told(story: list[Event], deliveries: list[Row], received: set[str]) -> None:
    """Every outcome has exactly one delivery, and is delivered when the merchant has taken it."""
    outcomes = {event.id: event for event in story if not event.type.endswith(".created")}
    told = {row["SK"].split("#")[1]: row for row in deliveries}
    assert told.keys() == outcomes.keys()
    assert len(told) == len(deliveries)
    for event_id, row in told.items():
        assert row["type"] == json.loads(row["payload"])["type"] == outcomes[event_id].type
        assert (row["state"] == "delivered") is (event_id in received)
        assert (row["state"] == "pending") is ("dueAt" in row) is ("due" in row)


def check_totals(payments: list[Payment], rows: list[Row]) -> None:
    found: defaultdict[Any, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for total in map(store_module._total, rows):
        key = (total.day, total.currency, total.type, total.status)
        count, volume = found[key]
        found[key] = (count + total.count, volume + total.volume)
    expected = {
        (row.day, row.currency, row.type, row.status): (row.count, row.volume)
        for row in recounted(payments)
    }
    assert {key: row for key, row in found.items() if row[0] or row[1]} == expected


@pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True)
def test_whatever_happens_in_whatever_order_every_promise_holds(engine: "DynamoDBClient") -> None:
    class OnThisEngine(Story):
        def __init__(self) -> None:
            super().__init__(engine)

    run_state_machine_as_test(
        OnThisEngine,
        settings=settings(
            max_examples=int(os.environ.get("PAYFLOW_TEST_LIVES", "8")),
            stateful_step_count=50,
            derandomize=True,  # the same lives in every run: none of CI fails by bad luck
            database=None,
            phases=[Phase.generate],  # fifty steps can be read; to shrink them takes minutes
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
