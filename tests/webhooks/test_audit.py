"""The audit log: every change by an administrator has one event, and no secret is in it."""

import json
from dataclasses import replace

import pytest

from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import ApiKeys
from chalicelib.audit.commands import ListAuditEvents
from chalicelib.audit.models import AuditEvent, AuditType, origin
from chalicelib.audit.repository import AuditRepository
from chalicelib.audit.service import AuditLog
from chalicelib.errors import NotFound
from chalicelib.values import Actor
from chalicelib.webhooks.commands import CreateEndpoint, UpdateEndpoint
from tests.conftest import key_repository_beside
from tests.crash import audit_trail
from tests.invariants import scan
from tests.webhooks.conftest import Gateway

ADMIN = Actor("Café", "KEY-0123456789ABCDEF0123", "203.0.113.7")
URL = "https://merchant.example/hook/token-in-the-path?token=in-the-query"


def log_of(gateway: Gateway) -> AuditLog:
    table = gateway.repository._table
    return AuditLog(AuditRepository(table._dynamodb, table.name))


def told(gateway: Gateway) -> list[AuditEvent]:
    """Return all audit events, oldest first."""
    return log_of(gateway).list_page(ListAuditEvents(limit=100)).audit_events[::-1]


def test_each_change_of_an_endpoint_has_one_audit_event(gateway: Gateway) -> None:
    webhooks = gateway.webhooks
    created = webhooks.create(CreateEndpoint(url=URL), actor=ADMIN)
    gateway.clock.advance(seconds=1)
    for fields in (
        {"description": "till 7"},
        {"enabled": False},
        {"enabled": True},
        {"url": URL + "-2"},
    ):
        webhooks.update(created.id, UpdateEndpoint.model_validate(fields), actor=ADMIN)
        gateway.clock.advance(seconds=1)
    webhooks.rotate(created.id, actor=ADMIN)
    gateway.clock.advance(seconds=1)
    webhooks.delete(created.id, actor=ADMIN)
    with pytest.raises(NotFound):
        webhooks.delete(created.id, actor=ADMIN)
    events = told(gateway)
    assert [event.type.value.partition(".")[2] for event in events] == [
        "created", "changed", "disabled", "enabled", "changed", "secret_rotated", "deleted",
    ]  # fmt: skip
    assert {(one.actor, one.actor_id, one.source_address) for one in events} == {tuple(ADMIN)}
    assert {(one.resource_id, one.resource_name) for one in events} == {
        (created.id, "https://merchant.example")
    }
    (change,) = events[1].changes
    assert (change.field, change.before, change.after) == ("description", None, "till 7")
    off = {one.field: (one.before, one.after) for one in events[2].changes}
    assert off == {"enabled": (True, False), "disabled_reason": (None, "requested")}
    assert [one.field for one in events[4].changes] == ["url"], "though only its query changed"


def test_no_secret_and_no_path_of_a_url_is_in_the_audit_log(gateway: Gateway) -> None:
    created = gateway.webhooks.create(CreateEndpoint(url=URL), actor=ADMIN)
    rotated = gateway.webhooks.rotate(created.id, actor=ADMIN)
    keys = keys_beside(gateway)
    key = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=ADMIN)
    rolled = keys.roll(key.id, RollApiKey(), actor=ADMIN)
    text = json.dumps([event.model_dump() for event in told(gateway)], default=str)
    for secret in (created.secret, rotated.secret, key.key, rolled.key, "token"):
        assert secret not in text
    with_login = "https://user:" + "password@merchant.example:8443/x?y"
    assert origin(with_login) == "https://merchant.example:8443"


def test_update_that_changes_nothing_has_no_audit_event(gateway: Gateway) -> None:
    created = gateway.webhooks.create(CreateEndpoint(url=URL), actor=ADMIN)
    gateway.clock.advance(seconds=1)
    for command in (UpdateEndpoint(), UpdateEndpoint(url=URL, enabled=True)):
        assert gateway.webhooks.update(created.id, command, actor=ADMIN).id == created.id
    assert [event.type for event in told(gateway)] == [AuditType.ENDPOINT_CREATED]


