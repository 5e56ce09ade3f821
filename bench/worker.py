"""One process that runs flows, as one of Lambda's would, one at a time: `python -m bench.worker`.

Reads what it is to run from standard input, a line of JSON each: `[flow, which, seconds]`, `which`
being "ours", "floor" or "both", which takes turns. Answers with the seconds of each run, by which.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from bench.flows import Flow, Flows, Run


def main() -> None:
    answers = sys.stdout
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        import app  # its settings come from the environment

        flows = Flows(app).prepare()
        print(
            json.dumps({name: flow.goal for name, flow in flows.items()}), file=answers, flush=True
        )
        for line in sys.stdin:
            name, which, seconds = json.loads(line)
            print(json.dumps(_timed(flows[name], which, seconds)), file=answers, flush=True)


def _timed(flow: Flow, which: str, seconds: float) -> dict[str, list[float]]:
    runs = {"floor": flow.floor, "ours": flow.ours}
    chosen = runs if which == "both" else {which: runs[which]}
    took: dict[str, list[float]] = {name: [] for name in chosen}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, run in chosen.items():
            took[name].append(_seconds(next(run)))
    return took


def _seconds(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
