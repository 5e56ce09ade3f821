"""Measures the processor time of calls of DynamoDB without a network: `python -m bench calls`.

Each call is made in turns with a client as botocore makes one by default. The requests are those
that the repository builds; the answers come from memory. `make budgets` holds the ratios to their
budgets.
"""

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import boto3
from botocore.awsrequest import AWSResponse

from bench.page import table
from bench.usage import BODY, SETTINGS
from chalicelib.aws.clients import dynamodb_client
from chalicelib.aws.dynamodb import EARLIEST, LATEST, encode
from chalicelib.idempotency import record_of
from chalicelib.payments.commands import CreatePayment
from chalicelib.payments.items import payment_to_item
from chalicelib.payments.models import Status
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import new_payment
from chalicelib.values import SYSTEM
from infra.local.lambda_events import REGION

MOST_TIMES_THE_DEFAULT: Final = {"get_item": 0.75, "query": 0.4, "transact_write_items": 0.7}
_ROUNDS: Final = 15
_CALLS: Final = 40
_LISTED: Final = 20


class Call(NamedTuple):
    """One call, as the repository makes it."""

    operation: str
    request: dict[str, Any]
    answer: bytes


def main(_arguments: list[str]) -> None:
    print(
        table(
            ("", "CPU ms", "by default", "ratio", "goal"),
            [
                (name, f"{ours:.2f}", f"{default:.2f}", f"{ours / default:.2f}",
                 f"≤ {MOST_TIMES_THE_DEFAULT[name]}")
                for name, (ours, default) in measured().items()
            ],
        )
    )  # fmt: skip


def measured() -> dict[str, tuple[float, float]]:
    """The milliseconds of processor time of each call, with our client and by default."""
    with patch.dict(os.environ, SETTINGS):
        clients = dynamodb_client(REGION), boto3.Session().client("dynamodb", region_name=REGION)
    found = {}
    for call in calls():
        runs = [_prepared(client, call) for client in clients]
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(_ROUNDS):  # in turns, so that a busy moment slows both
            for run, spent in zip(runs, times, strict=True):
                spent.append(_milliseconds(run))
        found[call.operation] = (median(times[0]), median(times[1]))
    return found


def calls() -> Iterator[Call]:
    """Yield a get of a payment, a page of a list, and the transaction that creates a payment."""
    now = datetime.now(UTC)
    command = CreatePayment.model_validate(BODY | {"idempotency_key": "order-10023"})
    change = new_payment(command, now, actor=SYSTEM)
    payment = change.payment
    record = record_of(command, "create_payment#payments#1", payment.id, payment.to_json(), now)
    item = encode(payment_to_item(payment))
    page = {"Items": [item] * _LISTED, "Count": _LISTED, "ScannedCount": _LISTED}
    asked = _Asked()
    repository = PaymentRepository(
        asked,  # type: ignore[arg-type]
        payments_table="payflow-payments-dev",
        idempotency_table="payflow-idempotency-dev",
    )
    repository.find(payment.id)
    yield Call("get_item", asked.request, json.dumps({"Item": item}).encode())
    repository.by_status(Status.PROCESSING, EARLIEST, LATEST, _LISTED)
    yield Call("query", asked.request, json.dumps(page).encode())
    repository.create(change, record, now)
    yield Call("transact_write_items", asked.request, b"{}")


class _Asked:
    """Keeps the last request, and answers nothing."""

    request: dict[str, Any]

    def __getattr__(self, _operation: str) -> Callable[..., dict[str, Any]]:
        def keep(**request: Any) -> dict[str, Any]:
            self.request = request
            return {"Items": []}

        return keep


def _prepared(client: Any, call: Call) -> Callable[[], None]:
    def answer(request: Any, **_: Any) -> AWSResponse:
        headers: Any = {"x-amzn-RequestId": "7KPR", "Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 200, headers, _Body(call.answer))

    def run() -> None:
        client.meta.events.register("before-send.dynamodb", answer, unique_id="answer")
        try:
            for _ in range(_CALLS):
                getattr(client, call.operation)(**call.request)
        finally:
            client.meta.events.unregister("before-send.dynamodb", unique_id="answer")

    run()  # warm
    return run


class _Body(io.BytesIO):
    """The body of an answer, as urllib3 hands it on."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.getvalue()


def _milliseconds(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return (time.process_time() - began) / _CALLS * 1000
