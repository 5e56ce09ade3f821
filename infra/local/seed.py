"""`make seed`: create realistic payments on the local stack, through its API as a client would.

Set PAYFLOW_KEY if the stack requires API keys.
"""

import http.client
import json
import os
import queue
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from infra.local.settings import HOST, SetupError, from_environment

MOST: Final = 100_000
_CONNECTIONS: Final = 8
_TRIES: Final = 8
_BAR: Final = 30


class Merchant(NamedTuple):
    """A merchant, and the properties of its payments."""

    name: str
    type: str
    currency: str
    typical: int
    """The median amount."""
    what: str


MERCHANTS: Final = (
    Merchant("Northern Lights Coffee", "interac", "CAD", 18, "Beans and filters"),
    Merchant("Maple & Main Books", "interac", "CAD", 42, "Books"),
    Merchant("Harbourfront Yoga", "interac", "CAD", 95, "Ten classes"),
    Merchant("Tremblay et Filles Boulangerie", "interac", "CAD", 27, "Commande"),
    Merchant("Prairie Wind Utilities", "eft", "CAD", 142, "Electricity"),
    Merchant("Cascadia Property Rentals", "eft", "CAD", 1_950, "Rent"),
    Merchant("Lakeshore Dental", "eft", "CAD", 310, "Treatment"),
    Merchant("Granite Peak Outfitters", "eft", "CAD", 228, "Order"),
    Merchant("Bluewater Logistics", "wire", "CAD", 18_400, "Freight"),
    Merchant("Atlantic Shipbuilders", "wire", "USD", 86_000, "Milestone"),
    Merchant("Cedar Ridge Software", "ach", "USD", 480, "Subscription"),
    Merchant("Hudson Valley Foods", "ach", "USD", 2_300, "Invoice"),
    Merchant("Summit Payroll Services", "ach", "USD", 6_200, "Payroll"),
)
WEIGHTS: Final = (22, 12, 8, 10, 12, 4, 6, 9, 2, 1, 9, 6, 3)


def main(arguments: list[str]) -> None:
    try:
        (text,) = arguments
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
            raise SetupError(f"N is {text!r}; it must be a number from 1 to {MOST}.")
        seed(int(text), from_environment().api_port, os.environ.get("PAYFLOW_KEY"))
    except (SetupError, OSError) as error:
        sys.exit(f"Not all payments were created. {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")


def seed(count: int, port: int, key: str | None) -> None:
    """Create `count` payments. Raises SetupError, or OSError if the API stops."""
    _check_api(port)
    ahead: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    for payment in payments(count):
        ahead.put(payment)
    progress = Progress(count)
    refusals: list[Exception] = []

    def work() -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
        try:
            while not refusals:
                _post(connection, ahead.get_nowait(), key)
                progress.one_more()
        except queue.Empty:
            pass
        except (SetupError, OSError, http.client.HTTPException) as error:
            refusals.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_CONNECTIONS, count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.end()
    if refusals:
        raise SetupError(str(refusals[0]))


def payments(count: int) -> Iterator[dict[str, Any]]:
    """Yield requests; each run has its own idempotency keys."""
    run = uuid.uuid4().hex[:8]
    for number, merchant in enumerate(random.choices(MERCHANTS, WEIGHTS, k=count), start=1):
        amount = min(merchant.typical * random.lognormvariate(0, 0.6), 999_999)
        yield {
            "merchant": merchant.name,
            "amount": str(Decimal(f"{max(amount, 1):.2f}")),
            "currency": merchant.currency,
            "type": merchant.type,
            "idempotency_key": f"seed-{run}-{number:07}",
            "description": f"{merchant.what} {number:05}",
            "metadata": {"order": f"{run[:4].upper()}-{number:05}"},
        }


def _check_api(port: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/v1/health")
        if b'"payflow-api"' in connection.getresponse().read():
            return
    except OSError:
        pass
    finally:
        connection.close()
    raise SetupError(f"No stack runs on port {port}. Start it with `make run`.")


def _post(connection: http.client.HTTPConnection, payment: dict[str, Any], key: str | None) -> None:
    """Create one payment; retry while the API says so. Raises SetupError."""
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    for _ in range(_TRIES):
        connection.request("POST", "/v1/payments", json.dumps(payment), headers)
        response = connection.getresponse()
        body = response.read()
        if response.status in {200, 201}:
            return
        if response.status not in {409, 429, 503}:
            advice = " Set PAYFLOW_KEY to a key." if response.status == 401 else ""
            raise SetupError(
                f"The API answers {response.status}: {json.loads(body)['detail']}{advice}"
            )
        time.sleep(int(response.headers.get("Retry-After", "1")))
    raise SetupError(f"The API is still busy after {_TRIES} tries: {body.decode()}")


class Progress:
    """A progress bar on terminals, and a summary line everywhere."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def one_more(self) -> None:
        with self._lock:
            self._done += 1
            if sys.stdout.isatty():
                filled = _BAR * self._done // self._count
                bar = "█" * filled + "░" * (_BAR - filled)
                print(f"\r  {bar} {self._done:,} of {self._count:,}", end="", flush=True)

    def end(self) -> None:
        seconds = time.monotonic() - self._started
        start = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{start}  {self._done:,} payments in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
