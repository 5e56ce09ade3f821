"""Begin when the parent says so; stop on a signal, or when the parent ends for any reason."""

import os
import select
import signal
import threading
import time
from typing import Final

_STANDARD_INPUT: Final = 0


class Stop:
    """A flag that signals set.

    It is not a threading.Event: a signal handler interrupts the main thread, which may hold the
    lock that `set` needs.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._is_set = False
        for number in signals:
            signal.signal(number, self._set)

    def _set(self, *_: object) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Return whether the flag is set; sleep first if it is not."""
        if not self._is_set:
            time.sleep(seconds)
        return self._is_set


def wait_to_begin() -> None:
    """Return once the parent says to begin, or has ended."""
    os.read(_STANDARD_INPUT, 1)


def hold(line: int = _STANDARD_INPUT) -> None:
    """Send this process SIGTERM when the pipe closes: its parent has ended."""

    def watch() -> None:
        while os.read(line, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def hold_for_the_next_program() -> None:
    """Do the same for a process that is about to exec another program: a child process watches."""
    program = os.getpid()
    ended, open_while_it_runs = os.pipe()
    if os.fork() != 0:
        os.close(ended)
        os.set_inheritable(open_while_it_runs, True)
        return
    os.close(open_while_it_runs)
    while True:
        readable, _, _ = select.select([_STANDARD_INPUT, ended], [], [])
        if ended in readable:
            os._exit(0)
        if not os.read(_STANDARD_INPUT, 1):
            os.kill(program, signal.SIGTERM)
            os._exit(0)
