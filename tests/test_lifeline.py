"""How a process of the local stack learns that it is to end."""

import signal
import threading
from collections.abc import Iterator

import pytest

from infra.local.lifeline import Stop


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = signal.getsignal(signal.SIGUSR1)
    yield Stop(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_it_waits_until_a_signal_comes_and_no_longer(stop: Stop) -> None:
    assert not stop.wait(0.001)
    signal.raise_signal(signal.SIGUSR1)
    assert stop.is_set()
    assert stop.wait(3600), "it would still be waiting"


def test_signals_that_come_at_any_moment_are_in_nobodys_way(stop: Stop) -> None:
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
