"""`make cold-start`: how long a new process takes to its first answer.

The package is built as it ships but for this machine, unpacked, and started again and again in a
bare interpreter, in turn with a floor: Chalice's runtime, pydantic and botocore's two clients, and
by these clients the calls that the app's first answer made. Timed is the whole process, from its
spawn to the first byte of its answer. Ends with 1 where the app takes over 1.3 times the floor, or
where the zip that ships is over 5 MiB.

As on Lambda there is the package, what the runtime brings, and nothing else. Lambda's runtime has
its own modules' bytecode. The package has none, and lies where none can be written: so the new
process compiles it each time. "With bytecode" is the same with the bytecode beside it.
"""

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import boto3

from bench import page
from bench.aws_double import AwsDouble, aws_double
from bench.page import percentile, table
from bench.usage import BODY
from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.api_keys.service import ApiKeys
from infra.deploy import package
from infra.deploy.artifact import ZIP
from infra.deploy.package import PackageError
from infra.local.lambda_events import REGION, api_event, with_key

PAGE: Final = "cold-start"
MOST_TIMES_THE_FLOOR: Final = 1.3
MOST_ZIP_BYTES: Final = 5 * 1024 * 1024
OURS: Final = Path(__file__).with_name("first_answer.py")
FLOOR: Final = Path(__file__).with_name("first_answer_floor.py")
RUNTIMES_OWN: Final = (
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py",
)  # fmt: skip
"""What Lambda's Python has in it besides Python."""
_STAGE: Final = "dev"
_CREATED: Final = BODY | {
    "idempotency_key": "order-10023-attempt-1",
    "metadata": {"order": "10023"},  # the stage does not simulate
}


class NoAnswer(Exception):
    """The process ended without the expected answer; the message is what it said."""


class Start(NamedTuple):
    """One process, from its spawn to the first byte of its answer."""

    wall_ms: float
    cpu_ms: float
    answer: Any
    said: str
    """Its log."""


@dataclass(frozen=True)
class Task:
    """A folder that is Lambda's `/var/task`, one that is its runtime, and their environment."""

    folder: Path
    runtime: Path
    settings: Mapping[str, str]
    is_compiled: bool

    def start(self, script: Path, given: Any) -> Start:
        """Without this machine's packages (-S), and what lies beside the script (-P).

        Raises NoAnswer.
        """
        answer, theirs = os.pipe()
        began = time.perf_counter()
        with tempfile.TemporaryFile() as log, os.fdopen(answer, "rb") as pipe:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-S", "-P", str(script), str(theirs)],
                cwd=self.folder,
                env={
                    "PYTHONPATH": f"{self.folder}:{self.runtime}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "HOME": str(self.folder),  # and so none of this machine's settings
                    **self.settings,
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[theirs],
            )
            os.close(theirs)
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(json.dumps(given).encode())
            first = pipe.read(1)
            ended = time.perf_counter()
            whole = first + pipe.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read().decode()
        if process.returncode != 0 or not whole:
            raise NoAnswer(f"{script.name} ended with {process.returncode}:\n{said}")
        cpu_ms = (used.ru_utime + used.ru_stime) * 1000
        return Start((ended - began) * 1000, cpu_ms, json.loads(whole), said)


def unpacked(archive: Path, folder: Path, settings: Mapping[str, str], *, compiled: bool) -> Task:
    task, runtime = folder / "task", folder / "runtime"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(task)
    runtime.mkdir()
    for name in RUNTIMES_OWN:
        (runtime / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    for path in [runtime, *([task] if compiled else [])]:
        compileall.compile_dir(path, quiet=1)
    return Task(task, runtime, settings, compiled)


@dataclass(frozen=True)
class Case:
    """A first request, with or without bytecode; and what became of it, round by round."""

    request: str
    task: Task
    event: dict[str, Any]
    status: int
    calls: list[Any] = field(default_factory=list)
    """Of AWS, that the app makes for it: the floor makes them too."""
    floor: list[Start] = field(default_factory=list)
    ours: list[Start] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.request}, {'with bytecode' if self.task.is_compiled else 'as it ships'}"

    @property
    def ratio(self) -> float:
        return median(one.wall_ms for one in self.ours) / median(one.wall_ms for one in self.floor)

    @property
    def cpu_ratio(self) -> float:
        return median(one.cpu_ms for one in self.ours) / median(one.cpu_ms for one in self.floor)

    def start_ours(self) -> Start:
        """Raises NoAnswer for any answer but the expected one."""
        started = self.task.start(OURS, self.event)
        if started.answer["statusCode"] != self.status:
            raise NoAnswer(f"{self.request}: {started.said}{started.answer}")
        return started

    def start_floor(self) -> Start:
        return self.task.start(FLOOR, self.calls)

    def learn_calls(self, aws: AwsDouble) -> None:
        """A round that is not timed, after which the files have been read."""
        aws.asked.clear()
        self.start_ours()
        self.calls.extend(aws.asked)
        self.start_floor()


