"""The totals: what each step moves, and what is read back, against a recount."""

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import exact_json
from chalicelib.aws.dynamodb import Item, StaleVersion
from chalicelib.errors import ValidationFailed
from chalicelib.payments import items, stats
from chalicelib.payments.commands import ListPayments, ReadStats
from chalicelib.payments.facts import Completed, Failed, FailureCode, Returned
from chalicelib.payments.listing import list_payments
from chalicelib.payments.models import Payment, Status, totals_moved
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments, new_payment
from chalicelib.validation import validated
from tests.conftest import START, TEST, command, recorded
from tests.invariants import Life, recounted
from tests.payments.test_repository import put

DAY = START.date()


def read(repository: PaymentRepository, **query: str) -> Any:
    """Of two days, unless the test says otherwise: every day is a read of every shard."""
    wanted = {"from": "2026-11-21"} | query
    return stats.read(repository, validated(ReadStats, wanted), START)


def settle(repository: PaymentRepository, *, fails: bool = False, **fields: Any) -> Payment:
    payment = put(repository, **fields)
    later = payment.created_at + timedelta(days=1)
    change = (
        recorded(payment, Failed(FailureCode.ACCOUNT_CLOSED), later)
        if fails
        else recorded(payment, Completed(), later)
    )
    repository.change(payment, change)
    return change.payment


def test_a_settled_payment_is_counted_on_the_day_of_its_creation() -> None:
    payment = new_payment(command(), START, actor=TEST).payment
    after = recorded(payment, Completed(), START + timedelta(days=3)).payment
    (total,) = totals_moved(after, payment, after)
    assert (total.day, total.status, total.count, total.volume) == (
        DAY,
        Status.COMPLETED,
        1,
        Decimal("12.50"),
    )


def test_day_is_utc_in_every_time_zone() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    payment = new_payment(command(), late, actor=TEST).payment
    after = recorded(payment, Completed(), late).payment
    (total,) = totals_moved(after, payment, after)
    assert total.day == date(2026, 11, 22)


def test_change_between_final_statuses_moves_the_count() -> None:
    payment = new_payment(command(), START, actor=TEST).payment
    completed = recorded(payment, Completed(), START).payment
    returned = recorded(completed, Returned("901"), START).payment
    moved = [
        (total.status, total.count, total.volume)
        for total in totals_moved(returned, completed, returned)
    ]
    assert moved == [
        (Status.COMPLETED, -1, Decimal("-12.50")),
        (Status.RETURNED, 1, Decimal("12.50")),
    ]


def test_change_without_a_new_status_moves_no_total() -> None:
    payment = new_payment(command(), START, actor=TEST).payment
    later = payment.model_copy(update={"version": 2})
    assert totals_moved(later, payment, later) == []


def test_the_totals_are_a_recount_of_the_payments(repository: PaymentRepository) -> None:
    settled = [
        settle(
            repository, amount=f"{number}.01", currency=currency, type=kind, fails=number % 3 == 0
        )
        for number in range(1, 25)
        for currency, kind in [("CAD", "eft"), ("USD", "wire")]
    ]
    put(repository)
    rows = read(repository).rows
    assert rows == recounted(Life(payment) for payment in settled)
    assert {row.currency for row in rows} == {"CAD", "USD"}


def test_refused_change_counts_nothing(repository: PaymentRepository) -> None:
    payment = put(repository)
    change = recorded(payment, Completed(), START)
    repository.change(payment, change)
    with pytest.raises(StaleVersion):
        repository.change(payment, recorded(payment, Completed(), START))
    assert [row.count for row in read(repository).rows] == [1]


def test_processing_payments_are_counted_apart_from_the_totals(
    repository: PaymentRepository,
) -> None:
    put(repository)
    put(repository, at=START - timedelta(days=40))
    answer = read(repository)
    assert answer.rows == []
    assert exact_json.dumps(answer.model_dump()) == (
        '{"from":"2026-11-21","to":"2026-11-22","timezone":"UTC","rows":[],'
        '"credits":[],"refunds":[],"summary":[],"incomplete":false,"processing":{"count":1,"approximate":true}}'
    )


