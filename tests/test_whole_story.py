"""Random lives of payments, and after every step what must be true of all of them.

In one thread, on AWS's own engine. Hints are kept instead of sent, so that any of them is
delivered at any time, again, in any order, or never. What a step comes to is foretold from the
rows as they were after the last one.
PAYFLOW_TEST_LIVES=200 lives 200 of them, of fifty steps each, instead of a few.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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
from chalicelib.commands import (
    CreateEndpoint,
    CreatePayment,
    CreateRefund,
    ReadStats,
    SimulateReturn,
)
from chalicelib.errors import PayFlowError
from chalicelib.model import (
    FailureCode,
    Status,
)
from chalicelib.processor import SimulatedOutage
from chalicelib.queue_jobs import Deliver, Job, SettlePayment, SettleRefund
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
from tests.engines import IS_THOROUGH
from tests.invariants import (
    Life,
    broken,
    not_failed,
    read,
    recounted,
    scan,
    steps,
    under_way,
    untold,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Row = dict[str, Any]
PLACES = st.integers(0, 10**6)
"""Which one of those that there are."""
WISHES = st.sampled_from(
    ["completed", "completed", None, "pending", "error", f"failed:{FailureCode.ACCOUNT_CLOSED}"]
)


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
        self.known: Mapping[str, Life] = {}
        """By id, as they were after the last step."""
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

    def any_payment(self, place: int) -> Life:
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
        payment = self.any_payment(place).payment
        is_early = payment.status is Status.PROCESSING and payment.submitted_at is None
        refusal = refusal_of(lambda: self.payments.cancel(payment.id, actor="test"))
        assert refusal == (None if is_early else "payment_not_cancelable")

    @rule(place=PLACES, cents=st.none() | st.integers(1, 1001))
    def refund(self, place: int, cents: int | None) -> None:
        life = self.any_payment(place)
        payment, refunds = life.payment, life.refunds
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
        life = self.any_payment(place)
        payment, refunds = life.payment, life.refunds
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
        books = read(
            scan(self.dynamodb, self.store._payments.name),
            scan(self.dynamodb, self.store._idempotency.name),
        )
        assert not broken(books)
        assert not untold(books, self.received)
        assert len(books.lives) == len(self.made)
        for payment_id, life in self.known.items():
            assert not list(steps(life, books.lives[payment_id]))
        self.known = books.lives

    def teardown(self) -> None:
        """What is read back by those who ask is what was seen in the rows."""
        days = {"from": START.date().isoformat(), "to": self.clock.now.date().isoformat()}
        totals = stats.read(self.store, ReadStats.model_validate(days), self.clock.now)
        assert totals.rows == recounted([life.payment for life in self.known.values()])
        for life in self.known.values():
            payment_id = life.payment.id
            assert self.payments.get(payment_id) == life.payment
            assert {one.id: one for one in self.store.refunds(payment_id)} == life.refunds
            assert self.store.story(payment_id) == life.story


def refusal_of(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except PayFlowError as error:
        return error.code
    return None


@pytest.mark.parametrize("engine", ["dynamodb-local"], indirect=True)
def test_whatever_happens_in_whatever_order_every_promise_holds(engine: "DynamoDBClient") -> None:
    class OnThisEngine(Story):
        def __init__(self) -> None:
            super().__init__(engine)

    run_state_machine_as_test(
        OnThisEngine,
        settings=settings(
            max_examples=int(os.environ.get("PAYFLOW_TEST_LIVES") or (8 if IS_THOROUGH else 2)),
            stateful_step_count=50,
            derandomize=True,  # the same lives in every run: none of CI fails by bad luck
            database=None,
            phases=[Phase.generate],  # fifty steps can be read; to shrink them takes minutes
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
