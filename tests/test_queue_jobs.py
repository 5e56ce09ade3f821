"""Jobs on the wire, and what becomes of a batch."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import Unavailable
from chalicelib.queue_jobs import (
    Deliver,
    Job,
    MalformedJob,
    Message,
    Queue,
    SettlePayment,
    SettleRefund,
    UnknownJob,
    decode,
    encode,
    work_off,
)
from tests.conftest import SESSION
from tests.engines import free_port

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

JOB = SettlePayment("PAY-01M82Y8T27997E9EYD0G6SK6MT")


REFUND = SettleRefund("PAY-01M82Y8T27997E9EYD0G6SK6MT", "REF-01M82Y8T27997E9EYD0G6SK6MT")


DELIVERIES = [
    Deliver("DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 3),
    Deliver("DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 2),
]


@pytest.mark.parametrize("job", [JOB, REFUND, *DELIVERIES])
def test_a_job_survives_the_wire(job: Job) -> None:
    assert decode(encode(job)) == job


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
def test_a_body_that_will_never_be_a_job_is_malformed(body: str) -> None:
    with pytest.raises(MalformedJob):
        decode(body)


def test_a_job_of_a_type_that_is_not_known_may_be_a_newer_versions() -> None:
    with pytest.raises(UnknownJob):
        decode('{"type":"of_tomorrow","refund_id":"REF-1"}')


@given(body=st.text())
def test_any_text_is_a_job_or_is_refused(body: str) -> None:
    try:
        decode(body)
    except (MalformedJob, UnknownJob):
        return


def test_of_a_batch_the_failed_are_reported_the_hopeless_dropped_and_the_rest_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[str] = []

    def work(job: Job) -> None:
        assert isinstance(job, SettlePayment)
        if job.payment_id.endswith("0"):
            raise RuntimeError("poison")
        done.append(job.payment_id)

    ids = [f"PAY-01M82Y8T27997E9EYD0G6SK6M{digit}" for digit in "0123456"]
    messages = [Message(f"m{index}", encode(SettlePayment(name))) for index, name in enumerate(ids)]
    messages += [Message("malformed", "x"), Message("unknown", '{"type":"of_tomorrow"}')]
    assert work_off(messages, work) == ["m0", "unknown"]
    assert sorted(done) == ids[1:]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["message_id"]: line["kind"] for line in lines} == {
        "m0": "message_failed",
        "unknown": "message_failed",
        "malformed": "message_dropped",
    }


def test_a_batch_of_one_reports_its_failure_too() -> None:
    def fail(_: Job) -> None:
        raise RuntimeError("poison")

    assert work_off([Message("m", encode(JOB))], fail) == ["m"]


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "AccessDenied"])
def test_whatever_keeps_a_hint_from_being_sent_is_one_error(sqs: "SQSClient", code: str) -> None:
    with Stubber(sqs) as stub:
        stub.add_client_error("send_message", code)
        with pytest.raises(Unavailable):
            Queue(sqs, "http://queue").send(JOB)


def test_a_queue_that_is_out_of_reach_is_the_same_error() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    once = Config(connect_timeout=0.2, retries={"total_max_attempts": 1})
    sqs = SESSION.client("sqs", endpoint_url=nobody, config=once)
    with pytest.raises(Unavailable):
        Queue(sqs, nobody).send(JOB)
    with pytest.raises(Unavailable):
        Queue(sqs, nobody).check()
    sqs.close()


def test_hints_that_the_queue_refuses_are_not_counted_and_are_logged(
    sqs: "SQSClient", capsys: pytest.CaptureFixture[str]
) -> None:
    answer: Any = {
        "Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}],
        "Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}],
    }
    with Stubber(sqs) as stub:
        stub.add_response("send_message_batch", answer)
        assert Queue(sqs, "http://queue").send_all([JOB, JOB]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "hint_refused"
