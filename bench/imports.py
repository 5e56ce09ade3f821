"""What a process imported, and how long each module took by itself, as Python tells it."""

import re
import sys
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

_LINE: Final = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
OURS: Final = "PayFlow"
STDLIB: Final = "Python's own"
OTHERS: Final = "others"
_LEAST_MS: Final = 1.0

Imported = Mapping[str, float]
"""Milliseconds that each module took by itself, its own imports left out."""


def read(said: str) -> dict[str, float]:
    """A module is told of once more where it was asked for while it was on its way."""
    times: dict[str, float] = {}
    for micros, name in _LINE.findall(said):
        times[name] = times.get(name, 0) + int(micros) / 1000
    return times


def middle(runs: Iterable[Imported]) -> dict[str, float]:
    """Of several runs, module by module."""
    times: dict[str, list[float]] = {}
    for run in runs:
        for name, ms in run.items():
            times.setdefault(name, []).append(ms)
    return {name: median(all_of_it) for name, all_of_it in times.items()}


def by_package(imported: Imported) -> dict[str, float]:
    """The longest first; those that take next to nothing together, at the end."""
    packages: dict[str, float] = {}
    for name, ms in imported.items():
        packages[package(name)] = packages.get(package(name), 0) + ms
    shown = {name: ms for name, ms in packages.items() if ms >= _LEAST_MS}
    rest = sum(packages.values()) - sum(shown.values())
    return dict(sorted(shown.items(), key=lambda entry: -entry[1])) | {OTHERS: rest}


def package(module: str) -> str:
    top = module.partition(".")[0]
    if top in {"app", "chalicelib"}:
        return OURS
    return STDLIB if top in sys.stdlib_module_names or top.startswith("_") else top
