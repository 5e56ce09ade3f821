"""The payments and idempotency tables: the only module that talks to DynamoDB.

Guarantee: every change of a payment is one transaction that carries its event and holds
only if the payment is still what the caller saw. Nothing scans. What one transaction says,
all of it or nothing:

    create          record   absent, or past its own expiresAt
                    payment  absent
                    event
    change          payment  has the status, version and claim that we saw
                    event    absent
                    totals   add what moved
    create_refund   record   absent, or past its own expiresAt
                    payment  as in a change, and as much as the refund is left of it
                    refund   absent
                    event    absent
    settle_refund   payment  as in a change
                    refund   still processing
                    event    absent

The version is compared everywhere because the event's place in the story is the next one: of
two who saw the same version one commits, and the other starts again from what that one left.

Raises Unavailable when DynamoDB is out of reach and Conflict when others keep changing
the same items; whether a write that ended so was done is unknown until it is asked again.
"""

import random
import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from chalicelib.aws import outage_is_unavailable
from chalicelib.errors import Conflict, NotFound, Unavailable
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

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

Item = dict[str, Any]
Result = TypeVar("Result")

BY_STATUS: Final = "status-createdAt-index"
EVERYTHING: Final = "all-createdAt-index"
_LISTING: Final = "PAYMENT"
_API_KEYS: Final = "APIKEYS"
TOTALS_SHARDS: Final = 16
"""A day's totals lie in as many partitions, so that payments seldom settle on the same row."""
_TOTALS_READERS: Final = 16
MAX_COUNTED: Final = 10_000
_KEY_ID: Final = re.compile(r"KEY-[0-9A-F]{20}")
_ATTEMPTS: Final = 6
_MOVES: Final = 12
"""More than a batch of messages, all of which may be about refunds of one payment."""
_BACKOFF_BASE_SECONDS: Final = 0.02
_BACKOFF_CAP_SECONDS: Final = 0.5

