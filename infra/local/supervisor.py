"""Start the stack's processes in order, watch them, and stop all of them.

Guarantee: however this process ends, no process of the stack outlives it (lifeline.py). On Ctrl-C
or SIGTERM the engines stop last, with the data on disk.
"""

import fcntl
import http.client
import importlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from chalicelib import config
from infra import ROOT
from infra.local import dynamodb_local, emulator, webhook_receiver
from infra.local.lifeline import Stop
from infra.local.settings import HOST, Local, SetupError

_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.05
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process:
    """One child process; its output goes to a log file."""

    def __init__(
        self, name: str, module: str, env: Mapping[str, str], local: Local, *, consequence: str = ""
    ) -> None:
        self.name = name
        self._consequence = consequence
        self._log = local.log_of(module)
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603 (our own modules)
                [sys.executable, "-m", module],
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.PIPE,  # its lifeline
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone
            )

    def begin(self) -> None:
        """Let a process begin that waits to. If it has ended, `check` finds that."""
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):
            self._popen.stdin.write(b"\n")
            self._popen.stdin.flush()

    def check(self) -> None:
        """Raises SetupError when the process has ended."""
        code = self._popen.poll()
        if code is not None:
            raise SetupError(
                f"{self.name} has stopped (exit code {code}); its output is in {self._log}. "
                f"{self._consequence}".rstrip()
            )

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL if it does not end."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def run(local: Local) -> None:
    """Run the stack until a signal arrives. Raises SetupError."""
    stop = Stop(*_SIGNALS)
    with _sole_owner(local), ExitStack() as stack:
        for variable, port in local.ports.items():
            if variable != "PAYFLOW_DASHBOARD_PORT" or local.serves_dashboard:
                _check_free(local, variable, port)
        local.logs.mkdir(parents=True, exist_ok=True)
        local.write_aws_config()
        if local.dynamodb_port is not None:
            dynamodb_local.install()  # in the developer's environment: npm may need its proxy
        local.enter_environment()
        processes = _start(local, stack, stop)
        if not stop.is_set():
            print(_welcome(local), flush=True)
        while not stop.wait(_LOOK_SECONDS):
            for process in processes:
                process.check()
        print("\nStopping. The data stays.", flush=True)


def reset(local: Local) -> None:
    """Remove tables, queues, logs and the receiver's secrets. Raises SetupError while it runs."""
    with _sole_owner(local):
        for folder in (*local.all_data, webhook_receiver.folder(local), local.logs):
            if folder.exists():
                shutil.rmtree(folder)
    print("The local stack is empty.")


def check_runs(local: Local) -> None:
    """Raise SetupError if the stack does not run."""
    if not (local.aws_config.exists() and _accepts(local.aws_port)):
        raise SetupError(f"No stack runs on port {local.aws_port}. Start it with `make run`.")


def _start(local: Local, stack: ExitStack, stop: Stop) -> list[Process]:
    """Start each process once those it needs are ready; `stack` stops them in reverse order."""
    env = dict(os.environ)
    engines = _start_engines(local, stack, stop)
    if stop.is_set():
        return engines
    with _step("tables and queues", stop), _reporting(engines):
        from infra.local import provision

        env |= provision.table_settings(local)
        # It reads much code before it needs the tables, and serves nobody without them.
        api = Process("The API", "infra.local.server", env, local)
        stack.callback(api.stop)
        provision.provision(local)
        api.begin()
    worker = Process("The worker", "infra.local.worker", env, local)
    stack.callback(worker.stop)
    receiver = Process("The webhook receiver", "infra.local.webhook_receiver", env, local)
    stack.callback(receiver.stop)
    with _step("API and worker", stop):
        _wait_for(api, stop, lambda: _is_healthy(local.api_port))
    with _step("webhook receiver", stop):
        _wait_for(receiver, stop, lambda: _accepts(local.receiver_port))
    pages = [_start_dashboard(local, stack, stop)] if local.serves_dashboard else []
    return [*engines, api, worker, receiver, *pages]


def _start_engines(local: Local, stack: ExitStack, stop: Stop) -> list[Process]:
    """Start the emulated AWS and, if it is the engine, DynamoDB Local."""
    if local.dynamodb_port is None:
        return [_start_emulator(local, "tables", stack, stop)]
    return [
        _start_dynamodb_local(local, local.dynamodb_port, stack, stop),
        _start_emulator(local, "queues and logs", stack, stop),
    ]


