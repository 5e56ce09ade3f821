"""A stage as its operator reaches it: past the API, with a developer's own AWS credentials.

The stage `local` is the stack that runs from this folder; any other is on AWS.
"""

import os
from typing import NamedTuple

import boto3

from chalicelib.aws import dynamodb_client, sqs_client
from chalicelib.queue_jobs import Queue
from chalicelib.store import Store
from chalicelib.webhook_store import WebhookStore
from infra.deploy.stacks import DeployError, Stack, choose_region
from infra.local import settings, supervisor


def enter(stage: str) -> None:
    """Make this process's AWS clients speak to where the stage is. Raises SetupError."""
    if stage != settings.STAGE:
        choose_region()
        return
    local = settings.from_environment()
    supervisor.check_runs(local)
    local.enter_environment()


class Tables(NamedTuple):
    """The names of a stage's two tables, which are of one moment."""

    payments: str
    idempotency: str


def stack_of(stage: str) -> Stack:
    """The stack that has the stage's tables and queues. Raises DeployError."""
    for name in (f"payflow-{stage}", f"payflow-backend-{stage}"):
        stack = Stack(name)
        if stack.parameters() is not None:
            return stack
    raise DeployError(f"there is no stage {stage!r} in this account and region")


def tables_of(stage: str) -> Tables:
    """Those that the stage runs on: its stack says which. Raises DeployError."""
    outputs = stack_of(stage).outputs()
    arns = (outputs["PaymentsTableArn"], outputs["IdempotencyTableArn"])
    return Tables(*(arn.rpartition("/")[2] for arn in arns))


def store_of(tables: Tables) -> Store:
    return Store(
        dynamodb_client(os.environ["AWS_REGION"]),
        payments_table=tables.payments,
        idempotency_table=tables.idempotency,
    )


def webhook_store_of(tables: Tables) -> WebhookStore:
    return WebhookStore(dynamodb_client(os.environ["AWS_REGION"]), payments_table=tables.payments)


def queue_of(stage: str, kind: str) -> Queue:
    """Of `webhooks` or `deliveries`. Raises what boto3 raises."""
    region = os.environ["AWS_REGION"]
    name = f"payflow-{kind}-{stage}"
    url = boto3.client("sqs", region_name=region).get_queue_url(QueueName=name)["QueueUrl"]
    return Queue(sqs_client(region), url)
