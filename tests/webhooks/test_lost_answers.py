"""Every write is sent twice, as botocore does when the first answer is lost on its way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import ApiKeys
from chalicelib.audit.models import AuditEvent, AuditType
from chalicelib.aws.dynamodb import ConditionFailed
from chalicelib.payments.commands import SimulateReturn
from chalicelib.payments.models import Status
from chalicelib.webhooks.commands import ReplayFailed, UpdateEndpoint
from chalicelib.webhooks.models import DeliveryStatus
from tests.conftest import (
    TEST,
    command,
    key_repository_beside,
    refund_command,
    stored_deliveries,
    stored_events,
)
from tests.webhooks.conftest import BUSY, OK, Gateway

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


@contextmanager
def first_answers_lost(gateway: Gateway) -> Iterator[list[str]]:
    client: Any = gateway.payments.repository._payments._dynamodb
    send, lost = client._make_api_call, []

    def send_twice(operation: str, params: Any) -> Any:
        if operation in WRITES:
            send(operation, params)
            lost.append(operation)
        return send(operation, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_make_api_call", send_twice)
        yield lost


@pytest.fixture(params=["inline", "apart"])
def twice(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """The gateway, with its secrets in both places where they may lie."""
    gateway.repository.keep_secrets_apart(request.param == "apart")
    with first_answers_lost(gateway) as lost:
        yield gateway
    assert lost


def test_endpoint_is_created_changed_rotated_and_deleted_once(twice: Gateway) -> None:
    endpoint = twice.create_endpoint()
    changed = twice.webhooks.update(endpoint.id, UpdateEndpoint(description="changed"))
    assert changed == twice.repository.get(endpoint.id)
    first = twice.secrets_of(endpoint.id)
    rotated = twice.webhooks.rotate(endpoint.id)
    assert twice.secrets_of(endpoint.id) == [rotated.secret, *first]
    assert twice.repository.all() == [twice.repository.get(endpoint.id)]
    twice.webhooks.delete(endpoint.id)
    assert twice.repository.all() == []


def test_test_event_is_delivered_by_one_attempt_and_replayed(twice: Gateway) -> None:
    endpoint = twice.create_endpoint()
    delivered = twice.deliver(twice.webhooks.test(endpoint.id))
    assert (delivered.status, len(delivered.attempts)) == (DeliveryStatus.DELIVERED, 1)
    assert twice.webhooks.replay(delivered.id).status is DeliveryStatus.PENDING
    again = twice.deliver(delivered)
    assert (again.status, len(again.attempts)) == (DeliveryStatus.DELIVERED, 2)
    assert len(twice.merchant.received) == 2


def test_failures_are_counted_once_and_replayed_together(twice: Gateway) -> None:
    endpoint = twice.create_endpoint()
    twice.merchant.answer = BUSY
    tried = twice.deliver(twice.new_delivery())
    assert (tried.status, len(tried.attempts)) == (DeliveryStatus.PENDING, 1)
    twice.webhooks.update(endpoint.id, UpdateEndpoint(enabled=False))
    kept = twice.new_delivery()
    twice.webhooks.update(endpoint.id, UpdateEndpoint(enabled=True))
    since = ReplayFailed.model_validate({"since": "2026-11-22"})
    assert twice.webhooks.replay_failed(endpoint.id, since).replayed == 1
    twice.merchant.answer = OK
    assert twice.deliver(kept).status is DeliveryStatus.DELIVERED
    assert twice.repository.get(endpoint.id).failing_since is None


def test_payment_is_made_settled_refunded_canceled_and_returned_once(twice: Gateway) -> None:
    twice.create_endpoint()
    payment = twice.settled_payment(simulate_refund="completed")
    refund = twice.refunds.create(payment.id, refund_command(amount="1"), actor=TEST)
    twice.refunds.settle(payment.id, refund.resource_id)
    returned = twice.payments.simulate_return(payment.id, SimulateReturn(), actor=TEST)
    assert returned.version == len(stored_events(twice.payments.repository, payment.id)) == 5
    assert len(stored_deliveries(twice.repository, payment.id)) == 3
    canceled = twice.payments.create(command(), actor=TEST).resource_id
    assert twice.payments.cancel(canceled, actor=TEST).status is Status.CANCELED
    assert len(stored_events(twice.payments.repository, canceled)) == 2


def test_key_is_created_rolled_and_revoked_once(twice: Gateway) -> None:
    repository = key_repository_beside(twice.payments.repository)
    keys = ApiKeys("test", repository, is_required=True, clock=twice.clock)
    key = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=TEST)
    rolled = keys.roll(key.id, RollApiKey(), actor=TEST)
    for live in (key, rolled):
        assert keys.authorize(f"Bearer {live.key}", Scope.READ) is not None
    keys.revoke(rolled.id)
    assert {one.id for one in keys.all().api_keys} == {key.id, rolled.id}


def test_a_write_that_another_one_forestalled_still_fails(twice: Gateway) -> None:
    repository = key_repository_beside(twice.payments.repository)
    keys = ApiKeys("test", repository, is_required=True, clock=twice.clock)
    key = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=TEST)
    event = AuditEvent.of(
        AuditType.API_KEY_CREATED, TEST, twice.clock(), resource=(key.id, key.name), changes=[]
    )
    with pytest.raises(ConditionFailed):
        repository.add(key.model_copy(update={"name": "another"}), event)
