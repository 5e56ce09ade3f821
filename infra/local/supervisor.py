"""Starts the stack's processes in order, watches them, and ends every one of them.

Guarantee: whichever way this process goes, no process of the stack outlives it (lifeline.py),
and on Ctrl-C or SIGTERM the emulator is the last to stop, with the data on disk.
"""

import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from infra.local import emulator, provision
from infra.local.settings import HOST, ROOT, Local, SetupError

_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.05
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process:
    """One child; what it prints goes to a log file."""

    def __init__(self, name: str, module: str, env: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self._log = logs / f"{module.rpartition('.')[2]}.log"
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

    def check(self) -> None:
        """Raises SetupError when the process has ended."""
        code = self._popen.poll()
        if code is not None:
            raise SetupError(
                f"{self.name} has stopped (exit code {code}); its last words are in {self._log}."
            )

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if it does not listen."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def run(local: Local) -> None:
    """Run the stack until a signal comes. Raises SetupError."""
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    with _sole_owner(local), ExitStack() as stack:
        _check_free("PAYFLOW_API_PORT", local.api_port)
        _check_free("PAYFLOW_AWS_PORT", local.aws_port)
        processes = _start(local, stack, stop)
        if not stop.is_set():
            print(_welcome(local), flush=True)
        while not stop.wait(_LOOK_SECONDS):
            for process in processes:
                process.check()
        print("\nStopping; the data stays.", flush=True)


def reset(local: Local) -> None:
    """Remove the tables, the queues and the logs. Raises SetupError while the stack runs."""
    with _sole_owner(local):
        for folder in (local.state / "aws", local.logs):
            shutil.rmtree(folder, ignore_errors=True)
    print("The local stack is empty.")


def _start(local: Local, stack: ExitStack, stop: threading.Event) -> list[Process]:
    """Each process when the one that it needs is ready; `stack` stops them the other way round."""
    local.logs.mkdir(parents=True, exist_ok=True)
    local.write_aws_config()
    env = local.environment()
    processes: list[Process] = []

    def start(name: str, module: str, more: dict[str, str]) -> Process:
        process = Process(name, module, env | more, local.logs)
        stack.callback(process.stop)
        processes.append(process)
        return process

    with _step("emulated AWS"):
        aws = start(
            "The emulated AWS",
            "infra.local.emulator",
            emulator.environment(local.aws_port, local.state),
        )
        _wait_for(aws, stop, lambda: _accepts(local.aws_port))
    with _step("tables and queues"):
        if not stop.is_set():
            provision.provision(local)
    with _step("API and worker"):
        api = start("The API", "infra.local.server", {"PAYFLOW_API_PORT": str(local.api_port)})
        worker = start("The worker", "infra.local.worker", {})
        _wait_for(api, stop, lambda: _is_healthy(local.api_port))
        worker.check()
    return processes


@contextmanager
def _sole_owner(local: Local) -> Iterator[None]:
    """One stack a folder. Raises SetupError."""
    local.state.mkdir(parents=True, exist_ok=True)
    with (local.state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SetupError(
                f"PayFlow already runs from this folder (process {lock.read().strip()}); "
                "stop it first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _check_free(variable: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SetupError(
                f"Port {port} cannot be used ({error.strerror}). "
                f"Choose another: {variable}={port + 1 if port < 65535 else port - 1} make run"
            ) from error


def _wait_for(process: Process, stop: threading.Event, is_ready: Callable[[], bool]) -> None:
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
        connection.request("GET", "/v1/health?deep=1")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def _step(what: str) -> Iterator[None]:
    print(f"  {what} …", end="", flush=True)
    started = time.monotonic()
    yield
    print(f" ready ({time.monotonic() - started:.1f} s)", flush=True)


def _welcome(local: Local) -> str:
    # A new key at every start: the command makes a payment, not a replay.
    key = time.strftime("try-%Y%m%d-%H%M%S")
    return f"""
PayFlow is up, and open to everyone on this machine.

  API    {local.api_url}/v1/health
  AWS    {local.aws_url}  (emulated: DynamoDB, SQS)
  Logs   {local.logs}

Try it:

  curl -sS {local.api_url}/v1/payments -H 'Content-Type: application/json' \\
    -d '{{"merchant": "Northern Lights Coffee", "amount": 12.50, "currency": "CAD",
         "type": "eft", "idempotency_key": "{key}"}}'

Ctrl-C stops it and keeps the data; `make reset` empties it.
"""
