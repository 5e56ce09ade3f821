"""What a run comes to, as Markdown: for a terminal, and for docs/reports/load.md."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from tests.load.generator import Step, percentile
from tests.load.ledger import Operation, Outcome

ABOUT: Final = """\
# Load

What `make load` measured and checked; `make load REPORT=docs/reports/load.md` makes this page. The
numbers are of one run, on a machine that had other work to do as well: read the shape, not the
milliseconds. That every promise is kept does not depend on the machine.

Requests are offered when they are due (a Poisson process), whether or not earlier ones were
answered, and a latency counts from when its request was due. What is asked for, and why, is in
`tests/load/traffic.py`. A client that gets no answer, or one that asks it to come again, sends the
same request with the same key once more at the end. Then, when all is settled and told, what the
clients were answered and what the merchant got is compared with every row of both tables, with the
index that the sweeper asks, the list as its cursors walk it, the totals, the dead letters and the
logs: each check is a function of `tests/invariants.py` or `tests/load/promises.py`.

The local stack bends where it runs out of cores: API, worker and emulated AWS are a Python process
each, which uses one core at most, and the load itself runs beside them. The emulator answers one
call after the other, and an index query takes it longer the more rows there are
(`PAYFLOW_DYNAMODB=dynamodb-local make load` has an engine where it does not). None of that says
what API Gateway, Lambda and DynamoDB serve.
"""

MOST_WAITED: Final = 5
"""The knee is where p95 is so many times that of the first step."""
LEAST_SERVED: Final = 0.95
"""Or where less than this share of what was offered was served."""
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_GIVEN_UP: Final = (Outcome.UNANSWERED, Outcome.NOT_SENT)


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{os.environ.get('PAYFLOW_DYNAMODB') or 'emulated'} DynamoDB"
    )


def steps_table(steps: Sequence[Step]) -> str:
    """What became of what was offered, step by step."""
    return table(
        ["offered/s", "offered", "served", "served/s", "409", "429", "503", "wrong", "given up"]
        + [f"{name} ms" for name in _SHARES]
        + ["queued at the end"],
        (
            [
                f"{step.offered_per_second:.3g}",
                f"{len(step.samples):,}",
                f"{step.outcomes[Outcome.SERVED]:,}",
                f"{step.outcomes[Outcome.SERVED] / step.seconds:.0f}",
                *(
                    str(step.outcomes[one])
                    for one in (
                        Outcome.CONFLICT,
                        Outcome.LIMITED,
                        Outcome.UNAVAILABLE,
                        Outcome.WRONG,
                    )
                ),
                str(sum(step.outcomes[one] for one in _GIVEN_UP)),
                *_milliseconds(step.latencies()),
                f"{step.depths[-1]:,}",
            ]
            for step in steps
        ),
    )


def operations_table(steps: Sequence[Step]) -> str:
    """p50 / p95 / p99 / max of each operation, step by step."""
    return table(
        ["ms: p50 / p95 / p99 / max", *(f"{step.offered_per_second:g}/s" for step in steps)],
        (
            [
                operation.value,
                *(" / ".join(_milliseconds(step.latencies(operation))) for step in steps),
            ]
            for operation in Operation
        ),
    )


def _milliseconds(latencies: Sequence[float]) -> list[str]:
    if not latencies:
        return ["–"] * len(_SHARES)
    return [f"{1000 * percentile(latencies, share):,.0f}" for share in _SHARES.values()]


def knee(steps: Sequence[Step]) -> Step | None:
    """The first step at which latency bends; None when none does."""
    if not steps:
        return None
    bent = MOST_WAITED * percentile(steps[0].latencies(), 0.95)
    for step in steps:
        is_slow = percentile(step.latencies(), 0.95) > bent
        is_short = step.outcomes[Outcome.SERVED] < LEAST_SERVED * len(step.samples)
        if is_slow or is_short:
            return step
    return None


def knee_sentence(steps: Sequence[Step]) -> str:
    rule = (
        f"the first rate whose p95 is over {MOST_WAITED} times the first step's, or of which less "
        f"than {LEAST_SERVED:.0%} was served"
    )
    bent = knee(steps)
    if bent is None:
        return f"Latency does not bend ({rule})."
    return f"Latency bends at {bent.offered_per_second:g} requests a second ({rule})."


def cpu_sentence(used: Mapping[str, float], payments: int) -> str:
    """Where the time goes: of all, the emulated AWS and what asks it share the cores."""
    parts = [
        f"{name} {1000 * seconds / payments:.0f} ms"
        for name, seconds in sorted(used.items(), key=lambda one: -one[1])
    ]
    whole = 1000 * sum(used.values()) / payments
    return f"a payment took {whole:.0f} ms of a core in all: {', '.join(parts)}."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In columns that line up on a terminal as well."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    return "\n".join(_table_lines(lines, widths))


def _table_lines(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
            yield f"| {' | '.join(rules)} |"
