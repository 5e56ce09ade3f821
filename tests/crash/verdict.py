"""What must be true at the end of a chapter."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from chalicelib.payments.models import Status
from chalicelib.payments.simulator import SIMULATE
from tests import invariants
from tests.crash.merchant import Request, Wish

_WORTH_ANOTHER_TRY = frozenset({"Conflict", "PaymentMoved", "SimulatedOutage", "Unavailable"})


def verdict(
    books: invariants.Books,
    requests: Sequence[Request],
    secrets: Mapping[str, str],
    received: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
) -> list[str]:
    """The promises that were broken: of what lies in the tables, of what clients were told, of
    what the merchants behind the endpoints got, and of what the functions said.
    """
    answers = [one.told["body"] for one in requests if one.succeeded and one.key and one.told]
    return [
        *invariants.broken(books, endpoints=len(secrets)),
        *invariants.unsettled(books),
        *invariants.wrongly_settled(books),
        *invariants.forgotten(books, answers),
        *(complaint for one in requests for complaint in one.complaints),
        *unanswered(books, requests),
        *_not_as_told(books, requests),
        *_undelivered(books, secrets, received),
        *_bugs(said),
    ]


def unanswered(books: invariants.Books, requests: Sequence[Request]) -> Iterator[str]:
    """Who still waits for an answer that will come."""
    for one in requests:
        if one.is_done:
            continue
        life = books.lives.get(one.payment_id or "")
        # A return waits for refunds, and one that hangs for ever holds it up for ever.
        if not (one.wish is Wish.RETURN and life and invariants.under_way(life.refunds)):
            yield f"{one.wish} of {one.payment_id or one.key}: no answer in {one.asked} tries"


def _not_as_told(books: invariants.Books, requests: Sequence[Request]) -> Iterator[str]:
    """Who was told that it is done finds it done; who was refused a refund finds none."""
    wanted = {one.key for one in requests if one.wish is Wish.CREATE}
    for payment in books.payments:
        if payment.idempotency_key not in wanted:
            yield f"{payment.id}: nobody asked for it"
        if payment.status is Status.CANCELED and payment.submitted_at is not None:
            yield f"{payment.id}: canceled after the processor was asked"
        if payment.status is Status.FAILED and payment.metadata.get(SIMULATE) == "completed":
            yield f"{payment.id}: failed, against its processor's word"
    for one in requests:
        if one.wish is Wish.REFUND and one.is_done and not one.succeeded:
            refunds = books.lives[one.payment_id or ""].refunds.values()
            if any(refund.idempotency_key == one.key for refund in refunds):
                yield f"{one.key}: refused with {one.told}, and made"
        if one.wish in {Wish.CANCEL, Wish.RETURN} and one.succeeded:
            status = books.lives[one.payment_id or ""].payment.status
            told = json.loads(one.told["body"])["status"] if one.told else None
            if status != told:
                yield f"{one.payment_id}: told {told}, and is {status}"


def _undelivered(
    books: invariants.Books, secrets: Mapping[str, str], received: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Every outcome has reached each merchant, signed, and as the delivery has it."""
    taken: dict[tuple[str, str], set[str]] = {}
    for post in received:
        if not _is_signed(post, secrets[post["path"]]):
            yield f"not signed, or not rightly: {post}"
        if post["taken"]:
            where = (post["path"], post["headers"]["webhook-id"])
            taken.setdefault(where, set()).add(post["body"])
    expected = {
        (path, invariants.event_of(row)): row["payload"]
        for life in books.lives.values()
        for row in life.deliveries
        for path in secrets
    }
    for life in books.lives.values():
        for row in life.deliveries:
            if row["state"] != "delivered":
                yield f"the delivery of {invariants.event_of(row)} is {row['state']}: {row}"
    for where, payload in expected.items():
        if taken.get(where) != {payload}:
            yield f"{where} got {taken.get(where)}, and not {payload}"
    for where in taken.keys() - expected.keys():
        yield f"{where}: no delivery says so"


def _bugs(said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What was tried again, and was not an outage or a collision; and a hint of what is not
    there: it was sent before it was true.
    """
    for line in said:
        match line:
            case {"kind": "bug", "trace": trace}:
                yield f"a bug: {trace}"
            case {"kind": "message_failed", "error": error, "trace": trace}:
                if error.partition(":")[0] not in _WORTH_ANOTHER_TRY:
                    yield f"a message failed: {trace}"
            case {"kind": "message_dropped"}:
                yield f"a message was dropped: {line}"


def _is_signed(post: Mapping[str, Any], secret: str) -> bool:
    """By the standard's own library, at the time that it says: ours is not the clock's."""
    headers = post["headers"]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(headers["webhook-id"], at, post["body"])
    return signature in headers["webhook-signature"].split(" ")
