"""A local stack of its own, and a merchant that keeps every webhook.

This process enters the stack's environment, so that its AWS clients talk to what the stack's do.
"""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3

from bench.local_stack import local_stack
from chalicelib.payments.feed import BEHIND
from infra.local.settings import HOST, STAGE, Local
from infra.local.webhook_receiver import Handler, Receiver, Server

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

SWEEP_UNIT: Final = timedelta(seconds=20)
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
    settings = {
        "PAYFLOW_FEED_BEHIND_SECONDS": str(BEHIND.seconds),  # as on AWS: what is late is counted
        "PAYFLOW_SWEEP_UNIT_SECONDS": str(SWEEP_UNIT.seconds),
    }
    with local_stack(**settings) as local:
        local.enter_environment()
        yield Stack(local, boto3.client("dynamodb"), boto3.client("sqs"))


@contextmanager
def merchant() -> Iterator[tuple[str, Receiver]]:
    """Where a webhook receiver listens until the block ends, and what it keeps."""
    with tempfile.TemporaryDirectory(prefix="payflow-merchant-") as folder:
        receiver = Receiver(Path(folder), most=_MOST_WEBHOOKS)
        quiet = {"receiver": receiver, "log_message": lambda *_: None}
        with Server((HOST, 0), type("QuietHandler", (Handler,), quiet)) as listening:
            thread = threading.Thread(target=listening.serve_forever)
            thread.start()
            try:
                yield f"http://{HOST}:{listening.server_port}/webhooks", receiver
            finally:
                listening.shutdown()
                thread.join()
