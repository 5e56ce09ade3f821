"""Writes docs/reports/scaling.md and its plots: `make scaling`."""

import sys
from pathlib import Path
from typing import Final, NamedTuple

from chalicelib.queue_jobs import BATCH_SIZE
from chalicelib.store import BY_STATUS, EVERYTHING, TOTALS_SHARDS
from chalicelib.webhook_model import MAX_ENDPOINTS
from chalicelib.webhook_store import BY_ENDPOINT, DUE, DUE_SHARDS
from sizing import svg
from sizing.bill import (
    DAYS_A_MONTH,
    MILLION,
    ROOT,
    SECONDS_A_MONTH,
    billed_ms,
    prices,
    templates,
    timing,
)
from sizing.costs import payment_in_full_batches
from sizing.flows import Measured, Usage
from sizing.meter import Load
from sizing.page import money, page, table
from sizing.partitions import (
    NEW_TABLE_WRITE_UNITS,
    READ_UNITS,
    TABLE_QUOTA,
    WRITE_UNITS,
    Listing,
    Outcome,
    UnitsHere,
    contended,
    kept_up_with,
    listed,
    simulated,
)
from sizing.recorded import record

PAGE: Final = ROOT / "docs" / "reports" / "scaling.md"
PLOTS: Final = "scaling"
"""The folder of the plots, beside the page."""

SHARDS: Final = (1, 4, 16, 64, 256)
RATES: Final = (100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 50_000)
BILLED_RATES: Final = (100, 300, 1_000, 10_000, 50_000)
COMPLETED: Final = 0.85
HOTTEST_TOTAL: Final = 0.4
"""The part of all payments that are of one currency, type and outcome: assumed."""
CONNECTIONS: Final = 64
"""That a process keeps to DynamoDB (chalicelib/aws.py)."""
_PAGE_SIZE: Final = 20
_SPLIT_RATE: Final = 10_000
_SPLIT_SHARDS: Final = 64
_SPLIT_MINUTES: Final = 40


class Limit(NamedTuple):
    """How many payments a second something takes."""

    what: str
    units: str
    rate: float
    helps: str
    color: int


class Drawn(NamedTuple):
    """The page, and its plots by file name."""

    text: str
    plots: dict[str, str]


def main(arguments: list[str]) -> None:
    path = Path(arguments[0]) if arguments else PAGE
    drawn = draw(record())
    (path.parent / PLOTS).mkdir(exist_ok=True)
    path.write_text(drawn.text)
    for name, plot in drawn.plots.items():
        (path.parent / PLOTS / name).write_text(plot)


def units_of(loads: list[Load], place: str, key: str = "") -> float:
    """Asked of one place, by keys that start so."""
    return sum(load.units for load in loads if load.place == place and load.key.startswith(key))


def units_of_processing(flows: dict[str, Usage]) -> UnitsHere:
    create = units_of(flows["create"].writes, BY_STATUS.name, "processing")
    settle = units_of(flows["settle"].writes, BY_STATUS.name, "processing")
    return UnitsHere(create, settle / 2, settle / 2)  # its claim, and its leaving


