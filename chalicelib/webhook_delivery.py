"""Delivers: claims what is due, sends it, and writes down what came of it.

Guarantee: each delivery is sent at least once and goes on until it is delivered or fails visibly,
whatever becomes of its hints and its workers. A hint is done at any time and any number of times,
and makes no attempt but the one that is due:

    hint ──▶ claim ──▶ endpoint as it is now ──▶ POST ──▶ record ──▶ hint of the next attempt,
              │           └── disabled, gone: failed          │      if SQS can wait so long;
              │                                               │      else the sweeper's
              └── not due: nothing        410, or five days of nothing but failures: disabled

The claim is for longer than a worker may run, so an attempt whose worker was killed is followed
by the next one only when it cannot be under way any more.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

from chalicelib import webhook_schedule, webhook_signature
from chalicelib.errors import NotFound, Unavailable
from chalicelib.model import new_id
from chalicelib.queue_jobs import MAX_DELAY, Deliver, Queue
from chalicelib.telemetry import count, log
from chalicelib.webhook_model import (
    Attempt,
    Delivery,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    FailureReason,
)
from chalicelib.webhook_sender import MAX_RESPONSE_BYTES
from chalicelib.webhook_sender import Attempt as Answer
from chalicelib.webhook_store import DeliveryMoved, EndpointMoved, WebhookStore


class Send(Protocol):
    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST, and return what came of it by a deadline."""


@dataclass(frozen=True)
class Courier:
    """The delivery worker of one stage."""

    stage: str
    store: WebhookStore
    queue: Queue
    send: Send
    clock: Callable[[], datetime]
    lease: timedelta
    """How long a claim holds: longer than a worker may run."""
    chance: Callable[[], float] = random.random

    def deliver(self, delivery_id: str) -> None:
        """Make the attempt that is due, if one is. Raises Conflict or Unavailable: call again."""
        began = self.clock()
        claimed = self.store.claim(delivery_id, began, began + self.lease)
        if claimed is None:
            return
        endpoint = self._endpoint(claimed)
        refusal = _refusal(claimed, endpoint)
        if refusal is not None or endpoint is None:
            self._record(claimed, claimed.not_sent(refusal or FailureReason.ENDPOINT_DELETED))
            return
        answer = self._post(claimed, endpoint)
        attempt = attempted(began, answer)
        if answer.is_delivered:
            self._record(claimed, claimed.delivered(attempt))
            self.store.note_success(endpoint)
        elif answer.is_gone:
            self._record(claimed, claimed.failed(attempt, FailureReason.GONE))
            self._disable(endpoint, DisabledReason.GONE)
        else:
            self._fail(claimed, endpoint, attempt, answer.retry_after_seconds)

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        try:
            return self.store.get(delivery.endpoint_id)
        except NotFound:
            return None

    def _post(self, delivery: Delivery, endpoint: Endpoint) -> Answer:
        body = delivery.payload.encode()
        now = self.clock()
        headers = webhook_signature.headers(delivery.event_id, now, body, endpoint.secrets(now))
        return self.send(endpoint.url, body, headers)

    def _fail(
        self, claimed: Delivery, endpoint: Endpoint, attempt: Attempt, retry_after: int | None
    ) -> None:
        now = self.clock()
        after = claimed.put_off(
            attempt,
            now,
            chance=self.chance(),
            retry_after=None if retry_after is None else timedelta(seconds=retry_after),
        )
        self._record(claimed, after)
        if after.next_attempt_at is not None:
            self._hint(after.id, after.next_attempt_at - now)
        if endpoint.failing_since is None:
            try:
                endpoint = self.store.note_failure(endpoint, now)
            except NotFound:  # deleted meanwhile
                return
        if webhook_schedule.is_given_up(endpoint.failing_since, now):
            self._disable(endpoint, DisabledReason.FAILING)

    def _record(self, claimed: Delivery, after: Delivery) -> None:
        try:
            self.store.record(claimed, after)
        except DeliveryMoved:
            # It took longer than its claim: whoever has claimed it since goes on.
            log("delivery_moved", delivery_id=claimed.id)
            return
        made = len(after.attempts) - after.attempts_before
        log("delivery_tried", delivery_id=after.id, status=after.status, attempts=made)
        if after.status is DeliveryStatus.FAILED:
            count(self.stage, DeliveriesFailed=1)

    def _hint(self, delivery_id: str, delay: timedelta) -> None:
        if delay > MAX_DELAY:
            return  # the sweeper sees when its time has come
        try:
            self.queue.send(Deliver(delivery_id), delay_seconds=ceil(delay.total_seconds()))
        except Unavailable as error:
            log("hint_lost", delivery_id=delivery_id, reason=error.detail)
            count(self.stage, HintsLost=1)

    def _disable(self, endpoint: Endpoint, reason: DisabledReason) -> None:
        """Once, whoever of several comes first."""
        now = self.clock()
        try:
            self.store.disable(endpoint, endpoint.disabled(reason, now), new_id("EVT", now))
        except (EndpointMoved, NotFound):
            return
        log("endpoint_disabled", endpoint_id=endpoint.id, reason=reason)
        count(self.stage, EndpointsDisabled=1)


def attempted(at: datetime, answer: Answer) -> Attempt:
    """What is kept of it."""
    return Attempt(
        at=at,
        status=answer.status,
        latency_ms=answer.latency_ms,
        response=shown(answer.response),
        error=answer.error,
        detail=answer.detail,
    )


def shown(text: str) -> str:
    """`text` as it may be stored and shown: without control characters, in at most 2 KiB."""
    clean = "".join(
        one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text
    )
    return clean.encode()[:MAX_RESPONSE_BYTES].decode(errors="ignore")


def _refusal(claimed: Delivery, endpoint: Endpoint | None) -> FailureReason | None:
    """Why it cannot be sent."""
    if endpoint is None:
        return FailureReason.ENDPOINT_DELETED
    if not endpoint.enabled:
        return FailureReason.ENDPOINT_DISABLED
    # The schedule ends it before, unless its workers were killed again and again.
    if len(claimed.attempts) - claimed.attempts_before > webhook_schedule.MAX_ATTEMPTS:
        return FailureReason.EXHAUSTED
    return None
