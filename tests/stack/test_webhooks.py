"""Webhooks on the real stack: what merchants receive, despite lost messages and killed workers."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from chalicelib.messages import Deliver, encode
from chalicelib.payments.service import Payments
from tests.conftest import TEST, command
from tests.engines import wait_until
from tests.http_client import Reply, send
from tests.merchants import OK, read_request, serving
from tests.stack.conftest import Client, Stack, request
from tests.stack.test_races import at_once, is_empty

if TYPE_CHECKING:
    import socket

    from mypy_boto3_sqs import SQSClient

ENDPOINTS = "/v1/webhook_endpoints"
COMPLETED = {"simulate": "completed"}


@dataclass
class Merchant:
    """A server in this process; while `is_open` is not set, it keeps whoever comes waiting.

    It also gets what becomes of the payments of other tests, which the sweeper finds at any time.
    """

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    is_open: threading.Event = field(default_factory=threading.Event)
    is_closing: threading.Event = field(default_factory=threading.Event)

    def __call__(self, connection: "socket.socket") -> None:
        head, _, body = read_request(connection).partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
        self.got.append(({name.lower(): value for name, _, value in lines}, body))
        while not (self.is_open.wait(0.05) or self.is_closing.is_set()):
            continue
        connection.sendall(OK)

    def counts(self) -> Counter[str]:
        return Counter(headers["webhook-id"] for headers, _ in self.got)


@contextmanager
def a_merchant() -> Iterator[tuple[Merchant, str]]:
    merchant = Merchant()
    with serving(merchant) as port:
        try:
            yield merchant, f"http://127.0.0.1:{port}/webhooks"
        finally:
            merchant.is_closing.set()


@pytest.fixture
def make(client: Client) -> Iterator[Callable[..., Any]]:
    """Makes endpoints, which end with the test."""
    made: list[str] = []

    def make_one(url: str, **fields: Any) -> Any:
        reply = client.post({"url": url} | fields, ENDPOINTS)
        assert reply.status == 201, reply
        made.append(reply.json["id"])
        return reply.json

    yield make_one
    for endpoint_id in made:
        client.request("DELETE", f"{ENDPOINTS}/{endpoint_id}")


def at_receiver(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    raw = None if body is None else json.dumps(body)
    reply = send(stack.local.receiver_port, method, path, raw)
    return reply.json if reply.body else None


def of_payment(client: Client, payment_id: str) -> Any:
    return client.get(f"/v1/payments/{payment_id}/deliveries").json["deliveries"]


def ended(client: Client, payment_id: str) -> Any:
    """The one delivery of a payment, once it is no longer pending."""

    def one() -> Any:
        deliveries = of_payment(client, payment_id)
        return next((each for each in deliveries if each["status"] != "pending"), None)

    return wait_until(one, f"the delivery of {payment_id} has ended")


def test_an_outcome_reaches_the_receiver_and_verifies(
    stack: Stack, client: Client, make: Callable[..., Any]
) -> None:
    endpoint = make(f"{stack.local.receiver_url}/outcomes")
    rotated = client.post({}, f"{ENDPOINTS}/{endpoint['id']}/rotate_secret").json
    for secret in (endpoint["secret"], rotated["secret"]):
        at_receiver(stack, "PUT", "/secrets", {"secrets": [secret]})
        payment = client.settled(client.post(request(metadata=COMPLETED)).json["id"])
        delivery = ended(client, payment["id"])
        assert delivery["status"] == "delivered"
        received = at_receiver(stack, "GET", "/received")["received"]
        (one,) = [each for each in received if each["webhook_id"] == delivery["event_id"]]
        assert one["verified"]
        assert json.loads(one["body"])["data"] == json.loads(
            client.get(f"/v1/payments/{payment['id']}").body
        )
        assert one["body"] == delivery["payload"]


def test_message_that_comes_three_times_makes_one_post(
    stack: Stack, client: Client, sqs: "SQSClient", make: Callable[..., Any]
) -> None:
    with a_merchant() as (merchant, url):
        make(url)
        payment_id = client.settled(client.post(request(metadata=COMPLETED)).json["id"])["id"]
        (delivery,) = of_payment(client, payment_id)
        wait_until(lambda: merchant.counts()[delivery["event_id"]], "it is under way")
        for _ in range(3):
            sqs.send_message(
                QueueUrl=stack.local.deliveries_url, MessageBody=encode(Deliver(delivery["id"]))
            )
        merchant.is_open.set()
        assert ended(client, payment_id)["status"] == "delivered"
        wait_until(lambda: is_empty(sqs, stack.local.deliveries_url), "all messages are done")
    assert merchant.counts()[delivery["event_id"]] == 1


def test_sweeper_finds_a_delivery_whose_message_was_lost(
    client: Client, payments: Payments, make: Callable[..., Any]
) -> None:
    with a_merchant() as (merchant, url):
        merchant.is_open.set()
        make(url)
        # Its message goes to a queue that no worker reads.
        payment_id = payments.create(command(metadata=COMPLETED), actor=TEST).resource_id
        payments.settle(payment_id)
        delivery = ended(client, payment_id)
        assert delivery["status"] == "delivered"
    assert merchant.counts()[delivery["event_id"]] == 1


def test_payments_settle_while_a_merchant_delays_every_webhook(
    client: Client, make: Callable[..., Any]
) -> None:
    with a_merchant() as (merchant, url):
        make(url)
        made = [client.post(request(metadata=COMPLETED)).json["id"] for _ in range(50)]
        for payment_id in made:
            assert client.settled(payment_id)["status"] == "completed"
        # Not one has been answered, and yet all of the payments are done.
        assert not merchant.is_open.is_set()
        statuses = [one["status"] for payment in made for one in of_payment(client, payment)]
        assert Counter(statuses) == {"pending": 50}
        merchant.is_open.set()
        for payment_id in made:
            assert ended(client, payment_id)["status"] == "delivered"


def test_twenty_concurrent_endpoints_create_ten(client: Client) -> None:
    numbers = itertools.count()

    def create() -> Reply:
        return client.post({"url": f"https://merchant.example/{next(numbers)}"}, ENDPOINTS)

    replies = at_once(20, create)
    try:
        assert Counter(reply.status for reply in replies) == {201: 10, 409: 10}
        codes = {reply.json["code"] for reply in replies if reply.status == 409}
        assert codes == {"endpoint_limit_reached"}
        assert len(client.get(ENDPOINTS).json["webhook_endpoints"]) == 10
    finally:
        for endpoint in client.get(ENDPOINTS).json["webhook_endpoints"]:
            assert client.request("DELETE", f"{ENDPOINTS}/{endpoint['id']}").status == 204


def test_killed_worker_loses_no_delivery(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    state = tmp_path_factory.mktemp("killed-in-delivery")
    settings = {"PAYFLOW_DELIVERY_LEASE_SECONDS": "2"}
    with a_merchant() as (merchant, url):
        first = Stack(state, **settings)
        try:
            first.wait_until_up()
            endpoint = first.client.post({"url": url}, ENDPOINTS).json
            made = [first.client.post(request(metadata=COMPLETED)).json["id"] for _ in range(20)]
            for payment_id in made:
                first.client.settled(payment_id)
            wait_until(lambda: merchant.got, "deliveries are under way")
            first.children()["infra.local.worker"].kill()
            wait_until(lambda: first.process.poll() is not None, "the stack has noticed")
        finally:
            first.stop()
        merchant.is_open.set()
        second = Stack(state, **settings)
        try:
            second.wait_until_up()
            told = [ended(second.client, payment_id) for payment_id in made]
        finally:
            second.stop()
    assert {one["status"] for one in told} == {"delivered"}
    assert set(merchant.counts()) == {one["event_id"] for one in told}
    assert len({one["event_id"] for one in told}) == len(made)
    webhook = Webhook(endpoint["secret"])
    for headers, body in merchant.got:
        webhook.verify(body, headers)
