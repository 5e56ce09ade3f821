"""`make mutants`: tries every mutant, says who caught it, and writes docs/mutations.md."""

import argparse
import queue
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.mutations import report
from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant, Stale
from tests.mutations.sandbox import Sandbox
from tests.mutations.suites import Suite, suites
from tests.mutations.trial import NoVerdict, Verdict, red_anyway, tried

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "mutations.md"
_AT_ONCE: Final = 2


def main() -> int:
    """0 when every mutant that was tried is caught."""
    asked = _arguments()
    mutants = [mutant for mutant in EVERY if mutant.name.startswith(tuple(asked.only or [""]))]
    if not mutants:
        sys.exit(f"There is no mutant {asked.only}; tests/mutations/catalogue has them all.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    known = report.read(PAGE.read_text()) if PAGE.exists() else {}
    verdicts = _all_tried(
        [(mutant, report.tests(known.get(mutant.name, ""))) for mutant in mutants],
        [] if asked.near else suites(ROOT),
        every=asked.all,
    )
    of_others = known if len(mutants) < len(EVERY) or asked.near else {}
    tried_now = {
        verdict.mutant.name: report.caught_by(verdict)
        for verdict in verdicts
        if verdict.caught or not asked.near
    }
    PAGE.write_text(report.page(of_others | tried_now, suites(ROOT)))
    survivors = [verdict.mutant.name for verdict in verdicts if not verdict.caught]
    without = len(mutants) - len(verdicts)
    print(f"{len(verdicts) - len(survivors)} caught, {len(survivors)} survived", end="")
    print(f", {without} without a verdict." if without else ".")
    return 1 if survivors or without else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument(
        "--only", nargs="*", help="names of mutants, or how they begin; renews their lines"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--all", action="store_true", help="run every suite on every mutant")
    how.add_argument("--near", action="store_true", help="ask the nearest tests alone")
    return parser.parse_args()


def _all_tried(
    mutants: Sequence[tuple[Mutant, Sequence[str]]], those: Sequence[Suite], *, every: bool
) -> list[Verdict]:
    """Each with the tests that caught it last; what had no verdict is told and left out."""
    with tempfile.TemporaryDirectory(prefix="payflow-mutants-") as folder:
        numbers = range(min(_AT_ONCE, len(mutants)))
        sandboxes = [Sandbox(ROOT, Path(folder) / str(number)) for number in numbers]
        free: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
        for sandbox in sandboxes:
            free.put(sandbox)

        def try_one(one: tuple[Mutant, Sequence[str]]) -> Verdict | None:
            sandbox = free.get()
            try:
                return _tell(*one, sandbox, those, every=every)
            finally:
                free.put(sandbox)

        pool = ThreadPoolExecutor(len(sandboxes))
        try:
            found = [verdict for verdict in pool.map(try_one, mutants) if verdict is not None]
            return _proved(found, sandboxes[0])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for sandbox in sandboxes:
                sandbox.stop()
            pool.shutdown()


def _tell(
    mutant: Mutant, last: Sequence[str], sandbox: Sandbox, those: Sequence[Suite], *, every: bool
) -> Verdict | None:
    """What becomes of it, told as soon as it is known; None when that is nothing."""
    started = time.monotonic()
    try:
        verdict = tried(mutant, sandbox, those, last, every=every)
    except (Stale, NoVerdict) as error:
        print(f"  ?         {mutant.name}: {error}", flush=True)
        return None
    seconds = time.monotonic() - started
    word = "caught" if verdict.caught else "SURVIVED"
    by = "; ".join(f"{caught.suite}: {caught.by}" for caught in verdict.caught)
    print(f"  {word:<9} {mutant.name} ({seconds:.0f} s)  {by}", flush=True)
    return verdict


def _proved(found: Sequence[Verdict], sandbox: Sandbox) -> list[Verdict]:
    """Those whose tests are green on the code as it is."""
    try:
        useless = red_anyway(found, sandbox)
    except NoVerdict as error:
        sys.exit(str(error))
    for test in sorted(useless):
        print(f"  ?         {test} is red without any mutant too")
    return [one for one in found if not useless & {caught.by for caught in one.caught}]


if __name__ == "__main__":
    sys.exit(main())
