"""Webhooks: which are written, who sends them, how often, to where, and signed how."""

from typing import Final

from tests.mutations.mutant import Mutant

DELIVERIES: Final = (
    Mutant(
        "outcome-without-deliveries",
        "A payment's deliveries are written in the transaction of its outcome",
        "chalicelib/payments.py",
        """            self.store.change(payment, change, deliveries)
        except PaymentMoved as moved:
""",
        """            self.store.change(payment, change)
        except PaymentMoved as moved:
""",
        ("test_webhooks",),
    ),
    Mutant(
        "cancel-without-deliveries",
        "The deliveries of a cancel or a return are written in its transaction",
        "chalicelib/payments.py",
        """            self.store.change(payment, change, deliveries)
            self.outbox.hint(deliveries)
""",
        """            self.store.change(payment, change)
            self.outbox.hint(deliveries)
""",
        ("test_webhooks",),
    ),
    Mutant(
        "refund-without-deliveries",
        "A refund's deliveries are written in the transaction of its outcome",
        "chalicelib/refunds.py",
        "self.store.settle_refund(payment, refund, change, deliveries)",
        "self.store.settle_refund(payment, refund, change)",
        ("test_webhooks",),
    ),
    Mutant(
        "delivery-replaces-delivery",
        "A delivery that is written replaces none",
        "chalicelib/store.py",
        'return [{"Put": self._payments.when_absent(item)} for item in items]',
        'return [{"Put": {"TableName": self._payments.name, "Item": encode(one)}} for one in items]',
        ("test_store", "test_webhooks"),
    ),
    Mutant(
        "delivery-hint-before-commit",
        "A delivery is hinted of when it is committed, never before",
        "chalicelib/payments.py",
        """        deliveries = self.outbox.deliveries(change, created=payment.created_at)
        try:
            self.store.change(payment, change, deliveries)
        except PaymentMoved as moved:
            if moved.current.status is Status.PROCESSING:
                raise
            return  # another worker was faster
        self.outbox.hint(deliveries)
""",
        """        deliveries = self.outbox.deliveries(change, created=payment.created_at)
        self.outbox.hint(deliveries)
        try:
            self.store.change(payment, change, deliveries)
        except PaymentMoved as moved:
            if moved.current.status is Status.PROCESSING:
                raise
            return  # another worker was faster
""",
        ("test_webhooks",),
    ),
    Mutant(
        "cancel-hint-before-commit",
        "The delivery of a cancel or a return is hinted of when it is committed",
        "chalicelib/payments.py",
        """            self.store.change(payment, change, deliveries)
            self.outbox.hint(deliveries)
""",
        """            self.outbox.hint(deliveries)
            self.store.change(payment, change, deliveries)
""",
        ("test_webhooks",),
    ),
    Mutant(
        "refund-delivery-hint-before-commit",
        "The delivery of a refund is hinted of when it is committed",
        "chalicelib/refunds.py",
        """        self.store.settle_refund(payment, refund, change, deliveries)
        self.outbox.hint(deliveries)
""",
        """        self.outbox.hint(deliveries)
        self.store.settle_refund(payment, refund, change, deliveries)
""",
        ("test_webhooks",),
    ),
    Mutant(
        "delivery-hint-forgotten",
        "The deliveries of a payment's outcome are hinted of at once",
        "chalicelib/payments.py",
        """            return  # another worker was faster
        self.outbox.hint(deliveries)
""",
        """            return  # another worker was faster
""",
        ("test_webhooks",),
    ),
    Mutant(
        "refund-delivery-hint-forgotten",
        "The delivery of a refund is hinted of at once",
        "chalicelib/refunds.py",
        """        self.store.settle_refund(payment, refund, change, deliveries)
        self.outbox.hint(deliveries)
""",
        """        self.store.settle_refund(payment, refund, change, deliveries)
""",
        ("test_webhooks",),
    ),
    Mutant(
        "lost-delivery-hint-fails-the-worker",
        "A delivery's hint that is lost is left to the sweeper",
        "chalicelib/webhook_outbox.py",
        "        except Unavailable as error:\n",
        "        except NotImplementedError as error:\n",
        ("test_webhooks",),
    ),
    Mutant(
        "endpoints-read-before",
        "What is created after an endpoint reaches it, however lately the endpoints were read",
        "chalicelib/webhook_outbox.py",
        "if known is None or known.at <= created or now - known.at >= CACHE:",
        "if known is None or now - known.at >= CACHE:",
        ("test_webhooks",),
    ),
    Mutant(
        "endpoints-known-for-ever",
        "What is known of the endpoints is used for seconds and no longer",
        "chalicelib/webhook_outbox.py",
        "if known is None or known.at <= created or now - known.at >= CACHE:",
        "if known is None or known.at <= created:",
        ("test_webhooks",),
    ),
    Mutant(
        "sent-although-not-wanted",
        "An endpoint is sent what it has chosen and nothing else",
        "chalicelib/webhook_model.py",
        "return bool({Subscription.EVERYTHING, Subscription(event.value)} & set(self.events))",
        "return bool({Subscription.EVERYTHING, Subscription(event.value)} | set(self.events))",
        ("test_webhooks",),
    ),
    Mutant(
        "disabled-is-written-to",
        "For a disabled endpoint no delivery is written",
        "chalicelib/webhook_model.py",
        "if not self.enabled or event.value not in set(Subscription):",
        "if event.value not in set(Subscription):",
        ("test_webhooks",),
    ),
    Mutant(
        "disabled-is-sent-to",
        "What is on its way to an endpoint that was disabled is not sent",
        "chalicelib/webhook_delivery.py",
        "    if not endpoint.enabled:\n",
        "    if not endpoint.url:\n",
        ("test_webhooks",),
    ),
    Mutant(
        "claimed-before-it-is-due",
        "A hint makes no attempt that is not due, however often it comes",
        "chalicelib/webhook_store.py",
        '"ConditionExpression": "dueAt <= :now",',
        '"ConditionExpression": "dueAt <= :now OR attribute_exists(dueAt)",',
        ("test_webhooks",),
    ),
    Mutant(
        "sent-although-done",
        "What is delivered or has failed is not sent again by a late hint",
        "chalicelib/webhook_store.py",
        '"ConditionExpression": "dueAt <= :now",',
        '"ConditionExpression": "dueAt <= :now OR (attribute_exists(PK) '
        'AND attribute_not_exists(dueAt))",',
        ("test_webhooks",),
    ),
    Mutant(
        "claim-without-a-lease",
        "A claim puts the next attempt off past its worker's own end",
        "chalicelib/webhook_store.py",
        '":until": _due_at(key, until),',
        '":until": _due_at(key, now),',
        ("test_webhooks",),
    ),
    Mutant(
        "lease-shorter-than-the-work",
        "A claim holds for longer than its function may run",
        "chalicelib/config.py",
        'env.get("PAYFLOW_DELIVERY_LEASE_SECONDS", "75")',
        'env.get("PAYFLOW_DELIVERY_LEASE_SECONDS", "45")',
        ("test_config",),
    ),
    Mutant(
        "written-after-the-claim",
        "A worker that took longer than its claim undoes nothing",
        "chalicelib/webhook_store.py",
        'self._step(claimed, after, "dueAt")',
        'self._step(claimed, after, "type")',
        ("test_webhooks",),
    ),
    Mutant(
        "replay-of-what-is-claimed",
        "A replay does not take a delivery from the worker that has claimed it",
        "chalicelib/webhook_store.py",
        'self._step(before, after, "dueAt", "state")',
        'self._step(before, after, "state")',
        ("test_webhooks",),
    ),
    Mutant(
        "replay-of-what-has-moved",
        "A replay holds only while the delivery is in the state that was seen",
        "chalicelib/webhook_store.py",
        'self._step(before, after, "dueAt", "state")',
        'self._step(before, after, "dueAt")',
        ("test_webhooks",),
    ),
    Mutant(
        "replay-under-way",
        "An attempt that is under way is not replayed beside itself",
        "chalicelib/webhook_model.py",
        "        if is_under_way and self.next_attempt_at",
        "        if not is_under_way and self.next_attempt_at",
        ("test_webhooks",),
    ),
    Mutant(
        "killed-workers-without-end",
        "A delivery that kills its workers ends after as many attempts as any",
        "chalicelib/webhook_delivery.py",
        "    if len(claimed.attempts) - claimed.attempts_before > webhook_schedule.MAX_ATTEMPTS:\n",
        "    if len(claimed.attempts) - claimed.attempts_before > 10_000:\n",
        ("test_webhooks",),
    ),
    Mutant(
        "next-attempt-not-hinted",
        "The next attempt is hinted of when SQS can wait for it",
        "chalicelib/webhook_delivery.py",
        "            self._hint(after.id, after.next_attempt_at - now)\n",
        "            after.next_attempt_at - now\n",
        ("test_webhooks",),
    ),
    Mutant(
        "next-attempt-hinted-early",
        "The hint of the next attempt comes when that is due",
        "chalicelib/webhook_delivery.py",
        "delay_seconds=ceil(delay.total_seconds())",
        "delay_seconds=int(delay.total_seconds() / 2)",
        ("test_webhooks",),
    ),
    Mutant(
        "an-attempt-too-many",
        "A delivery is attempted ten times",
        "chalicelib/webhook_schedule.py",
        "if attempts >= MAX_ATTEMPTS:",
        "if attempts >= MAX_ATTEMPTS - 1:",
        ("test_webhook_schedule",),
    ),
    Mutant(
        "sooner-than-asked",
        "Retry-After is honoured",
        "chalicelib/webhook_schedule.py",
        "return max(delay, min(retry_after, MAX_RETRY_AFTER) * (1 + _SPREAD * chance))",
        "return delay",
        ("test_webhook_schedule",),
    ),
    Mutant(
        "put-off-for-ever",
        "No merchant can put an attempt off for more than a day",
        "chalicelib/webhook_schedule.py",
        "min(retry_after, MAX_RETRY_AFTER)",
        "retry_after",
        ("test_webhook_schedule",),
    ),
    Mutant(
        "redirect-is-success",
        "Only 2xx is delivered",
        "chalicelib/webhook_sender.py",
        "200 <= self.status < 300",
        "200 <= self.status < 400",
        ("test_webhook_sender",),
    ),
    Mutant(
        "half-an-answer-is-success",
        "An answer that does not end in time is not believed",
        "chalicelib/webhook_sender.py",
        "return self.error is None and self.status is not None and 200",
        "return self.status is not None and 200",
        ("test_webhook_sender",),
    ),
    Mutant(
        "gone-is-ignored",
        "410 disables the endpoint",
        "chalicelib/webhook_sender.py",
        "return self.error is None and self.status == 410",
        "return self.error is None and self.status == 411",
        ("test_webhook_sender", "test_webhooks"),
    ),
    Mutant(
        "never-given-up",
        "Five days of nothing but failures disable the endpoint",
        "chalicelib/webhook_schedule.py",
        "return failing_since is not None and now - failing_since >= GIVEN_UP_AFTER",
        "return failing_since is not None and now - failing_since >= 2 * GIVEN_UP_AFTER",
        ("test_webhook_schedule", "test_webhooks"),
    ),
    Mutant(
        "five-days-from-the-last-failure",
        "The five days count from the first failure after the last success",
        "chalicelib/webhook_store.py",
        '"SET failingSince = if_not_exists(failingSince, :now)"',
        '"SET failingSince = :now"',
        ("test_webhooks",),
    ),
    Mutant(
        "success-forgets-what-it-has-not-seen",
        "A success forgets the failures that it has seen and no later one",
        "chalicelib/webhook_store.py",
        '"REMOVE failingSince", "failingSince = :seen", seen',
        '"REMOVE failingSince", "failingSince = :seen OR attribute_exists(PK)", seen',
        ("test_webhooks",),
    ),
    Mutant(
        "failure-of-a-deleted-endpoint",
        "A failure of an endpoint that was deleted leaves no row of it",
        "chalicelib/webhook_store.py",
        """            "attribute_exists(PK)",
            {":now": rfc3339(now)},
""",
        """            "attribute_exists(PK) OR attribute_not_exists(PK)",
            {":now": rfc3339(now)},
""",
        ("test_webhooks",),
    ),
    Mutant(
        "an-eleventh-endpoint",
        "There are ten endpoints at most, however many are added at once",
        "chalicelib/webhook_store.py",
        '"attribute_not_exists(endpoints) OR endpoints < :most"',
        '"attribute_not_exists(endpoints) OR endpoints <= :most"',
        ("test_webhooks",),
    ),
    Mutant(
        "deleted-twice",
        "An endpoint that is deleted twice is counted off once",
        "chalicelib/webhook_store.py",
        """            "ConditionExpression": "attribute_exists(PK)",
        }
        one_less""",
        """            "ConditionExpression": "attribute_exists(PK) OR attribute_not_exists(PK)",
        }
        one_less""",
        ("test_webhooks",),
    ),
    Mutant(
        "deleted-but-counted",
        "A deleted endpoint makes room for another",
        "chalicelib/webhook_store.py",
        'self._table.transact(token, {"Delete": there}, {"Update": one_less})',
        'self._table.transact(token, {"Delete": there})',
        ("test_webhooks",),
    ),
    Mutant(
        "rotation-over-rotation",
        "Of two rotations at once neither loses the secret that the other has shown",
        "chalicelib/webhook_store.py",
        'self._table.update(self._table.step(old, new, "secret"))',
        'self._table.update(self._table.step(old, new, "id"))',
        ("test_webhooks",),
    ),
    Mutant(
        "disabled-twice",
        "Of two workers that disable an endpoint one does, with one event",
        "chalicelib/webhook_store.py",
        'seen = ["isEnabled", "url"]',
        'seen = ["url"]',
        ("test_webhooks",),
    ),
    Mutant(
        "another-url-disabled",
        "What the old URL has answered does not disable the endpoint at its new one",
        "chalicelib/webhook_store.py",
        'seen = ["isEnabled", "url"]',
        'seen = ["isEnabled"]',
        ("test_webhooks",),
    ),
    Mutant(
        "disabled-after-a-success",
        "A success that comes before it keeps an endpoint from being disabled for its failures",
        "chalicelib/webhook_store.py",
        '            seen.append("failingSince")\n',
        '            seen.append("id")\n',
        ("test_webhooks",),
    ),
    Mutant(
        "url-told-to-who-sees-deliveries",
        "A test event does not tell the endpoint's URL, which may be as good as a password",
        "chalicelib/webhook_outbox.py",
        'exclude={"url"} if isinstance(data, Endpoint) else None',
        "exclude=None",
        ("test_webhooks",),
    ),
    Mutant(
        "signature-of-something-else",
        "The signature is of the bytes that are sent",
        "chalicelib/webhook_signature.py",
        "Webhook(secret).sign(webhook_id, moment, text)",
        'Webhook(secret).sign(webhook_id, moment, text + "\\n")',
        ("test_webhook_signature",),
    ),
    Mutant(
        "signature-of-another-time",
        "The signature is of the timestamp that is sent",
        "chalicelib/webhook_signature.py",
        '"webhook-timestamp": str(int(moment.timestamp())),',
        '"webhook-timestamp": str(int(moment.timestamp()) + 1),',
        ("test_webhook_signature",),
    ),
    Mutant(
        "old-secret-dropped",
        "While a secret is rotated what is sent is signed with the old one too",
        "chalicelib/webhook_model.py",
        "return [self.secret, *(old.secret for old in self.old_secrets if now < old.until)]",
        "return [self.secret]",
        ("test_webhooks",),
    ),
    Mutant(
        "old-secret-for-ever",
        "An old secret signs for 24 hours and no longer",
        "chalicelib/webhook_model.py",
        "return [self.secret, *(old.secret for old in self.old_secrets if now < old.until)]",
        "return [self.secret, *(old.secret for old in self.old_secrets)]",
        ("test_webhooks",),
    ),
    Mutant(
        "an-id-for-each-attempt",
        "Every attempt of a delivery has the same webhook-id",
        "chalicelib/webhook_delivery.py",
        "webhook_signature.headers(delivery.event_id, now, body,",
        'webhook_signature.headers(new_id("EVT", now), now, body,',
        ("test_webhooks",),
    ),
    Mutant(
        "private-address",
        "Nothing is sent to an address that is not public",
        "chalicelib/webhook_sender.py",
        "if not self.allows_private and not all(",
        "if self.allows_private and not all(",
        ("test_webhook_sender",),
    ),
    Mutant(
        "one-public-address-is-enough",
        "A name that leads to a private address beside a public one is refused",
        "chalicelib/webhook_sender.py",
        "if not self.allows_private and not all(",
        "if not self.allows_private and not any(",
        ("test_webhook_sender",),
    ),
    Mutant(
        "private-host-registered",
        "An endpoint on a private address is refused when it is made",
        "chalicelib/webhook_url.py",
        "        return is_public(host)\n",
        "        return bool(host)\n",
        ("test_webhook_url",),
    ),
    Mutant(
        "http-registered",
        "An endpoint is HTTPS",
        "chalicelib/webhook_url.py",
        'if not (url.scheme == "https" or (allows_private and url.scheme in _SCHEMES)):',
        "if url.scheme not in _SCHEMES:",
        ("test_webhook_url",),
    ),
    Mutant(
        "address-inside-an-address",
        "An IPv6 address that carries a private IPv4 one is not public",
        "chalicelib/webhook_url.py",
        "if isinstance(parsed, IPv6Address) and parsed not in _GLOBAL_UNICAST:",
        "if isinstance(parsed, IPv6Address) and parsed.is_loopback:",
        ("test_webhook_url",),
    ),
    Mutant(
        "answer-without-end",
        "No more than 64 KiB of an answer is read",
        "chalicelib/webhook_sender.py",
        "        self._unread -= len(data)\n",
        "        self._unread -= 0\n",
        ("test_webhook_sender",),
    ),
    Mutant(
        "deadline-for-each-byte",
        "A server that drips its answer is left at the deadline",
        "chalicelib/webhook_sender.py",
        """        self._sock.settimeout(self._deadline.left())
        data = self._sock.recv(_READ_BYTES)
""",
        """        self._sock.settimeout(15)
        data = self._sock.recv(_READ_BYTES)
""",
        ("test_webhook_sender",),
    ),
    Mutant(
        "certificate-not-looked-at",
        "TLS proves the name of the endpoint",
        "chalicelib/webhook_sender.py",
        "sock = self.trust.wrap_socket(sock, server_hostname=target.host)",
        "self.trust.check_hostname = False\n"
        "                sock = self.trust.wrap_socket(sock, server_hostname=target.host)",
        ("test_webhook_sender",),
    ),
)