def _start_emulator(local: Local, holds: str, stack: ExitStack, stop: Stop) -> Process:
    with _step("emulated AWS", stop):
        aws = Process(
            "The emulated AWS",
            "infra.local.emulator",
            {**os.environ, **emulator.environment(local.aws_port, local.data)},
            local,
            consequence=f"Only a clean stop saves its {holds}: "
            "changes since the last clean stop are lost.",
        )
        stack.callback(aws.stop)
        importlib.import_module("infra.local.provision")  # takes as long as the emulator's start
        _wait_for(aws, stop, lambda: _accepts(local.aws_port))
    return aws


def _start_dynamodb_local(local: Local, port: int, stack: ExitStack, stop: Stop) -> Process:
    with _step("DynamoDB Local", stop):
        engine = Process(
            "DynamoDB Local",
            "infra.local.dynamodb_local",
            dict(os.environ),
            local,
            consequence="All writes but the last one are on disk.",
        )
        stack.callback(engine.stop)
        _wait_for(engine, stop, lambda: _accepts(port))
    return engine


def _start_dashboard(local: Local, stack: ExitStack, stop: Stop) -> Process:
    with _step("dashboard", stop):
        from infra.local import dashboard

        dashboard.build(local)
        pages = Process("The dashboard", "infra.local.dashboard", dict(os.environ), local)
        stack.callback(pages.stop)
        _wait_for(pages, stop, lambda: _accepts(local.dashboard_port))
    return pages


@contextmanager
def _reporting(engines: list[Process]) -> Iterator[None]:
    """Report a dead engine, not the failed call that it caused."""
    try:
        yield
    finally:
        for engine in engines:
            engine.check()


@contextmanager
def _sole_owner(local: Local) -> Iterator[None]:
    """Allow one stack per folder. Raises SetupError."""
    local.state.mkdir(parents=True, exist_ok=True)
    with (local.state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SetupError(
                f"PayFlow already runs from this folder (process {lock.read().strip()}). "
                "Stop it first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _check_free(local: Local, variable: str, port: int) -> None:
    reason = _why_taken(port)
    if reason is not None:
        candidates = itertools.chain(range(port + 1, 65_536), range(1024, port))
        free = next(
            other
            for other in candidates
            if other not in local.ports.values() and _why_taken(other) is None
        )
        raise SetupError(
            f"Port {port} cannot be used ({reason}). Choose another: {variable}={free} make run"
        )


def _why_taken(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _wait_for(process: Process, stop: Stop, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not (stop.is_set() or is_ready()):
        process.check()
        if time.monotonic() > deadline:
            raise SetupError(f"{process.name} did not get ready in {_START_SECONDS} s.")
        stop.wait(_LOOK_SECONDS)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/v1/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def _step(what: str, stop: Stop) -> Iterator[None]:
    print(f"  {what} …", end="", flush=True)
    started = time.monotonic()
    yield
    state = "stopped" if stop.is_set() else "ready"
    print(f" {state} ({time.monotonic() - started:.1f} s)", flush=True)


def _welcome(local: Local) -> str:
    # A new key at every start: the command creates a payment, not a replay.
    key = time.strftime("try-%Y%m%d-%H%M%S")
    is_open = config.from_environment().key_required is False
    access = (
        "OPEN: any caller may do anything (PAYFLOW_AUTH=required asks for API keys)."
        if is_open
        else "closed: callers need an API key (make key NAME=me SCOPES=admin)."
    )
    bearer = "" if is_open else " \\\n    -H 'Authorization: Bearer <your key>'"
    pages = f"  Dashboard  {local.dashboard_url}\n" if local.serves_dashboard else ""
    emulated, tables = "DynamoDB, SQS", ""
    if local.dynamodb_port is not None:
        emulated = "SQS and everything but DynamoDB"
        tables = f"  DynamoDB   {local.dynamodb_url}  (AWS's DynamoDB Local{_exposure()})\n"
    return f"""
PayFlow is up, and {access}

{pages}  API        {local.api_url}/v1/health
  Webhooks   {local.receiver_url}  (a merchant's server: receives and shows webhooks)
  AWS        {local.aws_url}  (emulated: {emulated})
{tables}  Logs       {local.logs}

Try it:

  curl -sS {local.api_url}/v1/payments -H 'Content-Type: application/json'{bearer} \\
    -d '{{"merchant": "Northern Lights Coffee", "amount": 12.50, "currency": "CAD",
         "type": "eft", "idempotency_key": "{key}"}}'

Ctrl-C stops it and keeps the data; `make reset` empties it.
"""


def _exposure() -> str:
    if dynamodb_local.is_restricted_to_this_machine():
        return ""
    return ": OPEN to the network; Java 17 or 21 restricts it to this machine"
