"""Webhook endpoints and deliveries: frozen records, their ids, and their legal changes. Pure.

Guarantee: there is one delivery for each event and endpoint, and its id says where it is stored.
Its attempts are in the order of their start, each with its result. If a worker is killed, its
attempt stays in the list without a result, and counts. A delivery has at most ten attempts, and ten
more after each replay.

    pending ──┬─▶ delivered ──┐
      ▲       └─▶ failed ─────┤
      └────────── replayed ───┘
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import ConfigDict, Field, computed_field

from chalicelib.errors import Conflict
from chalicelib.payments.models import EventType
from chalicelib.schema import Schema
from chalicelib.values import DELIVERY_ID, ENDPOINT_ID, ULID_PATTERN, Timestamp
from chalicelib.webhooks import retry_schedule

MAX_ENDPOINTS: Final = 10
"""The deliveries of an event must fit into the transaction that writes it."""

OLD_SECRET_LIFETIME: Final = timedelta(hours=24)
MAX_OLD_SECRETS: Final = 4
_KEPT_ON_REPLAY: Final = 10


class Subscription(StrEnum):
    """The events that an endpoint can subscribe to; `*` means all, including future ones."""

    EVERYTHING = "*"
    PAYMENT_COMPLETED = "payment.completed"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_CANCELED = "payment.canceled"
    PAYMENT_RETURNED = "payment.returned"
    REFUND_COMPLETED = "refund.completed"
    REFUND_FAILED = "refund.failed"
    REFUND_RETURNED = "refund.returned"


class EndpointEvent(StrEnum):
    """Events of an endpoint itself."""

    TEST = "endpoint.test"
    DISABLED = "endpoint.disabled"


class DisabledReason(StrEnum):
    REQUESTED = "requested"
    GONE = "gone"
    """The endpoint answered 410."""
    FAILING = "failing"
    """Every attempt of the last five days failed."""


class OldSecret(NamedTuple):
    """A replaced secret, which still signs until `until`."""

    secret: str
    until: datetime


class Secrets(NamedTuple):
    """The secrets of an endpoint, all in plain text or all encrypted."""

    current: str
    old: tuple[OldSecret, ...] = ()

    def rotated(self, secret: str, now: datetime) -> "Secrets":
        """Return a copy with a new secret. The old one also signs for a day. Raises Conflict."""
        valid = self.still_signing(now).old
        if len(valid) >= MAX_OLD_SECRETS:
            raise Conflict(
                f"The secret was rotated {MAX_OLD_SECRETS} times in 24 hours; "
                "wait until an old one expires."
            )
        return Secrets(secret, (OldSecret(self.current, now + OLD_SECRET_LIFETIME), *valid))

    def each(self, change: Callable[[str], str]) -> "Secrets":
        """Return a copy with each secret changed: encrypted or decrypted."""
        old = tuple(OldSecret(change(old.secret), old.until) for old in self.old)
        return Secrets(change(self.current), old)

    def still_signing(self, now: datetime) -> "Secrets":
        """Return a copy without the old secrets that have expired."""
        return Secrets(self.current, tuple(old for old in self.old if now < old.until))

    @property
    def old_expire_at(self) -> datetime | None:
        return max((old.until for old in self.old), default=None)


class Endpoint(Schema):
    """A webhook endpoint. Its secret is shown when it is created or rotated."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^{ENDPOINT_ID.pattern}$")
    url: str
    description: str | None
    events: list[Subscription]
    enabled: bool = Field(description="a disabled endpoint receives nothing")
    created_at: Timestamp
    updated_at: Timestamp = Field(description="when its settings last changed")
    created_by: str | None = Field(
        description="the name of the API key that created it; null before version 0.2.0"
    )
    created_by_id: str | None = Field(description="the id of that API key")
    disabled_at: Timestamp | None
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410; `failing`: every attempt of five days failed"
    )
    failing_since: Timestamp | None = Field(
        description="the first failure since the last success, without two days of silence in "
        "between; disabled five days later"
    )
    last_failed_at: Timestamp | None = Field(default=None, exclude=True)

    inline_secrets: Secrets | None = Field(exclude=True)
    """In plain text within the endpoint's row; None if they lie in a row of their own."""
    secrets_expire_at: Timestamp | None = Field(default=None, exclude=True)
    """When the last old secret in a row of its own expires."""

    @computed_field(description="until then, webhooks are signed with the old secret too")  # type: ignore[prop-decorator]
    @property
    def old_secret_expires_at(self) -> Timestamp | None:
        inline = self.inline_secrets
        return self.secrets_expire_at if inline is None else inline.old_expire_at

    def wants(self, event: EventType) -> bool:
        """Return whether it subscribes to this type. No endpoint receives `*.created`."""
        if event.value not in set(Subscription):
            return False
        return bool({Subscription.EVERYTHING, Subscription(event.value)} & set(self.events))

    def with_secrets_inline(self, secrets: Secrets) -> "Endpoint":
        """Return a copy whose row holds its secrets, in plain text."""
        return self.model_copy(update={"inline_secrets": secrets, "secrets_expire_at": None})

    def with_secrets_apart(self, secrets: Secrets) -> "Endpoint":
        """Return a copy whose secrets lie in a row of their own."""
        apart = {"inline_secrets": None, "secrets_expire_at": secrets.old_expire_at}
        return self.model_copy(update=apart)

    def disabled(self, reason: DisabledReason, now: datetime) -> "Endpoint":
        return self.model_copy(
            update={"enabled": False, "disabled_at": now, "disabled_reason": reason}
        )

    def enabled_again(self) -> "Endpoint":
        """Return an enabled copy with its failures reset."""
        fresh = {"disabled_at": None, "disabled_reason": None}
        return self.model_copy(update={"enabled": True} | fresh).without_failures()

    def without_failures(self) -> "Endpoint":
        return self.model_copy(update={"failing_since": None, "last_failed_at": None})


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class FailureReason(StrEnum):
    EXHAUSTED = "exhausted"
    """The last attempt failed."""
    GONE = "gone"
    ENDPOINT_DISABLED = "endpoint_disabled"
    ENDPOINT_DELETED = "endpoint_deleted"


