"""The API as a client meets it: what it takes, what it refuses, and how it says so."""

import json
import socket
from decimal import Decimal
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from chalicelib import VERSION
from tests.http_client import Reply
from tests.stack.conftest import JSON, Client, Stack, request

ORIGIN = "http://localhost:5173"
UNKNOWN = "PAY-01M82Y8T27997E9EYD0G6SK6MT"


def assert_problem(reply: Reply, status: int, code: str) -> Any:
    """Every refusal is a problem with a request id and CORS headers; returns its body."""
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    problem = reply.json
    assert problem["code"] == code
    assert problem["type"] == f"urn:payflow:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    assert_cors(reply)
    return problem


def assert_cors(reply: Reply) -> None:
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = set(reply.headers["Access-Control-Expose-Headers"].split(","))
    assert exposed == {"X-Request-Id", "Idempotent-Replayed", "Location", "Retry-After"}


def assert_invalid(reply: Reply, *fields: str) -> None:
    problem = assert_problem(reply, 400, "validation_failed")
    assert [error["field"] for error in problem["errors"]] == list(fields)
    assert all(error["message"] for error in problem["errors"])


def raw(name: str, value: str) -> str:
    """A valid request in which one field is written as it stands."""
    fields = {**request(), name: None}
    return json.dumps(fields).replace(f'"{name}": null', f'"{name}": {value}')


def test_a_payment_is_created_and_its_location_can_be_followed(client: Client) -> None:
    fields = request(description="Invoice 117", metadata={"order": "10023"})
    reply = client.post(fields)
    assert reply.status == 201
    assert_cors(reply)
    payment = reply.json
    assert {name: payment[name] for name in fields} == fields
    assert payment["status"] == "processing"
    assert payment["completed_at"] is payment["failure_code"] is None
    assert payment["amount_refunded"] == 0
    assert payment["created_at"] == payment["updated_at"]
    followed = client.get(reply.headers["Location"])
    assert followed.json["id"] == payment["id"]


def test_a_payment_becomes_completed_or_failed_a_moment_later(client: Client) -> None:
    payment = client.settled(client.post(request()).json["id"])
    if payment["status"] == "completed":
        assert payment["completed_at"] == payment["updated_at"] > payment["created_at"]
    else:
        assert payment["status"] == "failed"
        assert payment["failure_code"]


@pytest.mark.parametrize(
    ("metadata", "status", "failure_code"),
    [
        ({"simulate": "completed"}, "completed", None),
        ({"simulate": "failed:account_closed"}, "failed", "account_closed"),
    ],
)
def test_a_simulated_outcome_is_the_one_asked_for(
    client: Client, metadata: Any, status: str, failure_code: str | None
) -> None:
    payment = client.settled(client.post(request(metadata=metadata)).json["id"])
    assert (payment["status"], payment["failure_code"]) == (status, failure_code)


def test_a_rail_that_cannot_carry_the_currency_fails_the_payment(client: Client) -> None:
    reply = client.post(request(type="interac", currency="USD"))
    assert reply.status == 201
    assert client.settled(reply.json["id"])["failure_code"] == "currency_not_supported"


@pytest.mark.parametrize("amount", ["0.1", "0.30", "999999.99", "1000000", '"0.30"', "1e2"])
def test_amount_is_exact_in_post_get_list_and_replay(client: Client, amount: str) -> None:
    body = raw("amount", amount)
    exact = Decimal(amount.strip('"'))
    created, replayed = client.post(body), client.post(body)
    assert (created.status, replayed.status) == (201, 200)
    payment_id = created.json["id"]
    listed = client.get("/v1/payments?limit=100").json["payments"]
    shown = [
        created.json,
        replayed.json,
        client.payment(payment_id),
        next(payment for payment in listed if payment["id"] == payment_id),
    ]
    assert [payment["amount"] for payment in shown] == [exact] * 4


def test_a_replay_is_200_with_the_stored_body_byte_for_byte(client: Client) -> None:
    fields = request(description="café ☕", metadata={"a": "1", "b": "2"})
    first = client.post(fields)
    client.settled(first.json["id"])
    respelled = fields | {"amount": "12.5", "metadata": {"b": "2", "a": "1"}}
    again = client.post(dict(reversed(respelled.items())))
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.body == first.body
    assert "Idempotent-Replayed" not in first.headers


