"""Endpoints and deliveries: frozen records, their ids, and the steps that they can take. Pure.

Guarantee: a delivery is decided once for each event and endpoint, and its id says where it lies.
Its attempts are in the order in which they began, each with what came of it; one that began and
of which nothing is known (a worker was killed) stays, and counts. It takes at most ten attempts,
and ten more each time it is replayed.

    pending ──┬─▶ delivered ──┐
      ▲       └─▶ failed ─────┤
      └────────── replayed ───┘
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import ConfigDict, Field, computed_field

from chalicelib import webhook_schedule
from chalicelib.errors import Conflict
from chalicelib.model import EventType, Timestamp
from chalicelib.schema import Schema

MAX_ENDPOINTS: Final = 10
"""So that the deliveries of an event fit into the transaction that writes it."""

OLD_SECRET_LIFE: Final = timedelta(hours=24)
MAX_OLD_SECRETS: Final = 4
_KEPT_ON_REPLAY: Final = 10

_ULID: Final = "[0-9A-HJKMNP-TV-Z]{26}"
ENDPOINT_ID: Final = re.compile(f"EP-{_ULID}")
DELIVERY_ID: Final = re.compile(f"DLV-(?P<payment>{_ULID})?(?P<event>{_ULID})(?P<endpoint>{_ULID})")


class Subscription(StrEnum):
    """What an endpoint can be sent; `*` is all of it, what a later version adds included."""

    EVERYTHING = "*"
    PAYMENT_COMPLETED = "payment.completed"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELED = "payment.canceled"
    PAYMENT_RETURNED = "payment.returned"
    REFUND_COMPLETED = "refund.completed"
    REFUND_FAILED = "refund.failed"


class EndpointEvent(StrEnum):
    """What happens to an endpoint itself."""

    TEST = "endpoint.test"
    DISABLED = "endpoint.disabled"


class DisabledReason(StrEnum):
    REQUESTED = "requested"
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """Five days of nothing but failures."""


class OldSecret(NamedTuple):
    """One that was rotated away, and signs along for a while."""

    secret: str
    until: datetime


class Endpoint(Schema):
    """Where the company is told of what happens. Its secret is shown when it is made or rotated."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^{ENDPOINT_ID.pattern}$")
    url: str
    description: str | None
    events: list[Subscription]
    enabled: bool = Field(description="a disabled one is sent nothing")
    created_at: Timestamp
    updated_at: Timestamp = Field(description="when its settings were changed last")
    disabled_at: Timestamp | None
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410; `failing`: nothing but failures for five days"
    )
    failing_since: Timestamp | None = Field(
        description="the first failure after its last success; five days later it is disabled"
    )

    secret: str = Field(exclude=True)
    old_secrets: tuple[OldSecret, ...] = Field(exclude=True)

    @computed_field(description="until then what is sent is signed with the old secret too")  # type: ignore[prop-decorator]
    @property
    def old_secret_expires_at(self) -> Timestamp | None:
        return max((old.until for old in self.old_secrets), default=None)

    def wants(self, event: EventType) -> bool:
        """Whether it is sent events of this type. It is never sent that something was created."""
        if not self.enabled or event.value not in set(Subscription):
            return False
        return bool({Subscription.EVERYTHING, Subscription(event.value)} & set(self.events))

    def secrets(self, now: datetime) -> list[str]:
        """Those that sign, the newest first."""
        return [self.secret, *(old.secret for old in self.old_secrets if now < old.until)]

    def rotated(self, secret: str, now: datetime) -> "Endpoint":
        """With a new secret; the one before signs along for a day. Raises Conflict."""
        still_good = [old for old in self.old_secrets if now < old.until]
        if len(still_good) >= MAX_OLD_SECRETS:
            raise Conflict(
                f"The secret was rotated {MAX_OLD_SECRETS} times in 24 hours; let an old one end."
            )
        old = (OldSecret(self.secret, now + OLD_SECRET_LIFE), *still_good)
        return self.model_copy(update={"secret": secret, "old_secrets": old, "updated_at": now})

    def disabled(self, reason: DisabledReason, now: datetime) -> "Endpoint":
        return self.model_copy(
            update={"enabled": False, "disabled_at": now, "disabled_reason": reason}
        )

    def enabled_again(self) -> "Endpoint":
        """Its failures are forgotten: it has five days anew."""
        fresh = {"disabled_at": None, "disabled_reason": None, "failing_since": None}
        return self.model_copy(update={"enabled": True} | fresh)


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class FailureReason(StrEnum):
    EXHAUSTED = "exhausted"
    """Its last attempt has failed."""
    GONE = "gone"
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_DELETED = "endpoint_deleted"


