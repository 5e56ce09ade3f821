"""`make model`: explores the model in all its bounds, then without each rule in turn, and shows
which line of the code makes which of its transitions. Fails if anything is not as it should be.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.model import tlc, transitions
from tests.model.checks import BROKEN, HOLDS, Check
from tests.model.tlc import CannotRun, Verdict
from tests.model.transitions import NotSo


def main() -> int:
    began = time.monotonic()
    os.nice(10)  # it never waits: what runs beside it does, and has clocks
    try:
        show_lines()
        wrong = explored()
    except (CannotRun, NotSo) as error:
        wrong = [str(error)]
    took = time.monotonic() - began
    print(f"\n{took:.0f} s, of processors {tlc.processor_seconds():.0f} s")
    for sentence in wrong:
        print(f"NOT SO: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


def explored() -> list[str]:
    """What is not as it should be. Raises CannotRun."""
    tlc.jar()
    checks = [*HOLDS, *BROKEN]
    wrong: list[str] = []
    taken: set[str] = set()
    # One processor a check: then TLC always counts, and finds, the same.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for check, verdict in zip(checks, pool.map(tlc.run, checks), strict=True):
            found = verdict.broken or "holds"
            print(f"  {check.module:9} {check.name:50} {verdict.states:>9,}  {found}", flush=True)
            wrong += judged(check, verdict)
            if check in HOLDS:
                wrong += recounted(check, verdict)
                taken |= {f"{check.module}!{action}" for action in verdict.taken}
    wrong += [f"{action} is never taken" for action in sorted(transitions.actions() - taken)]
    return wrong


def judged(check: Check, verdict: Verdict) -> Sequence[str]:
    if verdict.broken == check.expected:
        return []
    if check.expected is None:
        return [f"{check.module}, {check.name}: {verdict.broken}\n{verdict.said}"]
    return [f"{check.module} {check.name}: {check.expected} holds, and should not"]


def recounted(check: Check, verdict: Verdict) -> Sequence[str]:
    """The document says how many states there are."""
    said = transitions.states().get((check.module, check.name))
    if said == verdict.states:
        return []
    where = f"{check.module}, {check.name}"
    return [f"{where}: {verdict.states:,} states; docs/reports/model.md says {said}"]


def show_lines() -> None:
    """Raises NotSo."""
    for made in transitions.lines():
        print(f"  {made.action:26} {made.path}:{made.line}  {made.function}")
    print()


if __name__ == "__main__":
    sys.exit(main())
