"""The layout that docs/architecture.md shows is the repository's."""

import re
import subprocess

import pytest

from tests.docs.pages import ROOT, section

LINE = re.compile(r"^( *)([\w./-]+)(?:  +\S.*)?$", re.MULTILINE)
DESCRIBED = ("chalicelib", "infra", "tests", "docs")
"""Folders whose parts the page describes: all their folders, and of chalicelib all modules."""


def layout() -> set[str]:
    """Every path of the layout section."""
    (tree,) = re.findall(r"```\n(.*?)```", section("docs/architecture.md", "Layout"), re.DOTALL)
    paths: set[str] = set()
    parent = ""
    for indent, name in LINE.findall(tree):
        if not indent:
            parent = name
        paths.add(f"{parent}{name}" if indent else name)
    return paths


def tracked() -> set[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def folders() -> set[str]:
    """Folders at the top, and those directly within the described ones."""
    parts = [name.split("/")[:-1] for name in tracked()]
    top = {f"{folder[0]}/" for folder in parts if folder}
    inner = {f"{one[0]}/{one[1]}/" for one in parts if len(one) > 1 and one[0] in DESCRIBED}
    return top | inner


def test_every_path_of_the_layout_exists() -> None:
    assert {path for path in layout() if not (ROOT / path).exists()} == set()


def test_every_top_folder_is_in_the_layout() -> None:
    assert {folder for folder in folders() if folder.count("/") == 1} <= layout()


@pytest.mark.parametrize("parent", ["chalicelib", "infra"])
def test_every_package_is_in_the_layout(parent: str) -> None:
    assert {folder for folder in folders() if folder.startswith(f"{parent}/")} <= layout()


def test_every_module_of_chalicelib_is_in_the_layout() -> None:
    modules = {name for name in tracked() if re.fullmatch(r"chalicelib/\w+\.py", name)}
    assert modules - {"chalicelib/__init__.py"} <= layout()
