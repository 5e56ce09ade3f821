"""Start, stop and what can go wrong: one command, no process left, data kept, plain sentences."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from infra.local.settings import SetupError, from_environment
from tests.engines import ROOT, accepts, free_port, wait_until
from tests.http_client import Reply
from tests.stack.conftest import A_DEVELOPERS_OWN, Client, Stack, request


def run(state: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m infra.local`, when it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PAYFLOW_STATE_DIR": str(state),
            "PAYFLOW_API_PORT": str(free_port()),
            "PAYFLOW_AWS_PORT": str(free_port()),
            "PAYFLOW_RECEIVER_PORT": str(free_port()),
            "PAYFLOW_DYNAMODB_PORT": str(free_port()),
            **env,
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )


def assert_sentence(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr + ended.stdout
    for word in words:
        assert word in ended.stderr


def any_alive(processes: list[psutil.Process]) -> bool:
    return any(is_alive(process) for process in processes)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # else only its parent is to hear it
    except psutil.NoSuchProcess:
        return False


def test_data_survives_every_stop_until_reset_and_no_process_stays(tmp_path: Path) -> None:
    """Three ends that lose nothing, and a fourth in which the emulated AWS is killed."""
    kept: list[Any] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        stack = started(tmp_path)
        kept = [*still_there(kept, stack), new_payment(stack)]
        processes = stack.descendants()
        assert stack.stop(number) == (-number if number == signal.SIGKILL else 0)
        if number == signal.SIGKILL:  # which gives the supervisor no time to wait for them
            wait_until(lambda gone=processes: not any_alive(gone), "every process has ended")
        assert not any_alive(processes)
        assert not any(accepts(port) for port in stack.ports)
    last = started(tmp_path)
    still_there(kept, last)
    assert_ends_with_its_emulator(last)
    assert run(tmp_path, "reset").returncode == 0
    empty = started(tmp_path)
    try:
        assert empty.client.get("/v1/payments").json["payments"] == []
    finally:
        empty.stop()


def test_client_that_is_earlier_than_the_tables_is_never_told_of_a_fault(tmp_path: Path) -> None:
    stack = Stack(tmp_path)

    def first_answer() -> Reply | None:
        try:
            return stack.client.post(request())
        except OSError:
            return None  # nobody listens yet

    try:
        assert wait_until(first_answer, "the API answers").status == 201
    finally:
        stack.stop()


def started(state: Path) -> Stack:
    stack = Stack(state)
    stack.wait_until_up()
    names = {"emulator", "server", "worker", "webhook_receiver"}
    if stack.local.dynamodb_port is not None:
        names.add("dynamodb_local")
    assert set(stack.children()) == {f"infra.local.{name}" for name in names}
    return stack


def new_payment(stack: Stack) -> Any:
    return stack.client.settled(stack.client.post(request()).json["id"])


def still_there(payments: list[Any], stack: Stack) -> list[Any]:
    assert [stack.client.payment(payment["id"]) for payment in payments] == payments
    return payments


def assert_ends_with_its_emulator(stack: Stack) -> None:
    """With a sentence that says so."""
    processes = stack.descendants()
    stack.children()["infra.local.emulator"].kill()
    wait_until(lambda: stack.process.poll() is not None, "the supervisor has ended")
    assert stack.stop() == 1
    assert "The emulated AWS has stopped (exit code -9)" in stack.said
    assert "Traceback" not in stack.said
    assert not any_alive(processes)


@pytest.mark.parametrize(
    "variable", ["PAYFLOW_API_PORT", "PAYFLOW_AWS_PORT", "PAYFLOW_RECEIVER_PORT"]
)
def test_taken_port_is_a_plain_message_with_its_variable(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_sentence(run(tmp_path, **{variable: str(port)}), str(port), variable, "make run")


def test_invalid_setting_is_a_plain_message(tmp_path: Path) -> None:
    assert_sentence(run(tmp_path, PAYFLOW_API_PORT="x"), "PAYFLOW_API_PORT", "port number")


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "٣"])
def test_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PAYFLOW_API_PORT", port)
    with pytest.raises(SetupError, match=r"PAYFLOW_API_PORT.*port number"):
        from_environment()


@pytest.mark.parametrize("seconds", ["x", "0", "-1", "3601"])
def test_invalid_sweep_unit_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("PAYFLOW_SWEEP_UNIT_SECONDS", seconds)
    with pytest.raises(SetupError, match=r"PAYFLOW_SWEEP_UNIT_SECONDS.*seconds, 1 to 3600"):
        from_environment()


def test_emulator_that_dies_during_the_start_is_a_plain_message(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    wait_until(lambda: "infra.local.emulator" in stack.children(), "the emulator is there")
    assert_ends_with_its_emulator(stack)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_during_the_start_stops_the_stack_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    stack = Stack(tmp_path)
    processes = wait_until(stack.descendants, "the first process is there")
    assert stack.stop(number) == 0
    assert "Traceback" not in stack.said
    assert not any_alive(processes)


def test_port_used_twice_is_a_plain_message(tmp_path: Path) -> None:
    ended = run(tmp_path, PAYFLOW_API_PORT="9001", PAYFLOW_AWS_PORT="9001")
    assert_sentence(ended, "PAYFLOW_API_PORT=9001", "PAYFLOW_AWS_PORT=9001", "port of its own")


def test_second_start_in_a_folder_is_a_plain_message(stack: Stack) -> None:
    assert_sentence(run(stack.local.state), "already runs", str(stack.process.pid))
    assert_sentence(run(stack.local.state, "reset"), "already runs")


def operate(stack: Stack, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One of the operator's commands, on the stack's own stage."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=stack.env | env,
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_requeue_without_unfinished_work_enqueues_nothing(stack: Stack) -> None:
    sent = operate(stack, "infra.ops.requeue", "local", "5d")
    assert (sent.returncode, sent.stdout) == (0, "Enqueued 0 messages.\n")


@pytest.mark.parametrize(
    "command",
    [
        ("infra.ops.requeue", "local", "5d"),
        ("infra.ops.key", "local", "--name", "x", "--scopes", "read"),
    ],
)
def test_an_operators_command_says_so_when_no_stack_runs(
    stack: Stack, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Before the first run there is no file that keeps its clients from AWS."""
    for env in ({"PAYFLOW_STATE_DIR": str(tmp_path)}, {"PAYFLOW_AWS_PORT": str(free_port())}):
        assert_sentence(operate(stack, *command, **env), "No stack runs", "make run")


