"""Every mutant still fits the code, and the page is of them. `make mutants` runs them."""

import ast
import asyncio
from pathlib import Path

import pytest

from tests.mutations import report
from tests.mutations.__main__ import judged
from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant, Stale

SOURCE = """\
LIMIT: int = 1

class Desk:
    open = True

    def admit(self, guests):
        # Nobody else.
        return guests <= LIMIT and "and" != "or"
"""


def of(symbol: str, old: str, new: str) -> Mutant:
    return Mutant("A promise.", f"desk.py::{symbol}", old, new)


@pytest.mark.parametrize("mutant", EVERY, ids=[mutant.promise for mutant in EVERY])
def test_a_mutant_still_breaks_the_code(mutant: Mutant) -> None:
    mutant.mutated((report.ROOT / mutant.file).read_text())


def test_every_mutant_has_a_promise_of_its_own() -> None:
    assert len({mutant.promise for mutant in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [
        (of("LIMIT", "1", "2"), ("= 1", "= 2")),
        (of("Desk.open", "True", "False"), ("True", "False")),
        (of("Desk.admit", " and 'and' != 'or'", ""), (' and "and" != "or"', "")),
    ],
    ids=lambda value: getattr(value, "symbol", None),
)
def test_an_edit_changes_its_symbol_only(mutant: Mutant, broken: tuple[str, str]) -> None:
    wanted = ast.parse(SOURCE.replace(*broken))
    assert ast.dump(mutant.mutated(SOURCE)) == ast.dump(wanted)


@pytest.mark.parametrize(
    ("mutant", "said"),
    [
        (of("Desk.leave", "1", "2"), "0 definitions of Desk.leave"),
        (of("LIMIT.admit", "1", "2"), "LIMIT of LIMIT.admit has nothing inside"),
        (of("Desk.admit", "== LIMIT", "> LIMIT"), "the old text stands 0 times"),
        (of("Desk.admit", "guests", "hosts"), "the old text stands 2 times"),
        (of("Desk.admit", "<= LIMIT", "<= (LIMIT)"), "does what it did before"),
        (of("Desk.admit", "<= LIMIT", "<= "), "is no program any more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mutant_that_no_longer_fits_is_stale(mutant: Mutant, said: str) -> None:
    with pytest.raises(Stale, match=said):
        mutant.mutated(SOURCE)


@pytest.mark.parametrize(
    ("code", "is_caught"),
    [
        ("def test_it(): assert False", True),
        ("import pytest\n@pytest.fixture\ndef it(): assert False\ndef test_it(it): ...", False),
    ],
    ids=["fails", "is-not-set-up"],
)
def test_only_a_test_that_fails_catches_a_mutant(
    code: str, is_caught: bool, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(code)
    verdict = asyncio.run(judged(EVERY[0], [str(tmp_path)]))
    assert verdict is not None
    assert (verdict.test is not None) is is_caught


def test_the_page_has_every_promise_and_each_is_caught() -> None:
    assert report.read() == {mutant.promise: report.CAUGHT for mutant in EVERY}
