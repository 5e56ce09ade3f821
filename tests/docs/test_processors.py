"""The processor and the fake bank of docs/processors.md, run together as they stand there."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Chalice

from chalicelib import errors
from chalicelib.api.routing import Api, Call, Success
from chalicelib.api_keys.models import Scope
from chalicelib.payments.commands import ListOfPayment
from chalicelib.payments.models import Status
from chalicelib.payments.service import Payments
from chalicelib.values import Actor
from infra.local.lambda_events import api_event
from tests.conftest import (
    Clock,
    command,
    new_repository,
    payments_on,
    refund_command,
    refunds_beside,
)
from tests.docs.pages import blocks
from tests.engines import wait_until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_, PROCESSOR, NOTICES, ROUTE, FAKE_BANK = blocks("docs/processors.md", "python")


def loaded(source: str, name: str, folder: Path) -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_bank(tmp_path: Path) -> ModuleType:
    return loaded(FAKE_BANK, "fake_bank", tmp_path)


@pytest.fixture
def bank_url(fake_bank: ModuleType) -> Iterator[str]:
    with served(fake_bank.FakeBank) as url:
        yield url


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bank(tmp_path: Path, bank_url: str) -> Any:
    return loaded(PROCESSOR, "bank", tmp_path).Bank(bank_url, "a token")


@pytest.fixture
def payments(emulated_dynamodb: "DynamoDBClient", clock: Clock, bank: Any) -> Payments:
    return replace(payments_on(new_repository(emulated_dynamodb), clock), processor=bank)


def created(payments: Payments, amount: str) -> str:
    return payments.create(command(amount=amount), actor=Actor("me")).resource_id


@pytest.mark.parametrize(
    ("amount", "status", "failure_code"),
    [
        ("12.50", Status.COMPLETED, None),
        ("12.01", Status.FAILED, "insufficient_funds"),
        ("12.02", Status.PROCESSING, None),
    ],
)
def test_payment_ends_as_the_bank_decides(
    payments: Payments, amount: str, status: Status, failure_code: str | None
) -> None:
    payment_id = created(payments, amount)
    payments.settle(payment_id)
    payment = payments.get(payment_id)
    assert (payment.status, payment.failure_code) == (status, failure_code)


def test_bank_is_asked_under_the_payments_id(payments: Payments, fake_bank: ModuleType) -> None:
    payment_id = created(payments, "12.50")
    for _ in range(3):
        payments.settle(payment_id)
    assert fake_bank.calls == [payment_id]
    assert fake_bank.answers.keys() == {payment_id}


@pytest.fixture
def api(payments: Payments, fake_bank: ModuleType, tmp_path: Path) -> Iterator[None]:
    """The page's route, on a server that the bank can reach."""
    app = Chalice("processors")
    notices = loaded(NOTICES, "bank_notices", tmp_path)
    known = {"services": SimpleNamespace(refunds=refunds_beside(payments)), "errors": errors}
    known |= {"http": Api(app, lambda *_: Actor("bank")), "route": app.route, "Call": Call}
    known |= {"Success": Success, "Scope": Scope, **vars(notices)}
    exec(ROUTE, known)  # noqa: S102

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = app(api_event("POST", self.path, body), None)
            self.send_response(answer["statusCode"])
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Gateway) as url:
        fake_bank.payflow.update(url=url, seconds=0.05)
        yield
        fake_bank.payflow["url"] = ""


@pytest.mark.usefixtures("api")
def test_outcome_and_return_are_taken_when_the_bank_tells_them_each_twice(
    payments: Payments, fake_bank: ModuleType
) -> None:
    payment_id = created(payments, "12.04")
    payments.settle(payment_id)
    before = payments.get(payment_id)
    assert (before.status, before.expected_at is not None) == (Status.PROCESSING, True)
    wait_until(lambda: payments.get(payment_id).status is Status.RETURNED, "it is returned")
    wait_until(lambda: len(fake_bank.told) == 4, "everything is told twice")
    after = payments.get(payment_id)
    assert (after.amount_returned, after.bank_code) == (after.amount, "R16")
    events = payments.events(payment_id, ListOfPayment()).events
    assert [event.type for event in events] == [
        "payment.created",
        "payment.completed",
        "payment.returned",
    ]
    assert {event.actor for event in events[1:]} == {"bank"}


@pytest.mark.usefixtures("api")
def test_refund_completes_when_the_bank_says_so(payments: Payments) -> None:
    payment_id = created(payments, "12.50")
    payments.settle(payment_id)
    refunds = refunds_beside(payments)
    refund = refunds.create(payment_id, refund_command(amount="2.02"), actor=Actor("me"))
    refunds.settle(payment_id, refund.resource_id)

    def status() -> str:
        (made,) = refunds.all(payment_id, ListOfPayment()).refunds
        return made.status

    assert status() == "processing"
    wait_until(lambda: status() == "completed", "the bank has told it")


def test_unknown_outcome_raises_and_stays_processing(payments: Payments, bank: Any) -> None:
    broken = created(payments, "12.03")
    unreachable = created(payments, "12.50")
    with pytest.raises(Exception, match="status 500"):
        payments.settle(broken)
    nobody = replace(payments, processor=replace(bank, url="http://127.0.0.1:9"))
    with pytest.raises(Exception, match="no answer"):
        nobody.settle(unreachable)
    for payment_id in (broken, unreachable):
        assert payments.get(payment_id).status is Status.PROCESSING


def test_refund_is_paid_out_under_its_own_id(payments: Payments, fake_bank: ModuleType) -> None:
    payment_id = created(payments, "12.50")
    payments.settle(payment_id)
    refunds = refunds_beside(payments)
    refund = refunds.create(payment_id, refund_command(amount="2.50"), actor=Actor("me"))
    refunds.settle(payment_id, refund.resource_id)
    assert fake_bank.calls == [payment_id, refund.resource_id]
    (settled,) = refunds.all(payment_id, ListOfPayment()).refunds
    assert settled.status == "completed"
