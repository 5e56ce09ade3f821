"""PayFlow: the routes, the queues' handlers and the sweeper's schedule. No rules in here."""

import gc

# A new process makes much and throws nothing away: it does not look for garbage until all that it
# works with is here (see the end), and then looks no more among that.
gc.disable()

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, CloudWatchEvent, Rate, SQSEvent

from chalicelib import VERSION, api, config, exact_json, listing, openapi, stats, telemetry
from chalicelib.api import Answer, Api, Call, Success
from chalicelib.api_keys import ApiKeys, Issued
from chalicelib.aws import dynamodb_client, logs_client, sqs_client
from chalicelib.commands import (
    CheckHealth,
    CreateApiKey,
    CreateEndpoint,
    CreatePayment,
    CreateRefund,
    ListDeliveries,
    ListPayments,
    ReadLogs,
    ReadStats,
    ReplayFailed,
    RollApiKey,
    SimulateReturn,
    UpdateEndpoint,
)
from chalicelib.errors import (
    Conflict,
    EndpointDisabled,
    EndpointLimitReached,
    Forbidden,
    IdempotencyKeyReused,
    InvalidCursor,
    NotFound,
    PaymentNotCancelable,
    PaymentNotRefundable,
    PaymentNotReturnable,
    RefundExceedsPayment,
    Unauthenticated,
    Unavailable,
)
from chalicelib.model import ApiKey, Event, Payment, Refund, Scope, Timestamp
from chalicelib.payments import Payments
from chalicelib.processor import Simulator
from chalicelib.queue_jobs import (
    BATCH_SIZE,
    Deliver,
    Job,
    Message,
    Queue,
    SettlePayment,
    SettleRefund,
    UnknownJob,
    work_off,
)
from chalicelib.refunds import Refunds
from chalicelib.request_log import Logs, RequestLog
from chalicelib.schema import Schema
from chalicelib.store import Store
from chalicelib.webhook_model import Delivery, Endpoint
from chalicelib.webhook_outbox import Outbox
from chalicelib.webhook_store import WebhookStore
from chalicelib.webhooks import DeliveryPage, Replayed, Webhooks

if TYPE_CHECKING:
    from chalicelib.sweeper import Sweeper
    from chalicelib.webhook_delivery import Courier
    from chalicelib.webhook_sender import Attempt, Sender


def now() -> datetime:
    return datetime.now(UTC)


settings = config.from_environment()
dynamodb, sqs = dynamodb_client(settings.region), sqs_client(settings.region)
store = Store(
    dynamodb,
    payments_table=settings.payments_table,
    idempotency_table=settings.idempotency_table,
)
webhook_store = WebhookStore(dynamodb, payments_table=settings.payments_table)
queue = Queue(sqs, settings.webhook_queue_url)
deliveries_queue = Queue(sqs, settings.deliveries_queue_url)
outbox = Outbox(stage=settings.stage, store=webhook_store, queue=deliveries_queue, clock=now)
payments = Payments(
    stage=settings.stage,
    store=store,
    queue=queue,
    processor=Simulator(),
    outbox=outbox,
    simulation_allowed=settings.simulation_allowed,
    clock=now,
)
refunds = Refunds(
    stage=settings.stage,
    store=store,
    queue=queue,
    processor=Simulator(),
    outbox=outbox,
    clock=now,
)
webhooks = Webhooks(
    store=webhook_store,
    outbox=outbox,
    allows_private=settings.private_webhooks_allowed,
    clock=now,
)
app = Chalice(app_name="payflow")
app.api.cors = api.cors(settings.allowed_origin)
keys = ApiKeys(stage=settings.stage, store=store, is_required=settings.key_required, clock=now)
http = Api(app, keys)
if not settings.key_required:
    telemetry.log("no_key_required", stage=settings.stage)

# What few processes need is imported and made when it is first needed, so that the others start
# without it: an API that waits for a request reads no log yet, and sends no webhook ever.


@functools.cache
def request_log() -> RequestLog:
    return RequestLog(logs_client(settings.region), settings.api_log_group)


@functools.cache
def sender() -> "Sender":
    from chalicelib.webhook_sender import Sender

    return Sender(allows_private=settings.private_webhooks_allowed)


