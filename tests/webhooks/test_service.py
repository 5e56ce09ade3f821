"""Endpoints, test events, the list of deliveries, and replays."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib import exact_json
from chalicelib.aws.dynamodb import StaleVersion
from chalicelib.errors import (
    Conflict,
    EndpointDisabled,
    EndpointLimitReached,
    IdempotencyKeyReused,
    InvalidCursor,
    NotFound,
    UrlInUse,
    ValidationFailed,
)
from chalicelib.idempotency import Created
from chalicelib.messages import Deliver
from chalicelib.webhooks.commands import (
    CreateEndpoint,
    ListDeliveries,
    ReplayFailed,
    UpdateEndpoint,
)
from chalicelib.webhooks.models import (
    MAX_ENDPOINTS,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    NewEndpoint,
    Subscription,
)
from tests.conftest import TEST
from tests.webhooks.conftest import BUSY, UNKNOWN, URL, Gateway, audit_event


def test_endpoint_is_stored_as_created_and_shows_its_secret_only_then(gateway: Gateway) -> None:
    created = gateway.webhooks.create(
        CreateEndpoint(
            url=URL,
            description="Café ☕",
            events=[Subscription.REFUND_FAILED, Subscription.PAYMENT_COMPLETED],
        ),
        actor=TEST,
    )
    assert created.events == ["payment.completed", "refund.failed"]
    assert created.model_dump()["secret"] == created.secret
    stored = gateway.repository.get(created.id)
    assert dict(created) == dict(stored) | {"secret": created.secret}
    assert gateway.repository.all() == [stored]
    updated = gateway.webhooks.update(created.id, UpdateEndpoint(description="Café"))
    for shown in (stored.model_dump(), updated.model_dump(), gateway.webhooks.all().model_dump()):
        assert created.secret not in exact_json.dumps(shown)
        assert created.secret not in str(shown)


def test_eleventh_endpoint_is_refused_until_one_is_deleted(gateway: Gateway) -> None:
    created = [gateway.create_endpoint() for _ in range(MAX_ENDPOINTS)]
    with pytest.raises(EndpointLimitReached):
        gateway.create_endpoint(url="https://merchant.example/more")
    gateway.webhooks.delete(created[0].id)
    with pytest.raises(NotFound):  # and the count stays
        gateway.webhooks.delete(created[0].id)
    gateway.create_endpoint(url="https://merchant.example/more")
    with pytest.raises(EndpointLimitReached):
        gateway.create_endpoint(url="https://merchant.example/even-more")
    assert len(gateway.repository.all()) == MAX_ENDPOINTS


@pytest.mark.parametrize("endpoint_id", ["", "EP-", f"EP-{UNKNOWN}", "../x", "E" * 3000])
def test_unknown_endpoint_is_not_found(gateway: Gateway, endpoint_id: str) -> None:
    for use in (
        gateway.repository.get,
        gateway.webhooks.delete,
        gateway.webhooks.rotate,
        gateway.webhooks.test,
    ):
        with pytest.raises(NotFound):
            use(endpoint_id)
    with pytest.raises(NotFound):
        gateway.webhooks.update(endpoint_id, UpdateEndpoint())


@pytest.mark.parametrize(
    "url", ["http://merchant.example", "https://127.0.0.1/", "https://merchant.example:22/", "x"]
)
def test_refused_url_is_a_validation_error_of_its_field(gateway: Gateway, url: str) -> None:
    created = gateway.create_endpoint()
    with pytest.raises(ValidationFailed) as refused:
        gateway.create_endpoint(url=url)
    with pytest.raises(ValidationFailed) as refused_update:
        gateway.webhooks.update(created.id, UpdateEndpoint(url=url))
    assert refused.value.errors == refused_update.value.errors
    assert {error.field for error in refused.value.errors} == {"url"}
    assert gateway.repository.all() == [created]


def test_update_changes_only_the_fields_that_it_has(gateway: Gateway) -> None:
    created = gateway.create_endpoint(description="the first")
    other = "https://other.example/hooks"
    after = gateway.webhooks.update(created.id, UpdateEndpoint(url=other))
    assert (after.url, after.description) == (other, "the first")
    assert after.inline_secrets == created.inline_secrets
    assert gateway.webhooks.update(created.id, UpdateEndpoint(description=None)).description is None
    off = gateway.webhooks.update(created.id, UpdateEndpoint(enabled=False))
    assert (off.enabled, off.disabled_reason) == (False, DisabledReason.REQUESTED)
    enabled_again = gateway.webhooks.update(created.id, UpdateEndpoint(enabled=True))
    assert (enabled_again.enabled, enabled_again.disabled_at, enabled_again.disabled_reason) == (
        True,
        None,
        None,
    )
    assert gateway.repository.get(created.id) == enabled_again


def test_rotated_secret_also_signs_for_24_hours(gateway: Gateway) -> None:
    created = gateway.create_endpoint()
    first = gateway.secrets_of(created.id)
    after = gateway.webhooks.rotate(created.id)
    stored = gateway.repository.get(created.id)
    assert dict(after) == dict(stored) | {"secret": after.secret}
    assert after.model_dump()["secret"] == after.secret
    assert after.old_secret_expires_at == after.updated_at + timedelta(hours=24)
    gateway.clock.advance(hours=23, minutes=59)
    assert gateway.secrets_of(created.id) == [after.secret, *first]
    gateway.clock.advance(minutes=1)
    assert gateway.secrets_of(created.id) == [after.secret]


def test_fifth_rotation_in_a_day_is_refused_to_keep_old_secrets_valid(gateway: Gateway) -> None:
    created = gateway.create_endpoint()
    first = gateway.secrets_of(created.id)
    secrets = [*first, *(gateway.webhooks.rotate(created.id).secret for _ in range(4))]
    assert gateway.secrets_of(created.id) == secrets[::-1]
    with pytest.raises(Conflict):
        gateway.webhooks.rotate(created.id)
    gateway.clock.advance(hours=24)
    gateway.webhooks.rotate(created.id)


def test_concurrent_rotations_lose_no_secret_that_was_shown(gateway: Gateway) -> None:
    created = gateway.create_endpoint()
    secrets = created.inline_secrets
    assert secrets is not None
    first, second = (
        created.with_secrets_inline(secrets.rotated(one, gateway.clock()))
        for one in ("whsec_Zmlyc3Q=", "whsec_c2Vjb25k")
    )
    gateway.repository.change(created, first, audit_event(gateway, first))
    with pytest.raises(StaleVersion) as stale:
        gateway.repository.change(created, second, audit_event(gateway, second))
    assert stale.value.current == first


def test_test_event_is_delivered_like_any_other(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint(events=["refund.failed"])
    delivery = gateway.webhooks.test(endpoint.id)
    assert gateway.queue.messages[-1] == Deliver(delivery.id)
    assert gateway.deliver(delivery).status is DeliveryStatus.DELIVERED
    body = json.loads(gateway.merchant.received[0][1])
    assert (body["type"], body["data"]["id"]) == ("endpoint.test", endpoint.id)
    assert gateway.secrets_of(endpoint.id)[0] not in delivery.payload
    for hidden in (endpoint.url, "created_by"):
        assert hidden not in delivery.payload, "a key that sees deliveries may not see it"
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(enabled=False))
    with pytest.raises(EndpointDisabled):
        gateway.webhooks.test(endpoint.id)


def test_deliveries_are_listed_newest_first_by_page_and_status(gateway: Gateway) -> None:
    endpoint, other = gateway.create_endpoint(), gateway.create_endpoint(events=["refund.failed"])
    created = [gateway.new_delivery() for _ in range(5)]
    gateway.deliver(created[1])
    newest_first = [delivery.id for delivery in reversed(created)]
    assert delivery_ids(gateway, endpoint, limit="2") == newest_first
    assert delivery_ids(gateway, endpoint, limit="2", status="delivered") == [created[1].id]
    pending = [delivery_id for delivery_id in newest_first if delivery_id != created[1].id]
    assert delivery_ids(gateway, endpoint, limit="2", status="pending") == pending
    assert delivery_ids(gateway, other) == []
    cursor = gateway.webhooks.deliveries(endpoint.id, query(limit="2")).next_cursor
    with pytest.raises(InvalidCursor):
        gateway.webhooks.deliveries(other.id, query(cursor=cursor))
    with pytest.raises(NotFound):
        gateway.webhooks.deliveries(f"EP-{UNKNOWN}", query())


def query(**fields: Any) -> ListDeliveries:
    return ListDeliveries.model_validate(fields)


def delivery_ids(gateway: Gateway, endpoint: Endpoint, **fields: Any) -> list[str]:
    """Return the ids of all pages."""
    found: list[str] = []
    while True:
        page = gateway.webhooks.deliveries(endpoint.id, query(**fields))
        found += [delivery.id for delivery in page.deliveries]
        if page.next_cursor is None:
            return found
        fields["cursor"] = page.next_cursor


def test_replay_sends_the_same_body_under_the_same_id(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.deliver(delivery)
    again = gateway.webhooks.replay(delivery.id)
    assert again.status is DeliveryStatus.PENDING
    assert gateway.queue.messages[-1] == Deliver(delivery.id)
    after = gateway.deliver(delivery)
    assert len(after.attempts) == 2
    assert gateway.merchant.webhook_ids == [delivery.event_id] * 2
    assert gateway.merchant.received[0][1] == gateway.merchant.received[1][1]


def test_replay_makes_a_retry_due_now_and_conflicts_with_a_running_attempt(
    gateway: Gateway,
) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = BUSY
    gateway.deliver(delivery)
    gateway.webhooks.replay(delivery.id)
    began = gateway.clock()
    assert gateway.repository.lease(delivery.id, began, began + gateway.worker.lease)
    with pytest.raises(Conflict):
        gateway.webhooks.replay(delivery.id)


def test_failed_deliveries_since_a_moment_are_replayed_in_batches(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = gateway.create_endpoint()
    before = gateway.new_delivery()
    gateway.clock.advance(minutes=1)
    since = gateway.clock.now
    failed = [gateway.new_delivery() for _ in range(5)]
    delivered = gateway.new_delivery()
    gateway.deliver(delivered)
    monkeypatch.setattr("chalicelib.webhooks.retry_schedule.MAX_ATTEMPTS", 1)
    gateway.merchant.answer = BUSY
    for delivery in [before, *failed]:
        assert gateway.deliver(delivery).status is DeliveryStatus.FAILED
    monkeypatch.setattr("chalicelib.webhooks.service.MAX_REPLAYED", 3)
    monkeypatch.setattr("chalicelib.webhooks.service._PAGE", 2)
    first = gateway.webhooks.replay_failed(endpoint.id, failed_since(since))
    assert (first.replayed, first.has_more) == (3, True)
    assert first.next_since is not None
    second = gateway.webhooks.replay_failed(endpoint.id, failed_since(first.next_since))
    assert (second.replayed, second.has_more, second.next_since) == (2, False, None)
    assert len(delivery_ids(gateway, endpoint, status="pending")) == 5
    assert delivery_ids(gateway, endpoint, status="failed") == [before.id]


def failed_since(moment: datetime) -> ReplayFailed:
    return ReplayFailed.model_validate({"since": moment.isoformat()})


@pytest.mark.parametrize("delivery_id", ["", "DLV-", "DLV-" + UNKNOWN * 3, "x" * 3000])
def test_unknown_delivery_cannot_be_replayed(gateway: Gateway, delivery_id: str) -> None:
    with pytest.raises(NotFound):
        gateway.webhooks.replay(delivery_id)


@pytest.mark.parametrize("url", [URL, "HTTPS://Merchant.Example:443/webhooks"])
def test_second_endpoint_of_a_url_is_refused_and_names_the_first(
    gateway: Gateway, url: str
) -> None:
    first, other = gateway.create_endpoint(), gateway.create_endpoint()
    with pytest.raises(UrlInUse, match=first.id):
        gateway.webhooks.create(CreateEndpoint(url=url), actor=TEST)
    with pytest.raises(UrlInUse, match=first.id):
        gateway.webhooks.update(other.id, UpdateEndpoint(url=url))
    assert gateway.webhooks.update(first.id, UpdateEndpoint(url=url)).url == first.url
    moved = gateway.webhooks.update(other.id, UpdateEndpoint(url="https://merchant.example/moved"))
    assert moved == gateway.repository.get(other.id)
    gateway.webhooks.delete(first.id)
    assert gateway.webhooks.update(other.id, UpdateEndpoint(url=url)).url == URL


def test_of_endpoints_created_and_moved_to_one_url_at_once_one_remains(gateway: Gateway) -> None:
    """Each has read that nobody has the URL, and then another one takes it."""
    others = [gateway.create_endpoint(), gateway.create_endpoint()]
    wanted = "https://merchant.example/wanted"
    read = gateway.repository.registry

    def read_before_another(taken_by: Callable[[], object]) -> Callable[[], Any]:
        def registry() -> Any:
            found = read()
            gateway.repository.registry = read  # type: ignore[method-assign]
            taken_by()
            return found

        return registry

    def create() -> object:
        return gateway.webhooks.create(CreateEndpoint(url=wanted), actor=TEST)

    def move() -> object:
        return gateway.webhooks.update(others[0].id, UpdateEndpoint(url=wanted))

    for first, second in [(create, move), (move, create), (create, create)]:
        gateway.repository.registry = read_before_another(first)  # type: ignore[method-assign]
        with pytest.raises(UrlInUse):
            second()
        (holder,) = [one for one in gateway.repository.all() if one.url == wanted]
        if holder.id == others[0].id:
            gateway.webhooks.update(holder.id, UpdateEndpoint(url=others[0].url))
        else:
            gateway.webhooks.delete(holder.id)


KEYED = CreateEndpoint(url=URL, idempotency_key="the-shop-1")


@pytest.mark.parametrize("apart", [False, True], ids=["inline", "apart"])
def test_repeated_creation_answers_the_endpoint_without_its_secret(
    gateway: Gateway, apart: bool
) -> None:
    gateway.repository.keep_secrets_apart(apart)
    first = gateway.webhooks.create_once(KEYED, actor=TEST)
    assert isinstance(first, NewEndpoint)
    again = gateway.webhooks.create_once(KEYED, actor=TEST)
    assert isinstance(again, Created)
    assert again.replayed
    shown = json.loads(again.body)
    assert shown == json.loads(gateway.webhooks.get(first.id).to_json())
    assert first.secret not in again.body
    assert [one.id for one in gateway.webhooks.all().webhook_endpoints] == [first.id]


def test_idempotency_key_of_another_endpoint_is_refused(gateway: Gateway) -> None:
    gateway.webhooks.create_once(KEYED, actor=TEST)
    other = KEYED.model_copy(update={"url": "https://merchant.example/other"})
    with pytest.raises(IdempotencyKeyReused):
        gateway.webhooks.create_once(other, actor=TEST)
    gateway.clock.advance(hours=24, seconds=1)
    assert isinstance(gateway.webhooks.create_once(other, actor=TEST), NewEndpoint)
