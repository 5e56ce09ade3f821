"""Payments, refunds, events, totals and idempotency records in DynamoDB.

Guarantee: every change of a payment is one transaction that includes its event. It fails if the
payment changed since the caller read it. Each transaction writes all of these items or none:

    create          record   absent, or past its own expiresAt
                    payment  absent
                    event    absent
    mark submitted  payment  still processing
    change          payment  has the status, version and submittedAt that we read
                    event    absent
                    totals   add the difference
                    outgoing the deliveries that announce the change
    create_refund   record   absent, or past its own expiresAt
                    payment  as in a change, and at least the refund's amount is refundable
                    refund   absent
                    event    absent
    begin_refund    payment  still completed
                    refund   processing, and its bank has not seen it
    change_refund   payment  as in a change
                    refund   has the status, contradictions and count that we read
                    event    absent
                    totals   as in a change
                    outgoing as in a change

Several payments are marked in one transaction, and so are changes of several: all of them or none.

The version is in every condition because it numbers the event. If two workers read the same
version, one commits, and the other starts again from the result.

Raises Unavailable when DynamoDB is out of reach: a write may then have been done or not. Raises
Conflict when other requests keep changing the same items.
"""

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from boto3.dynamodb.conditions import Attr

from chalicelib.aws.dynamodb import (
    ConditionFailed,
    Item,
    KeyRange,
    StaleVersion,
    Table,
    Write,
    key_of,
    unchanged,
)
from chalicelib.aws.pagination import just_after
from chalicelib.idempotency import Record, Records
from chalicelib.payments import items
from chalicelib.payments.models import (
    Change,
    Event,
    EventBody,
    Payment,
    Refund,
    RefundStatus,
    Status,
    Total,
    totals_moved,
)
from chalicelib.values import PAYMENT_ID, REFUND_ID, rfc3339

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_COUNTED: Final = 10_000
_READ_FIELDS: Final = ("status", "version", "submittedAt")
"""The attributes of a payment that must not have changed since the caller read it."""
_READ_OF_REFUND: Final = ("status", "contradictions", "isCounted")
"""The same of a refund."""


