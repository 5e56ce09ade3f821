"""The queues' pollers, the sweeper's schedule and the shipping of the API's log, as a process of
their own.
"""

import os
import signal
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3

from chalicelib.telemetry import log_exception
from infra.local import lifeline, settings
from infra.local.event_source import EventSource
from infra.local.log_shipper import LogShipper

POLLERS: Final = 4
"""Lambda starts with five for a queue."""

_PAUSE_AFTER_ERROR_SECONDS: Final = 1
_FINISH_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.05


def main() -> None:
    lifeline.hold()
    stop = lifeline.Stop(signal.SIGTERM)
    import app  # its settings come from the environment, which the parent has set

    sqs = boto3.client("sqs", region_name=app.settings.region)
    # Each queue has pollers of its own: webhooks that hang hold up no payment.
    sources = [
        _event_source(app, sqs, url, function)
        for url, function in [
            (app.settings.webhook_queue_url, "webhook_processor"),
            (app.settings.deliveries_queue_url, "delivery_worker"),
        ]
        for _ in range(POLLERS)
    ]
    for source in sources:
        threading.Thread(target=_poll, args=(source,), daemon=True).start()
    threading.Thread(target=_sweep, args=(app,), daemon=True).start()
    shipper = LogShipper(
        boto3.client("logs", region_name=app.settings.region),
        app.settings.api_log_group,
        settings.from_environment().log_of("infra.local.server"),
    )
    threading.Thread(target=shipper.run, daemon=True).start()
    while not stop.wait(_LOOK_SECONDS):
        pass
    # Batches that are being worked on are finished; receives that wait for one are abandoned.
    deadline = time.monotonic() + _FINISH_SECONDS
    for source in sources:
        source.working.acquire(timeout=max(0.0, deadline - time.monotonic()))
    os._exit(0)


def _event_source(app: Any, sqs: Any, url: str, function: str) -> EventSource:
    attributes = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["QueueArn", "VisibilityTimeout"]
    )["Attributes"]
    return EventSource(
        sqs=sqs,
        queue_url=url,
        queue_arn=attributes["QueueArn"],
        retry_seconds=int(attributes["VisibilityTimeout"]),
        region=app.settings.region,
        function=app.app.handler_map[function],
    )


def _poll(source: EventSource) -> None:
    while True:
        try:
            source.poll()
        except Exception as error:  # the queue may be back in a moment
            log_exception("poll_failed", error)
            time.sleep(_PAUSE_AFTER_ERROR_SECONDS)


def _sweep(app: Any) -> None:
    unit = timedelta(seconds=app.settings.sweep_unit_seconds)
    scheduled = datetime.now(UTC).replace(microsecond=0)
    while True:
        # On a fixed grid, as EventBridge does it; runs that were slept through are not made up.
        scheduled = max(scheduled + unit, datetime.now(UTC).replace(microsecond=0))
        time.sleep(max(0.0, (scheduled - datetime.now(UTC)).total_seconds()))
        try:
            app.app.handler_map["sweeper"](_scheduled_event(app.settings.region, scheduled), None)
        except Exception as error:  # a later run makes it good
            log_exception("sweep_failed", error)


def _scheduled_event(region: str, scheduled: datetime) -> dict[str, Any]:
    """As EventBridge sends it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:000000000000:rule/payflow-local-sweeper"],
        "detail": {},
    }


if __name__ == "__main__":
    main()
