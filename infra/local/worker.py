"""The queue's poller and the sweeper's schedule, as a process of their own."""

import signal
import threading
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import boto3

from chalicelib.telemetry import log_exception
from infra.local import lifeline
from infra.local.event_source import EventSource

POLLERS: Final = 4
"""Lambda starts with five for a queue."""

_PAUSE_AFTER_ERROR_SECONDS: Final = 1


def main() -> None:
    lifeline.hold()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    import app  # its settings come from the environment, which the parent has set

    source = _event_source(app)
    threads = [
        threading.Thread(target=_poll, args=(source, stop), name=f"poller-{number}")
        for number in range(POLLERS)
    ]
    threads.append(threading.Thread(target=_sweep, args=(app, stop), name="schedule"))
    for thread in threads:
        thread.start()
    for thread in threads:  # a batch that is being worked on is finished
        thread.join()


def _event_source(app: Any) -> EventSource:
    sqs = boto3.client("sqs", region_name=app.settings.region)
    url = app.settings.webhook_queue_url
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return EventSource(
        sqs=sqs,
        queue_url=url,
        queue_arn=attributes["Attributes"]["QueueArn"],
        region=app.settings.region,
        function=app.app.handler_map["webhook_processor"],
    )


def _poll(source: EventSource, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            source.poll()
        except Exception as error:  # the queue may be back in a moment
            log_exception("poll_failed", error)
            stop.wait(_PAUSE_AFTER_ERROR_SECONDS)


def _sweep(app: Any, stop: threading.Event) -> None:
    while not stop.wait(app.settings.sweep_unit_seconds):
        try:
            app.app.handler_map["sweeper"](_scheduled_event(app.settings.region), None)
        except Exception as error:  # the next run makes it good
            log_exception("sweep_failed", error)


def _scheduled_event(region: str) -> dict[str, Any]:
    """As EventBridge sends it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:000000000000:rule/payflow-local-sweeper"],
        "detail": {},
    }


if __name__ == "__main__":
    main()
