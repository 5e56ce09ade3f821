"""The real local stack, as `make run` starts it, with its own ports and folder."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest

from chalicelib.aws.sqs import Queue
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import Simulator
from chalicelib.webhooks.outbox import WebhookOutbox
from infra.local.settings import Local
from tests import hearing
from tests.conftest import HEARD_FROM_STACKS, webhook_repository_beside
from tests.engines import DYNAMODB_LOCAL, ENGINE, ROOT, free_port, wait_until
from tests.http_client import Reply, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

os.environ["PAYFLOW_DYNAMODB"] = ENGINE  # for the stacks and commands that tests start
# `make test-dynamodb-local` runs these tests, with all the others.
collect_ignore = [] if ENGINE == DYNAMODB_LOCAL else ["test_dynamodb_local.py"]
SWEEP_UNIT_SECONDS = 3
VISIBILITY_SECONDS = 2
# Settings that a developer's shell may have; none of them may reach the stack.
A_DEVELOPERS_OWN = {
    "AWS_PROFILE": "production",
    "AWS_DEFAULT_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_SESSION_TOKEN": "real",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Client:
    """A client of one API process; every request has its own connection."""

    port: int

    def request(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(self.port, method, path, body, sent)

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def post(self, fields: Any, path: str = "/v1/payments", **headers: str) -> Reply:
        body = fields if isinstance(fields, bytes | str) else json.dumps(fields)
        return self.request("POST", path, body, **(JSON | headers))

    def post_until_answered(self, fields: Any, path: str = "/v1/payments", **headers: str) -> Reply:
        """Post as docs/api.md tells callers to: again with the same key after a 503.

        A busy machine may take longer over fifty posts at once than a call of DynamoDB may take.
        """

        def answered() -> Reply | None:
            reply = self.post(fields, path, **headers)
            return None if reply.status == 503 else reply

        reply: Reply = wait_until(answered, "the post is answered")
        return reply

    def payment(self, payment_id: str) -> Any:
        reply = self.get(f"/v1/payments/{payment_id}")
        assert reply.status == 200, reply
        return reply.json

    def settled(self, payment_id: str) -> Any:
        """Wait until the payment is no longer processing, and return it."""

        def final() -> Any:
            payment = self.payment(payment_id)
            return None if payment["status"] == "processing" else payment

        return wait_until(final, f"{payment_id} is settled")


class Stack:
    """A running local stack."""

    def __init__(self, state: Path, **env: str) -> None:
        engine = env.get("PAYFLOW_DYNAMODB", ENGINE)
        self.local = Local(
            state=state,
            api_port=free_port(),
            aws_port=free_port(),
            dashboard_port=5173,
            receiver_port=free_port(),
            visibility_seconds=VISIBILITY_SECONDS,
            dynamodb_port=free_port() if engine == DYNAMODB_LOCAL else None,
        )
        self.env = {
            **os.environ,
            **A_DEVELOPERS_OWN,
            "PAYFLOW_STATE_DIR": str(state),
            "PAYFLOW_API_PORT": str(self.local.api_port),
            "PAYFLOW_AWS_PORT": str(self.local.aws_port),
            "PAYFLOW_RECEIVER_PORT": str(self.local.receiver_port),
            "PAYFLOW_DYNAMODB_PORT": str(self.local.dynamodb_port or ""),
            "PAYFLOW_SWEEP_UNIT_SECONDS": str(SWEEP_UNIT_SECONDS),
            "PAYFLOW_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            "PAYFLOW_DASHBOARD": "off",  # tests in a browser are in frontend/e2e
            # Its processes record the calls of AWS that their functions make: see tests/hearing.py.
            "PYTHONPATH": str(Path(__file__).with_name("heard")),
            hearing.FOLDER: str(HEARD_FROM_STACKS),
            **env,
        }
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.local"],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.client = Client(self.local.api_port)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def wait_until_up(self) -> None:
        wait_until(
            lambda: "Ctrl-C stops it" in self.said or self.process.poll() is not None,
            "the stack is up",
        )
        assert self.process.poll() is None, self.said

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        self._listener.join(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def children(self) -> dict[str, psutil.Process]:
        """The stack's own processes, by the module that each runs."""
        return {_module(child): child for child in psutil.Process(self.process.pid).children()}

    def descendants(self) -> list[psutil.Process]:
        """The stack's processes, and those that they started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    @property
    def ports(self) -> list[int]:
        """The ports that the stack listens on."""
        ports = self.local.ports
        return [port for variable, port in ports.items() if variable != "PAYFLOW_DASHBOARD_PORT"]

    def aws(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=(self.local.dynamodb_url if service == "dynamodb" else self.local.aws_url),
            region_name="ca-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    @contextmanager
    def another_api(self, **env: str) -> Iterator[tuple[Client, subprocess.Popen[bytes]]]:
        """Start another API process on the same tables, with faults in its environment."""
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.server"],
            cwd=ROOT,
            env={**self.local.environment(self.env), "PAYFLOW_API_PORT": str(port), **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(b"\n")  # it may begin: the tables are there
        process.stdin.flush()
        client = Client(port)
        try:
            wait_until(lambda: _answers(client), "the other API answers")
            yield client, process
        finally:
            process.kill()
            process.communicate()


def _module(process: psutil.Process) -> str:
    """Return the module that the process runs; "" while it is becoming another program.

    DynamoDB Local's becomes Java.
    """
    if process.name() == "java":
        return "infra.local.dynamodb_local"
    return next(reversed(process.cmdline()), "")


def _answers(client: Client) -> bool:
    try:
        return client.get("/v1/health").status == 200
    except OSError:
        return False


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of this folder in one process.

    It stops after the last of them: even an idle stack uses a fifth of a processor.
    """
    running = Stack(tmp_path_factory.mktemp("stack"))
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="package")
def client(stack: Stack) -> Client:
    return stack.client


