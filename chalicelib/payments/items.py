"""Payments, refunds, events, totals and idempotency records as DynamoDB items: keys and codecs.

payment    PAY#<payment id> / PAYMENT
event      PAY#<payment id> / EVENT#<seq>, in the feed by `listing` and `createdAt`
refund     PAY#<payment id> / REFUND#<refund id>
totals     STATS#<shard>    / <day>#<currency>#<type>#<status>, of debits
           STATS#<shard>    / APART#<day>#<currency>#<type>#<status>#<credits or refunds>
record     <operation>#<resource>#<idempotency key>, in a table of its own

An item has one `searchKey`, and a payment is found by two: the payment's item has that of its
idempotency key, and its first event, which is as old, that of its merchant.
"""

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from chalicelib.aws.dynamodb import Index, Item, drop_none
from chalicelib.payments.models import (
    Book,
    Direction,
    Event,
    Payment,
    Refund,
    RefundStatus,
    Status,
    Total,
)
from chalicelib.values import folded, rfc3339, with_decimals

BY_STATUS: Final = Index("status-createdAt-index", "status", "createdAt")
ALL: Final = Index("all-createdAt-index", "listing", "createdAt")
LISTING: Final = "PAYMENT"
FEED: Final = "EVENT"
SEARCH: Final = Index("search-index", "searchKey", "createdAt")
PLACED: Final = ("listing", "createdAt", "searchKey", "data")
"""What `make index-payments` changes in items of earlier versions."""
TOTALS_SHARDS: Final = 16
"""The partitions of the totals: with several, payments seldom update the same row at once."""
APART: Final = "APART#"
"""Begins the sort keys of totals of credits and refunds: versions before 0.3 do not read them."""


ENTRY: Final = ("PK", "createdAt", "expectedAt")
"""What the sweeper reads of a payment or refund: its policy allows no texts."""


class PaymentEntry(NamedTuple):
    """The entry of a payment in an index."""

    payment_id: str
    sort_key: str
    expected_at: datetime | None = None


class RefundEntry(NamedTuple):
    """The entry of a refund in an index."""

    payment_id: str
    refund_id: str
    sort_key: str
    expected_at: datetime | None = None


def sort_key(resource: Payment | Refund | Event) -> str:
    """Return `createdAt` as stored: unique, of one width, and in time order as text."""
    return f"{rfc3339(resource.created_at)}#{resource.id}"


def payment_partition(payment_id: str) -> str:
    return f"PAY#{payment_id}"


def payment_key(payment_id: str) -> Item:
    return {"PK": payment_partition(payment_id), "SK": "PAYMENT"}


def payment_to_item(payment: Payment) -> Item:
    item = payment_key(payment.id) | {
        "listing": LISTING,
        "searchKey": search_key("idempotency_key", payment.idempotency_key),
        "id": payment.id,
        "merchant": payment.merchant,
        "amount": payment.amount,
        "currency": payment.currency,
        "type": payment.type,
        "direction": None if payment.direction is Direction.DEBIT else payment.direction,
        "idempotencyKey": payment.idempotency_key,
        "description": payment.description,
        "metadata": payment.metadata,
        "status": payment.status,
        "createdAt": sort_key(payment),
        "updatedAt": rfc3339(payment.updated_at),
        "expectedAt": payment.expected_at and rfc3339(payment.expected_at),
        "completedAt": payment.completed_at and rfc3339(payment.completed_at),
        "failureCode": payment.failure_code,
        "bankCode": payment.bank_code,
        "amountReturned": payment.amount_returned or None,
        "amountRefunded": payment.amount_refunded,
        "refundable": payment.refundable,
        "refundsProcessing": payment.refunds_processing or None,
        "version": payment.version,
        "submittedAt": payment.submitted_at and rfc3339(payment.submitted_at),
        "contradictions": list(payment.contradictions) or None,
    }
    return drop_none(item)


def payment_from_item(item: Item) -> Payment:
    def money(name: str) -> Decimal:  # DynamoDB drops trailing zeros
        return with_decimals(item.get(name, Decimal(0)), item["currency"])

    if item["status"] == Status.RETURNED and "amountReturned" not in item:
        # Before version 0.3, a return took what was not refunded.
        rest = item["amount"] - item["amountRefunded"]
        item = item | {"amountReturned": rest, "bankCode": item["failureCode"]}

    return Payment(
        id=item["id"],
        merchant=item["merchant"],
        amount=money("amount"),
        currency=item["currency"],
        type=item["type"],
        direction=item.get("direction", Direction.DEBIT),
        idempotency_key=item["idempotencyKey"],
        description=item.get("description"),
        metadata=item["metadata"],
        status=item["status"],
        created_at=item["createdAt"].partition("#")[0],
        updated_at=item["updatedAt"],
        expected_at=_expected_at(item, Status.PROCESSING),
        completed_at=item.get("completedAt"),
        failure_code=item.get("failureCode"),
        bank_code=item.get("bankCode"),
        amount_returned=money("amountReturned"),
        amount_refunded=money("amountRefunded"),
        refundable=money("refundable"),
        refunds_processing=item.get("refundsProcessing", 0),
        version=item["version"],
        submitted_at=item.get("submittedAt"),
        contradictions=item.get("contradictions", ()),
    )


def _expected_at(item: Item, processing: str) -> str | None:
    """Return when an outcome is expected: versions before 0.3 leave it on what they settle."""
    return item.get("expectedAt") if item["status"] == processing else None


def payment_entry(item: Item) -> PaymentEntry:
    expected = item.get("expectedAt")
    return PaymentEntry(
        item["createdAt"].partition("#")[2],
        item["createdAt"],
        expected and datetime.fromisoformat(expected),
    )


