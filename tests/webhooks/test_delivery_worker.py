"""Attempts: when they are made, how they end, and when an endpoint is disabled."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from bench.meter import size_bytes
from chalicelib.aws.dynamodb import encode
from chalicelib.errors import NotFound
from chalicelib.messages import Deliver
from chalicelib.webhooks import retry_schedule
from chalicelib.webhooks.commands import UpdateEndpoint
from chalicelib.webhooks.delivery_worker import printable
from chalicelib.webhooks.http_client import PostError, PostResult
from chalicelib.webhooks.items import delivery_to_item, endpoint_key
from chalicelib.webhooks.models import (
    Delivery,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    FailureReason,
)
from tests.conftest import Clock, stored_deliveries
from tests.webhooks.conftest import BUSY, GONE, OK, UNKNOWN, Gateway

SILENT = PostResult(None, 15_000, "", None, PostError.TIMEOUT, "no complete answer within 15 s")


def test_delivery_is_sent_once_however_often_its_message_arrives(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()
    for _ in range(3):
        after = gateway.deliver(delivery)
    ((url, body, headers),) = gateway.merchant.received
    assert (url, body) == (endpoint.url, delivery.payload.encode())
    assert headers["webhook-id"] == delivery.event_id
    assert (after.status, after.next_attempt_at) == (DeliveryStatus.DELIVERED, None)
    (attempt,) = after.attempts
    assert (attempt.status, attempt.latency_ms, attempt.response) == (200, 12, "ok")


def test_webhook_is_signed_with_both_secrets_during_a_rotation(gateway: Gateway) -> None:
    created = gateway.create_endpoint()
    first = gateway.secrets_of(created.id)
    delivery = gateway.new_delivery()
    after = gateway.webhooks.rotate(created.id)
    gateway.deliver(delivery)
    assert len(gateway.merchant.received[0][2]["webhook-signature"].split()) == 2
    assert gateway.secrets_of(created.id) == [after.secret, *first]


def test_delivery_fails_after_ten_attempts_on_the_schedule(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = BUSY
    for attempt in range(10):
        if attempt:
            gateway.clock.now = due(gateway, delivery) - timedelta(microseconds=10)
            gateway.deliver(delivery)
            assert len(gateway.merchant.received) == attempt, "before its time"
        after = gateway.deliver_when_due(delivery)
        monkeypatch.setattr("standardwebhooks.webhooks.datetime", FrozenDatetime(gateway.clock))
        _, body, headers = gateway.merchant.received[-1]
        Webhook(gateway.secrets_of(endpoint.id)[0]).verify(body, dict(headers))
    moments = [attempt.at for attempt in after.attempts]
    waits = [late - early for early, late in itertools.pairwise(moments)]
    for wait, delay in zip(waits, retry_schedule.DELAYS[1:], strict=True):
        assert abs(wait - delay) < timedelta(seconds=1)
    assert (after.status, after.failure_reason) == (DeliveryStatus.FAILED, FailureReason.EXHAUSTED)
    assert set(gateway.merchant.webhook_ids) == {delivery.event_id}
    assert gateway.deliver(delivery) == after, "no message restarts it"
    assert len(gateway.merchant.received) == 10


class FrozenDatetime:
    """Stands in for `datetime` in the standard's library: `now` is the test's moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self, tz: Any = None) -> Any:
        return self._clock.now.astimezone(tz)

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self._clock.now), name)


def due(gateway: Gateway, delivery: Delivery) -> datetime:
    moment = gateway.repository.get_delivery(delivery.id).next_attempt_at
    assert moment is not None
    return moment


