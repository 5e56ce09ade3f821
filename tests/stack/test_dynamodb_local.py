"""The local stack on AWS's own DynamoDB Local: whom it serves, and what a kill costs."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from tests.engines import ROOT, free_port, wait_until
from tests.stack.conftest import Stack, events, request
from tests.stack.test_lifecycle import any_alive, assert_sentence, run

ENGINE = {"PAYFLOW_DYNAMODB": "dynamodb-local"}


@pytest.fixture(scope="module")
def on_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("dynamodb-local"), **ENGINE)
    try:
        stack.wait_until_up()
        yield stack
    finally:
        stack.stop()


def test_engine_sends_no_telemetry_and_stores_no_id(on_it: Stack) -> None:
    assert not (ROOT / "dynamodb-local-metadata.json").exists()


def ask(port: int | None, sender: str) -> bytes:
    """The first bytes of its answer to a request from this address of the machine's own."""
    assert port is not None
    with socket.create_connection(
        ("127.0.0.1", port), timeout=10, source_address=(sender, 0)
    ) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(8)
        except ConnectionError:
            return b""


def test_engine_answers_127_0_0_1_only(on_it: Stack) -> None:
    port = on_it.local.dynamodb_port
    assert ask(port, "127.0.0.1") == b"HTTP/1.1"
    assert [ask(port, f"127.0.0.{number}") for number in range(2, 6)] == [b""] * 4
    assert ask(port, "127.0.0.1") == b"HTTP/1.1", "it has not minded"


def test_any_client_reaches_the_tables_with_the_printed_settings(
    on_it: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(on_it.local.aws_config))
    session = boto3.Session()
    assert session.client("dynamodb").meta.endpoint_url == on_it.local.dynamodb_url
    assert session.client("sqs").meta.endpoint_url == on_it.local.aws_url
    payment_id = on_it.client.post(request()).json["id"]
    assert events(session.client("dynamodb"), payment_id)[0] == "payment.created"


def test_engine_tables_have_the_ttl_of_the_template(on_it: Stack) -> None:
    ttl = on_it.aws("dynamodb").describe_time_to_live(TableName="payflow-idempotency-local")
    description = ttl["TimeToLiveDescription"]
    assert (description["AttributeName"], description["TimeToLiveStatus"]) == (
        "expiresAt",
        "ENABLED",
    )


def test_killed_engine_loses_its_last_write_at_most(
    tmp_path: Path,
) -> None:
    """It answers a moment before it commits, one write after the other."""
    first = Stack(tmp_path, **ENGINE)
    first.wait_until_up()
    processes = first.descendants()
    acknowledged: list[str] = []
    enough = threading.Event()

    def keep_paying() -> None:
        while True:
            try:
                reply = first.client.post(request())
            except OSError:  # the API is gone too
                return
            if reply.status == 201:
                acknowledged.append(reply.json["id"])
            if len(acknowledged) >= 30:
                enough.set()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(keep_paying)
        assert enough.wait(180)
        first.children()["infra.local.dynamodb_local"].kill()
    wait_until(lambda: first.process.poll() is not None, "the supervisor has ended")
    assert first.stop() == 1
    assert "DynamoDB Local has stopped (exit code -9)" in first.said
    assert "Traceback" not in first.said
    wait_until(lambda: not any_alive(processes), "every process has ended")

    second = Stack(tmp_path, **ENGINE)
    try:
        second.wait_until_up()
        found = [second.client.get(f"/v1/payments/{each}").status for each in acknowledged]
        assert Counter(found)[404] <= 1, found
        assert set(found) <= {200, 404}
    finally:
        second.stop()


def test_killed_emulator_loses_messages_but_no_payment(tmp_path: Path) -> None:
    first = Stack(tmp_path, **ENGINE)
    first.wait_until_up()
    children = first.children()
    children["infra.local.worker"].suspend()  # so the messages stay in the queue
    made = [first.client.post(request()).json["id"] for _ in range(5)]
    children["infra.local.emulator"].kill()
    children["infra.local.worker"].resume()
    wait_until(lambda: first.process.poll() is not None, "the supervisor has ended")
    first.stop()
    second = Stack(tmp_path, **ENGINE)
    try:
        second.wait_until_up()
        for payment_id in made:
            wait_until(
                lambda: second.client.payment(payment_id)["status"] != "processing",  # noqa: B023
                f"the sweeper has brought {payment_id} home",
                seconds=150,  # its windows double: the longer the start took, the longer this
            )
    finally:
        second.stop()


def test_each_engine_has_its_own_data_and_reset_empties_both(tmp_path: Path) -> None:
    def payments_on(engine: str, *made: str) -> list[str]:
        stack = Stack(tmp_path, PAYFLOW_DYNAMODB=engine)
        try:
            stack.wait_until_up()
            for merchant in made:
                stack.client.settled(stack.client.post(request(merchant=merchant)).json["id"])
            listed = stack.client.get("/v1/payments").json["payments"]
            return [payment["merchant"] for payment in listed]
        finally:
            stack.stop()

    assert payments_on("dynamodb-local", "Here") == ["Here"]
    assert payments_on("emulated", "There") == ["There"]
    assert payments_on("dynamodb-local") == ["Here"]
    assert run(tmp_path, "reset").returncode == 0
    assert payments_on("dynamodb-local") == []
    assert payments_on("emulated") == []


def test_unknown_engine_is_a_plain_message(tmp_path: Path) -> None:
    ended = run(tmp_path, PAYFLOW_DYNAMODB="dynamo")
    assert_sentence(ended, "PAYFLOW_DYNAMODB is 'dynamo'", "emulated", "dynamodb-local")


def test_missing_java_is_a_plain_message_and_leaves_nothing(tmp_path: Path) -> None:
    assert_sentence(run(tmp_path, **ENGINE, PATH=str(tmp_path)), "needs Java", "PAYFLOW_DYNAMODB")


def test_port_of_the_engine_is_checked_like_the_others(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run(tmp_path, **ENGINE, PAYFLOW_DYNAMODB_PORT=port)
    assert_sentence(ended, port, "PAYFLOW_DYNAMODB_PORT=", "make run")
    same = str(free_port())
    ended = run(tmp_path, **ENGINE, PAYFLOW_DYNAMODB_PORT=same, PAYFLOW_API_PORT=same)
    assert_sentence(ended, f"PAYFLOW_DYNAMODB_PORT={same}", f"PAYFLOW_API_PORT={same}")