_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_CONFLICTS: Final = frozenset({"TransactionConflict"})
_THROTTLES: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


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
        self._dynamodb = dynamodb
        self._payments = payments_table
        self._idempotency = idempotency_table

    def create(self, change: Change, record: Record, now: datetime) -> None:
        """Write a new payment, its event and its idempotency record.

        Raises RecordExists when the key has a record that `now` has not outlived.
        """
        try:
            # The id is the token: a resend after a lost answer commits nothing twice.
            self._transact(
                change.payment.id,
                {"Put": self._put_record(record, now)},
                {"Put": self._when_absent(_payment_item(change.payment))},
                {"Put": self._when_absent(_event_item(change.event))},
            )
        except _ConditionFailed as failed:
            if failed.items[0] is None:
                raise
            raise RecordExists(_record(failed.items[0])) from failed

    def _put_record(self, record: Record, now: datetime) -> dict[str, Any]:
        return {
            "TableName": self._idempotency,
            "Item": _encode(_record_item(record)),
            "ConditionExpression": "attribute_not_exists(idempotencyKey) OR expiresAt <= :now",
            "ExpressionAttributeValues": _encode({":now": int(now.timestamp())}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def find_record(self, key: str, now: datetime) -> Record | None:
        """The idempotency record of `key`, if it has one that `now` has not outlived."""
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.get_item(
                TableName=self._idempotency,
                Key=_encode({"idempotencyKey": key}),
                ConsistentRead=True,
            )
        record = _record(_decode(answer["Item"])) if "Item" in answer else None
        return record if record and record.expires_at_seconds > int(now.timestamp()) else None

    def change(self, before: Payment, change: Change) -> None:
        """Replace `before` by the changed payment, with its event and what it moves in the totals.

        Raises PaymentMoved when the stored payment is no longer `before`.
        """
        try:
            self._transact(
                change.event.id,
                {"Update": self._step(before, change.payment)},
                {"Put": self._when_absent(_event_item(change.event))},
                *(
                    {"Update": self._addition(total, before.id)}
                    for total in totals_moved(before, change.payment)
                ),
            )
        except _ConditionFailed as failed:
            if failed.items[0] is None:
                raise
            raise PaymentMoved(_payment(failed.items[0])) from failed

    def create_refund(self, before: Payment, change: Change, record: Record, now: datetime) -> None:
        """Write a new refund with its idempotency record, and set its amount aside.

        Raises RecordExists as `create` does, whatever else there is to say; else PaymentMoved.
        """
        assert change.refund is not None
        try:
            self._transact(
                change.event.id,
                {"Put": self._put_record(record, now)},
                {"Update": self._step(before, change.payment, refundable=change.refund.amount)},
                {"Put": self._when_absent(_refund_item(change.refund))},
                {"Put": self._when_absent(_event_item(change.event))},
            )
        except _ConditionFailed as failed:
            exists, moved, *_ = failed.items
            if exists is not None:
                raise RecordExists(_record(exists)) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            raise

    def settle_refund(self, before: Payment, refund: Refund, change: Change) -> None:
        """Replace `before` and its processing `refund` by what they have become.

        Raises RefundSettled when another was faster; else PaymentMoved.
        """
        assert change.refund is not None
        settled = self._update(_refund_item(refund), _refund_item(change.refund), "status")
        try:
            self._transact(
                change.event.id,
                {"Update": self._step(before, change.payment)},
                {"Update": settled},
                {"Put": self._when_absent(_event_item(change.event))},
            )
        except _ConditionFailed as failed:
            moved, done, *_ = failed.items
            if done is not None:
                raise RefundSettled(refund.id) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            raise

    def _step(self, before: Payment, after: Payment, **at_least: Decimal) -> dict[str, Any]:
        """The update that takes the stored payment from `before` to `after`."""
        seen = ("status", "version", "submittedAt")
        return self._update(_payment_item(before), _payment_item(after), *seen, **at_least)

    def _update(self, old: Item, new: Item, *seen: str, **at_least: Decimal) -> dict[str, Any]:
        """The update from `old` to `new` of what differs, provided that what was `seen` of the
        row is still there, and that its numbers are `at_least` so much.
        """
        changed = [name for name in new if new[name] != old.get(name)]
        gone = [name for name in old if name not in new]
        conditions = [
            f"#{name} = :seen_{name}" if name in old else f"attribute_not_exists(#{name})"
            for name in seen
        ] + [f"#{name} >= :least_{name}" for name in at_least]
        return {
            "TableName": self._payments,
            "Key": _encode({name: old[name] for name in ("PK", "SK")}),
            "UpdateExpression": "SET "
            + ", ".join(f"#{name} = :{name}" for name in changed)
            + (" REMOVE " + ", ".join(f"#{name}" for name in gone) if gone else ""),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                f"#{name}": name for name in {*changed, *gone, *seen, *at_least}
            },
            "ExpressionAttributeValues": _encode(
                {f":{name}": new[name] for name in changed}
                | {f":seen_{name}": old[name] for name in seen if name in old}
                | {f":least_{name}": least for name, least in at_least.items()}
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def claim(self, payment_id: str, now: datetime) -> Payment:
        """Mark a processing payment as submitted, the first time `now`, and return it.

        A payment that is no longer processing comes back as it is, untouched. Raises
        NotFound. One write, no read before it.
        """
        try:
            with outage_is_unavailable("DynamoDB"):
                answer = self._retrying(
                    lambda: self._dynamodb.update_item(
                        TableName=self._payments,
                        Key=_encode(_payment_key(payment_id)),
                        UpdateExpression="SET submittedAt = if_not_exists(submittedAt, :now)",
                        ConditionExpression="#status = :processing",
                        ExpressionAttributeNames={"#status": "status"},
                        ExpressionAttributeValues=_encode(
                            {":now": rfc3339(now), ":processing": Status.PROCESSING}
                        ),
                        ReturnValues="ALL_NEW",
                        ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    )
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item: Any = error.response.get("Item")
            if not item:
                raise NotFound(f"There is no payment {payment_id}.") from error
            return _payment(_decode(item))
        return _payment(_decode(answer["Attributes"]))

    def get(self, payment_id: str) -> Payment:
        """The payment, as of the last write. Raises NotFound."""
        return _payment(self._get("payment", payment_id, _payment_key(payment_id)))

    def get_refund(self, payment_id: str, refund_id: str) -> Refund:
        """The refund, as of the last write. Raises NotFound."""
        return _refund(self._get("refund", payment_id, _refund_key(payment_id, refund_id)))

    def _get(self, kind: str, payment_id: str, key: Item) -> Item:
        if not PAYMENT_ID.fullmatch(payment_id):  # it may be longer than a key can be
            raise NotFound("There is no payment with this id.")
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.get_item(
                TableName=self._payments, Key=_encode(key), ConsistentRead=True
            )
        if "Item" not in answer:
            raise NotFound(f"There is no {kind} with this id.")
        return _decode(answer["Item"])

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
            rows = self._partition(f"PAY#{payment_id}", lower, upper)
        if not rows:
            raise NotFound("There is no payment with this id.")
        return rows

    def by_status(self, status: Status, lower: str, upper: str, limit: int) -> list[Payment]:
        """Payments of one status as the index has them, newest first."""
        query = self._query(BY_STATUS, "status", status, lower, upper, limit, True)
        return [_payment(item) for item in query]

    def everything(self, lower: str, upper: str, limit: int) -> list[Entry]:
        """Payments of any status, newest first."""
        query = self._query(EVERYTHING, "listing", _LISTING, lower, upper, limit, True)
        return [_entry(item) for item in query]

    def processing(self, lower: str, upper: str, limit: int) -> list[Entry]:
        """Payments that are processing, oldest first; one that is unreadable too."""
        query = self._query(BY_STATUS, "status", Status.PROCESSING, lower, upper, limit, False)
        return [_entry(item) for item in query]

    def processing_refunds(self, lower: str, upper: str, limit: int) -> list[RefundEntry]:
        """The same of refunds."""
        status = _refund_status(RefundStatus.PROCESSING)
        query = self._query(BY_STATUS, "status", status, lower, upper, limit, False)
        return [RefundEntry(item["PK"].partition("#")[2], *_entry(item)) for item in query]

    def get_many(self, payment_ids: Sequence[str]) -> dict[str, Payment]:
        """Payments by id, at most 100 (DynamoDB's limit), as of the last write."""
        wanted: list[Any] = [_encode(_payment_key(payment_id)) for payment_id in payment_ids]
        found: dict[str, Payment] = {}
        for attempt in range(_ATTEMPTS):
            if not wanted:
                return found
            if attempt:
                _back_off(attempt)
            with outage_is_unavailable("DynamoDB"):
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self._payments: {"Keys": wanted, "ConsistentRead": True}}
                )
            for item in answer["Responses"].get(self._payments, []):
                payment = _payment(_decode(item))
                found[payment.id] = payment
            left = answer["UnprocessedKeys"].get(self._payments)
            wanted = list(left["Keys"]) if left else []
        raise Unavailable("DynamoDB cannot answer now; try again.")

    def count_processing(self, lower: str, upper: str) -> int:
        """How many payments are processing, as the index has it; stops after `MAX_COUNTED`."""
        counted = 0
        start: dict[str, Any] = {}
        while counted < MAX_COUNTED:
            answer = self._query_index(
                BY_STATUS, "status", Status.PROCESSING, lower, upper, Select="COUNT", **start
            )
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return counted

    def totals(self, days: Iterable[date]) -> list[Total]:
        """What is settled of each day, as of the last write: each shard's rows by themselves."""
        partitions = [
            _totals_partition(day, shard) for day in days for shard in range(TOTALS_SHARDS)
        ]
        with ThreadPoolExecutor(max_workers=_TOTALS_READERS) as pool:
            return [
                _total(item)
                for items in pool.map(
                    lambda key: self._partition(key, EARLIEST, LATEST), partitions
                )
                for item in items
            ]

    def add_key(self, key: ApiKey) -> None:
        with outage_is_unavailable("DynamoDB"):
            self._dynamodb.put_item(**self._when_absent(_api_key_item(key)))

    def find_key(self, digest: str) -> ApiKey | None:
        """The API key with this digest, if there is one, as of the last write."""
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.get_item(
                TableName=self._payments, Key=_encode(_api_key_key(digest)), ConsistentRead=True
            )
        return _api_key(_decode(answer["Item"])) if "Item" in answer else None

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
            "TableName": self._payments,
            "Key": _encode(_api_key_key(old.digest)),
            "UpdateExpression": "SET expiresAt = :end, replacedBy = :new",
            "ConditionExpression": "attribute_exists(PK) AND attribute_not_exists(revokedAt) "
            "AND attribute_not_exists(replacedBy)",
            "ExpressionAttributeValues": _encode({":end": rfc3339(old_ends_at), ":new": new.id}),
        }
        try:
            self._transact(new.id, {"Update": end}, {"Put": self._when_absent(_api_key_item(new))})
        except _ConditionFailed as failed:
            raise KeyIsGone from failed

    def revoke_key(self, key: ApiKey, now: datetime) -> None:
        self._update_key(key, "SET revokedAt = if_not_exists(revokedAt, :moment)", now)

    def note_use(self, key: ApiKey, hour: datetime) -> None:
        self._update_key(key, "SET lastUsedAt = :moment", hour)

    def _update_key(self, key: ApiKey, expression: str, moment: datetime) -> None:
        with outage_is_unavailable("DynamoDB"):
            self._retrying(
                lambda: self._dynamodb.update_item(
                    TableName=self._payments,
                    Key=_encode(_api_key_key(key.digest)),
                    UpdateExpression=expression,
                    ConditionExpression="attribute_exists(PK)",
                    ExpressionAttributeValues=_encode({":moment": rfc3339(moment)}),
                )
            )

    def _keys(self, digest_start: str) -> list[ApiKey]:
        start = f"APIKEY#{digest_start}"
        return [_api_key(item) for item in self._partition(_API_KEYS, start, f"{start}~")]

    def _partition(self, key: str, lower: str, upper: str) -> list[Item]:
        """Its items from one sort key to another, in their order, as of the last write."""
        with outage_is_unavailable("DynamoDB"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._payments,
                KeyConditionExpression="PK = :key AND SK BETWEEN :lower AND :upper",
                ExpressionAttributeValues=_encode({":key": key, ":lower": lower, ":upper": upper}),
                ConsistentRead=True,
            )
            return [_decode(item) for page in pages for item in page["Items"]]

    def check(self) -> None:
        """Read once from each table. Raises Unavailable, for whatever reason there is."""
        try:
            with outage_is_unavailable("DynamoDB"):
                self._dynamodb.get_item(
                    TableName=self._payments, Key=_encode(_payment_key("HEALTH"))
                )
                self._dynamodb.get_item(
                    TableName=self._idempotency, Key=_encode({"idempotencyKey": "HEALTH"})
                )
        except ClientError as error:
            raise Unavailable("The tables do not answer.") from error

    def _query(
        self,
        index: str,
        attribute: str,
        value: str,
        lower: str,
        upper: str,
        limit: int,
        newest_first: bool,
    ) -> list[Item]:
        if lower > upper:  # DynamoDB refuses a BETWEEN that is empty
            return []
        items: list[Item] = []
        start: dict[str, Any] = {}
        while True:  # a page ends at 1 MB, whatever the limit
            answer = self._query_index(
                index,
                attribute,
                value,
                lower,
                upper,
                ScanIndexForward=not newest_first,
                Limit=limit - len(items),
                **start,
            )
            items += [_decode(item) for item in answer["Items"]]
            if len(items) >= limit or "LastEvaluatedKey" not in answer:
                return items
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _query_index(
        self, index: str, attribute: str, value: str, lower: str, upper: str, **how: Any
    ) -> "QueryOutputTypeDef":
        with outage_is_unavailable("DynamoDB"):
            return self._dynamodb.query(
                TableName=self._payments,
                IndexName=index,
                KeyConditionExpression="#hash = :hash AND createdAt BETWEEN :lower AND :upper",
                ExpressionAttributeNames={"#hash": attribute},
                ExpressionAttributeValues=_encode(
                    {":hash": value, ":lower": lower, ":upper": upper}
                ),
                **how,
            )

    def _addition(self, total: Total, payment_id: str) -> dict[str, Any]:
        """The update that adds to a total; a payment's are always in one shard."""
        shard = zlib.crc32(payment_id.encode()) % TOTALS_SHARDS
        key = {
            "PK": _totals_partition(total.day, shard),
            "SK": f"{total.currency}#{total.type}#{total.status}",
        }
        return {
            "TableName": self._payments,
            "Key": _encode(key),
            "UpdateExpression": "ADD #count :count, #volume :volume",
            "ExpressionAttributeNames": {"#count": "count", "#volume": "volume"},
            "ExpressionAttributeValues": _encode({":count": total.count, ":volume": total.volume}),
        }

    def _when_absent(self, item: Item) -> dict[str, Any]:
        """A put into the payments table that replaces nothing."""
        return {
            "TableName": self._payments,
            "Item": _encode(item),
            "ConditionExpression": "attribute_not_exists(PK)",
        }

    def _transact(self, token: str, *items: Any) -> None:
        """All items or none. Raises _ConditionFailed, Conflict or Unavailable."""
        with outage_is_unavailable("DynamoDB"):
            self._retrying(
                lambda: self._dynamodb.transact_write_items(
                    TransactItems=items, ClientRequestToken=token
                )
            )

    def _retrying(self, call: Callable[[], Result]) -> Result:
        """`call`, again and again while it only collides: botocore does not retry these."""
        attempt = 1
        while True:
            try:
                return call()
            except ClientError as error:
                _raise_if_condition_failed(error)
                collision = _collision(error)
                if collision is None:
                    raise
                if attempt == _ATTEMPTS:
                    raise collision from error
            _back_off(attempt)
            attempt += 1


def on_the_latest(payment: Payment, attempt: Callable[[Payment], Result]) -> Result:
    """`attempt` on `payment`, and again on what it is by now while others keep moving it.

    Raises what `attempt` raises, or Conflict when there is no end to it.
    """
    for number in range(_MOVES):
        if number:
            _back_off(number)
        try:
            return attempt(payment)
        except PaymentMoved as moved:
            payment = moved.current
    raise Conflict("Others are changing this payment at this moment; try again.")


class _ConditionFailed(Exception):
    """A transaction's condition did not hold; `items` has the old item of each that failed."""

    def __init__(self, items: Sequence[Item | None]) -> None:
        super().__init__("a condition of the transaction did not hold")
        self.items = items


def _collision(error: ClientError) -> Conflict | Unavailable | None:
    """What to tell a caller if `error` stays, when it is worth another try; else None."""
    codes = {reason.get("Code") for reason in _cancellation_reasons(error)}
    if codes & _CONFLICTS or error.response["Error"]["Code"] == "TransactionConflictException":
        return Conflict("Others are changing this resource at this moment; try again.")
    if codes & _THROTTLES:
        return Unavailable("DynamoDB cannot take more writes at this moment; try again.")
    return None


def _raise_if_condition_failed(error: ClientError) -> None:
    """Raises _ConditionFailed when another try would meet the same condition.

    The first item's condition outranks every other reason: it is the one that the caller is
    told about. Another item's counts only when nothing collided besides.
    """
    reasons = _cancellation_reasons(error)
    codes = [reason.get("Code") for reason in reasons]
    is_first = codes[:1] == [_CONDITION_FAILED]
    if is_first or (_CONDITION_FAILED in codes and _collision(error) is None):
        raise _ConditionFailed(
            [_decode(reason["Item"]) if reason.get("Item") else None for reason in reasons]
        ) from error


def _cancellation_reasons(error: ClientError) -> Sequence[Mapping[str, Any]]:
    reasons: Any = error.response.get("CancellationReasons", [])
    return reasons  # type: ignore[no-any-return]


def _back_off(attempt: int) -> None:
    """Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
    ceiling_seconds = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
    time.sleep(random.uniform(0, ceiling_seconds))


EARLIEST: Final = "0"
LATEST: Final = "~"
_SORT_KEY: Final = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9:]{{8}}\.[0-9]{{6}}Z#{PAYMENT_ID.pattern}"
)


def sort_key(of: Payment | Refund) -> str:
    """`createdAt` as stored: unique, fixed-width, and in time order as text."""
    return f"{rfc3339(of.created_at)}#{of.id}"


def is_sort_key(text: str) -> bool:
    return _SORT_KEY.fullmatch(text) is not None


def from_moment(moment: datetime) -> str:
    """The lower end of a range that holds all that was created at `moment` or later."""
    return rfc3339(moment)


def to_moment(moment: datetime) -> str:
    """The upper end of a range that holds all that was created at `moment` or earlier.

    As a lower end it leaves exactly those out: '$' sorts right after the '#' of a sort key.
    """
    return f"{rfc3339(moment)}$"


def just_before(key: str) -> str:
    """The upper end of a range that holds every sort key below `key`: they are of one width."""
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~"


def just_after(key: str) -> str:
    """The lower end of a range that holds every sort key above `key`: they are of one width."""
    return f"{key}!"


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
    return _present(item)


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
    return _present(item)


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
    return _present(item)


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


def _totals_partition(day: date, shard: int) -> str:
    return f"STATS#{day.isoformat()}#{shard:02}"


def _total(item: Item) -> Total:
    currency, payment_type, status = item["SK"].split("#")
    return Total(
        day=item["PK"].split("#")[1],
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


def _present(item: Item) -> Item:
    """What is unknown is left out: an attribute of the table is there or it is not."""
    return {name: value for name, value in item.items() if value is not None}


def _encode(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _decode(item: Mapping[str, Any]) -> Item:
    return {name: _deserialize(value) for name, value in item.items()}
