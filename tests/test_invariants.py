"""That the checks see what is wrong: one sound set of books, broken in one place at a time."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.payments.refunds import Refunds
from chalicelib.payments.service import Payments
from chalicelib.webhooks.commands import CreateEndpoint
from tests.conftest import TEST, Clock, command, refund_command, stored_refunds, webhooks_beside
from tests.invariants import (
    broken,
    event_of,
    forgotten,
    read,
    scan,
    steps,
    unsettled,
    untold,
    wrongly_settled,
)


@pytest.fixture
def tables(payments: Payments, refunds: Refunds, clock: Clock) -> tuple[list[Any], list[Any]]:
    """The rows of a payment with two refunds, one of which has failed, and of one endpoint."""
    url = "https://merchant.example/webhooks"
    webhooks_beside(payments).create(CreateEndpoint(url=url), actor=TEST)
    request = command(
        metadata={"simulate": "completed", "simulate_refund": "failed:rejected_by_bank"}
    )
    payment_id = payments.create(request, actor=TEST).resource_id
    payments.settle(payment_id)
    for amount in ("5.00", "2.50"):
        refunds.create(payment_id, refund_command(amount=amount), actor=TEST)
    first, _ = stored_refunds(payments.repository, payment_id)
    refunds.settle(payment_id, first.id)
    repository = payments.repository
    dynamodb = repository._payments._dynamodb
    return (
        [dict(row) for row in scan(dynamodb, repository._payments.name)],
        [dict(row) for row in scan(dynamodb, repository.records._table.name)],
    )


def named(rows: list[Any], start: str) -> Any:
    """The first row whose sort key starts so."""
    return min((row for row in rows if row["SK"].startswith(start)), key=lambda row: row["SK"])


def test_sound_tables_violate_no_invariant(tables: tuple[list[Any], list[Any]]) -> None:
    rows, records = tables
    books = read(rows, records)
    assert broken(books) == []
    assert forgotten(books, [record["response"] for record in records]) == []
    assert wrongly_settled(books) == []
    assert [sentence.split(" ")[-1] for sentence in unsettled(books)] == ["processing"]


def removed(start: str) -> Callable[[list[Any]], None]:
    def change(rows: list[Any]) -> None:
        rows.remove(named(rows, start))

    return change


def with_fields(start: str, **fields: Any) -> Callable[[list[Any]], None]:
    def change(rows: list[Any]) -> None:
        named(rows, start).update(fields)

    return change


def twice(start: str, **fields: Any) -> Callable[[list[Any]], None]:
    def change(rows: list[Any]) -> None:
        rows.append(named(rows, start) | fields)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (removed("PAYMENT"), "half a payment"),
        (removed("EVENT#0000000002"), "changes"),
        (removed("REFUND#"), "refund"),
        (removed("DELIVERY#"), "0 deliveries of"),
        (removed("2026-11-22#CAD#eft#completed"), "totals of"),
        (with_fields("2026-11-22#CAD#eft#completed", count=2), "totals of"),
        (with_fields("PAYMENT", amountRefunded=Decimal(3)), "counted 3.00"),
        (with_fields("PAYMENT", refundable=Decimal(12)), "refundable 12.00"),
        (with_fields("PAYMENT", refundsProcessing=2), "counted 2"),
        (with_fields("PAYMENT", status="failed"), "refunds of a payment that is failed"),
        (with_fields("PAYMENT", version=6), "version 6"),
        (with_fields("PAYMENT", idempotencyKey="another-key"), "remembered under the key"),
        (with_fields("PAYMENT", merchant="Somebody else"), "told merchant"),
        (with_fields("EVENT#0000000003", seq=4), "version"),
        (with_fields("EVENT#0000000001", createdAt="2030-01-01T00:00:00.000000Z"), "out of time"),
        (twice("EVENT#0000000002", SK="EVENT#0000000009"), "events"),
        (twice("DELIVERY#", SK="DELIVERY#EVT-1#EP-1"), "which is no outcome"),
        (with_fields("DELIVERY#", type="payment.failed"), "its delivery payment.failed of"),
        (with_fields("DELIVERY#", state="delivered"), "is delivered, due"),
        (twice("PAYMENT", PK="PAY#another", id="PAY-00000000000000000000000001"), "2 payments of"),
        (
            twice("REFUND#", SK="REFUND#another", id="REF-00000000000000000000000001"),
            "2 refunds of the key",
        ),
    ],
)
def test_each_wrong_row_is_reported(
    tables: tuple[list[Any], list[Any]], change: Callable[[list[Any]], None], said: str
) -> None:
    rows, records = tables
    change(rows)
    assert any(said in sentence for sentence in broken(read(rows, records)))


def test_missing_acknowledged_payment_is_reported(
    tables: tuple[list[Any], list[Any]],
) -> None:
    rows, records = tables
    body = json.loads(named(records_as_rows(records), "create_payment")["response"])
    for told, said in [
        (body | {"id": "PAY-00000000000000000000000001"}, "acknowledged, and lost"),
        (body | {"amount": 99.5}, "told amount"),
    ]:
        (sentence,) = forgotten(read(rows, records), [json.dumps(told)])
        assert said in sentence


def records_as_rows(records: list[Any]) -> list[Any]:
    return [record | {"SK": record["idempotencyKey"]} for record in records]


def test_record_without_its_resource_and_reverse_are_reported(
    tables: tuple[list[Any], list[Any]],
) -> None:
    rows, records = tables
    lost = next(record for record in records if record["idempotencyKey"].startswith("create_pay"))
    others = [record for record in records if record is not lost]
    assert any("0 idempotency records" in one for one in broken(read(rows, others)))
    strange = lost | {"idempotencyKey": "x", "resourceId": "PAY-lost"}
    assert any("and nothing else" in one for one in broken(read(rows, [*records, strange])))


def test_delivery_that_disagrees_with_the_merchant_is_reported(
    tables: tuple[list[Any], list[Any]],
) -> None:
    rows, records = tables
    books = read(rows, records)
    assert untold(books, set()) == []
    assert len(untold(books, {event_of(named(rows, "DELIVERY#"))})) == 1


def test_change_of_a_final_status_is_reported(tables: tuple[list[Any], list[Any]]) -> None:
    rows, _ = tables
    (before,) = read(rows).lives.values()
    assert list(steps(before, before)) == []
    named(rows, "PAYMENT").update(status="processing")
    named(rows, "REFUND#").update(status="refund_completed")
    (after,) = read(rows).lives.values()
    said = list(steps(before, after))
    assert "from completed to processing" in said[0]
    assert "from failed to completed" in said[1]


def test_change_of_a_settled_refund_is_reported(tables: tuple[list[Any], list[Any]]) -> None:
    rows, _ = tables
    (before,) = read(rows).lives.values()
    named(rows, "REFUND#").update(amount=Decimal("4.00"))
    (after,) = read(rows).lives.values()
    (said,) = steps(before, after)
    assert "failed, and yet it became" in said


def test_settled_pending_payment_is_reported(
    tables: tuple[list[Any], list[Any]],
) -> None:
    rows, _ = tables
    named(rows, "PAYMENT")["metadata"] = {"simulate": "pending"}
    (sentence,) = wrongly_settled(read(rows))
    assert "asked for pending, and is completed" in sentence
