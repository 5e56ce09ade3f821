"""The suites that have to notice, from the fastest to the slowest."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutations.mutant import Mutant
from tests.mutations.selection import ON_DYNAMODB_LOCAL, ON_MOTO, RED

# They judge the text of the code or what surrounds it, or tools and checks, not what the handlers
# do; or, as what is asked of AWS, only the whole run.
_NO_BEHAVIOUR: Final = {
    "test_architecture",
    "test_backend_template",
    "test_bootstrap",
    "test_deploy",
    "test_dynamodb_local",
    "test_formal_model",
    "test_frontend_stack",
    "test_invariants",
    "test_leaks",
    "test_least_privilege",
    "test_load",
    "test_makefile",
    "test_mutations",
    "test_package",
    "test_redrive",
    "test_restore",
    "test_runbook",
    "test_server",
    "test_strangers",
    "test_supply",
    "test_switch",
    "test_threats",
    "test_workflows",
}
_ABOUT_THE_STACK: Final = {
    "test_dynamodb_local",
    "test_lifecycle",
    "test_load",
    "test_package",
    "test_recovery",
    "test_seed",
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
        if path.stem not in _ABOUT_THE_STACK
    ]
    crash = (sys.executable, "-m", "tests.crash", "--seed", "1", "--faults", "300")
    every = [
        Suite("rules", "in one process, on moto", "tests", _pytest(fast, ON_MOTO), 900),
        Suite(
            "engine",
            "on AWS's own DynamoDB Local",
            "tests",
            _pytest([*fast, *slow], ON_DYNAMODB_LOCAL),
            900,
        ),
        Suite("stack", "on the running local stack", "tests/stack", _pytest(on_stack, None), 1800),
        Suite("crash", "faults at the calls of AWS", "tests/crash", crash, 1800, is_pytest=False),
    ]
    return [suite for suite in every if suite.exists(root)]


def nearest(mutant: Mutant) -> Suite:
    """A part of the rules, asked first since it most likely knows."""
    return Suite("rules", "", "tests", _pytest(_files(mutant.near), ON_MOTO), 600)


def one_test(test: str) -> Suite:
    """The test that `report` names so: its suite, module and name."""
    suite, module, name = test.split()
    engine = {"rules": ON_MOTO, "engine": ON_DYNAMODB_LOCAL}.get(suite)
    return Suite(suite, "", "tests", _pytest([f"tests/{module}.py::{name}"], engine), 300)


def these_tests(tests: Sequence[str]) -> tuple[str, ...]:
    """The command that runs some tests, by their ids, and goes on when one is red."""
    return _pytest([*tests, "--maxfail=0"], None)


def _files(names: Sequence[str]) -> list[str]:
    return [f"tests/{name}.py" for name in names]


def _pytest(what: Sequence[str], engine: str | None) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
        *("-p", "tests.mutations.selection", "--red", RED),
        *(("--engine", engine) if engine else ()),
        *what,
    )
