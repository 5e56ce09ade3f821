"""Command-line tools from PyPI, in an environment of their own: .tools.

What they stand on stays out of .venv. It is locked too, by hash: these tools decide what the locks
say.
"""

import subprocess
import venv
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from infra import ROOT

_LOCK: Final = "infra/requirements-tools.lock"


class ToolError(Exception):
    """A tool could not do its work; the message says why."""


def command_of(tool: str) -> str:
    """Return the path of a tool's command, as locked; install it if needed. Raises ToolError."""
    lock = ROOT / _LOCK
    folder = ROOT / ".tools" / sha256(lock.read_bytes()).hexdigest()[:16]
    command = folder / "bin" / tool
    if not command.exists():
        venv.create(folder, with_pip=True)
        install = ["install", "--quiet", "--only-binary=:all:", "--require-hashes"]
        pip = run(str(folder / "bin" / "pip"), *install, "--requirement", str(lock))
        if pip.returncode != 0:
            raise ToolError(f"{_LOCK} could not be installed: {last_line(pip.stderr)}")
    return str(command)


def run(*command: str, folder: Path = ROOT) -> Any:
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603


def last_line(output: str) -> str:
    return next(iter(reversed(output.strip().splitlines())), "no output.")