def send(url: str, body: bytes, headers: Mapping[str, str]) -> "Attempt":
    return sender().send(url, body, headers)


@functools.cache
def courier() -> "Courier":
    from chalicelib.webhook_delivery import Courier

    return Courier(
        stage=settings.stage,
        store=webhook_store,
        queue=deliveries_queue,
        send=send,
        clock=now,
        lease=timedelta(seconds=settings.delivery_lease_seconds),
    )


@functools.cache
def unfinished() -> "Sweeper":
    from chalicelib.sweeper import Sweeper

    return Sweeper(
        stage=settings.stage,
        store=store,
        queue=queue,
        webhooks=webhook_store,
        deliveries=deliveries_queue,
        unit=timedelta(seconds=settings.sweep_unit_seconds),
    )


# Views check the content type themselves: Chalice's own refusal is not a problem document.
ANY_TYPE: dict[str, Any] = {"content_types": ["*/*"]}


@app.route("/v1/payments", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Create a payment",
    Success(201, "the payment, processing", Payment, headers=("Location",)),
    Success(200, "the stored answer to this key", Payment, headers=("Idempotent-Replayed",)),
    scope=Scope.WRITE,
    refusals=(Conflict, IdempotencyKeyReused, Unavailable),
    body=CreatePayment,
)
def create_payment(call: Call[CreatePayment]) -> Answer:
    created = payments.create(call.command, actor=call.actor)
    if created.replayed:
        headers = {"Idempotent-Replayed": "true"}
        return Answer(200, created.body, headers, payment_id=created.payment_id)
    headers = {"Location": f"{call.url_path.rstrip('/')}/{created.payment_id}"}
    return Answer(201, created.body, headers, payment_id=created.payment_id)


@app.route("/v1/payments", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List payments, newest first",
    Success(200, "a page", listing.Page),
    scope=Scope.READ,
    refusals=(InvalidCursor, Unavailable),
    query=ListPayments,
)
def list_payments(call: Call[ListPayments]) -> Answer:
    page = listing.list_payments(store, call.command)
    return Answer(200, exact_json.dumps(page.model_dump()))


@app.route("/v1/payments/{payment_id}", methods=["GET"], **ANY_TYPE)
@http.operation(
    "Get a payment",
    Success(200, "the payment", Payment),
    scope=Scope.READ,
    refusals=(NotFound, Unavailable),
)
def get_payment(call: Call[Any]) -> Answer:
    payment = payments.get(call.path["payment_id"])
    return Answer(200, exact_json.dumps(payment.model_dump()), payment_id=payment.id)


@app.route("/v1/payments/{payment_id}/cancel", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Cancel a payment that no worker has taken up yet",
    Success(200, "the payment, canceled", Payment),
    scope=Scope.WRITE,
    refusals=(NotFound, PaymentNotCancelable, Conflict, Unavailable),
)
def cancel_payment(call: Call[Any]) -> Answer:
    payment = payments.cancel(call.path["payment_id"], actor=call.actor)
    return Answer(200, exact_json.dumps(payment.model_dump()), payment_id=payment.id)


@app.route("/v1/payments/{payment_id}/refunds", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Refund a payment, in full or in part",
    Success(201, "the refund, processing", Refund),
    Success(200, "the stored answer to this key", Refund, headers=("Idempotent-Replayed",)),
    scope=Scope.WRITE,
    refusals=(
        NotFound,
        PaymentNotRefundable,
        RefundExceedsPayment,
        IdempotencyKeyReused,
        Conflict,
        Unavailable,
    ),
    body=CreateRefund,
)
def create_refund(call: Call[CreateRefund]) -> Answer:
    payment_id = call.path["payment_id"]
    created = refunds.create(payment_id, call.command, actor=call.actor)
    if created.replayed:
        headers = {"Idempotent-Replayed": "true"}
        return Answer(200, created.body, headers, payment_id=payment_id)
    return Answer(201, created.body, payment_id=payment_id)


class RefundList(Schema):
    """Every refund of a payment, the oldest first."""

    refunds: list[Refund]


@app.route("/v1/payments/{payment_id}/refunds", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List the refunds of a payment, oldest first",
    Success(200, "all of them", RefundList),
    scope=Scope.READ,
    refusals=(NotFound, Unavailable),
)
def list_refunds(call: Call[Any]) -> Answer:
    payment_id = call.path["payment_id"]
    found = RefundList(refunds=store.refunds(payment_id))
    return Answer(200, exact_json.dumps(found.model_dump()), payment_id=payment_id)


