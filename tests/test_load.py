"""The load tool: it offers on schedule whatever is served, and sees what is wrong at the end."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib.messages import Deliver, SettlePayment, encode
from chalicelib.payments.commands import CreatePayment, ReadStats
from chalicelib.payments.service import Payments
from chalicelib.webhooks.commands import CreateEndpoint
from infra.local.webhook_receiver import Received
from tests.conftest import START, TEST, webhooks_beside
from tests.http_client import Reply
from tests.invariants import Books, event_of, read, scan
from tests.load import promises, report
from tests.load.generator import Generator, Sample, Step
from tests.load.ledger import Ledger, Operation, Outcome, Request
from tests.load.promises import Found, Said
from tests.load.traffic import Traffic
from tests.merchants import read_request, serving

CREATES = {"create": 1}


@contextmanager
def an_api(is_open: threading.Event) -> Iterator[int]:
    """Creates whatever it is asked to, once it is open; hangs until then."""

    def talk(connection: socket.socket) -> None:
        while True:
            body = read_request(connection).partition(b"\r\n\r\n")[2]
            if not is_open.is_set():
                connection.recv(1)  # until the client gives up
                return
            answer = json.dumps({"id": "PAY-1", **json.loads(body)}).encode()
            head = f"HTTP/1.1 201 Created\r\nContent-Length: {len(answer)}\r\n\r\n"
            connection.sendall(head.encode() + answer)

    with serving(talk) as port:
        yield port


def test_unanswered_requests_delay_nothing_and_are_sent_again() -> None:
    ledger, is_open = Ledger(), threading.Event()
    with (
        an_api(is_open) as port,
        Generator(Traffic("test", 8), ledger, port, lambda: 0, connections=1) as generator,
    ):
        step = generator.offer(CREATES, 1000, seconds=60, patience_seconds=0.2, creates=20)
        is_open.set()
        again = generator.insist()
    assert len(step.samples) == 20
    unanswered = step.outcomes[Outcome.UNANSWERED]
    assert unanswered >= 1
    assert unanswered + step.outcomes[Outcome.NOT_SENT] == 20
    assert step.latencies == []
    assert again == unanswered == len(ledger.effects), "what was not sent is not sent again"
    for effect in ledger.effects.values():
        assert (effect.sent, effect.made) == (2, 1)
    assert ledger.wrong == []


def problem(status: int, code: str, **headers: str) -> Reply:
    return Reply(status, headers, json.dumps({"code": code}).encode())


GET = Request(Operation.GET, "GET", "/v1/payments/PAY-1", frozenset({"200"}))


@pytest.mark.parametrize(
    ("answer", "outcome", "is_wrong"),
    [
        (Reply(200, {}, b'{"id": "PAY-1", "status": "failed"}'), Outcome.SERVED, False),
        (problem(409, "conflict", **{"Retry-After": "1"}), Outcome.CONFLICT, False),
        (problem(429, "rate_limited", **{"Retry-After": "1"}), Outcome.LIMITED, False),
        (problem(503, "unavailable", **{"Retry-After": "2"}), Outcome.UNAVAILABLE, False),
        (problem(503, "unavailable"), Outcome.UNAVAILABLE, True),
        (problem(500, "internal"), Outcome.WRONG, True),
        (problem(404, "not_found"), Outcome.WRONG, True),
        (problem(409, "payment_not_cancelable"), Outcome.WRONG, True),
    ],
)
def test_busy_answer_is_not_wrong_unless_it_lacks_retry_after(
    answer: Reply, outcome: Outcome, is_wrong: bool
) -> None:
    ledger = Ledger()
    assert ledger.answered(GET, answer) is outcome
    assert bool(ledger.wrong) is is_wrong


def test_latency_bends_at_five_times_the_first_or_unserved_requests() -> None:
    def step(rate: float, latency_seconds: float, outcome: Outcome = Outcome.SERVED) -> Step:
        return Step(rate, samples=[Sample(outcome, latency_seconds)] * 20)

    first, same, slow = step(10, 0.1), step(20, 0.4), step(30, 0.6)
    assert report.bend([first, same]).startswith("Latency does not bend")
    assert report.bend([first, same, slow]).startswith("Latency bends at 30")
    refused = step(25, 0.1, Outcome.NOT_SENT)
    assert report.bend([first, refused, slow]).startswith("Latency bends at 25")


class Scene:
    """One payment that a client asked for, settled and told, and the ledger of that client."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments
        url = "https://merchant.example/webhooks"
        webhooks_beside(payments).create(CreateEndpoint(url=url), actor=TEST)
        (self.request,) = Traffic("test", 8).next(CREATES)
        self.ledger = Ledger()
        self.body = self.create().encode()
        (self.life,) = self.books().lives.values()
        self.id = self.life.payment.id
        self.ledger.sent(self.request)
        self.ledger.answered(self.request, Reply(201, {}, self.body))

    def create(self) -> str:
        command = CreatePayment.model_validate(self.request.body)
        return self.payments.create(command, actor=TEST).body

    def books(self) -> Books:
        tables = self.payments.repository._payments, self.payments.repository.records._table
        return read(*(scan(table._dynamodb, table.name) for table in tables))

    @property
    def effect(self) -> Any:
        return self.ledger.effects[None, str(self.request.makes)]


@pytest.fixture
def scene(payments: Payments) -> Scene:
    return Scene(payments)


