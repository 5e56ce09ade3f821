"""Refunds: never more back than came in, each once."""

from typing import Final

from tests.mutations.mutant import Mutant

REFUNDS: Final = (
    Mutant(
        "more-than-is-left",
        "The row itself refuses a refund of more than is left",
        "chalicelib/store.py",
        '{"Update": self._step(before, change.payment, refundable=change.refund.amount)}',
        '{"Update": self._step(before, change.payment)}',
        ("test_refunds",),
    ),
    Mutant(
        "more-than-is-left-is-tried",
        "A refund of more than is left is refused before anything is written",
        "chalicelib/model.py",
        "if refund.amount > self.refundable:",
        "if refund.amount > self.amount:",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "not-set-aside",
        "A refund's amount is set aside in the transaction that creates it",
        "chalicelib/model.py",
        "refundable=self.refundable - refund.amount,",
        "refundable=self.refundable,",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "refund-of-the-unpaid",
        "Only a completed payment is refunded",
        "chalicelib/model.py",
        """        if self.status is not Status.COMPLETED:
            raise PaymentNotRefundable(""",
        """        if self.status is Status.FAILED:
            raise PaymentNotRefundable(""",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "refund-replaces-refund",
        "A new refund replaces none",
        "chalicelib/store.py",
        '{"Put": self._payments.when_absent(_refund_item(change.refund))}',
        '{"Put": {"TableName": self._payments.name, "Item": encode(_refund_item(change.refund))}}',
        ("test_store", "test_refunds"),
    ),
    Mutant(
        "refund-created-without-event",
        "A new refund has its event in its transaction",
        "chalicelib/store.py",
        """                {"Put": self._payments.when_absent(_refund_item(change.refund))},
                {"Put": self._payments.when_absent(_event_item(change.event))},
""",
        """                {"Put": self._payments.when_absent(_refund_item(change.refund))},
""",
        ("test_refunds",),
    ),
    Mutant(
        "refund-settled-without-event",
        "A refund's outcome has its event in its transaction",
        "chalicelib/store.py",
        """                {"Update": settled},
                {"Put": self._payments.when_absent(_event_item(change.event))},
""",
        """                {"Update": settled},
""",
        ("test_refunds",),
    ),
    Mutant(
        "refund-settled-twice",
        "A refund is settled only while it is processing",
        "chalicelib/store.py",
        'self._payments.step(_refund_item(refund), _refund_item(change.refund), "status")',
        'self._payments.step(_refund_item(refund), _refund_item(change.refund), "paymentId")',
        ("test_refunds",),
    ),
    Mutant(
        "settled-refund-is-a-move",
        "Whoever comes second to a refund stops, instead of settling it on the moved payment",
        "chalicelib/store.py",
        """            if done is not None:
                raise RefundSettled(refund.id) from failed
            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
""",
        """            if moved is not None:
                raise PaymentMoved(_payment(moved)) from failed
            if done is not None:
                raise RefundSettled(refund.id) from failed
""",
        ("test_refunds",),
    ),
    Mutant(
        "failed-refund-keeps-its-amount",
        "A refund that fails gives its amount back, to be refunded again",
        "chalicelib/model.py",
        "given_back = refund.amount if to is RefundStatus.FAILED else Decimal(0)",
        "given_back = Decimal(0)",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "completed-refund-is-free-again",
        "What was refunded stays refunded",
        "chalicelib/model.py",
        "given_back = refund.amount if to is RefundStatus.FAILED else Decimal(0)",
        "given_back = refund.amount",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "return-beside-a-refund",
        "A return waits for the refunds that are under way",
        "chalicelib/model.py",
        "        if self.refunds_processing:\n",
        "        if self.refunds_processing > 1:\n",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "return-of-the-refunded",
        "Of what is refunded in full nothing is returned",
        "chalicelib/model.py",
        "        if not self.refundable:\n",
        "        if not self.amount:\n",
        ("test_model",),
    ),
    Mutant(
        "returned-is-refundable",
        "What a bank took back cannot be refunded",
        "chalicelib/model.py",
        "failure_code=code, refundable=nothing)",
        "failure_code=code)",
        ("test_model", "test_refunds"),
    ),
    Mutant(
        "refund-hint-before-commit",
        "A refund's hint is sent when it is committed, never before",
        "chalicelib/refunds.py",
        """        created = on_the_latest(
            payment, lambda latest: self._commit(latest, wanted, refund_id, actor)
        )
        if not created.replayed:
            hint(self.queue, SettleRefund(payment_id, created.refund_id), stage=self.stage)
        return created
""",
        """        hint(self.queue, SettleRefund(payment_id, refund_id), stage=self.stage)
        return on_the_latest(
            payment, lambda latest: self._commit(latest, wanted, refund_id, actor)
        )
""",
        ("test_refunds",),
    ),
    Mutant(
        "refund-hint-forgotten",
        "A committed refund is hinted of at once",
        "chalicelib/refunds.py",
        "        if not created.replayed:\n",
        "        if created.replayed:\n",
        ("test_refunds",),
    ),
    Mutant(
        "pending-refund-is-guessed",
        "While the bank has not decided a refund stays processing",
        "chalicelib/refunds.py",
        """        if isinstance(outcome, Pending):
            return
""",
        """        if isinstance(outcome, Pending):
            outcome = Completed()
""",
        ("test_refunds",),
    ),
    Mutant(
        "settled-although-returned",
        "A refund that was settled before a bank's return is left alone after it",
        "chalicelib/refunds.py",
        "        if payment.status is not Status.COMPLETED:\n",
        "        if payment.status is Status.PROCESSING:\n",
        ("test_refunds",),
    ),
    Mutant(
        "settled-refund-asked-again",
        "The processor is not asked again about a refund that is settled",
        "chalicelib/refunds.py",
        """        if refund.status is not RefundStatus.PROCESSING:
            return
""",
        "",
        ("test_refunds",),
    ),
    Mutant(
        "move-is-not-followed",
        "Whoever lost a race starts again from what the other left",
        "chalicelib/store.py",
        "            payment = moved.current\n",
        "            payment = moved.current if number > 100 else payment\n",
        ("test_refunds", "test_payments"),
    ),
    Mutant(
        "races-without-end",
        "A race that does not end is told as a conflict",
        "chalicelib/store.py",
        'raise Conflict("Others are changing this payment at this moment; try again.")',
        "return attempt(payment)",
        ("test_refunds",),
    ),
)
