"""`make scaling`: where the tables saturate and what would help, in docs/reports/scaling.md.

What a payment writes where is recorded; the rest is simulated.
"""

from typing import Final, NamedTuple

from bench import page
from bench.bill import MILLION, MINUTES_A_MONTH, billed_ms, of_one, prices, templates, timing
from bench.costs import Flows, payment_in_full_batches
from bench.page import money, table
from bench.partitions import (
    READ_UNITS,
    WRITE_UNITS,
    UnitsHere,
    contended,
    highest,
    kept_up_with,
    listed,
    simulated,
)
from bench.usage import BATCH, Recorded, record
from chalicelib.payments.items import ALL, BY_STATUS, FEED, LISTING, TOTALS_SHARDS
from chalicelib.webhooks.items import BY_ENDPOINT, DUE, DUE_SHARDS
from chalicelib.webhooks.models import MAX_ENDPOINTS

PAGE: Final = "scaling"
SHARDS: Final = (1, 4, 16, 64, 256)
RATES: Final = (100, 400, 1_600, 6_400, 25_600, 50_000)
COMPLETED: Final = 0.85
NEW_TABLE_WRITE_UNITS: Final = 4000
TABLE_QUOTA: Final = 40_000
HOTTEST_TOTAL: Final = 0.4
"""The part of all payments that are of one currency, type and outcome: assumed."""
_ASKS_OF_HOTTEST: Final = (1 - (1 - HOTTEST_TOTAL) ** BATCH) / BATCH
"""Transactions on its rows for each payment: a full batch adds all of its payments at once."""
_BILLED_RATES: Final = (100, 300, 1_000, 10_000, 50_000)
_SPLIT_RATE: Final = 10_000
_SPLIT_SHARDS: Final = 64
_SPLIT_MINUTES: Final = (1, 2, 5, 10, 15, 20)


class Limit(NamedTuple):
    """How many payments a second something takes."""

    what: str
    units: str
    rate: float
    helps: str


def main(_: list[str]) -> None:
    page.write(PAGE, blocks(record()))


def blocks(seen: Recorded) -> dict[str, str]:
    """The tables of the page, by name."""
    return quick_blocks(seen) | {"shards": _shards(seen)}


def quick_blocks(seen: Recorded) -> dict[str, str]:
    """The tables that take little time to simulate."""
    return {
        "limits": _limits(seen.flows),
        "totals": _totals(),
        "refused": _refused(units_of_processing(seen.flows)),
        "splits": _splits(units_of_processing(seen.flows)),
        "migration": _migration(seen.flows),
        "bills": _bills(seen.flows),
    }


def units_of(flows: Flows, names: tuple[str, ...], place: str, key: str = "") -> float:
    """Write units that flows ask of one place, by keys that start so."""
    return sum(
        load.units
        for name in names
        for load in flows[name].writes
        if load.place == place and load.key.startswith(key)
    )


def units_of_processing(flows: Flows) -> UnitsHere:
    create = units_of(flows, ("create",), BY_STATUS.name, "processing")
    settle = units_of(flows, ("settle",), BY_STATUS.name, "processing")
    return UnitsHere(create, settle / 2, settle / 2)  # its submission, and its leaving


def throttle() -> int:
    settings = templates()[1]["Resources"]["RestAPI"]["Properties"]["MethodSettings"]
    return int(settings[0]["ThrottlingRateLimit"])


