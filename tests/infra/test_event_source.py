"""The local event source decides as Lambda's does which messages stay in the queue."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.messages import SettlePayment, each, encode, process_batch
from infra.local.event_source import EventSource, failed_ids

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = {"a", "b"}


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}]
)
def test_batch_without_reported_failures_is_deleted(answer: Any) -> None:
    assert failed_ids(answer, BATCH) == set()


def test_only_reported_messages_stay() -> None:
    assert failed_ids({"batchItemFailures": [{"itemIdentifier": "b"}]}, BATCH) == {"b"}


@pytest.mark.parametrize(
    "answer",
    [
        "", [], {"failures": []},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "a"}]},
        {"batchItemFailures": [{"itemIdentifier": "another batch's"}]},
    ],
)  # fmt: skip
def test_invalid_answer_keeps_the_whole_batch(answer: Any) -> None:
    assert failed_ids(answer, BATCH) is None


IDS = [f"PAY-01M82Y8T27997E9EYD0G6SK6M{digit}" for digit in "0123456789"]


@pytest.mark.parametrize("keeps_failures", [True, False])
def test_poison_is_dead_lettered_under_either_kind_of_event_source(
    keeps_failures: bool, sqs: "SQSClient"
) -> None:
    """The function knows which kind it has; the poison is the first payment."""
    name = f"payflow-kept-{keeps_failures}".lower()
    dead = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 5}
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})[
        "QueueUrl"
    ]
    settled: list[str] = []

    def settle(payment_id: str) -> None:
        if payment_id == IDS[0]:
            raise RuntimeError("poison")
        settled.append(payment_id)

    def function(event: Mapping[str, Any], _: Any) -> Any:
        return process_batch(event, {SettlePayment: each(settle)}, failures_are_kept=keeps_failures)

    source = EventSource(
        sqs, url, "arn:aws:sqs:ca-central-1:000000000000:payflow-kept", 0, "ca-central-1",
        function, keeps_failures=keeps_failures, wait_seconds=0,
    )  # fmt: skip
    send(sqs, url, IDS)
    assert source.poll() == 10
    assert sorted(settled) == IDS[1:], "the others of the batch are done at the first try"
    kept = [IDS[0]] if keeps_failures else IDS
    assert [source.poll() for _ in range(5)] == [len(kept)] * 4 + [0]
    letters = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    assert sorted(letter["Body"] for letter in letters) == [encode(SettlePayment(i)) for i in kept]


def test_failure_would_be_deleted_if_it_were_only_reported_where_nobody_listens(
    sqs: "SQSClient",
) -> None:
    url = sqs.create_queue(QueueName="payflow-unheard")["QueueUrl"]

    def function(event: Mapping[str, Any], _: Any) -> Any:
        return process_batch(event, {}, failures_are_kept=True)

    source = EventSource(
        sqs, url, "arn:aws:sqs:ca-central-1:000000000000:payflow-unheard", 0, "ca-central-1",
        function, keeps_failures=False, wait_seconds=0,
    )  # fmt: skip
    send(sqs, url, IDS[:1])
    assert source.poll() == 1
    assert source.poll() == 0


def send(sqs: "SQSClient", url: str, ids: Iterable[str]) -> None:
    sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": payment_id, "MessageBody": encode(SettlePayment(payment_id))}
            for payment_id in ids
        ],
    )