class EventList(Schema):
    """The whole story of a payment, oldest first."""

    events: list[Event]


@app.route("/v1/payments/{payment_id}/events", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List what became of a payment, oldest first",
    Success(200, "all of it", EventList),
    scope=Scope.READ,
    refusals=(NotFound, Unavailable),
)
def list_events(call: Call[Any]) -> Answer:
    payment_id = call.path["payment_id"]
    story = EventList(events=store.story(payment_id))
    return Answer(200, exact_json.dumps(story.model_dump(exclude_none=True)), payment_id=payment_id)


if settings.simulation_allowed:

    @app.route("/v1/payments/{payment_id}/simulate_return", methods=["POST"], **ANY_TYPE)
    @http.operation(
        "Have a bank return a completed payment late, where simulation is allowed",
        Success(200, "the payment, returned", Payment),
        scope=Scope.WRITE,
        refusals=(NotFound, PaymentNotReturnable, Conflict, Unavailable),
        body=SimulateReturn,
    )
    def simulate_return(call: Call[SimulateReturn]) -> Answer:
        payment = payments.give_back(call.path["payment_id"], call.command, actor=call.actor)
        return Answer(200, exact_json.dumps(payment.model_dump()), payment_id=payment.id)


class DeliveryList(Schema):
    """The newest deliveries of a payment, newest first."""

    deliveries: list[Delivery]


@app.route("/v1/payments/{payment_id}/deliveries", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List the webhooks that tell of a payment, newest first",
    Success(200, "at most 50", DeliveryList),
    scope=Scope.READ,
    refusals=(NotFound, Unavailable),
)
def list_payment_deliveries(call: Call[Any]) -> Answer:
    payment_id = call.path["payment_id"]
    store.get(payment_id)
    found = DeliveryList(deliveries=webhook_store.of_payment(payment_id))
    return Answer(200, exact_json.dumps(found.model_dump()), payment_id=payment_id)


class NewEndpoint(Endpoint):
    """An endpoint with the secret that it was just given: `secret` is shown this once."""

    secret: str


class EndpointList(Schema):
    """Every endpoint, the oldest first."""

    webhook_endpoints: list[Endpoint]


def with_secret(status: int, endpoint: Endpoint) -> Answer:
    return Answer(status, exact_json.dumps(endpoint.model_dump() | {"secret": endpoint.secret}))


@app.route("/v1/webhook_endpoints", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Create a webhook endpoint",
    Success(201, "the endpoint, with its secret, shown this once", NewEndpoint),
    scope=Scope.ADMIN,
    refusals=(EndpointLimitReached, Conflict, Unavailable),
    body=CreateEndpoint,
)
def create_webhook_endpoint(call: Call[CreateEndpoint]) -> Answer:
    return with_secret(201, webhooks.create(call.command))


@app.route("/v1/webhook_endpoints", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List the webhook endpoints", Success(200, "all of them", EndpointList), scope=Scope.ADMIN
)
def list_webhook_endpoints(_: Call[Any]) -> Answer:
    found = EndpointList(webhook_endpoints=webhook_store.all())
    return Answer(200, exact_json.dumps(found.model_dump()))


@app.route("/v1/webhook_endpoints/{endpoint_id}", methods=["GET"], **ANY_TYPE)
@http.operation(
    "Get a webhook endpoint",
    Success(200, "the endpoint", Endpoint),
    scope=Scope.ADMIN,
    refusals=(NotFound,),
)
def get_webhook_endpoint(call: Call[Any]) -> Answer:
    endpoint = webhook_store.get(call.path["endpoint_id"])
    return Answer(200, exact_json.dumps(endpoint.model_dump()))


@app.route("/v1/webhook_endpoints/{endpoint_id}", methods=["PATCH"], **ANY_TYPE)
@http.operation(
    "Change a webhook endpoint",
    Success(200, "the endpoint", Endpoint),
    scope=Scope.ADMIN,
    refusals=(NotFound, Conflict),
    body=UpdateEndpoint,
)
def update_webhook_endpoint(call: Call[UpdateEndpoint]) -> Answer:
    endpoint = webhooks.update(call.path["endpoint_id"], call.command)
    return Answer(200, exact_json.dumps(endpoint.model_dump()))