def test_replayed_idempotency_key_writes_no_second_audit_event(gateway: Gateway) -> None:
    endpoint = CreateEndpoint(url=URL, idempotency_key="endpoint-1")
    key = CreateApiKey(name="till", scopes=[Scope.READ], idempotency_key="the-till-1")
    keys = keys_beside(gateway)
    for _ in range(2):
        gateway.webhooks.create_once(endpoint, actor=ADMIN)
        keys.create_once(key, actor=ADMIN)
    assert sorted(event.type for event in told(gateway)) == [
        AuditType.API_KEY_CREATED,
        AuditType.ENDPOINT_CREATED,
    ]


def test_each_change_of_a_key_has_one_audit_event(gateway: Gateway) -> None:
    keys = keys_beside(gateway)
    key = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=ADMIN)
    gateway.clock.advance(seconds=1)
    rolled = keys.roll(key.id, RollApiKey(), actor=ADMIN)
    for _ in range(2):
        gateway.clock.advance(seconds=1)
        keys.revoke(rolled.id, actor=ADMIN)
    events = told(gateway)
    assert [(event.type.value, event.resource_id) for event in events] == [
        ("api_key.created", key.id),
        ("api_key.rolled", key.id),
        ("api_key.revoked", rolled.id),
    ]
    assert {one.field: one.after for one in events[1].changes}["replaced_by"] == rolled.id


def test_endpoint_that_is_gone_is_disabled_by_the_system_in_the_audit_log(
    gateway: Gateway,
) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.webhooks.test(endpoint.id)
    gateway.clock.advance(seconds=1)
    gateway.merchant.answer = replace(gateway.merchant.answer, status=410)
    gateway.deliver(delivery)
    event = told(gateway)[-1]
    assert event.type is AuditType.ENDPOINT_DISABLED
    assert (event.actor, event.actor_id, event.source_address) == ("system", None, None)
    assert {one.field: one.after for one in event.changes} == {
        "enabled": False,
        "disabled_reason": "gone",
    }


def test_pages_of_the_audit_log_are_newest_first_and_filtered_by_type(gateway: Gateway) -> None:
    keys = keys_beside(gateway)
    names = [f"key {number}" for number in range(5)]
    for name in names:
        keys.create(CreateApiKey(name=name, scopes=[Scope.READ]), actor=ADMIN)
        gateway.clock.advance(seconds=1)
    gateway.webhooks.create(CreateEndpoint(url=URL), actor=ADMIN)
    seen: list[str] = []
    cursor = None
    while True:
        query = ListAuditEvents(type=AuditType.API_KEY_CREATED, limit=2, cursor=cursor)
        page = log_of(gateway).list_page(query)
        seen += [event.resource_name for event in page.audit_events]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == names[::-1]


def keys_beside(gateway: Gateway) -> ApiKeys:
    repository = key_repository_beside(gateway.payments.repository)
    return ApiKeys("test", repository, is_required=True, clock=gateway.clock)


def test_audit_event_that_is_missing_or_too_many_is_found(gateway: Gateway) -> None:
    """By the check that the crash harness makes at the end."""
    webhooks, keys = gateway.webhooks, keys_beside(gateway)
    kept = webhooks.create(CreateEndpoint(url=URL), actor=ADMIN)
    webhooks.update(kept.id, UpdateEndpoint(description="till 7"), actor=ADMIN)
    gone = webhooks.create(CreateEndpoint(url=f"{URL}-2"), actor=ADMIN)
    webhooks.delete(gone.id, actor=ADMIN)
    key = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=ADMIN)
    keys.revoke(keys.roll(key.id, RollApiKey(), actor=ADMIN).id, actor=ADMIN)
    table = gateway.repository._table
    rows = [*scan(table._dynamodb, table.name)]
    assert [*audit_trail.broken(rows)] == []
    events = [row for row in rows if row["PK"].startswith("AUDIT#")]
    assert len(events) == 7
    for event in events:
        assert [*audit_trail.broken([row for row in rows if row is not event])]
        assert [*audit_trail.broken([*rows, event])]
