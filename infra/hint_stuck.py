"""Sends the hints of what the sweeper has given up: `make hint-stuck STAGE=…`."""

import os
import sys
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PayFlowError
from chalicelib.sweeper import Sweeper
from infra import stage as stages
from infra.local.settings import SetupError


def main(arguments: list[str]) -> None:
    try:
        (stage,) = arguments
    except ValueError:
        sys.exit("Name the stage: make hint-stuck STAGE=dev")
    try:
        stages.enter(stage)
        sent = hint_stuck(stage)
    except (PayFlowError, SetupError, BotoCoreError, ClientError) as error:
        sys.exit(f"Not all hints were sent. {error}")
    print(f"Sent {sent} hints.")


def hint_stuck(stage: str) -> int:
    """How many. Raises PayFlowError, or what boto3 raises."""
    sweeper = Sweeper(
        stage=stage,
        store=stages.store_of(stage),
        queue=stages.queue_of(stage, "webhooks"),
        webhooks=stages.webhook_store_of(stage),
        deliveries=stages.queue_of(stage, "deliveries"),
        unit=timedelta(seconds=int(os.environ.get("PAYFLOW_SWEEP_UNIT_SECONDS", "60"))),
    )
    return sweeper.hint_stuck(datetime.now(UTC))


if __name__ == "__main__":
    main(sys.argv[1:])
