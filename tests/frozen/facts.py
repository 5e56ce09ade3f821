"""What the code stores, sends and deploys today, in the form of the files of facts."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from infra.local.lambda_events import api_event, sqs_event
from tests.conftest import SESSION, SETTINGS
from tests.frozen import product
from tests.frozen.scenario import START

FOLDER: Final = Path(__file__).parent
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


def releases(name: str) -> list[str]:
    """Those that have this file of facts, the oldest first."""
    found = (path.parent.name for path in FOLDER.glob(f"[0-9]*/{name}.json"))
    return sorted(found, key=lambda release: [int(part) for part in release.split(".")])


def read(release: str, name: str) -> Any:
    """A release's file of facts."""
    return json.loads((FOLDER / release / f"{name}.json").read_text())


def newest(name: str) -> Any:
    """The file of facts as the last release that changed it left it."""
    return read(releases(name)[-1], name)


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


class _Environment(dict[str, str]):
    """Has the settings of the tests, and keeps the names that it is asked for."""

    def get(self, name: str, default: Any = None) -> Any:
        return self.setdefault(name, SETTINGS.get(name, default))


def settings() -> list[str]:
    """The names in the environment that the app reads."""
    asked = _Environment()
    product.read_settings(asked)
    return sorted(asked)


def _without_times(line: str) -> str:
    line = re.sub(r'"(time_ms|Timestamp)": [0-9]+', r'"\1": 1795384621120', line)
    return re.sub(r'"latency_ms": [0-9.]+', '"latency_ms": 12.3', line)


def log_lines(payment_id: str) -> dict[str, Any]:
    """Lines of the log: of requests, as `/v1/logs` reads them back, and of a metric."""
    by_id = {"payment_id": payment_id}
    events = [
        api_event("POST", "/v1/payments", {}),
        api_event("GET", "/v1/payments/{payment_id}/events", **by_id),
        api_event("GET", "/v1/payments/{payment_id}", payment_id="of a stranger"),
    ]
    written = io.StringIO()
    with redirect_stdout(written):
        for number, event in enumerate(events):
            event["requestContext"]["requestId"] = f"request-{number}"
            product.app.app(event, None)
        product.write_metric("prod", SomethingHappened=2)
    *requests, metric = map(_without_times, written.getvalue().splitlines())
    return {"requests": requests, "metric": metric}


class CloudWatch:
    """Has lines, and gives them to the first who asks."""

    exceptions = SESSION.client("logs").exceptions

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def filter_log_events(self, **_: Any) -> Any:
        lines, self._lines = self._lines, []
        return {"events": [{"message": line} for line in lines]}


def logs(lines: list[str]) -> str:
    """What `/v1/logs` makes of the lines of requests."""
    return product.logs(CloudWatch(lines), START + timedelta(seconds=1))


def without_prose(document: Any) -> Any:
    """An OpenAPI document without its titles, summaries and descriptions."""
    match document:
        case dict():
            return {
                name: without_prose(part)
                for name, part in document.items()
                # A property of that name has a schema, and is no prose.
                if not (name in {"title", "summary", "description"} and isinstance(part, str))
            }
        case list():
            return [without_prose(part) for part in document]
    return document


def stack(template: Mapping[str, Any]) -> dict[str, Any]:
    """By what a deployed stack knows its parts: another name or type makes a new one."""
    resources = {
        logical_id: {"Type": resource["Type"], **_identity(resource.get("Properties", {}))}
        for logical_id, resource in template["Resources"].items()
    }
    outputs = {name: output["Value"] for name, output in template.get("Outputs", {}).items()}
    parameters = {name: parameter["Type"] for name, parameter in template["Parameters"].items()}
    return {"parameters": parameters, "outputs": outputs, "resources": resources}


def _identity(properties: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in properties.items()
        if name in {"KeySchema", "GlobalSecondaryIndexes"}
        or (name.endswith("Name") and name != "MetricName")
    }
    if "Events" in properties:  # SAM makes a resource of each, named for it
        kept["Events"] = {name: event["Type"] for name, event in properties["Events"].items()}
    return kept


def missing(frozen: Any, current: Any, place: str = "") -> Iterator[str]:
    """The places where `current` lacks what `frozen` has, or says it in another way."""
    match frozen, current:
        case dict(), dict():
            for name, part in frozen.items():
                now = current.get(name, "nothing")
                yield from missing(part, now, f"{place}/{name}")
        case [{"IndexName": _}, *_], list():  # a later version may add an index
            was, now = ({one["IndexName"]: one for one in side} for side in (frozen, current))
            yield from missing(was, now, place)
        case list(), list() if len(frozen) == len(current):
            for index, (part, now) in enumerate(zip(frozen, current, strict=True)):
                yield from missing(part, now, f"{place}/{index}")
        case _ if frozen != current:
            yield f"{place}: {frozen}, now {current}"


def parsed(text: str) -> Any:
    """JSON whose numbers are the digits that stand there."""
    return json.loads(text, parse_float=str)
