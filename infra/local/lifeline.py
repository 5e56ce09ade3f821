"""Ends a process when the one that started it is gone, however it went."""

import os
import signal
import threading
from typing import Final

_STANDARD_INPUT: Final = 0


def hold() -> None:
    """Send this process SIGTERM once its standard input closes, as it does when its parent dies."""

    def watch() -> None:
        while os.read(_STANDARD_INPUT, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
