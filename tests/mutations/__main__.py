"""`make mutants`: tries every mutant, says who caught it, and writes docs/mutations.md."""

import argparse
import queue
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant, Stale
from tests.mutations.report import page
from tests.mutations.sandbox import Sandbox
from tests.mutations.suites import Suite, suites
from tests.mutations.trial import NoVerdict, Verdict, tried

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "mutations.md"
_AT_ONCE: Final = 2


def main() -> int:
    """0 when every mutant that was tried is caught."""
    asked = _arguments()
    mutants = [mutant for mutant in EVERY if mutant.name.startswith(asked.only)]
    if not mutants:
        sys.exit(f"There is no mutant {asked.only!r}; tests/mutations/catalogue has them all.")
    those = suites(ROOT)
    verdicts = _all_tried(mutants, those, every=asked.all)
    if len(verdicts) == len(EVERY):
        PAGE.write_text(page(verdicts, those, every=asked.all))
        print(f"{PAGE.relative_to(ROOT)} is written.")
    survivors = [name for name, verdict in verdicts.items() if not verdict.caught]
    without = len(mutants) - len(verdicts)
    print(f"{len(verdicts) - len(survivors)} caught, {len(survivors)} survived", end="")
    print(f", {without} without a verdict." if without else ".")
    return 1 if survivors or without else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("--only", default="", help="a mutant's name, or how some names begin")
    parser.add_argument("--all", action="store_true", help="run every suite on every mutant")
    return parser.parse_args()


def _all_tried(
    mutants: Sequence[Mutant], those: Sequence[Suite], *, every: bool
) -> dict[str, Verdict]:
    """By name, in the catalogue's order; what had no verdict is told and left out."""
    sandboxes: queue.Queue[Sandbox] = queue.Queue()

    def tell(mutant: Mutant) -> Verdict | None:
        sandbox = sandboxes.get()
        started = time.monotonic()
        try:
            verdict = tried(mutant, sandbox, those, every=every)
        except (Stale, NoVerdict) as error:
            print(f"  ?         {mutant.name}: {error}", flush=True)
            return None
        finally:
            sandboxes.put(sandbox)
        by = "; ".join(f"{caught.suite}: {caught.by}" for caught in verdict.caught)
        seconds = time.monotonic() - started
        word = "caught" if by else "SURVIVED"
        print(f"  {word:<9} {mutant.name} ({seconds:.0f} s)  {by}", flush=True)
        return verdict

    with tempfile.TemporaryDirectory(prefix="payflow-mutants-") as folder:
        for number in range(min(_AT_ONCE, len(mutants))):
            sandboxes.put(Sandbox(ROOT, Path(folder) / str(number)))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(tell, mutants))
    return {verdict.mutant.name: verdict for verdict in found if verdict is not None}


if __name__ == "__main__":
    sys.exit(main())
