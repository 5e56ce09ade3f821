"""`make lock`: pin every package, with its hashes, from the requirements files that people edit.

Guarantee: a lock names every package of a tree with the hashes of all files of its release, so
that one lock works for every Python version and machine, and pip installs nothing else.
"""

import sys
from typing import Final

from infra import ROOT
from infra.checks import tools
from infra.checks.tools import ToolError

WHOLE: Final = "requirements-dev.lock"
"""This lock includes all packages of the locks below, at the same versions."""

TOOLS: Final = "infra/requirements-tools.lock"
LOCKS: Final = {
    TOOLS: "infra/requirements-tools.txt",
    WHOLE: "requirements-dev.txt",
    "infra/requirements-package.lock": "infra/requirements-package.txt",
    "requirements-run.lock": "requirements-run.txt",
    "requirements.lock": "requirements.txt",
}
_OLDEST_PYTHON: Final = "3.11"
_HEADER: Final = "# Made by `make lock` from {source}; edit that.\n"


def main() -> None:
    try:
        lock()
    except ToolError as error:
        sys.exit(f"Not locked: {error}")


def lock() -> None:
    """Write the locks. Locked versions stay unless a requirements file asks for others.

    Raises ToolError.
    """
    for name, source in LOCKS.items():
        command = ["pip", "compile", source, "--output-file", name]
        command += ["--universal", "--python-version", _OLDEST_PYTHON, "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--quiet"]
        if name not in {TOOLS, WHOLE}:
            command += ["--constraints", WHOLE]
        ended = tools.run(tools.command_of("uv"), *command)
        if ended.returncode != 0:
            raise ToolError(ended.stderr)
        path = ROOT / name
        path.write_text(_HEADER.format(source=source) + path.read_text())
        print(f"{name}: {len(locked(path.read_text()))} packages")


def locked(text: str) -> dict[str, set[str]]:
    """Return each package's versions in a lock: several if Python versions need different ones."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if "==" in line and not line.startswith(("#", " ")):
            name, _, rest = line.partition("==")
            found.setdefault(name, set()).add(rest.split()[0])
    return found


if __name__ == "__main__":
    main()
