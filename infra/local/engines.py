"""The local stack's engines, each by itself and in memory: for tests and benchmarks."""

import atexit
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra import ROOT
from infra.local import dynamodb_local as engine
from infra.local import emulator
from infra.local.settings import HOST


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run AWS's DynamoDB Local until the block ends; yields its URL. Raises SetupError."""
    engine.install()
    port = free_port()
    process = subprocess.Popen(  # noqa: S603
        engine.command(port, None), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: accepts(port), f"DynamoDB Local listens on {port}")
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def emulated_aws(folder: Path) -> Iterator[str]:
    """Run the local stack's emulated AWS until the block ends; yields its URL."""
    port = free_port()
    url = f"http://{HOST}:{port}"
    own = {"AWS_ENDPOINT_URL": url, "PERSIST_STATE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.emulator"],
        cwd=ROOT,
        env={**os.environ, **emulator.environment(port, folder), **own},
        stdin=subprocess.PIPE,  # its lifeline
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the emulated AWS listens")
        yield url
    finally:
        process.terminate()  # not killed: it ends the Lambdas that it runs
        process.communicate(timeout=60)


def free_port() -> int:
    """Return a free port. On Linux, other processes are not given the same port.

    It holds a socket that never listens. Servers can still bind: they set SO_REUSEADDR.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((HOST, 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        atexit.register(probe.close)
    else:
        probe.close()
    return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def wait_until(condition: Any, what: str, *, seconds: float = 180) -> Any:
    """Return the first true answer of `condition`. Raises TimeoutError.

    The longer it waits, the less often it asks, because the answering process needs the CPU too.
    The limit is long: a busy machine may take ten times as long, and the sweeper runs again only
    after twice the time.
    """
    began = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(min(max(0.02, waited / 10), 0.5))
    return answer
