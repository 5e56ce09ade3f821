"""The answers of hot calls are read as botocore reads them, errors too."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.parsers import ResponseParserError, create_parser

from chalicelib.aws.answers import PLAIN, Parsers
from tests.engines import ROOT

ITEM = {
    "PK": {"S": "PAY#é\u2028\U0001f4b8"},
    "amount": {"N": "12345678901234567890.1234567890"},
    "version": {"N": "2"},
    "isCounted": {"BOOL": True},
    "nothing": {"NULL": True},
    "data": {"M": {"refund": {"M": {"amount": {"S": "2.50"}}}, "empty": {"M": {}}}},
    "parts": {"L": [{"L": [{"N": "1"}, {"S": '"etag"'}]}, {"S": ""}]},
    "names": {"SS": ["a", "b"]},
}
KEY = {"PK": {"S": "PAY#1"}, "SK": {"S": "PAYMENT"}}
FAILED = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "Message": "Transaction cancelled",
    "CancellationReasons": [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Item": ITEM, "Message": "failed"},
    ],
}
CONDITION = {
    "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
    "message": "The conditional request failed",
    "Item": ITEM,
}
ANSWERS: list[tuple[str, str, int, Any]] = [
    ("dynamodb", "GetItem", 200, {"Item": ITEM}),
    ("dynamodb", "GetItem", 200, {}),
    ("dynamodb", "Query", 200, {"Items": [ITEM] * 3, "Count": 3, "ScannedCount": 3,
                                "LastEvaluatedKey": KEY}),
    ("dynamodb", "Query", 200, {"Items": [], "Count": 0, "ScannedCount": 0}),
    ("dynamodb", "BatchGetItem", 200, {"Responses": {"t": [ITEM]},
                                       "UnprocessedKeys": {"t": {"Keys": [KEY]}}}),
    ("dynamodb", "PutItem", 200, {}),
    ("dynamodb", "DeleteItem", 200, {}),
    ("dynamodb", "UpdateItem", 200, {"Attributes": ITEM}),
    ("dynamodb", "TransactWriteItems", 200, {}),
    ("dynamodb", "TransactWriteItems", 400, FAILED),
    ("dynamodb", "UpdateItem", 400, CONDITION),
    ("dynamodb", "Query", 400, {"__type": "com.amazon.coral.validate#ValidationException",
                                "message": "The table does not have the specified index: x"}),
    ("dynamodb", "GetItem", 500, {"__type": "InternalServerError", "message": "again"}),
    ("dynamodb", "DescribeTable", 200, {"Table": {"TableName": "t",
                                                  "CreationDateTime": 1795814305.9}}),
    ("sqs", "SendMessage", 200, {"MessageId": "1", "MD5OfMessageBody": "2"}),
    ("sqs", "SendMessageBatch", 200, {"Successful": [{"Id": "0", "MessageId": "1"}],
                                      "Failed": [{"Id": "1", "Code": "c", "SenderFault": False}]}),
    ("sqs", "SendMessage", 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist",
                                 "message": "no such queue"}),
]  # fmt: skip
UNREADABLE = (
    (503, b"<html><body>Service Unavailable</body></html>"),
    (500, b""),
    (200, b""),
)


def response(status: int, body: bytes) -> dict[str, Any]:
    headers = {
        "x-amzn-RequestId": "7KPR",
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender",
    }
    return {"status_code": status, "headers": headers, "body": body, "context": {}}


def both(service: str, operation: str, status: int, body: bytes) -> tuple[Any, Any]:
    """What botocore makes of an answer, and what we do; an error as its type and text."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)

    def read(parser: Any) -> Any:
        try:
            return parser.parse(response(status, body), model.output_shape)
        except Exception as error:
            return type(error), str(error)

    return read(create_parser("json")), read(Parsers().create_parser("json"))


def differences() -> list[str]:
    """What this process's botocore and we read differently."""
    return [
        f"{service} {operation} {status}: {ours} instead of {theirs}"
        for service, operation, status, said in ANSWERS
        for theirs, ours in [both(service, operation, status, json.dumps(said).encode())]
        if ours != theirs
    ]


@pytest.mark.parametrize(("service", "operation", "status", "said"), ANSWERS)
def test_answer_is_read_as_botocore_reads_it(
    service: str, operation: str, status: int, said: Any
) -> None:
    theirs, ours = both(service, operation, status, json.dumps(said).encode())
    assert ours == theirs


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
@pytest.mark.parametrize(("status", "body"), UNREADABLE)
def test_answer_without_json_is_read_as_botocore_reads_it(
    operation: str, status: int, body: bytes
) -> None:
    theirs, ours = both("dynamodb", operation, status, body)
    assert ours == theirs


def test_success_that_is_no_json_is_an_outage_and_not_an_empty_answer() -> None:
    theirs, ours = both("dynamodb", "GetItem", 200, b'{"Item": ')
    assert "Item" not in theirs, "as if there were none"
    assert ours == (ResponseParserError, "The answer is no JSON.")


def test_every_shape_that_is_read_as_it_comes_has_an_example() -> None:
    session = botocore.session.get_session()
    shapes = {
        shape.name
        for service, operation, status, _ in ANSWERS
        for shape in [session.get_service_model(service).operation_model(operation).output_shape]
        if shape is not None and status == 200
    }
    assert shapes >= PLAIN


def test_other_protocols_are_read_as_ever() -> None:
    assert type(Parsers().create_parser("rest-xml")) is type(create_parser("rest-xml"))


def test_older_botocore_is_served_as_well() -> None:
    """The one of the Lambda runtime is AWS's choice. It is downloaded once per clone (15 MB)."""
    folder = ROOT / ".tools" / "older-botocore"
    lock = ROOT / "tests" / "older-botocore.lock"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ]
            subprocess.run([*pip, "--target", made, "-r", lock], check=True)
            Path(made).rename(folder)
            Path(made).mkdir()
    said = subprocess.run(
        [sys.executable, "-c", OLDER],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    version, differing = json.loads(said.stdout)
    assert f"botocore=={version} " in lock.read_text()
    assert differing == []


OLDER = """
import botocore, json
from chalicelib.aws import clients
from tests.test_answers import differences

for service in ("dynamodb", "kms", "logs", "s3", "sqs"):
    getattr(clients, f"{service}_client")("ca-central-1")
print(json.dumps([botocore.__version__, differences()]))
"""
