"""Routes, queue handlers and the schedule: decorators and one call each, no rules."""

import gc

# Disable the garbage collector during import: nothing allocated here is freed. See the end.
gc.disable()

import functools
from datetime import datetime
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, Rate, SQSEvent

from chalicelib import VERSION, config, errors, messages
from chalicelib.api import openapi, routing
from chalicelib.api.health import CheckHealth, Health
from chalicelib.api.request_log import Logs, ReadLogs
from chalicelib.api.routing import Answer, Api, Call, Success
from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import ApiKey, ApiKeyList, NewApiKey, Scope
from chalicelib.audit.commands import ListAuditEvents
from chalicelib.audit.models import AuditPage
from chalicelib.aws.sqs import BATCH_SIZE
from chalicelib.bootstrap import Services, now
from chalicelib.exports.commands import CreateExport, ListExports
from chalicelib.exports.models import Export, ExportPage
from chalicelib.payments.commands import (
    CreatePayment,
    CreateRefund,
    ListOfPayment,
    ListPayments,
    ListRefunds,
    ReadFeed,
    ReadStats,
    SimulateRefundReturn,
    SimulateReturn,
)
from chalicelib.payments.feed import Feed
from chalicelib.payments.listing import Page, RefundPage
from chalicelib.payments.models import EventList, Payment, Refund, RefundList
from chalicelib.payments.stats import Stats
from chalicelib.webhooks.commands import (
    CreateEndpoint,
    ListDeliveries,
    ListDeliveriesOfPayment,
    ReplayFailed,
    UpdateEndpoint,
)
from chalicelib.webhooks.models import (
    Delivery,
    DeliveryList,
    DeliveryPage,
    Endpoint,
    EndpointList,
    NewEndpoint,
    Replayed,
)

settings = config.from_environment()
services = Services(settings)
app = Chalice(app_name="payflow")
app.api.cors = routing.cors(settings.allowed_origin)
http = Api(app, lambda authorization, scope: services.api_keys.authorize(authorization, scope))
REPLAYED = ("Idempotent-Replayed",)
# `routing` checks the content type: Chalice's own 415 is not a problem document.
route = functools.partial(app.route, content_types=["*/*"])


@route("/v1/payments", methods=["POST"])
@http.operation(
    "Create a payment",
    Success(201, "the payment, processing", Payment, headers=("Location",)),
    Success(200, "the stored answer for this key", Payment, headers=REPLAYED),
    scope=Scope.WRITE,
    errors=(errors.Conflict, errors.IdempotencyKeyReused, errors.Unavailable),
    body=CreatePayment,
)
def create_payment(call: Call[CreatePayment]) -> Answer:
    body, payment_id, replayed = services.payments.create(call.command, actor=call.actor)
    location = f"{call.url_path.rstrip('/')}/{payment_id}"
    return Answer.created(body, replayed=replayed, payment_id=payment_id, location=location)


@route("/v1/payments", methods=["GET"])
@http.operation(
    "List payments, newest first",
    Success(200, "one page", Page),
    scope=Scope.READ,
    errors=(errors.InvalidCursor, errors.Unavailable),
    query=ListPayments,
)
def list_payments(call: Call[ListPayments]) -> Page:
    return services.payments.list_page(call.command)


@route("/v1/payments/{payment_id}", methods=["GET"])
@http.operation(
    "Get a payment",
    Success(200, "the payment", Payment),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.Unavailable),
)
def get_payment(call: Call[Any]) -> Payment:
    return services.payments.get(call.path["payment_id"])


@route("/v1/payments/{payment_id}/cancel", methods=["POST"])
@http.operation(
    "Cancel a payment that has not been sent to its processor",
    Success(200, "the canceled payment", Payment),
    scope=Scope.WRITE,
    errors=(errors.NotFound, errors.PaymentNotCancelable, errors.Conflict, errors.Unavailable),
)
def cancel_payment(call: Call[Any]) -> Payment:
    return services.payments.cancel(call.path["payment_id"], actor=call.actor)


