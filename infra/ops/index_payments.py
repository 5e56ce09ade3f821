"""`make index-payments`: put what a version before 0.4 wrote into the feed and the search.

Guarantee: an event gets its place in the feed once, by its own time, and with the whole state that
it tells of, and a payment is found by its key and its merchant. The command can run while payments
change, may be interrupted, and a second run continues.

Run it once after the upgrade, when no function of an earlier version runs any more, and again after
a rollback and the upgrade that follows it. A client that is further than an event's time does not
see it: let it read again from the time of the rollback.
"""

import sys
from collections.abc import Iterator
from typing import Final

from chalicelib.aws.dynamodb import EARLIEST, LATEST
from chalicelib.aws.pagination import just_before
from chalicelib.payments.repository import PaymentRepository
from infra import cli
from infra.ops import stages

_PAGE: Final = 100


def main(arguments: list[str]) -> None:
    asked = cli.parser("index-payments", __doc__).parse_args(arguments)
    with stages.operated(asked.stage, "Not every payment is in the indexes; run it again"):
        repository = stages.payment_repository_of(stages.tables_of(asked.stage))
        placed = index_payments(repository)
    print(f"Put {placed} rows into the feed and the search.")


def index_payments(repository: PaymentRepository) -> int:
    """Index every row that is not; return how many. Raises PayFlowError."""
    return sum(repository.index(payment_id) for page in _pages(repository) for payment_id in page)


def _pages(repository: PaymentRepository) -> Iterator[list[str]]:
    upper = LATEST
    while True:
        page = repository.all(EARLIEST, upper, _PAGE)
        yield [entry.payment_id for entry in page]
        if len(page) < _PAGE:
            return
        upper = just_before(page[-1].sort_key)


if __name__ == "__main__":
    main(sys.argv[1:])
