"""A client that follows the feed of events by its cursor while the load goes on."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from chalicelib.payments.feed import BEHIND

_PAUSE_SECONDS: Final = 1.0


class Follower:
    """Follows from the start of the block on; `followed` ends it, and gives all that it was told.

    `read` returns the body of a GET.
    """

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read
        self._ids: list[str] = []
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Follower":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def followed(self) -> list[str]:
        """Return the ids of all events until now, once the feed has reached them. Raises OSError.

        An event of the future, by a clock that is ahead, is not waited for.
        """
        time.sleep(BEHIND.total_seconds())
        self.__exit__(None, None, None)
        if self._error is not None:
            raise self._error
        return self._ids

    def _follow(self) -> None:
        try:
            cursor = ""
            while True:
                is_last = self._stop.is_set()
                page = self._read(f"/v1/events?limit=100{cursor}")
                self._ids += [event["id"] for event in page["events"]]
                cursor = f"&cursor={page['next_cursor']}"
                if page["has_more"]:
                    continue
                if is_last:
                    return
                self._stop.wait(_PAUSE_SECONDS)
        except OSError as error:
            self._error = error
