"""The Makefile: its commands are those of `make help` and the documentation, and its settings are
text, whatever they look like.
"""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, pages

PHONY = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
NAMED = re.compile(
    r"(?:^ *\$ (?:[A-Z_]+=\S+ )*|`(?:[A-Z_]+=\S+ )*)make\s([a-z0-9-]+)", re.MULTILINE
)
SETTINGS = re.search(
    r"^SETTINGS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
)
ATTACKS = [
    "; touch ran",
    "$(shell touch ran)",
    "$$(touch ran)",
    "${shell touch ran}",
    "`touch ran`",
    "'; touch ran; '",
    '"; touch ran; "',
    "dev\n\ttouch ran",
    "dev\nall: ; touch ran",
    "--help",
    "#",
]
A_STUB = "#!/bin/sh\nprintf '%s\\0' \"$@\" >> arguments\n"
HISTORY = ROOT / "CHANGELOG.md"


def targets() -> set[str]:
    assert PHONY
    return set(PHONY[1].split())


def settings() -> list[str]:
    assert SETTINGS
    return SETTINGS[1].replace("\\", "").split()


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A folder in which every program that the Makefile calls only writes down its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    programs = [".venv/bin/python", *(f".venv/bin/{name}" for name in ("ruff", "mypy"))]
    programs += [".package/bin/python", "bin/npm"]
    for name in [*programs, *(f"bin/python3{minor}" for minor in ("", ".11"))]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(A_STUB)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return tmp_path


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_value_of_a_setting_runs_anything(sandbox: Path, attack: str) -> None:
    given = [f"{setting}={attack}" for setting in settings()]
    for target in sorted(targets() - {"help", "clean"}):
        command = ["make", "--keep-going", target, *given]
        subprocess.run(command, cwd=sandbox, check=False, capture_output=True)
    assert [*sandbox.rglob("ran")] == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_value_reaches_its_command_as_it_was_given(sandbox: Path, attack: str) -> None:
    for ready in (".venv/ready", "requirements-run.lock", "infra/local/install.py"):
        (sandbox / ready).parent.mkdir(parents=True, exist_ok=True)
        (sandbox / ready).touch()
    command = ["make", "key", f"STAGE={attack}", f"NAME={attack}", "SCOPES=read"]
    subprocess.run(command, cwd=sandbox, check=True)
    expected = ["-m", "infra.ops.key", f"--name={attack}", "--scopes=read", "--", attack]
    assert (sandbox / "arguments").read_text().split("\0") == [*expected, ""]


def test_recipes_expand_no_setting() -> None:
    used = re.findall(r"\$\((?:or )?(?:\$\()?([A-Z_]+)[),]", (ROOT / "Makefile").read_text())
    assert set(used).isdisjoint(settings())


def test_help_shows_every_command_in_four_groups() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make (\S+)  ", shown.stdout, re.MULTILINE)) == targets()
    groups = re.findall(r"^(\w+)$", shown.stdout, re.MULTILINE)
    assert groups == ["Run", "Check", "Deploy", "Operate"]


@pytest.mark.parametrize("page", sorted({*pages()} - {HISTORY}), ids=lambda page: page.name)
def test_page_names_no_command_that_does_not_exist(page: Path) -> None:
    assert set(NAMED.findall(page.read_text())) <= targets()
