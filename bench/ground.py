"""What the benchmark runs on: DynamoDB Local and the emulator's SQS, both in memory."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import boto3

from infra.local import provision
from tests.engines import dynamodb_local, emulated_aws

STAGE: Final = "bench"
QUEUES: Final = ("payflow-webhooks-bench", "payflow-deliveries-bench")
_FOREIGN: Final = ("AWS_", "BOTO_", "PAYFLOW_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Engines(NamedTuple):
    """The addresses of the two."""

    dynamodb: str
    sqs: str

    def environment(self, stage: str = STAGE) -> dict[str, str]:
        """For a process that imports the app to run on them. No keys: what looks one up is timed
        by no floor.
        """
        queues = [f"{self.sqs}/000000000000/{name}" for name in QUEUES]
        own = {
            "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb,
            "AWS_ENDPOINT_URL_SQS": self.sqs,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "ca-central-1",
            "AWS_DEFAULT_REGION": "ca-central-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PAYFLOW_STAGE": stage,
            "PAYFLOW_AUTH": "open",
            "PAYFLOW_SIMULATION": "allowed",
            "PAYFLOW_ALLOWED_ORIGIN": "http://localhost:5173",
            "PAYFLOW_WEBHOOK_QUEUE_URL": queues[0],
            "PAYFLOW_DELIVERIES_QUEUE_URL": queues[1],
        }
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_FOREIGN)
        }
        return kept | own


@contextmanager
def engines() -> Iterator[Engines]:
    """Both, with the tables and the queues of infra/backend.yaml, until the block ends."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="payflow-bench-"))
        found = Engines(
            dynamodb=stack.enter_context(dynamodb_local()),
            sqs=stack.enter_context(emulated_aws(Path(folder))),
        )
        session = boto3.Session("local", "local", region_name="ca-central-1")
        provision.create_tables(session.client("dynamodb", endpoint_url=found.dynamodb), STAGE)
        sqs = session.client("sqs", endpoint_url=found.sqs)
        for name in QUEUES:
            sqs.create_queue(QueueName=name)
        yield found
