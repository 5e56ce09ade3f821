"""The defences that THREATS.md names are there, and so is what the documents link to."""

import re
from pathlib import Path

import pytest

from tests.engines import ROOT

THREATS = (ROOT / "docs" / "security.md").read_text()
ROWS = [line.split(" | ") for line in THREATS.splitlines() if line.startswith("| ")][1:]
HOLDERS = [holder for row in ROWS for holder in re.findall(r"`([^`]+)`", row[-1])]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][2:42] for row in ROWS])
def test_every_defence_names_what_holds_it(row: list[str]) -> None:
    assert len(row) == 3
    assert re.search(r"`(tests|frontend|\.github)/", row[-1])


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_holds_a_defence_is_there(holder: str) -> None:
    file, _, test = holder.partition("::")
    assert (ROOT / file).is_file()
    if test:
        assert f"\ndef {test}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("document", ["docs/security.md", "SECURITY.md"])
def test_what_is_linked_is_there(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        file, _, heading = target.partition("#")
        text = (ROOT / file).read_text()
        slugs = {line.lstrip("# ").lower().replace(" ", "-") for line in _headings(text)}
        assert not heading or heading in slugs


def _headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]


def test_the_model_is_a_page() -> None:
    assert len(THREATS.split()) < 1_300
    assert Path(ROOT / "SECURITY.md").stat().st_size < 3_000
