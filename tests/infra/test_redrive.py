"""What redrive moves, keeps and never does, on an SQS in this process."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.messages import Deliver, SettlePayment, encode
from infra.ops import redrive as module
from infra.ops.redrive import Redriven, redrive, report
from tests.conftest import START

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PAYMENT = encode(SettlePayment("PAY-01M82Y8T27997E9EYD0G6SK6MT"))
DELIVERY = encode(Deliver(f"DLV-{'01M82Y8T27997E9EYD0G6SK6MT' * 3}"))


@pytest.fixture
def source(sqs: "SQSClient") -> str:
    return sqs.create_queue(QueueName="payflow-webhooks-test")["QueueUrl"]


@pytest.fixture
def dead(sqs: "SQSClient", monkeypatch: pytest.MonkeyPatch) -> str:
    """It has SQS's own time to the millisecond, so that a test need not wait for a second."""
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0)
    monkeypatch.setattr(module, "_sqs_time", lambda _: datetime.now(UTC))
    return sqs.create_queue(QueueName="payflow-webhooks-dlq-test")["QueueUrl"]


def bodies(sqs: "SQSClient", url: str) -> list[str]:
    found: list[str] = []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in batch]
    return found


def put(sqs: "SQSClient", url: str, body: str, times: int = 1) -> None:
    for _ in range(times):
        sqs.send_message(QueueUrl=url, MessageBody=body)


def run(sqs: "SQSClient", **how: Any) -> Redriven:
    redriven = Redriven()
    redrive(sqs, "test", "webhooks", redriven, **how)
    return redriven


def test_redrive_moves_all_dead_letters(sqs: "SQSClient", source: str, dead: str) -> None:
    put(sqs, dead, PAYMENT, 23)
    assert run(sqs).moved == 23
    assert bodies(sqs, source) == [PAYMENT] * 23
    assert bodies(sqs, dead) == []


def test_redrive_moves_at_most_the_given_number(sqs: "SQSClient", source: str, dead: str) -> None:
    put(sqs, dead, PAYMENT, 23)
    assert run(sqs, most=12).moved == 12
    assert len(bodies(sqs, source)) == 12
    assert len(bodies(sqs, dead)) == 11


def test_dry_run_moves_nothing_and_leaves_messages_visible(
    sqs: "SQSClient", source: str, dead: str
) -> None:
    put(sqs, dead, PAYMENT, 23)
    assert run(sqs, is_dry=True).moved == 23
    assert bodies(sqs, source) == []
    assert len(bodies(sqs, dead)) == 23


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("no message", "not a valid message"),
        ('{"type": "settle_payment", "payment_id": "x"}', "not a valid message: payment_id"),
        ('{"type": "of a version to come"}', "not a valid message: type 'of a version"),
        (DELIVERY, "not for this queue: Deliver"),
    ],
)
def test_foreign_message_stays_with_a_reason(
    sqs: "SQSClient", source: str, dead: str, body: str, reason: str
) -> None:
    put(sqs, dead, body)
    put(sqs, dead, PAYMENT)
    redriven = run(sqs)
    assert redriven.moved == 1
    (why,) = redriven.kept.values()
    assert why.startswith(reason)
    assert why in report("webhooks", redriven)
    assert bodies(sqs, source) == [PAYMENT]
    assert bodies(sqs, dead) == [body]


def test_redrive_ends_even_if_every_message_returns_at_once(
    sqs: "SQSClient", dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each failed again in no time."""
    put(sqs, dead, PAYMENT, 7)
    time.sleep(0.002)  # SQS dates messages to the millisecond
    began = datetime.now(UTC)
    monkeypatch.setattr(module, "_queues", lambda *_: (dead, dead, began))
    assert run(sqs, most=50).moved == 7
    assert len(bodies(sqs, dead)) == 7


def test_messages_sent_after_the_start_are_left(
    sqs: "SQSClient", source: str, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_queues", lambda *_: (source, dead, START))
    put(sqs, dead, PAYMENT, 3)
    redriven = run(sqs)
    assert redriven.moved == 0
    assert set(redriven.kept.values()) == {"sent after this began; run this again"}
    assert len(bodies(sqs, dead)) == 3


def test_message_that_was_not_sent_is_not_deleted(
    sqs: "SQSClient", source: str, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    put(sqs, dead, PAYMENT, 2)
    with monkeypatch.context() as patch:
        patch.setattr(sqs, "send_message_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(sqs)
    assert run(sqs).moved == 2
    assert bodies(sqs, source) == [PAYMENT] * 2


def test_message_that_its_queue_refuses_stays(
    sqs: "SQSClient", source: str, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sqs, dead, PAYMENT, 2)
    send = sqs.send_message_batch

    def refuse_one(*, QueueUrl: str, Entries: Any) -> Any:  # noqa: N803 (boto3's names)
        refused = {"Id": Entries[1]["Id"], "Code": "InternalError", "SenderFault": False}
        return send(QueueUrl=QueueUrl, Entries=Entries[:1]) | {"Failed": [refused]}

    monkeypatch.setattr(sqs, "send_message_batch", refuse_one)
    redriven = run(sqs)
    assert redriven.moved == 1
    assert list(redriven.kept.values()) == ["refused by its queue: InternalError"]
    assert len(bodies(sqs, source)) == len(bodies(sqs, dead)) == 1
