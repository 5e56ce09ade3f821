"""How a process of the local stack learns that it is to end."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from infra.local.lifeline import Stop
from tests.engines import ROOT, wait_until


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = signal.getsignal(signal.SIGUSR1)
    yield Stop(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_lifeline_waits_until_a_signal_comes(stop: Stop) -> None:
    assert not stop.wait(0.001)
    signal.raise_signal(signal.SIGUSR1)
    assert stop.is_set()
    assert stop.wait(3600), "it would still be waiting"


def test_signals_at_any_moment_do_no_harm(stop: Stop) -> None:
    """With an Event, a handler that interrupts `wait` waits for the lock that `wait` holds."""
    main = threading.get_ident()
    done = threading.Event()

    def bother() -> None:
        while not done.is_set():
            signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=bother)
    thread.start()
    try:
        for _ in range(2_000):
            stop.wait(0.0001)
    finally:
        done.set()
        thread.join()
    assert stop.is_set()


@pytest.fixture
def sleeper() -> Iterator[tuple["subprocess.Popen[bytes]", psutil.Process]]:
    """A process that became another program, and its child that watches."""
    become = (
        "import os; from infra.local import lifeline; lifeline.hold_for_the_next_program(); "
        "os.execvp('sleep', ['sleep', '600'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", become], cwd=ROOT, stdin=subprocess.PIPE
    ) as process:
        program = psutil.Process(process.pid)
        wait_until(lambda: program.name() == "sleep", "it is another program")
        (watcher,) = program.children()
        yield process, watcher
        process.kill()


def test_watched_program_ends_when_the_lifeline_is_cut(
    sleeper: tuple["subprocess.Popen[bytes]", psutil.Process],
) -> None:
    process, _ = sleeper
    assert process.stdin
    process.stdin.close()
    assert process.wait(30) == -signal.SIGTERM


def test_watcher_ends_with_its_program(
    sleeper: tuple["subprocess.Popen[bytes]", psutil.Process],
) -> None:
    process, watcher = sleeper
    process.kill()
    process.wait(30)
    wait_until(
        lambda: not watcher.is_running() or watcher.status() == psutil.STATUS_ZOMBIE,
        "nobody watches any more",
    )
