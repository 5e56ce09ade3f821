"""The work queues: typed jobs, and the only module that talks to SQS.

Guarantee: a message is a hint and nothing more, so losing, repeating or reordering one is
harmless. What a worker cannot finish is reported back to the queue when another try could
help, and dropped with a logged reason when it could not:

    body is not a job at all          dropped: it will never be one
    type this version does not know   reported: a newer version may be on its way
    the work raised                   reported: after three receives, the dead letter queue
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import exact_json
from chalicelib.errors import MalformedJson, Unavailable
from chalicelib.model import PAYMENT_ID, REFUND_ID
from chalicelib.telemetry import count, log, log_exception
from chalicelib.webhook_model import DELIVERY_ID

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH_SIZE: Final = 10
"""SQS sends at most 10 messages in a call, and hands a Lambda as many in ours."""

MAX_DELAY: Final = timedelta(minutes=15)
"""SQS keeps no message back for longer."""


@dataclass(frozen=True)
class SettlePayment:
    """Look at this payment, and settle it if it is still processing."""

    payment_id: str


@dataclass(frozen=True)
class SettleRefund:
    """Look at this refund, and settle it if it is still processing."""

    payment_id: str
    refund_id: str


@dataclass(frozen=True)
class Deliver:
    """Look at this delivery, and make its next attempt if that is due."""

    delivery_id: str


Job = SettlePayment | SettleRefund | Deliver
_TYPES: Final[Mapping[str, type[Job]]] = {
    "settle_payment": SettlePayment,
    "settle_refund": SettleRefund,
    "deliver": Deliver,
}
_IDS: Final = {"payment_id": PAYMENT_ID, "refund_id": REFUND_ID, "delivery_id": DELIVERY_ID}


@dataclass(frozen=True)
class Message:
    """One SQS message, as a Lambda receives it."""

    id: str
    body: str


class MalformedJob(Exception):
    """The body is not a job, and no retry will make it one."""


class UnknownJob(Exception):
    """A job, but of a type that this version does not know."""


class Queue:
    """One queue of one stage."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, job: Job, *, delay_seconds: int = 0) -> None:
        """Send one hint, in one try, to be seen after so long. Raises Unavailable."""
        with _any_failure_is_unavailable():
            self._sqs.send_message(
                QueueUrl=self._url, MessageBody=encode(job), DelaySeconds=delay_seconds
            )

    def send_all(self, jobs: Iterable[Job]) -> int:
        """Send hints ten to a call; returns how many SQS took. Raises Unavailable."""
        taken = 0
        remaining = iter(jobs)
        while batch := list(islice(remaining, BATCH_SIZE)):
            with _any_failure_is_unavailable():
                answer = self._sqs.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(index), "MessageBody": encode(job)}
                        for index, job in enumerate(batch)
                    ],
                )
            taken += len(answer.get("Successful", []))
            for refusal in answer.get("Failed", []):
                log("hint_refused", job=encode(batch[int(refusal["Id"])]), code=refusal["Code"])
        return taken

    def check(self) -> None:
        """Raises Unavailable when the queue does not answer, for whatever reason."""
        with _any_failure_is_unavailable():
            self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


def hint(queue: Queue, job: Job, *, stage: str) -> None:
    """Send a hint of what is committed. One that is lost is logged, and left to the sweeper."""
    try:
        queue.send(job)
    except Unavailable as error:
        log("hint_lost", **vars(job), reason=error.detail)
        count(stage, HintsLost=1)


def encode(job: Job) -> str:
    (name,) = (name for name, of_type in _TYPES.items() if isinstance(job, of_type))
    return exact_json.dumps({"type": name, **vars(job)})


def decode(body: str) -> Job:
    """Raises MalformedJob or UnknownJob."""
    try:
        content = exact_json.loads(body.encode("utf-8", "surrogatepass"))
    except MalformedJson as error:
        raise MalformedJob(error.detail) from error
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise MalformedJob("the body is not an object with a type")
    if content["type"] not in _TYPES:
        raise UnknownJob(f"type {content['type'][:40]!a}")
    job = _TYPES[content["type"]]
    return job(**{field.name: _id(content, field.name) for field in fields(job)})


def _id(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not _IDS[name].fullmatch(value):
        raise MalformedJob(f"{name} is not an id of ours")
    return value


@contextmanager
def _any_failure_is_unavailable() -> Iterator[None]:
    """A hint that was not taken is not taken, be it a timeout or a queue that is gone."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The queue does not answer: {type(error).__name__}.") from error


def work_off(messages: Sequence[Message], work: Callable[[Job], None]) -> list[str]:
    """Do the messages' jobs at the same time; returns the ids of those to be tried again."""
    if len(messages) == 1:  # a thread would buy nothing
        done = [_work_off_one(messages[0], work)]
    else:
        with ThreadPoolExecutor(max_workers=BATCH_SIZE) as pool:
            done = list(pool.map(lambda message: _work_off_one(message, work), messages))
    return [message.id for message, is_done in zip(messages, done, strict=True) if not is_done]


def _work_off_one(message: Message, work: Callable[[Job], None]) -> bool:
    try:
        work(decode(message.body))
    except MalformedJob as error:
        log("message_dropped", message_id=message.id, reason=str(error))
        return True
    except Exception as error:  # whatever it was, the other nine go on
        log_exception("message_failed", error, message_id=message.id)
        return False
    return True
