"""Settings: the only module that reads the environment. A missing setting is an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ


class MissingSetting(Exception):
    """The environment lacks a setting that has no safe default."""


@dataclass(frozen=True)
class Settings:
    """The settings that differ between deployments."""

    stage: str
    region: str
    allowed_origin: str
    webhook_queue_url: str
    deliveries_queue_url: str
    payments_table: str
    idempotency_table: str
    simulation_allowed: bool
    key_required: bool
    sweep_unit_seconds: int
    """The sweeper's period, and the unit of its age windows: 60 on AWS, shorter on a laptop."""
    private_webhooks_allowed: bool
    """Endpoints may have any address and use HTTP: for the local stack's webhook receiver."""
    delivery_lease_seconds: int
    """How long a worker holds a delivery: longer than the function may run."""

    @property
    def api_log_group(self) -> str:
        """The log group of the API's function; infra/backend.yaml creates it."""
        return f"/aws/lambda/payflow-{self.stage}"

    @property
    def webhook_queue(self) -> str:
        return f"payflow-webhooks-{self.stage}"

    @property
    def deliveries_queue(self) -> str:
        return f"payflow-deliveries-{self.stage}"


def from_environment(env: Mapping[str, str] = environ) -> Settings:
    """Read the settings. Raises MissingSetting.

    Fails closed: a key is required unless PAYFLOW_AUTH is `open`; simulation, and webhooks to
    private addresses, are off unless their settings are `allowed`.
    """
    stage = _required(env, "PAYFLOW_STAGE")
    return Settings(
        stage=stage,
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "ca-central-1",
        allowed_origin=_required(env, "PAYFLOW_ALLOWED_ORIGIN"),
        webhook_queue_url=_required(env, "PAYFLOW_WEBHOOK_QUEUE_URL"),
        deliveries_queue_url=_required(env, "PAYFLOW_DELIVERIES_QUEUE_URL"),
        # A stage that was restored from a backup uses tables with other names.
        payments_table=env.get("PAYFLOW_PAYMENTS_TABLE") or f"payflow-payments-{stage}",
        idempotency_table=env.get("PAYFLOW_IDEMPOTENCY_TABLE") or f"payflow-idempotency-{stage}",
        simulation_allowed=env.get("PAYFLOW_SIMULATION") == "allowed",
        key_required=env.get("PAYFLOW_AUTH") != "open",
        sweep_unit_seconds=int(env.get("PAYFLOW_SWEEP_UNIT_SECONDS", "60")),
        private_webhooks_allowed=env.get("PAYFLOW_WEBHOOKS_PRIVATE") == "allowed",
        delivery_lease_seconds=int(env.get("PAYFLOW_DELIVERY_LEASE_SECONDS", "75")),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    try:
        return env[name]
    except KeyError:
        raise MissingSetting(
            f"{name} is not set. .chalice/config.json does not hold every setting of a stage: "
            "`make run`, `make deploy` and `make chalice-deploy` add the others. Use those "
            "instead of Chalice alone."
        ) from None
