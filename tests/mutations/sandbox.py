"""A copy of the project in which code is broken and tests are run. The project stays as it is."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutations.mutant import Mutant
from tests.mutations.selection import RED

# Fetched or made by make; what the tests need of it is linked instead of copied.
_LINKED: Final = (".venv", ".tools", "frontend/node_modules")
_LEFT_OUT: Final = (".git", ".venv", ".tools", ".payflow", "dist", "node_modules", "__pycache__")


@dataclass(frozen=True)
class Run:
    """What came of a command: no `code` when it was stopped at its limit."""

    code: int | None
    said: str
    red: list[str]
    """The ids of the tests that failed, the first one first."""


class Sandbox:
    """One copy, in `folder`; one command at a time."""

    def __init__(self, project: Path, folder: Path) -> None:
        self._project = project
        self.root = folder / "payflow"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        self._running: subprocess.Popen[str] | None = None
        left_out = shutil.ignore_patterns(*_LEFT_OUT, ".*_cache", ".hypothesis")
        shutil.copytree(project, self.root, ignore=left_out)
        for name in _LINKED:
            if (project / name).exists():
                (self.root / name).symlink_to(project / name)

    @contextmanager
    def broken_by(self, mutant: Mutant) -> Iterator[None]:
        """With the mutant's rule broken until the block ends. Raises Stale."""
        path = self.root / mutant.file
        source = path.read_text()
        try:
            self._write(path, mutant.mutated(source))
            yield
        finally:
            self._write(path, source)

    @staticmethod
    def _write(path: Path, source: str) -> None:
        path.write_text(source)
        # Compiled code is told from stale by time and size, which an edit may leave as they were.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def run(self, command: Sequence[str], limit_seconds: float) -> Run:
        """Carry out the command in the copy; what it has started ends with it."""
        red = self.root / RED
        red.unlink(missing_ok=True)
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env={
                **os.environ,
                "CI": "true",  # a test whose engine is missing fails, rather than being skipped
                "PYTEST_DEBUG_TEMPROOT": str(self._temporary),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running = process
        code: int | None
        try:
            said, _ = process.communicate(timeout=limit_seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            self.stop()
            said, _ = process.communicate()
            code = None
        return Run(code, said, red.read_text().splitlines() if red.exists() else [])

    def stop(self) -> None:
        """End the command that is running, if one is, with all that it has started."""
        if self._running is not None and self._running.poll() is None:
            os.killpg(self._running.pid, signal.SIGKILL)
