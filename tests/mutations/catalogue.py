"""The promises that `make mutants` breaks, one at a time: data, and nothing else.

One mutant a promise, the one that is hardest to catch. Its code is written as `ast.unparse` writes
it: a mutant that no longer fits shows its symbol so.
"""

from typing import Final

from tests.mutations.mutant import Mutant

_IDEMPOTENCY: Final = (
    Mutant(
        "record-replaces-record",
        "A live idempotency record is never written over.",
        "chalicelib/store.py::Store._put_record",
        "OR expiresAt <= :now",
        "OR expiresAt <= :now OR attribute_exists(idempotencyKey)",
    ),
    Mutant(
        "record-counts-a-second-more",
        "A record that has expired counts as absent, even while the table still holds it.",
        "chalicelib/store.py::Store._put_record",
        "expiresAt <= :now",
        "expiresAt < :now",
    ),
    Mutant(
        "record-in-a-write-of-its-own",
        "The record, the payment and its event are one transaction.",
        "chalicelib/store.py::Store.create",
        "{'Put': self._put_record(record, now)}",
        "*(self._payments.put(self._put_record(record, now)) or [])",
    ),
    Mutant(
        "fingerprint-of-a-part",
        "A key stands for every field of its request.",
        "chalicelib/idempotency.py::fingerprint",
        "model_dump()",
        "model_dump(exclude={'metadata'})",
    ),
    Mutant(
        "another-request-is-replayed",
        "A key that comes with another request is refused.",
        "chalicelib/idempotency.py::Record.replay",
        "fingerprint != self.fingerprint",
        "not fingerprint",
    ),
    Mutant(
        "one-key-for-every-payment",
        "Refunds of two payments may use the same key.",
        "chalicelib/idempotency.py::record_key",
        "#{resource}",
        "",
    ),
    Mutant(
        "own-record-is-a-replay",
        "A request whose first try had committed is answered as created.",
        "chalicelib/payments.py::Payments.create",
        "exists.record.resource_id != payment_id",
        "exists.record",
    ),
    Mutant(
        "one-token-for-each-try",
        "A transaction that is sent again has the same ClientRequestToken.",
        "chalicelib/tables.py::Table.transact",
        "ClientRequestToken=token",
        "ClientRequestToken=__import__('uuid').uuid4().hex",
    ),
    Mutant(
        "retry-of-a-full-refund-is-refused",
        "The retry of a refund is a replay, even when nothing is left to refund.",
        "chalicelib/refunds.py::Refunds._commit",
        "self.store.find_record(key, now)",
        "None",
    ),
)

_PAYMENTS: Final = (
    Mutant(
        "event-in-a-write-of-its-own",
        "A change and its event are one transaction.",
        "chalicelib/store.py::Store.change",
        "{'Put': self._payments.when_absent(_event_item(change.event))}",
        "*(self._payments.put(self._payments.when_absent(_event_item(change.event))) or [])",
    ),
    Mutant(
        "status-not-compared",
        "A change is refused when the status is no longer the one that was read.",
        "chalicelib/store.py::Store._step",
        "'status', ",
        "",
    ),
    Mutant(
        "version-not-compared",
        "A change is refused when the version is no longer the one that was read.",
        "chalicelib/store.py::Store._step",
        "'version', ",
        "",
    ),
    Mutant(
        "claim-not-compared",
        "A cancel is refused when a worker has claimed the payment since it was read.",
        "chalicelib/store.py::Store._step",
        ", 'submittedAt'",
        "",
    ),
    Mutant(
        "processor-before-claim",
        "The processor is called only after the payment is claimed.",
        "chalicelib/payments.py::Payments.settle",
        "payment = self.store.claim(",
        "self.processor.settle(self.store.get(payment_id)); payment = self.store.claim(",
    ),
    Mutant(
        "claim-of-nothing",
        "Claiming an unknown payment creates no row.",
        "chalicelib/store.py::Store.claim",
        "#status = :processing",
        "#status = :processing OR attribute_not_exists(PK)",
    ),
    Mutant(
        "outcome-by-the-dice",
        "A repeated message leads to the same outcome.",
        "chalicelib/processor.py::Simulator._by_chance",
        "name.encode()",
        "__import__('os').urandom(8)",
    ),
    Mutant(
        "pending-is-guessed",
        "A payment stays processing while its bank has not decided.",
        "chalicelib/payments.py::settled",
        "return None",
        "return payment.complete(now, actor=SYSTEM)",
    ),
    Mutant(
        "conflict-is-success",
        "A refused commit is tried again while the payment is still processing.",
        "chalicelib/payments.py::Payments.settle",
        "moved.current.status is Status.PROCESSING",
        "moved.current.status is Status.CANCELED",
    ),
    Mutant(
        "final-is-not-final",
        "A failed payment stays failed.",
        "chalicelib/model.py::TRANSITIONS",
        "Status.FAILED: frozenset()",
        "Status.FAILED: frozenset({Status.COMPLETED})",
    ),
    Mutant(
        "totals-in-a-write-of-their-own",
        "The totals move in the transaction that settles the payment.",
        "chalicelib/store.py::Store.change",
        "({'Update': self._addition(total, before.id)} for total in"
        " totals_moved(before, change.payment))",
        "([self._payments.update(self._addition(total, before.id)) for total in"
        " totals_moved(before, change.payment)] and [])",
    ),
    Mutant(
        "totals-not-moved",
        "A return moves the payment's count from completed to returned.",
        "chalicelib/model.py::totals_moved",
        "[] if before.status is Status.PROCESSING else [(before.status, -1)]",
        "[]",
    ),
)

