"""Messages in a queue, and how a batch of them is processed."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.sqs import Queue
from chalicelib.errors import Unavailable
from chalicelib.messages import (
    BatchFailed,
    Deliver,
    Handlers,
    MalformedMessage,
    Message,
    SettlePayment,
    SettleRefund,
    UnknownMessage,
    decode,
    each,
    encode,
    enqueue_all,
    process_batch,
)
from infra.local.lambda_events import sqs_event
from tests.conftest import SESSION
from tests.engines import free_port

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PAYMENT = SettlePayment("PAY-01M82Y8T27997E9EYD0G6SK6MT")


REFUND = SettleRefund("PAY-01M82Y8T27997E9EYD0G6SK6MT", "REF-01M82Y8T27997E9EYD0G6SK6MT")


DELIVERIES = [
    Deliver("DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 3),
    Deliver("DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 2),
]


@pytest.mark.parametrize("message", [PAYMENT, REFUND, *DELIVERIES])
def test_message_survives_encoding(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "body",
    [
        "", "not json", "[]", "null", "7", "{}", '{"type":7}', '{"type":"settle_payment"}',
        '{"type":"settle_payment","payment_id":7}', '{"type":"settle_payment","payment_id":"x"}',
        '{"type":"settle_payment","payment_id":"PAY-../../1"}', "[" * 5000, "\ud800",
        '{"type":"settle_refund","refund_id":"REF-01M82Y8T27997E9EYD0G6SK6MT"}',
        encode(REFUND).replace("REF-", "PAY-"),
        '{"type":"deliver","delivery_id":"DLV-01M82Y8T27997E9EYD0G6SK6MT"}',
    ],
)  # fmt: skip
def test_body_that_can_never_be_a_message_is_malformed(body: str) -> None:
    with pytest.raises(MalformedMessage):
        decode(body)


def test_unknown_type_is_not_malformed_but_unknown() -> None:
    with pytest.raises(UnknownMessage):
        decode('{"type":"of_tomorrow","refund_id":"REF-1"}')


@given(body=st.text())
def test_any_text_is_decoded_or_refused(body: str) -> None:
    try:
        decode(body)
    except (MalformedMessage, UnknownMessage):
        return


def test_batch_reports_failures_drops_malformed_and_does_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[str] = []

    def settle(payment_id: str) -> None:
        if payment_id.endswith("0"):
            raise RuntimeError("poison")
        done.append(payment_id)

    ids = [f"PAY-01M82Y8T27997E9EYD0G6SK6M{digit}" for digit in "0123456"]
    bodies = [encode(SettlePayment(payment_id)) for payment_id in ids]
    event = sqs_event(*bodies, "malformed", '{"type":"of_tomorrow"}', encode(DELIVERIES[0]))
    answer = process_batch(event, {SettlePayment: each(settle)}, failures_are_kept=True)
    assert failures(answer) == [0, 8, 9]
    assert sorted(done) == ids[1:]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["message_id"]: line["kind"] for line in lines} == {
        "message-0": "message_failed",
        "message-7": "message_dropped",
        "message-8": "message_failed",
        "message-9": "message_failed",
    }


@pytest.mark.parametrize("fails", [False, True])
def test_message_that_comes_twice_in_a_batch_is_processed_once_and_both_are_reported(
    fails: bool,
) -> None:
    asked: list[str] = []

    def settle(payment_id: str) -> None:
        asked.append(payment_id)
        if fails:
            raise RuntimeError("poison")

    event = sqs_event(encode(PAYMENT), encode(PAYMENT))
    answer = process_batch(event, {SettlePayment: each(settle)}, failures_are_kept=True)
    assert asked == [PAYMENT.payment_id]
    assert failures(answer) == ([0, 1] if fails else [])


def test_handler_that_raises_fails_the_messages_of_its_type_only() -> None:
    settled: list[str] = []

    def fail(_: Any) -> Any:
        raise RuntimeError("a bug")

    def settle_refund(payment_id: str, refund_id: str) -> None:
        settled.append(refund_id)

    event = sqs_event(encode(PAYMENT), encode(REFUND))
    handlers = {SettlePayment: fail, SettleRefund: each(settle_refund)}
    assert failures(process_batch(event, handlers, failures_are_kept=True)) == [0]
    assert settled == [REFUND.refund_id]


def test_batch_of_one_reports_its_failure() -> None:
    def fail(payment_id: str) -> None:
        raise RuntimeError("poison")

    event = sqs_event(encode(PAYMENT))
    answer = process_batch(event, {SettlePayment: each(fail)}, failures_are_kept=True)
    assert failures(answer) == [0]


def test_batch_with_a_failure_raises_where_failures_are_not_kept_after_the_rest_is_done() -> None:
    done: list[str] = []

    def settle(payment_id: str) -> None:
        if payment_id.endswith("0"):
            raise RuntimeError("poison")
        done.append(payment_id)

    ids = [f"PAY-01M82Y8T27997E9EYD0G6SK6M{digit}" for digit in "0123"]
    bodies = [encode(SettlePayment(payment_id)) for payment_id in ids]
    handlers: Handlers = {SettlePayment: each(settle)}
    with pytest.raises(BatchFailed, match="1 of 4 messages failed"):
        process_batch(sqs_event(*bodies), handlers, failures_are_kept=False)
    assert sorted(done) == ids[1:]
    answer = process_batch(sqs_event(*bodies[1:]), handlers, failures_are_kept=False)
    assert failures(answer) == []


def failures(answer: dict[str, Any]) -> list[int]:
    """The places of the records that are to be delivered again."""
    return [
        int(failure["itemIdentifier"].removeprefix("message-"))
        for failure in answer["batchItemFailures"]
    ]


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "AccessDenied"])
def test_every_refusal_of_sqs_is_unavailable(sqs: "SQSClient", code: str) -> None:
    with Stubber(sqs) as stub:
        stub.add_client_error("send_message", code)
        with pytest.raises(Unavailable):
            Queue(sqs, "http://queue").send(encode(PAYMENT))


def test_unreachable_queue_is_unavailable() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    once = Config(connect_timeout=0.2, retries={"total_max_attempts": 1})
    sqs = SESSION.client("sqs", endpoint_url=nobody, config=once)
    with pytest.raises(Unavailable):
        Queue(sqs, nobody).send(encode(PAYMENT))
    with pytest.raises(Unavailable):
        Queue(sqs, nobody).check()
    sqs.close()


def test_queue_without_a_url_is_looked_up_by_its_name_on_first_use_and_once(
    sqs: "SQSClient",
) -> None:
    queue = Queue(sqs, "", name="payflow-found-later")
    with pytest.raises(Unavailable, match="QueueDoesNotExist"):
        queue.send("too early")
    url = sqs.create_queue(QueueName="payflow-found-later")["QueueUrl"]
    queue.send("found")
    with Stubber(sqs) as stub:  # it would refuse a second look
        stub.add_response("send_message", {"MessageId": "2"}, {
            "QueueUrl": url, "MessageBody": "known", "DelaySeconds": 0,
        })  # fmt: skip
        queue.send("known")
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in received] == ["found"]


def test_messages_that_sqs_refuses_are_logged_and_not_counted(
    sqs: "SQSClient", capsys: pytest.CaptureFixture[str]
) -> None:
    answer: Any = {
        "Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}],
        "Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}],
    }
    with Stubber(sqs) as stub:
        stub.add_response("send_message_batch", answer)
        assert enqueue_all(Queue(sqs, "http://queue"), [PAYMENT, PAYMENT]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "enqueue_refused"
