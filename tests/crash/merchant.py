"""Clients of the API, which repeat each request until it is answered, and the payments of one."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from chalicelib.payments.facts import FailureCode
from infra.local.lambda_events import api_event

_DONE: Final = frozenset({200, 201, 204})
_ONCE_ONLY: Final = frozenset({"secret", "key"})
"""What an answer shows the first time only."""
_LATER: Final = frozenset({"conflict", "unavailable", "rate_limited"})
"""Refusals that can be retried."""
_RAILS: Final = (("eft", "CAD"), ("wire", "CAD"), ("ach", "USD"), ("ach", "CAD"))
_ENDS: Final = (
    *(None, None, None),
    *("completed", "completed", "completed"),
    *("pending", "error", "submitted:300"),
)


class Wish(StrEnum):
    """The kinds of requests."""

    CREATE = "create"
    REFUND = "refund"
    CANCEL = "cancel"
    RETURN = "return"
    REFUND_RETURN = "refund return"
    ENDPOINT = "endpoint"
    CHANGE = "change"
    ROTATE = "rotate"
    TEST = "test"
    REPLAY_FAILED = "replay failed"
    DELETE = "delete"
    KEY = "key"
    ROLL = "roll"
    REVOKE = "revoke"


_ROUTES: Final = {
    Wish.CREATE: "POST /v1/payments",
    Wish.REFUND: "POST /v1/payments/{payment_id}/refunds",
    Wish.CANCEL: "POST /v1/payments/{payment_id}/cancel",
    Wish.RETURN: "POST /v1/payments/{payment_id}/simulate_return",
    Wish.REFUND_RETURN: "POST /v1/payments/{payment_id}/simulate_refund_return",
    Wish.ENDPOINT: "POST /v1/webhook_endpoints",
    Wish.CHANGE: "PATCH /v1/webhook_endpoints/{endpoint_id}",
    Wish.ROTATE: "POST /v1/webhook_endpoints/{endpoint_id}/rotate_secret",
    Wish.TEST: "POST /v1/webhook_endpoints/{endpoint_id}/test",
    Wish.REPLAY_FAILED: "POST /v1/webhook_endpoints/{endpoint_id}/replay_failed",
    Wish.DELETE: "DELETE /v1/webhook_endpoints/{endpoint_id}",
    Wish.KEY: "POST /v1/api_keys",
    Wish.ROLL: "POST /v1/api_keys/{key_id}/roll",
    Wish.REVOKE: "DELETE /v1/api_keys/{key_id}",
}
_WITH_SECRETS: Final = frozenset({Wish.ENDPOINT, Wish.KEY})
_LIMITED: Final = frozenset({Wish.ROTATE, Wish.ROLL})
"""A repeated one may meet its limit, which is a conflict that stays."""


@dataclass
class Request:
    """One request of a client, however often it has to be sent."""

    wish: Wish
    body: Mapping[str, Any] | None
    payment_id: str | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    """The ids in the path, of an administrator's request."""
    asked: int = 0
    """How many times it was sent, answered or not."""
    told: dict[str, Any] | None = None
    """The first final answer."""
    complaints: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.told is not None

    @property
    def succeeded(self) -> bool:
        return self.told is not None and self.told["statusCode"] in _DONE

    @property
    def key(self) -> str | None:
        return None if self.body is None else self.body.get("idempotency_key")

    def event(self) -> dict[str, Any]:
        """Return the event of one more attempt."""
        self.asked += 1
        path = {"payment_id": self.payment_id} if self.payment_id else self.path
        method, route = _ROUTES[self.wish].split(" ")
        return api_event(method, route, self.body, **path)

    def hear(self, answer: dict[str, Any] | None) -> None:
        """Record an answer; None if no answer came."""
        if answer is None:
            return
        status, body = answer["statusCode"], json.loads(answer["body"] or "{}")
        is_limit = self.wish in _LIMITED and body.get("code") == "conflict"
        if status not in _DONE and body["code"] in _LATER and not is_limit:
            if "Retry-After" not in answer["headers"]:
                self.complaints.append(f"{status} {body['code']} without Retry-After")
            return
        if status >= 500:
            self.complaints.append(f"{self.wish}: {status} {answer['body']}")
        elif self.told is None or (status in _DONE and not self.succeeded):
            self.told = answer
            if status == 200 and self.key and self.asked == 1:
                self.complaints.append(f"{self.wish}: 200 to the first request of a key")
        elif self.key and self.succeeded:
            self._compare(status, answer)

    def _compare(self, status: int, answer: dict[str, Any]) -> None:
        """Check that all answers to a key are the same, and at most one is a 201."""
        assert self.told is not None
        is_replay = answer["headers"].get("Idempotent-Replayed") == "true"
        first, again = (self._repeated(one["body"]) for one in (self.told, answer))
        if first != again or is_replay is not (status == 200):
            self.complaints.append(f"{self.wish}: {answer} after {self.told}")
        if status == 201:
            if self.told["statusCode"] == 201:
                self.complaints.append(f"{self.wish}: made twice, {answer} after {self.told}")
            self.told = answer

    def _repeated(self, body: str) -> object:
        """Return what a repeated answer has of this one: all of it, but for secrets."""
        if self.wish not in _WITH_SECRETS:
            return body
        return {name: value for name, value in json.loads(body).items() if name not in _ONCE_ONLY}


def payment(drawn: random.Random, key: str) -> Request:
    rail, currency = drawn.choice(_RAILS)
    ends = {"simulate": drawn.choice(_ENDS), "simulate_refund": drawn.choice(_ENDS)}
    if drawn.random() < 0.1:
        ends["simulate"] = f"failed:{FailureCode.ACCOUNT_CLOSED}"
    body = {
        "merchant": "Northern Lights Coffee",
        "amount": str(Decimal(drawn.randint(1, 100_000)).scaleb(-2)),
        "currency": currency,
        "type": rail,
        "idempotency_key": key,
        "metadata": {name: wish for name, wish in ends.items() if wish},
    }
    return Request(Wish.CREATE, body)


def refund(drawn: random.Random, paid: Mapping[str, Any], key: str) -> Request:
    """Return a refund of the rest, of a part, or of too much."""
    cents = int(Decimal(str(paid["amount"])).scaleb(2))
    amount = drawn.choice([None, drawn.randint(1, cents), max(1, cents // 2), cents + 1])
    body: dict[str, Any] = {"idempotency_key": key}
    if amount is not None:
        body["amount"] = str(Decimal(amount).scaleb(-2))
    return Request(Wish.REFUND, body, paid["id"])
