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
from chalicelib.webhooks import outbox
from infra.local.lambda_events import sqs_event
from tests.conftest import START, TEST, command, payflow

OK = SimpleNamespace(status_code=200)


class Patient:
    """Stands in for DynamoDB. It answers no update before all updates of a batch and one query have
    come, and no transaction before all transactions have.
    """

    def __init__(self, request: CreatePayment, size: int) -> None:
        made = [new_payment(request, START, actor=TEST).payment for _ in range(size)]
        self.items = {payment.id: items.payment_to_item(payment) for payment in made}
        self.asked: list[str] = []
        self._all_here = {
            "UpdateItem": (submitted_beside_the_read := Barrier(size + 1, timeout=60)),
            "Query": submitted_beside_the_read,
            "TransactWriteItems": Barrier(size, timeout=60),
        }

    def answer(self, model: Any, params: Any, **_: Any) -> tuple[Any, Any]:
        self.asked.append(model.name)
        if model.name in self._all_here:
            self._all_here[model.name].wait()
        if model.name == "UpdateItem":
            payment_id = json.loads(params["body"])["Key"]["PK"]["S"].removeprefix("PAY#")
            return OK, {"Attributes": encode(self.items[payment_id])}
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
    """Once for the submissions and the endpoints, once for the transactions."""
    bodies = [job_body(SettlePayment(payment_id)) for payment_id in patient.items]
    answer = payflow.webhook_processor(sqs_event(*bodies), None)
    assert answer == {"batchItemFailures": []}
    size = len(bodies)
    assert Counter(patient.asked) == {"UpdateItem": size, "Query": 1, "TransactWriteItems": size}
