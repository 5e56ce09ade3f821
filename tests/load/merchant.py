"""The webhook receiver as a process of its own, which forgets nothing: python -m … PORT FOLDER."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra import ROOT
from infra.local import lifeline
from infra.local.webhook_receiver import Receiver, server
from tests.engines import accepts, free_port, wait_until
from tests.load.stack import ask

_MOST: Final = 1_000_000


class Merchant:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}/webhooks"

    def trust(self, secret: str) -> None:
        ask(self._port, "PUT", "/secrets", json.dumps({"secrets": [secret]}).encode())

    def received(self) -> list[dict[str, Any]]:
        """As webhook_receiver.Received says; the oldest first."""
        found: list[dict[str, Any]] = json.loads(ask(self._port, "GET", "/received"))["received"]
        return found


@contextmanager
def open_for_business(folder: Path) -> Iterator[Merchant]:
    """Until the block ends."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.load.merchant", str(port), str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # its lifeline
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the merchant listens")
        yield Merchant(port)
    finally:
        process.terminate()
        process.communicate()


def main(port: str, folder: str) -> None:
    lifeline.hold()
    with server(Receiver(Path(folder), most=_MOST), int(port)) as listening:
        listening.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