_REFUNDS: Final = (
    Mutant(
        "more-than-is-left",
        "The row itself refuses a refund of more than is left.",
        "chalicelib/store.py::Store.create_refund",
        ", refundable=change.refund.amount",
        "",
    ),
    Mutant(
        "refund-settled-twice",
        "A refund is settled only while it is processing.",
        "chalicelib/store.py::Store.settle_refund",
        "_refund_item(change.refund), 'status'",
        "_refund_item(change.refund), 'paymentId'",
    ),
    Mutant(
        "failed-refund-keeps-its-amount",
        "The amount of a failed refund can be refunded again.",
        "chalicelib/model.py::Payment._settle_refund",
        "refund.amount if to is RefundStatus.FAILED else Decimal(0)",
        "Decimal(0)",
    ),
    Mutant(
        "return-beside-a-refund",
        "A return waits until no refund is processing.",
        "chalicelib/model.py::Payment.give_back",
        "if self.refunds_processing:",
        "if self.refunds_processing > 1:",
    ),
    Mutant(
        "settled-although-returned",
        "A refund that was settled before a return is left alone after it.",
        "chalicelib/refunds.py::Refunds._finish",
        "payment.status is not Status.COMPLETED",
        "payment.status is Status.PROCESSING",
    ),
    Mutant(
        "change-is-not-followed",
        "Whoever loses a race starts again from the current payment.",
        "chalicelib/store.py::on_the_latest",
        "payment = moved.current",
        "moved.current",
    ),
)

_TABLES: Final = (
    Mutant(
        "put-replaces",
        "A new item writes over nothing.",
        "chalicelib/tables.py::Table.when_absent",
        "attribute_not_exists(PK)",
        "attribute_not_exists(PK) OR attribute_exists(PK)",
    ),
    Mutant(
        "conflict-not-retried",
        "A transaction that collides with another is tried again.",
        "chalicelib/tables.py::_CONFLICTS",
        "frozenset({'TransactionConflict'})",
        "frozenset()",
    ),
    Mutant(
        "condition-outranks-a-collision",
        "A failed condition is final only when no other item collided.",
        "chalicelib/tables.py::_raise_if_condition_failed",
        "_CONDITION_FAILED in codes and _collision(error) is None",
        "_CONDITION_FAILED in codes",
    ),
    Mutant(
        "stale-item",
        "An item is read as of the last write.",
        "chalicelib/tables.py::Table.find",
        "ConsistentRead=True",
        "ConsistentRead=False",
    ),
    Mutant(
        "outage-is-a-bug",
        "DynamoDB out of reach is a 503, not a 500.",
        "chalicelib/aws.py::outage_is_unavailable",
        "BotoConnectionError, ",
        "",
    ),
)

_MESSAGES: Final = (
    Mutant(
        "message-before-commit",
        "A message is sent after its payment is committed, never before.",
        "chalicelib/payments.py::Payments.create",
        "self.store.create(change, record, now)",
        "hint(self.queue, SettlePayment(payment_id), stage=self.stage);"
        " self.store.create(change, record, now)",
    ),
    Mutant(
        "lost-message-fails-the-request",
        "A committed payment is answered as created, even when its message is lost.",
        "chalicelib/queue_jobs.py::hint",
        "except Unavailable",
        "except MalformedJob",
    ),
    Mutant(
        "failure-not-reported",
        "SQS learns of every message of a batch that failed.",
        "app.py::worked_off",
        "for message_id in failed",
        "for message_id in failed[1:]",
    ),
    Mutant(
        "one-fails-all",
        "One message that fails does not fail the others of its batch.",
        "chalicelib/queue_jobs.py::_work_off_one",
        "except Exception",
        "except ValueError",
    ),
    Mutant(
        "malformed-comes-again",
        "A malformed message is dropped.",
        "chalicelib/queue_jobs.py::_work_off_one",
        "except MalformedJob",
        "except ZeroDivisionError",
    ),
    Mutant(
        "unknown-type-is-dropped",
        "A message of an unknown type is kept for a newer version.",
        "chalicelib/queue_jobs.py::decode",
        "raise UnknownJob(",
        "raise MalformedJob(",
    ),
    Mutant(
        "gap-between-sweeps",
        "The windows of successive sweeps meet without a gap.",
        "chalicelib/sweeper.py::age_windows",
        "2 ** k + 1",
        "2 ** k + 0.9",
    ),
    Mutant(
        "stuck-hides-the-newer",
        "A stuck payment takes no place from newer ones.",
        "chalicelib/sweeper.py::age_windows",
        "to_moment(now - unit * (2 ** k + 1))",
        "EARLIEST",
    ),
    Mutant(
        "outage-hides-the-stuck",
        "Stuck payments are reported even while the queue is out of reach.",
        "chalicelib/sweeper.py::Sweeper.sweep",
        "outage = error",
        "raise",
    ),
)

