"""`make growth`: what reading costs while the table grows from a thousand payments to a million.

Goal: get, list and stats within a fifth of what they cost at the smallest size, and page 1,000 of a
list within a fifth of page 1. One engine holds a deployment of each size, and each request is made
of all of them in turn, so that what the machine does meanwhile is the same for all.
"""

import argparse
import contextlib
import functools
import io
import json
import multiprocessing
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any, Final

import boto3

from bench import page
from bench.ground import NO_QUEUE, app_on
from bench.page import percentile, table
from chalicelib.aws.dynamodb import Item, encode
from chalicelib.payments.commands import CreatePayment
from chalicelib.payments.items import payment_to_item, total_key
from chalicelib.payments.models import FailureCode, Payment, totals_moved
from chalicelib.payments.service import new_payment
from chalicelib.validation import validated
from infra.local import seed
from infra.local.engines import dynamodb_local
from infra.local.lambda_events import REGION, api_event

PAGE: Final = "growth"
WITHIN: Final = 1.2
"""What is more than a fifth dearer has grown."""
A_DAY: Final = 1_000
"""Payments."""
STILL_PROCESSING: Final = 40
"""Of the newest day the last so many; everything else is settled."""
PAGE_SIZE: Final = 20
LAST_PAGE: Final = 1_000
LISTS: Final = {"list": {}, "list, completed": {"status": "completed"}}
"""Those that are long enough for so many pages, and their queries."""
_WARM_ROUNDS: Final = 40
_OUTCOMES: Final = {"completed": 85, "failed": 12, "canceled": 3}
_BATCH: Final = 25
"""DynamoDB's limit for a batch write."""
_LOADERS: Final = 3
_LIST: Final = "/v1/payments"
Run = Callable[[], Any]
Seconds = Mapping[tuple[str, int], Sequence[float]]
"""Of each run, by flow and size."""


