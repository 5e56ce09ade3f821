"""The mutants still fit the code, and the page is of them. `make mutants` runs them."""

import ast
from pathlib import Path

import pytest

from tests.mutations import report
from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant, Stale

ROOT = Path(__file__).resolve().parents[1]
BY_NAME = {mutant.name: mutant for mutant in EVERY}


@pytest.mark.parametrize("mutant", EVERY, ids=BY_NAME)
def test_every_mutant_still_breaks_the_code(mutant: Mutant) -> None:
    mutant.mutated((ROOT / mutant.file).read_text())
    for module in mutant.near:
        assert (ROOT / "tests" / f"{module}.py").exists()


def test_every_mutant_has_a_name_and_an_edit_of_its_own() -> None:
    assert len(BY_NAME) == len(EVERY)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in EVERY}) == len(EVERY)


def of(old: str, new: str, file: str = "chalicelib/model.py") -> Mutant:
    return Mutant("a-mutant", "A rule", file, old, new, ("test_model",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a = 3", "a = 4", "stands 0 times"),
        ("= 1", "= 2", "stands 2 times"),
        ("b = 1", "b = (1)", "does what it did"),
        ("b = 1", "b = 1  # or 2", "does what it did"),
        ("b = 1", "b = ", "is no program"),
    ],
)
def test_an_edit_that_no_longer_fits_or_breaks_nothing_is_told(
    old: str, new: str, said: str
) -> None:
    with pytest.raises(Stale, match=said):
        of(old, new).mutated("a = 1\nb = 1\n")


TABLE = (ROOT / "docs" / "mutations.md").read_text()


def test_the_table_is_of_these_mutants_and_each_is_caught() -> None:
    by = report.read(TABLE)
    assert set(by) == set(BY_NAME)
    assert not {report.NOBODY, report.NOT_TRIED} & set(by.values())


def test_the_tests_that_the_table_names_are_there() -> None:
    named = [test.split()[1:] for by in report.read(TABLE).values() for test in report.tests(by)]
    assert len(named) >= len(EVERY) * 9 // 10
    for module in {module for module, _ in named}:
        tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert {test for where, test in named if where == module} <= functions
