"""The promises that must be kept at the end of a chapter."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from chalicelib.payments.models import RefundStatus, Status
from chalicelib.payments.simulator import SIMULATE
from tests import invariants
from tests.crash.merchant import Request, Wish

_WORTH_ANOTHER_TRY = frozenset(
    {"Conflict", "SimulatedOutage", "StaleVersion", "Throttled", "Unavailable"}
)


def verdict(
    books: invariants.Books,
    requests: Sequence[Request],
    secrets: Mapping[str, str],
    received: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Return the broken promises.

    `books` is the content of the tables, `received` what merchants received, `said` the log.
    """
    made = (one for one in requests if one.wish in {Wish.CREATE, Wish.REFUND} and one.succeeded)
    answers = [one.told["body"] for one in made if one.told]
    return [
        *invariants.broken(books, endpoints=len(secrets)),
        *invariants.unsettled(books),
        *invariants.wrongly_settled(books),
        *invariants.forgotten(books, answers),
        *(complaint for one in requests for complaint in one.complaints),
        *unanswered(requests),
        *_not_as_told(books, requests),
        *_undelivered(books, secrets, received),
        *_bugs(said),
    ]


def unanswered(requests: Sequence[Request]) -> Iterator[str]:
    """Yield requests that are still unanswered, and should not be."""
    for one in requests:
        if not one.is_done:
            yield f"{one.wish} of {one.payment_id or one.key}: no answer in {one.asked} tries"


def _not_as_told(books: invariants.Books, requests: Sequence[Request]) -> Iterator[str]:
    """Check that what clients were told is true, and that refused refunds do not exist."""
    wanted = {one.key for one in requests if one.wish is Wish.CREATE}
    for payment in books.payments:
        if payment.idempotency_key not in wanted:
            yield f"{payment.id}: no client asked for it"
        if payment.status is Status.CANCELED and payment.submitted_at is not None:
            yield f"{payment.id}: canceled after the processor was asked"
        if payment.status is Status.FAILED and payment.metadata.get(SIMULATE) == "completed":
            yield f"{payment.id}: failed, against its processor's word"
    yield from _answered_otherwise(books, requests)


def _answered_otherwise(books: invariants.Books, requests: Sequence[Request]) -> Iterator[str]:
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
        if one.wish is Wish.REFUND_RETURN and one.succeeded:
            yield from _not_returned(books, one)


def _not_returned(books: invariants.Books, request: Request) -> Iterator[str]:
    refund_id = (request.body or {})["refund_id"]
    refund = books.lives[request.payment_id or ""].refunds[refund_id]
    if refund.status is not RefundStatus.RETURNED:
        yield f"{refund.id}: told that it is returned, and is {refund.status}"


def _undelivered(
    books: invariants.Books, secrets: Mapping[str, str], received: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Check that every outcome reached each merchant, signed, with the payload of its delivery."""
    taken: dict[tuple[str, str], set[str]] = {}
    for post in received:
        if not _is_signed(post, secrets[post["path"]]):
            yield f"not signed, or with a wrong signature: {post}"
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
        yield f"{where}: received without a delivery"


def _bugs(said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield failures that were no outage and no collision, and messages that were dropped.

    A message of something that does not exist was enqueued before its commit.
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
    """Verify by the standard's own library, at the time of the headers: the clock is not real."""
    headers = post["headers"]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(headers["webhook-id"], at, post["body"])
    return signature in headers["webhook-signature"].split(" ")
