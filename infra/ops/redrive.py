"""Brings dead letters back to the queue that they came from: `make redrive STAGE=…`.

Guarantee: a message is deleted from the dead letter queue only after its own queue has taken it,
so whatever breaks this off, be it Ctrl-C or a crash, at worst a message comes twice, which a hint
may. It ends: only messages that were sent before it began are moved, so one that fails again and
comes back meanwhile is left for the next time. What is no hint of that queue stays where it is,
and is said.

By receiving, sending and deleting, which is the same on AWS and on the local stack; SQS's own
StartMessageMoveTask would move unread what can only fail again.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.queue_jobs import (
    BATCH_SIZE,
    Deliver,
    Job,
    MalformedJob,
    SettlePayment,
    SettleRefund,
    UnknownJob,
    decode,
)
from infra.local.settings import SetupError
from infra.ops import stages

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

QUEUES: Final[Mapping[str, tuple[type[Job], ...]]] = {
    "webhooks": (SettlePayment, SettleRefund),
    "deliveries": (Deliver,),
}
"""What each queue's function can work off."""

_HIDDEN_SECONDS: Final = 120
"""How long a message is this run's: longer than a batch takes, so that nothing is met twice."""
_WAIT_SECONDS: Final = 1
_SHOWN: Final = 100


@dataclass
class Redriven:
    """What one run made of a dead letter queue."""

    moved: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    """The reasons, by message id."""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make redrive", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--queue", default="", choices=["", *QUEUES], help="only this one's")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="of each queue's")
    parser.add_argument("--dry-run", action="store_true", help="say it only")
    asked = parser.parse_args(arguments)
    try:
        stages.enter(asked.stage)
        sqs = boto3.client("sqs", region_name=os.environ["AWS_REGION"])
        for kind in [asked.queue] if asked.queue else QUEUES:
            redriven = Redriven()
            try:
                redrive(sqs, asked.stage, kind, redriven, most=asked.most, is_dry=asked.dry_run)
            finally:
                print(report(kind, redriven, is_dry=asked.dry_run), flush=True)
    except KeyboardInterrupt:
        sys.exit("Stopped. Nothing is lost; run it again for the rest.")
    except (SetupError, BotoCoreError, ClientError) as error:
        sys.exit(f"Stopped; nothing is lost, run it again for the rest. {error}")


def redrive(
    sqs: "SQSClient",
    stage: str,
    kind: str,
    redriven: Redriven,
    *,
    most: int = sys.maxsize,
    is_dry: bool = False,
) -> None:
    """Move at most so many dead letters of the queue `kind`, and note them in `redriven`.

    Raises what boto3 raises.
    """
    source, dead, began = _queues(sqs, stage, kind)
    met: set[str] = set()
    held: list[MessageTypeDef] = []
    try:
        for messages in _batches(sqs, dead, lambda: most - redriven.moved):
            reasons = [_why_kept(message, kind, began, met) for message in messages]
            movable = [
                message for message, reason in zip(messages, reasons, strict=True) if reason is None
            ]
            for message, reason in zip(messages, reasons, strict=True):
                met.add(message["MessageId"])
                if reason is not None:
                    redriven.kept.setdefault(message["MessageId"], reason)
            held += messages
            moved = movable if is_dry else _send(sqs, source, movable, redriven)
            if not is_dry:
                _delete(sqs, dead, moved)
                held = [message for message in held if message not in moved]
            redriven.moved += len(moved)
            if not movable:
                break
    finally:
        # What stays is seen again at once, rather than once its time is up.
        _let_go(sqs, dead, held)


def report(kind: str, redriven: Redriven, *, is_dry: bool = False) -> str:
    verb = "would be moved" if is_dry else "moved"
    lines = [f"{kind}: {redriven.moved} {verb}, {len(redriven.kept)} kept"]
    lines += [f"  kept {key}: {why}" for key, why in list(redriven.kept.items())[:_SHOWN]]
    if len(redriven.kept) > _SHOWN:
        lines.append(f"  and {len(redriven.kept) - _SHOWN} more")
    return "\n".join(lines)


def _queues(sqs: "SQSClient", stage: str, kind: str) -> tuple[str, str, datetime]:
    """The addresses of the queue and of its dead letter queue; and what time it is there."""
    answer = sqs.get_queue_url(QueueName=f"payflow-{kind}-{stage}")
    dead = sqs.get_queue_url(QueueName=f"payflow-{kind}-dlq-{stage}")["QueueUrl"]
    return answer["QueueUrl"], dead, _time_there(answer)


def _time_there(answer: Any) -> datetime:
    """By SQS's clock, which dates the messages; ours may be another. To the second, rounded down:
    a dead letter has been on its way for longer.
    """
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def _batches(
    sqs: "SQSClient", dead: str, left: Callable[[], int]
) -> Iterator[list["MessageTypeDef"]]:
    while left() > 0:
        messages = sqs.receive_message(
            QueueUrl=dead,
            MaxNumberOfMessages=min(BATCH_SIZE, left()),
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages", [])
        if not messages:
            return
        yield messages


def _why_kept(message: "MessageTypeDef", kind: str, began: datetime, met: set[str]) -> str | None:
    if message["MessageId"] in met:
        return "met twice; run it again for it"
    if int(message["Attributes"]["SentTimestamp"]) > began.timestamp() * 1000:
        return "sent after this began; run it again for it"
    try:
        job = decode(message["Body"])
    except (MalformedJob, UnknownJob) as error:
        return f"no hint: {error}"
    if not isinstance(job, QUEUES[kind]):
        return f"no hint for this queue: {type(job).__name__}"
    return None


def _send(
    sqs: "SQSClient", source: str, messages: Sequence["MessageTypeDef"], redriven: Redriven
) -> list["MessageTypeDef"]:
    """Returns those that the queue has taken."""
    if not messages:
        return []
    answer = sqs.send_message_batch(
        QueueUrl=source,
        Entries=[
            {"Id": str(index), "MessageBody": message["Body"]}
            for index, message in enumerate(messages)
        ],
    )
    for refusal in answer.get("Failed", []):
        refused = messages[int(refusal["Id"])]["MessageId"]
        redriven.kept[refused] = f"its queue refused it: {refusal['Code']}"
    return [messages[int(taken["Id"])] for taken in answer.get("Successful", [])]


def _delete(sqs: "SQSClient", dead: str, messages: Sequence["MessageTypeDef"]) -> None:
    """One that is not deleted comes again, and is then a hint too many."""
    if messages:
        sqs.delete_message_batch(QueueUrl=dead, Entries=_handles(messages))


def _let_go(sqs: "SQSClient", dead: str, messages: Sequence["MessageTypeDef"]) -> None:
    for start in range(0, len(messages), BATCH_SIZE):
        entries: Any = _handles(messages[start : start + BATCH_SIZE])
        sqs.change_message_visibility_batch(
            QueueUrl=dead, Entries=[entry | {"VisibilityTimeout": 0} for entry in entries]
        )


def _handles(messages: Sequence["MessageTypeDef"]) -> list[Any]:
    return [
        {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
        for index, message in enumerate(messages)
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
