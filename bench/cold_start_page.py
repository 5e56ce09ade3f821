"""What `make cold-start` shows: on the screen, and as docs/reports/cold-start.md."""

import os
import platform
from collections.abc import Sequence
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from bench import imports
from bench.spawned import Start
from sizing.page import page as paged
from sizing.page import table

if TYPE_CHECKING:
    from bench.cold_start import Case, Measured

_MOST_EXPENSIVE: Final = 15
_MIB: Final = 1024 * 1024

_ABOUT: Final = """
# Cold start

How long a new process takes to its first answer. `make cold-start` measures it, and writes this
page too where it is given `REPORT=docs/reports/cold-start.md`.

The package is built as it ships but for the machine that measures, unpacked, and started in a bare
interpreter that has boto3 and nothing else, as Lambda's has. Timed is the whole process: from its
spawn to the first byte of its answer. The floor is a process that imports Chalice's runtime and
pydantic, makes botocore's clients of DynamoDB and SQS, and makes by them the very calls that the
app was seen to make; it has no route, no model and no rule, and so not even those modules of
pydantic's that a first model brings with it. The two take turns, and an AWS on
loopback answers both at once. Where it says so the package's bytecode lies beside it; it does not
ship, since the machine that packages may have another Python than Lambda, so on Lambda each new
process compiles what it imports, in the app as in its floor.
"""


def summary(measured: "Measured") -> str:
    """For the screen."""
    return "\n".join([_times(measured.cases), "", _zip(measured)])


def page(measured: "Measured") -> str:
    rounds = len(measured.cases[0].ours)
    return paged(
        _ABOUT,
        f"Milliseconds of {rounds} starts each, on {os.cpu_count()} cores with Python "
        f"{platform.python_version()}. The ratio is that of the medians, and is to be 1.3 at most. "
        "CPU is processor time, which other work on the machine hardly changes.",
        _times(measured.cases),
        _zip(measured),
        """
        ## What is imported

        Milliseconds that modules take by themselves, their own imports left out, up to the answer
        to a create, as it ships: by `python -X importtime`, which slows what it watches, the middle
        of several runs. The app makes its clients while it is imported, so that they are in its
        own time; the floor makes them later, so that they are in none of its.
        """,
        _packages(measured),
        f"The {_MOST_EXPENSIVE} most expensive modules:",
        _modules(measured),
    )


def _times(cases: Sequence["Case"]) -> str:
    return table(
        [
            *("first request", "floor: p50", "p90", "app: p50", "p90", "ratio"),
            *("floor: CPU", "app: CPU", "ratio of CPU"),
        ],
        (
            [
                case.name,
                *_spread(case.floor),
                *_spread(case.ours),
                f"**{case.ratio:.2f}**",
                f"{median(one.cpu_ms for one in case.floor):.0f}",
                f"{median(one.cpu_ms for one in case.ours):.0f}",
                f"{case.cpu_ratio:.2f}",
            ]
            for case in cases
        ),
        "lrrrrrrrr",
    )


def _spread(starts: Sequence[Start]) -> list[str]:
    """p50 and p90."""
    times = [one.wall_ms for one in starts]
    return [f"{median(times):.0f}", f"{quantiles(times, n=10, method='inclusive')[-1]:.0f}"]


def _zip(measured: "Measured") -> str:
    return f"The zip that ships, for arm64, has {measured.zip_bytes / _MIB:.2f} MiB of at most 5."


def _packages(measured: "Measured") -> str:
    floor = imports.by_package(measured.floor_imported)
    rows = [
        [name, f"{ms:.1f}", f"{floor[name]:.1f}" if name in floor else "–"]
        for name, ms in imports.by_package(measured.imported).items()
    ]
    totals = [sum(measured.imported.values()), sum(measured.floor_imported.values())]
    rows.append(["all", *(f"{total:.1f}" for total in totals)])
    return table(["package", "app", "floor"], rows, "lrr")


def _modules(measured: "Measured") -> str:
    dearest = sorted(measured.imported.items(), key=lambda entry: -entry[1])[:_MOST_EXPENSIVE]
    floor = measured.floor_imported
    rows = [
        [f"`{name}`", f"{ms:.1f}", f"{floor[name]:.1f}" if name in floor else "–"]
        for name, ms in dearest
    ]
    return table(["module", "app", "floor"], rows, "lrr")
