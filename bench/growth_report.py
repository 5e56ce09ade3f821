"""What `make growth` measured, as a page, and whether it is flat. Pure."""

import os
import platform
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

from sizing.page import page as paged
from sizing.page import table
from tests.load.generator import percentile

WITHIN: Final = 1.2
"""What is more than a fifth dearer has grown."""
LAST_PAGE: Final = 1_000


class Filled(NamedTuple):
    """How a table came to its size."""

    size: int
    rows: int
    """The payments', and the totals'."""
    seconds: float


class Cost(NamedTuple):
    """What one run asks of DynamoDB."""

    calls: int
    read_units: float


class Measured(NamedTuple):
    """One run of it all."""

    sizes: list[int]
    """Payments, the fewest first."""
    filled: list[Filled]
    seconds: dict[tuple[str, int], list[float]]
    """Of each call, by flow and size; a flow that cannot be compared at a size is not there."""
    costs: dict[tuple[str, int], Cost]
    floors: list[str]
    flows: list[str]
    lists: list[str]
    """Those of which `LAST_PAGE` is compared with page 1."""
    rounds: int
    took_seconds: float
    busy: float
    """The machine's load when the timing began."""

    def p50_ms(self, flow: str, size: int) -> float:
        return statistics.median(self.seconds[flow, size]) * 1000

    def p99_ms(self, flow: str, size: int) -> float:
        return percentile(sorted(self.seconds[flow, size]), 0.99) * 1000

    def at(self, flow: str) -> list[int]:
        """The sizes at which a flow was timed."""
        return [size for size in self.sizes if (flow, size) in self.seconds]

    def growth(self, flow: str, size: int) -> float:
        """Its p50 over the p50 at the smallest size at which it was timed."""
        return self.p50_ms(flow, size) / self.p50_ms(flow, self.at(flow)[0])

    def last_page(self, of_list: str, size: int) -> float:
        """The p50 of its last page over that of its first."""
        last = self.p50_ms(page_name(of_list, LAST_PAGE), size)
        return last / self.p50_ms(page_name(of_list, 1), size)


def page_name(of_list: str, number: int) -> str:
    return f"{of_list}, page {number:,}"


def verdict(measured: Measured) -> list[str]:
    """A sentence for everything that is not flat."""
    grown = [
        f"{flow} costs {measured.growth(flow, size):.2f} times as much at {size:,} payments "
        f"as at {measured.at(flow)[0]:,}."
        for flow in measured.flows
        for size in measured.at(flow)
        if measured.growth(flow, size) > WITHIN
    ]
    deeper = [
        f"Page {LAST_PAGE:,} of {name} costs {measured.last_page(name, size):.2f} times page 1 "
        f"at {size:,} payments."
        for name in measured.lists
        for size in measured.at(page_name(name, LAST_PAGE))
        if measured.last_page(name, size) > WITHIN
    ]
    return grown + deeper


def page(measured: Measured) -> str:
    return paged(_ABOUT, results(measured))


def results(measured: Measured) -> str:
    """The page without its introduction."""
    wrong = verdict(measured)
    return paged(
        _said(measured),
        "**Flat**: nothing is more than a fifth above what it is at the smallest size."
        if not wrong
        else "**Not flat**: " + " ".join(wrong),
        "## The API",
        _table(measured, measured.flows),
        "## Page 1,000",
        _pages(measured) or "No list is long enough.",
        "## The engine alone",
        _ENGINE,
        _table(measured, measured.floors),
        "## Calls and read units",
        _UNITS,
        _costs(measured),
        "## The tables",
        _filled(measured.filled),
    )


def _said(measured: Measured) -> str:
    return (
        f"`make growth`, each asked {measured.rounds} times at each size (what is marked rare "
        f"every fifth), on {os.cpu_count()} cores, Python {platform.python_version()}; the "
        f"machine's load when the timing began was {measured.busy:.1f}, and the timing took "
        f"{measured.took_seconds:.0f} s. Milliseconds: p50 / p99."
    )


def _table(measured: Measured, flows: Sequence[str]) -> str:
    head = ["", *(f"{size:,}" for size in measured.sizes)]
    head += [f"at {size:,}: times" for size in measured.sizes[1:]]
    rows = []
    for flow in flows:
        at = measured.at(flow)
        times = [
            f"{measured.growth(flow, size):.2f}" if size in at[1:] else ""
            for size in measured.sizes[1:]
        ]
        rows.append([flow, *(_ms(measured, flow, size) for size in measured.sizes), *times])
    return table(head, rows, "l" + "r" * (len(head) - 1))


def _ms(measured: Measured, flow: str, size: int) -> str:
    if (flow, size) not in measured.seconds:
        return ""
    return f"{measured.p50_ms(flow, size):.1f} / {measured.p99_ms(flow, size):.1f}"


def _pages(measured: Measured) -> str:
    rows = [
        [
            name,
            f"{size:,}",
            *(_ms(measured, page_name(name, number), size) for number in (1, LAST_PAGE)),
            f"{measured.last_page(name, size):.2f}",
            *(_cost(measured, page_name(name, number), size) for number in (1, LAST_PAGE)),
        ]
        for name in measured.lists
        for size in measured.at(page_name(name, LAST_PAGE))
    ]
    head = ["", "payments", "page 1", f"page {LAST_PAGE:,}", "times"]
    head += ["page 1 asks", f"page {LAST_PAGE:,} asks"]
    return table(head, rows, "l" + "r" * (len(head) - 1)) if rows else ""


def _costs(measured: Measured) -> str:
    rows = [
        [flow, *(_cost(measured, flow, size) for size in measured.sizes)] for flow in measured.flows
    ]
    head = ["", *(f"{size:,}" for size in measured.sizes)]
    return table(head, rows, "l" + "r" * len(measured.sizes))


def _cost(measured: Measured, flow: str, size: int) -> str:
    cost = measured.costs.get((flow, size))
    return f"{cost.calls}, {cost.read_units:g} units" if cost else ""


def _filled(filled: Sequence[Filled]) -> str:
    rows = [[f"{one.size:,}", f"{one.rows:,}", f"{one.seconds:.0f}"] for one in filled]
    return table(["payments", "rows, the totals' among them", "seconds to fill"], rows, "rrr")


_ABOUT: Final = """
# Growth

What reading costs at a thousand payments in the table, at a hundred thousand, and at a million;
`make growth REPORT=docs/reports/growth.md` makes this page. The goal: nothing within the API is
more than a fifth dearer than at the smallest size, and page 1,000 of a list costs what page 1
costs. The numbers are of one run: read the ratios, not the milliseconds.

AWS's DynamoDB Local, in memory, holds a deployment of each size at the same time. A request is made
of all of them one after the other, in an order that is shuffled every time, through the handler as
Lambda calls it: what the machine does meanwhile, and what the engine's JVM has compiled by then, is
the same for every size. The tables are those of a company that takes 1,000 payments a day, for one
day, a hundred, a thousand. The newest day is the same at each size, 40 of its payments still
processing; all else is settled. The rows are those that the product writes, totals included; events
and idempotency records, which none of these reads, are left out. A get is of any payment, however
old; stats of 30 days are compared where there are so many.

Page 1,000, of 20 payments each, is reached by following `next_cursor`; on the way to it each
payment came once and in order.
"""
_ENGINE: Final = """
Raw calls of botocore, by the same client, on the same tables, in the same rounds: what of the above
is the engine's.
"""
_UNITS: Final = """
What one request asks of DynamoDB, by AWS's own formula (`sizing/meter.py`). Neither knows a clock.
"""
