"""The delivery worker: leases a due delivery, sends it, and records the result.

Guarantee: each delivery continues until it is delivered or fails visibly, whatever happens to its
messages and workers. A message may be processed at any time and any number of times: the worker
makes an attempt only if it is due.

    message ──▶ lease ──▶ endpoint as it is now ──▶ POST ──▶ record ──▶ message for the next
                 │           └── disabled or deleted: failed     │      attempt, if SQS can delay
                 │                                               │      it so long; or the sweeper
                 └── not due: nothing         410, or five days of failures only: disabled

If the endpoint cannot be read or KMS cannot decrypt its secrets, the worker gives the lease back:
nothing was sent, and no attempt is counted.

The lease is longer than a worker may run. If a worker is killed, the next attempt begins only after
the killed one must have ended.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from chalicelib.aws.dynamodb import ConditionFailed
from chalicelib.aws.kms import Key
from chalicelib.aws.sqs import MAX_DELAY, Queue
from chalicelib.errors import NotFound, Unavailable
from chalicelib.messages import Deliver, enqueue
from chalicelib.telemetry import count, log
from chalicelib.values import SYSTEM, new_id
from chalicelib.webhooks import audited, retry_schedule, signing
from chalicelib.webhooks.http_client import MAX_RESPONSE_BYTES, PostResult
from chalicelib.webhooks.models import (
    Attempt,
    Delivery,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    FailureReason,
)
from chalicelib.webhooks.repository import LeaseLost, NotDueYet, WebhookRepository

_EARLY: Final = timedelta(seconds=10)

Post = Callable[[str, bytes, Mapping[str, str]], PostResult]
"""Posts a body with headers to a URL, and returns the result by a deadline."""


@dataclass(frozen=True)
class DeliveryWorker:
    """The delivery worker of one stage."""

    stage: str
    repository: WebhookRepository
    queue: Queue
    secrets_key: Key
    post: Post
    clock: Callable[[], datetime]
    lease: timedelta
    """Longer than a worker may run."""
    jitter: Callable[[], float] = random.random

    def deliver(self, delivery_id: str) -> None:
        """Make an attempt if one is due. Raises Conflict or Unavailable: call again then."""
        began = self.clock()
        try:
            leased = self.repository.lease(delivery_id, began, began + self.lease)
        except NotDueYet as early:
            if early.within <= _EARLY:  # a message's delay and our clock are not that exact
                self._enqueue(delivery_id, early.within)
            return
        if leased is None:
            return
        try:
            endpoint = self._endpoint(leased)
            reason = _reason_not_to_send(leased, endpoint)
            secrets = self._secrets(endpoint) if endpoint is not None and reason is None else []
        except Unavailable:
            self._record(leased, leased.given_back(self.clock()))
            raise
        if reason is not None or endpoint is None:
            self._record(leased, leased.not_sent(reason or FailureReason.ENDPOINT_DELETED))
            return
        result = self._post(leased, endpoint, secrets)
        attempt = attempted(began, result)
        if result.is_delivered:
            self._record(leased, leased.delivered(attempt))
            self.repository.note_success(endpoint)
        elif result.is_gone:
            self._record(leased, leased.failed(attempt, FailureReason.GONE))
            self._disable(endpoint, DisabledReason.GONE)
        else:
            self._reschedule(leased, endpoint, attempt, result.retry_after_seconds)

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        try:
            return self.repository.get(delivery.endpoint_id)
        except NotFound:
            return None

    def _secrets(self, endpoint: Endpoint) -> list[str]:
        """Return the secrets that sign, newest first. Raises Unavailable."""
        now = self.clock()
        secrets = endpoint.inline_secrets
        if secrets is None:
            encrypted = self.repository.find_secrets(endpoint.id)
            if encrypted is None:
                raise Unavailable("The secrets have just moved, or their endpoint was deleted.")
            secrets = signing.decrypted_secrets(
                self.secrets_key, self.stage, endpoint.id, encrypted.still_signing(now)
            )
        signers = secrets.still_signing(now)
        return [signers.current, *(old.secret for old in signers.old)]

    def _post(self, delivery: Delivery, endpoint: Endpoint, secrets: Sequence[str]) -> PostResult:
        body = delivery.payload.encode()
        headers = signing.headers(delivery.event_id, self.clock(), body, secrets)
        return self.post(endpoint.url, body, headers)

    def _reschedule(
        self, leased: Delivery, endpoint: Endpoint, attempt: Attempt, retry_after: int | None
    ) -> None:
        now = self.clock()
        after = leased.reschedule(
            attempt,
            now,
            jitter=self.jitter(),
            retry_after=None if retry_after is None else timedelta(seconds=retry_after),
        )
        self._record(leased, after)
        if after.next_attempt_at is not None:
            self._enqueue(after.id, after.next_attempt_at - now)
        noted = self.repository.note_failure(endpoint, now)
        if noted is not None and retry_schedule.should_disable(noted.failing_since, now):
            self._disable(noted, DisabledReason.FAILING)

    def _record(self, leased: Delivery, after: Delivery) -> None:
        try:
            self.repository.record(leased, after)
        except LeaseLost:
            # The attempt outlasted its lease: the worker that holds the lease now continues.
            log("lease_lost", delivery_id=leased.id)
            return
        made = len(after.attempts) - after.attempts_before
        log("delivery_tried", delivery_id=after.id, status=after.status, attempts=made)
        if after.status is DeliveryStatus.FAILED:
            count(self.stage, DeliveriesFailed=1)

    def _enqueue(self, delivery_id: str, delay: timedelta) -> None:
        """Retries due within 15 minutes are enqueued with a delay; the sweeper finds the others."""
        if delay <= MAX_DELAY:
            delay_seconds = ceil(delay.total_seconds())
            enqueue(
                self.queue, [Deliver(delivery_id)], stage=self.stage, delay_seconds=delay_seconds
            )

    def _disable(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        """Disable the endpoint. No-op if it is already disabled."""
        now = self.clock()
        try:
            disabled = endpoint.disabled(reason, now)
            event = audited.changed(endpoint, disabled, SYSTEM, now)
            if event is None:
                return
            self.repository.disable(endpoint, disabled, new_id("EVT", now), event)
        except ConditionFailed:  # deleted, disabled or changed meanwhile
            return
        log("endpoint_disabled", endpoint_id=endpoint.id, reason=reason)
        count(self.stage, EndpointsDisabled=1)


def attempted(at: datetime, result: PostResult) -> Attempt:
    """Return the attempt to store."""
    return Attempt(
        at=at,
        status=result.status,
        latency_ms=result.latency_ms,
        response=printable(result.response),
        error=result.error,
        detail=result.detail,
    )


def printable(text: str) -> str:
    """Return `text` to store and show: without control characters, at most 2 KiB."""
    clean = "".join(
        one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text
    )
    return clean.encode()[:MAX_RESPONSE_BYTES].decode(errors="ignore")


def _reason_not_to_send(leased: Delivery, endpoint: Endpoint | None) -> FailureReason | None:
    if endpoint is None:
        return FailureReason.ENDPOINT_DELETED
    if not endpoint.enabled:
        return FailureReason.ENDPOINT_DISABLED
    # The schedule ends a delivery sooner, unless its workers are killed repeatedly.
    if len(leased.attempts) - leased.attempts_before > retry_schedule.MAX_ATTEMPTS:
        return FailureReason.EXHAUSTED
    return None
