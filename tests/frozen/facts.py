"""What the code stores, sends and deploys today, in the form of the files of facts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.frozen import product
from tests.lambda_events import api_event, sqs_event

FOLDER: Final = Path(__file__).parent
RELEASES: Final = sorted(
    (folder.name for folder in FOLDER.iterdir() if folder.name[0].isdigit()),
    key=lambda name: [int(part) for part in name.split(".")],
)
"""Oldest first."""

QUEUES: Final = ("webhook_processor", "delivery_worker")
BODIES: Final = (
    '{"type":"settle_payment","payment_id":"PAY-01M82Y8T27997E9EYD0G6SK6MT"}',
    '{"payment_id":"PAY-01M82Y8T27997E9EYD0G6SK6MT", "type":"settle_payment", "later":1}',
    '{"type":"settle_refund","payment_id":"PAY-01M82Y8T27997E9EYD0G6SK6MT",'
    '"refund_id":"REF-01M82Y8T27997E9EYD0G6SK6MT"}',
    '{"type":"deliver","delivery_id":"DLV-01M82Y8T27997E9EYD0G6SK6MT01M82Y8T27997E9EYD0G6SK6MT"}',
    '{"type":"of a later version","payment_id":"PAY-01M82Y8T27997E9EYD0G6SK6MT"}',
    '{"type":"settle_payment"}',
    '{"type":"settle_payment","payment_id":"PAY-1"}',
    '{"type":"deliver","delivery_id":"DLV-1"}',
    '{"type":7}',
    '["settle_payment"]',
    '{"type":"settle_payment"',
    "",
)
"""Messages that each queue may hold: known, of a later version, and malformed."""

LAST: Final = "2026-11-22T21:57:01.120000Z#{kind}-01M82Y8T27997E9EYD0G6SK6MT"
LISTS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("payments", {}),
    ("payments", {"limit": "7"}),
    ("payments", {"status": "completed"}),
    ("payments", {"status": "processing", "type": "eft", "currency": "CAD"}),
    ("payments", {"created_from": "2026-11-22", "created_to": "2026-11-23"}),
    ("payments", {"type": "wire", "created_from": "2026-11-22T21:57:01.5-05:00"}),
    ("deliveries", {"endpoint_id": "EP-01M82Y8T27997E9EYD0G6SK6MT"}),
    ("deliveries", {"endpoint_id": "EP-01M82Y8T27997E9EYD0G6SK6MT", "status": "failed"}),
)
PAYMENT: Final = {
    "merchant": "Northern Lights Coffee",
    "amount": "12.50",
    "currency": "CAD",
    "type": "eft",
    "idempotency_key": "order-10023",
}
REQUESTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("create_payment", PAYMENT),
    ("create_payment", PAYMENT | {"amount": "12.5"}),
    ("create_payment", PAYMENT | {"amount": 1000000, "currency": "USD", "type": "wire"}),
    ("create_payment", PAYMENT | {"description": "Caf\u00e9 \u2713\nsecond line"}),
    ("create_payment", PAYMENT | {"description": None, "metadata": {}}),
    ("create_payment", PAYMENT | {"metadata": {"b": "2", "a": "\u2713"}}),
    ("create_refund", {"idempotency_key": "refund-of-order-10023"}),
    ("create_refund", {"idempotency_key": "refund-of-order-10023", "amount": "5.00"}),
    ("create_refund", {"idempotency_key": "refund-of-order-10023", "reason": "Out of stock"}),
)


def read(release: str, name: str) -> Any:
    """A release's file of facts."""
    return json.loads((FOLDER / release / f"{name}.json").read_text())


def cursors() -> list[Any]:
    places = {"payments": LAST.format(kind="PAY"), "deliveries": LAST.format(kind="EVT")}
    return [
        {
            "list": kind,
            "filters": filters,
            "last": places[kind],
            "cursor": product.cursor_at(kind, filters, places[kind]),
        }
        for kind, filters in LISTS
    ]


def fingerprints() -> list[Any]:
    return [
        {"command": command, "fields": fields, "fingerprint": product.digest_of(command, fields)}
        for command, fields in REQUESTS
    ]


def received() -> list[Any]:
    """What the handlers do with a message in a stage that has no rows."""
    return [
        {"handler": handler, "body": body, "is_retried": is_retried(handler, body)}
        for handler in QUEUES
        for body in BODIES
    ]


def is_retried(handler: str, body: str) -> bool:
    answer = getattr(product.app, handler)(sqs_event(body), None)
    return bool(answer["batchItemFailures"])


def get(path: str) -> str:
    """What a GET of `path`, with its query, is answered."""
    parts = urlsplit(path)
    route, ids = _route_of(parts.path)
    event = api_event("GET", route, **ids)
    event["multiValueQueryStringParameters"] = parse_qs(parts.query) or None
    answer = product.app.app(event, None)
    assert answer["statusCode"] == 200, answer
    body: str = answer["body"]
    return body


def _route_of(path: str) -> tuple[str, dict[str, str]]:
    """The route with its placeholder, and the id that stands there."""
    _, version, collection, *rest = path.split("/")
    if not rest:
        return path, {}
    name = {"payments": "payment_id", "webhook_endpoints": "endpoint_id"}[collection]
    return "/".join(["", version, collection, f"{{{name}}}", *rest[1:]]), {name: rest[0]}


def answers(rows: list[Any]) -> dict[str, str]:
    """What the API answers to reads in a stage that has `rows`."""
    return {path: get(path) for path in _paths(rows)}


def _paths(rows: list[Any]) -> Iterator[str]:
    def ids(kind: str) -> list[str]:
        return [row["id"]["S"] for row in rows if "SK" in row and row["SK"]["S"].startswith(kind)]

    yield "/v1/payments"
    yield from (
        f"/v1/payments?{query}"
        for query in (
            "limit=2", "type=ach&limit=1", "status=processing&limit=1", "status=completed&limit=1",
            "status=failed&limit=1", "status=canceled", "status=returned&limit=1",
            "created_to=2026-11-23&limit=1",
        )
    )  # fmt: skip
    for payment_id in ids("PAYMENT"):
        yield from (
            f"/v1/payments/{payment_id}/{part}" for part in ("refunds", "events", "deliveries")
        )
    yield "/v1/webhook_endpoints"
    for endpoint_id in ids("ENDPOINT#"):
        yield f"/v1/webhook_endpoints/{endpoint_id}/deliveries?limit=1"
        yield f"/v1/webhook_endpoints/{endpoint_id}/deliveries?status=failed&limit=1"
    yield "/v1/api_keys"
    yield "/v1/stats?from=2026-11-22&to=2026-12-01"