def limits(flows: Flows) -> list[Limit]:
    """Of today's design, the lowest first."""
    payment, told = ("create", "settle"), ("endpoint told", "deliver")
    processing = sum(units_of_processing(flows))
    totals = units_of(flows, ("settle ten",), "payflow-payments", "STATS") / BATCH / TOTALS_SHARDS
    rows = units_of(flows, payment, "payflow-payments")
    records = units_of(flows, payment, "payflow-idempotency")
    lookups = billed_ms("create", flows["create"]) / 1000 / 30 * flows["key looked up"].read_units
    hottest = f"{_ASKS_OF_HOTTEST:.2f} transactions on one row"
    found = [
        _writes("list by status: `processing`", processing, "shards of the key"),
        _writes("list by status: `completed`", COMPLETED, "the same shards"),
        _writes("list of all: its one key", units_of(flows, payment, ALL.name, LISTING),
                "shards of the key"),
        _writes("feed of events: its one key", units_of(flows, payment, ALL.name, FEED),
                "shards of the key"),
        _writes("payments table, new", rows, "warm throughput, or half an hour a doubling",
                NEW_TABLE_WRITE_UNITS),
        _writes("payments table, AWS's quota", rows, "a raised quota", TABLE_QUOTA),
        _writes("idempotency table, new", records, "warm throughput", NEW_TABLE_WRITE_UNITS),
        _writes("a day's totals: units", totals, "more shards"),
        Limit("a day's totals: transactions meet", hottest, totals_rate(TOTALS_SHARDS),
              "more shards"),
        _reads("endpoints' rows, 1 told of all", 1 / BATCH + 1, "a cache for the worker; splits"),
        _reads(f"endpoints' rows, {MAX_ENDPOINTS} told of all", 1 / BATCH + MAX_ENDPOINTS,
               "a cache for the worker; splits"),
        _writes("one endpoint's delivery log", units_of(flows, told, BY_ENDPOINT.name),
                "shards of the key"),
        _writes(f"what is due, {DUE_SHARDS} shards", units_of(flows, told, DUE.name) / DUE_SHARDS,
                "more shards"),
        _reads("API keys", lookups, "nothing needed"),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.rate)


def _writes(what: str, units: float, helps: str, of: int = WRITE_UNITS) -> Limit:
    return Limit(what, f"{units:g} write unit{'s' * (units != 1)}", of / units, helps)


def _reads(what: str, units: float, helps: str) -> Limit:
    digits = 2 if units >= 0.01 else 1
    return Limit(what, f"{units:.{digits}g} read units", READ_UNITS / units, helps)


def held_seconds() -> float:
    """How long a transaction holds a row."""
    return float(timing()["wait_ms"]["TransactWriteItems"]) / 1000


def totals_rate(shards: int) -> float:
    """The highest rate at which fewer than 1 in 1,000 settlements give up on a total's row."""

    def is_fine(rate: float) -> bool:
        return contended(rate, held_seconds()).given_up < 0.001

    on_a_row = highest(is_fine, 1.0, 1 / held_seconds(), lambda _: 0.5)
    return on_a_row * shards / _ASKS_OF_HOTTEST


def _limits(flows: Flows) -> str:
    rows = [[one.what, one.units, one.helps, _rate(one.rate)] for one in limits(flows)]
    return table(["what", "a payment asks", "what helps", "payments a second"], rows, texts=3)


def _totals() -> str:
    """Tries of a settlement, where a row is not asked for more than four fifths of the time."""
    rates = (400, 1_600, 6_400, 25_600, 50_000)
    rows = []
    for shards in (TOTALS_SHARDS, 64, 256, 1_024):
        hottest = [rate * _ASKS_OF_HOTTEST / shards for rate in rates]
        tries = [
            f"{contended(rate, held_seconds(), seconds=120).attempts:.2f}"
            if rate < 0.8 / held_seconds()
            else "–"
            for rate in hottest
        ]
        rows.append([f"{shards:,}", _rate(totals_rate(shards)), *tries])
    head = ["shards", "carry a second", *(f"tries at {rate:,}" for rate in rates)]
    return table(head, rows, texts=0)


def _shards(seen: Recorded) -> str:
    units, rows = units_of_processing(seen.flows), []
    for shards in SHARDS:
        item_bytes = sum(seen.stored[BY_STATUS.name])
        listing = listed(shards, item_bytes=item_bytes, cpu_ms=_query_ms(seen.flows))
        # A quiet run's: each window of the status index in each shard, and what is due.
        queries = (seen.flows["sweep"].calls["Query"] - DUE_SHARDS) * shards + DUE_SHARDS
        dollars = queries * 0.5 * MINUTES_A_MONTH * of_one("dynamodb", "read_units")
        # One after the other, at half of the API's memory and so of its speed.
        seconds = queries * (timing()["wait_ms"]["call"] + 2 * _query_ms(seen.flows)) / 1000
        rows.append([
            f"{shards}", _rate(WRITE_UNITS * shards / sum(units)),
            _rate(kept_up_with(shards, units)),
            f"{listing.queries:,.0f}", f"{listing.read_units:,.1f}",
            f"{listing.median_ms:,.0f} / {listing.p99_ms:,.0f}",
            f"{queries:,}", money(dollars), f"{seconds:,.1f}",
        ])  # fmt: skip
    head = ["shards", "payments a second, evenly", "with bursts", "queries a page",
            "read units a page", "ms, p50 / p99", "sweeper's queries a run",
            "its reads a month", "its seconds a run"]  # fmt: skip
    return table(head, rows, texts=0)


