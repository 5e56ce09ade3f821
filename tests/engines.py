"""The DynamoDB engines that the storage tests run on: the emulated AWS, and AWS's own."""

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
SHORT_LIVED_JAVA: Final = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""Half the processor time for DynamoDB Local: it ends before a second compiler has paid off."""
IS_THOROUGH: Final = bool(os.environ.get("CI"))
"""CI tries more examples, and repeats races more often, than one waits for while one develops."""


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
        engine.command(port, None),
        env={**os.environ, **SHORT_LIVED_JAVA},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), f"DynamoDB Local listens on {port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


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
        process.communicate(timeout=60)


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Any, what: str, *, seconds: float = 180) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time.

    The longer it takes, the seldomer it is asked for: what answers needs the processor too. The
    limit is for what never comes. On a busy machine all may take ten times as long, and what the
    sweeper misses it looks for again after twice the time.
    """
    began = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(min(max(0.02, waited / 10), 0.5))
    return answer