def payments_of(day: date, count: int = A_DAY) -> list[tuple[Payment, Payment]]:
    """As opened and as settled, the oldest first; all are settled before the day ends."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = sorted(min(max(random.gauss(18, 3), 0), 23.9) for _ in range(count))
    return [
        _settled(validated(CreatePayment, fields), start + timedelta(hours=hour))
        for hour, fields in zip(hours, seed.payments(count), strict=True)
    ]


def _settled(command: CreatePayment, moment: datetime) -> tuple[Payment, Payment]:
    payment = new_payment(command, moment, actor="bench").payment
    submitted_at = moment + timedelta(seconds=random.uniform(0.1, 40))
    settled_at = submitted_at + timedelta(milliseconds=random.uniform(5, 500))
    submitted = payment.model_copy(update={"submitted_at": submitted_at})
    (outcome,) = random.choices(list(_OUTCOMES), list(_OUTCOMES.values()))
    if outcome == "completed":
        change = submitted.complete(settled_at, actor="system")
    elif outcome == "failed":
        change = submitted.fail(FailureCode.INSUFFICIENT_FUNDS, settled_at, actor="system")
    else:
        change = payment.cancel(settled_at, actor="bench")
    return payment, change.payment


def rows_of(payments: Sequence[tuple[Payment, Payment]], still_processing: int = 0) -> list[Item]:
    """What the product would have written of payments and totals; the last payments are processing.

    Events and idempotency records are left out, since no list and no total reads them.
    """
    settled = len(payments) - still_processing
    rows = [payment_to_item(opened) for opened, _ in payments[settled:]]
    totals: defaultdict[tuple[str, str], tuple[int, Decimal]]
    totals = defaultdict(lambda: (0, Decimal(0)))
    for opened, payment in payments[:settled]:
        rows.append(payment_to_item(payment))
        (total,) = totals_moved(opened, payment)
        key = total_key(total, payment.id)
        count, volume = totals[key["PK"], key["SK"]]
        totals[key["PK"], key["SK"]] = (count + total.count, volume + total.volume)
    for (shard, kind), (count, volume) in totals.items():
        rows.append({"PK": shard, "SK": kind, "count": count, "volume": volume})
    return rows


def _fill_day(url: str, table_name: str, newest: date, ago: int) -> list[str]:
    """Write the payments of the day so many days before; returns their ids."""
    random.seed(ago)
    payments = payments_of(newest - timedelta(days=ago))
    rows = rows_of(payments, 0 if ago else STILL_PROCESSING)
    puts = [{"PutRequest": {"Item": encode(row)}} for row in rows]
    for start in range(0, len(puts), _BATCH):
        batch: Any = {table_name: puts[start : start + _BATCH]}
        if left := _client(url).batch_write_item(RequestItems=batch)["UnprocessedItems"]:
            raise OSError(f"DynamoDB Local did not take all of a batch: {left}")
    return [payment.id for payment, _ in payments]


@functools.cache
def _client(url: str) -> Any:
    return boto3.client("dynamodb", REGION, endpoint_url=url)


class Deployment:
    """The product, on tables with so many payments."""

    def __init__(self, url: str, newest: date, size: int) -> None:
        self.size = size
        self.newest = newest
        self._app = app_on(url, NO_QUEUE, f"growth{size}")
        fill = functools.partial(_fill_day, url, self._app.settings.payments_table, newest)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(_LOADERS, mp_context=context) as pool:
            self.ids = [one for ids in pool.map(fill, range(size // A_DAY)) for one in ids]
        self.cursors = {name: self._walk(query) for name, query in LISTS.items()}
        """Where page `LAST_PAGE` begins, of each list that has it."""

    def ask(self, resource: str, query: Mapping[str, str], **path: str) -> dict[str, Any]:
        """What the API answers to a GET."""
        event = api_event("GET", resource, **path)
        event["multiValueQueryStringParameters"] = {
            name: [value] for name, value in query.items()
        } or None
        with contextlib.redirect_stdout(io.StringIO()):
            answer: dict[str, Any] = self._app.app(event, None)
        if answer["statusCode"] != 200:
            raise AssertionError(f"GET {resource} {dict(query)}: {answer}")
        return answer

    def _walk(self, query: Mapping[str, str]) -> str | None:
        """Follow `next_cursor` to where page `LAST_PAGE` begins, and see that each payment comes
        once, in order; None for a list that is shorter.
        """
        cursor: dict[str, str] = {}
        seen: list[tuple[str, str]] = []
        for _ in range(LAST_PAGE - 1):
            found = json.loads(self.ask(_LIST, {**query, **cursor})["body"])
            seen += [(payment["created_at"], payment["id"]) for payment in found["payments"]]
            if found["next_cursor"] is None:
                return None
            cursor = {"cursor": found["next_cursor"]}
        assert len(set(seen)) == (LAST_PAGE - 1) * PAGE_SIZE
        assert seen == sorted(seen, reverse=True)
        return cursor["cursor"]


Prepare = Callable[[Deployment], Run | None]
"""Returns what to time, this once; None where there are too few payments to compare."""


def _get(deployment: Deployment) -> Run:
    payment_id = random.choice(deployment.ids)
    return lambda: deployment.ask(f"{_LIST}/{{payment_id}}", {}, payment_id=payment_id)


def _list(**query: str) -> Prepare:
    return lambda deployment: lambda: deployment.ask(_LIST, query)


def _list_of_four_hours(deployment: Deployment) -> Run:
    ago = random.randrange(deployment.size // A_DAY)
    day = (deployment.newest - timedelta(days=ago)).isoformat()
    hours = {"created_from": f"{day}T14:00:00Z", "created_to": f"{day}T18:00:00Z"}
    return lambda: deployment.ask(_LIST, hours)


def _page(of_list: str, number: int) -> Prepare:
    def prepare(deployment: Deployment) -> Run | None:
        cursor = deployment.cursors[of_list]
        if cursor is None:
            return None
        place = {"cursor": cursor} if number > 1 else {}
        return lambda: deployment.ask(_LIST, LISTS[of_list] | place)

    return prepare


def _stats(days: int) -> Prepare:
    def prepare(deployment: Deployment) -> Run | None:
        if deployment.size < days * A_DAY:
            return None
        first = deployment.newest - timedelta(days=days - 1)
        ends = {"from": first.isoformat(), "to": deployment.newest.isoformat()}
        return lambda: deployment.ask("/v1/stats", ends)

    return prepare


RARE: Final = "list, wire and USD: rare"
FLOWS: Final[dict[str, Prepare]] = {
    "get": _get,
    "list": _list(),
    "list, completed": _list(status="completed"),
    "list, processing": _list(status="processing"),
    "list, eft and CAD": _list(type="eft", currency="CAD"),
    RARE: _list(type="wire", currency="USD"),
    "list, completed, eft and CAD": _list(status="completed", type="eft", currency="CAD"),
    "list, four hours of any day": _list_of_four_hours,
    "stats of a day": _stats(1),
    "stats of 30 days": _stats(30),
}
PAGES: Final = {
    f"{name}, page {number:,}": _page(name, number) for name in LISTS for number in (1, LAST_PAGE)
}


def timed(deployments: Sequence[Deployment], rounds: int) -> Seconds:
    """The order is shuffled, so that nothing always comes after the same; a flow's sizes follow
    each other at once. What takes long is asked in every fifth round.
    """
    seconds: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    flows = list({**FLOWS, **PAGES}.items())
    for number in range(rounds):
        for name, prepare in random.sample(flows, len(flows)):
            if name == RARE and number % 5:
                continue
            for deployment in random.sample(deployments, len(deployments)):
                if run := prepare(deployment):
                    began = time.perf_counter()
                    run()
                    seconds[name, deployment.size].append(time.perf_counter() - began)
    return dict(seconds)


def compared(seconds: Seconds) -> dict[tuple[str, int], float]:
    """How many times as much a flow costs as at its smallest size, and page `LAST_PAGE` as page 1,
    by flow and size.
    """
    medians = {key: median(times) for key, times in seconds.items()}
    times = {}
    for name, size in medians:
        if name not in PAGES:
            smallest = min(other for flow, other in medians if flow == name)
            times[name, size] = medians[name, size] / medians[name, smallest]
        elif name.endswith(f"page {LAST_PAGE:,}"):
            first = name.removesuffix(f"{LAST_PAGE:,}") + "1"
            times[name, size] = medians[name, size] / medians[first, size]
    return times


def verdict(seconds: Seconds) -> list[str]:
    """A sentence for everything that is not flat."""
    return [
        f"{name}: {times:.2f} times as much at {size:,} payments"
        for (name, size), times in compared(seconds).items()
        if times > WITHIN
    ]


def _table(seconds: Seconds, sizes: Sequence[int], names: Sequence[str]) -> str:
    """Milliseconds, p50 / p99, and how many times they are those to compare with."""
    times = compared(seconds)
    rows = [
        [
            name,
            *(_milliseconds(seconds.get((name, size))) for size in sizes),
            *(f"{times[name, size]:.2f}" if (name, size) in times else "" for size in sizes[1:]),
        ]
        for name in names
    ]
    head = ["", *(f"{size:,}" for size in sizes), *(f"times at {size:,}" for size in sizes[1:])]
    return table(head, rows)


def _milliseconds(seconds: Sequence[float] | None) -> str:
    if seconds is None:
        return ""
    return f"{1000 * median(seconds):.1f} / {1000 * percentile(seconds, 0.99):.1f}"


def main(arguments: list[str]) -> None:
    options = _parsed(arguments)
    newest = datetime.now(UTC).date() - timedelta(days=1)
    deployments = []
    with dynamodb_local() as url:
        for size in options.sizes:
            began = time.monotonic()
            deployments.append(Deployment(url, newest, size))
            print(f"{size:,} payments are there, and listed, in {time.monotonic() - began:.0f} s")
        timed(deployments, min(options.rounds, _WARM_ROUNDS))
        seconds = timed(deployments, options.rounds)
    blocks = {
        "machine": f"Each asked {options.rounds} times at each size, on {page.machine()}.",
        "flows": _table(seconds, options.sizes, list(FLOWS)),
        "pages": _table(seconds, options.sizes, list(PAGES)),
    }
    print("\n\n".join(blocks.values()))
    if options.report:
        page.write(PAGE, blocks)
    if grown := verdict(seconds):
        sys.exit("\n".join(grown))


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench growth", description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000", help="payments in the table")
    parser.add_argument("--rounds", type=int, default=200, help="how often each is asked")
    parser.add_argument("--report", action="store_true", help="write docs/reports/growth.md")
    options = parser.parse_args(arguments)
    options.sizes = sorted(int(size) for size in options.sizes.split(","))
    if any(size < A_DAY or size % A_DAY for size in options.sizes):
        parser.error(f"each size is a number of days of {A_DAY} payments")
    return options
