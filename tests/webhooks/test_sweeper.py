"""The sweeper and deliveries that are late or stuck."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.errors import Unavailable
from chalicelib.messages import Deliver
from tests.webhooks.conftest import Gateway


def test_delivery_without_a_message_is_enqueued_when_a_minute_late(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.create_endpoint()

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("The queue does not answer.")

    with monkeypatch.context() as outage:
        outage.setattr(gateway.queue, "send", refuse)
        delivery = gateway.new_delivery()
    assert gateway.queue.messages == []
    for seconds, messages in [(59, 0), (2, 1), (60, 1), (60, 0), (60, 1)]:
        gateway.clock.advance(seconds=seconds)
        assert gateway.sweeper.sweep(gateway.clock.now).enqueued == messages
    assert set(gateway.queue.messages) == {Deliver(delivery.id)}
    gateway.deliver(delivery)
    gateway.clock.advance(minutes=3)
    assert gateway.sweeper.sweep(gateway.clock.now) == (0, 0)


def test_stuck_deliveries_are_reported_and_hide_no_newer_ones(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.create_endpoint()
    stuck = {gateway.new_delivery().id for _ in range(5)}
    gateway.clock.advance(days=6)
    late = gateway.new_delivery()
    gateway.queue.messages.clear()
    gateway.clock.advance(seconds=90)
    assert gateway.sweeper.sweep(gateway.clock.now) == (1, 5)
    assert gateway.queue.messages == [Deliver(late.id)]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (report,) = [line for line in lines if line.get("kind") == "deliveries_stuck"]
    assert set(report["oldest"]) == stuck
    assert gateway.sweeper.requeue(gateway.clock.now, timedelta(days=5)) == 5


def test_sweep_is_limited_per_window_and_leaves_the_rest_to_the_next(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.sweeper.MAX_DUE_ENQUEUED", 1)
    monkeypatch.setattr("chalicelib.webhooks.items.DUE_SHARDS", 1)
    gateway.create_endpoint()
    many = [gateway.new_delivery() for _ in range(3)]
    gateway.clock.advance(seconds=61)
    later = gateway.new_delivery()
    gateway.queue.messages.clear()
    gateway.clock.advance(seconds=61)
    assert gateway.sweeper.sweep(gateway.clock.now).enqueued == 2, "one of each window"
    assert set(gateway.queue.messages) == {Deliver(later.id), Deliver(many[0].id)}
    gateway.deliver(many[0])
    gateway.clock.advance(minutes=2)
    gateway.queue.messages.clear()
    gateway.sweeper.sweep(gateway.clock.now)
    assert Deliver(many[1].id) in gateway.queue.messages
