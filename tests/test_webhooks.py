"""Endpoints and deliveries, on moto and on AWS's own DynamoDB Local, by a clock that the test sets.

The merchant is told what to answer; that POSTs reach one, and how, is tests/test_webhook_sender.py.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from moto import mock_aws
from standardwebhooks import Webhook

from bench.meter import size_bytes
from chalicelib import exact_json, webhook_schedule
from chalicelib.commands import (
    CreateEndpoint,
    ListDeliveries,
    ReplayFailed,
    SimulateReturn,
    UpdateEndpoint,
)
from chalicelib.errors import (
    Conflict,
    EndpointDisabled,
    EndpointLimitReached,
    InvalidCursor,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from chalicelib.model import EventType, Payment, new_id
from chalicelib.payments import Payments
from chalicelib.queue_jobs import Deliver, Job
from chalicelib.refunds import Refunds
from chalicelib.store import PaymentMoved
from chalicelib.sweeper import Sweeper
from chalicelib.tables import Table, encode
from chalicelib.webhook_delivery import Courier, shown
from chalicelib.webhook_model import (
    MAX_ENDPOINTS,
    Attempt,
    Delivery,
    DeliveryKey,
    DeliveryStatus,
    DisabledReason,
    Endpoint,
    FailureReason,
    Subscription,
    delivery_key,
)
from chalicelib.webhook_outbox import CACHE
from chalicelib.webhook_sender import Attempt as Answer
from chalicelib.webhook_sender import SendError
from chalicelib.webhook_store import (
    DeliveryMoved,
    EndpointMoved,
    WebhookStore,
    delivery_item,
)
from chalicelib.webhooks import Webhooks
from tests.conftest import (
    SESSION,
    Clock,
    KeptQueue,
    command,
    courier_on,
    new_store,
    payments_on,
    refund_command,
    refunds_beside,
)

URL = "https://merchant.example/webhooks"
OK = Answer(200, 12, "ok", None, None, None)
BUSY = Answer(503, 12, "busy", None, None, None)
GONE = Answer(410, 12, "gone", None, None, None)
SILENT = Answer(None, 15_000, "", None, SendError.TIMEOUT, "not done in 15 s")
UNKNOWN = "01M82Y8T27997E9EYD0G6SK6MT"


@dataclass
class Merchant:
    """Answers as it is told, and keeps what it got."""

    answer: Answer = OK
    got: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.got.append((url, body, headers))
        return self.answer

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, _, headers in self.got]


@dataclass(frozen=True)
class Desk:
    """All that a company has to do with webhooks, on one table."""

    payments: Payments
    refunds: Refunds
    webhooks: Webhooks
    store: WebhookStore
    courier: Courier
    sweeper: Sweeper
    merchant: Merchant
    queue: KeptQueue
    clock: Clock

    def endpoint(self, **fields: Any) -> Endpoint:
        return self.webhooks.create(CreateEndpoint.model_validate({"url": URL} | fields))

    def paid(self, wish: str = "completed", **metadata: str) -> Payment:
        request = command(metadata={"simulate": wish} | metadata)
        payment_id = self.payments.create(request, actor="test").payment_id
        self.payments.settle(payment_id)
        return self.payments.get(payment_id)

    def told(self) -> Delivery:
        """A delivery of a new payment, to the one endpoint that there is."""
        (delivery,) = self.store.of_payment(self.paid().id)
        return delivery

    def deliver(self, delivery: Delivery) -> Delivery:
        """A hint of it comes; returns what it is then."""
        self.courier.deliver(delivery.id)
        return self.store.get_delivery(delivery.id)

    def when_due(self, delivery: Delivery) -> Delivery:
        """The same, once its time has come."""
        now = self.store.get_delivery(delivery.id)
        assert now.next_attempt_at is not None
        self.clock.now = max(self.clock.now, now.next_attempt_at)
        return self.deliver(now)


def on(dynamodb: Any, clock: Clock) -> Desk:
    payments = payments_on(new_store(dynamodb), clock)
    outbox = payments.outbox
    assert isinstance(outbox.queue, KeptQueue)
    merchant = Merchant()
    return Desk(
        payments=payments,
        refunds=refunds_beside(payments),
        webhooks=Webhooks(outbox.store, outbox, allows_private=False, clock=clock),
        store=outbox.store,
        courier=courier_on(outbox.store, outbox.queue, clock, merchant),
        sweeper=Sweeper(
            stage="test",
            store=payments.store,
            queue=payments.queue,
            webhooks=outbox.store,
            deliveries=outbox.queue,
            unit=timedelta(minutes=1),
        ),
        merchant=merchant,
        queue=outbox.queue,
        clock=clock,
    )


@pytest.fixture(params=["moto", "dynamodb-local"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    if request.param == "moto":
        with mock_aws():
            yield on(SESSION.client("dynamodb"), Clock())
    else:
        url = request.getfixturevalue("dynamodb_local_url")
        client = SESSION.client("dynamodb", endpoint_url=url)
        yield on(client, Clock())
        client.close()


one_engine = pytest.mark.parametrize("desk", ["moto"], indirect=True)
"""For what is about the clock, and asks nothing of storage that the others do not ask of both."""


# Endpoints


def test_all_events_can_be_chosen_but_that_something_was_created() -> None:
    created = {EventType.PAYMENT_CREATED, EventType.REFUND_CREATED}
    assert {one.value for one in Subscription} == {"*", *(set(EventType) - created)}


def test_an_endpoint_comes_back_as_it_went_in_and_is_shown_without_its_secret(desk: Desk) -> None:
    made = desk.endpoint(description="Café ☕", events=["refund.failed", "payment.completed"])
    assert desk.store.get(made.id) == made
    assert desk.store.all() == [made]
    assert made.events == ["payment.completed", "refund.failed"]
    assert made.secret not in exact_json.dumps(made.model_dump())
    assert made.secret not in str(made.model_dump())


def test_an_eleventh_endpoint_is_refused_until_one_is_deleted(desk: Desk) -> None:
    made = [desk.endpoint() for _ in range(MAX_ENDPOINTS)]
    with pytest.raises(EndpointLimitReached):
        desk.endpoint()
    desk.webhooks.delete(made[0].id)
    with pytest.raises(NotFound):  # and is not counted off again
        desk.webhooks.delete(made[0].id)
    desk.endpoint()
    with pytest.raises(EndpointLimitReached):
        desk.endpoint()
    assert len(desk.store.all()) == MAX_ENDPOINTS


@one_engine
@pytest.mark.parametrize("endpoint_id", ["", "EP-", f"EP-{UNKNOWN}", "../x", "E" * 3000])
def test_what_is_no_endpoint_is_not_found(desk: Desk, endpoint_id: str) -> None:
    for ask in (desk.store.get, desk.webhooks.delete, desk.webhooks.rotate, desk.webhooks.test):
        with pytest.raises(NotFound):
            ask(endpoint_id)
    with pytest.raises(NotFound):
        desk.webhooks.update(endpoint_id, UpdateEndpoint())


@one_engine
@pytest.mark.parametrize(
    "url", ["http://merchant.example", "https://127.0.0.1/", "https://merchant.example:22/", "x"]
)
def test_a_url_that_is_refused_says_why_by_its_field(desk: Desk, url: str) -> None:
    made = desk.endpoint()
    with pytest.raises(ValidationFailed) as refused:
        desk.endpoint(url=url)
    with pytest.raises(ValidationFailed) as refused_too:
        desk.webhooks.update(made.id, UpdateEndpoint(url=url))
    assert refused.value.errors == refused_too.value.errors
    assert {error.field for error in refused.value.errors} == {"url"}
    assert desk.store.all() == [made]


def test_an_update_changes_what_it_names_and_leaves_the_rest(desk: Desk) -> None:
    made = desk.endpoint(description="the first")
    other = "https://other.example/hooks"
    after = desk.webhooks.update(made.id, UpdateEndpoint(url=other))
    assert (after.url, after.description, after.secret) == (other, "the first", made.secret)
    assert desk.webhooks.update(made.id, UpdateEndpoint(description=None)).description is None
    off = desk.webhooks.update(made.id, UpdateEndpoint(enabled=False))
    assert (off.enabled, off.disabled_reason) == (False, DisabledReason.REQUESTED)
    on_again = desk.webhooks.update(made.id, UpdateEndpoint(enabled=True))
    assert (on_again.enabled, on_again.disabled_at, on_again.disabled_reason) == (True, None, None)
    assert desk.store.get(made.id) == on_again


def test_a_rotated_secret_signs_along_for_24_hours(desk: Desk) -> None:
    made = desk.endpoint()
    after = desk.webhooks.rotate(made.id)
    assert desk.store.get(made.id) == after
    assert after.old_secret_expires_at == after.updated_at + timedelta(hours=24)
    both = [after.secret, made.secret]
    assert after.secrets(desk.clock.now + timedelta(hours=23, minutes=59)) == both
    assert after.secrets(desk.clock.now + timedelta(hours=24)) == [after.secret]


@one_engine
def test_no_rotation_ends_an_old_secret_early_so_a_fifth_in_a_day_is_refused(desk: Desk) -> None:
    made = desk.endpoint()
    secrets = [made.secret, *(desk.webhooks.rotate(made.id).secret for _ in range(4))]
    assert desk.store.get(made.id).secrets(desk.clock.now) == secrets[::-1]
    with pytest.raises(Conflict):
        desk.webhooks.rotate(made.id)
    desk.clock.advance(hours=24)
    desk.webhooks.rotate(made.id)


def test_of_two_rotations_at_once_neither_loses_the_secret_that_the_other_showed(
    desk: Desk,
) -> None:
    made = desk.endpoint()
    first = made.rotated("whsec_Zmlyc3Q=", desk.clock())
    desk.store.change(made, first)
    with pytest.raises(EndpointMoved) as moved:
        desk.store.change(made, made.rotated("whsec_c2Vjb25k", desk.clock()))
    assert moved.value.current == first


# Which deliveries there are


def test_an_outcome_brings_a_delivery_for_each_endpoint_that_wants_it(desk: Desk) -> None:
    everything = desk.endpoint()
    failures = desk.endpoint(events=["payment.failed"])
    off = desk.endpoint()
    desk.webhooks.update(off.id, UpdateEndpoint(enabled=False))
    completed, failed = desk.paid(), desk.paid("failed:account_closed")
    (one,) = desk.store.of_payment(completed.id)
    assert (one.endpoint_id, one.event_type) == (everything.id, "payment.completed")
    told = {delivery.endpoint_id for delivery in desk.store.of_payment(failed.id)}
    assert told == {everything.id, failures.id}
    assert {job.delivery_id for job in desk.queue.jobs if isinstance(job, Deliver)} >= {one.id}


def test_what_is_sent_is_what_get_shows_at_that_moment(desk: Desk) -> None:
    desk.endpoint()
    payment = desk.paid(simulate_refund="completed")
    created = desk.refunds.create(payment.id, refund_command(amount="2.50"), actor="test")
    desk.refunds.settle(payment.id, created.refund_id)
    refunded, completed = desk.store.of_payment(payment.id)
    shown_then = exact_json.dumps(payment.model_dump())
    events = {event.id: event for event in desk.payments.store.story(payment.id)}
    told = events[completed.event_id]
    timestamp = told.model_dump()["created_at"]
    assert completed.payload == (
        f'{{"type":"payment.completed","timestamp":"{timestamp}","data":{shown_then}}}'
    )
    assert '"amount":12.50' in completed.payload
    refund = desk.payments.store.get_refund(payment.id, created.refund_id)
    assert json.loads(refunded.payload)["data"] == json.loads(exact_json.dumps(refund.model_dump()))


@one_engine
def test_that_something_was_created_is_sent_to_nobody(desk: Desk) -> None:
    desk.endpoint()
    payment = desk.paid("pending")
    assert desk.store.of_payment(payment.id) == []


@one_engine
def test_a_cancel_and_a_banks_return_are_told_too(desk: Desk) -> None:
    desk.endpoint()
    returned = desk.paid()
    desk.payments.give_back(returned.id, SimulateReturn(), actor="test")
    assert [one.event_type for one in desk.store.of_payment(returned.id)] == [
        "payment.returned",
        "payment.completed",
    ]
    payment_id = desk.payments.create(command(), actor="test").payment_id
    desk.payments.cancel(payment_id, actor="test")
    (told,) = desk.store.of_payment(payment_id)
    assert told.event_type == "payment.canceled"


@one_engine
def test_what_is_created_after_an_endpoint_reaches_it_however_lately_others_were_read(
    desk: Desk,
) -> None:
    desk.paid()  # now the process knows that there are no endpoints
    desk.endpoint()
    assert len(desk.store.of_payment(desk.paid().id)) == 1


def test_an_outcome_that_another_worker_was_faster_with_brings_no_delivery(desk: Desk) -> None:
    desk.endpoint()
    payment_id = desk.payments.create(command(), actor="test").payment_id
    claimed = desk.payments.store.claim(payment_id, desk.clock())
    change = claimed.complete(desk.clock(), actor="system")
    again = claimed.complete(desk.clock(), actor="system")
    for one in (change, again):
        deliveries = desk.payments.outbox.deliveries(one, created=claimed.created_at)
        with suppress(PaymentMoved):
            desk.payments.store.change(claimed, one, deliveries)
    (told,) = desk.store.of_payment(payment_id)
    assert told.event_id == change.event.id


@one_engine
def test_what_is_known_of_the_endpoints_is_used_for_seconds_and_no_longer(desk: Desk) -> None:
    created = [desk.payments.create(command(), actor="test").payment_id for _ in range(3)]
    desk.payments.settle(created[0])  # now the process knows that there are no endpoints
    desk.endpoint()
    desk.payments.settle(created[1])
    desk.clock.advance(seconds=CACHE.total_seconds())
    desk.payments.settle(created[2])
    assert [len(desk.store.of_payment(payment_id)) for payment_id in created] == [0, 0, 1]


@one_engine
def test_a_delivery_is_hinted_of_when_it_is_committed_and_never_before(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.endpoint()
    found: list[str] = []

    def look(_: Any, jobs: Iterable[Job]) -> int:
        for job in jobs:
            assert isinstance(job, Deliver)
            found.append(desk.store.get_delivery(job.delivery_id).event_type)
        return 1

    monkeypatch.setattr(KeptQueue, "send_all", look)
    payment = desk.paid(simulate_refund="completed")
    created = desk.refunds.create(payment.id, refund_command(amount="1"), actor="test")
    desk.refunds.settle(payment.id, created.refund_id)
    desk.payments.give_back(payment.id, SimulateReturn(), actor="test")
    canceled = desk.payments.create(command(), actor="test").payment_id
    desk.payments.cancel(canceled, actor="test")
    assert found == [
        "payment.completed",
        "refund.completed",
        "payment.returned",
        "payment.canceled",
    ]


@one_engine
def test_of_two_workers_only_the_one_that_commits_hints_of_its_deliveries(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.endpoint()
    wish = {"simulate": "completed"}
    payment_id = desk.payments.create(command(metadata=wish), actor="test").payment_id
    settle = type(desk.payments.processor).settle

    def settle_after_another(processor: Any, claimed: Payment) -> Any:
        monkeypatch.undo()
        desk.payments.settle(claimed.id)
        return settle(processor, claimed)

    monkeypatch.setattr(type(desk.payments.processor), "settle", settle_after_another)
    desk.payments.settle(payment_id)
    (told,) = desk.store.of_payment(payment_id)
    assert desk.queue.jobs == [Deliver(told.id)]


@one_engine
def test_an_outcome_that_was_not_committed_is_hinted_of_to_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.endpoint()
    payment = desk.paid()
    refund_id = desk.refunds.create(payment.id, refund_command(amount="1"), actor="test").refund_id
    waiting, unwanted = (desk.payments.create(command(), actor="test").payment_id for _ in "12")
    desk.queue.jobs.clear()

    def out_of_reach(*_: Any) -> None:
        raise Unavailable("DynamoDB is out of reach; try again.")

    monkeypatch.setattr(Table, "transact", out_of_reach)
    with pytest.raises(Unavailable):
        desk.payments.settle(waiting)
    with pytest.raises(Unavailable):
        desk.payments.cancel(unwanted, actor="test")
    with pytest.raises(Unavailable):
        desk.refunds.settle(payment.id, refund_id)
    assert desk.queue.jobs == []


@one_engine
def test_only_payments_and_refunds_carry_a_status(desk: Desk) -> None:
    desk.endpoint()
    item = delivery_item(desk.told())
    assert "status" not in item
    assert "createdAt" not in item


def test_a_delivery_id_says_where_it_lies() -> None:
    for payment_id in (f"PAY-{UNKNOWN}", None):
        key = DeliveryKey(payment_id, f"EVT-{UNKNOWN}", f"EP-{UNKNOWN}")
        assert delivery_key(key.delivery_id) == key
    for text in ("", "DLV-", f"DLV-{UNKNOWN}", f"DLV-{UNKNOWN * 4}", f"DLV-{UNKNOWN * 2}\n"):
        assert delivery_key(text) is None


# Attempts


def test_a_delivery_is_sent_once_however_often_its_hint_comes(desk: Desk) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()
    for _ in range(3):
        after = desk.deliver(delivery)
    ((url, body, headers),) = desk.merchant.got
    assert (url, body) == (endpoint.url, delivery.payload.encode())
    assert headers["webhook-id"] == delivery.event_id
    assert (after.status, after.next_attempt_at) == (DeliveryStatus.DELIVERED, None)
    (attempt,) = after.attempts
    assert (attempt.status, attempt.latency_ms, attempt.response) == (200, 12, "ok")


@one_engine
def test_while_a_secret_is_rotated_what_is_sent_is_signed_with_both(desk: Desk) -> None:
    made = desk.endpoint()
    delivery = desk.told()
    after = desk.webhooks.rotate(made.id)
    desk.deliver(delivery)
    assert len(desk.merchant.got[0][2]["webhook-signature"].split()) == 2
    assert {made.secret, after.secret} == set(desk.store.get(made.id).secrets(desk.clock.now))


@one_engine
def test_ten_attempts_on_the_schedule_then_it_has_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = BUSY
    for attempt in range(10):
        if attempt:
            desk.clock.now = due(desk, delivery) - timedelta(microseconds=10)
            desk.deliver(delivery)
            assert len(desk.merchant.got) == attempt, "before its time"
        after = desk.when_due(delivery)
        monkeypatch.setattr("standardwebhooks.webhooks.datetime", At(desk.clock))
        _, body, headers = desk.merchant.got[-1]
        Webhook(endpoint.secret).verify(body, dict(headers))
    moments = [attempt.at for attempt in after.attempts]
    waits = [late - early for early, late in itertools.pairwise(moments)]
    for wait, delay in zip(waits, webhook_schedule.DELAYS[1:], strict=True):
        assert abs(wait - delay) < timedelta(seconds=1)
    assert (after.status, after.failure_reason) == (DeliveryStatus.FAILED, FailureReason.EXHAUSTED)
    assert set(desk.merchant.ids) == {delivery.event_id}
    assert desk.deliver(delivery) == after, "no hint wakes it again"
    assert len(desk.merchant.got) == 10


class At:
    """`datetime` as the standard's library reads it, at the test's moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self, tz: Any = None) -> Any:
        return self._clock.now.astimezone(tz)

    def __getattr__(self, name: str) -> Any:
        return getattr(type(self._clock.now), name)


