"""What fails between two steps is made good, and no caller is kept waiting for it."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from chalicelib.payments.service import Payments, new_payment
from tests.conftest import TEST, command
from tests.engines import free_port, wait_until
from tests.iam import NO_SUCH_QUEUE
from tests.payments.test_repository import record_for
from tests.stack.conftest import Client, Stack, events, now, request

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CALLERS_PATIENCE_SECONDS = 10


@contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Accepts connections and never answers; the event is set once somebody has sent something."""
    asked = threading.Event()
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            threading.Thread(target=hear, args=(connection,), daemon=True).start()

    def hear(connection: socket.socket) -> None:
        try:
            if connection.recv(1):
                asked.set()
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for connection in kept:
                connection.close()


def assert_brought_home(client: Client, dynamodb: "DynamoDBClient", payment_id: str) -> None:
    """The sweeper's message arrives, and the payment is settled once."""
    assert client.settled(payment_id)["status"] in {"completed", "failed"}
    assert len(events(dynamodb, payment_id)) == 2


def assert_created_in_time_and_brought_home(
    faulty: Client, client: Client, dynamodb: "DynamoDBClient"
) -> None:
    fields = request()
    started = time.monotonic()
    reply = faulty.post(fields)
    waited = time.monotonic() - started
    assert reply.status == 201
    # Not a budget but the promise itself: a queue that hangs must not make the caller hang.
    assert waited < CALLERS_PATIENCE_SECONDS
    assert reply.json["status"] == "processing"
    assert_brought_home(client, dynamodb, reply.json["id"])
    assert faulty.post(fields).body == reply.body


def test_a_queue_that_refuses_does_not_stop_a_payment(
    stack: Stack, client: Client, dynamodb: "DynamoDBClient"
) -> None:
    with stack.another_api(AWS_ENDPOINT_URL_SQS=f"http://127.0.0.1:{free_port()}") as (faulty, _):
        assert_created_in_time_and_brought_home(faulty, client, dynamodb)


def test_a_queue_that_never_answers_does_not_stop_a_payment(
    stack: Stack, client: Client, dynamodb: "DynamoDBClient"
) -> None:
    with (
        silent_server() as (silent, _),
        stack.another_api(AWS_ENDPOINT_URL_SQS=silent) as (faulty, _),
    ):
        assert_created_in_time_and_brought_home(faulty, client, dynamodb)


def test_a_queue_that_is_gone_does_not_stop_a_payment(
    stack: Stack, client: Client, dynamodb: "DynamoDBClient"
) -> None:
    gone = f"{stack.local.aws_url}/000000000000/{NO_SUCH_QUEUE}"
    with stack.another_api(PAYFLOW_WEBHOOK_QUEUE_URL=gone) as (faulty, _):
        assert_created_in_time_and_brought_home(faulty, client, dynamodb)


def test_process_killed_between_commit_and_enqueue_loses_nothing(
    stack: Stack, client: Client, dynamodb: "DynamoDBClient"
) -> None:
    fields = request()
    with (
        silent_server() as (silent, asked),
        stack.another_api(AWS_ENDPOINT_URL_SQS=silent) as (faulty, process),
    ):

        def post_to_the_doomed() -> None:
            with pytest.raises(OSError):  # noqa: PT011 (however a killed peer shows)
                faulty.post(fields)

        caller = threading.Thread(target=post_to_the_doomed)
        caller.start()
        assert asked.wait(30), "the message is being sent, so the payment is committed"
        os.kill(process.pid, signal.SIGKILL)
        caller.join()
    again = client.post(fields)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert_brought_home(client, dynamodb, again.json["id"])


def test_outage_of_the_database_is_503_with_retry_after(stack: Stack) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with stack.another_api(AWS_ENDPOINT_URL_DYNAMODB=nowhere) as (faulty, _):
        replies = [
            faulty.post(request()),
            faulty.get("/v1/payments"),
            faulty.get("/v1/payments?status=failed"),
            faulty.get("/v1/payments/PAY-01M82Y8T27997E9EYD0G6SK6MT"),
            faulty.get("/v1/health?deep=1"),
        ]
        for reply in replies:
            assert (reply.status, reply.json["code"]) == (503, "unavailable")
            assert int(reply.headers["Retry-After"]) > 0
            assert b"Traceback" not in reply.body
        assert faulty.get("/v1/health").status == 200


def test_without_a_queue_deep_health_is_503(stack: Stack) -> None:
    with stack.another_api(AWS_ENDPOINT_URL_SQS=f"http://127.0.0.1:{free_port()}") as (faulty, _):
        assert faulty.get("/v1/health?deep=1").status == 503


def test_killed_worker_leaves_its_work_to_the_next_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("killed-worker")
    first = Stack(state)
    try:
        first.wait_until_up()
        payment_id = first.client.post(request(metadata={"simulate": "slow:3"})).json["id"]
        wait_until(lambda: _is_submitted(first, payment_id), "the worker marked it as submitted")
        first.children()["infra.local.worker"].kill()
        wait_until(lambda: first.process.poll() is not None, "the stack has noticed")
    finally:
        assert first.stop() != 0
    assert "The worker has stopped (exit code -9)" in first.said
    second = Stack(state)
    try:
        second.wait_until_up()
        assert second.client.settled(payment_id)["status"] in {"completed", "failed"}
        assert len(events(second.aws("dynamodb"), payment_id)) == 2
    finally:
        second.stop()


def _is_submitted(stack: Stack, payment_id: str) -> bool:
    item = stack.aws("dynamodb").get_item(
        TableName="payflow-payments-local",
        Key={"PK": {"S": f"PAY#{payment_id}"}, "SK": {"S": "PAYMENT"}},
    )["Item"]
    return "submittedAt" in item


@pytest.mark.parametrize("amount", ["12.50", "12.00", "100.00", "0.01"])
def test_create_resent_after_a_lost_answer_is_done_once(
    payments: Payments, dynamodb: "DynamoDBClient", amount: str
) -> None:
    at = now()
    change = new_payment(command(amount=amount), at, actor=TEST)
    record = record_for(change, key=f"lost-{change.payment.id}")
    for _ in range(2):  # as botocore does it when the first answer does not come
        payments.repository.create(change, record, at)
    assert payments.get(change.payment.id).amount == change.payment.amount
    assert events(dynamodb, change.payment.id) == ["payment.created"]
