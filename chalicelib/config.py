"""Settings: the only reader of the environment. What is missing is refused, not guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ


class MissingSetting(Exception):
    """The environment lacks a setting that has no safe default."""


@dataclass(frozen=True)
class Settings:
    """What differs between one deployment and the next."""

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
    """Endpoints on any address and by HTTP: for the local stack's own merchant."""
    delivery_lease_seconds: int
    """How long a delivery is one worker's: longer than the function may run."""

    @property
    def api_log_group(self) -> str:
        """Where Lambda puts what the API's function writes; infra/backend.yaml makes it."""
        return f"/aws/lambda/payflow-{self.stage}"

    @property
    def webhook_queue(self) -> str:
        return f"payflow-webhooks-{self.stage}"

    @property
    def deliveries_queue(self) -> str:
        return f"payflow-deliveries-{self.stage}"


def from_environment(env: Mapping[str, str] = environ) -> Settings:
    """Raises MissingSetting. Fails closed: a key is required unless the stage says `open` in
    so many words; simulation, and webhooks to private addresses, are off unless it says `allowed`.
    """
    stage = _required(env, "PAYFLOW_STAGE")
    return Settings(
        stage=stage,
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "ca-central-1",
        allowed_origin=_required(env, "PAYFLOW_ALLOWED_ORIGIN"),
        webhook_queue_url=_required(env, "PAYFLOW_WEBHOOK_QUEUE_URL"),
        deliveries_queue_url=_required(env, "PAYFLOW_DELIVERIES_QUEUE_URL"),
        # Others than the stage began with, once it was brought back from a point in time.
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
            f"{name} is not set. Beside what .chalice/config.json says of a stage, `make run`, "
            "`make deploy` and `make chalice-deploy` give the app what only they know: use those, "
            "not Chalice alone."
        ) from None
