"""Processes that start cold: the unpacked package, and a bare interpreter that runs a script on it.

As on Lambda there is the package, what the runtime brings, and nothing else. Lambda's runtime has
its own modules' bytecode; the package has none, and lies where none can be written: so the new
process compiles it each time. `is_compiled` is the same with the bytecode beside it.
"""

import compileall
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3

HERE: Final = Path(__file__).parent
OURS: Final = HERE / "first_answer.py"
FLOOR: Final = HERE / "first_answer_floor.py"

RUNTIMES_OWN: Final = (
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py",
)  # fmt: skip
"""What Lambda's Python has in it besides Python."""


class NoAnswer(Exception):
    """The process ended without one; the message is what it said."""


@dataclass(frozen=True)
class Task:
    """A folder that is to Lambda's `/var/task` and to its runtime what they are to it."""

    task: Path
    runtime: Path
    is_compiled: bool

    @classmethod
    def unpacked(cls, archive: Path, folder: Path, *, compiled: bool) -> "Task":
        task, runtime = folder / "task", folder / "runtime"
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(task)
        runtime.mkdir()
        site_packages = Path(boto3.__file__).parents[1]
        for name in RUNTIMES_OWN:
            (runtime / name).symlink_to(site_packages / name)
            _compile(runtime / name)
        if compiled:
            _compile(task)
        return cls(task, runtime, compiled)

    def command(self, script: Path, *options: str) -> list[str]:
        """-S: without this machine's packages; -P: and without what lies beside the script."""
        return [sys.executable, "-S", "-P", *options, str(script)]

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        return {
            "PYTHONPATH": f"{self.task}:{self.runtime}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.task),  # and so no settings of this machine's
            **settings,
        }


def _compile(path: Path) -> None:
    compiler = compileall.compile_dir if path.is_dir() else compileall.compile_file
    compiler(str(path), quiet=1)


@dataclass(frozen=True)
class Start:
    """One process, from its spawn to the first byte of its answer."""

    wall_ms: float
    cpu_ms: float
    """Of its processor, until then."""
    answer: Any
    said: str
    """Its log."""


def start(task: Task, script: Path, settings: dict[str, str], given: Any) -> Start:
    """Raises NoAnswer."""
    answer, theirs = os.pipe()
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [*task.command(script), str(theirs)],
        cwd=task.task,
        env=task.environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[theirs],
    )
    os.close(theirs)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout, os.fdopen(answer, "rb") as pipe:
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        first = pipe.read(1)
        ended = time.perf_counter()
        whole = first + pipe.read()
        said = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not whole:
        raise NoAnswer(f"{script.name} ended with {process.returncode}:\n{said}")
    cpu_ms = (used.ru_utime + used.ru_stime) * 1000
    return Start((ended - began) * 1000, cpu_ms, json.loads(whole), said)


def import_times(task: Task, script: Path, settings: dict[str, str], given: Any) -> str:
    """What Python says of each import on the way to the answer. Raises NoAnswer."""
    ended = subprocess.run(  # noqa: S603
        [*task.command(script, "-X", "importtime"), "1"],
        cwd=task.task,
        env=task.environment(settings),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise NoAnswer(f"{script.name} ended with {ended.returncode}:\n{ended.stderr}")
    return ended.stderr