def _query_ms(flows: Flows) -> float:
    """The API's work for one query among many: the totals ask for enough of them to tell."""
    name = "stats of 30 days"
    per_query: float = timing()["cpu_ms"][name] / flows[name].calls["Query"]
    return per_query / (1024 / 1769)


def _refused(units: UnitsHere) -> str:
    rows = [
        [f"{rate:,}", *(_percent(simulated(rate, shards, units, minutes=1).refused_part)
                        for shards in SHARDS)]
        for rate in RATES
    ]  # fmt: skip
    shards = [f"{shards} shard{'s' * (shards > 1)}" for shards in SHARDS]
    return table(["payments a second", *shards], rows, texts=0)


def _splits(units: UnitsHere) -> str:
    rows = []
    for name, partitions in {"4, new": 4, "40, pre-warmed": TABLE_QUOTA // WRITE_UNITS}.items():
        outcome = simulated(
            _SPLIT_RATE, _SPLIT_SHARDS, units, minutes=_SPLIT_MINUTES[-1], partitions=partitions
        )
        parts = [_percent(outcome.refused_by_minute[minute - 1]) for minute in _SPLIT_MINUTES]
        hot = [minute for minute, part in enumerate(outcome.refused_by_minute, 1) if part > 0.01]
        rows.append([name, *parts, f"{max(hot, default=0)} minutes"])
    minutes = [f"minute {minute}" for minute in _SPLIT_MINUTES]
    return table(["partitions", *minutes, "more than 1 %"], rows)


def _migration(flows: Flows) -> str:
    payment = ("create", "settle")
    now = sum(flows[name].write_units for name in payment)
    more = sum(units_of(flows, payment, index.name) for index in (BY_STATUS, ALL))
    write, read = (of_one("dynamodb", f"{kind}_units") * MILLION for kind in ("write", "read"))
    # A row that is marked later: itself, its entry in the old index that holds all of it, two new.
    marked = 1 + 1 + 2
    rows = [
        ["a payment, before and after", f"{now:g}", ""],
        ["a payment while both pairs of indexes are written", f"{now + more:g}",
         f"{money(more * write)} more"],
        ["an older row that is marked", f"{marked}", money(marked * write + 1.5 * read)],
    ]  # fmt: skip
    return table(["", "write units", "a million"], rows)


def _bills(flows: Flows) -> str:
    services = payment_in_full_batches(flows).services
    rows = []
    for rate in _BILLED_RATES:
        payments = rate * MINUTES_A_MONTH * 60
        lines = (payment_in_full_batches(flows, rate) * payments).lines
        lines["API Gateway"] = _api_gateway_dollars(payments)
        total = sum(lines.values())
        rows.append([
            f"{rate:,}", f"{payments / 1e9:,.2f}", *(f"${lines[name]:,.0f}" for name in services),
            f"**${total:,.0f}**", money(total / payments * MILLION),
        ])  # fmt: skip
    head = ["payments a second", "billion a month", *services, "in all", "a million"]
    return table(head, rows, texts=0)


def _api_gateway_dollars(requests: float) -> float:
    """A month's, by its steps."""
    price = prices()["api_gateway"]
    dollars, left = 0.0, requests / MILLION
    for size, per_million in zip(price["step_millions"], price["step_prices"], strict=True):
        taken = min(left, float(size))
        dollars, left = dollars + taken * per_million, left - taken
    return dollars + left * float(price["last_step_price"])


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %"


def _rate(rate: float) -> str:
    if rate >= MILLION:
        return f"{rate / MILLION:,.1f} million"
    return f"{rate:,.0f}" if rate < 1000 else f"{round(rate, -2):,.0f}"
