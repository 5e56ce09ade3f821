"""Which deliveries a change of a payment has, and when their messages are enqueued."""

import json
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import exact_json
from chalicelib.aws.dynamodb import StaleVersion, Table
from chalicelib.errors import Unavailable
from chalicelib.messages import Deliver, SettlePayment, decode
from chalicelib.payments.commands import SimulateReturn
from chalicelib.payments.facts import Completed
from chalicelib.payments.models import Payment
from chalicelib.payments.settling import Settling
from chalicelib.webhooks import outbox
from chalicelib.webhooks.commands import ReplayFailed, UpdateEndpoint
from chalicelib.webhooks.items import delivery_to_item
from chalicelib.webhooks.models import (
    MAX_ENDPOINTS,
    DeliveryStatus,
    Endpoint,
    FailureReason,
    Subscription,
)
from chalicelib.webhooks.repository import WebhookRepository
from tests.conftest import (
    TEST,
    command,
    outbox_of,
    recorded,
    refund_command,
    stored_deliveries,
    stored_events,
)
from tests.engines import wait_until
from tests.webhooks.conftest import Gateway


def test_outcome_has_a_delivery_for_each_subscribed_endpoint(gateway: Gateway) -> None:
    everything = gateway.create_endpoint()
    failures = gateway.create_endpoint(events=["payment.failed"])
    off = gateway.create_endpoint()
    gateway.webhooks.update(off.id, UpdateEndpoint(enabled=False))
    completed, failed = gateway.settled_payment(), gateway.settled_payment("failed:account_closed")
    stored = stored_deliveries(gateway.repository, completed.id)
    deliveries = {one.endpoint_id: one for one in stored}
    assert deliveries.keys() == {everything.id, off.id}
    assert deliveries[everything.id].event_type == "payment.completed"
    receivers = {one.endpoint_id for one in stored_deliveries(gateway.repository, failed.id)}
    assert receivers == {everything.id, failures.id, off.id}
    sent = [Deliver(one.id) in gateway.queue.messages for one in deliveries.values()]
    assert dict(zip(deliveries, sent, strict=True)) == {everything.id: True, off.id: False}


def test_payload_is_what_get_shows_at_that_moment(gateway: Gateway) -> None:
    gateway.create_endpoint()
    payment = gateway.settled_payment(simulate_refund="completed")
    created = gateway.refunds.create(payment.id, refund_command(amount="2.50"), actor=TEST)
    gateway.refunds.settle(payment.id, created.resource_id)
    refunded, completed = stored_deliveries(gateway.repository, payment.id)
    shown_then = exact_json.dumps(payment.model_dump())
    events = {event.id: event for event in stored_events(gateway.payments.repository, payment.id)}
    timestamp = events[completed.event_id].model_dump()["created_at"]
    assert completed.payload == (
        f'{{"id":"{completed.event_id}","seq":2,"type":"payment.completed",'
        f'"timestamp":"{timestamp}","data":{shown_then}}}'
    )
    assert '"amount":12.50' in completed.payload
    refund = gateway.payments.repository.find_refund(payment.id, created.resource_id)
    assert refund is not None
    assert json.loads(refunded.payload)["data"] == json.loads(exact_json.dumps(refund.model_dump()))


def test_created_event_has_no_delivery(gateway: Gateway) -> None:
    gateway.create_endpoint()
    payment = gateway.settled_payment("pending")
    assert stored_deliveries(gateway.repository, payment.id) == []


def test_cancel_and_return_have_deliveries(gateway: Gateway) -> None:
    gateway.create_endpoint()
    returned = gateway.settled_payment()
    gateway.payments.simulate_return(returned.id, SimulateReturn(), actor=TEST)
    assert [one.event_type for one in stored_deliveries(gateway.repository, returned.id)] == [
        "payment.returned",
        "payment.completed",
    ]
    payment_id = gateway.payments.create(command(), actor=TEST).resource_id
    gateway.payments.cancel(payment_id, actor=TEST)
    (delivery,) = stored_deliveries(gateway.repository, payment_id)
    assert delivery.event_type == "payment.canceled"


