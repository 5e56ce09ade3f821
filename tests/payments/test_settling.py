"""The payments of a batch, which are settled together: what each alone would come to."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from chalicelib.aws.clients import Throttled
from chalicelib.aws.dynamodb import Table
from chalicelib.errors import Unavailable
from chalicelib.messages import SettlePayment
from chalicelib.payments import settling
from chalicelib.payments.commands import ReadStats
from chalicelib.payments.items import payment_key
from chalicelib.payments.models import Payment, Status
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.settling import Settling
from chalicelib.payments.simulator import SimulatedOutage, Simulator
from tests.conftest import START, TEST, Clock, command, payments_on, stored, stored_events
from tests.engines import wait_until

COMPLETED = "completed"
UNKNOWN = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
WISHES = [*[COMPLETED] * 4, *["failed:account_closed"] * 3, "pending", "submitted:60", "error"]
"""Every kind of answer of a processor, for a batch of ten."""


class Desk:
    """The payments of one stage, and a worker that settles them in batches."""

    def __init__(self, repository: PaymentRepository, clock: Clock) -> None:
        self.repository = repository
        self.payments: Payments = payments_on(repository, clock)
        self.settling = Settling(self.payments)
        self.calls: Counter[str] = Counter()
        self._events = repository._payments._dynamodb.meta.events

    def make(self, *wishes: str) -> list[Payment]:
        made = [command(metadata={"simulate": wish}) for wish in wishes]
        ids = [self.payments.create(one, actor=TEST).resource_id for one in made]
        return [stored(self.repository, payment_id) for payment_id in ids]

    def settle(self, *payment_ids: str) -> dict[str, Exception]:
        """Settle a batch, count its calls, and return the errors."""
        self.calls.clear()
        self._events.register("before-call.dynamodb.*", self._count)
        try:
            failures = self.settling.settle([SettlePayment(one) for one in payment_ids])
        finally:
            self._events.unregister("before-call.dynamodb.*", self._count)
        return {message.payment_id: error for message, error in failures.items()}  # type: ignore[union-attr]

    def _count(self, model: Any, **_: Any) -> None:
        self.calls[model.name] += 1

    def statuses(self, payments: list[Payment]) -> list[Status]:
        return [stored(self.repository, one.id).status for one in payments]

    def on_asking(
        self, monkeypatch: pytest.MonkeyPatch, payment: Payment, first: Callable[[], object]
    ) -> None:
        """Let something happen before the processor answers for that payment, once."""
        answer = Simulator.settle
        done: list[Payment] = []

        def settle(processor: Simulator, asked: Payment) -> Any:
            if asked.id == payment.id and not done:
                done.append(asked)
                first()
            return answer(processor, asked)

        monkeypatch.setattr(Simulator, "settle", settle)


@pytest.fixture
def desk(repository: PaymentRepository, clock: Clock) -> Desk:
    return Desk(repository, clock)


def comparable(repository: PaymentRepository, payment: Payment) -> list[str]:
    """The stored payment and its events, with neither ids nor times."""
    rows = repository._of_payment(payment.id, "EVENT#", "PAYMENT")
    ids = {"PK", "id", "paymentId", "idempotencyKey", "searchKey", "createdAt"}
    texts = [str({name: row[name] for name in sorted(row.keys() - ids)}) for row in rows]
    return [re.sub("2026-[-0-9T:.]+Z", "then", text) for text in texts]


def test_each_payment_of_a_batch_becomes_what_it_would_become_alone(desk: Desk) -> None:
    together, alone = desk.make(*WISHES), desk.make(*WISHES)
    errors = desk.settle(*(payment.id for payment in together))
    by_itself = [desk.settle(payment.id) for payment in alone]
    assert list(errors) == [together[-1].id]
    assert by_itself[:-1] == [{}] * 9
    assert isinstance(errors[together[-1].id], SimulatedOutage)
    assert isinstance(by_itself[-1][alone[-1].id], SimulatedOutage)
    for one, other in zip(together, alone, strict=True):
        assert comparable(desk.repository, one) == comparable(desk.repository, other)


def test_totals_count_each_payment_of_a_batch(desk: Desk) -> None:
    payments = desk.make(*WISHES)
    day = payments[0].created_at.date().isoformat()
    desk.settle(*(payment.id for payment in payments))
    rows = desk.payments.stats(ReadStats.model_validate({"from": day, "to": day})).rows
    assert {row.status: (row.count, str(row.volume)) for row in rows} == {
        Status.COMPLETED: (4, "50.00"),
        Status.FAILED: (3, "37.50"),
    }


def test_batch_is_marked_in_one_transaction_and_committed_in_one(desk: Desk) -> None:
    payments = desk.make(*[COMPLETED] * 9, "failed:account_closed")
    assert desk.settle(*(payment.id for payment in payments)) == {}
    # The query finds the endpoints.
    assert desk.calls == {"TransactWriteItems": 2, "BatchGetItem": 1, "Query": 1}
    assert set(desk.statuses(payments)) == {Status.COMPLETED, Status.FAILED}


def test_one_payment_is_marked_without_a_read(desk: Desk) -> None:
    (payment,) = desk.make(COMPLETED)
    assert desk.settle(payment.id) == {}
    assert desk.calls == {"UpdateItem": 1, "Query": 1, "TransactWriteItems": 1}


def test_payment_that_is_settled_or_unknown_is_not_in_the_way(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    settled, *others = desk.make(*[COMPLETED] * 5)
    desk.settle(settled.id)
    after = stored(desk.repository, settled.id)
    capsys.readouterr()
    assert desk.settle(settled.id, UNKNOWN, *(payment.id for payment in others)) == {}
    assert desk.statuses(others) == [Status.COMPLETED] * 4
    assert stored(desk.repository, settled.id) == after
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (dropped,) = (line for line in lines if line["kind"] == "message_dropped")
    assert dropped["payment_id"] == UNKNOWN
    assert "marked_one_by_one" in {line["kind"] for line in lines}


def test_payment_that_cannot_be_read_fails_alone(desk: Desk) -> None:
    broken, *others = desk.make(*[COMPLETED] * 4)
    table = desk.repository._payments
    table.write(table.update_request(payment_key(broken.id), set_={"currency": "XXX"}))
    errors = desk.settle(broken.id, *(payment.id for payment in others))
    assert list(errors) == [broken.id]
    assert isinstance(errors[broken.id], KeyError)
    assert desk.statuses(others) == [Status.COMPLETED] * 3


@pytest.mark.parametrize("step", ["find_many", "mark_all_submitted", "change_all"])
@pytest.mark.parametrize("error", [Throttled("too many"), RuntimeError("not for several")])
def test_batch_is_settled_one_by_one_where_a_step_for_all_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def refuse(_: PaymentRepository, ones: Sequence[Any], *others: Any) -> Any:
        if step != "change_all" or len(ones) > 1:
            raise error
        return change_all(desk.repository, ones, *others)

    change_all = PaymentRepository.change_all
    payments = desk.make(*[COMPLETED] * 5)
    monkeypatch.setattr(PaymentRepository, step, refuse)
    assert desk.settle(*(payment.id for payment in payments)) == {}
    assert desk.statuses(payments) == [Status.COMPLETED] * 5


def test_processor_is_asked_only_after_all_are_marked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = desk.make(*[COMPLETED] * 3)
    seen: list[datetime | None] = []

    def look() -> None:
        seen.extend(stored(desk.repository, one.id).submitted_at for one in payments)

    desk.on_asking(monkeypatch, payments[0], look)
    desk.settle(*(payment.id for payment in payments))
    assert len(seen) == 3
    assert len(set(seen) - {None}) == 1


def test_slow_processor_holds_back_only_its_own_payment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, *others = desk.make(*[COMPLETED] * 4)

    def wait_for_the_others() -> None:
        wait_until(
            lambda: desk.statuses(others) == [Status.COMPLETED] * 3,
            "the others settled",
            seconds=30,
        )

    desk.on_asking(monkeypatch, slow, wait_for_the_others)
    assert desk.settle(slow.id, *(payment.id for payment in others)) == {}
    assert desk.statuses([slow]) == [Status.COMPLETED]


def test_payment_that_another_worker_settles_meanwhile_is_not_in_the_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "TOGETHER_SECONDS", 60)  # whatever the other worker takes
    payments = desk.make(*[COMPLETED] * 5)
    desk.on_asking(monkeypatch, payments[2], lambda: desk.payments.settle(payments[2].id))
    assert desk.settle(*(payment.id for payment in payments)) == {}
    assert desk.statuses(payments) == [Status.COMPLETED] * 5
    for payment in payments:
        assert [one.seq for one in stored_events(desk.repository, payment.id)] == [1, 2]


def test_payment_keeps_the_time_at_which_another_worker_submitted_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments = desk.make(*[COMPLETED] * 3)
    first, second, _ = payments
    for payment in (first, second):
        desk.repository.mark_submitted(payment.id, START)
    found = PaymentRepository.find_many

    def before_the_first_was_marked(*arguments: Any) -> dict[str, Payment]:
        return found(*arguments) | {first.id: first}

    monkeypatch.setattr(PaymentRepository, "find_many", before_the_first_was_marked)
    assert desk.settle(*(payment.id for payment in payments)) == {}
    after = [stored(desk.repository, payment.id) for payment in payments]
    assert [one.status for one in after] == [Status.COMPLETED] * 3
    assert [one.submitted_at == START for one in after] == [True, True, False]


@pytest.fixture
def outage_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Lets that transaction, and none before, meet an outage."""
    transact, calls = Table.transact, iter(range(1, 100))

    def start(number: int) -> None:
        def fail(*arguments: Any) -> None:
            if next(calls) == number:
                raise Unavailable("DynamoDB is out of reach; try again.")
            transact(*arguments)

        monkeypatch.setattr(Table, "transact", fail)

    yield start
    monkeypatch.undo()


