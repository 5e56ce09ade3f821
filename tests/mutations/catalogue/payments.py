"""Payments: what is committed, claimed, settled, cancelled, returned and counted."""

from typing import Final

from tests.mutations.mutant import Mutant

PAYMENTS: Final = (
    Mutant(
        "payment-replaces-payment",
        "A new payment replaces none",
        "chalicelib/store.py",
        '{"Put": self._payments.when_absent(_payment_item(change.payment))}',
        '{"Put": {"TableName": self._payments.name, "Item": encode(_payment_item(change.payment))}}',
        ("test_store",),
    ),
    Mutant(
        "created-without-event",
        "A payment is created with its event in one transaction",
        "chalicelib/store.py",
        """                {"Put": self._payments.when_absent(_payment_item(change.payment))},
                {"Put": self._payments.when_absent(_event_item(change.event))},
""",
        """                {"Put": self._payments.when_absent(_payment_item(change.payment))},
""",
        ("test_store",),
    ),
    Mutant(
        "changed-without-event",
        "A change of a payment has its event in its transaction",
        "chalicelib/store.py",
        """                {"Put": self._payments.when_absent(_event_item(change.event))},
                *(
""",
        """                *(
""",
        ("test_store",),
    ),
    Mutant(
        "event-after-the-commit",
        "An event is written with its change, not after it",
        "chalicelib/store.py",
        """                {"Put": self._payments.when_absent(_event_item(change.event))},
                *(
                    {"Update": self._addition(total, before.id)}
                    for total in totals_moved(before, change.payment)
                ),
                *self._sent(deliveries),
            )
""",
        """                *(
                    {"Update": self._addition(total, before.id)}
                    for total in totals_moved(before, change.payment)
                ),
                *self._sent(deliveries),
            )
            self._payments.put(self._payments.when_absent(_event_item(change.event)))
""",
        ("test_store", "test_capacity"),
    ),
    Mutant(
        "event-replaces-event",
        "An event is never written over",
        "chalicelib/store.py",
        """                {"Put": self._payments.when_absent(_event_item(change.event))},
                *(
""",
        """                {
                    "Put": {
                        "TableName": self._payments.name,
                        "Item": encode(_event_item(change.event)),
                    }
                },
                *(
""",
        ("test_store",),
    ),
    Mutant(
        "event-out-of-place",
        "An event's place is the version that it made: 1, 2, 3 without a gap",
        "chalicelib/model.py",
        "seq=payment.version,",
        "seq=2 * payment.version - 1,",
        ("test_model", "test_store", "test_refunds"),
    ),
    Mutant(
        "status-not-compared",
        "A change holds only while the payment has the status that was seen",
        "chalicelib/store.py",
        'seen = ("status", "version", "submittedAt")',
        'seen = ("version", "submittedAt")',
        ("test_store",),
    ),
    Mutant(
        "version-not-compared",
        "A change holds only while the payment has the version that was seen",
        "chalicelib/store.py",
        'seen = ("status", "version", "submittedAt")',
        'seen = ("status", "submittedAt")',
        ("test_store", "test_refunds"),
    ),
    Mutant(
        "claim-not-compared",
        "A cancel holds only while nobody has claimed the payment",
        "chalicelib/store.py",
        'seen = ("status", "version", "submittedAt")',
        'seen = ("status", "version")',
        ("test_store", "test_payments"),
    ),
    Mutant(
        "cancel-although-claimed",
        "What a worker has claimed cannot be cancelled: its money may have moved",
        "chalicelib/model.py",
        "if self.submitted_at is not None:",
        "if self.submitted_at is not None and self.completed_at is not None:",
        ("test_model", "test_payments"),
    ),
    Mutant(
        "claim-forgotten",
        "A worker claims a payment before it has the money moved",
        "chalicelib/payments.py",
        "payment = self.store.claim(payment_id, self.clock())",
        "payment = self.store.get(payment_id)",
        ("test_payments",),
    ),
    Mutant(
        "processor-before-claim",
        "The processor is asked after the claim, never before it",
        "chalicelib/payments.py",
        """            payment = self.store.claim(payment_id, self.clock())
""",
        """            seen = self.store.get(payment_id)
            if seen.status is Status.PROCESSING:
                self.processor.settle(seen)
            payment = self.store.claim(payment_id, self.clock())
""",
        ("test_payments",),
    ),
    Mutant(
        "claim-of-the-settled",
        "Only what is processing can be claimed",
        "chalicelib/store.py",
        '"ConditionExpression": "#status = :processing",',
        '"ConditionExpression": "#status = :processing OR attribute_exists(PK)",',
        ("test_store",),
    ),
    Mutant(
        "claim-of-nothing",
        "A claim of a payment that is not there leaves no row",
        "chalicelib/store.py",
        '"ConditionExpression": "#status = :processing",',
        '"ConditionExpression": "#status = :processing OR attribute_not_exists(PK)",',
        ("test_store", "test_payments"),
    ),
    Mutant(
        "claim-moved",
        "The first claim stays: a later one does not change when it was",
        "chalicelib/store.py",
        '"SET submittedAt = if_not_exists(submittedAt, :now)"',
        '"SET submittedAt = :now"',
        ("test_store",),
    ),
    Mutant(
        "claim-without-its-row",
        "A refused claim says what the payment has become, without another read",
        "chalicelib/store.py",
        """            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            return _payment(self._payments.update(claim))
""",
        """        }
        try:
            return _payment(self._payments.update(claim))
""",
        ("test_store", "test_payments"),
    ),
    Mutant(
        "settled-again",
        "What is settled is left alone, however often its hint comes",
        "chalicelib/payments.py",
        """        if payment.status is not Status.PROCESSING:
            return
        change = settled""",
        """        change = settled""",
        ("test_payments",),
    ),
    Mutant(
        "pending-is-guessed",
        "While the bank has not decided a payment stays processing",
        "chalicelib/payments.py",
        """        case Pending():
            return None
""",
        """        case Pending():
            return payment.complete(now, actor=SYSTEM)
""",
        ("test_payments",),
    ),
    Mutant(
        "unknown-outcome-is-guessed",
        "A processor that cannot tell leaves the payment processing, to be asked again",
        "chalicelib/payments.py",
        """        change = settled(payment, self.processor.settle(payment), self.clock())
""",
        """        try:
            outcome = self.processor.settle(payment)
        except Exception:
            outcome = Completed()
        change = settled(payment, outcome, self.clock())
""",
        ("test_payments", "test_lambda"),
    ),
    Mutant(
        "conflict-is-success",
        "A commit that was refused while the payment is still processing is tried again",
        "chalicelib/payments.py",
        """            if moved.current.status is Status.PROCESSING:
                raise
            return  # another worker was faster
""",
        """            return  # another worker was faster
""",
        ("test_payments",),
    ),
    Mutant(
        "loser-tells-too",
        "Of two workers only the one that commits sends hints of deliveries",
        "chalicelib/payments.py",
        """                raise
            return  # another worker was faster
""",
        """                raise
""",
        ("test_payments", "test_webhooks"),
    ),
    Mutant(
        "final-is-not-final",
        "No step leads out of failed",
        "chalicelib/model.py",
        "Status.FAILED: frozenset(),",
        "Status.FAILED: frozenset({Status.COMPLETED}),",
        ("test_model",),
    ),
    Mutant(
        "completed-then-failed",
        "The only step out of completed is a bank's return",
        "chalicelib/model.py",
        "Status.COMPLETED: frozenset({Status.RETURNED}),",
        "Status.COMPLETED: frozenset({Status.RETURNED, Status.FAILED}),",
        ("test_model",),
    ),
    Mutant(
        "hint-before-commit",
        "A payment's hint is sent when it is committed, never before",
        "chalicelib/payments.py",
        """        try:
            self.store.create(change, record, now)
        except RecordExists as exists:
            # A record that names our own id: an earlier try of ours had committed.
            if exists.record.resource_id != payment_id:
                body = exists.record.replay(record.fingerprint)
                return Created(body, exists.record.resource_id, replayed=True)
        hint(self.queue, SettlePayment(payment_id), stage=self.stage)
""",
        """        hint(self.queue, SettlePayment(payment_id), stage=self.stage)
        try:
            self.store.create(change, record, now)
        except RecordExists as exists:
            # A record that names our own id: an earlier try of ours had committed.
            if exists.record.resource_id != payment_id:
                body = exists.record.replay(record.fingerprint)
                return Created(body, exists.record.resource_id, replayed=True)
""",
        ("test_payments",),
    ),
    Mutant(
        "hint-forgotten",
        "A committed payment is hinted of at once, not left to the sweeper",
        "chalicelib/payments.py",
        "        hint(self.queue, SettlePayment(payment_id), stage=self.stage)\n",
        "",
        ("test_payments",),
    ),
    Mutant(
        "totals-counted-twice",
        "A settled payment is counted once",
        "chalicelib/store.py",
        '{":count": total.count, ":volume": total.volume}',
        '{":count": 2 * total.count, ":volume": total.volume}',
        ("test_stats",),
    ),
    Mutant(
        "volume-counted-twice",
        "A settled payment's amount is added once",
        "chalicelib/store.py",
        '{":count": total.count, ":volume": total.volume}',
        '{":count": total.count, ":volume": 2 * total.volume}',
        ("test_stats",),
    ),
    Mutant(
        "totals-after-the-commit",
        "The totals are written in the transaction that settles, not after it",
        "chalicelib/store.py",
        """                *(
                    {"Update": self._addition(total, before.id)}
                    for total in totals_moved(before, change.payment)
                ),
                *self._sent(deliveries),
            )
""",
        """                *self._sent(deliveries),
            )
            for total in totals_moved(before, change.payment):
                self._payments.update(self._addition(total, before.id))
""",
        ("test_stats", "test_capacity"),
    ),
    Mutant(
        "totals-not-moved",
        "A return takes its payment out of what is completed",
        "chalicelib/model.py",
        "left = [] if before.status is Status.PROCESSING else [(before.status, -1)]",
        "left: list[tuple[Status, int]] = []",
        ("test_stats",),
    ),
    Mutant(
        "totals-of-the-wrong-day",
        "A payment is counted on the day on which it was created",
        "chalicelib/model.py",
        "day=after.created_at.astimezone(UTC).date(),",
        "day=after.updated_at.astimezone(UTC).date(),",
        ("test_stats",),
    ),
    Mutant(
        "totals-of-a-days-wrong-zone",
        "The day of a total is UTC's",
        "chalicelib/model.py",
        "day=after.created_at.astimezone(UTC).date(),",
        "day=after.created_at.date(),",
        ("test_stats",),
    ),
    Mutant(
        "totals-in-an-unread-shard",
        "What is added to a shard is read back from it",
        "chalicelib/store.py",
        "return zlib.crc32(payment_id.encode()) % TOTALS_SHARDS",
        "return zlib.crc32(payment_id.encode()) % (TOTALS_SHARDS + 1)",
        ("test_stats",),
    ),
    Mutant(
        "totals-without-the-last-day",
        "Both ends of a range of days belong to it",
        "chalicelib/store.py",
        'lower, upper = f"{first.isoformat()}#", f"{last.isoformat()}$"',
        'lower, upper = f"{first.isoformat()}#", f"{last.isoformat()}"',
        ("test_stats",),
    ),
    Mutant(
        "outcome-by-the-dice",
        "A redelivered message decides the same again",
        "chalicelib/processor.py",
        "digest = hashlib.sha256(name.encode()).digest()",
        'digest = hashlib.sha256(__import__("os").urandom(8)).digest()',
        ("test_processor",),
    ),
)
