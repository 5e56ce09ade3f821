"""`make requeue`: enqueue a message for everything that is unfinished.

Use it when messages were lost and the sweeper would take long to notice, or never would: a queue
was purged, tables were restored to a point in time, or the sweeper has given up on something.
One message too many does no harm. It queries the sweeper's indexes, and scans nothing.
"""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import PayFlowError
from chalicelib.sweeper import Sweeper
from infra.deploy.stacks import DeployError
from infra.local.settings import SetupError
from infra.ops import stages

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def main(arguments: list[str]) -> None:
    try:
        stage, *said = arguments
        older_than = age(*said)
    except (TypeError, ValueError):
        sys.exit("Use: make requeue STAGE=dev [OLDER_THAN=5d]")
    try:
        stages.enter(stage)
        enqueued = requeue(stage, older_than)
    except (PayFlowError, SetupError, DeployError, BotoCoreError, ClientError) as error:
        sys.exit(f"Not everything was enqueued. {error}")
    print(f"Enqueued {enqueued} messages.")


def age(said: str = "") -> timedelta:
    """Parse an age such as 90s, 15m, 6h or 5d; an empty one is zero. Raises ValueError."""
    if not said:
        return timedelta()
    parts = re.fullmatch(r"([0-9]{1,6})([smhd])", said)
    if parts is None:
        raise ValueError(said)
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def requeue(stage: str, older_than: timedelta = timedelta()) -> int:
    """Return how many messages were enqueued. Raises PayFlowError, DeployError, or boto3 errors."""
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
