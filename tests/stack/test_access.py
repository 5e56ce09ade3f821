"""A stack that asks for keys: what it takes to get in, tried from outside."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.local import RouteMatcher

from chalicelib.api_keys.service import new_secret
from tests.conftest import payflow
from tests.engines import ROOT
from tests.http_client import Reply
from tests.stack.conftest import JSON, Client, Stack, request
from tests.stack.test_http import assert_problem

UNKNOWN = "/v1/payments/PAY-01M82Y8T27997E9EYD0G6SK6MT"
ENDPOINT = "/v1/webhook_endpoints/EP-01M82Y8T27997E9EYD0G6SK6MT"
DELIVERY = "DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 3


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("closed"), PAYFLOW_AUTH="required")
    try:
        stack.wait_until_up()
        yield stack
    finally:
        stack.stop()


def make_key(stack: Stack, scopes: str, name: str = "tests") -> str:
    made = subprocess.run(
        [
            sys.executable, "-m", "infra.ops.key",
            "local", "--name", name, "--scopes", scopes,
        ],
        cwd=ROOT,
        env=stack.env,
        check=True,
        capture_output=True,
        text=True,
    )  # fmt: skip
    return made.stdout.strip()


@pytest.fixture(scope="module")
def admin(closed: Stack) -> str:
    return make_key(closed, "admin", name="operator")


def call(client: Client, key: str | None, method: str, path: str, fields: Any = None) -> Reply:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    if fields is None:
        return client.request(method, path, None, **headers)
    return client.request(method, path, json.dumps(fields), **JSON, **headers)


def new_key(client: Client, admin: str, *scopes: str) -> Any:
    reply = call(
        client, admin, "POST", "/v1/api_keys", {"name": "made by tests", "scopes": list(scopes)}
    )
    assert reply.status == 201
    return reply.json


ROUTES = [
    ("POST", "/v1/payments", "write"),
    ("GET", "/v1/payments", "read"),
    ("GET", UNKNOWN, "read"),
    ("POST", f"{UNKNOWN}/cancel", "write"),
    ("GET", f"{UNKNOWN}/deliveries", "read"),
    ("POST", f"/v1/deliveries/{DELIVERY}/replay", "write"),
    ("POST", "/v1/webhook_endpoints", "admin"),
    ("GET", "/v1/webhook_endpoints", "admin"),
    *((method, ENDPOINT, "admin") for method in ("GET", "PATCH", "DELETE")),
    ("POST", f"{ENDPOINT}/rotate_secret", "admin"),
    ("POST", f"{ENDPOINT}/test", "admin"),
    ("GET", f"{ENDPOINT}/deliveries", "read"),
    ("POST", f"{ENDPOINT}/replay_failed", "write"),
    ("POST", f"{UNKNOWN}/refunds", "write"),
    ("GET", f"{UNKNOWN}/refunds", "read"),
    ("GET", f"{UNKNOWN}/events", "read"),
    ("POST", f"{UNKNOWN}/simulate_return", "write"),
    ("POST", f"{UNKNOWN}/simulate_refund_return", "write"),
    ("GET", "/v1/health?deep=1", "read"),
    ("GET", "/v1/refunds", "read"),
    ("GET", "/v1/events", "read"),
    ("GET", "/v1/stats?to=2026-01-01&from=2026-01-01", "read"),
    ("POST", "/v1/exports", "read"),
    ("GET", "/v1/exports", "read"),
    ("GET", "/v1/exports/EXP-01M82Y8T27997E9EYD0G6SK6MT", "read"),
    ("GET", "/v1/logs", "admin"),
    ("GET", "/v1/audit_events", "admin"),
    ("POST", "/v1/api_keys", "admin"),
    ("GET", "/v1/api_keys", "admin"),
    ("POST", "/v1/api_keys/KEY-00000000000000000000/roll", "admin"),
    ("DELETE", "/v1/api_keys/KEY-00000000000000000000", "admin"),
]


def test_every_route_that_needs_a_key_is_tried() -> None:
    matcher = RouteMatcher(list(payflow.app.routes))
    tried = {(method, matcher.match_route(path).route) for method, path, _ in ROUTES}
    known = {(method, route) for route, methods in payflow.app.routes.items() for method in methods}
    assert tried == {one for one in known if one[0] != "HEAD"} - {("GET", "/v1/openapi.json")}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_refuses_a_missing_key_alike(
    closed: Stack, method: str, path: str, scope: str
) -> None:
    for key in (None, "x", new_secret("local"), new_secret("prod")):
        # The body is not valid either: who may not come in is not told about it.
        reply = call(closed.client, key, method, path, {"amount": 0})
        problem = assert_problem(reply, 401, "unauthenticated")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert "errors" not in problem


def test_a_key_in_the_query_string_or_another_header_does_not_count(
    closed: Stack, admin: str
) -> None:
    client = closed.client
    for reply in (
        client.get(f"/v1/payments?api_key={admin}"),
        client.get(f"/v1/payments?authorization=Bearer%20{admin}"),
        client.request("GET", "/v1/payments", None, X_Api_Key=admin),
        client.request("GET", "/v1/payments", None, Authorization=admin),
        client.request("GET", "/v1/payments", None, Cookie=f"Authorization=Bearer {admin}"),
    ):
        assert_problem(reply, 401, "unauthenticated")


@pytest.mark.parametrize("own", ["read", "write", "admin"])
def test_key_opens_only_the_routes_of_its_scope(closed: Stack, admin: str, own: str) -> None:
    order = ["read", "write", "admin"]
    key = new_key(closed.client, admin, own)["key"]
    for method, path, needed in ROUTES:
        reply = call(closed.client, key, method, path, {"amount": 0})
        if order.index(needed) <= order.index(own):
            assert reply.status in {200, 400, 404}, (method, path)
        else:
            assert_problem(reply, 403, "forbidden")


def test_health_and_the_document_are_public(closed: Stack) -> None:
    assert closed.client.get("/v1/health").status == 200
    assert closed.client.get("/v1/openapi.json").status == 200


def test_event_names_the_key_that_made_the_payment(closed: Stack, admin: str) -> None:
    key = new_key(closed.client, admin, "write")
    payment_id = call(closed.client, key["key"], "POST", "/v1/payments", request()).json["id"]
    events = call(closed.client, admin, "GET", f"/v1/payments/{payment_id}/events").json["events"]
    assert (events[0]["actor"], events[0]["actor_id"]) == ("made by tests", key["id"])


def test_endpoint_and_key_name_the_key_that_created_them(closed: Stack, admin: str) -> None:
    (operator,) = {
        key["id"]
        for key in call(closed.client, admin, "GET", "/v1/api_keys").json["api_keys"]
        if key["created_by"] is None and key["name"] == "operator"
    }
    url = {"url": "https://merchant.example/created-by"}
    for created in (
        new_key(closed.client, admin, "read"),
        call(closed.client, admin, "POST", "/v1/webhook_endpoints", url).json,
    ):
        assert (created["created_by"], created["created_by_id"]) == ("operator", operator)


def test_key_is_created_listed_rolled_and_revoked(closed: Stack, admin: str) -> None:
    client = closed.client
    made = new_key(client, admin, "read")
    assert call(client, made["key"], "GET", "/v1/payments").status == 200

    rolled = call(client, admin, "POST", f"/v1/api_keys/{made['id']}/roll")
    assert rolled.status == 201
    for key in (made["key"], rolled.json["key"]):
        assert call(client, key, "GET", "/v1/payments").status == 200

    ended = new_key(client, admin, "read")  # no process of the API has it in its cache
    revoked = call(client, admin, "DELETE", f"/v1/api_keys/{ended['id']}")
    assert (revoked.status, revoked.body) == (204, b"")
    assert_problem(call(client, ended["key"], "GET", "/v1/payments"), 401, "unauthenticated")
    assert call(client, rolled.json["key"], "GET", "/v1/payments").status == 200

    listed = call(client, admin, "GET", "/v1/api_keys")
    by_id = {key["id"]: key for key in listed.json["api_keys"]}
    assert by_id[ended["id"]]["revoked_at"] is not None
    assert by_id[rolled.json["id"]]["last_used_at"] is not None
    assert made["key"].encode() not in listed.body
    assert not [key for key in by_id.values() if "key" in key or "digest" in key]


def test_rolling_takes_an_overlap_of_whole_hours(closed: Stack, admin: str) -> None:
    made = new_key(closed.client, admin, "read")
    path = f"/v1/api_keys/{made['id']}/roll"
    for wrong in (-1, 169, 1.5, "1", True, 1e300):
        reply = call(closed.client, admin, "POST", path, {"overlap_hours": wrong})
        assert_problem(reply, 400, "validation_failed")
    rolled = call(closed.client, admin, "POST", path, {"overlap_hours": 0})
    assert rolled.status == 201
    assert call(closed.client, made["key"], "GET", "/v1/payments").status == 401


def test_no_key_is_in_any_log(closed: Stack, admin: str) -> None:
    call(closed.client, admin, "GET", "/v1/payments")
    made = new_key(closed.client, admin, "read")
    call(closed.client, admin, "DELETE", f"/v1/api_keys/{made['key']}")
    logs = b"".join(log.read_bytes() for log in closed.local.logs.iterdir())
    assert b'"key": "operator"' in logs, "the key's name is"
    for key in (admin, made["key"]):
        assert key.removeprefix("pf_local_")[:16].encode() not in logs


def test_a_preflight_needs_no_key(closed: Stack) -> None:
    assert closed.client.request("OPTIONS", "/v1/payments").status == 200


def test_start_says_whether_the_api_is_open(closed: Stack, stack: Stack) -> None:
    assert "closed: callers need an API key" in closed.said
    assert "OPEN: any caller may do anything" in stack.said


def test_failure_to_create_a_key_is_a_plain_message(closed: Stack) -> None:
    refused = subprocess.run(
        [
            sys.executable,
            "-m",
            "infra.ops.key",
            "local",
            "--name",
            "x",
            "--scopes",
            "root",
        ],
        cwd=ROOT,
        env=closed.env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "No key created. scopes.0: must be one of" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_web_page_cannot_make_the_emulated_aws_run_code(stack: Stack) -> None:
    """A page needs no preflight for this; the emulator would take it, and run it."""
    function = json.dumps({"FunctionName": "of-a-page", "Runtime": "python3.13"})
    headers = {"Origin": "https://page.example", "Content-Type": "text/plain"}
    aws = Client(stack.local.aws_port)
    assert aws.request("POST", "/2015-03-31/functions", function, **headers).status == 403
    assert stack.aws("lambda").list_functions()["Functions"] == []


def test_web_page_cannot_reach_the_open_api_by_dns_rebinding(stack: Stack) -> None:
    client = Client(stack.local.api_port)
    reply = client.request("GET", "/v1/payments", Host=f"page.example:{client.port}")
    assert_problem(reply, 400, "validation_failed")
    assert client.request("GET", "/v1/payments", Host=f"localhost:{client.port}").status == 200
