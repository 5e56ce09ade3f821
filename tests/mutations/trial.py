"""One mutant before the suites: who notices?

Guarantee: a mutant counts as caught when a test fails on it and passes without it, or a run ends
only at its limit that ends by itself without it. A test that could not be set up, or code that
could not be imported, is no proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.mutations.mutant import Mutant
from tests.mutations.sandbox import Run, Sandbox
from tests.mutations.suites import Suite, nearest, one_test

_GREEN = 0
_RED = 1


class NoVerdict(Exception):
    """The run says nothing about the mutant, and why."""


@dataclass(frozen=True)
class Caught:
    """By this suite, and by this test of it; or, where there is none, by what is said."""

    suite: str
    by: str


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    caught: tuple[Caught, ...]
    survived: tuple[str, ...]
    """The suites that stayed green."""


def tried(mutant: Mutant, sandbox: Sandbox, suites: Sequence[Suite], *, every: bool) -> Verdict:
    """Asks the suites in order: until one is red, or `every` one. Raises Stale or NoVerdict."""
    caught: list[Caught] = []
    survived: list[str] = []
    for suite in [*([] if every else [nearest(mutant)]), *suites]:
        found = _asked(mutant, sandbox, suite)
        if found is not None:
            caught.append(found)
            if not every:
                break
        elif suite in suites:
            survived.append(suite.name)
    return Verdict(mutant, tuple(caught), tuple(survived))


def _asked(mutant: Mutant, sandbox: Sandbox, suite: Suite) -> Caught | None:
    with sandbox.broken_by(mutant):
        run = sandbox.run(suite.command, suite.limit_seconds)
    if run.code == _GREEN:
        return None
    if run.code is None:
        _check(sandbox, suite, suite.command)
        return Caught(suite.name, "the time limit")
    if suite.is_pytest:
        if run.code != _RED or run.first_red is None:
            raise NoVerdict(
                f"{mutant.name}: no test failed, yet {suite.name} ended so:\n{run.said}"
            )
        _check(sandbox, suite, one_test(run.first_red))
        return Caught(suite.name, run.first_red)
    _check(sandbox, suite, suite.command)
    return Caught(suite.name, "an invariant")


def _check(sandbox: Sandbox, suite: Suite, command: Sequence[str]) -> None:
    """Raises NoVerdict unless the command is green on the code as it is."""
    run: Run = sandbox.run(command, suite.limit_seconds)
    if run.code != _GREEN:
        raise NoVerdict(f"{suite.name} is red without any mutant too:\n{run.said}")
