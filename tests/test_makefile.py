"""What `make help` and the README say of the commands is what the Makefile has."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
PHONY = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def targets() -> set[str]:
    assert PHONY
    return set(PHONY[1].split())


def test_help_shows_every_command_in_four_groups() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\S+)  ", shown.stdout, re.MULTILINE)) == targets()
    groups = re.findall(r"^(\w+)$", shown.stdout, re.MULTILINE)
    assert groups == ["Run", "Check", "Deploy", "Operate"]


def test_the_readme_names_no_command_that_there_is_not() -> None:
    code = r"(?:^\$ (?:[A-Z_]+=\S+ )*|`(?:[A-Z_]+=\S+ )*)make\s([a-z0-9-]+)"
    named = set(re.findall(code, (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"run", "seed", "bootstrap"} <= named <= targets()
