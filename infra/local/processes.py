"""Serve one socket from several processes: Python uses one processor in each.

first process ── waits for a signal, for the end of its parent, or for the end of another
the others    ── serve, until the first one ends in whatever way
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from infra.local import lifeline

MOST: Final = 8
"""More would only take memory: all of them wait for one engine."""
_WOKEN_BY: Final = {signal.SIGTERM, signal.SIGCHLD}


def count() -> int:
    """How many can work at once."""
    return min(os.cpu_count() or 1, MOST)


def run(serve: Callable[[], None], processes: int) -> NoReturn:
    """Run `serve` in so many processes, and end this one with them.

    `serve` returns after SIGTERM. This process must have no other threads yet. It ends with code 1
    if one of the others ended by itself.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler, macOS drops it
    signal.pthread_sigmask(signal.SIG_BLOCK, _WOKEN_BY)  # sigwait() takes what comes meanwhile
    ended, open_while_this_runs = os.pipe()
    for _ in range(processes):
        _fork(serve, ended, open_while_this_runs)
    os.close(ended)
    lifeline.hold()
    has_lost_one = False
    while not has_lost_one and signal.sigwait(_WOKEN_BY) is signal.SIGCHLD:
        lost, _ = os.waitpid(-1, os.WNOHANG)  # none: one was only suspended
        has_lost_one = lost != 0
    os.close(open_while_this_runs)
    with suppress(ChildProcessError):  # until there is none
        while True:
            os.wait()
    os._exit(int(has_lost_one))


def _fork(serve: Callable[[], None], ended: int, open_while_first_runs: int) -> None:
    if os.fork() != 0:
        return
    os.close(open_while_first_runs)
    lifeline.hold(ended)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WOKEN_BY)
    serve()
    os._exit(0)  # open keep-alive connections would block the exit
