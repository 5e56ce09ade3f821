"""Settings of schemathesis for PayFlow: a stricter document, our own checks, and the refusals that
a schema cannot express.
"""

import atexit
import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

KEY: Final = os.environ.get("PAYFLOW_FUZZ_KEY", "")
KEY_ID: Final = f"KEY-{hashlib.sha256(KEY.encode()).hexdigest()[:20].upper()}"
NO_KEYS_ID: Final = "KEY-00000000000000000000"
TAKE_A_KEY: Final = {
    "POST /v1/payments",
    "POST /v1/payments/{payment_id}/refunds",
    "POST /v1/exports",
}
MAY_TAKE_A_KEY: Final = {"POST /v1/webhook_endpoints", "POST /v1/api_keys"}
SECRETS: Final = {"secret", "key"}
"""What only the first answer shows."""

RETURNS_A_REFUND: Final = "POST /v1/payments/{payment_id}/simulate_refund_return"
REFUND: Final = os.environ.get("PAYFLOW_FUZZ_REFUND", "")
"""A completed refund, as `<payment id> <refund id>`; empty if the stack has none."""
CANCELS: Final = "POST /v1/payments/{payment_id}/cancel"
CANCELABLE: Final = os.environ.get("PAYFLOW_FUZZ_CANCELABLE", "")
"""The id of a payment that can be canceled; empty if the stack has none."""

UNFORETOLD_CODES: Final = {
    "invalid_cursor",
    "idempotency_key_mismatch",
    "idempotency_key_reused",
    "refund_exceeds_payment",
}
UNFORETOLD: Final = [
    re.compile(rule, re.DOTALL)  # a name may hold a line feed
    for rule in (
        "amount: must have at most 2 decimal places in (CAD|USD)",
        "amount: must be (at most 1000000|greater than 0)",  # of text
        "code: must be .*",  # each rail has its own
        r"(filters\.)?created_to: must not be earlier than created_from",
        r"filters\..*: (is not a known field|must be one of .*)",  # each resource has its own
        "(separator|decimal_sign|time_zone): is for the format csv only",
        "time_zone: must be a time zone that exists, .*",
        "expires_at: must be in the future",
        "from: ask for at most 92 days, both ends included",
        "to: must not be earlier than from",
        "idempotency_key: is required",  # in the header or in the body
        "Idempotency-Key: must be sent without quotes",
        r"metadata: must be at most 2048 bytes in all; it has \d+",
        "metadata\\..*: must not contain control characters",  # in a name
        r"metadata\.simulate(_refund)?: .*",
        "refund_id: must be a refund of this payment",
        "(merchant|name): must not be blank",
        "name: must not be .*",
        "name: must not contain a key or secret: .*",
        "url: .*",  # every sentence of tests/webhooks/test_url_policy.py
    )
]
"""The refusals, as `field: message`, of requests that fit the schema. No other is allowed."""

