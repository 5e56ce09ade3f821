"""A lane in its own process. It forks, so it must not have threads."""

import json
import signal
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import boto3

from tests.crash.invocation import Clock, Conductor
from tests.crash.lane import START, Lane

_RECEIVES: Final = 5
"""The `maxReceiveCount` of infra/backend.yaml."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` ends its children
    asked = json.loads(sys.argv[1])
    answer, log = sys.stdout, Path(asked["log"])
    with log.open("a") as file, redirect_stdout(file):
        told = lived(asked, log)
    json.dump(told, answer)


def lived(asked: dict[str, Any], log: Path) -> dict[str, Any]:
    """Run chapters until there were enough faults, or a promise was broken."""
    session = boto3.Session("local", "local", region_name="ca-central-1")
    sqs = session.client("sqs", endpoint_url=asked["sqs"])
    stage, queues = asked["stage"], _queues(sqs, asked["stage"])
    conductor = Conductor(
        dynamodb=asked["dynamodb"],
        sqs=asked["sqs"],
        queues=queues,
        log=log,
        clock=Clock(START),
        stage=stage,
    )
    dynamodb = session.client("dynamodb", endpoint_url=asked["dynamodb"])
    lane = Lane(conductor, dynamodb, sqs, queues, stage=stage, seed=asked["seed"])
    number, broken = asked["chapter"] or 0, []
    try:
        lane.warm_up()
        while True:
            broken = lane.run(number)
            told = f"{stage}: chapter {number}, {lane.tally.faults} faults"
            print(told, file=sys.stderr, flush=True)
            if broken or asked["chapter"] is not None or lane.tally.faults >= asked["faults"]:
                break
            number += 1
    finally:
        conductor.close()
    is_shown = bool(broken) or asked["chapter"] is not None
    return _told(lane) | {
        "chapter": number,
        "broken": broken,
        "trace": lane.trace if is_shown else [],
    }


def _told(lane: Lane) -> dict[str, Any]:
    """Return the tally as JSON values."""
    told = asdict(lane.tally)
    for counts in ("met", "calls"):
        told[counts] = [[*key, count] for key, count in getattr(lane.tally, counts).items()]
    return told


def _queues(sqs: Any, stage: str) -> dict[str, str]:
    """Create both queues and their dead letter queues, and return the URLs."""
    urls = {}
    for name in ("webhooks", "deliveries"):
        dead = urls[f"{name}-dlq"] = sqs.create_queue(QueueName=f"payflow-{name}-dlq-{stage}")[
            "QueueUrl"
        ]
        about = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        redrive = {
            "deadLetterTargetArn": about["Attributes"]["QueueArn"],
            "maxReceiveCount": _RECEIVES,
        }
        urls[name] = sqs.create_queue(
            QueueName=f"payflow-{name}-{stage}",
            Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": "0"},
        )["QueueUrl"]
    return urls


if __name__ == "__main__":
    main()
