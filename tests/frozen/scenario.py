"""A fixed scenario that leaves a row of every kind, in every state, behind it.

Its clock, ids and secrets are fixed, so that the same code leaves the same rows. An id depends on
its time alone, and each step has a time of its own: ids do not depend on the order of calls.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch

import ulid

from tests import engines
from tests.conftest import SESSION
from tests.frozen import product
from tests.frozen.product import Product

START: Final = datetime(2026, 11, 22, 21, 57, 1, 120000, tzinfo=UTC)
TABLES: Final = {
    "payflow-payments-test": ("PK", "SK"),
    "payflow-idempotency-test": ("idempotencyKey",),
}
"""The stage's tables, and the names of their keys."""
DELAYS: Final = [
    timedelta(**delay)
    for delay in (
        {"seconds": 5}, {"minutes": 5}, {"minutes": 30}, {"hours": 2}, {"hours": 5},
        {"hours": 10}, {"hours": 14}, {"hours": 20}, {"hours": 24},
    )
]  # fmt: skip
"""Before the second attempt and each one after it."""


class WorkerKilled(Exception):
    """Ends an attempt of which nothing is recorded."""


class _Ids:
    """Makes ULIDs whose random part is a digest of their time."""

    def generate(self, moment: datetime) -> ulid.ULID:
        milliseconds = int(moment.timestamp() * 1000)
        digest = hashlib.sha256(str(milliseconds).encode()).digest()
        return ulid.ULID(milliseconds.to_bytes(6, "big") + digest[:10])


