"""An SQS queue: the only module that calls SQS.

Guarantee: every failed call raises Unavailable, whether it timed out or the queue does not exist.
After a timeout, the message may still be in the queue.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH_SIZE: Final = 10
"""Messages in one call (SQS's limit), and in one Lambda invocation (our choice)."""

MAX_DELAY: Final = timedelta(minutes=15)
"""SQS's limit for delaying a message."""


class Queue:
    """One queue of one stage, by its URL; without one by its name, on first use."""

    def __init__(self, sqs: "SQSClient", url: str, *, name: str = "") -> None:
        self._sqs = sqs
        self._known_url = url
        self._name = name

    @cached_property
    def _url(self) -> str:
        return self._known_url or self._sqs.get_queue_url(QueueName=self._name)["QueueUrl"]

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """Send one message, perhaps twice. Raises Unavailable."""
        with _failure_is_unavailable():
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_seconds)

    def send_batch(self, bodies: Sequence[str]) -> Mapping[int, str]:
        """Send at most `BATCH_SIZE` messages, perhaps twice.

        Returns the error code of each message that SQS refused, by its position in `bodies`.
        Raises Unavailable.
        """
        with _failure_is_unavailable():
            answer = self._sqs.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(position), "MessageBody": body}
                    for position, body in enumerate(bodies)
                ],
            )
        return {int(refused["Id"]): refused["Code"] for refused in answer.get("Failed", [])}

    def check(self) -> None:
        """Raise Unavailable unless the queue answers."""
        with _failure_is_unavailable():
            self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


@contextmanager
def _failure_is_unavailable() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The queue does not answer: {type(error).__name__}.") from error
