"""The lists: payments and refunds by status and time; events and refunds of one payment."""

from typing import TypeVar

from pydantic import ConfigDict

from chalicelib.aws.dynamodb import EARLIEST, LATEST
from chalicelib.aws.pagination import (
    OfPayment,
    from_moment,
    just_before,
    read_page,
    to_moment,
)
from chalicelib.errors import NotFound
from chalicelib.payments.commands import ListOfPayment, ListPayments, ListRefunds
from chalicelib.payments.models import EventList, Payment, Refund, RefundList, RefundStatus
from chalicelib.payments.repository import PaymentRepository
from chalicelib.schema import Schema
from chalicelib.values import folded

Row = TypeVar("Row")


class RefundPage(Schema):
    """Refunds of all payments, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    refunds: list[Refund]
    next_cursor: str | None
    count: int


class Page(Schema):
    """Payments, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    payments: list[Payment]
    next_cursor: str | None
    count: int


def list_payments(repository: PaymentRepository, query: ListPayments) -> Page:
    """Return one page. Raises InvalidCursor or Unavailable."""
    payments, next_cursor = read_page(
        lambda last, size: _read(repository, query, last, size),
        query,
        query,
        matches=query.match,
        is_filtered=bool(query.type or query.currency or query.merchant),
    )
    return Page(payments=payments, next_cursor=next_cursor, count=len(payments))


def _read(
    repository: PaymentRepository, query: ListPayments, last: str | None, size: int
) -> list[tuple[str, Payment | None]]:
    lower, upper = _range(query, last)
    if query.idempotency_key is not None:
        entries = repository.found_by("idempotency_key", query.idempotency_key, lower, upper, size)
    elif query.merchant is not None:
        entries = repository.found_by("merchant", folded(query.merchant), lower, upper, size)
    elif query.status is not None:
        return repository.by_status(query.status, lower, upper, size)
    else:
        entries = repository.all(lower, upper, size)
    # The last row of a full read only shows that there are more.
    found = repository.find_many([entry.payment_id for entry in entries[: size - 1]])
    return [(entry.sort_key, found.get(entry.payment_id)) for entry in entries]


def _range(query: ListPayments | ListRefunds, last: str | None) -> tuple[str, str]:
    """Return the ends of the part of an index that a list has left to read, newest first."""
    lower = from_moment(query.created_from) if query.created_from else EARLIEST
    upper = to_moment(query.created_to) if query.created_to else LATEST
    return lower, upper if last is None else min(upper, just_before(last))


def list_refunds(repository: PaymentRepository, query: ListRefunds) -> RefundPage:
    """Return one page of the refunds of all payments. Raises InvalidCursor or Unavailable."""
    refunds, next_cursor = read_page(
        lambda last, size: _read_refunds(repository, query, last, size), query, query
    )
    return RefundPage(refunds=refunds, next_cursor=next_cursor, count=len(refunds))


def _read_refunds(
    repository: PaymentRepository, query: ListRefunds, last: str | None, size: int
) -> list[tuple[str, Refund | None]]:
    """Merge what the index has by status.

    In the order of a refund's life: one that moves on meanwhile is read twice rather than missed.
    Only while the index itself moves it may it be in neither place.
    """
    lower, upper = _range(query, last)
    found: dict[str, Refund | None] = {}
    for status in RefundStatus if query.status is None else (query.status,):
        found |= repository.refunds_by_status(status, lower, upper, size, newest_first=True)
    return sorted(found.items(), reverse=True)[:size]


def list_events(repository: PaymentRepository, payment_id: str, query: ListOfPayment) -> EventList:
    """Return one page. Raises NotFound, InvalidCursor or Unavailable."""
    events, cursor = read_page(
        lambda last, size: _existing(repository.events(payment_id, last, size), last),
        query,
        OfPayment(payment_id=payment_id, kind="events"),
    )
    return EventList(events=events, next_cursor=cursor)


def list_refunds_of_payment(
    repository: PaymentRepository, payment_id: str, query: ListOfPayment
) -> RefundList:
    """Return one page. Raises NotFound, InvalidCursor or Unavailable."""
    refunds, cursor = read_page(
        lambda last, size: _existing(repository.refunds(payment_id, last, size), last),
        query,
        OfPayment(payment_id=payment_id, kind="refunds"),
    )
    return RefundList(refunds=refunds, next_cursor=cursor)


def _existing(rows: list[Row], last: str | None) -> list[Row]:
    """Return the rows of a payment. Raises NotFound if it has none, and so does not exist."""
    if not rows and last is None:
        raise not_found()
    return rows


def not_found() -> NotFound:
    return NotFound("There is no payment with this id.")