def test_early_retries_are_enqueued_and_late_ones_left_to_the_sweeper(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = SILENT
    for _ in range(4):
        gateway.deliver_when_due(delivery)
    assert gateway.queue.delays_seconds == [5, 300], "the next are due in 30 minutes and 2 hours"
    gateway.queue.messages.clear()
    gateway.clock.now = due(gateway, delivery) + timedelta(seconds=59)
    assert gateway.sweeper.sweep(gateway.clock.now).enqueued == 0
    gateway.clock.advance(seconds=2)
    assert gateway.sweeper.sweep(gateway.clock.now).enqueued == 1
    assert gateway.queue.messages == [Deliver(delivery.id)]


def test_retry_after_is_honoured(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = replace(BUSY, retry_after_seconds=3600)
    after = gateway.deliver(delivery)
    assert after.next_attempt_at is not None
    assert after.next_attempt_at - gateway.clock.now > timedelta(minutes=59)


def test_410_disables_the_endpoint_and_fails_its_pending_deliveries(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = gateway.create_endpoint()
    first, second = gateway.new_delivery(), gateway.new_delivery()
    gateway.merchant.answer = GONE
    assert gateway.deliver(first).failure_reason is FailureReason.GONE
    off = gateway.repository.get(endpoint.id)
    assert (off.enabled, off.disabled_reason) == (False, DisabledReason.GONE)
    after = gateway.deliver(second)
    assert (after.failure_reason, after.attempts) == (FailureReason.ENDPOINT_DISABLED, [])
    assert len(gateway.merchant.received) == 1
    (kept,) = stored_deliveries(gateway.repository, gateway.settled_payment().id)
    assert kept.failure_reason is FailureReason.ENDPOINT_DISABLED
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["EndpointsDisabled"] for line in lines if "EndpointsDisabled" in line] == [1]
    (event,) = gateway.events_of(endpoint)
    assert (event["type"], event["data"]["reason"]) == ("endpoint.disabled", "gone")


def test_five_days_of_failures_only_disable_an_endpoint(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    gateway.merchant.answer = SILENT
    gateway.deliver(gateway.new_delivery())
    began = gateway.repository.get(endpoint.id).failing_since
    for hours in (47, 47, 25):
        gateway.clock.advance(hours=hours)
        gateway.deliver(gateway.new_delivery())
    assert gateway.repository.get(endpoint.id).enabled
    assert gateway.repository.get(endpoint.id).failing_since == began
    gateway.clock.advance(hours=1)
    gateway.deliver(gateway.new_delivery())
    assert gateway.repository.get(endpoint.id).disabled_reason is DisabledReason.FAILING


def test_message_that_is_a_little_early_comes_again(gateway: Gateway) -> None:
    gateway.create_endpoint()
    gateway.merchant.answer = BUSY
    delivery = gateway.deliver(gateway.new_delivery())
    assert delivery.next_attempt_at is not None
    gateway.queue.messages.clear()
    for early, comes_again in [(timedelta(seconds=11), False), (timedelta(seconds=2), True)]:
        gateway.clock.now = delivery.next_attempt_at - early
        gateway.worker.deliver(delivery.id)
        assert gateway.queue.messages == [Deliver(delivery.id)] * comes_again
    assert gateway.queue.delays_seconds[-1] == 2
    assert len(gateway.merchant.received) == 1


def test_one_failure_after_two_days_of_silence_starts_the_five_days_anew(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    gateway.merchant.answer = SILENT
    for _ in range(3):
        gateway.deliver(gateway.new_delivery())
        gateway.clock.advance(days=1)
    gateway.clock.advance(days=5)
    gateway.deliver(gateway.new_delivery())
    assert gateway.repository.get(endpoint.id).enabled
    assert has_just_begun(gateway, endpoint)


def has_just_begun(gateway: Gateway, endpoint: Endpoint) -> bool:
    """Whether the endpoint's streak of failures is a new one."""
    since = gateway.repository.get(endpoint.id).failing_since
    return since is not None and gateway.clock() - since < timedelta(seconds=1)


def test_streak_of_an_older_version_which_noted_no_last_failure_starts_anew(
    gateway: Gateway,
) -> None:
    endpoint = gateway.create_endpoint()
    gateway.merchant.answer = SILENT
    gateway.deliver(gateway.new_delivery())
    table = gateway.repository._table
    table.write(table.update_request(endpoint_key(endpoint.id), remove=["lastFailedAt"]))
    gateway.clock.advance(days=6)
    gateway.deliver(gateway.new_delivery())
    assert has_just_begun(gateway, endpoint)


def test_new_url_starts_without_failures_whatever_the_old_one_still_answers(
    gateway: Gateway,
) -> None:
    endpoint = gateway.create_endpoint()
    gateway.merchant.answer = SILENT
    gateway.deliver(gateway.new_delivery())
    delivery = gateway.new_delivery()

    def move_away(url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        gateway.clock.advance(seconds=1)
        gateway.webhooks.update(endpoint.id, UpdateEndpoint(url="https://new.example/hooks"))
        return BUSY

    replace(gateway.worker, post=move_away).deliver(delivery.id)
    assert gateway.repository.get(endpoint.id).failing_since is None


def test_one_success_restarts_the_five_days(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    gateway.merchant.answer = SILENT
    gateway.deliver(gateway.new_delivery())
    gateway.clock.advance(days=4)
    gateway.merchant.answer = OK
    gateway.deliver(gateway.new_delivery())
    assert gateway.repository.get(endpoint.id).failing_since is None
    gateway.merchant.answer = SILENT
    gateway.clock.advance(days=4)
    gateway.deliver(gateway.new_delivery())
    assert gateway.repository.get(endpoint.id).enabled


def test_failure_of_an_endpoint_deleted_meanwhile_leaves_no_row(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()

    def delete_and_refuse(url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        gateway.webhooks.delete(endpoint.id)
        return BUSY

    replace(gateway.worker, post=delete_and_refuse).deliver(delivery.id)
    assert gateway.repository.all() == []
    assert gateway.repository.note_failure(endpoint, gateway.clock()) is None
    assert gateway.repository.all() == []


def test_410_from_an_old_url_keeps_the_endpoint_at_its_new_url_enabled(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()

    def move_away(url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        gateway.webhooks.update(endpoint.id, UpdateEndpoint(url="https://new.example/hooks"))
        return GONE

    replace(gateway.worker, post=move_away).deliver(delivery.id)
    assert gateway.repository.get(endpoint.id).enabled


def test_endpoint_enabled_again_receives_its_pending_deliveries(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = BUSY
    gateway.deliver(delivery)
    for enabled in (False, True):
        gateway.webhooks.update(endpoint.id, UpdateEndpoint(enabled=enabled))
    gateway.merchant.answer = OK
    assert gateway.deliver_when_due(delivery).status is DeliveryStatus.DELIVERED


def test_pending_delivery_to_a_deleted_endpoint_fails(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.webhooks.delete(endpoint.id)
    assert gateway.deliver(delivery).failure_reason is FailureReason.ENDPOINT_DELETED
    assert gateway.merchant.received == []


@pytest.mark.parametrize("delivery_id", ["DLV-" + UNKNOWN * 2, "DLV-" + UNKNOWN * 3])
def test_message_of_an_unknown_delivery_leaves_no_row(gateway: Gateway, delivery_id: str) -> None:
    gateway.worker.deliver(delivery_id)
    with pytest.raises(NotFound):
        gateway.repository.get_delivery(delivery_id)


def test_another_worker_delivers_once_a_killed_workers_lease_ends(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    began = gateway.clock()
    assert gateway.repository.lease(delivery.id, began, began + gateway.worker.lease)
    gateway.clock.advance(seconds=74)
    gateway.deliver(delivery)
    assert gateway.merchant.received == [], "the first worker may still be sending"
    gateway.clock.advance(seconds=61)
    assert gateway.sweeper.sweep(gateway.clock.now).enqueued == 1
    after = gateway.deliver(delivery)
    assert [attempt.latency_ms is None for attempt in after.attempts] == [True, False]
    assert after.status is DeliveryStatus.DELIVERED


def test_worker_that_outlives_its_lease_overwrites_nothing(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()

    def too_slow(url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        gateway.clock.advance(minutes=10)
        gateway.deliver(delivery)
        return BUSY

    replace(gateway.worker, post=too_slow).deliver(delivery.id)
    after = gateway.repository.get_delivery(delivery.id)
    assert after.status is DeliveryStatus.DELIVERED
    assert after.next_attempt_at is None


def test_delivery_that_kills_its_workers_fails_after_ten_attempts(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    for _ in range(retry_schedule.MAX_ATTEMPTS):
        began = gateway.clock()
        assert gateway.repository.lease(delivery.id, began, began + gateway.worker.lease)
        gateway.clock.advance(hours=1)
    after = gateway.deliver(delivery)
    assert (after.failure_reason, len(after.attempts)) == (FailureReason.EXHAUSTED, 10)
    assert gateway.merchant.received == []


def test_delivery_stays_small_whatever_merchants_answer(gateway: Gateway) -> None:
    gateway.create_endpoint()
    delivery = gateway.new_delivery()
    gateway.merchant.answer = PostResult(500, 9, "é\x00" * 2048, None, None, None)
    for _ in range(2):
        while delivery.status is DeliveryStatus.PENDING:
            delivery = gateway.deliver_when_due(delivery)
        if gateway.repository.get(delivery.endpoint_id).enabled:
            delivery = gateway.webhooks.replay(delivery.id)
    while delivery.status is DeliveryStatus.PENDING:
        delivery = gateway.deliver_when_due(delivery)
    assert len(delivery.attempts) <= 20
    assert size_bytes(encode(delivery_to_item(delivery))) < 60_000


def test_recent_success_outweighs_an_older_attempt_that_fails_late(gateway: Gateway) -> None:
    endpoint = gateway.create_endpoint()
    first, last = gateway.new_delivery(), gateway.new_delivery()
    gateway.merchant.answer = BUSY
    gateway.deliver(first)
    for days in (2, 2):
        gateway.clock.advance(days=days)
        gateway.deliver(gateway.new_delivery())
    gateway.clock.advance(days=1)

    def slow(url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        gateway.merchant.answer = OK
        gateway.deliver(first)  # by another worker, while this one waits for its answer
        return BUSY

    replace(gateway.worker, post=slow).deliver(last.id)
    after = gateway.repository.get(endpoint.id)
    assert after.enabled
    assert has_just_begun(gateway, endpoint)


def test_answer_is_stored_without_control_characters_and_cut_to_2_kib() -> None:
    assert printable("a\x00b\tc\n") == "a\N{REPLACEMENT CHARACTER}b\tc\n"
    assert len(printable("é" * 3000).encode()) == 2048
