"""What waits for what in a batch: calls that are answered only while others are under way."""

import json
from collections import Counter
from collections.abc import Iterator
from threading import Barrier, Lock
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.aws.dynamodb import encode
from chalicelib.aws.sqs import BATCH_SIZE
from chalicelib.messages import SettlePayment
from chalicelib.messages import encode as job_body
from chalicelib.payments import items
from chalicelib.payments.commands import CreatePayment
from chalicelib.payments.service import new_payment
from chalicelib.webhooks import outbox
from infra.local.lambda_events import sqs_event
from tests.conftest import START, TEST, command, payflow

OK = SimpleNamespace(status_code=200)


class Patient:
    """Stands in for DynamoDB. It answers none of a batch's first calls before all have come."""

    def __init__(self, request: CreatePayment, size: int) -> None:
        made = [new_payment(request, START, actor=TEST).payment for _ in range(size)]
        self.items = {payment.id: items.payment_to_item(payment) for payment in made}
        self.asked: list[str] = []
        self._asking = Lock()
        self._first = Barrier(2 if size == 1 else 3, timeout=60)

    def answer(self, model: Any, params: Any, **_: Any) -> tuple[Any, Any]:
        request = json.loads(params["body"])
        with self._asking:
            is_first = len(self.asked) < self._first.parties
            self.asked.append(model.name)
        if is_first:
            self._first.wait()
        match model.name:
            case "UpdateItem":
                (item,) = self.items.values()
                return OK, {"Attributes": encode(item)}
            case "BatchGetItem":
                (table,) = request["RequestItems"]
                return OK, {
                    "Responses": {table: [encode(item) for item in self.items.values()]},
                    "UnprocessedKeys": {},
                }
        return OK, {"Items": []}


@pytest.fixture(params=[1, BATCH_SIZE])
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    monkeypatch.setattr(payflow.services.outbox, "_snapshot", None)
    monkeypatch.setattr(outbox, "FRESH_SECONDS", 60)
    patient = Patient(command(metadata={"simulate": "completed"}), request.param)
    events = payflow.services.dynamodb.meta.events
    events.register_first("before-call.dynamodb.*", patient.answer)
    yield patient
    events.unregister("before-call.dynamodb.*", patient.answer)


def test_batch_of_one_or_ten_payments_waits_twice(patient: Patient) -> None:
    """Once for what marks them and finds the endpoints, once for the outcomes' transaction."""
    bodies = [job_body(SettlePayment(payment_id)) for payment_id in patient.items]
    answer = payflow.webhook_processor(sqs_event(*bodies), None)
    assert answer == {"batchItemFailures": []}
    one = {"UpdateItem": 1, "Query": 1, "TransactWriteItems": 1}
    ten = {"TransactWriteItems": 2, "BatchGetItem": 1, "Query": 1}
    assert Counter(patient.asked) == (one if len(bodies) == 1 else ten)
