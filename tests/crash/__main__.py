"""Inject faults into PayFlow's handlers, and report whether every promise was kept.

    make crash SEED=1 FAULTS=10000 REPORT=docs/reports/crash.md
    make crash SEED=1 LANE=0 CHAPTER=17       repeat one chapter, and print its trace

Two lanes share the faults. The first uses the local stack's emulator as its DynamoDB, the second
AWS's DynamoDB Local; both use the emulator's SQS. Only the seed decides what a lane does: the same
seed and code have the same digest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests import engines
from tests.crash.report import Lived, page, summary

LANES: Final = ("emulator", "dynamodb-local")


def main() -> None:
    asked = _arguments()
    started = time.monotonic()
    lanes = range(len(LANES)) if asked.lane is None else [asked.lane]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payflow-crash-")))
        aws = stack.enter_context(engines.emulated_aws(folder))
        other = stack.enter_context(engines.dynamodb_local()) if 1 in lanes else ""
        running = [
            _started(
                stack,
                stage=f"crash{lane}",
                dynamodb=(aws, other)[lane],
                sqs=aws,
                seed=f"{asked.seed}-{lane}",
                faults=-(-asked.faults // len(lanes)),
                chapter=asked.chapter,
                log=str(folder / f"{lane}.log"),
            )
            for lane in lanes
        ]
        lived = [_lived(lane, process) for lane, process in zip(lanes, running, strict=True)]
    print(summary(lived, asked.seed, time.monotonic() - started))
    if asked.report:
        asked.report.write_text(page(lived, asked.seed))
    if any(one.broken for one in lived):
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--report", type=Path, help="where to write the page")
    parser.add_argument("--lane", type=int, choices=range(len(LANES)))
    parser.add_argument("--chapter", type=int)
    return parser.parse_args()


def _started(stack: ExitStack, **asked: str | int | None) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.lane_process", json.dumps(asked)],
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.terminate)  # if the other lane broke down, or at Ctrl-C
    return process


def _lived(lane: int, process: "subprocess.Popen[str]") -> Lived:
    told, _ = process.communicate()
    if process.returncode:
        sys.exit(f"Lane {lane} broke down; its output is above.")
    return Lived.of(lane, LANES[lane], json.loads(told))


if __name__ == "__main__":
    main()
