"""Every rule that is broken, in the order of the table: data, and nothing else."""

from typing import Final

from tests.mutations.catalogue.deliveries import DELIVERIES
from tests.mutations.catalogue.idempotency import IDEMPOTENCY
from tests.mutations.catalogue.messages import MESSAGES
from tests.mutations.catalogue.payments import PAYMENTS
from tests.mutations.catalogue.refunds import REFUNDS
from tests.mutations.catalogue.requests import REQUESTS
from tests.mutations.catalogue.tables import TABLES
from tests.mutations.mutant import Mutant

CATALOGUE: Final[dict[str, tuple[Mutant, ...]]] = {
    "One key, one effect": IDEMPOTENCY,
    "Payments and their totals": PAYMENTS,
    "Refunds": REFUNDS,
    "Transactions, retries and reads": TABLES,
    "Messages and the sweeper": MESSAGES,
    "Webhooks": DELIVERIES,
    "Requests, keys and lists": REQUESTS,
}
"""By the title of their part of the table."""

EVERY: Final = tuple(mutant for part in CATALOGUE.values() for mutant in part)
