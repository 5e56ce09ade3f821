"""A month of payments on the local stack, for pictures of the dashboard: `python -m infra.history`.

The API makes payments now and at no other time. So these are made by its use cases, with a clock
that stands in the past; everything else of them is as `make seed` has it.
"""

import random
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.commands import CreatePayment, validated
from chalicelib.payments import Payments
from chalicelib.processor import Simulator
from chalicelib.webhook_outbox import Outbox
from infra import seed
from infra import stage as stages
from infra.local.settings import STAGE, SetupError

DAYS: Final = 30
_WEEKDAY: Final = 26
_WEEKEND: Final = 9
_SETTLED_WITHIN_SECONDS: Final = 40


def main() -> None:
    try:
        stages.enter(STAGE)
    except SetupError as error:
        sys.exit(str(error))
    print(f"Made {make(datetime.now(UTC))} payments of the last {DAYS} days.")


def make(now: datetime) -> int:
    """How many: all of them settled, and none of them today."""
    tables = stages.tables_of(STAGE)
    payments = Payments(
        stage=STAGE,
        store=stages.store_of(tables),
        queue=stages.queue_of(STAGE, "webhooks"),
        processor=Simulator(),
        outbox=Outbox(
            stage=STAGE,
            store=stages.webhook_store_of(tables),
            queue=stages.queue_of(STAGE, "deliveries"),
            clock=lambda: now,
        ),
        simulation_allowed=True,
        clock=lambda: now,
    )
    moments = sorted(_moments(now))
    for moment, fields in zip(moments, seed.payments(len(moments)), strict=True):
        _make_one(payments, validated(CreatePayment, fields), moment)
    return len(moments)


def _moments(now: datetime) -> list[datetime]:
    """Business hours mostly; busier on weekdays, and growing."""
    found = []
    for ago in range(1, DAYS):
        day = now.replace(hour=0, minute=0, second=0) - timedelta(days=ago)
        usual = _WEEKDAY if day.weekday() < 5 else _WEEKEND
        count = round(usual * (1.4 - ago / DAYS * 0.6) * random.uniform(0.8, 1.2))
        found += [
            day + timedelta(hours=min(max(random.gauss(18, 3), 0), 23.9)) for _ in range(count)
        ]
    return found


def _make_one(payments: Payments, command: CreatePayment, moment: datetime) -> None:
    created = replace(payments, clock=lambda: moment).create(command, actor="seed")
    later = moment + timedelta(seconds=random.uniform(0.2, _SETTLED_WITHIN_SECONDS))
    replace(payments, clock=lambda: later).settle(created.payment_id)


if __name__ == "__main__":
    main()
