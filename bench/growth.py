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
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from statistics import median
from typing import Any, Final

import boto3

from bench import page
from bench.ground import NO_QUEUE, app_on
from bench.page import percentile, table
from chalicelib.aws.dynamodb import Item, encode
from chalicelib.payments.commands import CreatePayment
from chalicelib.payments.facts import Completed, Failed, FailureCode
from chalicelib.payments.items import payment_to_item, total_key, total_shard_of
from chalicelib.payments.models import Payment, Total, totals_moved
from chalicelib.payments.service import new_payment
from chalicelib.validation import validated
from chalicelib.values import SYSTEM, Actor
from infra.local import seed
from infra.local.engines import dynamodb_local
from infra.local.lambda_events import REGION, api_event

PAGE: Final = "growth"
WITHIN: Final = 1.2
"""A flow that takes more than a fifth longer has grown."""
A_DAY: Final = 1_000
"""Payments."""
STILL_PROCESSING: Final = 40
"""The last payments of the newest day; all others are settled."""
PAGE_SIZE: Final = 20
LAST_PAGE: Final = 1_000
LISTS: Final = {
    "list": {},
    "list, completed": {"status": "completed"},
    "list, processing": {"status": "processing"},
    "list, eft and CAD": {"type": "eft", "currency": "CAD"},
    "list, wire and USD: rare": {"type": "wire", "currency": "USD"},
    "list, completed, eft and CAD": {"status": "completed", "type": "eft", "currency": "CAD"},
}
LONG: Final = ("list", "list, completed")
"""The lists that have so many pages."""
FAR: Final = f", page {LAST_PAGE:,}"
_LIST: Final = "/v1/payments"
_WARM_ROUNDS: Final = 40
_BATCH: Final = 25
"""DynamoDB's limit for a batch write."""
_LOADERS: Final = 3
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
    opened = new_payment(command, moment, actor=Actor("bench")).payment
    submitted_at = moment + timedelta(seconds=random.uniform(0.1, 40))
    settled_at = submitted_at + timedelta(milliseconds=random.uniform(5, 500))
    submitted = opened.model_copy(update={"submitted_at": submitted_at})
    match random.choices(["completed", "failed", "canceled"], [85, 12, 3]):
        case ["completed"]:
            change = submitted.record(Completed(), settled_at, actor=SYSTEM)
        case ["failed"]:
            fact = Failed(FailureCode.INSUFFICIENT_FUNDS)
            change = submitted.record(fact, settled_at, actor=SYSTEM)
        case _:
            change = opened.cancel(settled_at, actor=Actor("bench"))
    assert change is not None
    return opened, change.payment


def rows_of(payments: Sequence[tuple[Payment, Payment]], still_processing: int = 0) -> list[Item]:
    """What the product would have written of payments and totals; the last payments are processing.

    Events and idempotency records are left out, since no list and no total reads them.
    """
    settled = len(payments) - still_processing
    rows = [payment_to_item(opened) for opened, _ in payments[settled:]]
    totals: defaultdict[tuple[str, str], list[Total]] = defaultdict(list)
    for opened, payment in payments[:settled]:
        rows.append(payment_to_item(payment))
        (total,) = totals_moved(payment, opened, payment)
        key = total_key(payment.id, total_shard_of(total).kind)
        totals[key["PK"], key["SK"]].append(total)
    for (shard, kind), moved in totals.items():
        volume = sum((total.volume for total in moved), Decimal(0))
        count = sum(total.count for total in moved)
        rows.append({"PK": shard, "SK": kind, "count": count, "volume": volume})
    return rows


def _fill_day(url: str, table_name: str, newest: date, ago: int) -> list[str]:
    """Write the payments of the day so many days before; returns their ids."""
    random.seed(ago)
    payments = payments_of(newest - timedelta(days=ago))
    put_rows(_client(url), table_name, rows_of(payments, 0 if ago else STILL_PROCESSING))
    return [payment.id for payment, _ in payments]


