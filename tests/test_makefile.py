"""`make help` and the documentation name the commands that the Makefile has."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages

PHONY = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
NAMED = re.compile(
    r"(?:^ *\$ (?:[A-Z_]+=\S+ )*|`(?:[A-Z_]+=\S+ )*)make\s([a-z0-9-]+)", re.MULTILINE
)
HISTORY = ROOT / "CHANGELOG.md"


def targets() -> set[str]:
    assert PHONY
    return set(PHONY[1].split())


def test_help_shows_every_command_in_four_groups() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\S+)  ", shown.stdout, re.MULTILINE)) == targets()
    groups = re.findall(r"^(\w+)$", shown.stdout, re.MULTILINE)
    assert groups == ["Run", "Check", "Deploy", "Operate"]


@pytest.mark.parametrize("page", sorted({*pages()} - {HISTORY}), ids=lambda page: page.name)
def test_page_names_no_command_that_does_not_exist(page: Path) -> None:
    assert set(NAMED.findall(page.read_text())) <= targets()