def test_two_stacks_on_different_ports_are_separate(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path)
    try:
        other.wait_until_up()
        fields = request()
        ours, theirs = stack.client.post(fields), other.client.post(fields)
        assert (ours.status, theirs.status) == (201, 201)
        assert other.client.get(f"/v1/payments/{ours.json['id']}").status == 404
    finally:
        other.stop()


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in [psutil.Process(stack.process.pid), *stack.descendants()]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    # DynamoDB Local cannot: test_dynamodb_local shows whom it serves.
    elsewhere = {("0.0.0.0", stack.local.dynamodb_port)}  # noqa: S104
    assert listening - elsewhere == {
        ("127.0.0.1", port) for port in stack.ports if port != stack.local.dynamodb_port
    }


def test_tables_have_the_ttl_of_the_template(stack: Stack) -> None:
    dynamodb: Any = stack.aws("dynamodb")
    ttl = dynamodb.describe_time_to_live(TableName="payflow-idempotency-local")
    assert ttl["TimeToLiveDescription"]["AttributeName"] == "expiresAt"


def test_settings_of_the_shell_do_not_reach_the_stack(stack: Stack) -> None:
    """Every stack of these tests is started among them; that it is up is the proof."""
    assert stack.env.items() >= A_DEVELOPERS_OWN.items()
    assert stack.client.get("/v1/health?deep=1").status == 200


def test_the_allowed_origin_may_be_chosen(stack: Stack) -> None:
    env = stack.local.environment({"PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example"})
    assert env["PAYFLOW_ALLOWED_ORIGIN"] == "https://dashboard.example"


def test_processes_of_the_stack_have_no_reason_to_ask_the_system_for_a_proxy(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS that kills the API's, which are forked: https://github.com/python/cpython/issues/58037"""
    monkeypatch.setattr(os, "environ", stack.local.environment({}))
    assert urllib.request.getproxies_environment(), "else Python asks the system"
    for url in (stack.local.aws_url, "http://localhost:4567"):
        assert urllib.request.proxy_bypass(urlsplit(url).netloc)


def test_chalice_local_works_against_the_same_emulator(tmp_path: Path) -> None:
    # No sweeper replaces a lost message.
    stack = Stack(tmp_path / "state", PAYFLOW_SWEEP_UNIT_SECONDS="3600")
    try:
        stack.wait_until_up()
        _use_chalice_local(stack, tmp_path)
    finally:
        stack.stop()


def _use_chalice_local(stack: Stack, folder: Path) -> None:
    for name in ("app.py", "chalicelib", ".chalice"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".payflow").symlink_to(stack.local.state)
    port = free_port()
    chalice = Path(sys.executable).parent / "chalice"
    process = subprocess.Popen(
        [str(chalice), "local", "--stage", "local", "--no-autoreload", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "chalice local listens")
        created = Client(port).post(request())
        assert created.status == 201
        assert stack.client.settled(created.json["id"])["status"] in {"completed", "failed"}
    finally:
        process.terminate()
        process.wait(60)
