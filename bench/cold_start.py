"""How long a new process takes to its first answer: `make cold-start`.

The package is built as it ships but for this machine, unpacked, and started again and again in a
bare interpreter, in turn with a floor: Chalice's runtime, pydantic and botocore's two clients, and
by these clients the calls that the app's first answer made. Timed is all of it, from the process's
spawn to the first byte of its answer. Ends with 1 where the app takes over 1.3 times the floor, or
where the zip that ships is over 5 MiB.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

import boto3

from bench import cold_start_page, imports
from bench.aws_double import AwsDouble, aws_double
from bench.imports import Imported
from bench.spawned import FLOOR, OURS, NoAnswer, Start, Task, import_times, start
from chalicelib.api_keys import ApiKeys
from chalicelib.commands import CreateApiKey
from chalicelib.model import Scope
from chalicelib.store import Store
from infra import package
from infra.dist import ZIP
from infra.local.lambda_events import REGION, api_event, with_key
from infra.package import PackageError
from sizing.flows import BODY

MOST_TIMES_THE_FLOOR: Final = 1.3
MOST_ZIP_BYTES: Final = 5 * 1024 * 1024
_STAGE: Final = "dev"
_ROUNDS: Final = 25
_IMPORT_ROUNDS: Final = 7
_CREATED: Final = BODY | {
    "idempotency_key": "order-10023-attempt-1",
    "metadata": {"order": "10023"},  # a wish is refused where simulation is
}


@dataclass(frozen=True)
class Case:
    """One first request, with or without bytecode; and what became of it, round by round."""

    request: str
    task: Task
    event: dict[str, Any]
    status: int
    """That the app is to answer with."""
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


@dataclass(frozen=True)
class Measured:
    """All that a run has found."""

    cases: list[Case]
    zip_bytes: int
    """Of the zip that ships, which is for another processor than this one's."""
    imported: Imported
    floor_imported: Imported


@dataclass(frozen=True)
class Bench:
    """The app and its floor, on a double of AWS."""

    aws: AwsDouble

    def learn_calls(self, case: Case) -> None:
        """Those that the app makes. A run that nobody times, so that the files have been read."""
        self.aws.asked.clear()
        self.run_ours(case)
        case.calls.extend(self.aws.asked)
        self.run_floor(case)

    def run_ours(self, case: Case) -> Start:
        """Raises NoAnswer for another answer than the case's, too."""
        started = start(case.task, OURS, self.settings, case.event)
        if started.answer["statusCode"] != case.status:
            raise NoAnswer(f"{case.request}: {started.said}{started.answer}")
        return started

    def run_floor(self, case: Case) -> Start:
        return start(case.task, FLOOR, self.settings, case.calls)

    def run_both(self, case: Case, *, floor_first: bool) -> None:
        if floor_first:
            case.floor.append(self.run_floor(case))
        case.ours.append(self.run_ours(case))
        if not floor_first:
            case.floor.append(self.run_floor(case))

    def imports(self, script: Path, case: Case, given: Any) -> Imported:
        """The middle of several runs that nobody else times: watching imports slows them."""
        said = (
            import_times(case.task, script, self.settings, given) for _ in range(_IMPORT_ROUNDS)
        )
        return imports.middle(imports.read(one) for one in said)

    @property
    def settings(self) -> dict[str, str]:
        """What Lambda's environment has of it."""
        return {
            "PAYFLOW_STAGE": _STAGE,
            "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
            "PAYFLOW_WEBHOOK_QUEUE_URL": f"{self.aws.url}/123456789012/payflow-webhooks-dev",
            "PAYFLOW_DELIVERIES_QUEUE_URL": f"{self.aws.url}/123456789012/payflow-deliveries-dev",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def new_key(self) -> str:
        """One that the double knows from now on."""
        dynamodb = boto3.client(
            "dynamodb", REGION, endpoint_url=self.aws.url,
            aws_access_key_id="test", aws_secret_access_key="test",  # noqa: S106
        )  # fmt: skip
        store = Store(dynamodb, payments_table="payments", idempotency_table="idempotency")
        keys = ApiKeys(_STAGE, store, is_required=True, clock=lambda: datetime.now(UTC))
        return keys.create(CreateApiKey(name="cold start", scopes=[Scope.WRITE])).secret


def measure(rounds: int) -> Measured:
    """Raises PackageError or NoAnswer."""
    with tempfile.TemporaryDirectory() as temporary, aws_double() as aws:
        folder, bench = Path(temporary), Bench(aws)
        package.build(_STAGE, folder / "ships")
        package.build(_STAGE, folder / "twin", package.this_machine())
        twin = folder / "twin" / ZIP
        bare = Task.unpacked(twin, folder / "bare", compiled=False)
        compiled = Task.unpacked(twin, folder / "compiled", compiled=True)
        create = with_key(api_event("POST", "/v1/payments", _CREATED), bench.new_key())
        cases = [
            case
            for task in (bare, compiled)
            for case in (
                Case("health", task, api_event("GET", "/v1/health"), 200),
                Case("create", task, create, 201),
            )
        ]
        for case in cases:
            bench.learn_calls(case)
        for number in range(rounds):
            for case in cases:
                bench.run_both(case, floor_first=number % 2 == 0)
        created = next(case for case in cases if case.request == "create")
        return Measured(
            cases=cases,
            zip_bytes=(folder / "ships" / ZIP).stat().st_size,
            imported=bench.imports(OURS, created, created.event),
            floor_imported=bench.imports(FLOOR, created, created.calls),
        )


def too_much(measured: Measured) -> list[str]:
    """What is over its bound, in a sentence each. A machine that has other work too may stretch
    one of two times and not the other: too slow is what its processor had more to do for as well.
    """
    found = [
        f"{case.name}: {case.ratio:.2f} times the floor is more than {MOST_TIMES_THE_FLOOR}"
        for case in measured.cases
        if min(case.ratio, case.cpu_ratio) > MOST_TIMES_THE_FLOOR
    ]
    if measured.zip_bytes > MOST_ZIP_BYTES:
        found.append(f"the zip has {measured.zip_bytes:,} bytes, more than {MOST_ZIP_BYTES:,}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--report", type=Path, help="a page to write")
    chosen = parser.parse_args()
    try:
        measured = measure(chosen.rounds)
    except (PackageError, NoAnswer) as error:
        sys.exit(f"Nothing was measured: {error}")
    print(cold_start_page.summary(measured))
    if chosen.report is not None:
        chosen.report.write_text(cold_start_page.page(measured))
    if found := too_much(measured):
        sys.exit("\n".join(["Too slow or too large.", *found]))


if __name__ == "__main__":
    main()