_WEBHOOKS: Final = (
    Mutant(
        "outcome-without-deliveries",
        "An outcome and its deliveries are one transaction.",
        "chalicelib/payments.py::Payments.settle",
        "self.store.change(payment, change, deliveries)",
        "self.store.change(payment, change)",
    ),
    Mutant(
        "endpoints-read-before",
        "A payment that is created after an endpoint reaches it.",
        "chalicelib/webhook_outbox.py::Outbox._endpoints",
        "known.at <= created or ",
        "",
    ),
    Mutant(
        "claimed-before-it-is-due",
        "A delivery is claimed only when it is due.",
        "chalicelib/webhook_store.py::WebhookStore.claim",
        "dueAt <= :now",
        "dueAt <= :now OR attribute_exists(dueAt)",
    ),
    Mutant(
        "claim-without-a-lease",
        "A claimed delivery is nobody else's until its lease has expired.",
        "chalicelib/webhook_store.py::WebhookStore.claim",
        "_due_at(key, until)",
        "_due_at(key, now)",
    ),
    Mutant(
        "recorded-after-the-lease",
        "A worker that lost its lease records nothing.",
        "chalicelib/webhook_store.py::WebhookStore.record",
        "'dueAt'",
        "'type'",
    ),
    Mutant(
        "replay-of-what-is-claimed",
        "A replay takes no delivery from the worker that has claimed it.",
        "chalicelib/webhook_store.py::WebhookStore.replay",
        "'dueAt', ",
        "",
    ),
    Mutant(
        "killed-workers-without-end",
        "A delivery that kills its workers fails after as many attempts as any other.",
        "chalicelib/webhook_delivery.py::_refusal",
        "webhook_schedule.MAX_ATTEMPTS",
        "10000",
    ),
    Mutant(
        "sooner-than-asked",
        "Retry-After is honoured.",
        "chalicelib/webhook_schedule.py::delay_after",
        "max(delay, ",
        "min(delay, ",
    ),
    Mutant(
        "redirect-is-success",
        "Only a 2xx counts as delivered.",
        "chalicelib/webhook_sender.py::Attempt.is_delivered",
        "< 300",
        "< 400",
    ),
    Mutant(
        "never-given-up",
        "Five days of nothing but failures disable an endpoint.",
        "chalicelib/webhook_schedule.py::is_given_up",
        ">= GIVEN_UP_AFTER",
        ">= 2 * GIVEN_UP_AFTER",
    ),
    Mutant(
        "disabled-after-a-success",
        "An endpoint that has just succeeded is not disabled for older failures.",
        "chalicelib/webhook_store.py::WebhookStore.disable",
        "seen.append('failingSince')",
        "seen.append('id')",
    ),
    Mutant(
        "rotation-over-rotation",
        "Of two rotations at once, neither loses the secret that the other one showed.",
        "chalicelib/webhook_store.py::WebhookStore.change",
        "'secret'",
        "'id'",
    ),
    Mutant(
        "old-secret-dropped",
        "For 24 hours after a rotation the old secret signs too.",
        "chalicelib/webhook_model.py::OLD_SECRET_LIFE",
        "hours=24",
        "hours=23",
    ),
    Mutant(
        "signature-of-another-time",
        "The signature covers the timestamp that is sent.",
        "chalicelib/webhook_signature.py::headers",
        "str(int(moment.timestamp()))",
        "str(int(moment.timestamp()) + 1)",
    ),
    Mutant(
        "an-id-for-each-attempt",
        "Every attempt of a delivery has the same webhook-id.",
        "chalicelib/webhook_delivery.py::Courier._post",
        "delivery.event_id",
        "new_id('EVT', now)",
    ),
    Mutant(
        "one-public-address-is-enough",
        "A host with any private address is not connected to.",
        "chalicelib/webhook_sender.py::Sender._checked",
        "not all(",
        "addresses and not any(",
    ),
    Mutant(
        "address-inside-an-address",
        "An IPv6 address that carries a private IPv4 address is not public.",
        "chalicelib/webhook_url.py::is_public",
        "parsed not in _GLOBAL_UNICAST",
        "parsed.is_loopback",
    ),
    Mutant(
        "deadline-for-each-byte",
        "A server that drips its answer is left at the deadline.",
        "chalicelib/webhook_sender.py::_Stream.receive",
        "self._deadline.left()",
        "15",
    ),
    Mutant(
        "certificate-of-another-name",
        "TLS proves the name of the host.",
        "chalicelib/webhook_sender.py::Sender._exchange",
        "sock = self.trust.wrap_socket(",
        "self.trust.check_hostname = False; sock = self.trust.wrap_socket(",
    ),
)

