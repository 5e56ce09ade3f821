"""The processor and the fake bank of docs/processors.md, run together as they stand there."""

import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from chalicelib.payments.facts import failure_code_of
from chalicelib.payments.models import Event, Refund, Status
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
from tests.docs.pages import ROOT, blocks, section
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


def settled(payments: Payments, amount: str) -> str:
    payment_id = created(payments, amount)
    payments.settle(payment_id)
    return payment_id


def refunded(payments: Payments, payment_id: str, amount: str) -> str:
    refunds = refunds_beside(payments)
    refund = refunds.create(payment_id, refund_command(amount=amount), actor=Actor("me"))
    refunds.settle(payment_id, refund.resource_id)
    return refund.resource_id


def refund_of(payments: Payments, payment_id: str) -> Refund:
    (refund,) = refunds_beside(payments).of_payment(payment_id, ListOfPayment()).refunds
    return refund


def events_of(payments: Payments, payment_id: str) -> list[Event]:
    return payments.events(payment_id, ListOfPayment()).events


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
    payment = payments.get(settled(payments, amount))
    assert (payment.status, payment.failure_code) == (status, failure_code)


def test_bank_is_asked_under_the_payments_id(payments: Payments, fake_bank: ModuleType) -> None:
    payment_id = created(payments, "12.50")
    for _ in range(3):
        payments.settle(payment_id)
    assert fake_bank.calls == [("collect", payment_id)]
    assert fake_bank.answers.keys() == {payment_id}


def test_credit_is_paid_out(payments: Payments, fake_bank: ModuleType) -> None:
    credit = payments.create(command(direction="credit"), actor=Actor("me")).resource_id
    payments.settle(credit)
    assert fake_bank.calls == [("pay_out", credit)]


def test_bank_that_only_answers_is_asked_again(payments: Payments, fake_bank: ModuleType) -> None:
    fake_bank.payflow["seconds"] = 0.05
    payment_id = settled(payments, "12.02")
    assert payments.get(payment_id).expected_at is not None
    wait_until(lambda: fake_bank.answers[payment_id][0] == 200, "the bank has decided")
    payments.settle(payment_id)
    after = payments.get(payment_id)
    assert (after.status, after.expected_at) == (Status.COMPLETED, None)


@dataclass
class Gateway:
    """The page's route, on a server that the bank can reach."""

    app: Chalice
    is_open: bool = False
    """Until then it answers 503, so that the bank repeats what it tells."""
    refused: int = 0

    def status(self, body: Any) -> int:
        if not self.is_open:
            self.refused += 1
            return 503
        answer = self.app(api_event("POST", "/v1/bank_notices", body), None)
        return int(answer["statusCode"])