def test_endpoint_receives_what_it_wants_when_the_change_is_made(gateway: Gateway) -> None:
    """Whatever was read for the change before."""

    def received(payment_id: str) -> list[str]:
        return [one.event_type for one in stored_deliveries(gateway.repository, payment_id)]

    ids = [gateway.payments.create(command(), actor=TEST).resource_id for _ in range(5)]
    gateway.payments.settle(ids[0])  # there are no endpoints
    endpoint = gateway.create_endpoint(events=["refund.failed"])
    gateway.payments.settle(ids[1])
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(events=[Subscription.EVERYTHING]))
    gateway.payments.settle(ids[2])
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(enabled=False))
    gateway.payments.cancel(ids[3], actor=TEST)
    gateway.webhooks.delete(endpoint.id)
    gateway.payments.settle(ids[4])
    assert [len(received(payment_id)) for payment_id in ids] == [0, 0, 1, 1, 0]


def test_batch_tells_who_was_an_endpoint_a_moment_before_an_outcome(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]

    def monotonic() -> float:
        now[0] += 0.000_001
        return now[0]

    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=monotonic))
    ids = [gateway.payments.create(command(), actor=TEST).resource_id for _ in range(3)]
    soon, late, after = ids
    now[0] += 1
    with gateway.payments.outbox.reading_ahead():
        wait_until(lambda: outbox_of(gateway.payments)._snapshot, "the endpoints are read")
        now[0] += 0.09
        gateway.create_endpoint()
        gateway.payments.settle(soon)
        assert stored_deliveries(gateway.repository, soon) == []
        now[0] += 0.02
        gateway.payments.settle(late)
        assert len(stored_deliveries(gateway.repository, late)) == 1
    gateway.create_endpoint()
    now[0] += 0.001
    gateway.payments.settle(after)
    assert len(stored_deliveries(gateway.repository, after)) == 2, "a change outside a batch"


def test_batch_whose_read_fails_reads_again_for_its_change(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.create_endpoint()
    payment_id = gateway.payments.create(command(), actor=TEST).resource_id
    read = gateway.repository.all
    refused = Event()

    def refuse_once() -> Sequence[Endpoint]:
        monkeypatch.setattr(WebhookRepository, "all", lambda _: read())
        refused.set()
        raise Unavailable("DynamoDB is out of reach; try again.")

    monkeypatch.setattr(WebhookRepository, "all", lambda _: refuse_once())
    with gateway.payments.outbox.reading_ahead():
        assert refused.wait(60)
        gateway.payments.settle(payment_id)
    assert len(stored_deliveries(gateway.repository, payment_id)) == 1


def test_events_of_a_disabled_endpoint_are_kept_and_replayed(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(enabled=False))
    gateway.queue.messages.clear()
    payment = gateway.settled_payment(simulate_refund="completed")
    refund = gateway.refunds.create(payment.id, refund_command(amount="1"), actor=TEST)
    gateway.refunds.settle(payment.id, refund.resource_id)
    kept = stored_deliveries(gateway.repository, payment.id)
    assert [(one.event_type, one.status, one.failure_reason, one.attempts) for one in kept] == [
        ("refund.completed", DeliveryStatus.FAILED, FailureReason.ENDPOINT_DISABLED, []),
        ("payment.completed", DeliveryStatus.FAILED, FailureReason.ENDPOINT_DISABLED, []),
    ]
    assert gateway.queue.messages == [], "there is nothing to send"
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(enabled=True))
    assert (
        gateway.webhooks.replay_failed(
            endpoint.id, ReplayFailed.model_validate({"since": "2026-11-22"})
        ).replayed
        == 2
    )
    for delivery in kept:
        assert gateway.deliver(delivery).status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize(("endpoints", "halves"), [(1, 0), (MAX_ENDPOINTS, 1)])
