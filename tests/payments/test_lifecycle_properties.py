"""Random lifecycles of payments, with every invariant checked after every step.

They run in one thread on DynamoDB Local. Messages are kept instead of sent, so that any of them is
processed at any time, again, in any order, or never. The expected result of a step is derived from
the rows as they were after the step before.
PAYFLOW_TEST_LIVES=200 runs 200 lifecycles of fifty steps each, instead of a few.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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

from chalicelib.errors import PayFlowError
from chalicelib.messages import Deliver, SettlePayment, SettleRefund
from chalicelib.payments import stats
from chalicelib.payments.commands import (
    CreatePayment,
    CreateRefund,
    ReadStats,
    SimulateRefundReturn,
    SimulateReturn,
)
from chalicelib.payments.facts import Completed, Failed, FailureCode, Returned
from chalicelib.payments.models import Book, Direction, Refund, RefundStatus, Status
from chalicelib.payments.simulator import SimulatedOutage
from chalicelib.webhooks.commands import CreateEndpoint
from chalicelib.webhooks.http_client import PostResult
from tests.conftest import (
    START,
    TEST,
    Clock,
    command,
    delivery_worker_on,
    new_repository,
    outbox_of,
    payments_on,
    queue_of,
    refund_command,
    refunds_beside,
    stored_events,
    stored_refunds,
    sweeper_of,
    webhooks_beside,
)
from tests.engines import IS_THOROUGH
from tests.invariants import (
    Life,
    alive,
    broken,
    read,
    recounted,
    scan,
    steps,
    untold,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CHOICES = st.integers(0, 10**6)
"""Chooses one of any number of things, by the remainder."""
OUTCOMES = st.sampled_from(
    [
        "completed",
        "completed",
        None,
        "pending",
        "error",
        "submitted:5400",
        f"failed:{FailureCode.ACCOUNT_CLOSED}",
    ]
)
FACTS = st.sampled_from(
    [
        Completed(),
        Failed(FailureCode.ACCOUNT_CLOSED),
        Failed.by_bank("R02"),
        Returned("R01"),
        Returned("R02"),
    ]
)
"""What a bank may say, in any order, late and twice."""


class Lifecycles(RuleBasedStateMachine):
    """The payments of one company, and everything that can happen to them."""

    def __init__(self, dynamodb: "DynamoDBClient") -> None:
        super().__init__()
        self.dynamodb = dynamodb
        self.clock = Clock()
        self.repository = new_repository(dynamodb)
        self.payments = payments_on(self.repository, self.clock)
        self.refunds = refunds_beside(self.payments)
        self.created: list[tuple[CreatePayment, str]] = []
        self.refunded: list[tuple[str, CreateRefund, str]] = []
        self.known: Mapping[str, Life] = {}
        """Payments by id, as they were after the last step."""
        outbox = outbox_of(self.payments)
        self.settlements = queue_of(self.payments)
        self.deliveries = queue_of(outbox)
        webhooks_beside(self.payments).create(
            CreateEndpoint(url="https://merchant.example/webhooks"), actor=TEST
        )
        self.worker = delivery_worker_on(outbox.repository, outbox.queue, self.clock, self.receive)
        self.answer = 200
        self.received: set[str] = set()
        """The ids of the webhooks that the merchant has accepted."""

    def receive(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:  # noqa: ARG002
        assert headers["webhook-id"] not in self.received, "this webhook was delivered before"
        if self.answer == 200:
            self.received.add(headers["webhook-id"])
        return PostResult(self.answer, 12, "", None, None, None)

    def any_payment(self, choice: int) -> Life:
        return self.known[sorted(self.known)[choice % len(self.known)]]

    @initialize(cents=st.integers(1, 1000), refund_outcome=OUTCOMES)
    def create_the_first(self, cents: int, refund_outcome: str | None) -> None:
        self.create(cents, ("eft", "CAD"), "completed", refund_outcome)

    @rule(
        cents=st.integers(1, 1000),
        kind=st.sampled_from([("eft", "CAD"), ("ach", "USD"), ("wire", "CAD"), ("ach", "CAD")]),
        direction=st.sampled_from(["debit", "debit", "debit", "credit"]),
        outcome=OUTCOMES,
        refund_outcome=OUTCOMES,
    )
    @precondition(lambda self: len(self.created) < 6)
    def create(
        self,
        cents: int,
        kind: Any,
        outcome: str | None,
        refund_outcome: str | None,
        direction: str = "debit",
    ) -> None:
        simulations = {"simulate": outcome, "simulate_refund": refund_outcome}
        request = command(
            amount=str(Decimal(cents).scaleb(-2)),
            type=kind[0],
            currency=kind[1],
            direction=direction,
            metadata={name: value for name, value in simulations.items() if value},
        )
        self.created.append((request, self.payments.create(request, actor=TEST).body))

    @rule(choice=CHOICES)
    def create_again(self, choice: int) -> None:
        request, body = self.created[choice % len(self.created)]
        again = self.payments.create(request, actor=TEST)
        assert (again.body, again.replayed) == (body, True)

    @rule(choice=CHOICES)
    def process_any_message(self, choice: int) -> None:
        messages = self.settlements.messages
        message = messages[choice % len(messages)]
        with suppress(SimulatedOutage):
            if isinstance(message, SettlePayment):
                self.payments.settle(message.payment_id)
            elif isinstance(message, SettleRefund):
                self.refunds.settle(message.payment_id, message.refund_id)

    @rule(choice=CHOICES, answer=st.sampled_from([200, 200, 503]))
    def deliver_any_webhook(self, choice: int, answer: int) -> None:
        messages = self.deliveries.messages
        if messages:
            message = messages[choice % len(messages)]
            assert isinstance(message, Deliver)
            self.answer = answer
            self.worker.deliver(message.delivery_id)

    @rule(choice=CHOICES)
    def cancel(self, choice: int) -> None:
        payment = self.any_payment(choice).payment
        is_early = payment.status is Status.PROCESSING and payment.submitted_at is None
        refusal = refusal_of(lambda: self.payments.cancel(payment.id, actor=TEST))
        may = is_early or payment.status is Status.CANCELED
        assert refusal == (None if may else "payment_not_cancelable")

    @rule(choice=CHOICES, cents=st.none() | st.integers(1, 1001))
    def refund(self, choice: int, cents: int | None) -> None:
        life = self.any_payment(choice)
        payment, refunds = life.payment, life.refunds
        amount = None if cents is None else Decimal(cents).scaleb(-2)
        left = payment.amount - alive(refunds)
        is_open = payment.status is Status.COMPLETED and payment.direction is Direction.DEBIT
        expected = None
        if not is_open or (amount is None and not left):
            expected = "payment_not_refundable"
        elif amount is not None and amount > left:
            expected = "refund_exceeds_payment"
        request = refund_command(amount=amount)
        assert refusal_of(lambda: self.create_refund(payment.id, request)) == expected

    def create_refund(self, payment_id: str, request: CreateRefund) -> None:
        created = self.refunds.create(payment_id, request, actor=TEST)
        self.refunded.append((payment_id, request, created.body))

    @rule(choice=CHOICES)
    @precondition(lambda self: self.refunded)
    def refund_again(self, choice: int) -> None:
        payment_id, request, body = self.refunded[choice % len(self.refunded)]
        again = self.refunds.create(payment_id, request, actor=TEST)
        assert (again.body, again.replayed) == (body, True)

    @rule(choice=CHOICES)
    def simulate_return(self, choice: int) -> None:
        payment = self.any_payment(choice).payment
        code = "R01" if payment.type == "ach" else "901"
        if payment.direction is Direction.CREDIT:
            code = "R03" if payment.type == "ach" else "902"
        has_been = (payment.status, payment.bank_code) == (Status.RETURNED, code)
        may = payment.type != "wire" and (payment.status is Status.COMPLETED or has_been)
        refusal = refusal_of(
            lambda: self.payments.simulate_return(payment.id, SimulateReturn(), actor=TEST)
        )
        assert refusal == (None if may else "payment_not_returnable")

    @rule(choice=CHOICES)
    @precondition(lambda self: self.refunded)
    def simulate_refund_return(self, choice: int) -> None:
        life, refund = self.any_refund(choice)
        rail = life.payment.type
        code = "R03" if rail == "ach" else "902"
        has_been = (refund.status, refund.bank_code) == (RefundStatus.RETURNED, code)
        expected = None
        if rail == "wire":
            expected = "payment_not_returnable"
        elif refund.status is not RefundStatus.COMPLETED and not has_been:
            expected = "refund_not_returnable"
        command = SimulateRefundReturn(refund_id=refund.id)
        refusal = refusal_of(
            lambda: self.refunds.simulate_return(life.payment.id, command, actor=TEST)
        )
        assert refusal == expected

    def any_refund(self, choice: int) -> tuple[Life, Refund]:
        payment_id, _, body = self.refunded[choice % len(self.refunded)]
        life = self.known[payment_id]
        return life, life.refunds[json.loads(body)["id"]]

    @rule(choice=CHOICES, fact=FACTS, times=st.integers(1, 2))
    def bank_speaks_of_a_payment(self, choice: int, fact: Any, times: int) -> None:
        for _ in range(times):
            self.payments.record(self.any_payment(choice).payment.id, fact)

    @rule(choice=CHOICES, fact=FACTS, times=st.integers(1, 2))
    @precondition(lambda self: self.refunded)
    def bank_speaks_of_a_refund(self, choice: int, fact: Any, times: int) -> None:
        life, refund = self.any_refund(choice)
        for _ in range(times):
            self.refunds.record(life.payment.id, refund.id, fact)

    @rule()
    def sweep(self) -> None:
        sweeper_of(self.payments).sweep(self.clock.now)

    @rule(hours=st.integers(1, 3))
    @precondition(lambda self: self.clock.now.date() == START.date())
    def wait(self, hours: int) -> None:
        """Wait into the next day, at most: totals are by day, and no key gets a day old."""
        self.clock.advance(hours=hours)

    @invariant()
    def every_invariant_holds(self) -> None:
        books = read(
            scan(self.dynamodb, self.repository._payments.name),
            scan(self.dynamodb, self.repository.records._table.name),
        )
        assert not broken(books)
        assert not untold(books, self.received)
        assert len(books.lives) == len(self.created)
        for payment_id, life in self.known.items():
            assert not list(steps(life, books.lives[payment_id]))
        self.known = books.lives

    def teardown(self) -> None:
        """Check that the services return what the rows hold."""
        days = {"from": START.date().isoformat(), "to": self.clock.now.date().isoformat()}
        totals = stats.read(self.repository, ReadStats.model_validate(days), self.clock.now)
        counted = {Book.DEBITS: totals.rows, Book.CREDITS: totals.credits}
        counted[Book.REFUNDS] = totals.refunds
        expected = recounted(self.known.values())
        for book, rows in counted.items():
            assert rows == [total for total in expected if total.book is book]
        for life in self.known.values():
            payment_id = life.payment.id
            assert self.payments.get(payment_id) == life.payment
            assert refunds_by_id(stored_refunds(self.repository, payment_id)) == life.refunds
            assert stored_events(self.repository, payment_id) == life.events


def refunds_by_id(refunds: list[Refund] | None) -> dict[str, Refund]:
    assert refunds is not None
    return {refund.id: refund for refund in refunds}


def refusal_of(action: Callable[[], Any]) -> str | None:
    try:
        action()
    except PayFlowError as error:
        return error.code
    return None


def test_invariants_hold_in_any_order_of_operations(engine: "DynamoDBClient") -> None:
    class OnThisEngine(Lifecycles):
        def __init__(self) -> None:
            super().__init__(engine)

    run_state_machine_as_test(
        OnThisEngine,
        settings=settings(
            max_examples=int(os.environ.get("PAYFLOW_TEST_LIVES") or (5 if IS_THOROUGH else 2)),
            stateful_step_count=50,
            derandomize=True,  # the same lifecycles in every run
            database=None,
            phases=[Phase.generate],  # shrinking takes minutes, and fifty steps are readable
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