@app.route("/v1/webhook_endpoints/{endpoint_id}", methods=["DELETE"], **ANY_TYPE)
@http.operation(
    "Delete a webhook endpoint",
    Success(204, "it is sent nothing any more", None),
    scope=Scope.ADMIN,
    refusals=(NotFound, Conflict),
)
def delete_webhook_endpoint(call: Call[Any]) -> Answer:
    webhooks.delete(call.path["endpoint_id"])
    return Answer(204, "")


@app.route("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Give a webhook endpoint a new secret; the old one signs along for 24 hours",
    Success(200, "the endpoint, with its new secret, shown this once", NewEndpoint),
    scope=Scope.ADMIN,
    refusals=(NotFound, Conflict),
)
def rotate_webhook_secret(call: Call[Any]) -> Answer:
    return with_secret(200, webhooks.rotate(call.path["endpoint_id"]))


@app.route("/v1/webhook_endpoints/{endpoint_id}/test", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Send a webhook endpoint a test event",
    Success(201, "its delivery, on its way", Delivery),
    scope=Scope.ADMIN,
    refusals=(NotFound, EndpointDisabled),
)
def test_webhook_endpoint(call: Call[Any]) -> Answer:
    delivery = webhooks.test(call.path["endpoint_id"])
    return Answer(201, exact_json.dumps(delivery.model_dump()))


@app.route("/v1/webhook_endpoints/{endpoint_id}/deliveries", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List what was and is on its way to a webhook endpoint, newest first",
    Success(200, "a page", DeliveryPage),
    scope=Scope.READ,
    refusals=(NotFound, InvalidCursor, Unavailable),
    query=ListDeliveries,
)
def list_webhook_deliveries(call: Call[ListDeliveries]) -> Answer:
    page = webhooks.deliveries(call.path["endpoint_id"], call.command)
    return Answer(200, exact_json.dumps(page.model_dump()))


@app.route("/v1/webhook_endpoints/{endpoint_id}/replay_failed", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Make the failed deliveries of a webhook endpoint again, the oldest first",
    Success(200, "how many are due again: at most 100 a call", Replayed),
    scope=Scope.WRITE,
    refusals=(NotFound, EndpointDisabled, Conflict),
    body=ReplayFailed,
)
def replay_failed_deliveries(call: Call[ReplayFailed]) -> Answer:
    replayed = webhooks.replay_failed(call.path["endpoint_id"], call.command)
    return Answer(200, exact_json.dumps(replayed.model_dump()))


@app.route("/v1/deliveries/{delivery_id}/replay", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Make a delivery again, at once, under the same webhook-id",
    Success(200, "the delivery, on its way", Delivery),
    scope=Scope.WRITE,
    refusals=(NotFound, EndpointDisabled, Conflict),
)
def replay_delivery(call: Call[Any]) -> Answer:
    delivery = webhooks.replay(call.path["delivery_id"])
    return Answer(200, exact_json.dumps(delivery.model_dump()), payment_id=delivery.payment_id)


@app.route("/v1/stats", methods=["GET"], **ANY_TYPE)
@http.operation(
    "Count what was settled, by day, currency, type and status",
    Success(200, "the totals", stats.Stats),
    scope=Scope.READ,
    query=ReadStats,
)
def read_stats(call: Call[ReadStats]) -> Answer:
    return Answer(200, exact_json.dumps(stats.read(store, call.command, now()).model_dump()))


@app.route("/v1/logs", methods=["GET"], **ANY_TYPE)
@http.operation(
    "List the last hour's API requests, newest first",
    Success(200, "at most 200", Logs),
    scope=Scope.ADMIN,
    query=ReadLogs,
)
def read_logs(call: Call[ReadLogs]) -> Answer:
    return Answer(200, exact_json.dumps(request_log().newest(call.command, now()).model_dump()))


class NewApiKey(ApiKey):
    """A key that was just made: `key` is shown this once."""

    key: str


class ApiKeyList(Schema):
    """Every key that was ever made, the newest first."""

    api_keys: list[ApiKey]


def issued(new: Issued) -> Answer:
    shown = new.key.model_dump() | {"key": new.secret}
    return Answer(201, exact_json.dumps(shown))


