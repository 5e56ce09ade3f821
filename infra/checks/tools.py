"""Command-line tools from PyPI, each in an environment of its own under .tools.

A tool's own dependencies are not ours to lock, so they stay out of .venv.
"""

import subprocess
import venv
from pathlib import Path
from typing import Any

from infra import ROOT


class ToolError(Exception):
    """A tool could not do its work; the message says why."""


def command_of(requirement: str) -> str:
    """Return the path of a tool's command, installing the tool if needed. Raises ToolError."""
    name = requirement.partition("==")[0]
    folder = ROOT / ".tools" / requirement.replace("==", "-")
    command = folder / "bin" / name
    if not command.exists():
        venv.create(folder, with_pip=True)
        pip = run(str(folder / "bin" / "pip"), "install", "--quiet", requirement)
        if pip.returncode != 0:
            raise ToolError(f"{requirement} could not be installed: {last_line(pip.stderr)}")
    return str(command)


def run(*command: str, folder: Path = ROOT) -> Any:
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603


def last_line(output: str) -> str:
    return next(iter(reversed(output.strip().splitlines())), "no output.")
