"""Several processes on one socket: they end together, whatever ends first."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.engines import ROOT, wait_until

SERVING = """
import os, signal
from infra.local import lifeline, processes

def serve():
    stop = lifeline.Stop(signal.SIGTERM)
    os.write(1, f"{os.getpid()}\\n".encode())
    while not stop.wait(0.01):
        pass

processes.run(serve, 3)
"""


@pytest.fixture
def first() -> Iterator["subprocess.Popen[str]"]:
    """The first process; the others serve."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def others(first: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return the processes that serve."""
    assert first.stdout is not None
    return [psutil.Process(int(first.stdout.readline())) for _ in range(3)]


def all_ended(serving: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in serving)


def test_all_end_with_a_signal(first: "subprocess.Popen[str]") -> None:
    serving = others(first)
    first.terminate()
    assert first.wait(60) == 0
    assert all_ended(serving)


def test_all_end_with_their_parent(first: "subprocess.Popen[str]") -> None:
    serving = others(first)
    assert first.stdin is not None
    first.stdin.close()
    assert first.wait(60) == 0
    assert all_ended(serving)


def test_all_end_when_the_first_is_killed(first: "subprocess.Popen[str]") -> None:
    serving = others(first)
    first.kill()
    wait_until(lambda: all_ended(serving), "the others have ended")


def test_all_end_when_one_is_lost(first: "subprocess.Popen[str]") -> None:
    lost, *left = others(first)
    lost.kill()
    assert first.wait(60) == 1
    assert all_ended(left)


def test_process_that_was_suspended_is_not_lost(first: "subprocess.Popen[str]") -> None:
    suspended, *_ = others(first)
    suspended.suspend()
    wait_until(lambda: suspended.status() == psutil.STATUS_STOPPED, "it is suspended")
    suspended.resume()
    wait_until(lambda: suspended.status() != psutil.STATUS_STOPPED, "it runs again")
    first.terminate()
    assert first.wait(60) == 0
