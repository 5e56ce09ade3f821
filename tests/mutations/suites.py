"""The suites that have to notice, from the fastest to the slowest."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutations.mutant import Mutant
from tests.mutations.selection import ON_DYNAMODB_LOCAL, ON_MOTO

# They judge the text of the code or what surrounds it, not what it does; or, as what is asked of
# AWS, only the whole run.
_NO_BEHAVIOUR: Final = {
    "test_architecture",
    "test_backend_template",
    "test_bootstrap",
    "test_deploy",
    "test_frontend_stack",
    "test_least_privilege",
    "test_makefile",
    "test_mutations",
    "test_package",
    "test_workflows",
}
_SLOW: Final = "test_whole_story"
"""Of the tests on DynamoDB Local it comes last."""


@dataclass(frozen=True)
class Suite:
    """Some tests, and the command that runs them in the project's folder."""

    name: str
    described: str
    folder: str
    """Where it lies: a suite that this version does not have is left out."""
    command: tuple[str, ...]
    limit_seconds: float
    """A run that takes longer hangs."""
    is_pytest: bool = True

    def exists(self, root: Path) -> bool:
        return (root / self.folder).is_dir()


def suites(root: Path) -> list[Suite]:
    """Those that there are."""
    tests = sorted(path.stem for path in (root / "tests").glob("test_*.py"))
    behaviour = [name for name in tests if name not in _NO_BEHAVIOUR]
    fast = _files([name for name in behaviour if name != _SLOW])
    slow = _files([_SLOW])
    on_stack = [
        f"tests/stack/{path.name}"
        for path in sorted((root / "tests/stack").glob("test_*.py"))
        if path.stem not in {"test_lifecycle", "test_package", "test_seed"}
    ]
    crash = (sys.executable, "-m", "tests.crash", "--seed", "1", "--faults", "300")
    every = [
        Suite("rules", "in one process, on moto", "tests", _pytest(fast, ON_MOTO), 300),
        Suite(
            "engine",
            "on AWS's own DynamoDB Local",
            "tests",
            _pytest([*fast, *slow], ON_DYNAMODB_LOCAL),
            420,
        ),
        Suite("stack", "on the running local stack", "tests/stack", _pytest(on_stack, None), 600),
        Suite("crash", "faults at the calls of AWS", "tests/crash", crash, 600, is_pytest=False),
    ]
    return [suite for suite in every if suite.exists(root)]


def nearest(mutant: Mutant) -> Suite:
    """A part of the rules, asked first since it most likely knows."""
    return Suite("rules", "", "tests", _pytest(_files(mutant.near), ON_MOTO), 120)


def one_test(test: str) -> tuple[str, ...]:
    """The command that runs one test, by its id."""
    return _pytest([test], None)


def _files(names: Sequence[str]) -> list[str]:
    return [f"tests/{name}.py" for name in names]


def _pytest(what: Sequence[str], engine: str | None) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
        *("-p", "tests.mutations.selection", "--first-red", "first-red"),
        *(("--engine", engine) if engine else ()),
        *what,
    )
