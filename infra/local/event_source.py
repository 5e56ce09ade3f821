"""Emulates Lambda's event source mapping between an SQS queue and a function.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html: batches of up to
ten; messages that the function reports as failed stay hidden until their visibility timeout ends,
the others are deleted; if the function raises or its answer is invalid, the whole batch stays.

On AWS the visibility timeout is six times the function's timeout, so that no message returns while
it is being processed. The local queue's timeout is short, so that failed messages are retried
soon. So a batch is hidden for `WORK_SECONDS`, and failed messages then for the queue's timeout.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chalicelib.telemetry import log, log_exception

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

BATCH_SIZE: Final = 10
WAIT_SECONDS: Final = 1
"""How long a receive waits for a message. The emulator cannot stop before it ends."""

WORK_SECONDS: Final = 60
"""Longer than the simulator's slowest answer."""

LambdaFunction = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True)
class EventSource:
    """One queue, and the function that it feeds."""

    sqs: "SQSClient"
    queue_url: str
    queue_arn: str
    retry_seconds: int
    region: str
    function: LambdaFunction
    keeps_failures: bool = True
    """The mapping has `ReportBatchItemFailures`; without it Lambda ignores what is answered."""
    batch_size: int = BATCH_SIZE
    wait_seconds: int = WAIT_SECONDS
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while a poller waits for messages. The pollers of a queue share it: the next one asks
    once the first one has work, so that an idle queue is asked by one."""
    working: threading.Lock = field(default_factory=threading.Lock)
    """Held while a batch is processed, until its messages are deleted."""

    def poll(self) -> int:
        """Receive and process one batch; return its size. Raises boto3 errors."""
        with self.turn:
            messages = self._receive()
        if messages:
            with self.working:
                kept = self._invoke(messages)
                self._delete([message for message in messages if message["MessageId"] not in kept])
                self._let_go([message for message in messages if message["MessageId"] in kept])
        return len(messages)

    def _receive(self) -> list["MessageTypeDef"]:
        return self.sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=self.batch_size,
            WaitTimeSeconds=self.wait_seconds,
            VisibilityTimeout=WORK_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])

    def _invoke(self, messages: Sequence["MessageTypeDef"]) -> set[str]:
        """Call the function; return the ids of the messages that stay in the queue."""
        ids = {message["MessageId"] for message in messages}
        event = {"Records": [self._record(message) for message in messages]}
        try:
            answer = self.function(event, None)
        except Exception as error:  # a crash: the whole batch is retried
            log_exception("function_raised", error)
            return ids
        failed = failed_ids(answer, ids) if self.keeps_failures else set()
        if failed is None:
            log("function_answer_invalid", answer=repr(answer)[:200])
            return ids
        return failed

    def _delete(self, messages: Sequence["MessageTypeDef"]) -> None:
        if messages:
            self.sqs.delete_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                    for index, message in enumerate(messages)
                ],
            )

    def _let_go(self, messages: Sequence["MessageTypeDef"]) -> None:
        if messages:
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": message["ReceiptHandle"],
                        "VisibilityTimeout": self.retry_seconds,
                    }
                    for index, message in enumerate(messages)
                ],
            )

    def _record(self, message: "MessageTypeDef") -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: {field[0].lower() + field[1:]: part for field, part in value.items()}
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": self.region,
        }


def failed_ids(answer: Any, batch: set[str]) -> set[str] | None:
    """Return the ids reported as failed, or None if Lambda would retry the whole batch."""
    if answer is None or answer == {}:
        return set()
    if not isinstance(answer, Mapping) or "batchItemFailures" not in answer:
        return None
    failures = answer["batchItemFailures"] or []
    ids: set[Any] = {
        failure.get("itemIdentifier") for failure in failures if isinstance(failure, Mapping)
    }
    is_sound = len(ids) == len(failures) and ids <= batch
    return ids if is_sound else None