class Stage:
    """The product on the emulated AWS, and the world around it."""

    def __init__(self, dynamodb: Any) -> None:
        self.now = START
        self.random = bytes(range(32))
        """What the next secret is made of."""
        self.posts: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        """Those that created something, with the bodies of their answers."""
        self.urls: list[str] = []
        self.unsettled = ""
        """The id of a payment that no worker has seen."""
        self.dynamodb = dynamodb
        self.product = Product(self.dynamodb, lambda: self.now, self._merchant)

    def then(self, **later: float) -> Product:
        """The product, a second later unless `later` says otherwise."""
        self.now += timedelta(**later or {"seconds": 1})
        return self.product

    def create(self, name: str, **fields: Any) -> str:
        """A payment of the merchant `name`; returns its id."""
        usual = {"merchant": name, "amount": "12.50", "currency": "CAD", "type": "eft"}
        fields = usual | fields | {"idempotency_key": f"payment {name}"}
        payment_id, answer, _ = self.then().create_payment(**fields)
        self.requests.append({"payment": fields, "answer": answer})
        return payment_id

    def pay(self, name: str, wish: str = "completed", **fields: Any) -> str:
        """The same, of which its processor says `wish`."""
        metadata = {"simulate": wish} | fields.pop("metadata", {})
        payment_id = self.create(name, metadata=metadata, **fields)
        self.then().settle_all()
        return payment_id

    def refund(self, payment_id: str, name: str, **fields: Any) -> None:
        fields |= {"idempotency_key": f"refund {name}"}
        _, answer, _ = self.then().create_refund(payment_id, **fields)
        self.requests.append({"refund": fields, "of": payment_id, "answer": answer})

    def delivery_of(self, payment_id: str) -> str:
        """The id of its one delivery."""
        (delivery_id,) = self.product.deliveries_of(payment_id)
        return delivery_id

    def endpoint(self, path: str, *events: str, **fields: Any) -> str:
        """An endpoint whose POSTs end as `path` says; returns its id."""
        url = f"https://merchant.example/{path}"
        if url in self.urls:  # two endpoints of one URL are refused
            url = f"https://merchant.example/{len(self.urls)}/{path}"
        self.urls.append(url)
        return self.then().create_endpoint(url, *events, **fields)

    def _merchant(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int | None, str]:
        """Keep a POST. The last part of its URL is the status or the error that it ends with."""
        self.posts.append({"url": url, "headers": dict(headers), "body": body.decode()})
        wish = url.rpartition("/")[2]
        if wish == "killed":
            raise WorkerKilled
        return (int(wish), f"This is {wish}.") if wish.isdigit() else (None, wish)

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put `rows` into the tables."""
        for row in rows:
            payments, idempotency = TABLES
            table = payments if "PK" in row else idempotency
            self.dynamodb.put_item(TableName=table, Item=row)

    def rows(self) -> list[dict[str, Any]]:
        """Of both tables, in the order of their keys."""
        return [
            row
            for table, keys in TABLES.items()
            for row in sorted(
                self.dynamodb.scan(TableName=table)["Items"],
                key=lambda row: [row[key]["S"] for key in keys],
            )
        ]


@contextmanager
def stage(aws_url: str) -> Iterator[Stage]:
    """An empty stage with a fixed clock, fixed ids and fixed secrets, until the block ends."""
    with (
        closing(SESSION.client("dynamodb", endpoint_url=aws_url)) as dynamodb,
        patch.dict(os.environ, AWS_ENDPOINT_URL=aws_url),
        product.new_services(),
        patch.object(ulid, "default_generator", _Ids()),
    ):
        # Two ids of one step are equal, and so would be the tokens of two transactions.
        dynamodb.meta.events.register(
            "before-parameter-build.dynamodb.TransactWriteItems",
            lambda params, **_: params.pop("ClientRequestToken"),
        )
        engines.create_tables(dynamodb, "test")
        made = Stage(dynamodb)
        try:
            with patch("secrets.token_bytes", lambda _: made.random):
                yield made
        finally:
            for table in TABLES:
                dynamodb.delete_table(TableName=table)


def tell(stage: Stage) -> None:
    """Do everything that leaves a row behind, or moves one into another state."""
    _api_keys(stage)
    _failing_deliveries(stage)
    _changed_endpoints(stage)
    _endpoints(stage)
    _payments(stage)
    _unfinished_deliveries(stage)


def _api_keys(stage: Stage) -> None:
    def key(name: str, *scopes: str, **fields: Any) -> tuple[str, str]:
        stage.random = hashlib.sha256(name.encode()).digest()
        return stage.then().create_key(name, *scopes, **fields)

    key("never used", "read", "write")
    _, used = key("used", "admin")
    assert stage.then(hours=1).is_authorized(used)
    key("expires", "read", expires_at="2027-11-22")
    rolled, _ = key("rolled", "write")
    stage.random = hashlib.sha256(b"rolled again").digest()
    stage.then().roll_key(rolled)
    revoked, _ = key("revoked", "read")
    stage.then().revoke_key(revoked)
    stage.random = bytes(range(32))


def _failing_deliveries(stage: Stage) -> None:
    """Deliveries that have failed ten times, to an endpoint that is disabled for it."""
    stage.endpoint("connection", "payment.failed")
    exhausted, replayed = (
        stage.delivery_of(stage.pay(name, "failed:account_closed"))
        for name in ("exhausted", "replayed")
    )
    for delay in DELAYS:
        stage.then(seconds=delay.total_seconds()).deliver(exhausted)
        stage.then().deliver(replayed)
    stage.then().replay(replayed)
    stage.then().deliver(replayed)
    late = stage.delivery_of(stage.pay("late", "failed:insufficient_funds"))
    stage.then(days=5).deliver(late)


def _changed_endpoints(stage: Stage) -> None:
    """Endpoints that are disabled, deleted or found gone while a delivery is on its way."""
    stage.endpoint("410", "payment.returned")
    closed = stage.endpoint("204", "payment.returned")
    deleted = stage.endpoint("201", "payment.returned")
    returned = stage.pay("returned", type="ach", currency="USD", amount=1250)
    stage.then().return_by_bank(returned)
    stage.then().update_endpoint(closed, enabled=False)
    stage.then().delete_endpoint(deleted)
    stage.then().deliver_all()


def _endpoints(stage: Stage) -> None:
    """Endpoints that stay: one with all its attempts answered, one with two older secrets."""
    stage.endpoint("200", description="Hears of everything")
    rotated = stage.endpoint("503", "refund.completed", "refund.failed")
    for first in (32, 64):
        stage.random = bytes(range(first, first + 32))
        stage.then().rotate_secret(rotated)


def _payments(stage: Stage) -> None:
    """A payment in each status, and with refunds in each status."""
    stage.pay("completed", description="Order 10023", type="wire", amount=1000000)
    stage.pay("failed", "failed:currency_not_supported", type="interac", currency="USD")
    full = stage.pay("refunded in full", metadata={"simulate_refund": "completed"})
    stage.refund(full, "in full", reason="Out of stock")
    stage.then().settle_all()
    in_part = stage.pay(
        "refunded in part", amount="100", type="ach", metadata={"simulate_refund": "completed"}
    )
    stage.refund(in_part, "in part", amount="40.5")
    stage.then().settle_all()
    stage.then().return_by_bank(in_part, code="R03")
    kept = stage.pay("not refunded", metadata={"simulate_refund": "failed:account_closed"})
    stage.refund(kept, "failed", amount=5)
    stage.then().settle_all()
    processing = stage.pay("refund processing", metadata={"simulate_refund": "pending"})
    stage.refund(processing, "processing", amount="0.01")
    stage.refund(processing, "processing too", amount="2.40", reason="Caf\u00e9")
    stage.then().settle_all()
    credit = stage.pay("credit", direction="credit")
    stage.then().return_by_bank(credit)
    stage.pay("paid out", direction="credit", type="ach")
    stage.pay("expected", "submitted:604800")
    back = stage.pay("refund returned", metadata={"simulate_refund": "completed"})
    stage.refund(back, "returned", amount="2")
    stage.then().settle_all()
    stage.then().return_refund(back)
    waiting = stage.pay("refund expected", metadata={"simulate_refund": "submitted:604800"})
    stage.refund(waiting, "expected", amount="2")
    stage.then().settle_all()
    too_late = stage.pay("returned before its refund", metadata={"simulate_refund": "completed"})
    stage.refund(too_late, "too late", amount="2")
    stage.then().return_by_bank(too_late)
    stage.then().settle_all()
    contradicted = stage.pay("contradicted", metadata={"simulate_refund": "failed:account_closed"})
    stage.refund(contradicted, "contradicted", amount="2")
    stage.then().settle_all()
    for code in ("901", "905"):
        stage.then().bank_says(contradicted, code)
    stage.pay("submitted", "pending", metadata={"order": "10024 \u2713"})
    canceled = stage.create("canceled")
    stage.then().cancel(canceled)
    stage.then().settle_all()
    stage.unsettled = stage.create("not submitted")


def _unfinished_deliveries(stage: Stage) -> None:
    """Deliveries that wait for another attempt, for their first, and for a worker that died."""
    stage.then().deliver_all()
    killed = stage.endpoint("killed")
    stage.then().send_test_event(killed)
    with suppress(WorkerKilled):
        stage.then().deliver_all()
    stage.then().send_test_event(stage.endpoint("204", "payment.completed"))
