"""What a newcomer and a visitor wait for: the local stack's start, and the dashboard's first load.

    make budgets

The start is measured against what cannot be saved of it: the emulated AWS and the app coming up,
each by itself, one after the other. Exits with 1 where a budget is exceeded.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final
from unittest.mock import patch

from infra import ROOT
from sizing.recorded import SETTINGS
from tests.engines import emulated_aws
from tests.load import stack

STARTS: Final = 3
MOST_OF_ITS_FLOOR: Final = 5.0
"""The tables and queues, the worker, the sink and the API are made besides."""

_API: Final = "https://api.example/api"


def main() -> None:
    print(_first_load())
    floors, starts = [], []
    for _ in range(STARTS):  # in turns, so that a busy moment is both's
        floors.append(_up_alone())
        starts.append(_up_together())
    floor, start = median(floors), median(starts)
    print(
        f"The local stack is up in {start:.1f} s, without its dashboard's build: "
        f"{start / floor:.1f} times its floor of {floor:.1f} s, and may be {MOST_OF_ITS_FLOOR:g}."
    )
    if start > MOST_OF_ITS_FLOOR * floor:
        sys.exit("The local stack's start is over its budget.")


def _first_load() -> str:
    """What frontend/scripts/first-load.mjs says, which holds the budget."""
    built = subprocess.run(
        ["npm", "run", "--silent", "build"],  # noqa: S607
        cwd=ROOT / "frontend",
        env={**os.environ, "VITE_API_URL": _API},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        sys.exit(built.stdout + built.stderr)
    return built.stdout.strip().splitlines()[-1]


def _up_alone() -> float:
    """The seconds until the emulated AWS listens, and those of importing the app."""
    with tempfile.TemporaryDirectory(prefix="payflow-bench-") as folder:
        began = time.monotonic()
        with emulated_aws(Path(folder)):
            listens = time.monotonic() - began
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "import app"],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return listens + time.monotonic() - began


def _up_together() -> float:
    """The seconds until the stack says that it is up."""
    with patch.dict(os.environ):  # which it enters
        began = time.monotonic()
        with stack.our_own():
            return time.monotonic() - began


if __name__ == "__main__":
    main()