_REQUESTS: Final = (
    Mutant(
        "float-in",
        "No number of a request passes through a float.",
        "chalicelib/exact_json.py::loads",
        "parse_float=_number",
        "parse_float=lambda text: Decimal(float(text))",
    ),
    Mutant(
        "name-twice",
        "An object that has a name twice is refused.",
        "chalicelib/exact_json.py::_object",
        "if name in result:",
        "if name in result and result[name] == value:",
    ),
    Mutant(
        "rounded-away",
        "An amount with too many decimals is refused, not rounded.",
        "chalicelib/model.py::exact_amount",
        "if written != value:",
        "if not written:",
    ),
    Mutant(
        "body-without-bound",
        "A body of more than 64 KiB is refused.",
        "chalicelib/api.py::_json_object",
        "len(body) > MAX_BODY_BYTES",
        "len(body) > MAX_BODY_BYTES + 1",
    ),
    Mutant(
        "body-before-the-key",
        "Nothing of a body is looked at before the API key is.",
        "chalicelib/api.py::Api._serve",
        "admit(what.scope)",
        "_command(request, what); admit(what.scope)",
    ),
    Mutant(
        "scope-includes-the-next",
        "A scope includes the ones before it and no other.",
        "chalicelib/model.py::ApiKey.may",
        "order.index(own) >=",
        "order.index(own) + 1 >=",
    ),
    Mutant(
        "revoked-key-remembered",
        "A revoked key stops working everywhere within half a minute.",
        "chalicelib/api_keys.py::ApiKeys._look_up",
        " and now - remembered.since < CACHE",
        "",
    ),
    Mutant(
        "key-rolled-twice",
        "A key can be rolled once.",
        "chalicelib/store.py::Store.replace_key",
        " AND attribute_not_exists(replacedBy)",
        "",
    ),
    Mutant(
        "open-unless-closed",
        "Without a setting, a key is required.",
        "chalicelib/config.py::from_environment",
        "env.get('PAYFLOW_AUTH') != 'open'",
        "env.get('PAYFLOW_AUTH') == 'required'",
    ),
    Mutant(
        "any-origin",
        "Web pages of one origin may read the API.",
        "chalicelib/api.py::cors",
        "allow_origin=allowed_origin",
        "allow_origin='*'",
    ),
    Mutant(
        "bug-tells-of-the-inside",
        "The answer to a bug tells nothing of the inside.",
        "chalicelib/api.py::Api._serve",
        "'The request failed; quote its request_id.'",
        "repr(error)",
    ),
    Mutant(
        "secret-logged",
        "What looks like a key or a secret is in no line of the log.",
        "chalicelib/telemetry.py::_write",
        r"_SECRET.sub('\\1[redacted]', text)",
        "text",
    ),
    Mutant(
        "cursor-of-another-filter",
        "A cursor of another filter is refused.",
        "chalicelib/listing.py::decode_cursor",
        "encode_cursor(last, filters) != cursor",
        "not cursor",
    ),
    Mutant(
        "same-instant-skipped",
        "Payments of one microsecond are all listed.",
        "chalicelib/listing.py::_read",
        "just_before(last)",
        "last[:27]",
    ),
)

CATALOGUE: Final[dict[str, tuple[Mutant, ...]]] = {
    "One key, one effect": _IDEMPOTENCY,
    "Payments and totals": _PAYMENTS,
    "Refunds and returns": _REFUNDS,
    "Tables": _TABLES,
    "Messages and the sweeper": _MESSAGES,
    "Webhooks": _WEBHOOKS,
    "Requests, keys and lists": _REQUESTS,
}
"""By the heading that they stand under on the page."""

BY_NAME: Final = {mutant.name: mutant for part in CATALOGUE.values() for mutant in part}
