"""Refunds, cancels and returns, many at once on the real stack: whoever wins, the money adds up."""

import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.errors import PayFlowError
from chalicelib.messages import SettleRefund, encode
from chalicelib.payments.commands import SimulateReturn
from chalicelib.payments.facts import Returned
from chalicelib.payments.models import Status
from chalicelib.payments.service import Payments
from chalicelib.values import Actor
from tests.conftest import (
    TEST,
    command,
    refund_command,
    refunds_beside,
    stored_events,
    stored_refund,
    stored_refunds,
)
from tests.engines import wait_until
from tests.http_client import Reply
from tests.stack.conftest import Client, Stack, request, rows
from tests.stack.test_http import assert_invalid, assert_problem
from tests.stack.test_races import assert_made, at_once, is_empty

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


def paid(client: Client, amount: Any = 100, **metadata: str) -> str:
    """A completed payment."""
    fields = request(amount=amount, metadata={"simulate": "completed"} | metadata)
    payment_id: str = client.post(fields).json["id"]
    client.settled(payment_id)
    return payment_id


def refund(client: Client, payment_id: str, **fields: Any) -> Reply:
    body = {"idempotency_key": request()["idempotency_key"]} | fields
    return client.post_until_answered(body, path=f"/v1/payments/{payment_id}/refunds")


