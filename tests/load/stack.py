"""A local stack of one's own, on free ports and in a folder that goes with it; or one that runs.

This process enters the stack's environment, so that its AWS clients talk to what the stack's do.
"""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import psutil

from infra import ROOT
from infra.local import supervisor
from infra.local.settings import HOST, STAGE, Local, SetupError, from_environment
from tests.engines import free_port

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.1
_RECEIVE: Final = 10
_DEPTHS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class Stack:
    """What is looked at from outside: tables, queues, logs."""

    local: Local
    is_ours: bool
    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"
    payments_table: str = f"payflow-payments-{STAGE}"
    idempotency_table: str = f"payflow-idempotency-{STAGE}"

    def depths(self) -> dict[str, int]:
        """How many messages there are in each queue, about; hidden and delayed ones too."""
        urls = {"payments": self.local.queue_url, "deliveries": self.local.deliveries_url}
        return {name: self._depth(url) for name, url in urls.items()}

    def depth(self) -> int:
        return sum(self.depths().values())

    def _depth(self, url: str) -> int:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*_DEPTHS])
        return sum(int(answer["Attributes"][name]) for name in _DEPTHS)

    def cpu_seconds(self) -> dict[str, float]:
        """What each process of the stack has used, by the module that it runs."""
        supervising = psutil.Process(int((self.local.state / "lock").read_text()))
        used = {}
        for child in supervising.children():
            times = child.cpu_times()
            command = child.cmdline()
            name = command[-1].rpartition(".")[2] if "-m" in command else "dynamodb-local"
            used[name] = times.user + times.system
        return used

    def dead_letters(self, queue: str) -> dict[str, str]:
        """The bodies in a dead letter queue, by the messages' ids; they stay there."""
        url = self.sqs.get_queue_url(QueueName=f"payflow-{queue}-dlq-{STAGE}")["QueueUrl"]
        bodies: dict[str, str] = {}
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=_RECEIVE, VisibilityTimeout=60
        ).get("Messages", []):
            bodies |= {message["MessageId"]: message["Body"] for message in messages}
        return bodies


@contextmanager
def our_own() -> Iterator[Stack]:
    """Started, and stopped at the end. Raises SetupError with what it said if it does not start."""
    with tempfile.TemporaryDirectory(prefix="payflow-load-") as folder:
        os.environ.update(
            PAYFLOW_STATE_DIR=folder,
            PAYFLOW_API_PORT=str(free_port()),
            PAYFLOW_AWS_PORT=str(free_port()),
            PAYFLOW_RECEIVER_PORT=str(free_port()),
            PAYFLOW_DYNAMODB_PORT=str(free_port()),
            PAYFLOW_DASHBOARD="off",
        )
        # The emulator's index queries take longer with every row, and a run of the sweeper asks
        # many: by the minute, as on AWS, or nearly so, they leave it time for the payments.
        os.environ.setdefault("PAYFLOW_SWEEP_UNIT_SECONDS", "20")
        said = Path(folder) / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.local"], cwd=ROOT, stdout=output, stderr=output
            )
        try:
            local = from_environment()
            _wait_until_up(process, local, said)
            yield _entered(local, is_ours=True)
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


@contextmanager
def running() -> Iterator[Stack]:
    """The one that the environment names. Raises SetupError unless it runs."""
    local = from_environment()
    supervisor.check_runs(local)
    yield _entered(local, is_ours=False)


def _entered(local: Local, *, is_ours: bool) -> Stack:
    local.enter_environment()
    region = os.environ["AWS_REGION"]
    return Stack(
        local,
        is_ours,
        boto3.client("dynamodb", region_name=region),
        boto3.client("sqs", region_name=region),
    )


def _wait_until_up(process: subprocess.Popen[bytes], local: Local, said: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "Ctrl-C stops it" not in said.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SetupError(f"The stack did not start. It said:\n{said.read_text()}")
        time.sleep(_LOOK_SECONDS)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """One request on a connection of its own. Raises SetupError unless it is answered 2xx."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status >= 300:
        raise SetupError(f"{method} {path}: {response.status} {answer.decode()}")
    return answer
