"""Concurrent writes to endpoints and deliveries."""

import pytest

from chalicelib.aws.dynamodb import ConditionFailed
from chalicelib.values import new_id
from chalicelib.webhooks.models import DeliveryStatus, DisabledReason, FailureReason
from chalicelib.webhooks.repository import LeaseLost
from tests.webhooks.conftest import Gateway, audit_event


def test_first_of_concurrent_failures_starts_the_five_days(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    first = gateway.repository.note_failure(endpoint, gateway.clock())
    assert first is not None
    began = first.failing_since
    assert began is not None
    gateway.clock.advance(seconds=1)
    gateway.repository.note_failure(first, gateway.clock())
    again = gateway.repository.get(endpoint.id)
    assert again.failing_since == began
    assert again.last_failed_at is not None
    assert again.last_failed_at > began


def test_success_keeps_a_failure_noted_after_it_was_read(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    seen = gateway.repository.note_failure(endpoint, gateway.clock())
    assert seen is not None
    gateway.repository.note_success(seen)
    gateway.clock.advance(seconds=1)
    later = gateway.repository.note_failure(endpoint, gateway.clock())
    assert later is not None
    gateway.repository.note_success(seen)
    assert gateway.repository.get(endpoint.id).failing_since == later.failing_since


def test_concurrent_disables_of_an_endpoint_write_one_event(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    now = gateway.clock()
    off = endpoint.disabled(DisabledReason.GONE, now)
    gateway.repository.disable(endpoint, off, new_id("EVT", now), audit_event(gateway, off))
    with pytest.raises(ConditionFailed):
        gateway.repository.disable(endpoint, off, new_id("EVT", now), audit_event(gateway, off))
    assert len(gateway.events_of(endpoint)) == 1


def test_endpoint_that_succeeded_since_it_was_read_is_not_disabled_for_failing(
    gateway: Gateway,
) -> None:
    endpoint = gateway.create_endpoint()
    failing = gateway.repository.note_failure(endpoint, gateway.clock())
    assert failing is not None
    gateway.repository.note_success(failing)
    now = gateway.clock()
    off = failing.disabled(DisabledReason.FAILING, now)
    with pytest.raises(ConditionFailed):
        gateway.repository.disable(failing, off, new_id("EVT", now), audit_event(gateway, off))
    assert gateway.repository.get(endpoint.id).enabled


def test_replay_cannot_take_a_delivery_that_was_leased_since_it_was_read(gateway: Gateway) -> None:
    gateway.create_endpoint()
    seen = gateway.new_delivery()
    began = gateway.clock()
    leased = gateway.repository.lease(seen.id, began, began + gateway.worker.lease)
    with pytest.raises(LeaseLost):
        gateway.repository.replay(seen, seen.replayed(gateway.clock()))
    assert gateway.repository.get_delivery(seen.id) == leased


def test_replay_cannot_undo_an_outcome_recorded_since_it_was_read(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    began = gateway.clock()
    leased = gateway.repository.lease(delivery.id, began, began + gateway.worker.lease)
    assert leased is not None
    failed = leased.not_sent(FailureReason.ENDPOINT_DISABLED)
    gateway.repository.record(leased, failed)
    gateway.webhooks.replay(delivery.id)
    delivered = gateway.deliver(delivery)
    assert delivered.status is DeliveryStatus.DELIVERED
    with pytest.raises(LeaseLost):  # neither is due, so only the state differs
        gateway.repository.replay(failed, failed.replayed(gateway.clock()))
    assert gateway.repository.get_delivery(delivery.id) == delivered
