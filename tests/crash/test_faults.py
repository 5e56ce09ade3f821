"""The harness itself: a fault that does not happen as described would prove nothing."""

import json
from typing import Any

import pytest
from botocore.parsers import create_parser

from tests.conftest import SESSION
from tests.crash.faults import POST, Answer, Call, Fault, Indexes, Plan, refusal
from tests.crash.merchant import Request, Wish
from tests.crash.proxy import _without_delay

TRANSACTION = Call("TransactWriteItems", {"TransactItems": [{}, {}, {}]})
UPDATE = Call("UpdateItem", {})
SEND = Call("SendMessage", {"DelaySeconds": 5})


def query(lower: str = "a", upper: str = "z", **more: Any) -> Call:
    values = {":hash": {"S": "processing"}, ":lower": {"S": lower}, ":upper": {"S": upper}}
    names = {"#hash": "status", "#range": "createdAt"}
    body = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return Call("Query", {"IndexName": "status-createdAt-index", **body, **more})


def listed(*keys: str) -> Answer:
    items = [{"createdAt": {"S": key}} for key in keys]
    return Answer(200, "", json.dumps({"Items": items, "Count": len(items)}).encode())


def keys(answer: Answer) -> list[str]:
    return [item["createdAt"]["S"] for item in json.loads(answer.body)["Items"]]


def test_fault_hits_its_call_or_the_next_one_possible() -> None:
    plan = Plan(Fault.CONFLICT, at=2)
    calls = [UPDATE, Call("GetItem", {}), SEND, TRANSACTION, TRANSACTION]
    assert [plan.meets(number, call) for number, call in enumerate(calls, 1)] == [
        False, False, False, True, False,
    ]  # fmt: skip
    assert plan.met == ["TransactWriteItems"]


def test_wide_fault_hits_consecutive_calls() -> None:
    plan = Plan(Fault.BROKEN, at=1, wide=3)
    assert [plan.meets(number, UPDATE) for number in range(1, 6)] == [True] * 3 + [False] * 2


def test_faults_of_aws_hit_no_merchant() -> None:
    to_a_merchant = Call(POST, {})
    met = {fault for fault in Fault if to_a_merchant.may_meet(fault)}
    assert met.isdisjoint({Fault.THROTTLED, Fault.CONFLICT, Fault.PARTIAL, Fault.STALE_OLD})
    assert {Fault.KILL_AFTER, Fault.CUT_AFTER, Fault.STOP_BEFORE, Fault.BROKEN} <= met


@pytest.mark.parametrize(
    ("fault", "call", "code"),
    [
        (Fault.CONFLICT, UPDATE, "TransactionConflictException"),
        (Fault.CONFLICT, TRANSACTION, "TransactionCanceledException"),
        (Fault.THROTTLED, UPDATE, "ProvisionedThroughputExceededException"),
        (Fault.THROTTLED, TRANSACTION, "TransactionCanceledException"),
        (Fault.THROTTLED, SEND, "RequestThrottled"),
        (Fault.BROKEN, UPDATE, "InternalServerError"),
    ],
)
def test_botocore_reads_a_faked_refusal_like_one_of_aws(
    fault: Fault, call: Call, code: str
) -> None:
    answer = refusal(fault, call)
    told = {"status_code": answer.status, "headers": {}, "body": answer.body}
    model = SESSION.client("dynamodb").meta.service_model.operation_model("TransactWriteItems")
    assert model.output_shape is not None
    parsed = create_parser("json").parse(told, model.output_shape)
    assert parsed["Error"]["Code"] == code
    if call is TRANSACTION:
        reasons = json.loads(answer.body)["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == [
            {Fault.CONFLICT: "TransactionConflict", Fault.THROTTLED: "ThrottlingError"}[fault],
            "None",
            "None",
        ]


def test_stale_index_lists_items_that_left_it_within_the_query() -> None:
    indexes = Indexes()
    indexes.watch(query(), listed("b", "d", "f"))
    indexes.watch(query(), listed("g"))
    late = indexes.late(Fault.STALE_OLD, query(lower="c", ScanIndexForward=False), listed("g"))
    assert keys(late) == ["g", "f", "d"]
    assert keys(indexes.late(Fault.STALE_OLD, query(Limit=2), listed("g"))) == ["b", "d"]
    assert keys(indexes.late(Fault.STALE_MISSING, query(), listed("g"))) == []


def test_a_message_without_its_delay_is_a_whole_request() -> None:
    body = json.dumps(SEND.body).encode()
    request = b"POST / HTTP/1.1\r\nHost: sqs\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    head, _, rest = _without_delay(SEND, request).partition(b"\r\n\r\n")
    assert json.loads(rest) == {"DelaySeconds": 0}
    assert head.split(b"\r\n") == [
        b"POST / HTTP/1.1", b"Host: sqs", b"Content-Length: %d" % len(rest),
    ]  # fmt: skip


def answer(status: int, body: str, **headers: str) -> dict[str, Any]:
    return {"statusCode": status, "body": body, "headers": headers}


def asked(*answers: dict[str, Any] | None) -> Request:
    request = Request(Wish.CREATE, {"idempotency_key": "a-key"})
    for one in answers:
        request.event()
        request.hear(one)
    return request


def test_client_reports_a_key_that_created_two_or_answers_that_differ() -> None:
    replay = {"Idempotent-Replayed": "true"}
    assert not asked(None, answer(200, "{}", **replay), answer(200, "{}", **replay)).complaints
    assert not asked(answer(201, "{}"), answer(200, "{}", **replay)).complaints
    assert asked(answer(201, "{}"), answer(201, "{}")).complaints
    assert asked(answer(201, "{}"), answer(200, '{"other": 1}', **replay)).complaints
    assert asked(answer(200, "{}", **replay)).complaints, "to the first request of a key"
    assert asked(answer(500, '{"code": "internal"}')).complaints
    assert asked(answer(503, '{"code": "unavailable"}')).complaints, "without Retry-After"
