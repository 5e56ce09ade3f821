"""Simulates partitions second by second: what they take, refuse, and put off.

Seeded, so that it says the same each time. docs/reports/scaling.md names AWS's sources; what is
assumed has its reason beside it.
"""

import hashlib
import heapq
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bench.page import percentile
from chalicelib.aws.dynamodb import _ATTEMPTS, _BACKOFF_BASE_SECONDS, _BACKOFF_CAP_SECONDS

WRITE_UNITS: Final = 1000
READ_UNITS: Final = 3000
"""A second, of one partition, whatever the table may."""

BURST_FACTOR: Final = 2.0
BURST_SECONDS: Final = 5
BURST_CHANCE: Final = 1 / 60
"""Traffic doubles for five seconds, about once a minute: sales, retries, cron."""
SPLIT_AFTER_SECONDS: Final = 180
"""AWS splits what is hot for minutes, and does not say how many: taken to be three, in all."""
RETURN_SECONDS: Final = 360
"""The queues' visibility timeout, after which a message is delivered again."""

_SEED: Final = 20_261_122
_LONG_ENOUGH_MINUTES: Final = 5
"""Some five bursts."""
_GAUSS_ABOVE: Final = 20
_PAGE_SIZE: Final = 20
_PAGES: Final = 400
_CONNECTIONS: Final = 64
"""That a process keeps to DynamoDB (chalicelib/aws/clients.py)."""


def poisson(mean: float, chance: random.Random) -> int:
    if mean > _GAUSS_ABOVE:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def arrivals(rate: float, chance: random.Random) -> Iterator[float]:
    """The mean of each second, so that over time the mean is `rate`."""
    in_burst = BURST_SECONDS * BURST_CHANCE / (1 + BURST_SECONDS * BURST_CHANCE)
    calm = rate / (1 + (BURST_FACTOR - 1) * in_burst)
    while True:
        is_burst = chance.random() < BURST_CHANCE
        for _ in range(BURST_SECONDS if is_burst else 1):
            yield calm * BURST_FACTOR if is_burst else calm


