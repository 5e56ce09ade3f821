"""The table of docs/mutations.md."""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.mutations.catalogue import CATALOGUE
from tests.mutations.suites import Suite
from tests.mutations.trial import Caught, Verdict

_HEAD: Final = """\
# Mutations

Each line is a safety rule and what becomes of it when it is broken on purpose: `make mutants`
breaks one at a time in a copy of the code and runs the tests until one goes red. That test is
then run on the code as it is, where it must be green. A mutant that every suite lets pass fails
the command. This page is written by it; `tests/mutations/catalogue/` has the edits.
"""


def page(verdicts: Mapping[str, Verdict], suites: Sequence[Suite], *, every: bool) -> str:
    """The whole page, from what became of each mutant by its name."""
    caught = sum(bool(verdict.caught) for verdict in verdicts.values())
    lines = [
        _HEAD,
        f"{caught} of {len(verdicts)} are caught. "
        + ("Every suite was run on each." if every else "The first suite that was red is named."),
        "",
        *(f"- `{suite.name}`: {suite.described}" for suite in suites),
        "",
    ]
    for title, mutants in CATALOGUE.items():
        lines += [f"## {title}", "", "| Rule | Mutant, of | Caught by |", "|---|---|---|"]
        lines += [
            f"| {mutant.rule} | `{mutant.name}`, {mutant.file.removeprefix('chalicelib/')} "
            f"| {_by(verdicts[mutant.name])} |"
            for mutant in mutants
        ]
        lines.append("")
    return "\n".join(lines)


def _by(verdict: Verdict) -> str:
    return "; ".join(map(_one, verdict.caught)) or "**nobody**"


def _one(caught: Caught) -> str:
    """A test without its parameters, whose values may be long, and without its folder."""
    file, separator, test = caught.by.partition("::")
    if not separator:
        return f"{caught.suite}: {caught.by}"
    module = file.removeprefix("tests/").removesuffix(".py")
    return f"{caught.suite}: `{module}` {test.partition('[')[0]}"