def test_count_reads_every_page_up_to_its_limit(
    repository: PaymentRepository, monkeypatch: Any
) -> None:
    for _ in range(5):
        put(repository)
    query = repository._payments._query
    monkeypatch.setattr(repository._payments, "_query", lambda *a, **how: query(*a, **how, Limit=2))
    assert read(repository).processing.count == 5
    monkeypatch.setattr("chalicelib.payments.repository.MAX_COUNTED", 4)
    assert read(repository).processing.count == 4


def test_a_row_is_written_with_its_currencys_decimals(repository: PaymentRepository) -> None:
    settle(repository, amount="10")
    settle(repository, amount="0.5")
    assert '"volume":10.50}' in exact_json.dumps(read(repository).model_dump())


def test_range_of_days_includes_both_ends_only(
    repository: PaymentRepository,
) -> None:
    days = [DAY + timedelta(days=number) for number in range(-2, 3)]
    for day in days:
        settle(repository, at=START + (day - DAY))
    rows = read(repository, **{"from": "2026-11-21", "to": "2026-11-23"}).rows
    assert [row.day for row in rows] == days[1:4]


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, "2026-10-24", "2026-11-22"),
        ({"to": "2026-03-31"}, "2026-03-02", "2026-03-31"),
        ({"from": "2026-11-20"}, "2026-11-20", "2026-11-22"),
        ({"from": "2026-12-20"}, "2026-12-20", "2026-12-20"),
        ({"to": "0001-01-05"}, "0001-01-01", "0001-01-05"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "9999-12-31", "9999-12-31"),
    ],
)
def test_missing_end_of_a_range_is_filled_in(query: Any, first: str, last: str) -> None:
    found = stats.days_of(validated(ReadStats, query), START)
    assert [day.isoformat() for day in (found[0], found[-1])] == [first, last]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-11-23", "to": "2026-11-22"}, "to"),
        ({"from": "2026-08-22", "to": "2026-11-22"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-30"}, "from"),
        ({"to": "2026-11-22T00:00:00Z"}, "to"),
        ({"until": "2026-11-22"}, "until"),
    ],
)
def test_impossible_range_is_refused_by_name(query: Any, field: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        stats.days_of(validated(ReadStats, query), START)
    assert [error.field for error in refusal.value.errors] == [field]


def test_totals_equal_a_recount_of_the_list(
    payments: Payments,
) -> None:
    for number in range(30):
        created = payments.create(command(amount=f"{number + 1}.10"), actor=TEST)
        if number % 5:
            payments.settle(created.resource_id)
    listed = list_payments(payments.repository, ListPayments(limit=100)).payments
    answer = read(payments.repository)
    assert answer.rows == recounted(Life(payment) for payment in listed)
    assert answer.processing.count == 6


def test_total_that_this_version_cannot_read_hides_no_other(
    repository: PaymentRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(repository)
    shard = items.totals_partition(0)
    broken: list[Item] = [
        {"SK": f"{DAY}#CAD#pigeon#completed", "count": 1, "volume": Decimal(1)},
        {"SK": f"{DAY}#CAD#eft#failed", "volume": Decimal(1)},
        {"SK": f"{DAY}#USD#eft#failed", "count": "one", "volume": Decimal(1)},
        {"SK": f"{DAY}", "count": 1, "volume": Decimal(1)},
    ]
    table = repository._payments
    table.transact("broken", *(table.put_if_absent({"PK": shard} | row) for row in broken))
    (row,) = read(repository).rows
    assert (row.count, row.volume) == (1, Decimal("12.50"))
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    unread = [line["SK"] for line in said if line.get("kind") == "row_unreadable"]
    assert sorted(unread) == sorted(str(row["SK"]) for row in broken)
