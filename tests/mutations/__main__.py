"""`make mutants`: tries every mutant, says which test caught it, and writes the page.

Guarantee: a mutant is caught when a test fails on it and passes without it. A test that cannot be
set up, and code that cannot be imported, prove nothing. What this has started ends with it.
"""

import argparse
import asyncio
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from tests.mutations import report
from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant

_AT_ONCE: Final = 2
_LIMIT_SECONDS: Final = 900
_PYTEST: Final = (
    *(sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider"),
    *("-c", "pyproject.toml", "-p", "tests.mutations.plugin"),
)
_RULES: Final = (
    *("tests/api", "tests/api_keys", "tests/exports", "tests/payments", "tests/webhooks"),
    *("tests/test_any_input.py", "tests/test_config.py", "tests/test_exact_json.py"),
    *("tests/test_messages.py", "tests/test_schema.py", "tests/test_sweeper.py"),
)
"""Tests of the product itself: they start no stack, and package and operate nothing."""


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    test: str | None
    """The first test that failed, without its parameters; None if there was none."""
    reason: str
    """Why there is none."""


def main() -> int:
    """0 when every mutant that was tried is caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("--only", default="", help="a part of the promise, file or symbol")
    only = parser.parse_args().only
    mutants = [one for one in EVERY if only in one.promise or only in one.where]
    if not mutants:
        sys.exit(f"No mutant has {only!r} in it; tests/mutations/catalogue.py has them all.")
    with tempfile.TemporaryDirectory(prefix="payflow-mutants-") as folder:
        os.environ["TMPDIR"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # half of a short run is compilation
        try:
            verdicts = asyncio.run(_all_tried(mutants))
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.exit("Stopped; the page is as it was.")
    caught = {
        verdict.mutant.promise: report.CAUGHT if verdict.test else report.NOT_CAUGHT
        for verdict in verdicts
    }
    report.PAGE.write_text(report.page(report.read() | caught))
    survivors = sum(verdict.test is None for verdict in verdicts)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes = (used.ru_utime + used.ru_stime) / 60
    print(f"{len(verdicts) - survivors} of {len(verdicts)} caught, in {minutes:.1f} CPU minutes.")
    return 1 if survivors else 0


async def _all_tried(mutants: Iterable[Mutant]) -> Sequence[Verdict]:
    """SIGTERM cancels it; asyncio sees to Ctrl-C."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    turns = asyncio.Semaphore(_AT_ONCE)
    verdicts = await asyncio.gather(*(_told(mutant, turns) for mutant in mutants))
    tests = {verdict.test for verdict in verdicts if verdict.test}
    code, output = await _run(sorted(tests)) if tests else (0, "")
    if code:
        sys.exit(f"These tests fail without a mutant too, or do not run:\n{output}")
    return verdicts


async def _told(mutant: Mutant, turns: asyncio.Semaphore) -> Verdict:
    async with turns:
        started = time.monotonic()
        verdict = await judged(mutant, _RULES)
        word = "caught" if verdict.test else "NOT CAUGHT"
        seconds = time.monotonic() - started
        said = verdict.test or verdict.reason
        print(f"  {word:<10} {mutant.promise} ({seconds:.0f} s)  {said}", flush=True)
        return verdict


async def judged(mutant: Mutant, paths: Sequence[str]) -> Verdict:
    """Run the tests of some files and folders on a mutant."""
    code, output = await _run(["--mutant", mutant.promise, *paths])
    failed = re.search(r"^FAILED ([^\s[]+)", output, re.MULTILINE)
    if code == pytest.ExitCode.TESTS_FAILED and failed:
        return Verdict(mutant, failed[1], "")
    if code == pytest.ExitCode.OK:
        return Verdict(mutant, None, "every test passes")
    return Verdict(mutant, None, f"no test failed, yet pytest ended with {code}:\n{output}")


async def _run(arguments: Sequence[str]) -> tuple[int | None, str]:
    """Run pytest; returns its exit code, or None if it was stopped at the limit, and its output."""
    process = await asyncio.create_subprocess_exec(
        *(*_PYTEST, *arguments),
        cwd=report.ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _LIMIT_SECONDS)
    except TimeoutError:
        return None, f"It was stopped after {_LIMIT_SECONDS} s."
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode, output.decode()


if __name__ == "__main__":
    sys.exit(main())
