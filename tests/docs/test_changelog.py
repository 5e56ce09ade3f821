"""The version stands in one place, and the changelog knows it."""

import json
import re
import tomllib

from chalicelib import VERSION
from tests.docs.pages import ROOT


def test_newest_release_of_the_changelog_is_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[([0-9.]+)\]", changelog, re.MULTILINE)[0] == VERSION


def test_version_is_written_nowhere_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "chalicelib.VERSION"}
    assert "version" not in json.loads((ROOT / "frontend" / "package.json").read_text())
