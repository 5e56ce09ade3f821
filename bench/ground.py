"""What is timed: the app, on engines that keep everything in memory."""

import contextlib
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3

from bench.usage import SETTINGS
from infra.local import provision
from infra.local.engines import dynamodb_local, emulated_aws
from infra.local.lambda_events import REGION

NO_QUEUE: Final = "http://127.0.0.1:1"
"""For what sends nothing."""
_FOREIGN: Final = ("AWS_", "BOTO_", "PAYFLOW_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def app_on(dynamodb: str, sqs: str, stage: str, **more: str) -> Any:
    """Import the app anew, on these engines and on tables of its own, with `more` settings.

    This process keeps the environment of the app, without what a developer's shell says.
    """
    for name in [name for name in os.environ if name.upper().startswith(_FOREIGN)]:
        del os.environ[name]
    os.environ |= SETTINGS | {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "AWS_ENDPOINT_URL_SQS": sqs,
        "AWS_ENDPOINT_URL_S3": sqs,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PAYFLOW_STAGE": stage,
        "PAYFLOW_AUTH": "open",  # what looks a key up is in no floor
        "PAYFLOW_WEBHOOK_QUEUE_URL": f"{sqs}/000000000000/payflow-webhooks-{stage}",
        "PAYFLOW_DELIVERIES_QUEUE_URL": f"{sqs}/000000000000/payflow-deliveries-{stage}",
        "PAYFLOW_EXPORTS_QUEUE_URL": f"{sqs}/000000000000/payflow-exports-{stage}",
        **more,
    }
    sys.modules.pop("app", None)  # it reads its settings on import
    with contextlib.redirect_stdout(io.StringIO()):
        app = importlib.import_module("app")
    patient = boto3.client("dynamodb", REGION, endpoint_url=dynamodb)  # a first call takes long
    provision.create_tables(patient, stage)
    return app


@contextlib.contextmanager
def ground(**more: str) -> Iterator[Any]:
    """The app on DynamoDB Local and the emulated AWS, with its tables and queues."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqs = stack.enter_context(emulated_aws(folder))
        app = app_on(stack.enter_context(dynamodb_local()), sqs, "bench", **more)
        patient = boto3.client("sqs", REGION, endpoint_url=sqs)
        for url in (
            app.settings.webhook_queue_url,
            app.settings.deliveries_queue_url,
            app.settings.exports_queue_url,
        ):
            patient.create_queue(QueueName=url.rpartition("/")[2])
        yield app