def test_reused_key_is_422_and_reveals_nothing(client: Client) -> None:
    fields = request(merchant="A well-kept secret")
    payment_id = client.post(fields).json["id"]
    reply = client.post(fields | {"merchant": "Another"})
    assert_problem(reply, 422, "idempotency_key_reused")
    assert b"secret" not in reply.body
    assert payment_id.encode() not in reply.body


def test_key_may_be_in_the_header_the_body_or_both(client: Client) -> None:
    fields = request()
    key = fields.pop("idempotency_key")
    by_header = client.post(fields, Idempotency_Key=key)
    assert by_header.status == 201
    assert by_header.json["idempotency_key"] == key
    assert client.post(fields | {"idempotency_key": key}).body == by_header.body
    both = client.post(fields | {"idempotency_key": key}, Idempotency_Key=key)
    assert both.body == by_header.body


def test_two_different_keys_are_refused(client: Client) -> None:
    reply = client.post(request(), Idempotency_Key="another-key")
    assert_problem(reply, 400, "idempotency_key_mismatch")


def test_a_refused_request_keeps_its_key_free(client: Client) -> None:
    fields = request()
    assert client.post(fields | {"amount": 0}).status == 400
    assert client.post(fields).status == 201


@pytest.mark.parametrize(
    "amount",
    ["0", "-1", "NaN", "Infinity", "-Infinity",
     "1e400", "-1e400", "10.005", '"abc"', "1000000.01", "true", "null", "[]",
     "9" * 5000, "1e99999999999999999999", '"NaN"', '""', "0.001"],
)  # fmt: skip
def test_an_amount_that_cannot_be_paid_is_refused_by_name(client: Client, amount: str) -> None:
    assert_invalid(client.post(raw("amount", amount)), "amount")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("merchant", '""'), ("merchant", '"  "'), ("merchant", r'"\u200b"'),
        ("", "1"), ("tip", "NaN"), ("merchant", '"' + "m" * 256 + '"'),
        ("merchant", r'"a\u0000b"'), ("merchant", r'"a\nb"'), ("merchant", r'"\ud800"'),
        ("merchant", "7"), ("currency", '"EUR"'), ("currency", '"cad"'), ("currency", "{}"),
        ("type", '"cheque"'), ("type", "[]"), ("tip", "1"),
        ("idempotency_key", '"1234567"'), ("idempotency_key", '"' + "k" * 129 + '"'),
        ("idempotency_key", '"clé-de-paiement"'), ("idempotency_key", "12345678"),
        ("description", '"' + "d" * 501 + '"'), ("description", "7"),
        ("metadata", "[]"), ("metadata", '"x"'),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_name(client: Client, name: str, value: str) -> None:
    assert_invalid(client.post(raw(name, value)), name or '""')


def test_an_empty_metadata_key_is_refused_by_name(client: Client) -> None:
    assert_invalid(client.post(request(metadata={"": "x"})), "metadata.")


def test_unknown_simulation_is_refused_by_name(client: Client) -> None:
    assert_invalid(client.post(request(metadata={"simulate": "explode"})), "metadata.simulate")


@pytest.mark.parametrize("name", ["merchant", "amount", "currency", "type", "idempotency_key"])
def test_a_field_that_is_missing_is_named(client: Client, name: str) -> None:
    fields = request()
    del fields[name]
    assert_invalid(client.post(fields), name)


@pytest.mark.parametrize("key", ["1234567", "k" * 129, "cl\xe9-de-paiement"])
def test_a_bad_key_in_the_header_is_refused_by_name(client: Client, key: str) -> None:
    fields = request()
    del fields["idempotency_key"]
    assert_invalid(client.post(fields, Idempotency_Key=key), "idempotency_key")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"  ", b"{", b"not json", b'{"merchant":}', b'{"a":1,"a":2}', b"\xff\xfe{}",
        b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000,
    ],
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused(client: Client, body: bytes) -> None:
    assert_problem(client.post(body), 400, "malformed_json")


