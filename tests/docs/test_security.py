"""The defences that the security page names exist."""

import re

import pytest

from tests.docs.pages import ROOT, section

THREATS = section("docs/security.md", "Threats and defences")
ROWS = [line.split(" | ") for line in THREATS.splitlines() if line.startswith("| ")][1:]
HOLDERS = [holder for row in ROWS for holder in re.findall(r"`([^`]+)`", row[-1])]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][2:42] for row in ROWS])
def test_every_defence_names_what_holds_it(row: list[str]) -> None:
    assert len(row) == 3
    assert re.search(r"`(tests|frontend|\.github)/", row[-1])


@pytest.mark.parametrize("holder", HOLDERS)
def test_file_or_test_of_a_defence_exists(holder: str) -> None:
    file, _, test = holder.partition("::")
    assert (ROOT / file).is_file()
    if test:
        assert f"\ndef {test}(" in (ROOT / file).read_text()


def test_every_threat_is_listed() -> None:
    assert len(ROWS) == 17
