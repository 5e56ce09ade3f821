"""Payments, refunds, events, totals, API keys and idempotency records, as the tables keep them.

Guarantee: every change of a payment is one transaction that carries its event and holds
only if the payment is still what the caller saw. Nothing scans. What one transaction says,
all of it or nothing:

    create          record   absent, or past its own expiresAt
                    payment  absent
                    event
    change          payment  has the status, version and claim that we saw
                    event    absent
                    totals   add what moved
                    delivery absent, one for each endpoint that wants the event
    create_refund   record   absent, or past its own expiresAt
                    payment  as in a change, and as much as the refund is left of it
                    refund   absent
                    event    absent
    settle_refund   payment  as in a change
                    refund   still processing
                    event    absent
                    delivery absent, as in a change

The version is compared everywhere because the event's place in the story is the next one: of
two who saw the same version one commits, and the other starts again from what that one left.

Raises Unavailable when DynamoDB is out of reach and Conflict when others keep changing
the same items; whether a write that ended so was done is unknown until it is asked again.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.errors import Conflict, NotFound
from chalicelib.idempotency import Record
from chalicelib.model import (
    PAYMENT_ID,
    ApiKey,
    Change,
    Currency,
    Event,
    Payment,
    Refund,
    RefundStatus,
    Status,
    Total,
    rfc3339,
    totals_moved,
    with_decimals,
)
from chalicelib.tables import (
    ConditionFailed,
    Index,
    Item,
    Result,
    Span,
    Table,
    back_off,
    encode,
    present,
)
from chalicelib.webhook_model import Delivery
from chalicelib.webhook_store import delivery_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_STATUS: Final = Index("status-createdAt-index", "status", "createdAt")
EVERYTHING: Final = Index("all-createdAt-index", "listing", "createdAt")
_LISTING: Final = "PAYMENT"
_API_KEYS: Final = "APIKEYS"
TOTALS_SHARDS: Final = 16
"""The totals lie in as many partitions, so that payments seldom settle on the same row."""
MAX_COUNTED: Final = 10_000
_KEY_ID: Final = re.compile(r"KEY-[0-9A-F]{20}")
_MOVES: Final = 12
"""More than a batch of messages, all of which may be about refunds of one payment."""


class RecordExists(Exception):
    """The idempotency key already has a live record."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.key)
        self.record = record


class PaymentMoved(Exception):
    """The payment is no longer what the caller saw; `current` is what it is now."""

    def __init__(self, current: Payment) -> None:
        super().__init__(f"{current.id} is {current.status}, version {current.version}")
        self.current = current


class RefundSettled(Exception):
    """The refund is no longer processing."""


class KeyIsGone(Exception):
    """The API key is revoked, or was never there."""


class Entry(NamedTuple):
    """A payment as an index names it."""

    payment_id: str
    sort_key: str


class RefundEntry(NamedTuple):
    """A refund as the index names it."""

    payment_id: str
    refund_id: str
    sort_key: str


