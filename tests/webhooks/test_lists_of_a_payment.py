"""The events, refunds and deliveries of one payment, page by page."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.aws.dynamodb import exists
from chalicelib.errors import InvalidCursor, NotFound
from chalicelib.payments.commands import ListOfPayment
from chalicelib.webhooks.commands import ListDeliveriesOfPayment
from chalicelib.webhooks.items import delivery_to_item
from chalicelib.webhooks.models import Attempt
from tests.conftest import TEST, refund_command, stored_deliveries, stored_events, stored_refunds
from tests.webhooks.conftest import Gateway

UNKNOWN = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
Page = tuple[list[str], str | None]


def events(gateway: Gateway, payment_id: str, **query: Any) -> Page:
    page = gateway.payments.events(payment_id, ListOfPayment.model_validate(query))
    return [one.id for one in page.events], page.next_cursor


def refunds(gateway: Gateway, payment_id: str, **query: Any) -> Page:
    page = gateway.refunds.of_payment(payment_id, ListOfPayment.model_validate(query))
    return [one.id for one in page.refunds], page.next_cursor


def deliveries(gateway: Gateway, payment_id: str, **query: Any) -> Page:
    asked = ListDeliveriesOfPayment.model_validate(query)
    page = gateway.webhooks.deliveries_of_payment(payment_id, asked)
    return [one.id for one in page.deliveries], page.next_cursor


def refunded(gateway: Gateway, times: int) -> str:
    """A payment with an endpoint, and so many refunds, each with a webhook."""
    gateway.create_endpoint()
    payment = gateway.settled_payment(simulate_refund="completed")
    for _ in range(times):
        refund = gateway.refunds.create(payment.id, refund_command(amount="0.10"), actor=TEST)
        gateway.refunds.settle(payment.id, refund.resource_id)
    return payment.id


each_list = pytest.mark.parametrize("read", [events, refunds, deliveries])


@each_list
@pytest.mark.parametrize("limit", ["1", "2", "3", "50"])
def test_pages_have_every_row_once(gateway: Gateway, read: Callable[..., Page], limit: str) -> None:
    payment_id = refunded(gateway, 3)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        found, cursor = read(gateway, payment_id, limit=limit, cursor=cursor)
        assert len(found) <= int(limit)
        seen += found
        if cursor is None:
            break
    stored: dict[Any, list[Any]] = {
        events: stored_events(gateway.payments.repository, payment_id),
        refunds: stored_refunds(gateway.payments.repository, payment_id),
        deliveries: stored_deliveries(gateway.repository, payment_id),
    }
    assert seen == [one.id for one in stored[read]]


@each_list
def test_cursor_of_another_payment_or_list_is_refused(
    gateway: Gateway, read: Callable[..., Page]
) -> None:
    payment_id, other = refunded(gateway, 2), gateway.settled_payment().id
    for of_another in (events, refunds, deliveries):
        _, cursor = of_another(gateway, payment_id, limit="1")
        assert cursor is not None
        if of_another is not read:
            with pytest.raises(InvalidCursor):
                read(gateway, payment_id, cursor=cursor)
        with pytest.raises(InvalidCursor):
            read(gateway, other, cursor=cursor)


@each_list
def test_unknown_payment_is_not_found(gateway: Gateway, read: Callable[..., Page]) -> None:
    for unknown in (UNKNOWN, "x"):
        with pytest.raises(NotFound):
            read(gateway, unknown)


def test_payment_without_refunds_has_an_empty_list(gateway: Gateway) -> None:
    assert refunds(gateway, gateway.settled_payment().id) == ([], None)


def test_page_of_large_deliveries_fits_into_an_answer_of_lambda(gateway: Gateway) -> None:
    """Each delivery takes some 250 KB, so 50 of them would take twice what Lambda may answer."""
    payment_id = refunded(gateway, 25)
    attempt = Attempt(at=gateway.clock(), status=503, response="\x07" * 2048)
    table = gateway.repository._table
    for delivery in stored_deliveries(gateway.repository, payment_id):
        large = delivery.model_copy(update={"attempts": [attempt] * 20})
        table.write(table.put_if(delivery_to_item(large), exists()))
    query = ListDeliveriesOfPayment()
    page = gateway.webhooks.deliveries_of_payment(payment_id, query)
    assert page.next_cursor is not None
    assert 4_000_000 <= len(page.to_json()) < 5_000_000
    assert json.loads(page.to_json())["deliveries"]
