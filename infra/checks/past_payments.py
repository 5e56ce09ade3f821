"""Create a month of payments on the local stack, for screenshots of the dashboard.

The API dates a payment when it creates it. So this calls the use cases behind the API, with a
clock in the past. Merchants and amounts are those of `make seed`.
"""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from chalicelib.payments.commands import CreatePayment
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import Simulator
from chalicelib.validation import validated
from chalicelib.values import Actor
from chalicelib.webhooks.outbox import WebhookOutbox
from infra.local import seed
from infra.local.settings import STAGE
from infra.ops import stages

DAYS: Final = 30
_WEEKDAY: Final = 26
_WEEKEND: Final = 9
_SETTLED_WITHIN_SECONDS: Final = 40


def main() -> None:
    with stages.operated(STAGE, "No payments created"):
        print(f"Created {create(datetime.now(UTC))} payments for the last {DAYS} days.")


def create(now: datetime) -> int:
    """Create settled payments for each day before today; return their number."""
    tables = stages.tables_of(STAGE)
    payments = Payments(
        stage=STAGE,
        repository=stages.payment_repository_of(tables),
        queue=stages.queue_of(STAGE, "webhooks"),
        processor=Simulator(),
        outbox=WebhookOutbox(
            stage=STAGE,
            repository=stages.webhook_repository_of(tables),
            queue=stages.queue_of(STAGE, "deliveries"),
        ),
        simulation_allowed=True,
        clock=lambda: now,
    )
    moments = sorted(_moments(now))
    for moment, fields in zip(moments, seed.payments(len(moments)), strict=True):
        _create_one(payments, validated(CreatePayment, fields), moment)
    return len(moments)


def _moments(now: datetime) -> list[datetime]:
    """Return times: mostly in business hours, more on weekdays, and more towards the end."""
    found = []
    for ago in range(1, DAYS):
        day = now.replace(hour=0, minute=0, second=0) - timedelta(days=ago)
        usual = _WEEKDAY if day.weekday() < 5 else _WEEKEND
        count = round(usual * (1.4 - ago / DAYS * 0.6) * random.uniform(0.8, 1.2))
        found += [
            day + timedelta(hours=min(max(random.gauss(18, 3), 0), 23.9)) for _ in range(count)
        ]
    return found


def _create_one(payments: Payments, command: CreatePayment, moment: datetime) -> None:
    created = replace(payments, clock=lambda: moment).create(command, actor=Actor("seed"))
    later = moment + timedelta(seconds=random.uniform(0.2, _SETTLED_WITHIN_SECONDS))
    replace(payments, clock=lambda: later).settle(created.resource_id)


if __name__ == "__main__":
    main()
