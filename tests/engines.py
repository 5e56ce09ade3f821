"""The DynamoDB engines of the storage tests: the emulated AWS, and AWS's DynamoDB Local."""

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
IS_THOROUGH: Final = bool(os.environ.get("CI"))
"""CI tries more examples and repeats races more often than a developer wants to wait for."""


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run AWS's DynamoDB Local, in memory, until the block ends; yield its address."""
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
        wait_until(lambda: accepts(port), f"DynamoDB Local listens on {port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def emulated_aws(folder: Path) -> Iterator[str]:
    """Run the local stack's emulator alone, in memory, until the block ends; yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"AWS_ENDPOINT_URL": url, "PERSIST_STATE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.emulator"],
        cwd=ROOT,
        env={**os.environ, **emulator.environment(port, folder), **own},
        stdin=subprocess.PIPE,  # it ends when this process does
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the emulated AWS listens")
        yield url
    finally:
        process.terminate()  # not killed, so that it ends the Lambdas that it runs
        process.communicate(timeout=60)


def node_packages() -> Path:
    """Return the dashboard's node_modules, for tests that run Node."""
    packages = ROOT / "frontend" / "node_modules"
    if shutil.which("node") is None or not packages.exists():
        reason = "Node or frontend/node_modules is missing; `make test` installs the latter"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return packages


def free_port() -> int:
    """Return a free port. On Linux it stays reserved while this process runs.

    Otherwise another suite could be given it before a server listens on it. Servers can bind it
    because they set SO_REUSEADDR.
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


def wait_until(condition: Any, what: str, *, seconds: float = 180) -> Any:
    """Return the first true answer of `condition`; fail the test if none comes in time.

    The longer the wait, the rarer the calls, to leave the processor to others. The limit is
    generous: on a busy machine everything may take ten times as long, and the sweeper finds what it
    missed only after twice the time.
    """
    began = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(min(max(0.02, waited / 10), 0.5))
    return answer
