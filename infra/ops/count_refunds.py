"""`make count-refunds`: count the refunds that a version before 0.3 settled.

Guarantee: each refund is counted once, in a transaction on the condition that it is not counted
and as it was read. So the command can run while refunds are settled, may be interrupted, and a
second run continues.

Version 0.3 counts what it settles itself. Run this once after the upgrade, when no function of an
earlier version runs any more, and again after a rollback and the upgrade that follows it.

Before version 0.3, a bank's return took only what was not refunded, and the totals have the whole
amount as returned. The refunds of such a payment are left out: they would be subtracted twice.
"""

import sys
from collections.abc import Iterator
from typing import Final

from chalicelib.aws.dynamodb import EARLIEST, LATEST
from chalicelib.aws.pagination import just_after
from chalicelib.payments.models import Payment, Refund, RefundStatus, Status
from chalicelib.payments.repository import PaymentRepository
from infra import cli
from infra.ops import stages

_PAGE: Final = 100


def main(arguments: list[str]) -> None:
    asked = cli.parser("count-refunds", __doc__).parse_args(arguments)
    with stages.operated(asked.stage, "Not every refund was counted; run it again"):
        repository = stages.payment_repository_of(stages.tables_of(asked.stage))
        counted = count_refunds(repository)
    print(f"Counted {counted} refunds that were not in the totals.")


def count_refunds(repository: PaymentRepository) -> int:
    """Add every settled refund to the totals that they do not have; return how many.

    Raises PayFlowError.
    """
    counted = 0
    for status in (RefundStatus.COMPLETED, RefundStatus.FAILED):
        for page in _pages(repository, status):
            refunds = [refund for refund in page if not refund.is_counted]
            of = repository.find_many(sorted({refund.payment_id for refund in refunds}))
            counted += sum(
                repository.count_refund(of[refund.payment_id], refund)
                for refund in refunds
                if refund.payment_id in of  # None of a payment that this version cannot read
                and not _was_returned_in_part(of[refund.payment_id])
            )
    return counted


def _was_returned_in_part(payment: Payment) -> bool:
    return payment.status is Status.RETURNED and payment.amount_returned < payment.amount


def _pages(repository: PaymentRepository, status: RefundStatus) -> Iterator[list[Refund]]:
    lower = EARLIEST
    while True:
        page = repository.refunds_by_status(status, lower, LATEST, _PAGE)
        yield [refund for _, refund in page if refund is not None]
        if len(page) < _PAGE:
            return
        lower = just_after(page[-1][0])


if __name__ == "__main__":
    main(sys.argv[1:])
