"""Settings: the only module that reads the environment. A missing setting is an error."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn


class SettingError(Exception):
    """A setting is missing or wrong. Its one sentence says what to do."""


@dataclass(frozen=True)
class Settings:
    """The settings that differ between deployments."""

    stage: str
    region: str
    allowed_origin: str
    webhook_queue_url: str
    """Empty: look it up by the queue's name."""
    deliveries_queue_url: str
    exports_queue_url: str
    exports_bucket: str
    payments_table: str
    idempotency_table: str
    simulation_allowed: bool
    key_required: bool
    sweep_unit_seconds: int
    """The sweeper's period, and the unit of its age windows: 60 on AWS, shorter on a laptop."""
    feed_behind_seconds: int
    """How long ago the feed of events and exports end: 15 on AWS (`payments/feed.py`)."""
    private_webhooks_allowed: bool
    """Endpoints may have any address and use HTTP: for the local stack's webhook receiver."""
    failures_are_kept: bool
    """The queues keep only the messages that a function reports as failed."""
    delivery_lease_seconds: int
    """How long a worker holds a delivery: longer than the function may run."""
    export_lease_seconds: int
    """How long a worker holds an export after each sign of life."""

    @property
    def api_log_group(self) -> str:
        """The log group of the API's function; infra/backend.yaml creates it."""
        return f"/aws/lambda/payflow-{self.stage}"

    @property
    def secrets_key(self) -> str:
        """The alias of the key that encrypts webhook secrets; infra/backend.yaml creates it."""
        return f"alias/payflow-secrets-{self.stage}"

    @property
    def webhook_queue(self) -> str:
        return f"payflow-webhooks-{self.stage}"

    @property
    def deliveries_queue(self) -> str:
        return f"payflow-deliveries-{self.stage}"

    @property
    def exports_queue(self) -> str:
        return f"payflow-exports-{self.stage}"


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SettingError.

    Fails closed: a key is required unless PAYFLOW_AUTH is `open`; simulation, and webhooks to
    private addresses, are off unless their settings are `allowed`; a batch with a failed message
    counts as failed unless PAYFLOW_PARTIAL_BATCHES is `reported`.
    """
    stage = _required(env, "PAYFLOW_STAGE")
    if stage == "local" and (aws := env.get("AWS_CONFIG_FILE")) and not Path(aws).exists():
        refuse(f"There is no {aws}. Run `make run` once: it creates the local stack.")
    return Settings(
        stage=stage,
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "ca-central-1",
        allowed_origin=_required(env, "PAYFLOW_ALLOWED_ORIGIN"),
        webhook_queue_url=env.get("PAYFLOW_WEBHOOK_QUEUE_URL", ""),
        deliveries_queue_url=env.get("PAYFLOW_DELIVERIES_QUEUE_URL", ""),
        exports_queue_url=env.get("PAYFLOW_EXPORTS_QUEUE_URL", ""),
        # Nobody can tell the name from the stage: it has the account's number.
        exports_bucket=env.get("PAYFLOW_EXPORTS_BUCKET", ""),
        # A stage that was restored from a backup uses tables with other names.
        payments_table=env.get("PAYFLOW_PAYMENTS_TABLE") or f"payflow-payments-{stage}",
        idempotency_table=env.get("PAYFLOW_IDEMPOTENCY_TABLE") or f"payflow-idempotency-{stage}",
        simulation_allowed=env.get("PAYFLOW_SIMULATION") == "allowed",
        key_required=env.get("PAYFLOW_AUTH") != "open",
        sweep_unit_seconds=_seconds(env, "PAYFLOW_SWEEP_UNIT_SECONDS", 60),
        feed_behind_seconds=_seconds(env, "PAYFLOW_FEED_BEHIND_SECONDS", 15),
        private_webhooks_allowed=env.get("PAYFLOW_WEBHOOKS_PRIVATE") == "allowed",
        failures_are_kept=env.get("PAYFLOW_PARTIAL_BATCHES") == "reported",
        delivery_lease_seconds=_seconds(env, "PAYFLOW_DELIVERY_LEASE_SECONDS", 75),
        export_lease_seconds=_seconds(env, "PAYFLOW_EXPORT_LEASE_SECONDS", 60),
    )


def refuse(sentence: str) -> NoReturn:
    """Raise SettingError; under a command of Chalice, end the process with the sentence alone.

    Chalice prints a traceback of any exception, and `chalice local`, which imports the app in a
    thread, then waits for ever.
    """
    if "AWS_CHALICE_CLI_MODE" not in os.environ:
        raise SettingError(sentence)
    print(sentence, file=sys.stderr, flush=True)
    os._exit(1)


FORMS: Final = {
    "PAYFLOW_STAGE": (r"[a-z][a-z0-9]{0,15}", "the stage's name: at most 16 of a-z and 0-9"),
    "PAYFLOW_ALLOWED_ORIGIN": (
        r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?",
        "the dashboard's origin, such as https://pay.example.com, without a slash at the end",
    ),
}
"""The patterns of infra/backend.yaml and infra/package.yaml, and what they ask for."""


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    pattern, meaning = FORMS[name]
    if re.fullmatch(pattern, value):
        return value
    found = f"is {value!r}" if value else "is not set"
    refuse(
        f"{name} {found}. In the stage's environment_variables in .chalice/config.json, set it to "
        f"{meaning}."
    )


def _seconds(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name) or str(default)
    if not re.fullmatch("[1-9][0-9]{0,5}", value):
        refuse(f"{name} is {value!r}; it must be a whole number of seconds.")
    return int(value)