def events(client: Client, payment_id: str) -> Any:
    reply = client.get(f"/v1/payments/{payment_id}/events")
    assert reply.status == 200, reply
    events = reply.json["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return events


def test_fifty_concurrent_refunds_of_30_on_100_leave_10(client: Client) -> None:
    payment_id = paid(client, simulate_refund="pending")
    replies = at_once(50, lambda: refund(client, payment_id, amount=30))
    assert_made(replies, 3, others={422: 47})
    for reply in replies:
        if reply.status not in {200, 201}:
            assert_problem(reply, 422, "refund_exceeds_payment")
    assert client.payment(payment_id)["amount_refunded"] == 90
    assert refund(client, payment_id).json["amount"] == 10
    assert [event["data"].get("amount_refunded") for event in events(client, payment_id)] == [
        None,
        None,
        30,
        60,
        90,
        100,
    ]


def test_fifty_concurrent_refunds_with_one_key_create_one(
    client: Client,
) -> None:
    payment_id = paid(client)
    replies = at_once(50, lambda: refund(client, payment_id, idempotency_key="all-of-it"))
    assert_made(replies, 1, others={200: 49})
    assert len({reply.body for reply in replies}) == 1
    again = refund(client, payment_id, idempotency_key="all-of-it")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    other = refund(client, payment_id, idempotency_key="all-of-it", amount=1)
    assert_problem(other, 422, "idempotency_key_reused")
    assert len(client.get(f"/v1/payments/{payment_id}/refunds").json["refunds"]) == 1


def settled_refunds(client: Client, payment_id: str) -> Any:
    def all_settled() -> Any:
        refunds = client.get(f"/v1/payments/{payment_id}/refunds").json["refunds"]
        return refunds if all(one["status"] != "processing" for one in refunds) else None

    return wait_until(all_settled, "the refunds are settled")


def test_refund_is_settled_once_in_any_number_and_order_of_messages(
    client: Client, sqs: "SQSClient", stack: Stack
) -> None:
    payment_id = paid(client)
    made = [refund(client, payment_id, amount=10).json["id"] for _ in range(5)]
    messages = [encode(SettleRefund(payment_id, refund_id)) for refund_id in reversed(made * 4)]
    for start in (0, 10):
        sqs.send_message_batch(
            QueueUrl=stack.local.queue_url,
            Entries=[
                {"Id": str(index), "MessageBody": body}
                for index, body in enumerate(messages[start : start + 10])
            ],
        )
    refunds = settled_refunds(client, payment_id)
    wait_until(lambda: is_empty(sqs, stack.local.queue_url), "the queue is empty")
    assert settled_refunds(client, payment_id) == refunds
    told = Counter(event["type"] for event in events(client, payment_id))
    ends = Counter(f"refund.{one['status']}" for one in refunds)
    assert told == ends + Counter({"payment.created": 1, "payment.completed": 1}) + Counter(
        {"refund.created": 5}
    )
    back = sum(one["amount"] for one in refunds if one["status"] == "completed")
    assert client.payment(payment_id)["amount_refunded"] == back


def test_a_refund_that_fails_can_be_made_again(client: Client) -> None:
    payment_id = paid(client, simulate_refund="failed:account_closed")
    for _ in range(2):
        assert refund(client, payment_id, amount="100.00").status == 201
        *_, last = settled_refunds(client, payment_id)
        assert (last["status"], last["failure_code"]) == ("failed", "account_closed")
        assert client.payment(payment_id)["amount_refunded"] == 0


def code_of(action: Any) -> str:
    try:
        action()
    except PayFlowError as error:
        return error.code
    return "done"


def completed(payments: Payments) -> str:
    """Without the stack's worker, for races that a round trip would take the sting out of."""
    wishes = {"simulate": "completed", "simulate_refund": "pending"}
    created = payments.create(command(amount="100", metadata=wishes), actor=TEST)
    payments.settle(created.resource_id)
    return created.resource_id


def test_refund_against_a_return_is_refused_or_fails_for_it(payments: Payments) -> None:
    refunds = refunds_beside(payments)
    for number in range(12):
        payment_id = completed(payments)
        turns = iter(range(number % 6, number % 6 + 6))  # the return starts at another place

        def race(payment_id: str = payment_id, turns: Any = turns) -> str:
            if next(turns) % 6 == 5:
                return "return: " + code_of(
                    lambda: payments.simulate_return(
                        payment_id, SimulateReturn(), actor=Actor("bank")
                    )
                )
            return code_of(
                lambda: refunds.create(payment_id, refund_command(amount="30"), actor=TEST)
            )

        found = Counter(at_once(6, race))
        payment = payments.get(payment_id)
        made = stored_refunds(payments.repository, payment_id)
        assert found["return: done"] == 1
        assert (payment.status, payment.amount_returned) == (Status.RETURNED, payment.amount)
        assert found["done"] == len(made) <= 3
        assert payment.amount_refunded == 30 * len(made)
        for refund in made:
            refunds.settle(payment_id, refund.id)
            settled = stored_refund(payments.repository, payment_id, refund.id)
            assert (settled.status, settled.failure_code) == ("failed", "payment_returned")
        assert payments.get(payment_id).amount_refunded == 0


def test_refund_that_begins_while_its_payment_is_returned_is_sent_or_fails(
    payments: Payments,
) -> None:
    refunds = refunds_beside(payments)
    for number in range(12):
        payment_id = completed(payments)
        created = refunds.create(payment_id, refund_command(amount="30"), actor=TEST)
        turns = iter(range(number % 2, number % 2 + 2))

        def race(
            payment_id: str = payment_id, refund_id: str = created.resource_id, turns: Any = turns
        ) -> None:
            if next(turns) % 2:
                payments.record(payment_id, Returned("901"))
            else:
                refunds.settle(payment_id, refund_id)  # its bank never decides

        at_once(2, race)
        refund = stored_refund(payments.repository, payment_id, created.resource_id)
        assert payments.get(payment_id).status is Status.RETURNED
        assert (refund.status, refund.is_waiting) in {("processing", False), ("failed", False)}


@pytest.mark.parametrize("head_start_ms", [0, 1, 2, 3, 4])
def test_cancel_against_the_worker_has_one_winner(payments: Payments, head_start_ms: int) -> None:
    for _ in range(6):
        created = payments.create(command(metadata={"simulate": "completed"}), actor=TEST)
        payment_id = created.resource_id

        def settle(payment_id: str = payment_id) -> str:
            time.sleep(head_start_ms / 1000)  # a cancel reads before it writes; the worker does not
            return code_of(lambda: payments.settle(payment_id))

        def cancel(payment_id: str = payment_id) -> str:
            return code_of(lambda: payments.cancel(payment_id, actor=TEST))

        turns = iter([settle, cancel])
        found = Counter(at_once(2, lambda: next(turns)()))  # noqa: B023 (done in this turn)
        status = payments.get(payment_id).status
        lost = "payment_not_cancelable"
        assert found == ({"done": 2} if status is Status.CANCELED else {"done": 1, lost: 1})
        assert [event.type for event in stored_events(payments.repository, payment_id)] == [
            "payment.created",
            f"payment.{status}",
        ]


def test_payment_can_be_canceled_once_until_it_is_submitted(
    client: Client, payments: Payments, dynamodb: "DynamoDBClient"
) -> None:
    for _ in range(5):
        created = payments.create(command(), actor=TEST).resource_id
        path = f"/v1/payments/{created}/cancel"
        canceled = client.request("POST", path)
        if canceled.status == 200:  # no worker reads its message, but the sweeper may be early
            break
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    assert client.request("POST", path).body == canceled.body, "a repeat finds it canceled"
    submitted = client.post(request(metadata={"simulate": "pending"})).json["id"]
    wait_until(lambda: "submittedAt" in rows(dynamodb, submitted)["PAYMENT"], "it is submitted")
    path = f"/v1/payments/{submitted}/cancel"
    assert_problem(client.request("POST", path), 409, "payment_not_cancelable")


def test_return_has_its_code_and_takes_the_whole_amount(client: Client) -> None:
    payment_id = paid(client, amount="100.10", simulate_refund="completed")
    assert refund(client, payment_id, amount="30.05").status == 201
    settled_refunds(client, payment_id)
    path = f"/v1/payments/{payment_id}/simulate_return"
    assert_invalid(client.post({"code": "R01"}, path=path), "code")
    returned = client.post({"code": "905"}, path=path)
    assert returned.status == 200
    assert (returned.json["status"], returned.json["failure_code"]) == ("returned", "905")
    assert returned.json["amount_refunded"] == Decimal("30.05")
    assert returned.json["amount_returned"] == Decimal("100.10")
    assert (returned.json["bank_code"], returned.json["return_reason"]) == ("905", "account_closed")
    assert client.post({"code": "905"}, path=path).json == returned.json
    assert_problem(client.post({}, path=path), 409, "payment_not_returnable")
    assert_problem(refund(client, payment_id), 409, "payment_not_refundable")
    assert events(client, payment_id)[-1]["data"] == {
        "status": "returned",
        "completed_at": returned.json["completed_at"],
        "failure_code": "905",
        "bank_code": "905",
        "amount_refunded": Decimal("30.05"),
        "amount_returned": Decimal("100.10"),
    }


def test_returned_refund_can_be_made_again(client: Client) -> None:
    payment_id = paid(client, simulate_refund="completed")
    refund_id = refund(client, payment_id).json["id"]
    settled_refunds(client, payment_id)
    path = f"/v1/payments/{payment_id}/simulate_refund_return"
    assert_invalid(client.post({}, path=path), "refund_id")
    unknown = {"refund_id": "REF-01M82Y8T27997E9EYD0G6SK6MT"}
    assert_invalid(client.post(unknown, path=path), "refund_id")
    for _ in range(2):
        returned = client.post({"refund_id": refund_id}, path=path)
        assert (returned.status, returned.json["status"]) == (200, "returned")
    assert returned.json["bank_code"] == "902"
    assert client.payment(payment_id)["amount_refunded"] == 0
    assert refund(client, payment_id, amount="100.00").status == 201


def test_credit_is_paid_out_and_not_refunded(client: Client) -> None:
    fields = request(direction="credit", metadata={"simulate": "completed"})
    payment_id = client.post(fields).json["id"]
    assert client.settled(payment_id)["direction"] == "credit"
    assert_problem(refund(client, payment_id), 409, "payment_not_refundable")
    returned = client.post({}, path=f"/v1/payments/{payment_id}/simulate_return")
    assert (returned.json["status"], returned.json["bank_code"]) == ("returned", "902")


def test_expected_outcome_is_shown_and_comes(client: Client) -> None:
    fields = request(metadata={"simulate": "submitted:3600"})
    payment_id = client.post(fields).json["id"]
    wait_until(lambda: client.payment(payment_id)["expected_at"] is not None, "it is submitted")
    assert client.payment(payment_id)["status"] == "processing"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": "1e400"}, "amount"),
        ({"reason": 7}, "reason"),
        ({"idempotency_key": "short"}, "idempotency_key"),
        ({"currency": "CAD"}, "currency"),
    ],
)
def test_a_bad_field_of_a_refund_is_refused_by_name(
    client: Client, payments: Payments, fields: Any, field: str
) -> None:
    payment_id = payments.create(command(), actor=TEST).resource_id
    assert_invalid(refund(client, payment_id, **fields), field)


@pytest.mark.parametrize("payment_id", ["PAY-01M82Y8T27997E9EYD0G6SK6MT", "x", "%00", "P" * 3000])
def test_every_route_of_an_unknown_payment_is_404(client: Client, payment_id: str) -> None:
    path = f"/v1/payments/{payment_id}"
    for reply in (
        client.request("POST", f"{path}/cancel"),
        client.post({"idempotency_key": "one-refund"}, path=f"{path}/refunds"),
        client.get(f"{path}/refunds"),
        client.get(f"{path}/events"),
        client.post({}, path=f"{path}/simulate_return"),
    ):
        assert_problem(reply, 404, "not_found")
