"""Pages and cursors: exact, bounded, and strict about what they are given."""

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import exact_json
from chalicelib.audit.commands import ListAuditEvents
from chalicelib.aws import pagination
from chalicelib.aws.dynamodb import Table
from chalicelib.aws.pagination import decode_cursor, encode_cursor
from chalicelib.errors import InvalidCursor, Unavailable
from chalicelib.exports.commands import ListExports
from chalicelib.payments.commands import ListPayments, ListRefunds, ReadFeed
from chalicelib.payments.facts import Completed, Returned
from chalicelib.payments.items import sort_key
from chalicelib.payments.listing import list_payments
from chalicelib.payments.models import Payment, Refund, RefundStatus, Status
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.validation import validated
from chalicelib.values import folded, rfc3339
from infra.ops.index_payments import index_payments
from tests.conftest import (
    START,
    TEST,
    Clock,
    as_version_0_3_wrote,
    command,
    new_repository,
    payments_on,
    recorded,
    refund_command,
    stored,
)
from tests.payments.test_repository import put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LAST = "2026-11-22T21:57:01.120000Z#PAY-01M82Y8T27997E9EYD0G6SK6MT"


def query(**fields: Any) -> ListPayments:
    return validated(ListPayments, fields)


def walk(repository: PaymentRepository, **fields: Any) -> list[Payment]:
    """Every payment of every page, with the promises of a page checked on the way."""
    found: list[Payment] = []
    cursor: dict[str, str] = {}
    while True:
        page = list_payments(repository, query(**fields, **cursor))
        assert page.count == len(page.payments) <= int(fields.get("limit", 20))
        assert not {payment.id for payment in page.payments} & {one.id for one in found}
        found += page.payments
        if page.next_cursor is None:
            return found
        cursor = {"cursor": page.next_cursor}


def newest_first(payments: list[Payment]) -> list[Payment]:
    return sorted(payments, key=sort_key, reverse=True)


