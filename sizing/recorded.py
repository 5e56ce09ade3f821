"""Runs the flows on moto, in a process of their own."""

import importlib
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from moto import mock_aws

from sizing.flows import Measured, Watcher, measured

SETTINGS = {
    "PAYFLOW_STAGE": "prod",
    "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
    "PAYFLOW_WEBHOOK_QUEUE_URL": "https://sqs.ca-central-1.amazonaws.com/123456789012/payflow-webhooks-prod",
    "PAYFLOW_DELIVERIES_QUEUE_URL": "https://sqs.ca-central-1.amazonaws.com/123456789012/payflow-deliveries-prod",
    "PAYFLOW_SIMULATION": "allowed",
    "PAYFLOW_AUTH": "required",
    "AWS_REGION": "ca-central-1",
    # Whatever a developer's shell says, no account is reached.
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}  # fmt: skip


def record(watch: Callable[[Any, Any], Watcher] | None = None) -> Measured:
    """See `measured`; `watch` makes a watcher of the clients."""
    with patch.dict(os.environ, SETTINGS), mock_aws():
        app = importlib.import_module("app")
        watcher = Watcher() if watch is None else watch(app.dynamodb, app.sqs)
        return measured(app, watcher)
