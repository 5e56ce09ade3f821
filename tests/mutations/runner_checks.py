"""The runner of `make mutants`, which runs these first: they take too long for `make test`."""

import sys
from pathlib import Path

import pytest

from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant
from tests.mutations.sandbox import Sandbox
from tests.mutations.suites import Suite, suites
from tests.mutations.trial import Caught, NoVerdict, Verdict, red_anyway, tried

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {mutant.name: mutant for mutant in EVERY}


def of(old: str, new: str, file: str = "chalicelib/model.py") -> Mutant:
    return Mutant("a-mutant", "A rule", file, old, new, ("test_model",))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(ROOT, tmp_path_factory.mktemp("mutants"))


def asks(code: str, limit_seconds: float = 60) -> Suite:
    """A suite that is one line of Python, run where the code lies."""
    command = (sys.executable, "-c", code)
    return Suite("rules", "", "tests", command, limit_seconds, is_pytest=False)


NO_MONEY = BY_NAME["nothing-is-an-amount"]
NO_DIFFERENCE = of('SYSTEM = "system"', 'SYSTEM = "sys" + "tem"')


def test_a_mutant_is_caught_by_the_test_that_fails_on_it_alone(sandbox: Sandbox) -> None:
    verdict = tried(NO_MONEY, sandbox, suites(ROOT))
    (caught,) = verdict.caught
    assert (caught.suite, caught.by.partition("/")[0]) == ("rules", "tests")
    assert red_anyway([verdict], sandbox) == set()


def test_a_test_that_is_red_without_the_mutant_too_is_no_proof(sandbox: Sandbox) -> None:
    (sandbox.root / "tests" / "test_red.py").write_text("def test_red() -> None: assert False\n")
    verdict = Verdict(NO_MONEY, (Caught("rules", "tests/test_red.py::test_red"),), ())
    assert red_anyway([verdict], sandbox) == {"tests/test_red.py::test_red"}


def test_a_mutant_that_nobody_notices_has_survived(sandbox: Sandbox) -> None:
    verdict = tried(NO_DIFFERENCE, sandbox, [asks("import chalicelib.model")])
    assert (verdict.caught, verdict.survived) == ((), ("rules",))


def test_a_suite_that_is_red_without_the_mutant_too_is_no_proof(sandbox: Sandbox) -> None:
    with pytest.raises(NoVerdict, match="red without any mutant"):
        tried(NO_MONEY, sandbox, [asks("raise SystemExit(1)")], every=True)


def test_code_that_cannot_be_imported_is_no_proof(sandbox: Sandbox) -> None:
    broken = of("MAX_AMOUNT = Decimal(1_000_000)", "MAX_AMOUNT = Decimal(1_000_000) / 0")
    with pytest.raises(NoVerdict, match="no test failed"):
        tried(broken, sandbox, [])


def test_a_mutant_that_hangs_is_caught_by_the_time_limit(sandbox: Sandbox) -> None:
    hangs = of("    if value <= 0:\n", "    while value <= 0:\n        pass\n    if value <= 0:\n")
    patient = asks(
        "from decimal import Decimal\nfrom chalicelib.model import check_bounds as check\n"
        "try: check(Decimal(0))\nexcept ValueError: pass\nelse: raise SystemExit(1)",
        limit_seconds=10,
    )
    verdict = tried(hangs, sandbox, [patient], every=True)
    assert verdict.caught == (Caught("rules", "the time limit"),)


def test_after_a_trial_the_code_is_as_it_was(sandbox: Sandbox) -> None:
    source = (ROOT / NO_MONEY.file).read_text()
    copy = sandbox.root / NO_MONEY.file
    with sandbox.broken_by(NO_MONEY):
        assert copy.read_text() == NO_MONEY.mutated(source)
    assert copy.read_text() == source == (ROOT / NO_MONEY.file).read_text()
