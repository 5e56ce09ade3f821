"""Rows of a newer version, as a rollback finds them: one must not hide the others."""

import json
from typing import Any

import pytest

from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import ApiKeys
from chalicelib.aws.dynamodb import Item
from chalicelib.payments.commands import ListPayments, ReadStats
from chalicelib.payments.items import payment_key
from chalicelib.payments.models import Status
from chalicelib.webhooks.commands import UpdateEndpoint
from chalicelib.webhooks.items import endpoint_key
from chalicelib.webhooks.models import Subscription
from tests.conftest import TEST, command, key_repository_beside, stored_deliveries, stored_events
from tests.webhooks.conftest import Gateway


def change(gateway: Gateway, key: Item, **attributes: Any) -> None:
    table = gateway.repository._table
    table.write(table.update_request(key, set_=attributes))


def passed_over(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The range keys of the rows that could not be read."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = [line["SK"] for line in lines if line.get("kind") == "row_unreadable"]
    assert sum(line.get("RowsUnreadable", 0) for line in lines) == len(keys)
    return keys


def test_endpoint_with_an_unknown_event_receives_the_others_and_keeps_it(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint(events=["payment.completed"])
    key = endpoint_key(endpoint.id)
    change(gateway, key, events=["payment.completed", "payout.completed"])
    assert len(stored_deliveries(gateway.repository, gateway.settled_payment().id)) == 1
    gateway.webhooks.update(endpoint.id, UpdateEndpoint(description="changed"))
    stored = gateway.repository._table.find(key)
    assert stored is not None
    assert stored["events"] == ["payment.completed", "payout.completed"]
    assert gateway.repository.get(endpoint.id).events == [Subscription.PAYMENT_COMPLETED]


def test_broken_endpoint_stops_no_other(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, sound = gateway.create_endpoint(), gateway.create_endpoint()
    change(gateway, endpoint_key(broken.id), createdAt="some day")
    (delivery,) = stored_deliveries(gateway.repository, gateway.settled_payment().id)
    assert delivery.endpoint_id == sound.id
    assert passed_over(capsys) == [f"ENDPOINT#{broken.id}"]


def test_unknown_event_stops_no_story(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    payment = gateway.settled_payment()
    row = payment_key(payment.id) | {"SK": "EVENT#0000000002"}
    change(gateway, row, type="payment.submitted")
    assert [event.seq for event in stored_events(gateway.payments.repository, payment.id)] == [1]
    assert passed_over(capsys) == ["EVENT#0000000002"]


@pytest.mark.parametrize("filters", [{}, {"status": "completed"}], ids=["all", "by status"])
def test_unknown_type_of_payment_stops_no_list(
    gateway: Gateway, capsys: pytest.CaptureFixture[str], filters: dict[str, str]
) -> None:
    ids = [gateway.settled_payment().id for _ in range(5)]
    for unknown in (ids[1], ids[3]):
        change(gateway, payment_key(unknown), type="rtp")
    seen, cursor = [], None
    while True:
        query = ListPayments.model_validate({"limit": "2", "cursor": cursor, **filters})
        page = gateway.payments.list_page(query)
        seen += [payment.id for payment in page.payments]
        if (cursor := page.next_cursor) is None:
            break
    assert [one for one in seen if one in ids] == [ids[4], ids[2], ids[0]]
    assert set(passed_over(capsys)) == {"PAYMENT"}


def test_unknown_status_of_a_delivery_and_scope_of_a_key_stop_no_list(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    first, second = gateway.new_delivery(), gateway.new_delivery()
    assert first.payment_id is not None
    row = payment_key(first.payment_id) | {"SK": f"DELIVERY#{first.event_id}#{endpoint.id}"}
    change(gateway, row, state="paused")
    found = gateway.repository.find_deliveries([first.id, second.id])
    assert list(found) == [second.id]
    repository = key_repository_beside(gateway.payments.repository)
    keys = ApiKeys("test", repository, is_required=True, clock=gateway.clock)
    unknown, known = (
        keys.create(CreateApiKey(name=name, scopes=[Scope.READ]), actor=TEST) for name in "ab"
    )
    change(gateway, {"PK": "APIKEYS", "SK": f"APIKEY#{unknown.digest}"}, scopes=["audit"])
    assert [key.id for key in keys.all().api_keys] == [known.id]


def test_event_is_read_with_a_time_that_has_its_id(gateway: Gateway) -> None:
    payment_id = gateway.payments.create(command(), actor=TEST).resource_id
    (event,) = stored_events(gateway.payments.repository, payment_id)
    row = payment_key(payment_id) | {"SK": "EVENT#0000000001"}
    change(gateway, row, createdAt=f"{event.model_dump()['created_at']}#{event.id}")
    assert stored_events(gateway.payments.repository, payment_id) == [event]


DAY = ReadStats.model_validate({"from": "2026-11-22", "to": "2026-11-22"})


def test_total_of_an_unknown_kind_is_passed_over(gateway: Gateway) -> None:
    gateway.settled_payment()
    before = gateway.payments.stats(DAY)
    for name in ("2026-11-22#CAD#eft#completed#credit", "2026-11-22#CAD#rtp#completed"):
        change(gateway, {"PK": "STATS#00", "SK": name}, count=7, volume=7)
    assert gateway.payments.stats(DAY).rows == before.rows
    assert not before.incomplete


def test_total_below_zero_is_said_and_not_shown(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.settled_payment()
    change(gateway, {"PK": "STATS#00", "SK": "2026-11-22#USD#ach#completed"}, count=-1, volume=-5)
    stats = gateway.payments.stats(DAY)
    assert stats.incomplete
    assert [row.status for row in stats.rows] == [Status.COMPLETED]
    assert all(row.currency == "CAD" for row in stats.rows)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["currency"] for line in lines if line.get("kind") == "total_below_zero"] == ["USD"]