class Attempt(Schema):
    """One POST. Until its result is known, or if its worker was killed, only `at` is set."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    at: Timestamp
    status: int | None = Field(
        default=None, description="the HTTP status of the answer, if one was received"
    )
    latency_ms: int | None = None
    response: str | None = Field(default=None, description="the first 2 KiB of the answer's body")
    error: str | None = Field(
        default=None,
        description="why there is no complete answer: `url_refused`, `address_refused`, `dns`, "
        "`connection`, `tls`, `timeout` or `protocol`; ignore `status` then",
    )
    detail: str | None = Field(default=None, description="a short explanation of the error")


class DeliveryKey(NamedTuple):
    """The payment, event and endpoint of a delivery.

    `payment_id` is None for an event of the endpoint itself.
    """

    payment_id: str | None
    event_id: str
    endpoint_id: str

    @property
    def delivery_id(self) -> str:
        parts = (self.payment_id or "", self.event_id, self.endpoint_id)
        return "DLV-" + "".join(part.partition("-")[2] for part in parts)


def delivery_key(delivery_id: str) -> DeliveryKey | None:
    """Parse the id of a delivery; None if it is not one."""
    found = DELIVERY_ID.fullmatch(delivery_id)
    if found is None:
        return None
    payment, event, endpoint = found.group("payment", "event", "endpoint")
    return DeliveryKey(payment and f"PAY-{payment}", f"EVT-{event}", f"EP-{endpoint}")


class Delivery(Schema):
    """The delivery of one event to one endpoint. Each attempt sends `event_id` as `webhook-id`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: str = Field(pattern=f"^DLV-({ULID_PATTERN}){{2,3}}$")
    endpoint_id: str
    payment_id: str | None
    event_id: str
    event_type: EventType | EndpointEvent
    status: DeliveryStatus
    failure_reason: FailureReason | None
    created_at: Timestamp
    next_attempt_at: Timestamp | None = Field(
        description="the earliest time of the next attempt; during an attempt, when its lease ends"
    )
    attempts: list[Attempt] = Field(description="oldest first")
    payload: str = Field(description="the body that is sent")

    attempts_before: int = Field(exclude=True, description="attempts made before its last replay")

    @classmethod
    def of(
        cls,
        key: DeliveryKey,
        event_type: EventType | EndpointEvent,
        payload: str,
        now: datetime,
        *,
        is_enabled: bool,
    ) -> "Delivery":
        """Return a new delivery: due at once, or failed if its endpoint is not enabled."""
        new = cls(
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
        return new if is_enabled else new.not_sent(FailureReason.ENDPOINT_DISABLED)

    def delivered(self, attempt: Attempt) -> "Delivery":
        return self._ended(DeliveryStatus.DELIVERED, None, [*self.attempts[:-1], attempt])

    def failed(self, attempt: Attempt, reason: FailureReason) -> "Delivery":
        return self._ended(DeliveryStatus.FAILED, reason, [*self.attempts[:-1], attempt])

    def not_sent(self, reason: FailureReason) -> "Delivery":
        """Return a failed copy without the attempt that was begun: nothing was sent."""
        return self._ended(DeliveryStatus.FAILED, reason, self.attempts[:-1])

    def given_back(self, now: datetime) -> "Delivery":
        """Return a copy that is due now, without the attempt that was begun: nothing was sent."""
        return self.model_copy(update={"attempts": self.attempts[:-1], "next_attempt_at": now})

    def reschedule(
        self, attempt: Attempt, now: datetime, *, jitter: float, retry_after: timedelta | None
    ) -> "Delivery":
        """Return a copy that is due for the next attempt, or failed after the last one."""
        made = len(self.attempts) - self.attempts_before
        delay = retry_schedule.delay_after(made, jitter=jitter, retry_after=retry_after)
        if delay is None:
            return self.failed(attempt, FailureReason.EXHAUSTED)
        attempts = [*self.attempts[:-1], attempt]
        return self.model_copy(update={"attempts": attempts, "next_attempt_at": now + delay})

    def replayed(self, now: datetime) -> "Delivery":
        """Return a copy that is due at once, with ten new attempts.

        Raises Conflict during an attempt.
        """
        is_in_progress = bool(self.attempts) and self.attempts[-1].latency_ms is None
        if is_in_progress and self.next_attempt_at is not None and now < self.next_attempt_at:
            raise Conflict("An attempt is in progress; wait for its result.")
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


class NewEndpoint(Endpoint):
    """An endpoint with its new `secret`, which is shown only once."""

    secret: str


class EndpointList(Schema):
    """Every webhook endpoint, oldest first."""

    webhook_endpoints: list[Endpoint]


class DeliveryList(Schema):
    """Deliveries of a payment, newest first; `next_cursor` is null on the last page."""

    deliveries: list[Delivery]
    next_cursor: str | None


class DeliveryPage(Schema):
    """Deliveries, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    deliveries: list[Delivery]
    next_cursor: str | None
    count: int


class Replayed(Schema):
    """The number of deliveries replayed. If there are more, call again from `next_since`."""

    model_config = ConfigDict(frozen=True)

    replayed: int
    has_more: bool
    next_since: Timestamp | None = Field(description="null when there are no more")