@pytest.fixture
def gateway(payments: Payments, fake_bank: ModuleType, tmp_path: Path) -> Iterator[Gateway]:
    app = Chalice("processors")
    notices = loaded(NOTICES, "bank_notices", tmp_path)
    known = {"services": SimpleNamespace(refunds=refunds_beside(payments)), "errors": errors}
    known |= {"http": Api(app, lambda *_: Actor("bank")), "route": app.route, "Call": Call}
    known |= {"Success": Success, "Scope": Scope, **vars(notices)}
    exec(ROUTE, known)  # noqa: S102
    gateway = Gateway(app)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(gateway.status(body) if self.path == "/v1/bank_notices" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as url:
        fake_bank.payflow.update(url=url, seconds=0.05)
        yield gateway
        fake_bank.payflow["url"] = ""


def hear(gateway: Gateway, fake_bank: ModuleType, count: int) -> None:
    gateway.is_open = True
    wait_until(lambda: len(fake_bank.told) == count, "the bank has told everything")


def test_outcome_and_return_are_recorded_once_each_though_told_twice(
    payments: Payments, fake_bank: ModuleType, gateway: Gateway
) -> None:
    payment_id = settled(payments, "12.04")
    before = payments.get(payment_id)
    assert (before.status, before.expected_at is not None) == (Status.PROCESSING, True)
    hear(gateway, fake_bank, 4)
    after = payments.get(payment_id)
    assert (after.status, after.bank_code) == (Status.RETURNED, "R16")
    assert (after.amount_returned, after.return_reason) == (after.amount, "account_frozen")
    events = events_of(payments, payment_id)
    assert [event.type for event in events] == [
        "payment.created",
        "payment.completed",
        "payment.returned",
    ]
    assert {event.actor for event in events[1:]} == {"bank"}


def test_refund_completes_and_is_returned_when_the_bank_says_so(
    payments: Payments, fake_bank: ModuleType, gateway: Gateway
) -> None:
    payment_id = settled(payments, "12.50")
    refunded(payments, payment_id, "2.04")
    before = refund_of(payments, payment_id)
    assert (before.status, before.expected_at is not None) == ("processing", True)
    hear(gateway, fake_bank, 4)
    assert refund_of(payments, payment_id).status == "returned"
    assert [event.type for event in events_of(payments, payment_id)][2:] == [
        "refund.created",
        "refund.completed",
        "refund.returned",
    ]
    assert payments.get(payment_id).amount_refunded == 0


def test_contradiction_is_an_event_and_changes_no_status(
    payments: Payments, fake_bank: ModuleType, gateway: Gateway
) -> None:
    payment_id = settled(payments, "12.05")
    hear(gateway, fake_bank, 4)
    assert payments.get(payment_id).status is Status.COMPLETED
    *_, completed, contradicted = events_of(payments, payment_id)
    assert (completed.type, contradicted.type) == ("payment.completed", "payment.contradicted")
    fact = contradicted.data.fact
    assert fact is not None
    assert (fact.outcome, fact.bank_code, fact.failure_code) == ("failed", "R02", "account_closed")


def test_bank_says_it_again_until_it_is_recorded(
    payments: Payments, fake_bank: ModuleType, gateway: Gateway
) -> None:
    payment_id = settled(payments, "12.02")
    wait_until(lambda: gateway.refused > 2, "the bank has told it in vain")
    assert payments.get(payment_id).status is Status.PROCESSING
    hear(gateway, fake_bank, 2)
    assert payments.get(payment_id).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("notice", "status"),
    [
        ({"payment_id": "PAY-01M8APXBSC5820059E509WZH23", "says": "settled"}, 404),
        ({"payment_id": "unknown", "says": "settled"}, 404),
        ({"refund_id": "REF-01M8APXD011GRGZVGKNX3RWC8K", "says": "settled"}, 404),
        ({"refund_id": "R" * 2000, "says": "settled"}, 400),
        ({"says": "returned", "code": "R" * 2000}, 400),
        ({"says": "returned", "code": ""}, 400),
        ({"says": "lost"}, 400),
    ],
)
def test_notice_about_nothing_changes_nothing(
    payments: Payments, gateway: Gateway, notice: dict[str, str], status: int
) -> None:
    gateway.is_open = True
    payment_id = settled(payments, "12.50")
    assert gateway.status({"payment_id": payment_id} | notice) == status
    assert len(events_of(payments, payment_id)) == 2


def test_return_without_a_code_is_recorded(payments: Payments, gateway: Gateway) -> None:
    gateway.is_open = True
    payment_id = settled(payments, "12.50")
    assert gateway.status({"payment_id": payment_id, "says": "returned", "new": 1}) == 200
    payment = payments.get(payment_id)
    assert (payment.status, payment.bank_code) == (Status.RETURNED, "unknown")
    assert payment.return_reason == "rejected_by_bank"


def test_page_lists_what_every_code_means() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w ]+) \|$",
        section("docs/processors.md", "What the bank says later"),
        re.MULTILINE,
    )
    assert rows.pop() == ("rejected_by_bank", "any other")
    shown = {code: meaning for meaning, codes in rows for code in codes.split()}
    every = [f"R{number:02}" for number in range(100)] + [str(code) for code in range(900, 1000)]
    known = {code: failure_code_of(code) for code in every}
    assert shown == {
        code: meaning for code, meaning in known.items() if meaning != "rejected_by_bank"
    }


def test_page_replaces_what_bootstrap_builds() -> None:
    steps = section("docs/processors.md", "Plug it in")
    (replaced,) = re.findall(r"replace `([^`]+)` by", steps)
    assert f"processor={replaced}," in (ROOT / "chalicelib" / "bootstrap.py").read_text()


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
    payment_id = settled(payments, "12.50")
    refund_id = refunded(payments, payment_id, "2.50")
    assert fake_bank.calls == [("collect", payment_id), ("pay_out", refund_id)]
    assert refund_of(payments, payment_id).status == "completed"