def found_entry(item: Item) -> PaymentEntry:
    """Return the entry of a payment that was found by its own item or by its first event."""
    return PaymentEntry(item["PK"].partition("#")[2], item["createdAt"])


def refund_key(payment_id: str, refund_id: str) -> Item:
    return {"PK": payment_partition(payment_id), "SK": f"REFUND#{refund_id}"}


def stored_refund_status(status: RefundStatus) -> str:
    """Return the status as stored: lists of payments by status must not contain refunds."""
    return f"refund_{status}"


def refund_to_item(refund: Refund) -> Item:
    item = refund_key(refund.payment_id, refund.id) | {
        "id": refund.id,
        "paymentId": refund.payment_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
        "idempotencyKey": refund.idempotency_key,
        "status": stored_refund_status(refund.status),
        "createdAt": sort_key(refund),
        "updatedAt": rfc3339(refund.updated_at),
        "expectedAt": refund.expected_at and rfc3339(refund.expected_at),
        "completedAt": refund.completed_at and rfc3339(refund.completed_at),
        "failureCode": refund.failure_code,
        "bankCode": refund.bank_code,
        "isWaiting": refund.is_waiting or None,
        "isCounted": refund.is_counted or None,
        "contradictions": list(refund.contradictions) or None,
    }
    return drop_none(item)


def refund_from_item(item: Item) -> Refund:
    return Refund(
        id=item["id"],
        payment_id=item["paymentId"],
        amount=with_decimals(item["amount"], item["currency"]),
        currency=item["currency"],
        reason=item.get("reason"),
        idempotency_key=item["idempotencyKey"],
        status=item["status"].removeprefix("refund_"),
        created_at=item["createdAt"].partition("#")[0],
        updated_at=item["updatedAt"],
        expected_at=_expected_at(item, stored_refund_status(RefundStatus.PROCESSING)),
        completed_at=item.get("completedAt"),
        failure_code=item.get("failureCode"),
        bank_code=item.get("bankCode"),
        is_waiting=item.get("isWaiting", False),
        is_counted=item.get("isCounted", False),
        contradictions=item.get("contradictions", ()),
    )


def refund_entry(item: Item) -> RefundEntry:
    return RefundEntry(item["PK"].partition("#")[2], *payment_entry(item))


def event_to_item(event: Event) -> Item:
    item = event_key(event.payment_id, event.seq) | {
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "paymentId": event.payment_id,
        "listing": FEED,
        "createdAt": sort_key(event),
        "actor": event.actor,
        # Its amounts are text: a number would lose trailing zeros, and an event has no currency.
        "data": event.data.model_dump(mode="json", exclude_none=True),
        "actorId": event.actor_id,
    }
    return drop_none(item)


def event_from_item(item: Item) -> Event:
    return Event(
        id=item["id"],
        seq=item["seq"],
        type=item["type"],
        payment_id=item["paymentId"],
        created_at=item["createdAt"].partition("#")[0],  # without an id before version 0.4
        actor=item["actor"],
        actor_id=item.get("actorId"),
        data=item["data"],
    )


def first_event_to_item(event: Event, payment: Payment) -> Item:
    """Return the item of the event by which a payment was created."""
    return event_to_item(event) | {"searchKey": search_key("merchant", folded(payment.merchant))}


def search_key(field: str, value: str) -> str:
    return hashlib.sha256(f"{field}#{value}".encode()).hexdigest()[:32]


def event_key(payment_id: str, seq: int) -> Item:
    return {"PK": payment_partition(payment_id), "SK": f"EVENT#{seq:010}"}


def subject_key(event: Event) -> Item:
    """Return the key of the payment or refund that an event is about."""
    if event.data.refund is None:
        return payment_key(event.payment_id)
    return refund_key(event.payment_id, event.subject_id)


def subject_from_item(item: Item) -> Payment | Refund:
    return payment_from_item(item) if item["SK"] == "PAYMENT" else refund_from_item(item)


def totals_shard(payment_id: str) -> int:
    """Return the shard that counts what is committed with this payment as the first."""
    return zlib.crc32(payment_id.encode()) % TOTALS_SHARDS


def totals_partition(shard: int) -> str:
    return f"STATS#{shard:02}"


def total_key(payment_id: str, kind: str) -> Item:
    return {"PK": totals_partition(totals_shard(payment_id)), "SK": kind}


class TotalShard(NamedTuple):
    """One of the rows that together are a total; `kind` is their sort key."""

    kind: str
    number: Decimal
    volume: Decimal


def total_shard_from_item(item: Item) -> TotalShard:
    return TotalShard(item["SK"], Decimal(item["count"]), Decimal(item["volume"]))


def total_shard_of(total: Total) -> TotalShard:
    kind = f"{total.day.isoformat()}#{total.currency}#{total.type}#{total.status}"
    if total.book is not Book.DEBITS:
        kind = f"{APART}{kind}#{total.book}"
    return TotalShard(kind, Decimal(total.count), total.volume)


def summed(shards: Iterable[TotalShard]) -> list[Item]:
    """Return an item for each total, with the sums of its shards."""
    counts: defaultdict[str, Decimal] = defaultdict(Decimal)
    volumes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for kind, number, volume in shards:
        counts[kind] += number
        volumes[kind] += volume
    return [{"SK": kind, "count": counts[kind], "volume": volumes[kind]} for kind in counts]


def total_from_item(item: Item) -> Total:
    kind = item["SK"].removeprefix(APART)
    day, currency, payment_type, status, *book = kind.split("#")
    return Total(
        book=book[0] if book else Book.DEBITS,
        day=day,
        currency=currency,
        type=payment_type,
        status=status,
        count=item["count"],
        volume=with_decimals(item["volume"], currency),
    )
