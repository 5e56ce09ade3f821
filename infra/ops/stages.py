"""An operator's access to a stage: without the API, with the operator's own AWS credentials.

The stage `local` is the stack that runs from this folder. Every other stage is on AWS.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.aws.clients import dynamodb_client, sqs_client
from chalicelib.aws.sqs import Queue
from chalicelib.errors import PayFlowError
from chalicelib.exports.repository import ExportRepository
from chalicelib.payments.repository import PaymentRepository
from chalicelib.webhooks.repository import WebhookRepository
from infra import cli
from infra.deploy.stacks import DeployError, Stack, choose_region
from infra.local import settings, supervisor
from infra.local.settings import SetupError


@contextmanager
def operated(stage: str, failure: str, *expected: type[Exception]) -> Iterator[None]:
    """Enter the stage for a command; exit with one line for errors that the operator can fix."""
    with cli.exits(failure, SetupError, DeployError, PayFlowError, *expected):
        enter(stage)
        yield


def enter(stage: str) -> None:
    """Point this process's AWS clients at the stage. Raises SetupError."""
    if stage != settings.STAGE:
        choose_region()
        return
    local = settings.from_environment()
    supervisor.check_runs(local)
    local.enter_environment()


class Tables(NamedTuple):
    """The names of a stage's two tables."""

    payments: str
    idempotency: str


def stack_of(stage: str) -> Stack:
    """Return the stack that has the stage's tables and queues. Raises DeployError."""
    for name in (f"payflow-{stage}", f"payflow-backend-{stage}"):
        stack = Stack(name)
        if stack.parameters() is not None:
            return stack
    raise DeployError(f"There is no stage {stage!r} in this account and region.")


def tables_of(stage: str) -> Tables:
    """Return the tables that the stage uses, as its stack says. Raises DeployError."""
    outputs = stack_of(stage).outputs()
    arns = (outputs["PaymentsTableArn"], outputs["IdempotencyTableArn"])
    return Tables(*(arn.rpartition("/")[2] for arn in arns))


def payment_repository_of(tables: Tables) -> PaymentRepository:
    return PaymentRepository(dynamodb_client(os.environ["AWS_REGION"]), **_named(tables))


def api_key_repository_of(tables: Tables) -> ApiKeyRepository:
    return ApiKeyRepository(dynamodb_client(os.environ["AWS_REGION"]), **_named(tables))


def webhook_repository_of(tables: Tables) -> WebhookRepository:
    return WebhookRepository(dynamodb_client(os.environ["AWS_REGION"]), **_named(tables))


def export_repository_of(tables: Tables) -> ExportRepository:
    return ExportRepository(dynamodb_client(os.environ["AWS_REGION"]), **_named(tables))


def _named(tables: Tables) -> dict[str, str]:
    return {"payments_table": tables.payments, "idempotency_table": tables.idempotency}


def secrets_key(stage: str) -> str:
    """Return the alias of the key that encrypts the stage's webhook secrets."""
    return f"alias/payflow-secrets-{stage}"


def queue_of(stage: str, kind: str) -> Queue:
    """Return the stage's queue `webhooks` or `deliveries`."""
    return Queue(sqs_client(os.environ["AWS_REGION"]), "", name=f"payflow-{kind}-{stage}")
