"""When a process is to end: it is told to, or the one that started it is gone, however it went."""

import os
import select
import signal
import threading
import time
from typing import Final

_STANDARD_INPUT: Final = 0


class Stop:
    """A wish to stop, made by a signal.

    No threading.Event: a handler runs in the main thread, and if that is waiting just then it may
    hold the very lock that `set` takes.
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
        """Whether it was made; waits for so long that it may be."""
        if not self._is_set:
            time.sleep(seconds)
        return self._is_set


def hold() -> None:
    """Send this process SIGTERM once its standard input closes, as it does when its parent dies."""

    def watch() -> None:
        while os.read(_STANDARD_INPUT, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def hold_for_the_next_program() -> None:
    """As `hold`, for a process that is about to become another program: a child watches for it,
    and ends with it.
    """
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
