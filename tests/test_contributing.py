"""What the repository offers to contributors: hooks and templates that work."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT

HOOKS: Any = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hook_runs_a_command_of_make_check(hook: Any) -> None:
    command = ["make", "--dry-run", "--always-make", "check"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    entry = hook["entry"].removeprefix('bash -c "').removesuffix('"')
    assert entry in told.stdout.splitlines()


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-issue-forms", "bug.yml"),
        ("github-issue-forms", "feature.yml"),
        ("github-issue-config", "config.yml"),
    ],
)
def test_issue_template_fits_the_schema_of_github(schema: str, file: str) -> None:
    command = [".venv/bin/check-jsonschema", "--builtin-schema", f"vendor.{schema}"]
    subprocess.run([*command, str(Path(TEMPLATES / file))], cwd=ROOT, check=True)