@pytest.fixture(scope="package")
def dynamodb(stack: Stack) -> "DynamoDBClient":
    client: DynamoDBClient = stack.aws("dynamodb")
    return client


@pytest.fixture(scope="package")
def sqs(stack: Stack) -> "SQSClient":
    client: SQSClient = stack.aws("sqs")
    return client


@pytest.fixture
def payments(stack: Stack, dynamodb: "DynamoDBClient", sqs: "SQSClient") -> Payments:
    """The use cases on the stack's tables, with a queue that no worker reads."""
    unread = Queue(sqs, sqs.create_queue(QueueName="payflow-unread")["QueueUrl"])
    repository = PaymentRepository(
        dynamodb,
        payments_table="payflow-payments-local",
        idempotency_table="payflow-idempotency-local",
    )
    return Payments(
        stage="local",
        repository=repository,
        queue=unread,
        processor=Simulator(),
        outbox=WebhookOutbox("local", webhook_repository_beside(repository), unread),
        simulation_allowed=True,
        clock=now,
    )


def now() -> datetime:
    return datetime.now(UTC)


def rows(
    dynamodb: "DynamoDBClient", payment_id: str, table: str = "payflow-payments-local"
) -> dict[str, Any]:
    """Return the items of a payment's partition, by sort key."""
    items = dynamodb.query(
        TableName=table,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": f"PAY#{payment_id}"}},
        ConsistentRead=True,
    )["Items"]
    return {item["SK"]["S"]: item for item in items}


def events(
    dynamodb: "DynamoDBClient", payment_id: str, table: str = "payflow-payments-local"
) -> list[str]:
    """Return the types of a payment's events, oldest first."""
    found = rows(dynamodb, payment_id, table)
    return [found[key]["type"]["S"] for key in sorted(found) if key.startswith("EVENT#")]


_keys = iter(range(1, 10**9))


def request(**fields: Any) -> dict[str, Any]:
    """Return a valid request with a new key."""
    return {
        "merchant": "Northern Lights Coffee",
        "amount": 12.50,
        "currency": "CAD",
        "type": "eft",
        "idempotency_key": f"stack-{os.getpid()}-{next(_keys):06}",
    } | fields
