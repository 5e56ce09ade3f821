"""The promises that `make mutants` breaks, one at a time: data, and nothing else.

One mutant a promise, the one that is hardest to catch. Its code is written as `ast.unparse` writes
it: a mutant that no longer fits shows its symbol so.
"""

from typing import Final

from tests.mutations.mutant import Mutant

CATALOGUE: Final[dict[str, tuple[Mutant, ...]]] = {
    "One key, one effect": (
        Mutant(
            "A live idempotency record is never written over.",
            "chalicelib/idempotency.py::Records._put",
            "is_absent | is_expired",
            "is_absent | is_expired | ~is_absent",
        ),
        Mutant(
            "A record that has expired counts as absent, even while the table still holds it.",
            "chalicelib/idempotency.py::Records._put",
            "Attr('expiresAt').lte(",
            "Attr('expiresAt').lt(",
        ),
        Mutant(
            "The record, the payment and its event are one transaction.",
            "chalicelib/idempotency.py::Records.transact",
            "[self._put(record, now)]",
            "self._table.write(self._put(record, now)) and []",
        ),
        Mutant(
            "A key stands for every field of its request.",
            "chalicelib/idempotency.py::fingerprints",
            "value != defaults[name]",
            "value != defaults[name] and name != 'metadata'",
        ),
        Mutant(
            "A key that comes with another request is refused.",
            "chalicelib/idempotency.py::Record.replay",
            "not self.fingerprints.match(fingerprints(command))",
            "not command",
        ),
        Mutant(
            "Refunds of two payments may use the same key.",
            "chalicelib/idempotency.py::record_key",
            "#{resource}",
            "",
        ),
        Mutant(
            "A request whose first try had committed is answered as created.",
            "chalicelib/idempotency.py::Record.answer",
            "self.resource_id == resource_id",
            "not resource_id",
        ),
        Mutant(
            "A write whose answer was lost, and which is sent again, succeeds.",
            "chalicelib/aws/dynamodb.py::Table.write",
            "not write.has_left(stored)",
            "stored",
        ),
        Mutant(
            "A transaction that is sent again has the same ClientRequestToken.",
            "chalicelib/aws/dynamodb.py::Table.transact",
            "ClientRequestToken=token",
            "ClientRequestToken=__import__('uuid').uuid4().hex",
        ),
        Mutant(
            "The retry of a refund is a replay, even when nothing is left to refund.",
            "chalicelib/payments/refunds.py::Refunds._commit",
            "self.payments.repository.records.find(key, now)",
            "None",
        ),
    ),
    "Payments and totals": (
        Mutant(
            "A change and its event are one transaction.",
            "chalicelib/payments/repository.py::PaymentRepository.change_all",
            "*(self._payments.put_if_absent(items.event_to_item(event)) for event in events)",
            "*([self._payments.write(self._payments.put_if_absent(items.event_to_item(event)))"
            " for event in events] and [])",
        ),
        Mutant(
            "A change is refused when the status is no longer the one that was read.",
            "chalicelib/payments/repository.py::_READ_FIELDS",
            "'status', ",
            "",
        ),
        Mutant(
            "A change is refused when the version is no longer the one that was read.",
            "chalicelib/payments/repository.py::_READ_FIELDS",
            "'version', ",
            "",
        ),
        Mutant(
            "A cancel is refused when a worker has submitted the payment since it was read.",
            "chalicelib/payments/repository.py::_READ_FIELDS",
            ", 'submittedAt'",
            "",
        ),
        Mutant(
            "The processor is called only after the payment is marked as submitted.",
            "chalicelib/payments/service.py::Payments.settle",
            "payment = self.repository.mark_submitted(",
            "before = self.repository.find(payment_id); before and self.processor.settle(before);"
            " payment = self.repository.mark_submitted(",
        ),
        Mutant(
            "Submitting an unknown payment creates no row.",
            "chalicelib/payments/repository.py::PaymentRepository._mark",
            "Attr('status').eq(Status.PROCESSING.value)",
            "Attr('status').eq(Status.PROCESSING.value) | Attr('PK').not_exists()",
        ),
        Mutant(
            "A repeated message leads to the same outcome.",
            "chalicelib/payments/simulator.py::Simulator._by_id",
            "name.encode()",
            "__import__('os').urandom(8)",
        ),
        Mutant(
            "A payment stays processing while its bank has not decided.",
            "chalicelib/payments/service.py::Payments.ask",
            "case Pending():",
            "case ZeroDivisionError():",
        ),
        Mutant(
            "An expectation that comes after the outcome changes nothing.",
            "chalicelib/payments/repository.py::PaymentRepository.expect",
            "unchanged(item, 'status')",
            "Attr('status').exists()",
        ),
        Mutant(
            "A failed payment stays failed.",
            "chalicelib/payments/models.py::Payment.record",
            "Status.PROCESSING, Completed()",
            "Status.PROCESSING | Status.FAILED, Completed()",
        ),
        Mutant(
            "What a bank says again is no event.",
            "chalicelib/payments/models.py::_is_told",
            "str(fact) in one.contradictions",
            "False",
        ),
        Mutant(
            "What a bank says that does not fit is an event.",
            "chalicelib/payments/models.py::_is_told",
            "return has_ended_so and one.bank_code == fact.bank_code",
            "return True",
        ),
        Mutant(
            "The totals move in the transaction that settles the payment.",
            "chalicelib/payments/repository.py::PaymentRepository.change_all",
            "*self._totals(events[0].payment_id, moved)",
            "*([self._payments.write(total) for total in"
            " self._totals(events[0].payment_id, moved)] and [])",
        ),
        Mutant(
            "The payments of a batch are marked before a processor is asked for one of them.",
            "chalicelib/payments/settling.py::Settling.settle",
            "marked = self._marked(",
            "[self.payments.processor.settle(one) for one in self.payments.repository.find_many("
            "[m.payment_id for m in messages]).values()]; marked = self._marked(",
        ),
        Mutant(
            "A payment that is settled already is not in the way of its batch.",
            "chalicelib/payments/settling.py::Settling._marked",
            "except Exception",
            "except ZeroDivisionError",
        ),
        Mutant(
            "A payment that another worker settles meanwhile is not in the way of its batch.",
            "chalicelib/payments/settling.py::Settling._record",
            "self._record(told[:half]) | self._record(told[half:])",
            "{payment.id: error for payment, _ in told}",
        ),
        Mutant(
            "A slow processor holds back no other payment of its batch.",
            "chalicelib/payments/settling.py::_as_they_come",
            "timeout=TOGETHER_SECONDS",
            "timeout=None",
        ),
        Mutant(
            "A return moves the payment's count from completed to returned.",
            "chalicelib/payments/models.py::totals_moved",
            "[_total(payment, before, -1)] if _is_counted(before) else []",
            "[]",
        ),
    ),
    "Refunds and returns": (
        Mutant(
            "The row itself refuses a refund of more than is left.",
            "chalicelib/payments/repository.py::PaymentRepository.create_refund",
            ", reserves=change.refund",
            "",
        ),
        Mutant(
            "A refund that has changed since it was read is not overwritten.",
            "chalicelib/payments/repository.py::PaymentRepository.change_refund",
            "unchanged(old, *_READ_OF_REFUND)",
            "unchanged(old, 'paymentId')",
        ),
        Mutant(
            "A refund that is counted while it is returned is counted once.",
            "chalicelib/payments/repository.py::_READ_OF_REFUND",
            ", 'isCounted'",
            "",
        ),
        Mutant(
            "The amount of a failed refund can be refunded again.",
            "chalicelib/payments/models.py::Payment._settle_refund",
            "Decimal(0) if to is RefundStatus.COMPLETED else refund.amount",
            "Decimal(0)",
        ),
        Mutant(
            "A return takes the whole amount, whatever was refunded.",
            "chalicelib/payments/models.py::Payment.record",
            "amount_returned=self.amount",
            "amount_returned=self.refundable",
        ),
        Mutant(
            "A refund that has not begun is not sent once its payment is returned.",
            "chalicelib/payments/repository.py::PaymentRepository.begin_refund",
            "Attr('status').eq(Status.COMPLETED.value)",
            "Attr('status').exists()",
        ),
        Mutant(
            "A refund that failed for its payment's return is not begun by a late worker.",
            "chalicelib/payments/repository.py::PaymentRepository.begin_refund",
            "if current is not None:",
            "if current is None:",
        ),
        Mutant(
            "A credit gives nothing back.",
            "chalicelib/payments/models.py::Payment._left",
            " and self.direction is Direction.DEBIT",
            "",
        ),
        Mutant(
            "Totals of credits and refunds stand apart from those of debits.",
            "chalicelib/payments/items.py::total_shard_of",
            "total.book is not Book.DEBITS",
            "False",
        ),
        Mutant(
            "A change that loses a race is tried again on the current payment.",
            "chalicelib/aws/dynamodb.py::retry_on_conflict",
            "current = stale.current",
            "stale.current",
        ),
    ),
    "Tables": (
        Mutant(
            "A new item replaces nothing.",
            "chalicelib/aws/dynamodb.py::Table.put_if_absent",
            "Attr(TABLE.hash).not_exists()",
            "Attr(TABLE.hash).not_exists() | Attr(TABLE.hash).exists()",
        ),
        Mutant(
            "A transaction that collides with another is tried again.",
            "chalicelib/aws/dynamodb.py::_CONFLICTS",
            "frozenset({'TransactionConflict'})",
            "frozenset()",
        ),
        Mutant(
            "A failed condition is final only when no other item collided.",
            "chalicelib/aws/dynamodb.py::_raise_if_condition_failed",
            "_CONDITION_FAILED in codes and _collision(error) is None",
            "_CONDITION_FAILED in codes",
        ),
        Mutant(
            "An item is read as of the last write.",
            "chalicelib/aws/dynamodb.py::Table.find",
            "ConsistentRead=True",
            "ConsistentRead=False",
        ),
        Mutant(
            "DynamoDB out of reach is a 503, not a 500.",
            "chalicelib/aws/clients.py::outage_is_unavailable",
            "BotoConnectionError, ",
            "",
        ),
    ),
    "Messages and the sweeper": (
        Mutant(
            "A message is sent after its payment is committed, never before.",
            "chalicelib/payments/service.py::Payments.create",
            "self.repository.create(",
            "enqueue(self.queue, [SettlePayment(payment_id)], stage=self.stage);"
            " self.repository.create(",
        ),
        Mutant(
            "A committed payment is answered as created, even when its message is lost.",
            "chalicelib/messages.py::enqueue",
            "except Unavailable",
            "except MalformedMessage",
        ),
        Mutant(
            "SQS learns of every message of a batch that failed.",
            "chalicelib/messages.py::process_batch",
            "for message_id in failed]",
            "for message_id in failed[1:]]",
        ),
        Mutant(
            "A batch with a failed message raises where SQS would not learn of the message.",
            "chalicelib/messages.py::process_batch",
            "if failed and (not failures_are_kept)",
            "if len(failed) == len(ids) and (not failures_are_kept)",
        ),
        Mutant(
            "One message that fails does not fail the others of its batch.",
            "chalicelib/messages.py::each",
            "except Exception",
            "except ValueError",
        ),
        Mutant(
            "A malformed message is dropped.",
            "chalicelib/messages.py::process_batch",
            "except MalformedMessage",
            "except ZeroDivisionError",
        ),
        Mutant(
            "A message of an unknown type is kept for a newer version.",
            "chalicelib/messages.py::decode",
            "raise UnknownMessage(",
            "raise MalformedMessage(",
        ),
        Mutant(
            "The windows of successive sweeps meet without a gap.",
            "chalicelib/sweeper.py::age_windows",
            "2 ** k + 1",
            "2 ** k + 0.9",
        ),
        Mutant(
            "A stuck payment takes no place from newer ones.",
            "chalicelib/sweeper.py::age_windows",
            "to_moment(now - unit * (2 ** k + 1))",
            "EARLIEST",
        ),
        Mutant(
            "Nothing is enqueued before its outcome is expected.",
            "chalicelib/sweeper.py::_is_asked_for",
            "entry.expected_at <= now",
            "now is not None",
        ),
        Mutant(
            "Stuck payments are reported even while the queue is out of reach.",
            "chalicelib/sweeper.py::_Run._attempted",
            "self.outage = outage",
            "raise",
        ),
        Mutant(
            "A run of the sweeper ends in time.",
            "chalicelib/sweeper.py::_Run.in_time",
            "time.monotonic() >= self.ends",
            "False",
        ),
    ),
    "Webhooks": (
        Mutant(
            "An outcome and its deliveries are one transaction.",
            "chalicelib/payments/service.py::Payments.commit",
            "write(outgoing.writes)",
            "write([])",
        ),
        Mutant(
            "An endpoint receives what it wants when a change is made.",
            "chalicelib/webhooks/outbox.py::WebhookOutbox._endpoints",
            " or self._snapshot.at <= asked",
            "",
        ),
        Mutant(
            "A batch tells who was an endpoint a moment before an outcome.",
            "chalicelib/webhooks/outbox.py::WebhookOutbox._endpoints",
            "max(batch_began, asked - FRESH_SECONDS)",
            "batch_began",
        ),
        Mutant(
            "A delivery is leased only when it is due.",
            "chalicelib/webhooks/repository.py::WebhookRepository.lease",
            "(due := moment_of(found['dueAt'])) > now",
            "(due := moment_of(found['dueAt'])) > until",
        ),
        Mutant(
            "A leased delivery is left to its worker until the lease has expired.",
            "chalicelib/webhooks/repository.py::WebhookRepository.lease",
            "items.due_at(key, until)",
            "items.due_at(key, now)",
        ),
        Mutant(
            "A worker that lost its lease records nothing.",
            "chalicelib/webhooks/repository.py::WebhookRepository.record",
            "'dueAt'",
            "'type'",
        ),
        Mutant(
            "A replay takes no delivery from the worker that holds its lease.",
            "chalicelib/webhooks/repository.py::WebhookRepository.replay",
            "'dueAt', ",
            "",
        ),
        Mutant(
            "A delivery that kills its workers fails after as many attempts as any other.",
            "chalicelib/webhooks/delivery_worker.py::_reason_not_to_send",
            "retry_schedule.MAX_ATTEMPTS",
            "10000",
        ),
        Mutant(
            "Retry-After is honoured.",
            "chalicelib/webhooks/retry_schedule.py::delay_after",
            "max(delay, ",
            "min(delay, ",
        ),
        Mutant(
            "Only a 2xx counts as delivered.",
            "chalicelib/webhooks/http_client.py::PostResult.is_delivered",
            "< 300",
            "< 400",
        ),
        Mutant(
            "Five days of nothing but failures disable an endpoint.",
            "chalicelib/webhooks/retry_schedule.py::should_disable",
            ">= DISABLE_AFTER",
            ">= 2 * DISABLE_AFTER",
        ),
        Mutant(
            "Failures two days apart are no streak.",
            "chalicelib/webhooks/retry_schedule.py::goes_on",
            "<= SILENCE",
            "<= 10 * SILENCE",
        ),
        Mutant(
            "An event of a disabled endpoint is kept, and not sent.",
            "chalicelib/webhooks/models.py::Delivery.of",
            "new.not_sent(FailureReason.ENDPOINT_DISABLED)",
            "new",
        ),
        Mutant(
            "An endpoint that has just succeeded is not disabled for older failures.",
            "chalicelib/webhooks/repository.py::WebhookRepository.disable",
            "read.append('failingSince')",
            "read.append('id')",
        ),
        Mutant(
            "Of two rotations at once, neither loses the secret that the other one showed.",
            "chalicelib/webhooks/repository.py::WebhookRepository._change_request",
            "'secret'",
            "'id'",
        ),
        Mutant(
            "A rotation loses no encrypted secret that another one showed.",
            "chalicelib/webhooks/repository.py::WebhookRepository._replace_secret",
            "'secret'",
            "'PK'",
        ),
        Mutant(
            "A secret is tied to its endpoint and stage.",
            "chalicelib/webhooks/signing.py::encryption_context",
            "'endpoint': endpoint_id",
            "'endpoint': 'EP-'",
        ),
        Mutant(
            "An outage of KMS counts no attempt.",
            "chalicelib/webhooks/models.py::Delivery.given_back",
            "self.attempts[:-1]",
            "self.attempts",
        ),
        Mutant(
            "For 24 hours after a rotation the old secret signs too.",
            "chalicelib/webhooks/models.py::OLD_SECRET_LIFETIME",
            "hours=24",
            "hours=23",
        ),
        Mutant(
            "The signature covers the timestamp that is sent.",
            "chalicelib/webhooks/signing.py::headers",
            "str(int(moment.timestamp()))",
            "str(int(moment.timestamp()) + 1)",
        ),
        Mutant(
            "Every attempt of a delivery has the same webhook-id.",
            "chalicelib/webhooks/delivery_worker.py::DeliveryWorker._post",
            "delivery.event_id",
            "new_id('EVT', now)",
        ),
        Mutant(
            "A host with any private address is not connected to.",
            "chalicelib/webhooks/http_client.py::HttpClient._checked",
            "not all(",
            "addresses and not any(",
        ),
        Mutant(
            "An IPv6 address that carries a private IPv4 address is not public.",
            "chalicelib/webhooks/url_policy.py::is_public",
            "parsed not in _GLOBAL_UNICAST",
            "parsed.is_loopback",
        ),
        Mutant(
            "A server that drips its answer is left at the deadline.",
            "chalicelib/webhooks/http_client.py::_Stream.readinto",
            "self._deadline.left()",
            "15",
        ),
        Mutant(
            "TLS proves the name of the host.",
            "chalicelib/webhooks/http_client.py::HttpClient._exchange",
            "sock = self.trust.wrap_socket(",
            "self.trust.check_hostname = False; sock = self.trust.wrap_socket(",
        ),
    ),
    "Requests, keys and lists": (
        Mutant(
            "No number of a request passes through a float.",
            "chalicelib/exact_json.py::loads",
            "parse_float=_number",
            "parse_float=lambda text: Decimal(float(text))",
        ),
        Mutant(
            "An object that has a name twice is refused.",
            "chalicelib/exact_json.py::_object",
            "if name in result:",
            "if name in result and result[name] == value:",
        ),
        Mutant(
            "An amount with too many decimals is refused, not rounded.",
            "chalicelib/values.py::exact_amount",
            "if written != value:",
            "if not written:",
        ),
        Mutant(
            "A body of more than 64 KiB is refused.",
            "chalicelib/api/routing.py::_json_object",
            "len(body) > MAX_BODY_BYTES",
            "len(body) > MAX_BODY_BYTES + 1",
        ),
        Mutant(
            "Nothing of a body is read before the API key is checked.",
            "chalicelib/api/routing.py::Api._serve",
            "authorize(operation.scope)",
            "_command(request, operation); authorize(operation.scope)",
        ),
        Mutant(
            "A scope includes the ones before it and no other.",
            "chalicelib/api_keys/models.py::ApiKey.may",
            "order.index(own) >=",
            "order.index(own) + 1 >=",
        ),
        Mutant(
            "A revoked key stops working everywhere within half a minute.",
            "chalicelib/api_keys/service.py::ApiKeys._look_up",
            " and now - cached.since < CACHE",
            "",
        ),
        Mutant(
            "A key can be rolled once.",
            "chalicelib/api_keys/repository.py::ApiKeyRepository.replace",
            " & Attr('replacedBy').not_exists()",
            "",
        ),
        Mutant(
            "Without a setting, a key is required.",
            "chalicelib/config.py::from_environment",
            "env.get('PAYFLOW_AUTH') != 'open'",
            "env.get('PAYFLOW_AUTH') == 'required'",
        ),
        Mutant(
            "Web pages of one origin may read the API.",
            "chalicelib/api/routing.py::cors",
            "allow_origin=allowed_origin",
            "allow_origin='*'",
        ),
        Mutant(
            "The answer to a bug tells nothing of the inside.",
            "chalicelib/api/routing.py::Api._serve",
            "'The request failed; quote its request_id.'",
            "repr(error)",
        ),
        Mutant(
            "What looks like a key or a secret is in no line of the log.",
            "chalicelib/telemetry.py::_write",
            r"_SECRET.sub('\\1[redacted]', text)",
            "text",
        ),
        Mutant(
            "A cursor of another filter is refused.",
            "chalicelib/aws/pagination.py::decode_cursor",
            "cursor not in {encode_cursor(last, filters), earlier}",
            "not cursor",
        ),
        Mutant(
            "Payments of one microsecond are all listed.",
            "chalicelib/payments/listing.py::_range",
            "just_before(last)",
            "last[:27]",
        ),
    ),
    "Events, search, exports and the audit log": (
        Mutant(
            "No transaction with an event is sent later than 5 s after its time.",
            "chalicelib/payments/feed.py::in_time",
            "clock() > oldest + SENDING",
            "clock() > oldest + 100 * SENDING",
        ),
        Mutant(
            "A commit that may have come too late for the feed is counted.",
            "chalicelib/payments/feed.py::in_time",
            "now > event.created_at + LATE",
            "now > event.created_at + 100 * LATE",
        ),
        Mutant(
            "The feed ends some seconds ago.",
            "chalicelib/payments/feed.py::read",
            "to_moment(now - behind)",
            "to_moment(now)",
        ),
        Mutant(
            "An event is later than the one before it, whatever the clocks say.",
            "chalicelib/payments/models.py::Payment.next_time",
            "max(now, self.updated_at + _TICK)",
            "now",
        ),
        Mutant(
            "A merchant is found in any case.",
            "chalicelib/values.py::folded",
            ".casefold()",
            "",
        ),
        Mutant(
            "A cursor of another list is refused.",
            "chalicelib/aws/pagination.py::_kind_of",
            "{} if kind is None else {'kind': kind}",
            "{}",
        ),
        Mutant(
            "An export ends at the moment that was fixed when it was created.",
            "chalicelib/exports/walk.py::pages",
            "to_moment(export.up_to)",
            "to_moment(export.created_at)",
        ),
        Mutant(
            "An export worker writes only while it holds the lease.",
            "chalicelib/exports/repository.py::ExportRepository.save",
            "unchanged(old, 'dueAt')",
            "unchanged(old, 'id')",
        ),
        Mutant(
            "A part that nobody saved is not in the file.",
            "chalicelib/exports/models.py::Export.next_part_number",
            "max(1, self.progress.fruitless)",
            "1",
        ),
        Mutant(
            "No cell of an export is a formula to a spreadsheet.",
            "chalicelib/exports/formats.py::Csv.cell",
            "_FORMULA.sub(",
            "re.compile('^$').sub(",
        ),
        Mutant(
            "A key is revoked in one transaction with its audit event.",
            "chalicelib/api_keys/repository.py::ApiKeyRepository.revoke",
            ", audit_items.put(self._table, event)",
            "",
        ),
        Mutant(
            "The audit log shows no path of a URL.",
            "chalicelib/audit/models.py::origin",
            "parts.netloc.rpartition('@')[2]",
            "url",
        ),
    ),
}
"""By the heading that they stand under on the page."""

EVERY: Final = [mutant for part in CATALOGUE.values() for mutant in part]
