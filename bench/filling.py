"""A table of a given size, filled in bulk with the rows that the product writes.

Guarantee: each payment has the row, and adds to the totals, that `Store` would have written; its
events and its idempotency record are left out. The newest day is the same at any size. It is made
by the product's own code; each day before it is that day again, with ids and dates of its own, so
that a million rows are a matter of minutes.
"""

import http.client
import json
import multiprocessing
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ulid import ULID

from chalicelib import payments as use_cases
from chalicelib import store
from chalicelib.commands import CreatePayment, validated
from chalicelib.model import FailureCode, Payment, Total, totals_moved
from chalicelib.tables import encode
from infra.local import seed

A_DAY: Final = 1_000
"""Payments: what a company of some size takes."""
STILL_PROCESSING: Final = 40
"""Of the newest day the last so many; everything else is settled."""
_OUTCOMES: Final = {"completed": 85, "failed": 12, "canceled": 3}
_SETTLED_WITHIN_SECONDS: Final = 40
_BATCH: Final = 25
"""DynamoDB's limit for a batch write."""
_LOADERS: Final = 3
_MILLISECONDS_A_DAY: Final = 86_400_000
# The engine looks at who signs, and at no signature.
_HEADERS: Final = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.BatchWriteItem",
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20261125/ca-central-1/dynamodb/"
    "aws4_request, SignedHeaders=host;x-amz-target, Signature=none",
}


class Made(NamedTuple):
    """A payment as it was opened, and as it is settled."""

    opened: Payment
    settled: Payment


class Row(NamedTuple):
    """A payment of the newest day, so that a day before can have it too."""

    ulid: str
    """Of its id; in the texts wherever the id is."""
    processing: str
    settled: str
    """The rows, as DynamoDB's JSON."""
    total: Total
    """What it adds to the totals once it is settled."""


def made(newest: date, count: int = A_DAY) -> list[Made]:
    """A day's payments, the oldest first."""
    requests = seed.payments(count)
    return [
        _made(validated(CreatePayment, fields), moment)
        for moment, fields in zip(_moments(newest, count), requests, strict=True)
    ]


def _moments(day: date, count: int) -> list[datetime]:
    """Business hours mostly, and all settled before midnight."""
    hours = [min(max(random.gauss(18, 3), 0), 23.9) for _ in range(count)]
    start = datetime.combine(day, time.min, UTC)
    return [start + timedelta(hours=hour) for hour in sorted(hours)]


def _made(command: CreatePayment, moment: datetime) -> Made:
    payment = use_cases.opened(command, moment, actor="bench").payment
    # The key carries the id, so that it is another one every day.
    payment = payment.model_copy(update={"idempotency_key": f"order-{payment.id[4:]}"})
    claimed_at = moment + timedelta(seconds=random.uniform(0.1, _SETTLED_WITHIN_SECONDS))
    settled_at = claimed_at + timedelta(milliseconds=random.uniform(5, 500))
    claimed = payment.model_copy(update={"submitted_at": claimed_at})
    (outcome,) = random.choices(list(_OUTCOMES), list(_OUTCOMES.values()))
    if outcome == "completed":
        settled = claimed.complete(settled_at, actor="system")
    elif outcome == "failed":
        settled = claimed.fail(FailureCode.INSUFFICIENT_FUNDS, settled_at, actor="system")
    else:
        settled = payment.cancel(settled_at, actor="bench")
    return Made(payment, settled.payment)


def row_of(payment: Made) -> Row:
    (total,) = totals_moved(*payment)
    return Row(payment.opened.id[4:], _as_json(payment.opened), _as_json(payment.settled), total)


def _as_json(payment: Payment) -> str:
    return json.dumps(encode(store._payment_item(payment)))


class Days:
    """The newest day, and the days before it."""

    def __init__(self, newest: date, rows: Sequence[Row]) -> None:
        self.newest = newest
        self._rows = rows

    def payment_id(self, ago: int, number: int) -> str:
        """Of the day that is so many days before the newest; its oldest payment is number 0."""
        return f"PAY-{_days_before(self._rows[number].ulid, ago)}"

    def items(self, ago: int, still_processing: int = STILL_PROCESSING) -> Iterator[str]:
        """The rows of that day, as DynamoDB's JSON; of the newest the last are still processing."""
        day, newest = self._day(ago).isoformat(), self.newest.isoformat()
        settled = len(self._rows) - (0 if ago else still_processing)
        sums: defaultdict[tuple[int, str], tuple[int, Decimal]]
        sums = defaultdict(lambda: (0, Decimal(0)))
        for number, row in enumerate(self._rows):
            ulid = _days_before(row.ulid, ago)
            text = row.settled if number < settled else row.processing
            yield text.replace(newest, day).replace(row.ulid, ulid)
            if number < settled:
                shard = store.totals_shard(f"PAY-{ulid}")
                kind = f"{day}#{row.total.currency}#{row.total.type}#{row.total.status}"
                count, volume = sums[shard, kind]
                sums[shard, kind] = (count + row.total.count, volume + row.total.volume)
        for (shard, kind), (count, volume) in sums.items():
            key = {"PK": store._totals_partition(shard), "SK": kind}
            yield json.dumps(encode(key | {"count": count, "volume": volume}))

    def _day(self, ago: int) -> date:
        return self.newest - timedelta(days=ago)


def _days_before(ulid: str, ago: int) -> str:
    """The same so many days earlier: a ULID is a time in milliseconds and 80 random bits."""
    whole = ULID.from_str(ulid).bytes
    milliseconds = int.from_bytes(whole[:6]) - ago * _MILLISECONDS_A_DAY
    return str(ULID(milliseconds.to_bytes(6) + whole[6:]))


def fill(url: str, table: str, days: Days, ages: range) -> int:
    """Write the days that are so many days before the newest; returns how many rows they have."""
    tasks = [(url, table, days, ago) for ago in ages]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_LOADERS, mp_context=context) as pool:
        return sum(pool.map(_fill_day, tasks, chunksize=10))


def _fill_day(task: tuple[str, str, Days, int]) -> int:
    url, table, days, ago = task
    items = list(days.items(ago))
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        for start in range(0, len(items), _BATCH):
            _write(connection, table, items[start : start + _BATCH])
    finally:
        connection.close()
    return len(items)


def _write(connection: http.client.HTTPConnection, table: str, items: Sequence[str]) -> None:
    puts = ", ".join(f'{{"PutRequest": {{"Item": {item}}}}}' for item in items)
    connection.request("POST", "/", f'{{"RequestItems": {{"{table}": [{puts}]}}}}', _HEADERS)
    answer = connection.getresponse()
    said: Any = json.loads(answer.read())
    if answer.status != 200 or said["UnprocessedItems"]:
        raise OSError(f"DynamoDB Local took not all of a batch: {answer.status} {said}")