def throttle() -> int:
    settings = templates()[1]["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
    return int(settings[0]["ThrottlingRateLimit"])


def limits(flows: dict[str, Usage]) -> list[Limit]:
    """Of today's design, the lowest first."""
    writes = flows["create"].writes + flows["settle"].writes
    told = flows["endpoint told"].writes + flows["deliver"].writes
    processing = units_of_processing(flows).all
    everything = units_of(writes, EVERYTHING.name)
    table_units = units_of(writes, "payflow-payments")
    record_units = units_of(writes, "payflow-idempotency")
    totals = units_of(writes, "payflow-payments", "STATS") / TOTALS_SHARDS
    due = units_of(told, DUE.name) / DUE_SHARDS
    an_endpoint = units_of(told, BY_ENDPOINT.name)
    looks = lookups_a_payment(flows)
    found = [
        Limit("list by status: `processing`", _writes(processing), WRITE_UNITS / processing,
              "shards of the key", 1),
        Limit("list by status: `completed`", _writes(COMPLETED), WRITE_UNITS / COMPLETED,
              "the same shards", 1),
        Limit("list of all: its one key", _writes(everything), WRITE_UNITS / everything,
              "shards of the key", 1),
        Limit("payments table, new", _writes(table_units), NEW_TABLE_WRITE_UNITS / table_units,
              "warm throughput, or half an hour a doubling", 0),
        Limit("payments table, AWS's quota", _writes(table_units), TABLE_QUOTA / table_units,
              "a raised quota", 0),
        Limit("idempotency table, new", _writes(record_units),
              NEW_TABLE_WRITE_UNITS / record_units, "warm throughput", 0),
        Limit("a day's totals: units", _writes(totals), WRITE_UNITS / totals, "more shards", 2),
        Limit("a day's totals: transactions meet", f"{HOTTEST_TOTAL * 100:.0f} % on one row",
              totals_rate(TOTALS_SHARDS), "more shards", 2),
        Limit("endpoints' rows, 1 told of all", _reads(1 / BATCH_SIZE + 1),
              READ_UNITS / (1 / BATCH_SIZE + 1), "a cache for the courier; splits", 3),
        Limit(f"endpoints' rows, {MAX_ENDPOINTS} told of all",
              _reads(1 / BATCH_SIZE + MAX_ENDPOINTS),
              READ_UNITS / (1 / BATCH_SIZE + MAX_ENDPOINTS), "a cache for the courier; splits", 3),
        Limit("one endpoint's delivery log", _writes(an_endpoint), WRITE_UNITS / an_endpoint,
              "shards of the key", 3),
        Limit(f"what is due, {DUE_SHARDS} shards", _writes(due), WRITE_UNITS / due,
              "more shards", 3),
        Limit("API keys", _reads(looks), READ_UNITS / looks, "nothing needed", 0),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.rate)


def lookups_a_payment(flows: dict[str, Usage]) -> float:
    """Each process looks a key up once in 30 seconds; there are as many as requests under way."""
    processes_a_payment = billed_ms("create", flows["create"]) / 1000
    return processes_a_payment / 30 * flows["key looked up"].read_units


def held_seconds() -> float:
    return float(timing()["wait_ms"]["TransactWriteItems"]) / 1000


def totals_rate(shards: int) -> float:
    """The highest rate at which fewer than 1 in 1,000 settlements give up on a total's row."""
    low, high = 1.0, 1 / held_seconds()
    while high - low > 0.5:
        middle = (low + high) / 2
        if contended(middle, held_seconds()).given_up < 0.001:
            low = middle
        else:
            high = middle
    return low * shards / HOTTEST_TOTAL


def draw(seen: Measured) -> Drawn:
    flows = seen.flows
    found = limits(flows)
    units = units_of_processing(flows)
    rates = {shards: kept_up_with(shards, units) for shards in SHARDS}
    lists = {shards: _listed(shards, seen) for shards in SHARDS}
    parts = {"new": 4, "warm": TABLE_QUOTA // WRITE_UNITS}
    splits = {name: _splitting(units, partitions) for name, partitions in parts.items()}
    plots = {
        "limits.svg": _plot_limits(found),
        "shards.svg": _plot_shards(units),
        "splits.svg": _plot_splits(splits),
        "listing.svg": _plot_listing(lists),
        "totals.svg": _plot_totals(),
    }
    text = page(
        _INTRODUCTION.format(
            processing=f"{WRITE_UNITS / units.all:,.0f}", each=f"{units.all:g}",
            bursty=f"{rates[1]:,.0f}", throttle=throttle(), max_endpoints=MAX_ENDPOINTS,
            ten=f"{READ_UNITS / (1 / BATCH_SIZE + MAX_ENDPOINTS):,.0f}",
        ),
        _LIMITS,
        table(["what", "a payment asks", "payments a second", "what helps"],
              [[limit.what, limit.units, _rate(limit.rate), limit.helps] for limit in found],
              "llrl"),
        _AFTER_LIMITS.format(
            held=f"{held_seconds() * 1000:.0f}", hottest=f"{HOTTEST_TOTAL * 100:.0f} %",
            needed=f"{-(-50_000 // int(totals_rate(1))):,}",
        ),
        _SHARDS,
        _table_of_shards(seen, units, rates, lists),
        _AFTER_SHARDS.format(
            needed=next(shards for shards in SHARDS if rates[shards] * 1.05 >= 48_000),
            taken=f"{rates[256]:,.0f}", page=_PAGE_SIZE,
            pages=_rate(READ_UNITS * 256 / lists[256].read_units),
            sweep=f"{sweep_seconds(flows, 256):,.0f}",
        ),
        _SPLITS.format(
            rate=f"{_SPLIT_RATE:,}", shards=_SPLIT_SHARDS,
            new=_minutes_of(splits["new"]), warm=_minutes_of(splits["warm"]),
            first=f"{splits['new'].refused_by_minute[0] * 100:.0f} %",
            first_warm=f"{splits['warm'].refused_by_minute[0] * 100:.0f} %",
        ),
        _migration(seen),
        _BILL,
        _table_of_bills(flows),
        _AFTER_BILL,
        _METHOD,
    )  # fmt: skip
    return Drawn(text, plots)


def _listed(shards: int, seen: Measured) -> Listing:
    return listed(
        shards,
        page=_PAGE_SIZE,
        item_bytes=seen.stored.bytes[BY_STATUS.name],
        cpu_ms=query_ms(seen.flows),
        connections=CONNECTIONS,
    )


def query_ms(flows: dict[str, Usage]) -> float:
    """The API's work for one query among many: the totals ask for enough of them to tell."""
    name = "stats of 30 days"
    share = 1024 / 1769
    per_query: float = timing()["cpu_ms"][name] / flows[name].calls["Query"]
    return per_query / share


def sweeper_queries(flows: dict[str, Usage], shards: int) -> int:
    """A quiet run's: each window of the status index in each shard, and what is due."""
    return (flows["sweep"].calls["Query"] - DUE_SHARDS) * shards + DUE_SHARDS


def sweep_seconds(flows: dict[str, Usage], shards: int) -> float:
    """One query after the other; the sweeper has half of the API's memory, and so its speed."""
    each = timing()["wait_ms"]["call"] + 2 * query_ms(flows)
    return float(sweeper_queries(flows, shards) * each) / 1000


def _splitting(units: UnitsHere, partitions: int) -> Outcome:
    return simulated(
        _SPLIT_RATE, _SPLIT_SHARDS, units, seconds=60 * _SPLIT_MINUTES, partitions=partitions
    )


def _minutes_of(outcome: Outcome) -> str:
    """How long more than 1 in 100 is refused in a minute."""
    hot = [minute for minute, part in enumerate(outcome.refused_by_minute, 1) if part > 0.01]
    return str(hot[-1]) if hot else "0"


def _table_of_shards(
    seen: Measured, units: UnitsHere, rates: dict[int, float], lists: dict[int, Listing]
) -> str:
    rows = []
    for shards in SHARDS:
        listing = lists[shards]
        queries = sweeper_queries(seen.flows, shards)
        month = queries * 0.5 * DAYS_A_MONTH * 1440
        dollars = month * prices()["dynamodb"]["million_read_units"] / MILLION
        seconds = sweep_seconds(seen.flows, shards)
        rows.append([
            f"{shards}", _rate(WRITE_UNITS * shards / units.all), _rate(rates[shards]),
            f"{listing.queries:,.0f}", f"{listing.read_units:,.1f}",
            f"{listing.median_ms:,.0f} / {listing.p99_ms:,.0f}",
            f"{queries:,}", money(dollars), f"{seconds:,.1f}",
        ])  # fmt: skip
    head = ["shards", "payments a second, evenly", "with bursts", "queries a page",
            "read units a page", "ms, p50 / p99", "sweeper's queries a run",
            "its reads a month", "its seconds a run"]  # fmt: skip
    return table(head, rows, "rrrrrrrrr")


def _migration(seen: Measured) -> str:
    flows = seen.flows
    writes = flows["create"].writes + flows["settle"].writes
    now = sum(load.units for load in writes)
    twice = units_of(writes, BY_STATUS.name) + units_of(writes, EVERYTHING.name)
    # A row that is marked later: itself, its entry in the old index that holds all of it, two new.
    marked = 1 + 1 + 2
    read = 1.5
    price = prices()["dynamodb"]
    backfill = marked * price["million_write_units"] + read * price["million_read_units"]
    return _MIGRATION.format(
        now=f"{now:g}", both=f"{now + twice:g}", twice=f"{twice:g}", marked=marked,
        backfill=money(backfill),
        more=money(twice * price["million_write_units"]),
        days=f"{100 * MILLION / 250 / 86_400:.1f}",
    )  # fmt: skip


def api_gateway_dollars(requests: float) -> float:
    """A month's, by its steps."""
    price = prices()["api_gateway"]
    dollars, left = 0.0, float(requests / MILLION)
    for size, per_million in zip(price["step_millions"], price["step_prices"], strict=True):
        taken = min(left, float(size))
        dollars, left = dollars + taken * per_million, left - taken
    return dollars + left * float(price["last_step_price"])


def _table_of_bills(flows: dict[str, Usage]) -> str:
    services = [name for name, _ in payment_in_full_batches(flows).lines.most_common()]
    rows = []
    for rate in BILLED_RATES:
        each, payments = payment_in_full_batches(flows, rate), rate * SECONDS_A_MONTH
        lines: dict[str, float] = {name: each.lines[name] * payments for name in services}
        lines["API Gateway"] = api_gateway_dollars(payments)
        total = sum(lines.values())
        rows.append([f"{rate:,}", f"{payments / 1e9:,.2f}",
                     *(f"${lines[name]:,.0f}" for name in services),
                     f"**${total:,.0f}**", money(total / payments * MILLION)])  # fmt: skip
    head = ["payments a second", "billion a month", *services, "in all", "a million"]
    return table(head, rows, "r" * len(head))


def _plot_limits(found: list[Limit]) -> str:
    shown = [limit for limit in found if limit.rate < 100_000]
    drawn = [
        svg.Bar(limit.what.replace("`", ""), limit.rate, limit.color, _rate(limit.rate))
        for limit in shown
    ]
    ticks = (50, 100, 200, 500, 1_000, 2_000, 5_000)
    axis = svg.Axis("payments a second (logarithmic)", 50, 10_000, ticks, is_log=True)
    mark = svg.Mark(throttle(), f"the API's throttle, {throttle()} a second")
    return svg.bars("What saturates first, as the design is today", axis, drawn, mark)


def _plot_shards(units: UnitsHere) -> str:
    def refused(shards: int) -> list[tuple[float, float]]:
        return [
            (rate, simulated(rate, shards, units, seconds=120).refused_part * 100) for rate in RATES
        ]

    drawn = [svg.Line(f"{shards} shard{'s' * (shards > 1)}", refused(shards)) for shards in SHARDS]
    x = svg.Axis("payments a second asked for (logarithmic)", 100, 50_000,
                 (100, 400, 1_600, 6_400, 25_000, 50_000), is_log=True)  # fmt: skip
    y = svg.Axis("creates refused with 503, %", 0, 100, (0, 20, 40, 60, 80, 100))
    return svg.lines("Refused creates, by shards of the status index's key", x, y, drawn)


def _plot_splits(splits: dict[str, Outcome]) -> str:
    names = {"new": "4 partitions (new)", "warm": "40 (pre-warmed)"}
    drawn = [
        svg.Line(names[name], [(minute, part * 100) for minute, part in
                               enumerate(outcome.refused_by_minute, 1)])
        for name, outcome in splits.items()
    ]  # fmt: skip
    x = svg.Axis(
        "minutes since the new index took the load", 1, _SPLIT_MINUTES, (1, 10, 20, 30, 40)
    )
    y = svg.Axis("creates refused with 503, %", 0, 100, (0, 20, 40, 60, 80, 100))
    title = f"{_SPLIT_RATE:,} payments a second on {_SPLIT_SHARDS} shards: splits take their time"
    return svg.lines(title, x, y, drawn)


def _plot_listing(lists: dict[int, Listing]) -> str:
    drawn = [
        svg.Line("p99, ms", [(shards, listing.p99_ms) for shards, listing in lists.items()]),
        svg.Line("p50, ms", [(shards, listing.median_ms) for shards, listing in lists.items()]),
        svg.Line("read units", [(shards, listing.read_units) for shards, listing in lists.items()]),
    ]
    x = svg.Axis("shards (logarithmic)", 1, 256, (1, 4, 16, 64, 256), is_log=True)
    y = svg.Axis(
        "ms, or read units, a page (logarithmic)", 1, 500, (1, 5, 20, 100, 500), is_log=True
    )
    return svg.lines(f"What a page of {_PAGE_SIZE} then costs", x, y, drawn)


def _plot_totals() -> str:
    held = held_seconds()

    def attempts(shards: int) -> list[tuple[float, float]]:
        rates = [50_000 / 2 ** (step / 2) for step in range(18, -1, -1)]
        rates = [rate for rate in rates if rate * HOTTEST_TOTAL / shards < 0.8 / held]
        return [
            (rate, contended(rate * HOTTEST_TOTAL / shards, held, seconds=120).attempts)
            for rate in rates
        ]

    drawn = [
        svg.Line(f"{shards:,} shards", attempts(shards))
        for shards in (TOTALS_SHARDS, 64, 256, 1_024)
    ]
    x = svg.Axis("payments a second (logarithmic)", 100, 50_000,
                 (100, 400, 1_600, 6_400, 25_000, 50_000), is_log=True)  # fmt: skip
    y = svg.Axis("tries of a settlement", 1, 4, (1, 2, 3, 4))
    return svg.lines("Transactions that meet on a day's busiest total", x, y, drawn)


def _writes(units: float) -> str:
    return f"{units:g} write unit{'s' * (units != 1)}"


def _reads(units: float) -> str:
    return f"{units:.2g} read units" if units >= 0.01 else f"{units:.1g} read units"


def _rate(rate: float) -> str:
    if rate >= MILLION:
        return f"{rate / MILLION:,.1f} million"
    return f"{rate:,.0f}" if rate < 1000 else f"{round(rate, -2):,.0f}"


_INTRODUCTION: Final = """\
# Past one partition

<!-- Written by `make scaling`; a test holds it to what that writes. Edit sizing/ instead. -->

A partition of DynamoDB takes 1,000 write units and 3,000 read units a second, whatever its table
may. PayFlow is let go at {throttle} requests a second (bursts of 200, API Gateway's throttle),
and its first partition saturates at {processing} payments a second: the status index keeps all
that is `processing` under one key, and a payment writes there {each} times, when it is created,
when it is claimed (the index holds the whole row, so a claim changes it too) and when it leaves.
With bursts of twice the mean it is {bursty}. Where {max_endpoints} endpoints are told of every
payment, their own rows' partition comes even before that, at {ten}.

So there is no code for what follows. It is on paper, to be taken out when somebody needs it: a
simulation that counts from the requests that the handlers are seen to make, as
[costs.md](costs.md) does.
"""

_LIMITS: Final = """\
## Where today's design saturates

![Payments a second at which each key or table saturates](scaling/limits.svg)
"""

_AFTER_LIMITS: Final = """\
Rows of payments, events, refunds and idempotency records have keys of their own and spread over
all partitions, which AWS adds as they are needed: they meet the tables' limits only. A refused
write of an index refuses the write of its table (AWS's back-pressure), so a hot key of the list
by status is a 503 for who creates a payment; nothing is lost by it, since the row and its index
are one write.

Totals meet their limit by meeting each other, long before their units: a transaction that finds a
row in another's hands is refused and tries again. Taken that one holds a row for {held} ms and
that {hottest} of all payments go to one row of a shard, 16 shards carry the rate above; 50,000 a
second would need {needed} shards, which a day's reader would have to read. Beyond some thousands
a second totals are better added up in the worker, one addition a batch, or from a stream of the
table.

![Tries of a settlement by payments a second and shards of the totals](scaling/totals.svg)

What helps elsewhere is small: the courier may keep an endpoint for some seconds, as the outbox
does; the delivery log's key takes shards as the lists' keys do.
"""

_SHARDS: Final = """\
## What sharding the keys gives

The status index's key becomes `processing#07` instead of `processing`, the list of all's
`PAYMENT#07`, the number being the payment id's CRC modulo the number of shards, as the totals'
is. Everything else stays: the sort key is in time's order within a shard, and pages go on below
it.

![Refused creates by payments a second, one line for each number of shards](scaling/shards.svg)
"""

_AFTER_SHARDS: Final = """\
*Evenly* is the units' own arithmetic. *With bursts* is what the simulation keeps up with: less
than 1 in 1,000 refused or put off, chance spreading payments unevenly over shards, and traffic
doubling for five seconds about once a minute. {needed} shards take about 50,000 a second
({taken}).

Reading pays for it. A page asks every shard for its part of the newest {page} and a little more,
and asks again where that was too little, then merges by the sort key; cursors stay as they are,
since a page goes on below one sort key in all shards. It needs a read unit for each two shards
however few rows there are, and past some sixty connections at once the processor's work for so
many answers, not the network, is what a caller waits for. At 256 shards all of an index's
partitions together would give {pages} pages a second, which is plenty.

![Milliseconds and read units of a page, by shards](scaling/listing.svg)

The sweeper asks each window in each shard. Its queries cost little, but one after the other those
of 256 shards take {sweep} seconds of its function's sixty: it would have to ask side by side, as
the totals' reader does. Sparse is cheaper still: an index of what is `processing` only, keys
only, for the sweeper alone, would leave the list by status to people.
"""

_SPLITS: Final = """\
### Splits

AWS splits a partition that stays hot, between its keys or between sort keys; but writes whose
sort key only grows all go to the upper half, so a key of ours never gains from a split, and a
partition that holds several of our keys gains until each has its own. A new index has four
partitions, and each split takes minutes: at {rate} payments a second on {shards} shards, the
simulation refuses {first} of the creates in the first minute and more than 1 % of them for {new}
minutes. Pre-warmed to 40,000 write units before it takes any load, {first_warm} and {warm}
minutes: keys that share a partition by chance remain, until it is split. Burst capacity (300
seconds of what was not used) is the table's, and does not lift a partition over its 1,000.

![Refused creates by minutes, for a new index and a pre-warmed one](scaling/splits.svg)
"""

_MIGRATION: Final = """\
## Getting there without downtime

Each step is one deploy, works with the one before and the one after, and is undone by deploying
the one before. Requests are served throughout.

1. **Write the new attributes.** `statusShard` and `listingShard` go into every write of a payment
and a refund; a refund's status has its own values, as now. Nothing reads them; an item below 1 KB
costs no unit more. Undo: they are ignored.

2. **Add the first index**, `statusShard-createdAt-index`, pre-warmed by `WarmThroughput` in
infra/backend.yaml. CloudFormation adds one index at a time, and AWS fills it from the rows that
have its attributes, while they are written. Alarms on its throttles come with it. Undo: delete
it.

3. **Add the second**, `listingShard-createdAt-index`. From here a payment writes {both} units
instead of {now}: {twice} more, {more} a million.

4. **Mark the older rows.** A job walks the list of all (no scan), oldest first, and sets both
attributes where they are absent or belong to another status, on the condition that the status is
still the one it saw; whoever moved the payment meanwhile has set them. {marked} write units and a
read a row: {backfill} a million. At 250 rows a second, which leaves three quarters of the old
index's `completed` to payments, 100 million take {days} days. It keeps its place as a sort key,
may be stopped at any time and run again: after a return to code from before step 1, which would
leave stale attributes behind, it must be.

5. **Read both, answer from the old.** Lists ask both indexes, count pages that differ as a
metric, and answer as before; the sweeper takes the union, since one hint too many is harmless. A
week without a difference is the condition for the next step.

6. **Answer from the new**, by a setting, function by function: sweeper, then lists. Cursors hold
a sort key and stay valid, so nobody's paging breaks. Undo: the setting.

7. **Stop writing the old.** `status` and `listing` stay attributes of the row; the old indexes
are deleted, one a deploy. A payment writes {now} units again. This is the step that is not undone
by a deploy: a deleted index is filled anew.

8. **Raise the throttle**, quotas and Lambda's concurrency; before a known peak, warm throughput
of both tables too, since a table takes twice its former peak at once and more only after half an
hour.

More shards later are the same steps with another attribute. It is cheaper to begin with 64 or
256: what too many shards cost is in the table above.
"""

_BILL: Final = """\
## The bill

A month of nothing but creating and settling, day and night, in full batches, without webhooks and
looks, by [the same prices](costs.md#prices); API Gateway by its steps, X-Ray by its default rule.
"""

_AFTER_BILL: Final = """\
Sharding changes none of it but what lists read: writes cost the same in 256 partitions as in one.
At such rates one would buy differently: provisioned or reserved capacity, an HTTP API, several
hints a message.
"""

_METHOD: Final = """\
## What is simulated, and what is assumed

- Second by second: payments come by chance (Poisson) and in bursts, fall into shards by a hash,
  and ask their keys' partitions for units: at creation, claim and settlement, as recorded. A
  partition takes 1,000; of what is over, each has the same part refused. A create tries for about
  a second and is then a 503; a worker does the same, and its message comes back after the
  visibility timeout.
- Transactions cost two units for each item in the table, and one for each index entry that
  changes.
- From AWS's developer guide for DynamoDB: the limits of a partition ("Best practices for
  designing and using partition keys effectively"), back-pressure ("Understanding GSI write
  throttling and back pressure", whose example is an index on a status), burst and adaptive
  capacity ("DynamoDB burst and adaptive capacity"), a new on-demand table's 4,000 write units and
  its doubling ("DynamoDB on-demand capacity mode"), 40,000 a table ("Quotas in Amazon DynamoDB"),
  pre-warming ("Understanding DynamoDB warm throughput"). That splits do not help a growing sort
  key: AWS's database blog, "Scaling DynamoDB: How partitions, hot keys, and split for heat impact
  performance". That burst capacity does not lift a partition: AWS re:Post, "How does DynamoDB
  handle spiky workloads".
- Assumed: a split after three minutes of refusals; bursts as above; 10 ms for which a transaction
  holds a row; a query's time (4 ms, one in a hundred 15 ms); 85 % of payments complete.
- Nothing of this was measured on AWS. The seed is fixed, so that the page does not change by
  itself.
"""

if __name__ == "__main__":
    main(sys.argv[1:])
