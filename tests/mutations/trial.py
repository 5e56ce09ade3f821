"""One mutant before the suites: who notices?

Guarantee: a mutant counts as caught when a test fails on it and passes without it, or a run ends
only at its limit that ends by itself without it. A test that could not be set up, or code that
could not be imported, is no proof. (Those tests are run without it all together: `red_anyway`.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.mutations.mutant import Mutant
from tests.mutations.sandbox import Sandbox
from tests.mutations.suites import Suite, nearest, one_test, these_tests

_GREEN = 0
_RED = 1
_ALL_TESTS_SECONDS = 900


class NoVerdict(Exception):
    """The run says nothing about the mutant, and why."""


@dataclass(frozen=True)
class Caught:
    """By this suite; `by` is the id of a test, or says what it was where there is none."""

    suite: str
    by: str

    @property
    def is_test(self) -> bool:
        return "::" in self.by


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    caught: tuple[Caught, ...]
    survived: tuple[str, ...]
    """The suites that stayed green."""


def tried(
    mutant: Mutant,
    sandbox: Sandbox,
    suites: Sequence[Suite],
    last: Sequence[str] = (),
    *,
    every: bool = False,
) -> Verdict:
    """Asks the suites in order: until one is red, or `every` one. Before them, where one is
    enough, those tests that caught it `last`, and the nearest. Raises Stale or NoVerdict.
    """
    caught: list[Caught] = []
    survived: list[str] = []
    for test in [] if every else last:
        if found := _asked_again(mutant, sandbox, one_test(test)):
            return Verdict(mutant, (found,), ())
    for suite in [*([] if every else [nearest(mutant)]), *suites]:
        found = _asked(mutant, sandbox, suite)
        if found is not None:
            caught.append(found)
            if not every:
                break
        elif suite in suites:
            survived.append(suite.name)
    return Verdict(mutant, tuple(caught), tuple(survived))


def red_anyway(verdicts: Iterable[Verdict], sandbox: Sandbox) -> set[str]:
    """Of the tests that caught a mutant those that are red on the code as it is: they prove
    nothing. Raises NoVerdict when that cannot be told.
    """
    tests = {one.by for verdict in verdicts for one in verdict.caught if one.is_test}
    if not tests:
        return set()
    run = sandbox.run(these_tests(sorted(tests)), _ALL_TESTS_SECONDS)
    if run.code not in {_GREEN, _RED} or (run.code == _RED and not run.red):
        raise NoVerdict(f"The tests that caught something do not run without it:\n{run.said}")
    return set(run.red)


def _asked_again(mutant: Mutant, sandbox: Sandbox, test: Suite) -> Caught | None:
    """Whatever else may come of it (the test is gone, say), the suites are asked as ever."""
    with sandbox.broken_by(mutant):
        run = sandbox.run(test.command, test.limit_seconds)
    return Caught(test.name, run.red[0]) if run.code == _RED and run.red else None


def _asked(mutant: Mutant, sandbox: Sandbox, suite: Suite) -> Caught | None:
    with sandbox.broken_by(mutant):
        run = sandbox.run(suite.command, suite.limit_seconds)
    if run.code == _GREEN:
        return None
    if suite.is_pytest and run.code is not None:
        if run.code != _RED or not run.red:
            raise NoVerdict(
                f"{mutant.name}: no test failed, yet {suite.name} ended so:\n{run.said}"
            )
        return Caught(suite.name, run.red[0])
    if sandbox.run(suite.command, suite.limit_seconds).code != _GREEN:
        raise NoVerdict(f"{mutant.name}: {suite.name} is red without any mutant too")
    return Caught(suite.name, "the time limit" if run.code is None else "an invariant")
