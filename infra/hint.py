"""Sends the hints of what is unfinished: `make hint STAGE=… [OLDER_THAN=5d]`.

For when hints were lost that the sweeper would take long to make good, or never would: a queue
was purged, tables were brought back from a point in time, or the sweeper has given something up.
A hint too many does no harm. Nothing scans: it asks the sweeper's indexes.
"""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PayFlowError
from chalicelib.sweeper import Sweeper
from infra import stage as stages
from infra.local.settings import SetupError
from infra.stacks import DeployError

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def main(arguments: list[str]) -> None:
    try:
        stage, *said = arguments
        older_than = age(*said)
    except (TypeError, ValueError):
        sys.exit("Name the stage, and an age if you like: make hint STAGE=dev OLDER_THAN=5d")
    try:
        stages.enter(stage)
        sent = hint(stage, older_than)
    except (PayFlowError, SetupError, DeployError, BotoCoreError, ClientError) as error:
        sys.exit(f"Not all hints were sent. {error}")
    print(f"Sent {sent} hints.")


def age(said: str = "") -> timedelta:
    """As in 90s, 15m, 6h or 5d; none for nothing. Raises ValueError."""
    if not said:
        return timedelta()
    parts = re.fullmatch(r"([0-9]{1,6})([smhd])", said)
    if parts is None:
        raise ValueError(said)
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def hint(stage: str, older_than: timedelta = timedelta()) -> int:
    """How many. Raises PayFlowError, DeployError, or what boto3 raises."""
    tables = stages.tables_of(stage)
    sweeper = Sweeper(
        stage=stage,
        store=stages.store_of(tables),
        queue=stages.queue_of(stage, "webhooks"),
        webhooks=stages.webhook_store_of(tables),
        deliveries=stages.queue_of(stage, "deliveries"),
        unit=timedelta(seconds=int(os.environ.get("PAYFLOW_SWEEP_UNIT_SECONDS", "60"))),
    )
    return sweeper.hint_all(datetime.now(UTC), older_than)


if __name__ == "__main__":
    main(sys.argv[1:])
