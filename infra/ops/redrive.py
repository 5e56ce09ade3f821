"""`make redrive`: move dead letters back to the queue that they came from.

Guarantee: a message is deleted from the dead letter queue only after its own queue has accepted
it. If the command is interrupted, a message may be in both queues, and handling it twice does no
harm. The command ends: it moves only messages that were sent before it began, so a message that
fails again stays for the next run. Messages that do not belong to the queue stay and are listed.

It receives, sends and deletes, which works on AWS and on the local stack. SQS's own
StartMessageMoveTask would also move messages that can only fail again.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import boto3

from chalicelib.aws.sqs import BATCH_SIZE
from chalicelib.messages import (
    Deliver,
    MalformedMessage,
    Message,
    RunExport,
    SettlePayment,
    SettleRefund,
    UnknownMessage,
    decode,
)
from infra import cli
from infra.ops import stages

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

QUEUES: Final[Mapping[str, tuple[type[Message], ...]]] = {
    "webhooks": (SettlePayment, SettleRefund),
    "deliveries": (Deliver,),
    "exports": (RunExport,),
}
"""The messages that each queue's function handles."""

_HIDDEN_SECONDS: Final = 120
"""How long a received message stays hidden: longer than a batch takes."""
_WAIT_SECONDS: Final = 1
_SHOWN: Final = 100


@dataclass
class Redriven:
    """The result of one run for a dead letter queue."""

    moved: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    """Why messages stayed, by message id."""


def main(arguments: list[str]) -> None:
    parser = cli.parser("redrive", __doc__)
    parser.add_argument("--queue", default="", choices=["", *QUEUES], help="redrive only this one")
    parser.add_argument(
        "--most", type=cli.number, default=sys.maxsize, help="the limit for each queue"
    )
    parser.add_argument("--dry-run", action="store_true", help="list, but move nothing")
    asked = parser.parse_args(arguments)
    stopped = "Stopped. No message is lost; run it again for the rest"
    try:
        with stages.operated(asked.stage, stopped):
            sqs = boto3.client("sqs", region_name=os.environ["AWS_REGION"])
            for kind in [asked.queue] if asked.queue else QUEUES:
                redriven = Redriven()
                try:
                    redrive(sqs, asked.stage, kind, redriven, most=asked.most, is_dry=asked.dry_run)
                finally:
                    print(report(kind, redriven, is_dry=asked.dry_run), flush=True)
    except KeyboardInterrupt:
        sys.exit(f"{stopped}.")


def redrive(
    sqs: "SQSClient",
    stage: str,
    kind: str,
    redriven: Redriven,
    *,
    most: int = sys.maxsize,
    is_dry: bool = False,
) -> None:
    """Move up to `most` dead letters of the queue `kind`, and record them in `redriven`.

    Raises boto3 errors.
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
        # Make the messages that stay visible again at once.
        _let_go(sqs, dead, held)


def report(kind: str, redriven: Redriven, *, is_dry: bool = False) -> str:
    verb = "would be moved" if is_dry else "moved"
    lines = [f"{kind}: {redriven.moved} {verb}, {len(redriven.kept)} kept"]
    lines += [f"  kept {key}: {why}" for key, why in list(redriven.kept.items())[:_SHOWN]]
    if len(redriven.kept) > _SHOWN:
        lines.append(f"  and {len(redriven.kept) - _SHOWN} more")
    return "\n".join(lines)


def _queues(sqs: "SQSClient", stage: str, kind: str) -> tuple[str, str, datetime]:
    """Return the URLs of the queue and of its dead letter queue, and SQS's time."""
    answer = sqs.get_queue_url(QueueName=f"payflow-{kind}-{stage}")
    dead = sqs.get_queue_url(QueueName=f"payflow-{kind}-dlq-{stage}")["QueueUrl"]
    return answer["QueueUrl"], dead, _sqs_time(answer)


def _sqs_time(answer: Any) -> datetime:
    """Read SQS's clock, which dates the messages, rounded down to the second.

    A dead letter is always older than a second.
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
        return "received twice; run this again"
    if int(message["Attributes"]["SentTimestamp"]) > began.timestamp() * 1000:
        return "sent after this began; run this again"
    try:
        job = decode(message["Body"])
    except (MalformedMessage, UnknownMessage) as error:
        return f"not a valid message: {error}"
    if not isinstance(job, QUEUES[kind]):
        return f"not for this queue: {type(job).__name__}"
    return None


def _send(
    sqs: "SQSClient", source: str, messages: Sequence["MessageTypeDef"], redriven: Redriven
) -> list["MessageTypeDef"]:
    """Send the messages; return those that the queue accepted."""
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
        redriven.kept[refused] = f"refused by its queue: {refusal['Code']}"
    return [messages[int(taken["Id"])] for taken in answer.get("Successful", [])]


def _delete(sqs: "SQSClient", dead: str, messages: Sequence["MessageTypeDef"]) -> None:
    """Delete the messages. If one stays, it is only processed once more."""
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
