"""`make requeue`: enqueue a message for everything that is unfinished.

Use it when messages were lost and the sweeper would enqueue them late or never: a queue was purged,
tables were restored to a point in time, or the sweeper has given up on something. Extra messages do
no harm. The command queries the sweeper's indexes, and scans nothing.
"""

import os
import re
import sys
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.sweeper import Sweeper
from infra import cli
from infra.ops import stages

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def main(arguments: list[str]) -> None:
    parser = cli.parser("requeue", __doc__)
    parser.add_argument(
        "older_than",
        metavar="OLDER_THAN",
        nargs="?",
        type=age,
        default=timedelta(),
        help="skip younger rows, for example 90s, 15m, 6h or 5d",
    )
    asked = parser.parse_args(arguments)
    with stages.operated(asked.stage, "Not everything was enqueued"):
        enqueued = requeue(asked.stage, asked.older_than)
    print(f"Enqueued {enqueued} messages.")


def age(text: str) -> timedelta:
    """Parse an age such as 90s, 15m, 6h or 5d."""
    parts = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if parts is None:
        raise ArgumentTypeError(f"{text!r} is not an age like 90s, 15m, 6h or 5d")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def requeue(stage: str, older_than: timedelta = timedelta()) -> int:
    """Return the number of messages. Raises PayFlowError, DeployError or boto3 errors."""
    tables = stages.tables_of(stage)
    sweeper = Sweeper(
        stage=stage,
        payments=stages.payment_repository_of(tables),
        payments_queue=stages.queue_of(stage, "webhooks"),
        webhooks=stages.webhook_repository_of(tables),
        deliveries_queue=stages.queue_of(stage, "deliveries"),
        exports=stages.export_repository_of(tables),
        exports_queue=stages.queue_of(stage, "exports"),
        unit=timedelta(seconds=int(os.environ.get("PAYFLOW_SWEEP_UNIT_SECONDS", "60"))),
    )
    return sweeper.requeue(datetime.now(UTC), older_than)


if __name__ == "__main__":
    main(sys.argv[1:])
