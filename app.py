"""PayFlow: the routes, the queue's handler and the sweeper's schedule. No rules in here."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Rate, SQSEvent
from pydantic import BaseModel

from chalicelib import VERSION, api, config, exact_json, listing, openapi, stats, telemetry
from chalicelib.api import Answer, Api, Call, Success
from chalicelib.api_keys import ApiKeys, Issued
from chalicelib.aws import dynamodb_client, logs_client, sqs_client
from chalicelib.commands import (
    CheckHealth,
    CreateApiKey,
    CreatePayment,
    CreateRefund,
    ListPayments,
    ReadLogs,
    ReadStats,
    RollApiKey,
    SimulateReturn,
)
from chalicelib.errors import (
    Conflict,
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
    Job,
    Message,
    Queue,
    SettlePayment,
    SettleRefund,
    work_off,
)
from chalicelib.refunds import Refunds
from chalicelib.request_log import Logs, RequestLog
from chalicelib.store import Store
from chalicelib.sweeper import Sweeper


def now() -> datetime:
    return datetime.now(UTC)


settings = config.from_environment()
store = Store(
    dynamodb_client(settings.region),
    payments_table=settings.payments_table,
    idempotency_table=settings.idempotency_table,
)
queue = Queue(sqs_client(settings.region), settings.webhook_queue_url)
payments = Payments(
    stage=settings.stage,
    store=store,
    queue=queue,
    processor=Simulator(),
    simulation_allowed=settings.simulation_allowed,
    clock=now,
)
refunds = Refunds(
    stage=settings.stage,
    store=store,
    queue=queue,
    processor=Simulator(),
    clock=now,
)
unfinished = Sweeper(
    stage=settings.stage,
    store=store,
    queue=queue,
    unit=timedelta(seconds=settings.sweep_unit_seconds),
)
request_log = RequestLog(logs_client(settings.region), settings.api_log_group)
app = Chalice(app_name="payflow")
app.api.cors = api.cors(settings.allowed_origin)
keys = ApiKeys(stage=settings.stage, store=store, is_required=settings.key_required, clock=now)
http = Api(app, keys)
if not settings.key_required:
    telemetry.log("no_key_required", stage=settings.stage)

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


class RefundList(BaseModel):
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


class EventList(BaseModel):
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
    return Answer(200, exact_json.dumps(request_log.newest(call.command, now()).model_dump()))


class NewApiKey(ApiKey):
    """A key that was just made: `key` is shown this once."""

    key: str


class ApiKeyList(BaseModel):
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


class Health(BaseModel):
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


def work(job: Job) -> None:
    match job:
        case SettlePayment(payment_id):
            payments.settle(payment_id)
        case SettleRefund(payment_id, refund_id):
            refunds.settle(payment_id, refund_id)


@app.on_sqs_message(queue=settings.webhook_queue, batch_size=BATCH_SIZE, name="webhook_processor")
def webhook_processor(event: SQSEvent) -> dict[str, Any]:
    messages = [Message(record.to_dict()["messageId"], record.body) for record in event]
    failed = work_off(messages, work)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweeper(event: CloudWatchEvent) -> dict[str, int]:
    # The scheduled time, not the clock: a late start or a retry asks for the same ages.
    return unfinished.sweep(datetime.fromisoformat(event.time))._asdict()
