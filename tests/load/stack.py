"""A local stack of its own, and a merchant that keeps every webhook.

This process enters the stack's environment, so that its AWS clients talk to what the stack's do.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3

from bench.local_stack import local_stack
from infra import ROOT
from infra.local import lifeline
from infra.local.engines import accepts, free_port, wait_until
from infra.local.settings import HOST, STAGE, Local, SetupError
from infra.local.webhook_receiver import Receiver, server
from tests.http_client import send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

_MOST_WEBHOOKS: Final = 1_000_000
_DEPTHS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class Stack:
    """What is looked at from outside: tables, queues, logs."""

    local: Local
    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"
    payments_table: str = f"payflow-payments-{STAGE}"
    idempotency_table: str = f"payflow-idempotency-{STAGE}"

    def depth(self) -> int:
        """How many messages there are in both queues, about; hidden and delayed ones too."""
        found = [
            self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*_DEPTHS])["Attributes"]
            for url in (self.local.queue_url, self.local.deliveries_url)
        ]
        return sum(int(attributes[name]) for attributes in found for name in _DEPTHS)

    def dead_letters(self, queue: str) -> dict[str, str]:
        """The bodies in a dead letter queue, by the messages' ids; they stay there."""
        url = self.sqs.get_queue_url(QueueName=f"payflow-{queue}-dlq-{STAGE}")["QueueUrl"]
        bodies: dict[str, str] = {}
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60
        ).get("Messages", []):
            bodies |= {message["MessageId"]: message["Body"] for message in messages}
        return bodies


@contextmanager
def running() -> Iterator[Stack]:
    """Until the block ends. Raises SetupError if it does not start."""
    with local_stack() as local:
        local.enter_environment()
        yield Stack(local, boto3.client("dynamodb"), boto3.client("sqs"))


def ask(port: int, method: str, path: str, body: Any = None) -> Any:
    """The JSON of an answer, if it has any. Raises SetupError unless it is 2xx."""
    headers = {"Content-Type": "application/json"}
    reply = send(port, method, path, None if body is None else json.dumps(body), headers)
    if reply.status >= 300:
        raise SetupError(f"{method} {path}: {reply.status} {reply.body.decode()}")
    return reply.json if reply.body else None


@dataclass(frozen=True)
class Merchant:
    """A webhook receiver that runs as a process of its own."""

    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/webhooks"

    def trust(self, secret: str) -> None:
        ask(self.port, "PUT", "/secrets", {"secrets": [secret]})

    def received(self) -> list[dict[str, Any]]:
        """As webhook_receiver.Received says; the oldest first."""
        found: list[dict[str, Any]] = ask(self.port, "GET", "/received")["received"]
        return found


@contextmanager
def open_merchant(folder: Path) -> Iterator[Merchant]:
    """Until the block ends."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.load.stack", str(port), str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # its lifeline
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), "the merchant listens")
        yield Merchant(port)
    finally:
        process.terminate()
        process.communicate()


def main(port: str, folder: str) -> None:
    """The merchant's process."""
    lifeline.hold()
    with server(Receiver(Path(folder), most=_MOST_WEBHOOKS), int(port)) as listening:
        listening.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