class Store:
    """Payments, their refunds and events, and the idempotency records of one stage.

    Ranges of an index are pairs of texts, both included: EARLIEST, LATEST, or what
    `from_moment`, `to_moment`, `just_before` and `just_after` give.
    """

    def __init__(
        self, dynamodb: "DynamoDBClient", *, payments_table: str, idempotency_table: str
    ) -> None:
        self._payments = Table(dynamodb, payments_table)
        self._idempotency = Table(dynamodb, idempotency_table)

    def create(self, change: Change, record: Record, now: datetime) -> None:
        """Write a new payment, its event and its idempotency record.

        Raises RecordExists when the key has a record that `now` has not outlived.
        """
        try:
            # The id is the token: a resend after a lost answer commits nothing twice.
            self._payments.transact(
                change.payment.id,
                {"Put": self._put_record(record, now)},
                {"Put": self._payments.when_absent(_payment_item(change.payment))},
                {"Put": self._payments.when_absent(_event_item(change.event))},
            )
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise
            raise RecordExists(_record(failed.items[0])) from failed

    def _put_record(self, record: Record, now: datetime) -> dict[str, Any]:
        return {
            "TableName": self._idempotency.name,
            "Item": encode(_record_item(record)),
            "ConditionExpression": "attribute_not_exists(idempotencyKey) OR expiresAt <= :now",
            "ExpressionAttributeValues": encode({":now": int(now.timestamp())}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def find_record(self, key: str, now: datetime) -> Record | None:
        """The idempotency record of `key`, if it has one that `now` has not outlived."""
        item = self._idempotency.find({"idempotencyKey": key})
        record = _record(item) if item is not None else None
        return record if record and record.expires_at_seconds > int(now.timestamp()) else None

    def change(self, before: Payment, change: Change, deliveries: Sequence[Delivery] = ()) -> None:
        """Replace `before` by the changed payment, with its event, what it moves in the totals,
        and the deliveries that it brings with it.

        Raises PaymentMoved when the stored payment is no longer `before`.
        """
        try:
            self._payments.transact(
                change.event.id,
                {"Update": self._step(before, change.payment)},
                {"Put": self._payments.when_absent(_event_item(change.event))},
                *(
                    {"Update": self._addition(total, before.id)}
                    for total in totals_moved(before, change.payment)
                ),
                *self._sent(deliveries),
            )
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise
            raise PaymentMoved(_payment(failed.items[0])) from failed

    def create_refund(self, before: Payment, change: Change, record: Record, now: datetime) -> None:
        """Write a new refund with its idempotency record, and set its amount aside.

        Raises RecordExists as `create` does, whatever else there is to say; else PaymentMoved.
        """
        assert change.refund is not None
        try:
            self._payments.transact(
                change.event.id,
                {"Put": self._put_record(record, now)},
                {"Update": self._step(before, change.payment, refundable=change.refund.amount)},
                {"Put": self._payments.when_absent(_refund_item(change.refund))},
                {"Put": self._payments.when_absent(_event_item(change.event))},
            )
        except ConditionFailed as failed:
            exists, moved, *_ = failed.items
            if exists is not None:
                raise RecordExists(_record(exists)) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            raise

    def settle_refund(
        self, before: Payment, refund: Refund, change: Change, deliveries: Sequence[Delivery] = ()
    ) -> None:
        """Replace `before` and its processing `refund` by what they have become.

        Raises RefundSettled when another was faster; else PaymentMoved.
        """
        assert change.refund is not None
        settled = self._payments.step(_refund_item(refund), _refund_item(change.refund), "status")
        try:
            self._payments.transact(
                change.event.id,
                {"Update": self._step(before, change.payment)},
                {"Update": settled},
                {"Put": self._payments.when_absent(_event_item(change.event))},
                *self._sent(deliveries),
            )
        except ConditionFailed as failed:
            moved, done, *_ = failed.items
            if done is not None:
                raise RefundSettled(refund.id) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            raise

    def _sent(self, deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
        items = map(delivery_item, deliveries)
        return [{"Put": self._payments.when_absent(item)} for item in items]

    def _step(self, before: Payment, after: Payment, **at_least: Decimal) -> dict[str, Any]:
        """The update that takes the stored payment from `before` to `after`."""
        seen = ("status", "version", "submittedAt")
        return self._payments.step(_payment_item(before), _payment_item(after), *seen, **at_least)

    def claim(self, payment_id: str, now: datetime) -> Payment:
        """Mark a processing payment as submitted, the first time `now`, and return it.

        A payment that is no longer processing comes back as it is, untouched. Raises
        NotFound. One write, no read before it.
        """
        claim = {
            "TableName": self._payments.name,
            "Key": encode(_payment_key(payment_id)),
            "UpdateExpression": "SET submittedAt = if_not_exists(submittedAt, :now)",
            "ConditionExpression": "#status = :processing",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": encode(
                {":now": rfc3339(now), ":processing": Status.PROCESSING}
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            return _payment(self._payments.update(claim))
        except ConditionFailed as failed:
            (item,) = failed.items
            if item is None:
                raise NotFound(f"There is no payment {payment_id}.") from failed
            return _payment(item)

    def get(self, payment_id: str) -> Payment:
        """The payment, as of the last write. Raises NotFound."""
        return _payment(self._get("payment", payment_id, _payment_key(payment_id)))

    def get_refund(self, payment_id: str, refund_id: str) -> Refund:
        """The refund, as of the last write. Raises NotFound."""
        return _refund(self._get("refund", payment_id, _refund_key(payment_id, refund_id)))

    def _get(self, kind: str, payment_id: str, key: Item) -> Item:
        if not PAYMENT_ID.fullmatch(payment_id):  # it may be longer than a key can be
            raise NotFound("There is no payment with this id.")
        item = self._payments.find(key)
        if item is None:
            raise NotFound(f"There is no {kind} with this id.")
        return item

    def refunds(self, payment_id: str) -> list[Refund]:
        """All refunds of a payment, oldest first, as of the last write. Raises NotFound."""
        # The payment's own row sorts right before them; that it is there tells none from unknown.
        rows = self._of_payment(payment_id, "PAYMENT", "REFUND$")
        refunds = [_refund(row) for row in rows if row["SK"] != "PAYMENT"]
        return sorted(refunds, key=sort_key)

    def story(self, payment_id: str) -> list[Event]:
        """All events of a payment, oldest first, as of the last write. Raises NotFound."""
        return [_event(row) for row in self._of_payment(payment_id, "EVENT#", "EVENT$")]

    def _of_payment(self, payment_id: str, lower: str, upper: str) -> list[Item]:
        rows = []
        if PAYMENT_ID.fullmatch(payment_id):
            rows = self._payments.partition(f"PAY#{payment_id}", lower, upper)
        if not rows:
            raise NotFound("There is no payment with this id.")
        return rows

    def by_status(self, status: Status, lower: str, upper: str, limit: int) -> list[Payment]:
        """Payments of one status as the index has them, newest first."""
        span = Span(status, lower, upper)
        found = self._payments.query(BY_STATUS, span, limit, newest_first=True)
        return [_payment(item) for item in found]

    def everything(self, lower: str, upper: str, limit: int) -> list[Entry]:
        """Payments of any status, newest first."""
        span = Span(_LISTING, lower, upper)
        found = self._payments.query(EVERYTHING, span, limit, newest_first=True)
        return [_entry(item) for item in found]

    def processing(self, lower: str, upper: str, limit: int) -> list[Entry]:
        """Payments that are processing, oldest first; one that is unreadable too."""
        span = Span(Status.PROCESSING, lower, upper)
        found = self._payments.query(BY_STATUS, span, limit, newest_first=False)
        return [_entry(item) for item in found]

    def processing_refunds(self, lower: str, upper: str, limit: int) -> list[RefundEntry]:
        """The same of refunds."""
        span = Span(_refund_status(RefundStatus.PROCESSING), lower, upper)
        found = self._payments.query(BY_STATUS, span, limit, newest_first=False)
        return [RefundEntry(item["PK"].partition("#")[2], *_entry(item)) for item in found]

    def get_many(self, payment_ids: Sequence[str]) -> dict[str, Payment]:
        """Payments by id, at most 100 (DynamoDB's limit), as of the last write."""
        keys = [_payment_key(payment_id) for payment_id in payment_ids]
        return {item["id"]: _payment(item) for item in self._payments.find_many(keys)}

    def count_processing(self, lower: str, upper: str) -> int:
        """How many payments are processing, as the index has it; stops after `MAX_COUNTED`."""
        return self._payments.count(BY_STATUS, Span(Status.PROCESSING, lower, upper), MAX_COUNTED)

    def totals(self, first: date, last: date) -> list[Total]:
        """What is settled of the days from the one to the other, as of the last write: each
        shard's rows by themselves. One query a shard, however many days.
        """
        lower, upper = f"{first.isoformat()}#", f"{last.isoformat()}$"
        with ThreadPoolExecutor(max_workers=TOTALS_SHARDS) as pool:
            found = pool.map(
                lambda shard: self._payments.partition(_totals_partition(shard), lower, upper),
                range(TOTALS_SHARDS),
            )
            return [_total(item) for items in found for item in items]

    def add_key(self, key: ApiKey) -> None:
        self._payments.put(self._payments.when_absent(_api_key_item(key)))

    def find_key(self, digest: str) -> ApiKey | None:
        """The API key with this digest, if there is one, as of the last write."""
        item = self._payments.find(_api_key_key(digest))
        return _api_key(item) if item is not None else None

    def get_key(self, key_id: str) -> ApiKey:
        """The API key with this id: it starts with the digest. Raises NotFound."""
        digest_start = key_id.removeprefix("KEY-").lower()
        if _KEY_ID.fullmatch(key_id):
            for key in self._keys(digest_start):
                return key
        raise NotFound("There is no API key with this id.")

    def all_keys(self) -> list[ApiKey]:
        return self._keys("")

    def replace_key(self, old: ApiKey, old_ends_at: datetime, new: ApiKey) -> None:
        """Add `new` and let `old` end, both or none.

        Raises KeyIsGone when `old` is revoked or was replaced before: its end is settled then.
        """
        end = {
            "TableName": self._payments.name,
            "Key": encode(_api_key_key(old.digest)),
            "UpdateExpression": "SET expiresAt = :end, replacedBy = :new",
            "ConditionExpression": "attribute_exists(PK) AND attribute_not_exists(revokedAt) "
            "AND attribute_not_exists(replacedBy)",
            "ExpressionAttributeValues": encode({":end": rfc3339(old_ends_at), ":new": new.id}),
        }
        try:
            self._payments.transact(
                new.id,
                {"Update": end},
                {"Put": self._payments.when_absent(_api_key_item(new))},
            )
        except ConditionFailed as failed:
            raise KeyIsGone from failed

    def revoke_key(self, key: ApiKey, now: datetime) -> None:
        self._update_key(key, "SET revokedAt = if_not_exists(revokedAt, :moment)", now)

    def note_use(self, key: ApiKey, hour: datetime) -> None:
        self._update_key(key, "SET lastUsedAt = :moment", hour)

    def _update_key(self, key: ApiKey, expression: str, moment: datetime) -> None:
        self._payments.update(
            {
                "TableName": self._payments.name,
                "Key": encode(_api_key_key(key.digest)),
                "UpdateExpression": expression,
                "ConditionExpression": "attribute_exists(PK)",
                "ExpressionAttributeValues": encode({":moment": rfc3339(moment)}),
            }
        )

    def _keys(self, digest_start: str) -> list[ApiKey]:
        start = f"APIKEY#{digest_start}"
        return [_api_key(item) for item in self._payments.partition(_API_KEYS, start, f"{start}~")]

    def check(self) -> None:
        """Read once from each table. Raises Unavailable, for whatever reason there is."""
        self._payments.check(_payment_key("HEALTH"))
        self._idempotency.check({"idempotencyKey": "HEALTH"})

    def _addition(self, total: Total, payment_id: str) -> dict[str, Any]:
        """The update that adds to a total; a payment's are always in one shard."""
        key = {
            "PK": _totals_partition(totals_shard(payment_id)),
            "SK": f"{total.day.isoformat()}#{total.currency}#{total.type}#{total.status}",
        }
        return {
            "TableName": self._payments.name,
            "Key": encode(key),
            "UpdateExpression": "ADD #count :count, #volume :volume",
            "ExpressionAttributeNames": {"#count": "count", "#volume": "volume"},
            "ExpressionAttributeValues": encode({":count": total.count, ":volume": total.volume}),
        }


def on_the_latest(payment: Payment, attempt: Callable[[Payment], Result]) -> Result:
    """`attempt` on `payment`, and again on what it is by now while others keep moving it.

    Raises what `attempt` raises, or Conflict when there is no end to it.
    """
    for number in range(_MOVES):
        if number:
            back_off(number)
        try:
            return attempt(payment)
        except PaymentMoved as moved:
            payment = moved.current
    raise Conflict("Others are changing this payment at this moment; try again.")


def sort_key(of: Payment | Refund) -> str:
    """`createdAt` as stored: unique, fixed-width, and in time order as text."""
    return f"{rfc3339(of.created_at)}#{of.id}"


def _entry(item: Item) -> Entry:
    return Entry(item["createdAt"].partition("#")[2], item["createdAt"])


def _payment_key(payment_id: str) -> Item:
    return {"PK": f"PAY#{payment_id}", "SK": "PAYMENT"}


def _payment_item(payment: Payment) -> Item:
    item = _payment_key(payment.id) | {
        "listing": _LISTING,
        "id": payment.id,
        "merchant": payment.merchant,
        "amount": payment.amount,
        "currency": payment.currency,
        "type": payment.type,
        "idempotencyKey": payment.idempotency_key,
        "description": payment.description,
        "metadata": payment.metadata,
        "status": payment.status,
        "createdAt": sort_key(payment),
        "updatedAt": rfc3339(payment.updated_at),
        "completedAt": payment.completed_at and rfc3339(payment.completed_at),
        "failureCode": payment.failure_code,
        "amountRefunded": payment.amount_refunded,
        "refundable": payment.refundable,
        "refundsProcessing": payment.refunds_processing or None,
        "version": payment.version,
        "submittedAt": payment.submitted_at and rfc3339(payment.submitted_at),
    }
    return present(item)


def _payment(item: Item) -> Payment:
    def money(name: str) -> Decimal:  # DynamoDB drops trailing zeros
        return with_decimals(item[name], Currency(item["currency"]))

    return Payment(
        id=item["id"],
        merchant=item["merchant"],
        amount=money("amount"),
        currency=item["currency"],
        type=item["type"],
        idempotency_key=item["idempotencyKey"],
        description=item.get("description"),
        metadata=item["metadata"],
        status=item["status"],
        created_at=item["createdAt"].partition("#")[0],
        updated_at=item["updatedAt"],
        completed_at=item.get("completedAt"),
        failure_code=item.get("failureCode"),
        amount_refunded=money("amountRefunded"),
        refundable=money("refundable"),
        refunds_processing=item.get("refundsProcessing", 0),
        version=item["version"],
        submitted_at=item.get("submittedAt"),
    )


def _refund_key(payment_id: str, refund_id: str) -> Item:
    return {"PK": f"PAY#{payment_id}", "SK": f"REFUND#{refund_id}"}


def _refund_status(status: RefundStatus) -> str:
    """As stored: lists of payments by status must not meet refunds."""
    return f"refund_{status}"


def _refund_item(refund: Refund) -> Item:
    item = _refund_key(refund.payment_id, refund.id) | {
        "id": refund.id,
        "paymentId": refund.payment_id,
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
        "idempotencyKey": refund.idempotency_key,
        "status": _refund_status(refund.status),
        "createdAt": sort_key(refund),
        "updatedAt": rfc3339(refund.updated_at),
        "completedAt": refund.completed_at and rfc3339(refund.completed_at),
        "failureCode": refund.failure_code,
    }
    return present(item)


def _refund(item: Item) -> Refund:
    return Refund(
        id=item["id"],
        payment_id=item["paymentId"],
        amount=with_decimals(item["amount"], Currency(item["currency"])),
        currency=item["currency"],
        reason=item.get("reason"),
        idempotency_key=item["idempotencyKey"],
        status=item["status"].removeprefix("refund_"),
        created_at=item["createdAt"].partition("#")[0],
        updated_at=item["updatedAt"],
        completed_at=item.get("completedAt"),
        failure_code=item.get("failureCode"),
    )


def _api_key_key(digest: str) -> Item:
    return {"PK": _API_KEYS, "SK": f"APIKEY#{digest}"}


def _api_key_item(key: ApiKey) -> Item:
    item = _api_key_key(key.digest) | {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "createdAt": rfc3339(key.created_at),
        "lastUsedAt": key.last_used_at and rfc3339(key.last_used_at),
        "expiresAt": key.expires_at and rfc3339(key.expires_at),
        "revokedAt": key.revoked_at and rfc3339(key.revoked_at),
    }
    return present(item)


def _api_key(item: Item) -> ApiKey:
    return ApiKey(
        id=item["id"],
        name=item["name"],
        scopes=item["scopes"],
        created_at=item["createdAt"],
        last_used_at=item.get("lastUsedAt"),
        expires_at=item.get("expiresAt"),
        revoked_at=item.get("revokedAt"),
        digest=item["SK"].removeprefix("APIKEY#"),
    )


def _event_item(event: Event) -> Item:
    # Ten digits keep text order and number order the same.
    return {
        "PK": f"PAY#{event.payment_id}",
        "SK": f"EVENT#{event.seq:010}",
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "paymentId": event.payment_id,
        "createdAt": rfc3339(event.created_at),
        "actor": event.actor,
        # Amounts as text: a number would lose its decimals, and an event knows no currency.
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }


def _event(item: Item) -> Event:
    return Event(
        id=item["id"],
        seq=item["seq"],
        type=item["type"],
        payment_id=item["paymentId"],
        created_at=item["createdAt"],
        actor=item["actor"],
        data=item["data"],
    )


def totals_shard(payment_id: str) -> int:
    """The one that a payment is counted in."""
    return zlib.crc32(payment_id.encode()) % TOTALS_SHARDS


def _totals_partition(shard: int) -> str:
    return f"STATS#{shard:02}"


def _total(item: Item) -> Total:
    day, currency, payment_type, status = item["SK"].split("#")
    return Total(
        day=day,
        currency=currency,
        type=payment_type,
        status=status,
        count=item["count"],
        volume=with_decimals(item["volume"], Currency(currency)),
    )


def _record_item(record: Record) -> Item:
    return {
        "idempotencyKey": record.key,
        "fingerprint": record.fingerprint,
        "resourceId": record.resource_id,
        "response": record.response,
        "expiresAt": record.expires_at_seconds,
    }


def _record(item: Item) -> Record:
    return Record(
        key=item["idempotencyKey"],
        fingerprint=item["fingerprint"],
        resource_id=item["resourceId"],
        response=item["response"],
        expires_at_seconds=int(item["expiresAt"]),
    )
