"""What is asked for, and how often: traffic as a company's shops and desks make it.

Of a hundred requests about a third write. Shops create payments, and poll them until they have an
outcome; one in ten creates is sent more than once, as buttons are pressed twice and answers are
lost on the way. Desks look at lists, at one payment's events and, rarely, at the totals; they
refund, mostly a part, sometimes too much; they cancel, mostly too late. Some get it wrong.

Most payments are left to the simulator's chance (85 % complete); a few have a bank that never
decides, one that breaks, one that takes its time, and one that refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeVar

from infra.local.seed import MERCHANTS, WEIGHTS
from tests.http_client import Reply
from tests.load.ledger import Operation, Request

MIXED: Final = {
    "create": 24,
    "create_twice_at_once": 2,
    "create_again": 3,
    "reuse_a_key": 2,
    "create_badly": 3,
    "get": 29,
    "list_newest": 6,
    "list_of_a_status": 4,
    "list_further": 4,
    "read_events": 6,
    "read_stats": 1,
    "cancel": 4,
    "refund_all": 2,
    "refund_a_part": 5,
    "refund_too_much": 2,
    "refund_again": 1,
    "return": 2,
}
"""Parts of a hundred."""

BUSINESS: Final = {
    "create": 86,
    "create_again": 2,
    "get": 6,
    "refund_all": 1,
    "refund_a_part": 3,
    "cancel": 2,
}
"""Payments above all: what hours of business leave to be settled, refunded and told."""

_WISHES: Final = {None: 940, "failed:insufficient_funds": 30, "slow:0.2": 15, "pending": 10}
_WISHES_AND_OUTAGES: Final = {**_WISHES, "error": 5}
_BAD_BODIES: Final = (
    b'{"merchant": "Northern Lights Coffee", "amount": ',
    b'{"merchant": " ", "amount": -1, "currency": "EUR", "type": "cash", "idempotency_key": "x"}',
    b'{"amount": 1, "amount": 2}',
    b'{"merchant": "A", "amount": 1e999, "currency": "CAD", "type": "eft", '
    b'"idempotency_key": "more-than-there-is"}',
)
_PAYMENTS: Final = "/v1/payments"
_CENT: Final = Decimal("0.01")
_RECENT: Final = 20
"""How far back a look goes, in payments, on average."""

Known = TypeVar("Known")
Expected = frozenset[str]
_MADE: Final = Expected({"201"})
_READ: Final = Expected({"200"})
_REFUND_REFUSALS: Final = Expected({"409 payment_not_refundable", "422 refund_exceeds_payment"})


class _NothingYet(Exception):
    """What a request is about is not there yet."""


@dataclass
class Traffic:
    """The clients of one run: what they know, and what they do next. The same seed does the same
    as far as the answers are the same.
    """

    run: str
    """Unique: part of every key."""
    seed: int
    random: Random = field(init=False)
    made: list[tuple[str, Request]] = field(default_factory=list)
    """Payments that were acknowledged: their ids, and the requests that made them."""
    completed: list[Any] = field(default_factory=list)
    """Payments that were seen to be."""
    refunds: list[Request] = field(default_factory=list)
    """Those that were acknowledged."""
    further: list[str] = field(default_factory=list)
    """The next pages of lists that were read."""
    _number: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def next(self, mix: Mapping[str, int]) -> list[Request]:
        """One request, or two that are sent at the same moment."""
        (kind,) = self.random.choices(list(mix), list(mix.values()))
        try:
            request: Request = getattr(self, f"_{kind}")()
        except _NothingYet:
            request = self._create()
        return [request] * 2 if kind == "create_twice_at_once" else [request]

    def learn(self, request: Request, answer: Reply) -> None:
        """From an answer that was served."""
        if answer.status >= 400:
            return
        if request.operation is Operation.CREATE:
            self.made.append((answer.json["id"], request))
        elif request.operation is Operation.REFUND and answer.status == 201:
            self.refunds.append(request)
        elif request.operation is Operation.GET and answer.json["status"] == "completed":
            self.completed.append(answer.json)
        elif request.operation is Operation.LIST and (cursor := answer.json["next_cursor"]):
            path = request.path.partition("&cursor=")[0]
            self.further = [*self.further[-20:], f"{path}&cursor={cursor}"]

    def _any(self, known: Sequence[Known]) -> Known:
        if not known:
            raise _NothingYet
        return self.random.choice(known)

    def _create(self) -> Request:
        return _create(self._payment(), _MADE)

    def _create_twice_at_once(self) -> Request:
        return _create(self._payment(), _MADE | _READ)

    def _create_again(self) -> Request:
        return replace(self._any(self.made)[1], operation=Operation.REPLAY, expected=_READ)

    def _reuse_a_key(self) -> Request:
        key = self._any(self.made)[1].makes
        other = self._payment() | {"idempotency_key": key, "description": "another"}
        expected = Expected({"422 idempotency_key_reused"})
        return Request(Operation.REFUSED, "POST", _PAYMENTS, expected, body=other)

    def _create_badly(self) -> Request:
        expected = Expected({"400 validation_failed", "400 malformed_json"})
        raw = self.random.choice(_BAD_BODIES)
        return Request(Operation.REFUSED, "POST", _PAYMENTS, expected, raw=raw)

    def _get(self) -> Request:
        return self._look("", Operation.GET)

    def _list_newest(self) -> Request:
        return Request(Operation.LIST, "GET", f"{_PAYMENTS}?limit=20", _READ)

    def _list_of_a_status(self) -> Request:
        status = self.random.choice(["processing", "completed", "failed", "canceled", "returned"])
        return Request(Operation.LIST, "GET", f"{_PAYMENTS}?limit=20&status={status}", _READ)

    def _list_further(self) -> Request:
        return Request(Operation.LIST, "GET", self._any(self.further), _READ)

    def _read_events(self) -> Request:
        return self._look(self.random.choice(["/events", "/deliveries"]), Operation.EVENTS)

    def _look(self, below: str, operation: Operation) -> Request:
        back = int(self.random.expovariate(1 / _RECENT)) + 1
        payment_id, _ = self._any(self.made[-back:][:1])
        return Request(operation, "GET", f"{_PAYMENTS}/{payment_id}{below}", _READ)

    def _read_stats(self) -> Request:
        return Request(Operation.STATS, "GET", "/v1/stats", _READ)

    def _cancel(self) -> Request:
        payment_id, _ = self._any(self.made[-1:])
        expected = _READ | {"409 payment_not_cancelable"}
        path = f"{_PAYMENTS}/{payment_id}/cancel"
        return Request(Operation.CANCEL, "POST", path, expected, body={})

    def _refund_all(self) -> Request:
        return self._refund(None, _MADE | _REFUND_REFUSALS)

    def _refund_a_part(self) -> Request:
        share = Decimal(self.random.randrange(1, 60)) / 100
        return self._refund(share, _MADE | _REFUND_REFUSALS)

    def _refund_too_much(self) -> Request:
        return self._refund(Decimal(2), _REFUND_REFUSALS | {"400 validation_failed"})

    def _refund(self, share: Decimal | None, expected: Expected) -> Request:
        payment = self._any(self.completed)
        body: dict[str, Any] = {"idempotency_key": self._key("refund")}
        if share is not None:
            body["amount"] = str(max(payment["amount"] * share, _CENT).quantize(_CENT))
        path = f"{_PAYMENTS}/{payment['id']}/refunds"
        makes = body["idempotency_key"] if "201" in expected else None
        refund = Request(Operation.REFUND, "POST", path, expected, body=body, makes=makes)
        return replace(refund, payment_id=payment["id"])

    def _refund_again(self) -> Request:
        return replace(self._any(self.refunds), operation=Operation.REPLAY, expected=_READ)

    def _return(self) -> Request:
        payment = self._any(self.completed)
        self.completed.remove(payment)
        path = f"{_PAYMENTS}/{payment['id']}/simulate_return"
        expected = _READ | {"409 payment_not_returnable"}
        return Request(Operation.CANCEL, "POST", path, expected, body={})

    def _payment(self) -> dict[str, Any]:
        (merchant,) = self.random.choices(MERCHANTS, WEIGHTS)
        amount = max(min(merchant.typical * self.random.lognormvariate(0, 0.6), 999_999), 1)
        (wish,) = self.random.choices(list(_WISHES_AND_OUTAGES), list(_WISHES_AND_OUTAGES.values()))
        (refund_wish,) = self.random.choices(list(_WISHES), list(_WISHES.values()))
        wishes = {"simulate": wish, "simulate_refund": refund_wish}
        return {
            "merchant": merchant.name,
            "amount": str(Decimal(amount).quantize(_CENT)),
            "currency": merchant.currency,
            "type": merchant.type,
            "idempotency_key": self._key("payment"),
            "metadata": {name: one for name, one in wishes.items() if one},
        }

    def _key(self, what: str) -> str:
        self._number += 1
        return f"load-{self.run}-{what}-{self._number:07}"


def _create(body: dict[str, Any], expected: Expected) -> Request:
    key = body["idempotency_key"]
    return Request(Operation.CREATE, "POST", _PAYMENTS, expected, body=body, makes=key)