@route("/v1/payments/{payment_id}/refunds", methods=["POST"])
@http.operation(
    "Refund a payment, in full or in part",
    Success(201, "the refund, processing", Refund),
    Success(200, "the stored answer for this key", Refund, headers=REPLAYED),
    scope=Scope.WRITE,
    errors=(
        errors.NotFound,
        errors.PaymentNotRefundable,
        errors.RefundExceedsPayment,
        errors.IdempotencyKeyReused,
        errors.Conflict,
        errors.Unavailable,
    ),
    body=CreateRefund,
)
def create_refund(call: Call[CreateRefund]) -> Answer:
    payment_id = call.path["payment_id"]
    created = services.refunds.create(payment_id, call.command, actor=call.actor)
    return Answer.created(created.body, replayed=created.replayed, payment_id=payment_id)


@route("/v1/payments/{payment_id}/refunds", methods=["GET"])
@http.operation(
    "List the refunds of a payment, oldest first",
    Success(200, "one page", RefundList),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.InvalidCursor, errors.Unavailable),
    query=ListOfPayment,
)
def list_refunds(call: Call[ListOfPayment]) -> RefundList:
    return services.refunds.of_payment(call.path["payment_id"], call.command)


@route("/v1/payments/{payment_id}/events", methods=["GET"])
@http.operation(
    "List the events of a payment, oldest first",
    Success(200, "one page", EventList),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.InvalidCursor, errors.Unavailable),
    query=ListOfPayment,
)
def list_events(call: Call[ListOfPayment]) -> EventList:
    return services.payments.events(call.path["payment_id"], call.command)


if settings.simulation_allowed:

    @route("/v1/payments/{payment_id}/simulate_return", methods=["POST"])
    @http.operation(
        "Simulate a bank's return of a completed payment",
        Success(200, "the returned payment", Payment),
        scope=Scope.WRITE,
        errors=(errors.NotFound, errors.PaymentNotReturnable, errors.Conflict, errors.Unavailable),
        body=SimulateReturn,
    )
    def simulate_return(call: Call[SimulateReturn]) -> Payment:
        payment_id = call.path["payment_id"]
        return services.payments.simulate_return(payment_id, call.command, actor=call.actor)

    @route("/v1/payments/{payment_id}/simulate_refund_return", methods=["POST"])
    @http.operation(
        "Simulate a bank's return of a completed refund",
        Success(200, "the returned refund", Refund),
        scope=Scope.WRITE,
        errors=(
            errors.NotFound,
            errors.PaymentNotReturnable,
            errors.RefundNotReturnable,
            errors.Conflict,
            errors.Unavailable,
        ),
        body=SimulateRefundReturn,
    )
    def simulate_refund_return(call: Call[SimulateRefundReturn]) -> Refund:
        payment_id = call.path["payment_id"]
        return services.refunds.simulate_return(payment_id, call.command, actor=call.actor)


@route("/v1/payments/{payment_id}/deliveries", methods=["GET"])
@http.operation(
    "List the webhook deliveries of a payment, newest first",
    Success(200, "one page", DeliveryList),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.InvalidCursor, errors.Unavailable),
    query=ListDeliveriesOfPayment,
)
def list_payment_deliveries(call: Call[ListDeliveriesOfPayment]) -> DeliveryList:
    return services.webhooks.deliveries_of_payment(call.path["payment_id"], call.command)


@route("/v1/webhook_endpoints", methods=["POST"])
@http.operation(
    "Create a webhook endpoint",
    Success(201, "the endpoint with its secret, which is shown only once", NewEndpoint),
    Success(200, "the answer for this key, without the secret", Endpoint, headers=REPLAYED),
    scope=Scope.ADMIN,
    errors=(
        errors.EndpointLimitReached,
        errors.UrlInUse,
        errors.IdempotencyKeyReused,
        errors.Conflict,
        errors.Unavailable,
    ),
    body=CreateEndpoint,
)
def create_webhook_endpoint(call: Call[CreateEndpoint]) -> Answer:
    return Answer.once(services.webhooks.create_once(call.command, actor=call.actor))


