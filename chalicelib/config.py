"""Settings: the only module that reads the environment. A missing setting is an error."""

import os
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


class SettingError(SystemExit):
    """A setting is missing or wrong. It ends the process with its sentence, without a trace."""


@dataclass(frozen=True)
class Settings:
    """The settings that differ between deployments."""

    stage: str
    region: str
    allowed_origin: str
    webhook_queue_url: str
    """Empty: look it up by the queue's name."""
    deliveries_queue_url: str
    payments_table: str
    idempotency_table: str
    simulation_allowed: bool
    key_required: bool
    sweep_unit_seconds: int
    """The sweeper's period, and the unit of its age windows: 60 on AWS, shorter on a laptop."""
    private_webhooks_allowed: bool
    """Endpoints may have any address and use HTTP: for the local stack's webhook receiver."""
    failures_are_kept: bool
    """The queues keep only the messages that a function reports as failed."""
    delivery_lease_seconds: int
    """How long a worker holds a delivery: longer than the function may run."""

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


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SettingError.

    Fails closed: a key is required unless PAYFLOW_AUTH is `open`; simulation, and webhooks to
    private addresses, are off unless their settings are `allowed`; a batch with a failed message
    counts as failed unless PAYFLOW_PARTIAL_BATCHES is `reported`.
    """
    stage = _required(env, "PAYFLOW_STAGE")
    if stage == "local" and (aws := env.get("AWS_CONFIG_FILE")) and not Path(aws).exists():
        raise SettingError(f"There is no {aws}. Run `make run`: it starts the local stack.")
    return Settings(
        stage=stage,
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "ca-central-1",
        allowed_origin=_required(env, "PAYFLOW_ALLOWED_ORIGIN"),
        webhook_queue_url=env.get("PAYFLOW_WEBHOOK_QUEUE_URL", ""),
        deliveries_queue_url=env.get("PAYFLOW_DELIVERIES_QUEUE_URL", ""),
        # A stage that was restored from a backup uses tables with other names.
        payments_table=env.get("PAYFLOW_PAYMENTS_TABLE") or f"payflow-payments-{stage}",
        idempotency_table=env.get("PAYFLOW_IDEMPOTENCY_TABLE") or f"payflow-idempotency-{stage}",
        simulation_allowed=env.get("PAYFLOW_SIMULATION") == "allowed",
        key_required=env.get("PAYFLOW_AUTH") != "open",
        sweep_unit_seconds=_seconds(env, "PAYFLOW_SWEEP_UNIT_SECONDS", 60),
        private_webhooks_allowed=env.get("PAYFLOW_WEBHOOKS_PRIVATE") == "allowed",
        failures_are_kept=env.get("PAYFLOW_PARTIAL_BATCHES") == "reported",
        delivery_lease_seconds=_seconds(env, "PAYFLOW_DELIVERY_LEASE_SECONDS", 75),
    )


def of_this_process() -> Settings:
    """Return the settings that the app is imported with. Raises SettingError."""
    try:
        return from_environment()
    except SettingError as error:
        if threading.current_thread() is threading.main_thread():
            raise
        # `chalice local` imports the app in a thread, and waits though that has ended.
        print(error, file=sys.stderr, flush=True)
        os._exit(1)


def _required(env: Mapping[str, str], name: str) -> str:
    try:
        if value := env[name]:
            return value
    except KeyError:
        pass
    raise SettingError(
        f"{name} is not set. Add it to the stage's environment_variables in "
        f".chalice/config.json{_EXAMPLES[name]}."
    )


_EXAMPLES: Final = {
    "PAYFLOW_STAGE": "; its value is the stage's name",
    "PAYFLOW_ALLOWED_ORIGIN": ": the dashboard's origin, such as https://pay.example.com",
}


def _seconds(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name) or str(default)
    if not re.fullmatch("[1-9][0-9]{0,5}", value):
        raise SettingError(f"{name} is {value!r}; it must be a whole number of seconds.")
    return int(value)
