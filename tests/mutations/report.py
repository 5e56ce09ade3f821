"""The table of docs/mutations.md."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from tests.mutations.catalogue import CATALOGUE, EVERY
from tests.mutations.mutant import Mutant
from tests.mutations.suites import Suite
from tests.mutations.trial import Caught, Verdict

NOBODY: Final = "**nobody**"
NOT_TRIED: Final = "**not tried**"
_LINE: Final = re.compile(r"^\| (.+) \| `(.+)`, (\S+) \| (.+) \|$", re.MULTILINE)
_HEAD: Final = """\
# Mutations

Each line is a safety rule, and who notices when it is broken on purpose. `make mutants` breaks
one rule at a time in a copy of the code and asks the suites, from the fastest to the slowest,
until a test fails; that test must then pass on the code as it is. A mutant that every suite lets
pass fails the command. The edits are in `tests/mutations/catalogue/`; the command writes this page.
Tests that judge the text of the code instead of what it does are not asked.
"""


def page(by: Mapping[str, str], suites: Sequence[Suite]) -> str:
    """The whole page; `by` says of a mutant, by its name, who has caught it."""
    told = {mutant.name: by.get(mutant.name, NOT_TRIED) for mutant in EVERY}
    caught = sum(who not in {NOBODY, NOT_TRIED} for who in told.values())
    lines = [_HEAD, f"{caught} of {len(EVERY)} are caught.", ""]
    lines += [f"- `{suite.name}`: the tests {suite.described}" for suite in suites]
    for title, mutants in CATALOGUE.items():
        lines += ["", f"## {title}", "", "| Rule | Mutant, of | Caught by |", "|---|---|---|"]
        lines += [f"| {_first(mutant)} | {told[mutant.name]} |" for mutant in mutants]
    return "\n".join([*lines, ""])


def read(text: str) -> dict[str, str]:
    """What a page says of each mutant whose rule and file are what they were."""
    known = {_first(mutant): mutant.name for mutant in EVERY}
    found = {f"{rule} | `{name}`, {file}": by for rule, name, file, by in _LINE.findall(text)}
    return {known[first]: by for first, by in found.items() if first in known}


def caught_by(verdict: Verdict) -> str:
    return "; ".join(map(_one, verdict.caught)) or NOBODY


def tests(by: str) -> list[str]:
    """The tests that a line names, each as its suite, module and name."""
    return [" ".join(found) for found in re.findall(r"(\w+): `(\S+)` (test_\w+)", by)]


def _first(mutant: Mutant) -> str:
    return f"{mutant.rule} | `{mutant.name}`, {mutant.file.removeprefix('chalicelib/')}"


def _one(caught: Caught) -> str:
    """A test without its parameters, whose values may be long, and without its folder."""
    if not caught.is_test:
        return f"{caught.suite}: {caught.by}"
    file, _, test = caught.by.partition("::")
    module = file.removeprefix("tests/").removesuffix(".py")
    return f"{caught.suite}: `{module}` {test.partition('[')[0]}"