heard: Counter[str] = Counter()
turns: Counter[str] = Counter()
urls: set[str] = set()
"""Those that endpoints were asked to have."""


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Refuse names in answers that the document does not list."""
    for schema in raw_schema["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    # The key that asks is neither revoked nor rolled: nothing would be admitted after it.
    if case.path_parameters.get("key_id") == KEY_ID:
        case.path_parameters["key_id"] = NO_KEYS_ID
    if not case.meta.generation.mode.is_positive:
        return
    if case.operation.label == CANCELS and CANCELABLE:
        case.path_parameters["payment_id"] = CANCELABLE
    if not isinstance(case.body, dict):
        return
    if case.operation.label in TAKE_A_KEY:
        make_acceptable(case)
    elif case.operation.label in MAY_TAKE_A_KEY:
        make_unlike_others(case)
    elif case.operation.label == RETURNS_A_REFUND and REFUND:
        case.path_parameters["payment_id"], case.body["refund_id"] = REFUND.split()
        case.body.pop("code", None)


def make_acceptable(case: Any) -> None:
    """Keep one idempotency key, and whole cents: otherwise most requests would be refused."""
    if case.body.get("idempotency_key") is not None:
        case.headers.pop("Idempotency-Key", None)
    elif "Idempotency-Key" not in case.headers:
        case.body["idempotency_key"] = f"made-up-{sum(heard.values())}"
    if isinstance(case.body.get("amount"), float):
        case.body["amount"] = max(0.01, round(case.body["amount"], 2))


def make_unlike_others(case: Any) -> None:
    """Give each endpoint a URL of its own, and every second request an idempotency key."""
    turns[case.operation.label] += 1
    number = sum(heard.values())
    if (url := case.body.get("url")) in urls:
        case.body["url"] = f"{url}/{number}"
    urls.add(case.body.get("url"))
    case.headers.pop("Idempotency-Key", None)
    if turns[case.operation.label] % 2:
        case.body["idempotency_key"] = f"made-up-{number}"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    heard[f"{response.request.method} {case.operation.path} {response.status_code}"] += 1


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Return whether a failure counts."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    if problem["code"] in UNFORETOLD_CODES:
        return False
    said = [f"{error['field']}: {error['message']}" for error in problem.get("errors", [])]
    return not (said and all(any(rule.fullmatch(one) for rule in UNFORETOLD) for one in said))


@schemathesis.check
def every_answer_is_told_apart(ctx: Any, response: Any, case: Any) -> None:
    """Check that it has an id, that no cache keeps it, and that the dashboard may read it."""
    header = {name: values[0] for name, values in response.headers.items()}
    assert header["x-request-id"]
    assert header["access-control-allow-origin"] == os.environ["PAYFLOW_FUZZ_ORIGIN"]
    assert case.method == "OPTIONS" or header["cache-control"] == "no-store"


@schemathesis.check
def a_problem_says_what_its_answer_says(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code >= 400 and response.request.method != "HEAD":
        problem = response.json()
        assert problem["status"] == response.status_code
        assert problem["type"] == f"urn:payflow:problem:{problem['code']}"
        assert [problem["request_id"]] == response.headers["x-request-id"]
        assert ("errors" in problem) == (problem["code"] == "validation_failed")


@schemathesis.check
def what_is_sent_again_gets_the_stored_answer(ctx: Any, response: Any, case: Any) -> None:
    is_made = case.operation.label in TAKE_A_KEY and response.status_code in {201, 202}
    if is_made and has_key(response.request):
        with requests.Session() as session:
            again = session.send(response.request, timeout=20)
        heard[f"{case.operation.label} {again.status_code}"] += 1
        assert (again.status_code, again.content) == (200, response.content), again.text
        assert again.headers["Idempotent-Replayed"] == "true"


def has_key(request: Any) -> bool:
    in_body = json.loads(request.body).get("idempotency_key")
    return in_body is not None or "Idempotency-Key" in request.headers


@schemathesis.check
def what_is_created_once_shows_its_secret_once(ctx: Any, response: Any, case: Any) -> None:
    if case.operation.label not in MAY_TAKE_A_KEY or response.status_code != 201:
        return
    if has_key(response.request):
        with requests.Session() as session:
            again = session.send(response.request, timeout=20)
        heard[f"{case.operation.label} {again.status_code}"] += 1
        shown = {name: one for name, one in response.json().items() if name not in SECRETS}
        assert (again.status_code, again.json()) == (200, shown)


@schemathesis.check
def nothing_of_the_inside_is_told(ctx: Any, response: Any, case: Any) -> None:
    if response.status_code >= 400:
        assert not re.search(r"Traceback|botocore|pydantic|chalicelib|\.py\b", response.text)


@atexit.register
def write_down() -> None:
    Path(os.environ["PAYFLOW_FUZZ_HEARD"]).write_text(json.dumps(heard))
