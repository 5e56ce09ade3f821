"""A stage as its operator reaches it: past the API, with a developer's own AWS credentials.

The stage `local` is the stack that runs from this folder; any other is on AWS.
"""

import os

import boto3

from chalicelib.aws import dynamodb_client, sqs_client
from chalicelib.queue_jobs import Queue
from chalicelib.store import Store
from chalicelib.webhook_store import WebhookStore
from infra.local import settings, supervisor
from infra.stacks import choose_region


def enter(stage: str) -> None:
    """Make this process's AWS clients speak to where the stage is. Raises SetupError."""
    if stage != settings.STAGE:
        choose_region()
        return
    local = settings.from_environment()
    supervisor.check_runs(local)
    local.enter_environment()


def store_of(stage: str) -> Store:
    return Store(
        dynamodb_client(os.environ["AWS_REGION"]),
        payments_table=f"payflow-payments-{stage}",
        idempotency_table=f"payflow-idempotency-{stage}",
    )


def webhook_store_of(stage: str) -> WebhookStore:
    return WebhookStore(
        dynamodb_client(os.environ["AWS_REGION"]), payments_table=f"payflow-payments-{stage}"
    )


def queue_of(stage: str, kind: str) -> Queue:
    """Of `webhooks` or `deliveries`. Raises what boto3 raises."""
    region = os.environ["AWS_REGION"]
    name = f"payflow-{kind}-{stage}"
    url = boto3.client("sqs", region_name=region).get_queue_url(QueueName=name)["QueueUrl"]
    return Queue(sqs_client(region), url)
