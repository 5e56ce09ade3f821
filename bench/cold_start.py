"""`make cold-start`: how long a new process takes to its first answer.

The package is built as it ships but for this machine, unpacked, and started again and again in a
bare interpreter, in turn with a floor: Chalice's runtime, pydantic and botocore's two clients, and
by these clients the calls that the app's first answer made. Timed is the whole process, from its
spawn to its end, which follows its answer at once. Ends with 1 where the app takes over 1.3 times
the floor, or where the zip that ships is over 5 MiB.

As on Lambda there is the package, what the runtime brings, and nothing else. The package has its
bytecode, and Lambda's runtime has its own modules'.
"""

import argparse
import compileall
import json
import resource
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
from bench.aws_double import aws_double
from bench.page import percentile, table
from bench.usage import BODY, SETTINGS
from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.api_keys.service import ApiKeys
from infra.deploy import contents, package
from infra.deploy.artifact import ZIP
from infra.deploy.contents import PackageError
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
_STAGE: Final = SETTINGS["PAYFLOW_STAGE"]


class NoAnswer(Exception):
    """The process ended without the expected answer; the message is what it said."""


class Start(NamedTuple):
    """One process, from its spawn to its end, which follows its answer at once."""

    wall_ms: float
    cpu_ms: float
    answer: Any
    said: str


@dataclass(frozen=True)
class Task:
    """A folder that is Lambda's `/var/task`, one that is its runtime, and their environment."""

    folder: Path
    runtime: Path
    settings: Mapping[str, str]

    def start(self, script: Path, given: Any) -> Start:
        """Without this machine's packages (-S), and what lies beside the script (-P).

        Raises NoAnswer.
        """
        began, cpu_before = time.perf_counter(), _cpu_seconds_of_children()
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-S", "-P", str(script)],
            cwd=self.folder,
            env={
                "PYTHONPATH": f"{self.folder}:{self.runtime}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": str(self.folder),  # and so none of this machine's settings
                **self.settings,
            },
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
        )
        wall, cpu = time.perf_counter() - began, _cpu_seconds_of_children() - cpu_before
        said = ended.stdout + ended.stderr
        if ended.returncode != 0:
            raise NoAnswer(f"{script.name} ended with {ended.returncode}:\n{said}")
        answer = json.loads(ended.stdout.splitlines()[-1])
        return Start(wall * 1000, cpu * 1000, answer, said)


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unpacked(archive: Path, folder: Path, settings: Mapping[str, str]) -> Task:
    task, runtime = folder / "task", folder / "runtime"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(task)
    runtime.mkdir()
    for name in RUNTIMES_OWN:
        (runtime / name).symlink_to(Path(boto3.__file__).parents[1] / name)
    compileall.compile_dir(runtime, quiet=1)
    return Task(task, runtime, settings)


@dataclass(frozen=True)
class Case:
    """A first request, and what became of it, round by round."""

    name: str
    event: dict[str, Any]
    status: int
    calls: list[Any] = field(default_factory=list)
    """Of AWS, that the app makes for it: the floor makes them too."""
    floor: list[Start] = field(default_factory=list)
    ours: list[Start] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(one.wall_ms for one in self.ours) / median(one.wall_ms for one in self.floor)

    @property
    def cpu_ratio(self) -> float:
        return median(one.cpu_ms for one in self.ours) / median(one.cpu_ms for one in self.floor)

    def start_ours(self, task: Task) -> Start:
        """Raises NoAnswer for any answer but the expected one."""
        started = task.start(OURS, self.event)
        if started.answer["statusCode"] != self.status:
            raise NoAnswer(f"{self.name}: {started.said}")
        return started


def measure(rounds: int) -> tuple[list[Case], int]:
    """The cases, and the bytes of the zip that ships. Raises PackageError or NoAnswer."""
    with tempfile.TemporaryDirectory() as temporary, aws_double() as aws:
        folder, settings = Path(temporary), SETTINGS | {"AWS_ENDPOINT_URL": aws.url}
        package.build(_STAGE, folder / "ships")
        package.build(_STAGE, folder / "twin", contents.this_machine())
        body = BODY | {"idempotency_key": "order-10023-attempt-1"}
        create = with_key(api_event("POST", "/v1/payments", body), _new_key(aws.url))
        task = unpacked(folder / "twin" / ZIP, folder, settings)
        cases = [
            Case("health", api_event("GET", "/v1/health"), 200),
            Case("create", create, 201),
        ]
        for case in cases:  # not timed; after it the files have been read
            aws.asked.clear()
            case.start_ours(task)
            case.calls.extend(aws.asked)
            task.start(FLOOR, case.calls)
        for _ in range(rounds):
            for case in cases:  # in turn, so that a busy moment slows both
                case.floor.append(task.start(FLOOR, case.calls))
                case.ours.append(case.start_ours(task))
        return cases, (folder / "ships" / ZIP).stat().st_size


def _new_key(url: str) -> str:
    """An API key that the double knows from now on."""
    dynamodb = boto3.client(
        "dynamodb", REGION, endpoint_url=url,
        aws_access_key_id="test", aws_secret_access_key="test",  # noqa: S106
    )  # fmt: skip
    repository = ApiKeyRepository(dynamodb, payments_table="payments", idempotency_table="records")
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
    rows = []
    for case in cases:
        times = [[one.wall_ms for one in starts] for starts in (case.floor, case.ours)]
        cpu = [median(one.cpu_ms for one in starts) for starts in (case.floor, case.ours)]
        spread = [of(one) for one in times for of in (median, lambda one: percentile(one, 0.9))]
        rows.append([
            case.name, *(f"{one:.0f}" for one in spread), f"**{case.ratio:.2f}**",
            *(f"{one:.0f}" for one in cpu), f"{case.cpu_ratio:.2f}",
        ])  # fmt: skip
    head = ["first request", "floor: p50", "p90", "app: p50", "p90", "ratio",
            "floor: CPU", "app: CPU", "ratio of CPU"]  # fmt: skip
    return table(head, rows)