@route("/v1/webhook_endpoints", methods=["GET"])
@http.operation(
    "List the webhook endpoints, oldest first",
    Success(200, "all endpoints", EndpointList),
    scope=Scope.ADMIN,
)
def list_webhook_endpoints(_: Call[Any]) -> EndpointList:
    return services.webhooks.all()


@route("/v1/webhook_endpoints/{endpoint_id}", methods=["GET"])
@http.operation(
    "Get a webhook endpoint",
    Success(200, "the endpoint", Endpoint),
    scope=Scope.ADMIN,
    errors=(errors.NotFound,),
)
def get_webhook_endpoint(call: Call[Any]) -> Endpoint:
    return services.webhooks.get(call.path["endpoint_id"])


@route("/v1/webhook_endpoints/{endpoint_id}", methods=["PATCH"])
@http.operation(
    "Change a webhook endpoint",
    Success(200, "the changed endpoint", Endpoint),
    scope=Scope.ADMIN,
    errors=(errors.NotFound, errors.UrlInUse, errors.Conflict),
    body=UpdateEndpoint,
)
def update_webhook_endpoint(call: Call[UpdateEndpoint]) -> Endpoint:
    return services.webhooks.update(call.path["endpoint_id"], call.command, actor=call.actor)


@route("/v1/webhook_endpoints/{endpoint_id}", methods=["DELETE"])
@http.operation(
    "Delete a webhook endpoint",
    Success(204, "Endpoint deleted", None),
    scope=Scope.ADMIN,
    errors=(errors.NotFound, errors.Conflict),
)
def delete_webhook_endpoint(call: Call[Any]) -> None:
    services.webhooks.delete(call.path["endpoint_id"], actor=call.actor)


@route("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", methods=["POST"])
@http.operation(
    "Rotate the secret of a webhook endpoint; the old secret also signs for 24 hours",
    Success(200, "the endpoint with its new secret, which is shown only once", NewEndpoint),
    scope=Scope.ADMIN,
    errors=(errors.NotFound, errors.Conflict),
)
def rotate_webhook_secret(call: Call[Any]) -> NewEndpoint:
    return services.webhooks.rotate(call.path["endpoint_id"], actor=call.actor)


@route("/v1/webhook_endpoints/{endpoint_id}/test", methods=["POST"])
@http.operation(
    "Send a test event to a webhook endpoint",
    Success(201, "the pending delivery", Delivery),
    scope=Scope.ADMIN,
    errors=(errors.NotFound, errors.EndpointDisabled),
)
def test_webhook_endpoint(call: Call[Any]) -> Delivery:
    return services.webhooks.test(call.path["endpoint_id"])


@route("/v1/webhook_endpoints/{endpoint_id}/deliveries", methods=["GET"])
@http.operation(
    "List the deliveries to a webhook endpoint, newest first",
    Success(200, "one page", DeliveryPage),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.InvalidCursor, errors.Unavailable),
    query=ListDeliveries,
)
def list_webhook_deliveries(call: Call[ListDeliveries]) -> DeliveryPage:
    return services.webhooks.deliveries(call.path["endpoint_id"], call.command)


@route("/v1/webhook_endpoints/{endpoint_id}/replay_failed", methods=["POST"])
@http.operation(
    "Replay the failed deliveries of a webhook endpoint, oldest first",
    Success(200, "the number of deliveries replayed, at most 100 per call", Replayed),
    scope=Scope.WRITE,
    errors=(errors.NotFound, errors.EndpointDisabled, errors.Conflict),
    body=ReplayFailed,
)
def replay_failed_deliveries(call: Call[ReplayFailed]) -> Replayed:
    return services.webhooks.replay_failed(call.path["endpoint_id"], call.command)


@route("/v1/deliveries/{delivery_id}/replay", methods=["POST"])
@http.operation(
    "Replay a delivery at once, under the same webhook-id",
    Success(200, "the pending delivery", Delivery),
    scope=Scope.WRITE,
    errors=(errors.NotFound, errors.EndpointDisabled, errors.Conflict),
)
def replay_delivery(call: Call[Any]) -> Delivery:
    return services.webhooks.replay(call.path["delivery_id"])