def test_outcomes_of_a_batch_have_their_deliveries_however_many_endpoints_are_told(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], endpoints: int, halves: int
) -> None:
    """A transaction has at most 100 writes."""
    told = {gateway.create_endpoint().id for _ in range(endpoints)}
    request = {"metadata": {"simulate": "completed"}}
    made = [gateway.payments.create(command(**request), actor=TEST) for _ in range(10)]
    messages = [SettlePayment(one.resource_id) for one in made]
    assert Settling(gateway.payments).settle(messages) == {}
    for message in messages:
        deliveries = stored_deliveries(gateway.repository, message.payment_id)
        assert {one.endpoint_id for one in deliveries} == told
        assert {Deliver(one.id) for one in deliveries} <= set(gateway.queue.messages)
    assert len(gateway.queue.messages) == 10 * endpoints
    assert capsys.readouterr().out.count("committed_in_halves") == halves


def test_outcome_that_lost_the_race_has_no_delivery(gateway: Gateway) -> None:
    gateway.create_endpoint()
    payment_id = gateway.payments.create(command(), actor=TEST).resource_id
    submitted = gateway.payments.repository.mark_submitted(payment_id, gateway.clock())
    assert submitted is not None
    change = recorded(submitted, Completed(), gateway.clock())
    again = recorded(submitted, Completed(), gateway.clock())
    for one in (change, again):
        outgoing = gateway.payments.outbox.prepare([one])
        with suppress(StaleVersion):
            gateway.payments.repository.change(submitted, one, outgoing.writes)
    (delivery,) = stored_deliveries(gateway.repository, payment_id)
    assert delivery.event_id == change.event.id


def test_delivery_is_enqueued_only_after_it_is_committed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.create_endpoint()
    found: list[str] = []

    def look_up(body: str, **_: Any) -> None:
        message = decode(body)
        assert isinstance(message, Deliver)
        found.append(gateway.repository.get_delivery(message.delivery_id).event_type)

    monkeypatch.setattr(gateway.queue, "send", look_up)
    payment = gateway.settled_payment(simulate_refund="completed")
    created = gateway.refunds.create(payment.id, refund_command(amount="1"), actor=TEST)
    gateway.refunds.settle(payment.id, created.resource_id)
    gateway.payments.simulate_return(payment.id, SimulateReturn(), actor=TEST)
    canceled = gateway.payments.create(command(), actor=TEST).resource_id
    gateway.payments.cancel(canceled, actor=TEST)
    assert found == [
        "payment.completed",
        "refund.completed",
        "payment.returned",
        "payment.canceled",
    ]


def test_only_the_worker_that_commits_enqueues_its_deliveries(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.create_endpoint()
    request = command(metadata={"simulate": "completed"})
    payment_id = gateway.payments.create(request, actor=TEST).resource_id
    settle = type(gateway.payments.processor).settle

    def settle_after_another(processor: Any, payment: Payment) -> Any:
        monkeypatch.undo()
        gateway.payments.settle(payment.id)
        return settle(processor, payment)

    monkeypatch.setattr(type(gateway.payments.processor), "settle", settle_after_another)
    gateway.payments.settle(payment_id)
    (delivery,) = stored_deliveries(gateway.repository, payment_id)
    assert gateway.queue.messages == [Deliver(delivery.id)]


def test_outcome_that_was_not_committed_enqueues_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.create_endpoint()
    payment = gateway.settled_payment()
    refund = gateway.refunds.create(payment.id, refund_command(amount="1"), actor=TEST)
    processing, unwanted = (
        gateway.payments.create(command(), actor=TEST).resource_id for _ in "12"
    )
    gateway.queue.messages.clear()

    def out_of_reach(*_: Any) -> None:
        raise Unavailable("DynamoDB is out of reach; try again.")

    monkeypatch.setattr(Table, "transact", out_of_reach)
    with pytest.raises(Unavailable):
        gateway.payments.settle(processing)
    with pytest.raises(Unavailable):
        gateway.payments.cancel(unwanted, actor=TEST)
    with pytest.raises(Unavailable):
        gateway.refunds.settle(payment.id, refund.resource_id)
    assert gateway.queue.messages == []


def test_delivery_item_is_in_no_index_of_payments(gateway: Gateway) -> None:
    gateway.create_endpoint()
    item = delivery_to_item(gateway.new_delivery())
    assert "status" not in item
    assert "createdAt" not in item
