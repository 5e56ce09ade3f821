"""The DynamoDB engines that the storage tests run on: moto in process, and AWS's own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from infra.local import dynamodb_local as engine
from infra.local import emulator, provision
from infra.local.settings import SetupError

ROOT: Final = Path(__file__).resolve().parents[1]
create_tables: Final = provision.create_tables
_held: Final[list[socket.socket]] = []


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """AWS's DynamoDB Local, in memory, until the block ends; yields its address."""
    try:
        engine.install()
    except SetupError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    port = free_port()
    process = subprocess.Popen(
        engine.command(port, None), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: accepts(port), f"DynamoDB Local listens on {port}", seconds=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def emulated_aws(folder: Path) -> Iterator[str]:
    """The local stack's emulator by itself, its rows in memory, until the block ends; yields its
    address.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"AWS_ENDPOINT_URL": url, "PERSIST_STATE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.emulator"],
        cwd=ROOT,
        env={**os.environ, **emulator.environment(port, folder), **own},
        stdin=subprocess.PIPE,  # it ends when this does
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the emulated AWS listens")
        yield url
    finally:
        process.terminate()  # and not killed: it ends the Lambdas that it runs
        process.communicate(timeout=30)


def node_packages() -> Path:
    """The dashboard's node_modules, for tests that run Node."""
    packages = ROOT / "frontend" / "node_modules"
    if shutil.which("node") is None or not packages.exists():
        reason = "Node or frontend/node_modules is missing; `make test` installs the latter"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return packages


def free_port() -> int:
    """A port that nobody else is given while this process runs, on Linux: another suite on this
    machine may look for one before a server listens here. Servers set SO_REUSEADDR, and so can.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _held.append(probe)
    else:
        probe.close()
    return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Any, what: str, *, seconds: float = 120) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return answer
