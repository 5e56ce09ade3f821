"""The queues' pollers, the sweeper's schedule, and the shipping of the API's log."""

import os
import signal
import threading
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3

from chalicelib.telemetry import log_exception
from infra.local import lifeline, settings
from infra.local.event_source import EventSource
from infra.local.log_shipper import LogShipper

POLLERS: Final = 4
"""Pollers per queue; Lambda starts with five."""

_PAUSE_AFTER_ERROR_SECONDS: Final = 1
_FINISH_SECONDS: Final = 5
_LOOK_SECONDS: Final = 0.05


def main() -> None:
    lifeline.hold()
    stop = lifeline.Stop(signal.SIGTERM)
    import app  # reads its settings from the environment that the parent set

    sqs = boto3.client("sqs", region_name=app.settings.region)
    # Each queue has its own pollers: slow webhooks must not delay payments.
    queues = [
        _event_source(app, sqs, url, function)
        for url, function in [
            (app.settings.webhook_queue_url, "webhook_processor"),
            (app.settings.deliveries_queue_url, "delivery_worker"),
            (app.settings.exports_queue_url, "export_worker"),
        ]
    ]
    sources = [
        replace(source, working=threading.Lock()) for source in queues for _ in range(POLLERS)
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
    # Finish batches that are being processed; abandon receives that wait for one.
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
        batch_size=next(one.batch_size for one in app.app.event_sources if one.name == function),
    )


def _poll(source: EventSource) -> None:
    while True:
        try:
            source.poll()
        except Exception as error:  # retry: the queue may recover
            log_exception("poll_failed", error)
            time.sleep(_PAUSE_AFTER_ERROR_SECONDS)


def _sweep(app: Any) -> None:
    unit = timedelta(seconds=app.settings.sweep_unit_seconds)
    scheduled = datetime.now(UTC).replace(microsecond=0)
    while True:
        # Keep to a fixed grid, as EventBridge does; skip missed runs.
        scheduled = max(scheduled + unit, datetime.now(UTC).replace(microsecond=0))
        time.sleep(max(0.0, (scheduled - datetime.now(UTC)).total_seconds()))
        try:
            app.app.handler_map["sweeper"](_scheduled_event(app.settings.region, scheduled), None)
        except Exception as error:  # a later run catches up
            log_exception("sweep_failed", error)


def _scheduled_event(region: str, scheduled: datetime) -> dict[str, Any]:
    """Return the event that EventBridge sends."""
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