def measure(rounds: int) -> tuple[list[Case], int]:
    """The cases, and the bytes of the zip that ships. Raises PackageError or NoAnswer."""
    with tempfile.TemporaryDirectory() as temporary, aws_double() as aws:
        folder, settings = Path(temporary), _settings(aws.url)
        package.build(_STAGE, folder / "ships")
        package.build(_STAGE, folder / "twin", package.this_machine())
        create = with_key(api_event("POST", "/v1/payments", _CREATED), _new_key(aws.url))
        cases = []
        for compiled in (False, True):
            place = folder / f"compiled-{compiled}"
            task = unpacked(folder / "twin" / ZIP, place, settings, compiled=compiled)
            cases += [
                Case("health", task, api_event("GET", "/v1/health"), 200),
                Case("create", task, create, 201),
            ]
        for case in cases:
            case.learn_calls(aws)
        for number in range(rounds):
            for case in cases:
                for is_ours in (number % 2 == 0, number % 2 != 0):  # in turn
                    if is_ours:
                        case.ours.append(case.start_ours())
                    else:
                        case.floor.append(case.start_floor())
        return cases, (folder / "ships" / ZIP).stat().st_size


def _settings(url: str) -> dict[str, str]:
    """What Lambda's environment has of them."""
    return {
        "PAYFLOW_STAGE": _STAGE,
        "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
        "PAYFLOW_WEBHOOK_QUEUE_URL": f"{url}/123456789012/payflow-webhooks-dev",
        "PAYFLOW_DELIVERIES_QUEUE_URL": f"{url}/123456789012/payflow-deliveries-dev",
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _new_key(url: str) -> str:
    """An API key that the double knows from now on."""
    dynamodb = boto3.client(
        "dynamodb", REGION, endpoint_url=url,
        aws_access_key_id="test", aws_secret_access_key="test",  # noqa: S106
    )  # fmt: skip
    repository = ApiKeyRepository(dynamodb, payments_table="payments")
    keys = ApiKeys(_STAGE, repository, is_required=True, clock=lambda: datetime.now(UTC))
    return keys.create(CreateApiKey(name="cold start", scopes=[Scope.WRITE])).key


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench cold-start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--report", action="store_true", help="write docs/reports/cold-start.md")
    options = parser.parse_args(arguments)
    try:
        cases, zip_bytes = measure(options.rounds)
    except (PackageError, NoAnswer) as error:
        sys.exit(f"Nothing was measured: {error}")
    found = (
        f"{options.rounds} starts each, on {page.machine()}:\n\n{_times(cases)}\n\n"
        f"The zip that ships has {zip_bytes / 1024**2:.2f} MiB of at most 5."
    )
    print(found)
    if options.report:
        page.write(PAGE, {"starts": found})
    if over := over_budget(cases, zip_bytes):
        sys.exit("\n".join(["Too slow or too large.", *over]))


def over_budget(cases: Sequence[Case], zip_bytes: int) -> list[str]:
    """A sentence for each bound that is exceeded.

    Other work on the machine may stretch one of two times and not the other, so a start is too slow
    only when its processor had too much to do as well.
    """
    found = [
        f"{case.name}: {case.ratio:.2f} times the floor is more than {MOST_TIMES_THE_FLOOR}"
        for case in cases
        if min(case.ratio, case.cpu_ratio) > MOST_TIMES_THE_FLOOR
    ]
    if zip_bytes > MOST_ZIP_BYTES:
        found.append(f"the zip has {zip_bytes:,} bytes, more than {MOST_ZIP_BYTES:,}")
    return found


def _times(cases: Sequence[Case]) -> str:
    rows = [
        [
            case.name,
            *_spread(case.floor),
            *_spread(case.ours),
            f"**{case.ratio:.2f}**",
            *(f"{median(one.cpu_ms for one in runs):.0f}" for runs in (case.floor, case.ours)),
            f"{case.cpu_ratio:.2f}",
        ]
        for case in cases
    ]
    head = ["first request", "floor: p50", "p90", "app: p50", "p90", "ratio",
            "floor: CPU", "app: CPU", "ratio of CPU"]  # fmt: skip
    return table(head, rows)


def _spread(starts: Sequence[Start]) -> list[str]:
    """p50 and p90."""
    times = [one.wall_ms for one in starts]
    return [f"{median(times):.0f}", f"{percentile(times, 0.9):.0f}"]
