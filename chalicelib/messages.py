"""SQS messages: their types, how they are enqueued and how a batch is processed.

Guarantee: a message only says "look at this row", so that losing, repeating or reordering one is
harmless. A worker reports a failed message to SQS if a retry can help. Otherwise it logs why and
drops the message:

    the body is not a message          dropped: a retry cannot help
    the type is unknown                reported: a newer version may be rolling out
    its handler raised                 reported: after five receives, the dead letter queue
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final, TypeVar

from chalicelib import exact_json
from chalicelib.aws.sqs import BATCH_SIZE, Queue
from chalicelib.errors import MalformedJson, Unavailable
from chalicelib.telemetry import count, log, log_exception
from chalicelib.values import DELIVERY_ID, EXPORT_ID, PAYMENT_ID, REFUND_ID


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


@dataclass(frozen=True)
class RunExport:
    """Look at this export, and go on with it if no worker holds it."""

    export_id: str


Message = SettlePayment | SettleRefund | Deliver | RunExport
Failures = dict[Message, Exception]
Handler = Callable[[Sequence[Any]], Failures]
"""Handles the messages of one type in a batch, each of them once, and returns the errors."""
Handlers = Mapping[type[Message], Handler]

_TYPES: Final[Mapping[str, type[Message]]] = {
    "settle_payment": SettlePayment,
    "settle_refund": SettleRefund,
    "deliver": Deliver,
    "run_export": RunExport,
}
_IDS: Final = {
    "payment_id": PAYMENT_ID,
    "refund_id": REFUND_ID,
    "delivery_id": DELIVERY_ID,
    "export_id": EXPORT_ID,
}


One = TypeVar("One")
Result = TypeVar("Result")


class MalformedMessage(Exception):
    """The body is not a message: a retry cannot help."""


class UnknownMessage(Exception):
    """A message of a type that this version, or this queue's worker, does not know."""


class BatchFailed(Exception):
    """A message of the batch failed, and only the whole batch can be kept."""


def enqueue(
    queue: Queue, messages: Sequence[Message], *, stage: str, delay_seconds: int = 0
) -> None:
    """Enqueue messages after a commit. If SQS is down, log and count them: the sweeper retries."""
    try:
        if len(messages) == 1:
            queue.send(encode(messages[0]), delay_seconds=delay_seconds)
        else:
            enqueue_all(queue, messages)
    except Unavailable as error:
        for message in messages:
            log("enqueue_failed", **vars(message), reason=error.detail)
        count(stage, EnqueueFailures=len(messages))


def enqueue_all(queue: Queue, messages: Iterable[Message]) -> int:
    """Enqueue messages, ten per call, and return how many SQS accepted. Raises Unavailable."""
    accepted = 0
    remaining = iter(messages)
    while batch := [encode(message) for message in islice(remaining, BATCH_SIZE)]:
        refused = queue.send_batch(batch)
        accepted += len(batch) - len(refused)
        for position, code in refused.items():
            log("enqueue_refused", message=batch[position], code=code)
    return accepted


def encode(message: Message) -> str:
    """Return the body of the SQS message."""
    (name,) = (name for name, of_type in _TYPES.items() if isinstance(message, of_type))
    return exact_json.dumps({"type": name, **vars(message)})


def decode(body: str) -> Message:
    """Read the body of an SQS message. Raises MalformedMessage or UnknownMessage."""
    try:
        content = exact_json.loads(body.encode("utf-8", "surrogatepass"))
    except MalformedJson as error:
        raise MalformedMessage(error.detail) from error
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise MalformedMessage("the body is not an object with a type")
    if content["type"] not in _TYPES:
        raise UnknownMessage(f"type {content['type'][:40]!a}")
    message_type = _TYPES[content["type"]]
    return message_type(**{field.name: _id(content, field.name) for field in fields(message_type)})


def _id(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not _IDS[name].fullmatch(value):
        raise MalformedMessage(f"{name} is not an id of this service")
    return value


def process_batch(
    event: Mapping[str, Any], handlers: Handlers, *, failures_are_kept: bool
) -> dict[str, Any]:
    """Process the records of a Lambda SQS event in parallel, and report those to retry.

    Unless the queue's event source keeps what is reported, raises BatchFailed if any record
    failed: Lambda would delete it, and keeps a batch whose function raises. To process the other
    records again changes nothing.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    records = event["Records"]
    read: dict[str, Message] = {}
    errors: dict[str, Exception] = {}
    for record in records:
        try:
            read[record["messageId"]] = _read(record["body"], handlers)
        except MalformedMessage as malformed:
            log("message_dropped", message_id=record["messageId"], reason=str(malformed))
        except UnknownMessage as unknown:
            errors[record["messageId"]] = unknown
    failures = _handled(dict.fromkeys(read.values()), handlers)
    errors |= {name: failures[message] for name, message in read.items() if message in failures}
    for message_id, error in errors.items():
        log_exception("message_failed", error, message_id=message_id)
    ids = [record["messageId"] for record in records]
    failed = [message_id for message_id in ids if message_id in errors]
    if failed and not failures_are_kept:
        raise BatchFailed(f"{len(failed)} of {len(ids)} messages failed; all come again.")
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _read(body: str, handlers: Handlers) -> Message:
    message = decode(body)
    if type(message) not in handlers:
        raise UnknownMessage(f"{type(message).__name__} is not for this queue")
    return message


def _handled(messages: Collection[Message], handlers: Handlers) -> Failures:
    """Pass each handler its messages, all at the same time, and return the errors."""

    def failures(kind: type[Message]) -> Failures:
        of_kind = [message for message in messages if isinstance(message, kind)]
        try:
            return handlers[kind](of_kind)
        except Exception as error:  # must not stop the other messages of the batch
            return dict.fromkeys(of_kind, error)

    found = in_parallel(failures, {type(message) for message in messages})
    return dict(failure for one in found for failure in one.items())


def each(handle: Callable[..., None]) -> Handler:
    """Return a handler that passes the fields of each message to `handle`, in parallel."""

    def failure(message: Message) -> Exception | None:
        try:
            handle(**vars(message))
        except Exception as error:  # must not stop the other messages of the batch
            return error
        return None

    def handle_all(messages: Sequence[Message]) -> Failures:
        errors = in_parallel(failure, messages)
        return {one: error for one, error in zip(messages, errors, strict=True) if error}

    return handle_all


def in_parallel(do: Callable[[One], Result], ones: Collection[One]) -> list[Result]:
    """Return what `do` returns for each, in their order."""
    if len(ones) <= 1:  # no thread needed
        return [do(one) for one in ones]
    with ThreadPoolExecutor(max_workers=len(ones)) as pool:
        return list(pool.map(do, ones))