@route("/v1/refunds", methods=["GET"])
@http.operation(
    "List the refunds of all payments, newest first",
    Success(200, "one page", RefundPage),
    scope=Scope.READ,
    errors=(errors.InvalidCursor, errors.Unavailable),
    query=ListRefunds,
)
def list_all_refunds(call: Call[ListRefunds]) -> RefundPage:
    return services.refunds.list_page(call.command)


@route("/v1/events", methods=["GET"])
@http.operation(
    "Follow the events of all payments, oldest first",
    Success(200, "the events after the cursor", Feed),
    scope=Scope.READ,
    errors=(errors.InvalidCursor, errors.Unavailable),
    query=ReadFeed,
)
def read_feed(call: Call[ReadFeed]) -> Feed:
    return services.payments.feed(call.command)


@route("/v1/stats", methods=["GET"])
@http.operation(
    "Get the totals of settled payments, by day, currency, type and status",
    Success(200, "the totals", Stats),
    scope=Scope.READ,
    query=ReadStats,
)
def read_stats(call: Call[ReadStats]) -> Stats:
    return services.payments.stats(call.command)


@route("/v1/exports", methods=["POST"])
@http.operation(
    "Create an export: a file of payments, refunds or events",
    Success(202, "the export, processing", Export, headers=("Location",)),
    Success(200, "the stored answer for this key", Export, headers=REPLAYED),
    scope=Scope.READ,
    errors=(errors.IdempotencyKeyReused, errors.Conflict, errors.Unavailable),
    body=CreateExport,
)
def create_export(call: Call[CreateExport]) -> Answer:
    body, export_id, replayed = services.exports.create(call.command, actor=call.actor)
    location = f"{call.url_path.rstrip('/')}/{export_id}"
    return Answer.created(body, replayed=replayed, location=location, status=202)


@route("/v1/exports", methods=["GET"])
@http.operation(
    "List the exports, newest first",
    Success(200, "one page", ExportPage),
    scope=Scope.READ,
    errors=(errors.InvalidCursor, errors.Unavailable),
    query=ListExports,
)
def list_exports(call: Call[ListExports]) -> ExportPage:
    return services.exports.list_page(call.command)


@route("/v1/exports/{export_id}", methods=["GET"])
@http.operation(
    "Get an export, with a link to its file",
    Success(200, "the export", Export),
    scope=Scope.READ,
    errors=(errors.NotFound, errors.Unavailable),
)
def get_export(call: Call[Any]) -> Export:
    return services.exports.get(call.path["export_id"])


@route("/v1/logs", methods=["GET"])
@http.operation(
    "List the API requests of the last hour, newest first",
    Success(200, "at most 200 requests", Logs),
    scope=Scope.ADMIN,
    query=ReadLogs,
)
def read_logs(call: Call[ReadLogs]) -> Logs:
    return services.request_log.newest(call.command, now())


@route("/v1/audit_events", methods=["GET"])
@http.operation(
    "List who changed API keys and webhook endpoints, and who exported, newest first",
    Success(200, "one page", AuditPage),
    scope=Scope.ADMIN,
    errors=(errors.InvalidCursor, errors.Unavailable),
    query=ListAuditEvents,
)
def list_audit_events(call: Call[ListAuditEvents]) -> AuditPage:
    return services.audit_log.list_page(call.command)


@route("/v1/api_keys", methods=["POST"])
@http.operation(
    "Create an API key",
    Success(201, "the key, which is shown only once", NewApiKey),
    Success(200, "the answer for this idempotency key, without the key", ApiKey, headers=REPLAYED),
    scope=Scope.ADMIN,
    errors=(errors.IdempotencyKeyReused, errors.Conflict, errors.Unavailable),
    body=CreateApiKey,
)
def create_api_key(call: Call[CreateApiKey]) -> Answer:
    return Answer.once(services.api_keys.create_once(call.command, actor=call.actor))


