"""What waits for what in a batch: calls that are answered only while others are under way."""

import json
from collections import Counter
from collections.abc import Iterator
from threading import Barrier
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
from infra.local.lambda_events import sqs_event
from tests.conftest import START, TEST, command, payflow

OK = SimpleNamespace(status_code=200)


class Patient:
    """Stands in for DynamoDB: it answers updates and transactions ten at a time."""

    def __init__(self, request: CreatePayment) -> None:
        made = [new_payment(request, START, actor=TEST).payment for _ in range(BATCH_SIZE)]
        self.items = {payment.id: items.payment_to_item(payment) for payment in made}
        self.asked: list[str] = []
        self._all_here = {
            operation: Barrier(BATCH_SIZE, timeout=60)
            for operation in ("UpdateItem", "TransactWriteItems")
        }

    def answer(self, model: Any, params: Any, **_: Any) -> tuple[Any, Any]:
        self.asked.append(model.name)
        if model.name in self._all_here:
            self._all_here[model.name].wait()
        if model.name == "UpdateItem":
            payment_id = json.loads(params["body"])["Key"]["PK"]["S"].removeprefix("PAY#")
            return OK, {"Attributes": encode(self.items[payment_id])}
        return OK, {"Items": []}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    monkeypatch.setattr(payflow.services.outbox, "_snapshot", None)
    patient = Patient(command(metadata={"simulate": "completed"}))
    events = payflow.services.dynamodb.meta.events
    events.register_first("before-call.dynamodb.*", patient.answer)
    yield patient
    events.unregister("before-call.dynamodb.*", patient.answer)


def test_ten_payments_of_a_batch_wait_three_times_as_one_does(patient: Patient) -> None:
    """One wait for the updates, one for reads of the endpoints, one for the transactions."""
    bodies = [job_body(SettlePayment(payment_id)) for payment_id in patient.items]
    answer = payflow.webhook_processor(sqs_event(*bodies), None)
    assert answer == {"batchItemFailures": []}
    asked = Counter(patient.asked)
    assert 1 <= asked.pop("Query") <= BATCH_SIZE, "payments that ask at the same time share a read"
    assert asked == {"UpdateItem": BATCH_SIZE, "TransactWriteItems": BATCH_SIZE}