def due(desk: Desk, delivery: Delivery) -> Any:
    moment = desk.store.get_delivery(delivery.id).next_attempt_at
    assert moment is not None
    return moment


@one_engine
def test_early_retries_are_hinted_of_and_later_ones_left_to_the_sweeper(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = SILENT
    for _ in range(4):
        desk.when_due(delivery)
    assert desk.queue.delays == [5, 300], "in seconds; the next are due in 30 minutes and 2 hours"
    desk.queue.jobs.clear()
    desk.clock.now = due(desk, delivery) + timedelta(seconds=59)
    assert desk.sweeper.sweep(desk.clock.now).hinted == 0
    desk.clock.advance(seconds=2)
    assert desk.sweeper.sweep(desk.clock.now).hinted == 1
    assert desk.queue.jobs == [Deliver(delivery.id)]


@one_engine
def test_retry_after_is_honoured(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = replace(BUSY, retry_after_seconds=3600)
    after = desk.deliver(delivery)
    assert after.next_attempt_at is not None
    assert after.next_attempt_at - desk.clock.now > timedelta(minutes=59)


def test_410_disables_the_endpoint_at_once_and_what_waits_fails_visibly(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = desk.endpoint()
    first, second = desk.told(), desk.told()
    desk.merchant.answer = GONE
    assert desk.deliver(first).failure_reason is FailureReason.GONE
    off = desk.store.get(endpoint.id)
    assert (off.enabled, off.disabled_reason) == (False, DisabledReason.GONE)
    after = desk.deliver(second)
    assert (after.failure_reason, after.attempts) == (FailureReason.ENDPOINT_DISABLED, [])
    assert len(desk.merchant.got) == 1
    assert desk.store.of_payment(desk.paid().id) == [], "nothing new is made for it"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["EndpointsDisabled"] for line in lines if "EndpointsDisabled" in line] == [1]
    event = desk.store._table.partition(f"ENDPOINT#{endpoint.id}", "EVENT#", "EVENT$")
    assert [(one["type"], one["data"]["reason"]) for one in event] == [
        ("endpoint.disabled", "gone")
    ]


@one_engine
def test_five_days_of_nothing_but_failures_disable_an_endpoint(desk: Desk) -> None:
    endpoint = desk.endpoint()
    desk.merchant.answer = SILENT
    desk.deliver(desk.told())
    began = desk.store.get(endpoint.id).failing_since
    desk.clock.advance(days=4, hours=23)
    desk.deliver(desk.told())
    assert desk.store.get(endpoint.id).enabled
    assert desk.store.get(endpoint.id).failing_since == began
    desk.clock.advance(hours=1)
    desk.deliver(desk.told())
    assert desk.store.get(endpoint.id).disabled_reason is DisabledReason.FAILING


@one_engine
def test_one_success_starts_the_five_days_anew(desk: Desk) -> None:
    endpoint = desk.endpoint()
    desk.merchant.answer = SILENT
    desk.deliver(desk.told())
    desk.clock.advance(days=4)
    desk.merchant.answer = OK
    desk.deliver(desk.told())
    assert desk.store.get(endpoint.id).failing_since is None
    desk.merchant.answer = SILENT
    desk.clock.advance(days=4)
    desk.deliver(desk.told())
    assert desk.store.get(endpoint.id).enabled


def test_of_two_failures_at_once_the_first_begins_the_five_days(desk: Desk) -> None:
    endpoint = desk.endpoint()
    first = desk.store.note_failure(endpoint, desk.clock())
    desk.store.note_failure(endpoint, desk.clock())
    assert first.failing_since is not None
    assert desk.store.get(endpoint.id).failing_since == first.failing_since


def test_a_success_does_not_forget_a_failure_that_it_has_not_seen(desk: Desk) -> None:
    endpoint = desk.endpoint()
    seen = desk.store.note_failure(endpoint, desk.clock())
    desk.store.note_success(seen)
    later = desk.store.note_failure(endpoint, desk.clock())
    desk.store.note_success(seen)
    assert desk.store.get(endpoint.id).failing_since == later.failing_since


def test_a_failure_of_an_endpoint_that_was_deleted_meanwhile_leaves_no_row(desk: Desk) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()

    def delete_and_refuse(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        desk.webhooks.delete(endpoint.id)
        return BUSY

    replace(desk.courier, send=delete_and_refuse).deliver(delivery.id)
    assert desk.store.all() == []
    with pytest.raises(NotFound):
        desk.store.note_failure(endpoint, desk.clock())
    assert desk.store.all() == []


def test_what_the_old_url_answers_does_not_disable_the_endpoint_at_its_new_one(
    desk: Desk,
) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()

    def move_away(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        desk.webhooks.update(endpoint.id, UpdateEndpoint(url="https://new.example/hooks"))
        return GONE

    replace(desk.courier, send=move_away).deliver(delivery.id)
    assert desk.store.get(endpoint.id).enabled


def test_of_two_that_disable_an_endpoint_one_does_and_one_event_tells_of_it(desk: Desk) -> None:
    endpoint = desk.endpoint()
    now = desk.clock()
    off = endpoint.disabled(DisabledReason.GONE, now)
    desk.store.disable(endpoint, off, new_id("EVT", now))
    with pytest.raises(EndpointMoved):
        desk.store.disable(endpoint, off, new_id("EVT", now))
    events = desk.store._table.partition(f"ENDPOINT#{endpoint.id}", "EVENT#", "EVENT$")
    assert len(events) == 1


@one_engine
def test_an_endpoint_that_is_enabled_again_gets_what_is_still_on_its_way(desk: Desk) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = BUSY
    desk.deliver(delivery)
    for enabled in (False, True):
        desk.webhooks.update(endpoint.id, UpdateEndpoint(enabled=enabled))
    desk.merchant.answer = OK
    assert desk.when_due(delivery).status is DeliveryStatus.DELIVERED


def test_what_is_on_its_way_to_a_deleted_endpoint_fails_visibly(desk: Desk) -> None:
    endpoint = desk.endpoint()
    delivery = desk.told()
    desk.webhooks.delete(endpoint.id)
    assert desk.deliver(delivery).failure_reason is FailureReason.ENDPOINT_DELETED
    assert desk.merchant.got == []


@pytest.mark.parametrize("delivery_id", ["DLV-" + UNKNOWN * 2, "DLV-" + UNKNOWN * 3])
def test_a_hint_of_no_delivery_leaves_no_row(desk: Desk, delivery_id: str) -> None:
    desk.courier.deliver(delivery_id)
    with pytest.raises(NotFound):
        desk.store.get_delivery(delivery_id)


def test_a_worker_that_is_killed_is_followed_by_another_when_its_claim_has_run_out(
    desk: Desk,
) -> None:
    desk.endpoint()
    delivery = desk.told()
    began = desk.clock()
    assert desk.store.claim(delivery.id, began, began + desk.courier.lease)
    desk.clock.advance(seconds=74)
    desk.deliver(delivery)
    assert desk.merchant.got == [], "the first may still be at it"
    desk.clock.advance(seconds=61)
    assert desk.sweeper.sweep(desk.clock.now).hinted == 1
    after = desk.deliver(delivery)
    assert [attempt.is_known for attempt in after.attempts] == [False, True]
    assert after.status is DeliveryStatus.DELIVERED


@one_engine
def test_a_worker_that_took_longer_than_its_claim_undoes_nothing(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()

    def too_slow(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        desk.clock.advance(minutes=10)
        desk.deliver(delivery)
        return BUSY

    replace(desk.courier, send=too_slow).deliver(delivery.id)
    after = desk.store.get_delivery(delivery.id)
    assert after.status is DeliveryStatus.DELIVERED
    assert after.next_attempt_at is None


@one_engine
def test_a_delivery_that_kills_its_workers_ends_after_as_many_attempts(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    for _ in range(webhook_schedule.MAX_ATTEMPTS):
        began = desk.clock()
        assert desk.store.claim(delivery.id, began, began + desk.courier.lease)
        desk.clock.advance(hours=1)
    after = desk.deliver(delivery)
    assert (after.failure_reason, len(after.attempts)) == (FailureReason.EXHAUSTED, 10)
    assert desk.merchant.got == []


@one_engine
def test_a_delivery_stays_small_whatever_merchants_answer_and_however_often(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = Answer(500, 9, "é\x00" * 2048, None, None, None)
    for _ in range(2):
        while delivery.status is DeliveryStatus.PENDING:
            delivery = desk.when_due(delivery)
        if desk.store.get(delivery.endpoint_id).enabled:
            delivery = desk.webhooks.replay(delivery.id)
    while delivery.status is DeliveryStatus.PENDING:
        delivery = desk.when_due(delivery)
    assert len(delivery.attempts) <= 20
    assert size_bytes(encode(delivery_item(delivery))) < 60_000


def test_an_endpoint_that_has_just_answered_is_not_disabled_by_a_failure_from_before(
    desk: Desk,
) -> None:
    endpoint = desk.endpoint()
    first, last = desk.told(), desk.told()
    desk.merchant.answer = BUSY
    desk.deliver(first)
    desk.clock.advance(days=5)

    def slow(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        desk.merchant.answer = OK
        desk.deliver(first)  # by another worker, while this one waits for its answer
        return BUSY

    replace(desk.courier, send=slow).deliver(last.id)
    after = desk.store.get(endpoint.id)
    assert (after.enabled, after.failing_since) == (True, None)


def test_an_answer_is_kept_without_what_cannot_be_shown() -> None:
    assert shown("a\x00b\tc\n") == "a\N{REPLACEMENT CHARACTER}b\tc\n"
    assert len(shown("é" * 3000).encode()) == 2048


# Tests, the log and replays


def test_a_test_event_is_delivered_as_any_other(desk: Desk) -> None:
    endpoint = desk.endpoint(events=["refund.failed"])
    delivery = desk.webhooks.test(endpoint.id)
    assert desk.queue.jobs[-1] == Deliver(delivery.id)
    assert desk.deliver(delivery).status is DeliveryStatus.DELIVERED
    body = json.loads(desk.merchant.got[0][1])
    assert (body["type"], body["data"]["id"]) == ("endpoint.test", endpoint.id)
    assert endpoint.secret not in delivery.payload
    assert endpoint.url not in delivery.payload, "a key that sees deliveries may not see it"
    desk.webhooks.update(endpoint.id, UpdateEndpoint(enabled=False))
    with pytest.raises(EndpointDisabled):
        desk.webhooks.test(endpoint.id)


def test_the_log_is_newest_first_page_by_page_and_by_status(desk: Desk) -> None:
    endpoint, other = desk.endpoint(), desk.endpoint(events=["refund.failed"])
    made = [desk.told() for _ in range(5)]
    desk.deliver(made[1])
    newest_first = [delivery.id for delivery in reversed(made)]
    assert log(desk, endpoint, limit="2") == newest_first
    assert log(desk, endpoint, limit="2", status="delivered") == [made[1].id]
    pending = [delivery_id for delivery_id in newest_first if delivery_id != made[1].id]
    assert log(desk, endpoint, limit="2", status="pending") == pending
    assert log(desk, other) == []
    cursor = desk.webhooks.deliveries(endpoint.id, query(limit="2")).next_cursor
    with pytest.raises(InvalidCursor):
        desk.webhooks.deliveries(other.id, query(cursor=cursor))
    with pytest.raises(NotFound):
        desk.webhooks.deliveries(f"EP-{UNKNOWN}", query())


def query(**fields: Any) -> ListDeliveries:
    return ListDeliveries.model_validate(fields)


def log(desk: Desk, endpoint: Endpoint, **fields: Any) -> list[str]:
    """All of it, following the cursors."""
    found: list[str] = []
    while True:
        page = desk.webhooks.deliveries(endpoint.id, query(**fields))
        found += [delivery.id for delivery in page.deliveries]
        if page.next_cursor is None:
            return found
        fields["cursor"] = page.next_cursor


def test_a_replay_sends_the_same_again_under_the_same_id(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    desk.deliver(delivery)
    again = desk.webhooks.replay(delivery.id)
    assert again.status is DeliveryStatus.PENDING
    assert desk.queue.jobs[-1] == Deliver(delivery.id)
    after = desk.deliver(delivery)
    assert len(after.attempts) == 2
    assert desk.merchant.ids == [delivery.event_id] * 2
    assert desk.merchant.got[0][1] == desk.merchant.got[1][1]


def test_a_replay_brings_a_late_attempt_forward_but_none_that_is_under_way(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    desk.merchant.answer = BUSY
    desk.deliver(delivery)
    desk.webhooks.replay(delivery.id)
    began = desk.clock()
    assert desk.store.claim(delivery.id, began, began + desk.courier.lease)
    with pytest.raises(Conflict):
        desk.webhooks.replay(delivery.id)


def test_a_replay_takes_no_delivery_from_a_worker_that_has_claimed_it_since(desk: Desk) -> None:
    desk.endpoint()
    seen = desk.told()
    began = desk.clock()
    claimed = desk.store.claim(seen.id, began, began + desk.courier.lease)
    with pytest.raises(DeliveryMoved):
        desk.store.replay(seen, seen.replayed(desk.clock()))
    assert desk.store.get_delivery(seen.id) == claimed


def test_a_replay_undoes_no_outcome_that_it_has_not_seen(desk: Desk) -> None:
    desk.endpoint()
    delivery = desk.told()
    began = desk.clock()
    claimed = desk.store.claim(delivery.id, began, began + desk.courier.lease)
    assert claimed is not None
    failed = claimed.not_sent(FailureReason.ENDPOINT_DISABLED)
    desk.store.record(claimed, failed)
    desk.webhooks.replay(delivery.id)
    delivered = desk.deliver(delivery)
    assert delivered.status is DeliveryStatus.DELIVERED
    with pytest.raises(DeliveryMoved):  # both are due at no time: only the state tells
        desk.store.replay(failed, failed.replayed(desk.clock()))
    assert desk.store.get_delivery(delivery.id) == delivered


def test_what_has_failed_since_a_moment_is_replayed_so_many_a_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = desk.endpoint()
    before = desk.told()
    desk.clock.advance(minutes=1)
    since = desk.clock.now
    failed = [desk.told() for _ in range(5)]
    delivered = desk.told()
    desk.deliver(delivered)
    monkeypatch.setattr("chalicelib.webhook_schedule.MAX_ATTEMPTS", 1)
    desk.merchant.answer = BUSY
    for delivery in [before, *failed]:
        assert desk.deliver(delivery).status is DeliveryStatus.FAILED
    monkeypatch.setattr("chalicelib.webhooks.MAX_REPLAYED", 3)
    monkeypatch.setattr("chalicelib.webhooks._PAGE", 2)
    first = desk.webhooks.replay_failed(endpoint.id, ReplayFailed.model_validate(asked(since)))
    assert (first.replayed, first.has_more) == (3, True)
    rest = ReplayFailed.model_validate(asked(first.next_since))
    second = desk.webhooks.replay_failed(endpoint.id, rest)
    assert (second.replayed, second.has_more, second.next_since) == (2, False, None)
    assert len(log(desk, endpoint, status="pending")) == 5
    assert log(desk, endpoint, status="failed") == [before.id]


def asked(since: Any) -> dict[str, str]:
    return {"since": since.isoformat()}


@one_engine
@pytest.mark.parametrize("delivery_id", ["", "DLV-", "DLV-" + UNKNOWN * 3, "x" * 3000])
def test_what_is_no_delivery_cannot_be_replayed(desk: Desk, delivery_id: str) -> None:
    with pytest.raises(NotFound):
        desk.webhooks.replay(delivery_id)


# The sweeper


def test_a_lost_hint_is_sent_by_the_sweeper_when_the_delivery_is_a_minute_late(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.endpoint()

    def refuse(*_: Any) -> None:
        raise Unavailable("The queue does not answer.")

    with monkeypatch.context() as outage:
        outage.setattr(KeptQueue, "send_all", refuse)
        delivery = desk.told()
    assert desk.queue.jobs == []
    for seconds, hints in [(59, 0), (2, 1), (60, 1), (60, 0), (60, 1)]:
        desk.clock.advance(seconds=seconds)
        assert desk.sweeper.sweep(desk.clock.now).hinted == hints
    assert set(desk.queue.jobs) == {Deliver(delivery.id)}
    desk.deliver(delivery)
    desk.clock.advance(minutes=3)
    assert desk.sweeper.sweep(desk.clock.now) == (0, 0)


def test_stuck_deliveries_hide_no_newer_ones_and_are_reported(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.endpoint()
    stuck = {desk.told().id for _ in range(5)}
    desk.clock.advance(days=6)
    late = desk.told()
    desk.queue.jobs.clear()
    desk.clock.advance(seconds=90)
    assert desk.sweeper.sweep(desk.clock.now) == (1, 5)
    assert desk.queue.jobs == [Deliver(late.id)]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (report,) = [line for line in lines if line.get("kind") == "deliveries_stuck"]
    assert set(report["oldest"]) == stuck
    assert desk.sweeper.hint_all(desk.clock.now, timedelta(days=5)) == 5


@one_engine
def test_a_run_of_the_sweeper_takes_so_many_of_a_window_and_the_rest_at_its_next_doubling(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.sweeper.MAX_DUE_HINTED", 1)
    monkeypatch.setattr("chalicelib.webhook_store.DUE_SHARDS", 1)
    desk.endpoint()
    many = [desk.told() for _ in range(3)]
    desk.clock.advance(seconds=61)
    later = desk.told()
    desk.queue.jobs.clear()
    desk.clock.advance(seconds=61)
    assert desk.sweeper.sweep(desk.clock.now).hinted == 2, "one of each window"
    assert desk.queue.jobs == [Deliver(later.id), Deliver(many[0].id)]
    desk.deliver(many[0])
    desk.clock.advance(minutes=2)
    desk.queue.jobs.clear()
    desk.sweeper.sweep(desk.clock.now)
    assert Deliver(many[1].id) in desk.queue.jobs


def test_an_attempt_that_is_not_known_says_when_it_began_and_nothing_else() -> None:
    attempt = Attempt(at=Clock()())
    assert not attempt.is_known
    assert [value for value in attempt.model_dump().values() if value is not None] == [
        attempt.model_dump()["at"]
    ]