@route("/v1/api_keys", methods=["GET"])
@http.operation(
    "List the API keys, newest first", Success(200, "all keys", ApiKeyList), scope=Scope.ADMIN
)
def list_api_keys(_: Call[Any]) -> ApiKeyList:
    return services.api_keys.all()


@route("/v1/api_keys/{key_id}/roll", methods=["POST"])
@http.operation(
    "Replace an API key",
    Success(201, "the new key, which is shown only once", NewApiKey),
    scope=Scope.ADMIN,
    errors=(errors.NotFound, errors.Conflict),
    body=RollApiKey,
)
def roll_api_key(call: Call[RollApiKey]) -> NewApiKey:
    return services.api_keys.roll(call.path["key_id"], call.command, actor=call.actor)


@route("/v1/api_keys/{key_id}", methods=["DELETE"])
@http.operation(
    "Revoke an API key",
    Success(204, "Key revoked; it stops working within a minute", None),
    scope=Scope.ADMIN,
    errors=(errors.NotFound,),
)
def revoke_api_key(call: Call[Any]) -> None:
    services.api_keys.revoke(call.path["key_id"], actor=call.actor)


@route("/v1/health", methods=["GET", "HEAD"])
@http.operation(
    "Check the health of the service",
    Success(200, "the service answers", Health),
    scope=None,
    errors=(errors.Unauthenticated, errors.Forbidden, errors.Unavailable),
    query=CheckHealth,
)
def check_health(call: Call[CheckHealth]) -> Health:
    if call.command.deep == "1":
        call.authorize(Scope.READ)
        services.payments.check()
    return Health(
        status="ok",
        service="payflow-api",
        region=settings.region,
        timestamp=now(),
        version=VERSION,
    )


@route("/v1/openapi.json", methods=["GET", "HEAD"])
@http.operation("Get this document", Success(200, "OpenAPI 3.1", openapi.Document), scope=None)
def describe_api(_: Call[Any]) -> openapi.Document:
    return openapi.Document(**openapi.document(app))


# Fifty batches of ten at once: API Gateway's 100 payments a second, if each takes five seconds with
# its processor. More would take the account's concurrency from the API.
@app.on_sqs_message(
    queue=settings.webhook_queue,
    batch_size=BATCH_SIZE,
    maximum_concurrency=50,
    name="webhook_processor",
)
def webhook_processor(event: SQSEvent) -> dict[str, Any]:
    handlers: messages.Handlers = {
        messages.SettlePayment: services.settling.settle,
        messages.SettleRefund: messages.each(services.refunds.settle),
    }
    with services.outbox.reading_ahead():
        return messages.process_batch(
            event.to_dict(), handlers, failures_are_kept=settings.failures_are_kept
        )


# At most ten batches of ten at once: slow merchants must not use up the account's concurrency.
@app.on_sqs_message(
    queue=settings.deliveries_queue,
    batch_size=BATCH_SIZE,
    maximum_concurrency=10,
    name="delivery_worker",
)
def delivery_worker(event: SQSEvent) -> dict[str, Any]:
    deliver = messages.each(services.delivery_worker.deliver)
    return messages.process_batch(
        event.to_dict(), {messages.Deliver: deliver}, failures_are_kept=settings.failures_are_kept
    )


# One export at a time in a process, and two at once: they read much, and the API comes first.
@app.on_sqs_message(
    queue=settings.exports_queue, batch_size=1, maximum_concurrency=2, name="export_worker"
)
def export_worker(event: SQSEvent) -> dict[str, Any]:
    run = messages.each(services.export_worker.run)
    return messages.process_batch(
        event.to_dict(), {messages.RunExport: run}, failures_are_kept=settings.failures_are_kept
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweeper(event: CloudWatchEvent) -> dict[str, int]:
    # Use the scheduled time, not the clock: a late run or a retry then reads the same windows.
    return services.sweeper.sweep(datetime.fromisoformat(event.time))._asdict()


services.warm_up()
gc.freeze()
gc.enable()