@pytest.mark.parametrize("limit", ["1", "3", "7", "20"])
def test_pages_of_any_size_hold_every_payment_once_newest_first(
    repository: PaymentRepository, limit: str
) -> None:
    made = [put(repository, START + timedelta(seconds=number // 3)) for number in range(7)]
    assert walk(repository, limit=limit) == newest_first(made)
    assert walk(repository, limit=limit, status="processing") == newest_first(made)


def test_the_last_page_says_that_it_is_the_last(repository: PaymentRepository) -> None:
    for _ in range(4):
        put(repository)
    assert list_payments(repository, query(limit="4")).next_cursor is None
    assert list_payments(repository, query(limit="3")).next_cursor is not None
    assert list_payments(repository, query(limit="4", type="eft")).next_cursor is None
    assert list_payments(repository, query(limit="3", type="eft")).next_cursor is not None


def test_filters_are_applied_together(repository: PaymentRepository) -> None:
    wanted = put(repository, type="wire", currency="USD")
    put(repository, type="wire", currency="CAD")
    put(repository, type="eft", currency="USD")
    settled = put(repository, type="wire", currency="USD")
    repository.change(settled, recorded(settled, Completed(), START))
    assert walk(repository, status="processing", type="wire", currency="USD") == [wanted]
    assert len(walk(repository, type="wire", currency="USD")) == 2


@pytest.mark.parametrize("status", [{}, {"status": "processing"}])
def test_time_range_includes_both_ends(
    repository: PaymentRepository, status: dict[str, str]
) -> None:
    made = [put(repository, START + timedelta(microseconds=number)) for number in range(5)]
    between = {
        "created_from": rfc3339(START + timedelta(microseconds=1)),
        "created_to": rfc3339(START + timedelta(microseconds=3)),
    }
    assert walk(repository, limit="2", **between, **status) == newest_first(made[1:4])


def test_paging_is_exact_while_payments_are_added_and_change(
    repository: PaymentRepository,
) -> None:
    made = [put(repository) for _ in range(9)]
    seen: list[Payment] = []
    cursor: dict[str, str] = {}
    while True:
        page = list_payments(repository, query(limit="2", **cursor))
        seen += page.payments
        if page.next_cursor is None:
            break
        cursor = {"cursor": page.next_cursor}
        put(repository, START + timedelta(seconds=1))
        moving = next(
            payment
            for payment in newest_first(made)
            if stored(repository, payment.id).status is Status.PROCESSING
        )
        repository.change(moving, recorded(moving, Completed(), START))
    assert [payment.id for payment in seen] == [payment.id for payment in newest_first(made)]


def test_page_reads_bounded_rows_and_rare_payments_are_found(
    emulated_dynamodb: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = new_repository(emulated_dynamodb)
    rare = put(repository, START - timedelta(seconds=1), type="wire")
    for _ in range(90):
        put(repository)
    monkeypatch.setattr(pagination, "MAX_ROWS", 40)
    monkeypatch.setattr(pagination, "_FILTERED_READ", 10)
    rows_read: list[int] = []
    emulated_dynamodb.meta.events.register(
        "after-call.dynamodb.Query", lambda parsed, **_: rows_read.append(parsed["Count"])
    )
    for status in ({}, {"status": "processing"}):
        rows_read.clear()
        page = list_payments(repository, query(type="wire", **status))
        assert page.payments == []
        assert page.next_cursor is not None
        assert sum(rows_read) <= 40
        assert walk(repository, type="wire", **status) == [rare]


def test_page_examines_a_thousand_rows_at_most() -> None:
    assert pagination.MAX_ROWS == 1000
    assert pagination._FILTERED_READ * (pagination.MAX_ROWS // pagination._FILTERED_READ) <= 1000


def test_a_cursor_remembers_its_place_for_its_own_filter_and_any_limit() -> None:
    cursor = encode_cursor(LAST, query(status="failed"))
    assert decode_cursor(cursor, query(status="failed", limit="100")) == LAST


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"status": "completed"},
        {"status": "failed", "type": "eft"},
        {"status": "failed", "currency": "CAD"},
        {"status": "failed", "created_from": "2026-11-22"},
        {"status": "failed", "created_to": "2026-11-22"},
    ],
)
def test_a_cursor_of_another_filter_is_refused(other: dict[str, str]) -> None:
    cursor = encode_cursor(LAST, query(status="failed"))
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, query(**other))


def test_cut_or_changed_cursor_is_refused() -> None:
    cursor = encode_cursor(LAST, query())
    changed = [cursor[:end] for end in range(len(cursor))]
    changed += [cursor + more for more in ("A", "=", " ", "\n", "AAAA")]
    for position, character in enumerate(cursor):
        for other in ("A" if character != "A" else "B", chr(ord(character) + 1), "é", "="):
            changed.append(cursor[:position] + other + cursor[position + 1 :])
    for garbled in changed:
        with pytest.raises(InvalidCursor):
            decode_cursor(garbled, query())


@given(text=st.text(max_size=400))
def test_text_that_we_did_not_write_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(text, query())


@pytest.mark.parametrize(
    "content",
    [None, [], [1], [2, "x", LAST], [1, "x", "~"], [1, "x", 7], {"a": 1}, [1, "x", [LAST]]],
)
def test_cursor_with_a_valid_checksum_but_bad_content_is_refused(content: Any) -> None:
    text = exact_json.dumps(content).encode()
    forged = base64.urlsafe_b64encode(pagination._checksum(text) + text)
    with pytest.raises(InvalidCursor):
        decode_cursor(forged.decode().rstrip("="), query())


@pytest.fixture
def refunded(engine: "DynamoDBClient", clock: Clock) -> tuple[Refunds, list[str]]:
    """Seven refunds of two payments, in every status, oldest first."""
    refunds = Refunds(payments_on(new_repository(engine), clock))
    made: list[str] = []
    for outcome in ("completed", "failed:account_closed"):
        wishes = {"simulate": "completed", "simulate_refund": outcome}
        created = refunds.payments.create(command(type="eft", metadata=wishes), actor=TEST)
        refunds.payments.settle(created.resource_id)
        made += [
            refunds.create(created.resource_id, refund_command(amount="1"), actor=TEST).resource_id
            for _ in range(4)
        ]
        for refund_id in made[-3:]:
            refunds.settle(created.resource_id, refund_id)
        if outcome == "completed":
            refunds.record(created.resource_id, made[-1], Returned("902"))
    return refunds, made


def pages(refunds: Refunds, **fields: str) -> list[Refund]:
    found: list[Refund] = []
    while True:
        page = refunds.list_page(validated(ListRefunds, fields))
        assert page.count == len(page.refunds)
        found += page.refunds
        if page.next_cursor is None:
            return found
        fields["cursor"] = page.next_cursor


@pytest.mark.parametrize("limit", ["1", "3", "100"])
def test_refunds_of_all_payments_are_listed_newest_first(
    refunded: tuple[Refunds, list[str]], limit: str
) -> None:
    refunds, made = refunded
    assert [one.id for one in pages(refunds, limit=limit)] == made[::-1]
    for status in RefundStatus:
        wanted = [one for one in pages(refunds) if one.status is status]
        assert wanted
        assert pages(refunds, status=status.value, limit=limit) == wanted


def test_refunds_of_a_time_range_are_listed(refunded: tuple[Refunds, list[str]]) -> None:
    refunds, made = refunded
    since, until = (
        rfc3339(one.created_at) for one in pages(refunds)[::-1] if one.id in {made[2], made[5]}
    )
    listed = pages(refunds, created_from=since, created_to=until, limit="2")
    assert [one.id for one in listed] == made[2:6][::-1]


def test_refund_that_moves_on_between_two_reads_is_listed_once(
    refunded: tuple[Refunds, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refunds, made = refunded
    repository = refunds.payments.repository
    read = repository.refunds_by_status

    def settled_meanwhile(status: RefundStatus, *rest: Any, **more: Any) -> Any:
        found = read(status, *rest, **more)
        for _, refund in found:
            if refund and refund.status is RefundStatus.PROCESSING:
                refunds.settle(refund.payment_id, refund.id)
        return found

    monkeypatch.setattr(repository, "refunds_by_status", settled_meanwhile)
    listed = pages(refunds)
    assert [one.id for one in listed] == made[::-1]
    assert all(one.status is not RefundStatus.PROCESSING for one in listed)


@pytest.fixture
def shop(engine: "DynamoDBClient", clock: Clock) -> Payments:
    """Four payments of two merchants, one of whom is written in three ways."""
    payments = payments_on(new_repository(engine), clock)
    names = ["Caf\u00e9 Nord", "Other", "CAF\u00c9 nord", "Cafe\u0301 Nord"]
    for number, merchant in enumerate(names):
        outcome = {"simulate": "completed" if number % 2 else "failed:account_closed"}
        request = command(merchant=merchant, idempotency_key=f"order-{number:05}", metadata=outcome)
        payments.settle(payments.create(request, actor=TEST).resource_id)
    return payments


def keys(payments: Payments, **fields: Any) -> list[str]:
    return [payment.idempotency_key for payment in walk(payments.repository, **fields)]


def test_payments_are_found_by_their_merchants_whatever_the_case(shop: Payments) -> None:
    wanted = ["order-00003", "order-00002", "order-00000"]
    for name in ("caf\u00e9 nord", "CAFE\u0301 NORD"):
        assert keys(shop, merchant=name) == keys(shop, merchant=name, limit="1") == wanted
    assert keys(shop, merchant="caf\u00e9 nord", status="failed", limit="1") == wanted[1:]
    assert keys(shop, merchant="caf\u00e9") == []


def test_payment_is_found_by_its_key_and_no_other(shop: Payments, clock: Clock) -> None:
    assert keys(shop, idempotency_key="order-00001") == ["order-00001"]
    assert keys(shop, idempotency_key="order-00001", merchant="OTHER") == ["order-00001"]
    assert keys(shop, idempotency_key="order-00001", merchant="Cafe") == []
    assert keys(shop, idempotency_key="ORDER-00001") == []
    clock.advance(hours=25)
    shop.create(command(idempotency_key="order-00001"), actor=TEST)
    assert keys(shop, idempotency_key="order-00001", limit="1") == ["order-00001"] * 2
    assert keys(shop, idempotency_key="order-00001", created_to="2026-11-22") == ["order-00001"]


def test_payments_of_an_earlier_version_are_found_once_they_are_indexed(shop: Payments) -> None:
    as_version_0_3_wrote(shop.repository)
    assert keys(shop, merchant="Other") == keys(shop, idempotency_key="order-00001") == []
    assert [index_payments(shop.repository) for _ in range(2)] == [8, 0]
    assert keys(shop, merchant="Other") == keys(shop, idempotency_key="order-00001") != []


def test_search_without_its_index_asks_to_try_later(engine: "DynamoDBClient") -> None:
    repository = new_repository(engine)
    repository._payments = Table(engine, repository.records._table.name)
    with pytest.raises(Unavailable, match="still being built"):
        list_payments(repository, query(merchant="Other"))


def test_cursor_of_an_unfiltered_list_is_refused_by_a_search(shop: Payments) -> None:
    cursor = list_payments(shop.repository, query(limit="1")).next_cursor
    with pytest.raises(InvalidCursor):
        list_payments(shop.repository, query(limit="1", cursor=cursor, merchant="Other"))


LISTS = (ListPayments, ListRefunds, ReadFeed, ListExports, ListAuditEvents)


@pytest.mark.parametrize("of", LISTS)
def test_cursor_of_another_list_is_refused(of: Any) -> None:
    cursor = encode_cursor("2026-11-22T00:00:00.000000Z#PAY-01M8APXD011GRGZVGKNX3RWC8K", of())
    for other in LISTS:
        if other is not of:
            with pytest.raises(InvalidCursor):
                decode_cursor(cursor, other())
    assert decode_cursor(cursor, of())


@pytest.mark.parametrize(
    ("one", "other"), [("CAFÉ", "cafe\u0301"), ("Straße", "STRASSE"), ("ΐ", "\u03b9\u0308\u0301")]
)
def test_names_are_compared_without_case_and_however_they_are_composed(
    one: str, other: str
) -> None:
    assert folded(one) == folded(other)
    assert folded(folded(one)) == folded(one)