def put_rows(dynamodb: Any, table_name: str, rows: Iterable[Item]) -> None:
    """Write rows to DynamoDB Local. Raises OSError if it does not take all of a batch."""
    puts = [{"PutRequest": {"Item": encode(row)}} for row in rows]
    for start in range(0, len(puts), _BATCH):
        batch = {table_name: puts[start : start + _BATCH]}
        if left := dynamodb.batch_write_item(RequestItems=batch)["UnprocessedItems"]:
            raise OSError(f"DynamoDB Local did not take all of a batch: {left}")


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
        with multiprocessing.get_context("spawn").Pool(_LOADERS) as pool:
            self.ids = list(chain.from_iterable(pool.map(fill, range(size // A_DAY))))
        self.cursors = {name: self._walk(LISTS[name]) for name in LONG}
        """Where page `LAST_PAGE` of each list begins; None if the list is shorter."""

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()):
            answer: dict[str, Any] = self._app.app(event, None)
        if answer["statusCode"] != 200:
            raise AssertionError(f"{event}: {answer}")
        return answer

    def flows(self) -> dict[str, dict[str, Any]]:
        """The requests to time, by name, for a payment and a day that chance picks. A flow that
        has too few payments is left out.
        """
        day = self.newest - timedelta(days=random.randrange(self.size // A_DAY))
        hours = {"created_from": f"{day}T14:00:00Z", "created_to": f"{day}T18:00:00Z"}
        flows = {
            "get": api_event("GET", _LIST + "/{payment_id}", payment_id=random.choice(self.ids))
        }
        flows |= {name: _event(_LIST, query) for name, query in LISTS.items()}
        flows["list, four hours of any day"] = _event(_LIST, hours)
        for name, cursor in self.cursors.items():
            if cursor is not None:
                flows[name + FAR] = _event(_LIST, LISTS[name] | {"cursor": cursor})
        for name, days in {"stats of a day": 1, "stats of 30 days": 30}.items():
            if self.size >= days * A_DAY:
                first = self.newest - timedelta(days=days - 1)
                flows[name] = _event("/v1/stats", {"from": str(first), "to": str(self.newest)})
        return flows

    def _walk(self, query: Mapping[str, str]) -> str | None:
        """Follow `next_cursor` to where page `LAST_PAGE` begins, and check that each payment comes
        once, in order. None if the list is shorter.
        """
        cursor: dict[str, str] = {}
        seen: list[tuple[str, str]] = []
        for _ in range(LAST_PAGE - 1):
            found = json.loads(self.answer(_event(_LIST, {**query, **cursor}))["body"])
            seen += [(payment["created_at"], payment["id"]) for payment in found["payments"]]
            if found["next_cursor"] is None:
                return None
            cursor = {"cursor": found["next_cursor"]}
        assert len(set(seen)) == (LAST_PAGE - 1) * PAGE_SIZE
        assert seen == sorted(seen, reverse=True)
        return cursor["cursor"]


def _event(path: str, query: Mapping[str, str]) -> dict[str, Any]:
    values = {name: [value] for name, value in query.items()}
    return api_event("GET", path) | {"multiValueQueryStringParameters": values or None}


def timed(deployments: Sequence[Deployment], rounds: int) -> Seconds:
    """The order is shuffled, so that nothing always comes after the same; a flow's sizes follow
    each other at once.
    """
    names = list(deployments[-1].flows())  # the largest has them all
    seconds: dict[tuple[str, int], list[float]] = {
        (name, one.size): [] for name in names for one in deployments if name in one.flows()
    }
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            for deployment in random.sample(deployments, len(deployments)):
                if event := deployment.flows().get(name):
                    began = time.perf_counter()
                    deployment.answer(event)
                    seconds[name, deployment.size].append(time.perf_counter() - began)
    return seconds


def compared(seconds: Seconds) -> dict[tuple[str, int], float]:
    """How many times as long a flow takes as at its smallest size, and page `LAST_PAGE` as page 1,
    by flow and size.
    """
    medians = {key: median(times) for key, times in seconds.items()}
    times = {}
    for name, size in medians:
        smallest = min(other for flow, other in medians if flow == name)
        base = (name.removesuffix(FAR), size) if name.endswith(FAR) else (name, smallest)
        times[name, size] = medians[name, size] / medians[base]
    return times


def verdict(seconds: Seconds) -> list[str]:
    """A sentence for everything that is not flat."""
    return [
        f"{name}: {times:.2f} times as much at {size:,} payments"
        for (name, size), times in compared(seconds).items()
        if times > WITHIN
    ]


def results(seconds: Seconds, sizes: Sequence[int]) -> str:
    """Milliseconds, p50 / p99, and how many times they are those to compare with."""
    times, rows = compared(seconds), []
    for name in dict.fromkeys(name for name, _ in seconds):
        row = [name]
        for size in sizes:
            runs = seconds.get((name, size))
            row.append(f"{1000 * median(runs):.1f} / {1000 * percentile(runs, 0.99):.1f}"
                       if runs else "")  # fmt: skip
        keys = [(name, size) for size in sizes[1:]]
        rows.append([*row, *(f"{times[key]:.2f}" if key in times else "" for key in keys)])
    head = ["", *(f"{size:,}" for size in sizes), *(f"times at {size:,}" for size in sizes[1:])]
    return table(head, rows)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench growth", description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000", help="payments in the table")
    parser.add_argument("--rounds", type=int, default=200, help="how often each is asked")
    parser.add_argument("--report", action="store_true", help="write docs/reports/growth.md")
    options = parser.parse_args(arguments)
    sizes = sorted(int(size) for size in options.sizes.split(","))
    if any(size < A_DAY or size % A_DAY for size in sizes):
        parser.error(f"each size is a number of days of {A_DAY} payments")
    newest = datetime.now(UTC).date() - timedelta(days=1)
    with dynamodb_local() as url:
        deployments = [Deployment(url, newest, size) for size in sizes]
        timed(deployments, min(options.rounds, _WARM_ROUNDS))
        seconds = timed(deployments, options.rounds)
    blocks = {
        "machine": f"Each asked {options.rounds} times at each size, on {page.machine()}.",
        "flows": results(seconds, sizes),
    }
    print("\n\n".join(blocks.values()))
    if options.report:
        page.write(PAGE, blocks)
    if grown := verdict(seconds):
        sys.exit("\n".join(grown))