@pytest.mark.parametrize("body", ["[]", "7", '"text"', "null", "true"])
def test_a_body_that_is_not_an_object_is_refused(client: Client, body: str) -> None:
    assert_invalid(client.post(body), "body")


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "json", "multipart/form-data; boundary=x"]
)
def test_another_content_type_or_none_is_415(client: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    reply = client.request("POST", "/v1/payments", json.dumps(request()), **headers)
    assert_problem(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_content_type_may_have_parameters_and_capitals(client: Client, content_type: str) -> None:
    reply = client.request(
        "POST", "/v1/payments", json.dumps(request()), **{"Content-Type": content_type}
    )
    assert reply.status == 201


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_413(client: Client) -> None:
    body = json.dumps(request()).ljust(64 * 1024)
    assert client.post(body).status == 201
    assert_problem(client.post(body + " "), 413, "body_too_large")


def test_body_above_the_limit_of_api_gateway_is_413_unread(client: Client) -> None:
    reply = client.request("POST", "/v1/payments", None, **JSON, Content_Length="99999999999")
    assert_problem(reply, 413, "body_too_large")


def test_client_gets_the_answer_to_a_body_refused_unread(client: Client) -> None:
    for path, status in (("/v1/payments", 413), ("/v1/nothing", 404)):
        assert client.request("POST", path, b"x" * 12_000_000, **JSON).status == status


def exchange(stack: Stack, sent: bytes) -> bytes:
    """Send raw bytes, then read until the server closes."""
    with socket.create_connection(("127.0.0.1", stack.local.api_port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    return answer


SMUGGLED = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 0\r\nContent-Length: %d",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d",
        b"Transfer-Encoding : chunked\r\nContent-Length: %d",
        b"Content-Length : %d",
        b"no colon\r\nContent-Length: %d",
        b"Content-Length: %d0",
        b"Content-Length: " + b"9" * 5000 + b"%.0d",
    ],
)
def test_request_without_a_certain_end_is_refused_and_ends_reading(
    stack: Stack, framing: bytes
) -> None:
    head = b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    answer = exchange(stack, head + framing % len(SMUGGLED) + b"\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_chunked_body_is_taken_like_any_other(stack: Stack, size: int) -> None:
    body = json.dumps(request()).encode()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    sent = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = (
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    answer = exchange(stack, head + sent + b"0\r\nTrailer: x\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 201")
    assert b"HTTP/1.1 200 OK" in answer, "the connection is kept"


@pytest.mark.parametrize(
    "chunks",
    [
        b"",
        b"5\r\nabc",
        b"5\r\nabcdefgh\r\n0\r\n\r\n",
        b"x\r\nabc\r\n",
        b"-1\r\n",
        b"ffffffffff\r\n",
    ],
)
def test_broken_chunks_are_refused_and_end_reading(stack: Stack, chunks: bytes) -> None:
    head = (
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    answer = exchange(stack, head + chunks)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_two_idempotency_keys_are_refused(stack: Stack) -> None:
    body = json.dumps(request()).encode()
    answer = exchange(
        stack,
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key: the-first\r\nIdempotency-Key: the-second\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
    )
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"must be sent once" in answer


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/health", 200), ("/v1/openapi.json", 200), ("/v1/payments", 405), ("/v1/none", 404)],
)
def test_head_has_a_status_and_no_body(stack: Stack, path: str, status: int) -> None:
    asked = b"HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode()
    answer = exchange(stack, asked)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert body == b""
    assert (b"\r\nAllow: GET, POST, OPTIONS" in head) is (status == 405)


def test_connection_is_kept_after_a_view_refuses(stack: Stack) -> None:
    head = b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    answer = exchange(stack, head + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 415")
    assert b"HTTP/1.1 200 OK" in answer


def test_expect_100_continue_is_answered(stack: Stack) -> None:
    body = json.dumps(request()).encode()
    head = (
        b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", stack.local.api_port), timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 201 Created")


@pytest.mark.parametrize("length", ["x", "-1", "1e3"])
def test_content_length_that_is_no_number_is_refused(client: Client, length: str) -> None:
    reply = client.request("POST", "/v1/payments", None, **JSON, Content_Length=length)
    assert_invalid(reply, "Content-Length")


@pytest.mark.parametrize(
    "payment_id",
    [UNKNOWN, "PAY-6E8B4A0B", "x", "%00", "..%2F..%2Fetc", "../health/x", "P" * 3000, "PAY-%F0%9F"],
)
def test_foreign_id_is_404(client: Client, payment_id: str) -> None:
    assert_problem(client.get(f"/v1/payments/{payment_id}"), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
        ("limit=1&limit=2", "limit"), ("status=paid", "status"), ("status=", "status"),
        ("type=cheque", "type"), ("currency=EUR", "currency"), ("statsu=failed", "statsu"),
        ("created_from=yesterday", "created_from"), ("created_to=2026-02-30", "created_to"),
        ("created_from=2026-11-22&created_to=2026-11-21", "created_to"), ("status=%00", "status"),
    ],
)  # fmt: skip
def test_a_bad_filter_is_refused_by_name(client: Client, query: str, field: str) -> None:
    assert_invalid(client.get(f"/v1/payments?{query}"), field)


def test_a_garbled_cut_or_foreign_cursor_is_400(client: Client) -> None:
    for _ in range(2):
        client.post(request())
    cursor = client.get("/v1/payments?limit=1").json["next_cursor"]
    garbled = ("", "x", cursor[:-1], cursor[1:], cursor + "A", "%00", "A" * 5000, cursor.lower())
    for other in garbled:
        reply = client.get(f"/v1/payments?limit=1&cursor={other}")
        assert_problem(reply, 400, "invalid_cursor")
    reply = client.get(f"/v1/payments?limit=1&status=completed&cursor={cursor}")
    assert_problem(reply, 400, "invalid_cursor")
    assert client.get(f"/v1/payments?limit=5&cursor={cursor}").status == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/nothing", "/v2/payments", "/v1/payments/a/b", "//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_unknown_path_is_404(client: Client, method: str, path: str) -> None:
    assert_problem(client.request(method, path), 404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1/payments", "/v1/health", f"/v1/payments/{UNKNOWN}"])
def test_wrong_method_is_405_with_the_allowed_ones(client: Client, method: str, path: str) -> None:
    reply = client.request(method, path)
    assert_problem(reply, 405, "method_not_allowed")
    assert "GET" in reply.headers["Allow"].split(", ")


def test_preflight_allows_the_headers_to_one_origin(client: Client) -> None:
    reply = client.request(
        "OPTIONS",
        "/v1/payments",
        Origin=ORIGIN,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,idempotency-key,authorization",
    )
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
    allowed = set(reply.headers["Access-Control-Allow-Headers"].split(","))
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= allowed
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert reply.headers["X-Request-Id"]


def test_bytes_that_are_not_http_get_a_problem_without_a_trace(stack: Stack) -> None:
    answer = exchange(stack, b"GET / HTTP/9.9\r\n\r\n")
    assert b"400 Bad Request" in answer
    assert b"application/problem+json" in answer
    assert b"Traceback" not in answer


def test_health_says_who_answers(client: Client) -> None:
    for path in ("/v1/health", "/v1/health?deep=1"):
        reply = client.get(path)
        assert reply.status == 200
        assert reply.json["status"] == "ok"
        assert reply.json["service"] == "payflow-api"
        assert reply.json["region"] == "ca-central-1"
        assert reply.json["timestamp"].endswith("Z")
        assert reply.json["version"] == VERSION


def test_answers_match_the_openapi_document(client: Client) -> None:
    document = client.get("/v1/openapi.json").json
    created = client.post(request())
    answers = [
        ("/v1/payments", "post", created),
        ("/v1/payments", "post", client.post({})),
        ("/v1/payments", "get", client.get("/v1/payments")),
        ("/v1/payments", "get", client.get("/v1/payments?limit=0")),
        ("/v1/payments/{payment_id}", "get", client.get(created.headers["Location"])),
        ("/v1/payments/{payment_id}", "get", client.get(f"/v1/payments/{UNKNOWN}")),
        ("/v1/health", "get", client.get("/v1/health")),
    ]
    refunded = client.post(request(metadata={"simulate": "completed"})).json["id"]
    client.settled(refunded)
    for what, method, fields in [
        ("refunds", "post", {"amount": 1, "idempotency_key": "one-refund"}),
        ("refunds", "post", {"amount": 1, "idempotency_key": "one-refund"}),
        ("refunds", "post", {"amount": 999, "idempotency_key": "too-much-of-it"}),
        ("refunds", "get", None),
        ("events", "get", None),
        ("cancel", "post", {}),
        ("simulate_return", "post", {"code": "x"}),
    ]:
        path = f"/v1/payments/{refunded}/{what}"
        reply = client.get(path) if fields is None else client.post(fields, path=path)
        answers.append((f"/v1/payments/{{payment_id}}/{what}", method, reply))
    for path, method, reply in answers:
        response = document["paths"][path][method]["responses"][str(reply.status)]
        schema = response["content"][reply.headers["Content-Type"]]["schema"]
        validator = OAS31Validator(
            {**schema, "components": document["components"]}, format_checker=oas31_format_checker
        )
        assert [error.message for error in validator.iter_errors(json.loads(reply.body))] == []
        for header in response["headers"]:
            assert header in reply.headers or header in {"Retry-After", "Idempotent-Replayed"}