class Partitions:
    """The partitions of one index: each holds the keys whose hash is in its range.

    A partition that is hot for long is split between its keys. One that holds a single key is not:
    the writes of an ever-increasing sort key all go to the upper half.
    """

    def __init__(self, keys: list[str], partitions: int | None) -> None:
        """`partitions` in equal ranges, as a new index has them; None: split to the end."""
        self._hashes = [
            int(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(), 16) / 2**128
            for key in keys
        ]
        self.homes = list(range(len(keys)))
        if partitions is not None:
            self.homes = [int(value * partitions) for value in self._hashes]
        self._hot_seconds: defaultdict[int, int] = defaultdict(int)

    def shares(self, demand: list[float]) -> list[float]:
        """Which part of each key's writes is taken in this second; then a second has passed."""
        asked: defaultdict[int, float] = defaultdict(float)
        for home, units in zip(self.homes, demand, strict=True):
            asked[home] += units
        shares = [min(1.0, WRITE_UNITS / max(asked[home], 1)) for home in self.homes]
        for home, units in asked.items():
            self._hot_seconds[home] += units > WRITE_UNITS
            if self._hot_seconds[home] >= SPLIT_AFTER_SECONDS:
                self._split(home)
        return shares

    def _split(self, hot: int) -> None:
        self._hot_seconds[hot] = 0
        keys = sorted((key for key, home in enumerate(self.homes) if home == hot),
                      key=self._hashes.__getitem__)  # fmt: skip
        fresh = max(self.homes) + 1
        for key in keys[len(keys) // 2 :] if len(keys) > 1 else []:
            self.homes[key] = fresh


class UnitsHere(NamedTuple):
    """Write units that a payment asks of one status's key, by step."""

    create: float
    submit: float
    settle: float


class Shard:
    """One value of the status index's key, and what its payments are waiting to write there.

    A write that an index cannot take is refused by the table. The API tries for about a second,
    then answers 503; a worker does the same, then leaves the message to its visibility timeout.
    """

    def __init__(self) -> None:
        self.first = [0.0, 0.0, 0.0]
        """Creates, submissions and settlements that are tried for the first time."""
        self.again = [0.0, 0.0, 0.0]
        self.later: defaultdict[int, float] = defaultdict(float)

    def demand(self, units: UnitsHere) -> float:
        steps = zip(self.first, self.again, units, strict=True)
        return sum((first + again) * unit for first, again, unit in steps)

    def step(self, share: float, second: int) -> tuple[float, float]:
        """Take that part; returns what was refused for good, and what was put off."""
        refused, *lost = (count * (1 - share) for count in self.again)
        created, submitted = (self.first[step] + self.again[step] for step in (0, 1))
        self.again = [count * (1 - share) for count in self.first]
        # What is put off starts over with its submission, whichever of the two it was.
        self.later[second + RETURN_SECONDS] += sum(lost)
        self.first = [0.0, created * share + self.later.pop(second, 0.0), submitted * share]
        return refused, sum(lost)


@dataclass
class Outcome:
    """What became of payments, minute by minute."""

    asked: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    put_off: list[float] = field(default_factory=list)
    """Submissions and settlements that come back with their message, minutes later."""

    @property
    def refused_part(self) -> float:
        return sum(self.refused) / sum(self.asked)

    @property
    def refused_by_minute(self) -> list[float]:
        return [part / whole for part, whole in zip(self.refused, self.asked, strict=True)]


def simulated(
    rate: float, shards: int, units: UnitsHere, *, minutes: int, partitions: int | None = None
) -> Outcome:
    """`rate` payments a second on a status index whose key has so many shards."""
    chance = random.Random(_SEED)
    means = arrivals(rate, chance)
    keys = [f"processing#{number:03}" for number in range(shards)]
    index, rows = Partitions(keys, partitions), [Shard() for _ in keys]
    outcome = Outcome([0.0] * minutes, [0.0] * minutes, [0.0] * minutes)
    for second in range(60 * minutes):
        mean = next(means) / shards
        for row in rows:
            row.first[0] = poisson(mean, chance)
        outcome.asked[second // 60] += sum(row.first[0] for row in rows)
        shares = index.shares([row.demand(units) for row in rows])
        for row, share in zip(rows, shares, strict=True):
            refused, lost = row.step(share, second)
            outcome.refused[second // 60] += refused
            outcome.put_off[second // 60] += lost
    return outcome


def kept_up_with(shards: int, units: UnitsHere) -> float:
    """The highest rate at which less than 1 in 1,000 is refused or put off, to 2 %."""

    def is_fine(rate: float) -> bool:
        outcome = simulated(rate, shards, units, minutes=_LONG_ENOUGH_MINUTES)
        return max(sum(outcome.refused), sum(outcome.put_off)) < 0.001 * sum(outcome.asked)

    return highest(is_fine, 0.0, WRITE_UNITS * shards / sum(units), lambda high: 0.02 * high)


def highest(
    is_fine: Callable[[float], bool], low: float, high: float, within: Callable[[float], float]
) -> float:
    """The highest rate that is fine, by halving what is between `low` and `high`."""
    while high - low > within(high):
        middle = (low + high) / 2
        if is_fine(middle):
            low = middle
        else:
            high = middle
    return low


class Contention(NamedTuple):
    """Transactions that meet on a row."""

    attempts: float
    """Of each, on average: each is paid for."""
    given_up: float
    """The part that all attempts did not help."""


def contended(rate: float, seconds_held: float, *, seconds: int = 400) -> Contention:
    """`rate` transactions a second on one row, which one at a time may hold for so long.

    One that meets another is refused and tries again, after a pause that is drawn as the product
    draws it.
    """
    chance = random.Random(_SEED)
    waiting: list[tuple[float, int]] = []
    moment = 0.0
    while moment < seconds:
        moment += chance.expovariate(rate)
        waiting.append((moment, 1))
    started = len(waiting)
    heapq.heapify(waiting)
    free_at, attempts, given_up = 0.0, 0, 0
    while waiting:
        moment, attempt = heapq.heappop(waiting)
        attempts += 1
        if moment >= free_at:
            free_at = moment + seconds_held
        elif attempt == _ATTEMPTS:
            given_up += 1
        else:
            ceiling = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
            again = moment + seconds_held + chance.uniform(0, ceiling)
            heapq.heappush(waiting, (again, attempt + 1))
    return Contention(attempts / started, given_up / started)


class Listing(NamedTuple):
    """What a page of a list costs when its index is sharded."""

    queries: float
    read_units: float
    median_ms: float
    p99_ms: float


def listed(shards: int, *, item_bytes: float, cpu_ms: float) -> Listing:
    """A page of the newest: every shard is asked for its share and a little more, side by side;
    one whose answer is used up before the page is full is asked again.

    A query's time is drawn: a median of 4 ms, one in a hundred of 15 (assumed). A process makes as
    many at once as it has connections, and has `cpu_ms` of work for each.
    """
    chance = random.Random(_SEED)
    wanted = _PAGE_SIZE + 1  # one more tells whether there is a next page
    per_shard = min(wanted, math.ceil(wanted / shards + 2 * math.sqrt(wanted / shards)))
    times, queries = [], 0
    for _ in range(_PAGES):
        newest = [0] * shards
        for _ in range(wanted):
            newest[chance.randrange(shards)] += 1
        again = sum(count >= per_shard for count in newest) if per_shard < wanted else 0
        queries += shards + again
        times.append(_fan_out_ms(shards, cpu_ms, chance) + _fan_out_ms(again, cpu_ms, chance))
    each = math.ceil(per_shard * item_bytes / 4096) * 0.5
    a_page = queries / _PAGES
    return Listing(a_page, a_page * each, statistics.median(times), percentile(times, 0.99))


def _fan_out_ms(queries: int, cpu_ms: float, chance: random.Random) -> float:
    """The network waits overlap, the processor's work does not."""
    if not queries:
        return 0.0
    free = [0.0] * min(_CONNECTIONS, queries)
    for _ in range(queries):
        began = heapq.heappop(free)
        heapq.heappush(free, began + chance.lognormvariate(math.log(4), 0.568))
    return max(max(free), queries * cpu_ms) + cpu_ms
