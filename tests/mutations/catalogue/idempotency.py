"""One key, one effect."""

from typing import Final

from tests.mutations.mutant import Mutant

IDEMPOTENCY: Final = (
    Mutant(
        "record-replaces-record",
        "The idempotency record is written only where there is none that counts",
        "chalicelib/store.py",
        '"attribute_not_exists(idempotencyKey) OR expiresAt <= :now"',
        '"attribute_exists(idempotencyKey) OR attribute_not_exists(idempotencyKey) '
        'OR expiresAt <= :now"',
        ("test_store", "test_payments"),
    ),
    Mutant(
        "record-counts-for-ever",
        "A record past its own expiresAt counts as absent, deleted or not",
        "chalicelib/store.py",
        '"attribute_not_exists(idempotencyKey) OR expiresAt <= :now"',
        '"attribute_not_exists(idempotencyKey) '
        'OR (attribute_not_exists(expiresAt) AND expiresAt <= :now)"',
        ("test_store", "test_payments"),
    ),
    Mutant(
        "record-counts-a-second-more",
        "A record ends at the second of its expiresAt, not after it",
        "chalicelib/store.py",
        '"attribute_not_exists(idempotencyKey) OR expiresAt <= :now"',
        '"attribute_not_exists(idempotencyKey) OR expiresAt < :now"',
        ("test_store", "test_payments"),
    ),
    Mutant(
        "expiry-ignored-on-read",
        "A refund's record that is read back counts until its expiresAt and no longer",
        "chalicelib/store.py",
        "return record if record and record.expires_at_seconds > int(now.timestamp()) else None",
        "return record",
        ("test_refunds",),
    ),
    Mutant(
        "window-too-short",
        "A key is remembered for 24 hours",
        "chalicelib/idempotency.py",
        "WINDOW: Final = timedelta(hours=24)",
        "WINDOW: Final = timedelta(hours=23)",
        ("test_payments", "test_refunds"),
    ),
    Mutant(
        "another-request-is-replayed",
        "A key that was used for another request is refused, not replayed",
        "chalicelib/idempotency.py",
        "if fingerprint != self.fingerprint:",
        "if not fingerprint:",
        ("test_payments", "test_refunds"),
    ),
    Mutant(
        "fingerprint-of-a-part",
        "The fingerprint is of the whole request: no field of it can change under one key",
        "chalicelib/idempotency.py",
        "exact_json.canonical(command.model_dump())",
        'exact_json.canonical(command.model_dump(exclude={"metadata", "description"}))',
        ("test_payments", "test_refunds"),
    ),
    Mutant(
        "fingerprint-of-the-spelling",
        "Two spellings of one amount are one request",
        "chalicelib/model.py",
        "    return written\n",
        "    return value\n",
        ("test_refunds", "test_model"),
    ),
    Mutant(
        "one-key-for-everything",
        "A payment and a refund, or refunds of two payments, may use one key",
        "chalicelib/idempotency.py",
        'return f"{operation}#{resource}#{key}"',
        "return key",
        ("test_payments", "test_refunds"),
    ),
    Mutant(
        "own-record-is-a-replay",
        "A record that names our own payment means that our first try had committed: 201 and a hint",
        "chalicelib/payments.py",
        "if exists.record.resource_id != payment_id:",
        "if exists.record:",
        ("test_payments",),
    ),
    Mutant(
        "anybodys-record-is-our-own",
        "A record that names another payment is a replay of its answer",
        "chalicelib/payments.py",
        "if exists.record.resource_id != payment_id:",
        "if not exists.record:",
        ("test_payments",),
    ),
    Mutant(
        "own-refund-record-is-a-replay",
        "A record that names our own refund means that our first try had committed",
        "chalicelib/refunds.py",
        "if record.resource_id == refund_id:",
        "if not record:",
        ("test_refunds",),
    ),
    Mutant(
        "record-without-its-answer",
        "What fails on a record is told what the record says, without another read",
        "chalicelib/store.py",
        """            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def find_record""",
        """        }

    def find_record""",
        ("test_store", "test_payments"),
    ),
    Mutant(
        "record-not-first",
        "The record is the transaction's first item, whose reason outranks the others'",
        "chalicelib/store.py",
        """                {"Put": self._put_record(record, now)},
                {"Put": self._payments.when_absent(_payment_item(change.payment))},
""",
        """                {"Put": self._payments.when_absent(_payment_item(change.payment))},
                {"Put": self._put_record(record, now)},
""",
        ("test_store", "test_payments"),
    ),
    Mutant(
        "record-in-a-write-of-its-own",
        "The record is written in the transaction of the payment, not before it",
        "chalicelib/store.py",
        """            self._payments.transact(
                change.payment.id,
                {"Put": self._put_record(record, now)},
""",
        """            self._payments.transact(record.fingerprint[:36], {"Put": self._put_record(record, now)})
            self._payments.transact(
                change.payment.id,
""",
        ("test_store", "test_capacity"),
    ),
    Mutant(
        "refund-without-record",
        "A refund is created with its record in one transaction",
        "chalicelib/store.py",
        """                {"Put": self._put_record(record, now)},
                {"Update": self._step(before, change.payment, refundable=change.refund.amount)},
""",
        """                {"Update": self._step(before, change.payment, refundable=change.refund.amount)},
""",
        ("test_refunds",),
    ),
    Mutant(
        "moved-outranks-the-record",
        "Whoever retries a refund is told of its record, whatever became of the payment",
        "chalicelib/store.py",
        """            if exists is not None:
                raise RecordExists(_record(exists)) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
""",
        """            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            if exists is not None:
                raise RecordExists(_record(exists)) from failed
""",
        ("test_refunds",),
    ),
    Mutant(
        "retry-of-a-full-refund-refused",
        "The retry of what took all that was left is a replay, not a refusal",
        "chalicelib/refunds.py",
        """            record = self.store.find_record(key, now)
            if record is None:
                raise
""",
        """            record = None
            if record is None:
                raise
""",
        ("test_refunds",),
    ),
)