class Attempt(Schema):
    """One POST. While it is under way, or when its worker was killed, only `at` is known."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    at: Timestamp
    status: int | None = Field(
        default=None, description="the answer's; with `error`, as far as one was heard"
    )
    latency_ms: int | None = None
    response: str | None = Field(default=None, description="the first 2 KiB of the answer's body")
    error: str | None = Field(
        default=None,
        description="why there is no whole answer: `url_refused`, `address_refused`, `dns`, "
        "`connection`, `tls`, `timeout` or `protocol`",
    )
    detail: str | None = Field(default=None, description="a few words on the error")

    @property
    def is_known(self) -> bool:
        return self.latency_ms is not None


class DeliveryKey(NamedTuple):
    """Whose event, which one, and to where; of an endpoint's own events `payment_id` is None."""

    payment_id: str | None
    event_id: str
    endpoint_id: str

    @property
    def delivery_id(self) -> str:
        parts = (self.payment_id or "", self.event_id, self.endpoint_id)
        return "DLV-" + "".join(part.partition("-")[2] for part in parts)


def delivery_key(delivery_id: str) -> DeliveryKey | None:
    """What an id says; None for what is no delivery's id."""
    found = DELIVERY_ID.fullmatch(delivery_id)
    if found is None:
        return None
    payment, event, endpoint = found.group("payment", "event", "endpoint")
    return DeliveryKey(payment and f"PAY-{payment}", f"EVT-{event}", f"EP-{endpoint}")


class Delivery(Schema):
    """An event on its way to an endpoint. `event_id` is what is sent as `webhook-id`, each time."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^DLV-({_ULID}){{2,3}}$")
    endpoint_id: str
    payment_id: str | None
    event_id: str
    event_type: EventType | EndpointEvent
    status: DeliveryStatus
    failure_reason: FailureReason | None
    created_at: Timestamp
    next_attempt_at: Timestamp | None = Field(
        description="not before then; while an attempt is under way, when it will have ended"
    )
    attempts: list[Attempt] = Field(description="the oldest first")
    payload: str = Field(description="the body as it is sent")

    attempts_before: int = Field(exclude=True, description="so many were made before its replay")

    @classmethod
    def of(
        cls, key: DeliveryKey, event_type: EventType | EndpointEvent, payload: str, now: datetime
    ) -> "Delivery":
        """A new one, due at once."""
        return cls(
            id=key.delivery_id,
            endpoint_id=key.endpoint_id,
            payment_id=key.payment_id,
            event_id=key.event_id,
            event_type=event_type,
            status=DeliveryStatus.PENDING,
            failure_reason=None,
            created_at=now,
            next_attempt_at=now,
            attempts=[],
            payload=payload,
            attempts_before=0,
        )

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self._ended(DeliveryStatus.DELIVERED, None, [*self.attempts[:-1], attempt])

    def failed(self, attempt: Attempt, reason: FailureReason) -> "Delivery":
        return self._ended(DeliveryStatus.FAILED, reason, [*self.attempts[:-1], attempt])

    def not_sent(self, reason: FailureReason) -> "Delivery":
        """The attempt that had been begun was none."""
        return self._ended(DeliveryStatus.FAILED, reason, self.attempts[:-1])

    def put_off(
        self, attempt: Attempt, now: datetime, *, chance: float, retry_after: timedelta | None
    ) -> "Delivery":
        """To be tried again, or failed when that was the last attempt."""
        made = len(self.attempts) - self.attempts_before
        delay = webhook_schedule.delay_after(made, chance=chance, retry_after=retry_after)
        if delay is None:
            return self.failed(attempt, FailureReason.EXHAUSTED)
        attempts = [*self.attempts[:-1], attempt]
        return self.model_copy(update={"attempts": attempts, "next_attempt_at": now + delay})

    def replayed(self, now: datetime) -> "Delivery":
        """Due at once, with ten attempts anew. Raises Conflict while one is under way."""
        is_under_way = bool(self.attempts) and not self.attempts[-1].is_known
        if is_under_way and self.next_attempt_at is not None and now < self.next_attempt_at:
            raise Conflict("An attempt is under way at this moment; look at what comes of it.")
        kept = self.attempts[-_KEPT_ON_REPLAY:]
        return self.model_copy(
            update={
                "status": DeliveryStatus.PENDING,
                "failure_reason": None,
                "next_attempt_at": now,
                "attempts": kept,
                "attempts_before": len(kept),
            }
        )

    def _ended(
        self, status: DeliveryStatus, reason: FailureReason | None, attempts: Sequence[Attempt]
    ) -> "Delivery":
        return self.model_copy(
            update={
                "status": status,
                "failure_reason": reason,
                "next_attempt_at": None,
                "attempts": list(attempts),
            }
        )
