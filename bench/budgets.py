"""`make budgets`: what a visitor and a newcomer wait for.

The dashboard's first load may have 200 KiB (frontend/scripts/first-load.mjs). The local stack may
take five times as long to start as what cannot be saved of it: the emulated AWS and the import of
the app, one after the other. Calls of AWS may take part of the processor time that they take with a
client as botocore makes it by default (bench/calls.py).
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from bench import calls
from bench.local_stack import local_stack
from bench.usage import SETTINGS
from infra import ROOT
from infra.local.engines import emulated_aws

STARTS: Final = 3
MOST_TIMES_THE_FLOOR: Final = 5.0
"""The tables and queues, the worker, the webhook receiver and the API are made besides."""


def main(_arguments: list[str]) -> None:
    build = ["npm", "run", "--silent", "build"]  # fails over its budget, and says its size
    env = {**os.environ, "VITE_API_URL": "https://api.example/api"}
    if subprocess.run(build, cwd=ROOT / "frontend", env=env, check=False).returncode:  # noqa: S603
        sys.exit("The dashboard is over its budget, or does not build.")
    for name, (ours, default) in calls.measured().items():
        goal = calls.MOST_TIMES_THE_DEFAULT[name]
        print(f"{name} takes {ours / default:.2f} of its default time, of at most {goal}.")
        if ours > goal * default:
            sys.exit("A call of AWS is over its budget.")
    floors, starts = [], []
    for _ in range(STARTS):  # in turn, so that a busy moment slows both
        floors.append(start_alone())
        began = time.monotonic()
        with local_stack():
            starts.append(time.monotonic() - began)
    floor, start = median(floors), median(starts)
    print(
        f"The local stack is up in {start:.1f} s without its dashboard: {start / floor:.1f} times "
        f"its floor of {floor:.1f} s, of at most {MOST_TIMES_THE_FLOOR:g}."
    )
    if start > MOST_TIMES_THE_FLOOR * floor:
        sys.exit("The local stack's start is over its budget.")


def start_alone() -> float:
    """The seconds until the emulated AWS listens, and those of importing the app."""
    with tempfile.TemporaryDirectory() as folder:
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