@app.route("/v1/api_keys", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Create an API key",
    Success(201, "the key, shown this once", NewApiKey),
    scope=Scope.ADMIN,
    refusals=(Unavailable,),
    body=CreateApiKey,
)
def create_api_key(call: Call[CreateApiKey]) -> Answer:
    return issued(keys.create(call.command))


@app.route("/v1/api_keys", methods=["GET"], **ANY_TYPE)
@http.operation("List the API keys", Success(200, "the keys", ApiKeyList), scope=Scope.ADMIN)
def list_api_keys(_: Call[Any]) -> Answer:
    return Answer(200, exact_json.dumps({"api_keys": [key.model_dump() for key in keys.all()]}))


@app.route("/v1/api_keys/{key_id}/roll", methods=["POST"], **ANY_TYPE)
@http.operation(
    "Replace an API key",
    Success(201, "the new key, shown this once", NewApiKey),
    scope=Scope.ADMIN,
    refusals=(NotFound, Conflict),
    body=RollApiKey,
)
def roll_api_key(call: Call[RollApiKey]) -> Answer:
    return issued(keys.roll(call.path["key_id"], call.command))


@app.route("/v1/api_keys/{key_id}", methods=["DELETE"], **ANY_TYPE)
@http.operation(
    "Revoke an API key",
    Success(204, "it stops working within a minute", None),
    scope=Scope.ADMIN,
    refusals=(NotFound,),
)
def revoke_api_key(call: Call[Any]) -> Answer:
    keys.revoke(call.path["key_id"])
    return Answer(204, "")


class Health(Schema):
    """The service as it sees itself."""

    status: str
    service: str
    region: str
    timestamp: Timestamp
    version: str


@app.route("/v1/health", methods=["GET"], **ANY_TYPE)
@http.operation(
    "Check the health of the service",
    Success(200, "it answers", Health),
    scope=None,
    refusals=(Unauthenticated, Forbidden, Unavailable),
    query=CheckHealth,
)
def check_health(call: Call[CheckHealth]) -> Answer:
    if call.command.deep == "1":
        call.admit(Scope.READ)
        payments.check()
    health = Health(
        status="ok",
        service="payflow-api",
        region=settings.region,
        timestamp=now(),
        version=VERSION,
    )
    return Answer(200, exact_json.dumps(health.model_dump()))


@app.route("/v1/openapi.json", methods=["GET"], **ANY_TYPE)
@http.operation("Get this document", Success(200, "OpenAPI 3.1", openapi.Document), scope=None)
def describe_api(_: Call[Any]) -> Answer:
    return Answer(200, exact_json.dumps(openapi.document(app)))


def settle(job: Job) -> None:
    match job:
        case SettlePayment(payment_id):
            payments.settle(payment_id)
        case SettleRefund(payment_id, refund_id):
            refunds.settle(payment_id, refund_id)
        case Deliver():
            raise UnknownJob("a delivery, in the queue of payments")


def deliver(job: Job) -> None:
    match job:
        case Deliver(delivery_id):
            courier().deliver(delivery_id)
        case _:
            raise UnknownJob("no delivery, in the queue of deliveries")


def worked_off(event: SQSEvent, work: Callable[[Job], None]) -> dict[str, Any]:
    messages = [Message(record.to_dict()["messageId"], record.body) for record in event]
    failed = work_off(messages, work)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@app.on_sqs_message(queue=settings.webhook_queue, batch_size=BATCH_SIZE, name="webhook_processor")
def webhook_processor(event: SQSEvent) -> dict[str, Any]:
    return worked_off(event, settle)


# Ten batches of ten at once: as much as slow merchants may take of the account's concurrency.
@app.on_sqs_message(
    queue=settings.deliveries_queue,
    batch_size=BATCH_SIZE,
    maximum_concurrency=10,
    name="delivery_worker",
)
def delivery_worker(event: SQSEvent) -> dict[str, Any]:
    return worked_off(event, deliver)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweeper(event: CloudWatchEvent) -> dict[str, int]:
    # The scheduled time, not the clock: a late start or a retry asks for the same ages.
    return unfinished().sweep(datetime.fromisoformat(event.time))._asdict()


gc.freeze()
gc.enable()