@pytest.mark.parametrize("number", [1, 2])
def test_outage_of_a_transaction_fails_its_payments_and_their_messages_settle_them_later(
    desk: Desk, outage_of: Callable[[int], None], number: int
) -> None:
    payments = desk.make(*[COMPLETED] * 3)
    ids = [payment.id for payment in payments]
    outage_of(number)
    try:
        errors = desk.settle(*ids)
    except Unavailable as error:  # `process_batch` takes it for the error of each
        errors = dict.fromkeys(ids, error)
    assert set(errors) == set(ids)
    assert {type(error) for error in errors.values()} == {Unavailable}
    assert desk.calls["TransactWriteItems"] == number - 1, "an outage is not tried again at once"
    assert desk.settle(*ids) == {}
    assert desk.statuses(payments) == [Status.COMPLETED] * 3


def test_same_ten_payments_in_four_batches_at_once_are_each_settled_once(
    desk: Desk, quick: None
) -> None:
    payments = desk.make(*[COMPLETED] * 10)
    messages = [SettlePayment(payment.id) for payment in payments]
    with ThreadPoolExecutor(max_workers=4) as workers:
        list(workers.map(desk.settling.settle, [messages] * 4))
    # Some collisions may have outlasted their tries: those messages come again.
    assert desk.settling.settle(messages) == {}
    for payment in payments:
        assert [one.seq for one in stored_events(desk.repository, payment.id)] == [1, 2]
    day = payments[0].created_at.date().isoformat()
    (row,) = desk.payments.stats(ReadStats.model_validate({"from": day, "to": day})).rows
    assert (row.status, row.count) == (Status.COMPLETED, 10)