class PaymentRepository:
    """The payments of one stage.

    A range of an index is a pair of sort keys, both included: see `aws.pagination`.
    """

    def __init__(
        self, dynamodb: "DynamoDBClient", *, payments_table: str, idempotency_table: str
    ) -> None:
        self._payments = Table(dynamodb, payments_table)
        self.records = Records(dynamodb, idempotency_table)

    def create(self, change: Change, record: Record, now: datetime) -> None:
        """Write a new payment, its event and its idempotency record.

        Raises RecordExists when the key has a record that has not expired at `now`.
        """
        # The id is the token: a resend after a lost answer commits nothing twice.
        self.records.transact(
            self._payments,
            change.payment.id,
            record,
            now,
            self._payments.put_if_absent(items.payment_to_item(change.payment)),
            self._payments.put_if_absent(items.first_event_to_item(change.event, change.payment)),
        )

    def change(self, before: Payment, change: Change, outgoing: Sequence[Write] = ()) -> None:
        """Replace `before` with the changed payment; write its event, its totals and `outgoing`.

        Raises StaleVersion when the stored payment is no longer `before`.
        """
        try:
            self.change_all([(before, change)], outgoing)
        except ConditionFailed as failed:
            if failed.items[0] is None:
                raise
            raise StaleVersion(items.payment_from_item(failed.items[0])) from failed

    def change_all(
        self, changes: Sequence[tuple[Payment, Change]], outgoing: Sequence[Write] = ()
    ) -> None:
        """Make such changes of several payments in one transaction.

        Raises ConditionFailed when one of the payments is no longer as it was: then none changes.
        """
        events = [change.event for _, change in changes]
        moved = [
            total
            for before, change in changes
            for total in totals_moved(before, before, change.payment)
        ]
        self._payments.transact(
            events[0].id if len(events) == 1 else f"{events[0].id}-{len(events)}",
            *(self._replace(before, change.payment) for before, change in changes),
            *(self._payments.put_if_absent(items.event_to_item(event)) for event in events),
            *self._totals(events[0].payment_id, moved),
            *outgoing,
        )

    def create_refund(self, before: Payment, change: Change, record: Record, now: datetime) -> None:
        """Write a new refund with its idempotency record, and reserve its amount.

        Raises RecordExists as `create` does, even if another condition failed too; or StaleVersion.
        """
        assert change.refund is not None
        try:
            self.records.transact(
                self._payments,
                change.event.id,
                record,
                now,
                self._replace(before, change.payment, reserves=change.refund),
                self._payments.put_if_absent(items.refund_to_item(change.refund)),
                self._payments.put_if_absent(items.event_to_item(change.event)),
            )
        except ConditionFailed as failed:
            current, *_ = failed.items
            if current is not None:
                raise StaleVersion(items.payment_from_item(current)) from failed
            raise

    def begin_refund(self, refund: Refund) -> Refund:
        """Let the bank see a refund, unless its payment was returned before.

        Returns the refund as stored. If it is still waiting, its payment was returned.
        """
        begun = refund.model_copy(update={"is_waiting": False})
        old = items.refund_to_item(refund)
        try:
            self._payments.transact(
                refund.id,
                self._payments.check_request(
                    items.payment_key(refund.payment_id),
                    Attr("status").eq(Status.COMPLETED.value),
                ),
                self._payments.replace_request(
                    old, items.refund_to_item(begun), unchanged(old, "status", "isWaiting")
                ),
            )
        except ConditionFailed as failed:
            payment, current = failed.items
            if current is not None:  # another worker has begun it, or settled it
                return items.refund_from_item(current)
            if payment is None:
                raise
            return refund
        return begun

    def change_refund(
        self, before: Payment, refund: Refund, change: Change, outgoing: Sequence[Write] = ()
    ) -> None:
        """Replace `before` and its `refund` with their new states.

        Raises StaleVersion, with both as they are stored, when they are no longer as they were.
        """
        assert change.refund is not None
        old = items.refund_to_item(refund)
        changed = self._payments.replace_request(
            old, items.refund_to_item(change.refund), unchanged(old, *_READ_OF_REFUND)
        )
        try:
            self._payments.transact(
                change.event.id,
                self._replace(before, change.payment),
                changed,
                self._payments.put_if_absent(items.event_to_item(change.event)),
                *self._totals(before.id, totals_moved(before, refund, change.refund)),
                *outgoing,
            )
        except ConditionFailed as failed:
            payment, current, *_ = failed.items
            if payment is None and current is None:
                raise
            raise StaleVersion(
                (
                    before if payment is None else items.payment_from_item(payment),
                    refund if current is None else items.refund_from_item(current),
                )
            ) from failed

    def count_refund(self, payment: Payment, refund: Refund) -> bool:
        """Add a settled refund to the totals. False if they count it, or it changed meanwhile."""
        counted = refund.model_copy(update={"is_counted": True})
        old = items.refund_to_item(refund)
        with suppress(ConditionFailed):
            self._payments.transact(
                f"{refund.id}-count",
                self._payments.replace_request(
                    old, items.refund_to_item(counted), unchanged(old, "status", "isCounted")
                ),
                *self._totals(payment.id, totals_moved(payment, refund, counted)),
            )
            return True
        return False

    def _replace(self, before: Payment, after: Payment, reserves: Refund | None = None) -> Write:
        old = items.payment_to_item(before)
        condition = unchanged(old, *_READ_FIELDS)
        if reserves is not None:
            condition &= Attr("refundable").gte(reserves.amount)
        return self._payments.replace_request(old, items.payment_to_item(after), condition)

    def _totals(self, payment_id: str, moved: Iterable[Total]) -> list[Write]:
        """Count in the shard of that payment. A transaction can write a row only once."""
        return [
            self._payments.update_request(
                items.total_key(payment_id, row["SK"]),
                add={"count": row["count"], "volume": row["volume"]},
            )
            for row in items.summed(map(items.total_shard_of, moved))
        ]

    def mark_submitted(self, payment_id: str, now: datetime) -> Payment | None:
        """Set `submittedAt` of a processing payment, unless it is set, and return the payment.

        Returns a payment that is no longer processing unchanged. One write, no read before it.
        """
        try:
            marked = self._payments.write(self._mark(payment_id, now))
            return items.payment_from_item(marked)
        except ConditionFailed as failed:
            (item,) = failed.items
            return items.payment_from_item(item) if item is not None else None

    def mark_all_submitted(self, payment_ids: Sequence[str], now: datetime) -> None:
        """Set `submittedAt` of processing payments, unless it is set, in one transaction.

        Raises ConditionFailed if one of them is no longer processing: then none is marked.
        """
        marks = [self._mark(payment_id, now) for payment_id in payment_ids]
        self._payments.transact(str(uuid.uuid4()), *marks)

    def _mark(self, payment_id: str, now: datetime) -> Write:
        return self._payments.update_request(
            items.payment_key(payment_id),
            Attr("status").eq(Status.PROCESSING.value),
            set_if_absent={"submittedAt": rfc3339(now)},
        )

    def expect(self, resource: Payment | Refund, at: datetime) -> None:
        """Note when the outcome of a payment or refund is expected. No-op if it is settled."""
        if resource.expected_at == at:
            return
        item = _item_of(resource)
        with suppress(ConditionFailed):
            self._payments.write(
                self._payments.update_request(
                    key_of(item),
                    unchanged(item, "status"),
                    set_={"expectedAt": rfc3339(at)},
                    is_silent=True,
                )
            )

    def find(self, payment_id: str) -> Payment | None:
        """Return the payment, as of the last write."""
        item = self._find(payment_id, items.payment_key(payment_id))
        return items.payment_from_item(item) if item is not None else None

    def find_refund(self, payment_id: str, refund_id: str) -> Refund | None:
        """Return the refund, as of the last write."""
        if not REFUND_ID.fullmatch(refund_id):
            return None
        item = self._find(payment_id, items.refund_key(payment_id, refund_id))
        return items.refund_from_item(item) if item is not None else None

    def _find(self, payment_id: str, key: Item) -> Item | None:
        # Text that is not an id may exceed DynamoDB's limit for keys.
        return self._payments.find(key) if PAYMENT_ID.fullmatch(payment_id) else None

    def find_many(self, payment_ids: Sequence[str]) -> dict[str, Payment]:
        """Return payments by id, at most 100 (DynamoDB's limit), as of the last write."""
        keys = [items.payment_key(payment_id) for payment_id in payment_ids]
        found = self._payments.read_all(self._payments.find_many(keys), items.payment_from_item)
        return {payment.id: payment for payment in found}

    def refunds(
        self, payment_id: str, last: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Refund | None]]:
        """Return the refunds of a payment after `last`, oldest first, with their range keys.

        Begins with the payment's own key, without a refund: that tells "no refunds" from "no
        payment".
        """
        found = self._of_payment(payment_id, "PAYMENT", "REFUND$", last, limit)
        return [
            (item["SK"], self._payments.read(item, items.refund_from_item))
            if item["SK"] != "PAYMENT"
            else ("PAYMENT", None)
            for item in found
        ]

    def events(
        self, payment_id: str, last: str | None = None, limit: int | None = None
    ) -> list[tuple[str, Event | None]]:
        """Return the events of a payment after `last`, oldest first, with their range keys.

        Every payment has at least one. None stands for one that this version cannot read.
        """
        found = self._of_payment(payment_id, "EVENT#", "EVENT$", last, limit)
        return [(item["SK"], self._payments.read(item, items.event_from_item)) for item in found]

    def _of_payment(
        self,
        payment_id: str,
        lower: str,
        upper: str,
        last: str | None = None,
        limit: int | None = None,
    ) -> list[Item]:
        if not PAYMENT_ID.fullmatch(payment_id):
            return []
        lower = lower if last is None else just_after(last)
        keys = KeyRange(items.payment_partition(payment_id), lower, upper)
        return self._payments.query(keys, limit=limit)

    def by_status(
        self, status: Status, lower: str, upper: str, limit: int
    ) -> list[tuple[str, Payment | None]]:
        """Return payments of one status from the index, newest first, with their sort keys.

        None stands for a payment that this version cannot read.
        """
        keys = KeyRange(status, lower, upper)
        found = self._payments.query(keys, items.BY_STATUS, limit=limit, newest_first=True)
        return [
            (item["createdAt"], self._payments.read(item, items.payment_from_item))
            for item in found
        ]

    def all(self, lower: str, upper: str, limit: int) -> list[items.PaymentEntry]:
        """Return payments of every status, newest first."""
        keys = KeyRange(items.LISTING, lower, upper)
        found = self._payments.query(keys, items.ALL, limit=limit, newest_first=True)
        return [items.payment_entry(item) for item in found]

    def found_by(
        self, field: str, value: str, lower: str, upper: str, limit: int
    ) -> list[items.PaymentEntry]:
        """Return payments by `idempotency_key`, or by `merchant` in its folded form, newest first.

        Raises Unavailable while the index is being built.
        """
        keys = KeyRange(items.search_key(field, value), lower, upper)
        found = self._payments.query(keys, items.SEARCH, limit=limit, newest_first=True)
        return [items.found_entry(item) for item in found]

    def feed(self, lower: str, upper: str, limit: int) -> list[tuple[str, EventBody | None]]:
        """Return events of all payments, oldest first: see `Table.listed`."""
        keys = KeyRange(items.FEED, lower, upper)
        listed = self._payments.listed(keys, items.ALL, limit, items.event_from_item)
        bodies = self._bodies([event for _, event in listed if event is not None])
        return [(sort_key, bodies.get(sort_key)) for sort_key, _ in listed]

    def index(self, payment_id: str) -> int:
        """Give the rows of a payment their places in the feed and the search; return how many.

        Versions before 0.4 wrote them without, and left out some of what its events tell of.
        """
        rows = {row["SK"]: row for row in self._of_payment(payment_id, "EVENT#", "REFUND$")}
        payment = self._payments.read(rows["PAYMENT"], items.payment_from_item)
        if payment is None:
            return 0
        found = [row for key, row in rows.items() if key.startswith("REFUND#")]
        refunds = {one.id: one for one in self._payments.read_all(found, items.refund_from_item)}
        placed = int(self._place(rows["PAYMENT"], items.payment_to_item(payment)))
        events = [row for key, row in rows.items() if key.startswith("EVENT#")]
        # An event that has its place is whole: a later version may tell more in it.
        for row in [row for row in events if "listing" not in row]:
            event = self._payments.read(row, items.event_from_item)
            if event is not None:
                event = event.completed_from(payment, refunds)
                wanted = items.event_to_item(event)
                if event.seq == 1:
                    wanted = items.first_event_to_item(event, payment)
                placed += self._place(row, wanted)
        return placed

    def _place(self, row: Item, wanted: Item) -> bool:
        changes = {name: wanted[name] for name in items.PLACED if wanted.get(name) != row.get(name)}
        if changes:
            as_read = unchanged(row, *changes)
            self._payments.write(self._payments.update_request(key_of(row), as_read, set_=changes))
        return bool(changes)

    def _bodies(self, events: Sequence[Event]) -> dict[str, EventBody]:
        """Return what the events tell, by their sort keys."""
        keys = {event.subject_id: items.subject_key(event) for event in events}
        found = self._payments.find_many(list(keys.values()))
        subjects = {one.id: one for one in self._payments.read_all(found, items.subject_from_item)}
        return {
            items.sort_key(event): event.body(subjects[event.subject_id])
            for event in events
            if event.subject_id in subjects  # which this version can read
        }

    def processing(self, lower: str, upper: str, limit: int) -> list[items.PaymentEntry]:
        """Return entries of processing payments, oldest first, malformed payments included."""
        keys = KeyRange(Status.PROCESSING, lower, upper)
        found = self._payments.query(keys, items.BY_STATUS, limit=limit, only=items.ENTRY)
        return [items.payment_entry(item) for item in found]

    def processing_refunds(self, lower: str, upper: str, limit: int) -> list[items.RefundEntry]:
        """Return entries of processing refunds, oldest first, malformed refunds included."""
        keys = KeyRange(items.stored_refund_status(RefundStatus.PROCESSING), lower, upper)
        found = self._payments.query(keys, items.BY_STATUS, limit=limit, only=items.ENTRY)
        return [items.refund_entry(item) for item in found]

    def refunds_by_status(
        self,
        status: RefundStatus,
        lower: str,
        upper: str,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> list[tuple[str, Refund | None]]:
        """Return refunds of one status from the index, by their times, with their sort keys.

        None stands for a refund that this version cannot read.
        """
        keys = KeyRange(items.stored_refund_status(status), lower, upper)
        found = self._payments.query(keys, items.BY_STATUS, limit=limit, newest_first=newest_first)
        return [
            (item["createdAt"], self._payments.read(item, items.refund_from_item)) for item in found
        ]

    def count_processing(self, lower: str, upper: str) -> int:
        """Count the processing payments in the index, up to `MAX_COUNTED`."""
        return self._payments.count(
            KeyRange(Status.PROCESSING, lower, upper), items.BY_STATUS, MAX_COUNTED
        )

    def totals(self, first: date, last: date) -> list[Total]:
        """Return the totals of a range of days, as of the last write, one of each kind.

        Two queries a shard.
        """
        lower, upper = f"{first.isoformat()}#", f"{last.isoformat()}$"
        ranges = [
            KeyRange(items.totals_partition(shard), prefix + lower, prefix + upper)
            for prefix in ("", items.APART)
            for shard in range(items.TOTALS_SHARDS)
        ]
        with ThreadPoolExecutor(max_workers=items.TOTALS_SHARDS) as pool:
            rows = [item for found in pool.map(self._payments.query, ranges) for item in found]
        shards = self._payments.read_all(rows, items.total_shard_from_item)
        return self._payments.read_all(items.summed(shards), items.total_from_item)

    def check(self) -> None:
        """Read once from each table. Raises Unavailable if that fails, whatever the reason."""
        self._payments.check(items.payment_key("HEALTH"))
        self.records.check()


def _item_of(resource: Payment | Refund) -> Item:
    if isinstance(resource, Refund):
        return items.refund_to_item(resource)
    return items.payment_to_item(resource)