def test_kept_promises_are_not_reported(scene: Scene) -> None:
    for check in (promises.told_otherwise, promises.not_asked_for):
        assert list(check(scene.ledger, scene.books())) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scene: scene.effect.bodies.append(scene.body + b" "), "2 different answers"),
        (lambda scene: setattr(scene.effect, "made", 2), "2 answers of 201"),
        (lambda scene: scene.request.body.update(amount="7.77"), "asked for amount '7.77'"),
        (
            lambda scene: scene.effect.bodies.__setitem__(0, scene.body.replace(b"PAY-", b"PAY-X")),
            "acknowledged, and lost",
        ),
    ],
)
def test_answer_that_differs_from_the_rows_is_reported(
    scene: Scene, change: Any, said: str
) -> None:
    change(scene)
    found = list(promises.told_otherwise(scene.ledger, scene.books()))
    assert any(said in sentence for sentence in found), found


def test_row_that_nobody_asked_for_or_was_refused_is_reported(scene: Scene) -> None:
    books = scene.books()
    (nobody,) = promises.not_asked_for(Ledger(), books)
    assert "nobody asked" in nobody
    scene.effect.bodies.clear()
    scene.effect.refusals.append("409 payment_not_refundable")
    (refused,) = promises.not_asked_for(scene.ledger, books)
    assert "was refused" in refused
    scene.effect.refusals.clear()
    assert scene.request.body is not None
    scene.request.body["amount"] = "7.77"
    (other,) = promises.not_asked_for(scene.ledger, books)
    assert "asked for 7.77" in other


def test_lost_final_status_is_reported(scene: Scene) -> None:
    scene.ledger.statuses[scene.id] += ["processing", "completed"]
    (sentence,) = promises.seen_otherwise(scene.ledger, scene.books())
    assert "was seen as" in sentence
    scene.ledger.statuses[scene.id].pop()
    assert list(promises.seen_otherwise(scene.ledger, scene.books())) == []


def test_missing_or_wrong_webhook_is_reported(scene: Scene) -> None:
    scene.payments.settle(scene.id)
    books = scene.books()
    (row,) = books.lives[scene.id].deliveries
    one = Received("", "/webhooks", event_of(row), verified=True, body=row["payload"])
    other = replace(one, webhook_id="EVT-other")

    def said(*received: Received) -> str:
        return " ".join(promises.told_to_merchants(Found(books, received)))

    assert said() == ""
    assert "has taken it" in said(one)
    assert "does not verify" in said(replace(one, verified=False))
    assert "under 2 ids" in said(one, other)
    assert "tells of no event" in said(one, other)


def test_unexpected_dead_letter_is_reported(scene: Scene) -> None:
    def said(body: str, *put_back: str) -> list[str]:
        stack = Mock()
        stack.dead_letters = lambda queue: {"m1": body} if queue == "webhooks" else {}
        known = Said(put_back=set(put_back))
        return list(promises.dead_letters(stack, scene.books(), known))

    assert len(said(encode(SettlePayment(scene.id)))) == 1
    assert len(said(encode(SettlePayment(scene.id)), "another message")) == 1
    assert said(encode(SettlePayment(scene.id)), "m1") == []
    assert len(said(encode(Deliver(f"DLV-{'0' * 52}")))) == 1
    scene.payments.create(
        CreatePayment.model_validate(
            (scene.request.body or {})
            | {"idempotency_key": "the-other-key", "metadata": {"simulate": "error"}}
        ),
        actor=TEST,
    )
    other = next(one for one in scene.books().payments if one.id != scene.id)
    assert said(encode(SettlePayment(other.id))) == []


def test_wrong_stats_and_lists_are_reported(scene: Scene) -> None:
    scene.payments.settle(scene.id)
    books = scene.books()
    wanted = ReadStats.model_validate({"from": START.date().isoformat()})
    told = scene.payments.stats(wanted).model_dump(mode="json")
    assert list(promises.stats_otherwise(told, books)) == []
    told["rows"][0]["count"] += 1
    assert len(list(promises.stats_otherwise(told, books))) == 2, "what is said, and what is not"
    assert list(promises.listed_otherwise([scene.id], books)) == []
    assert len(list(promises.listed_otherwise([scene.id, scene.id], books))) == 1
    assert len(list(promises.listed_otherwise([], books))) == 1


def test_trace_in_a_log_is_reported_unless_asked_for(tmp_path: Path) -> None:
    def logged(module: str, *lines: dict[str, Any] | str) -> Said:
        for name in ("server", "worker"):
            (tmp_path / name).write_text("")
        texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
        (tmp_path / module).write_text("".join(f"{text}\n" for text in texts))
        stack = Mock()
        stack.local.log_of = lambda name: tmp_path / name.rpartition(".")[2]
        return promises.said_in_logs(stack)

    trace = {"kind": "message_failed", "trace": "Traceback"}
    assert logged("server", {"kind": "bug", "trace": "Traceback"}).wrong
    assert logged("server", "Exception in thread").wrong
    assert logged("worker", trace | {"error": "KeyError: 1"}).wrong
    meant = logged("worker", trace | {"error": "SimulatedOutage: …"}, {"MessagesResent": 3})
    assert (meant.wrong, meant.messages_resent) == ([], 3)


def test_idle_sweeper_is_reported(scene: Scene) -> None:
    found, unit = Found(scene.books()), timedelta(seconds=20)
    later = START + timedelta(seconds=90)
    assert len(list(promises.overslept(found, Said(), later, unit))) == 1
    assert list(promises.overslept(found, Said(messages_resent=1), later, unit)) == []
    assert list(promises.overslept(found, Said(), START, unit)) == []
