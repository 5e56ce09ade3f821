"""The page of promises, and what the last run says of each."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.mutations.catalogue import CATALOGUE, EVERY
from tests.mutations.mutant import Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reports" / "mutations.md"
CAUGHT: Final = "yes"
NOT_CAUGHT: Final = "**no**"
_LINE: Final = re.compile(r"^\| (.+) \| `.+` \| (.+) \|$", re.MULTILINE)
_HEAD: Final = """\
# Mutations

`make mutants` breaks one promise at a time and runs the tests. A promise is caught when a test
fails that passes on the code as it is. The command fails if a promise is not caught, and writes
this page. The edits are in `tests/mutations/catalogue.py`.
"""


def page(by_promise: Mapping[str, str]) -> str:
    """The whole page; `by_promise` says whether each promise was caught."""
    told = {mutant.promise: by_promise.get(mutant.promise, NOT_CAUGHT) for mutant in EVERY}
    lines = [_HEAD, f"{list(told.values()).count(CAUGHT)} of {len(told)} promises are caught."]
    for title, mutants in CATALOGUE.items():
        lines += ["", f"## {title}", "", "| Promise | Broken in | Caught |", "|---|---|---|"]
        lines += [_line(mutant, told[mutant.promise]) for mutant in mutants]
    return "\n".join([*lines, ""])


def read() -> dict[str, str]:
    """Whether each promise of the page was caught."""
    return dict(_LINE.findall(PAGE.read_text()))


def _line(mutant: Mutant, caught: str) -> str:
    return f"| {mutant.promise} | `{mutant.where.removeprefix('chalicelib/')}` | {caught} |"
