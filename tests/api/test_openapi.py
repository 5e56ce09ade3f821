"""The document: valid OpenAPI 3.1, complete, and true of the models that it is made from."""

import re
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib.api import openapi
from chalicelib.api.request_log import ReadLogs
from chalicelib.errors import PayFlowError, ValidationFailed
from chalicelib.payments.commands import CreatePayment, CreateRefund
from chalicelib.payments.facts import RETURN_CODES
from chalicelib.validation import validated
from chalicelib.webhooks.commands import CreateEndpoint
from tests.conftest import payflow

app = payflow.app

DOCUMENT = openapi.document(app)
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_document_has_every_route() -> None:
    described = {(path, method.upper()) for path, method, _ in OPERATIONS}
    assert described == {
        (path, method)
        for path, methods in app.routes.items()
        for method in methods
        if method != "HEAD"
    }


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_names_its_errors_and_the_request_id(
    path: str, method: str, operation: Any
) -> None:
    for status, response in operation["responses"].items():
        assert "X-Request-Id" in response["headers"]
        if int(status) >= 400:
            assert list(response["content"]) == ["application/problem+json"]
    codes = {
        code
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content["schema"].get("properties", {}).get("code", {}).get("enum", [])
    }
    assert "internal" in codes
    known = {error.code for error in PayFlowError.__subclasses__()}
    assert codes <= known


def test_create_lists_all_its_errors() -> None:
    responses = DOCUMENT["paths"]["/v1/payments"]["post"]["responses"]
    assert list(responses) == [
        "201", "200", "400", "401", "403", "409", "413", "415", "422", "500", "503"
    ]  # fmt: skip


def test_internal_fields_are_not_in_the_document() -> None:
    shown = DOCUMENT["components"]["schemas"]["Payment"]["properties"]
    assert {"refundable", "refunds_processing", "submitted_at"}.isdisjoint(shown)
    assert shown["amount"]["type"] == "number"


def test_idempotency_key_is_optional_in_the_body() -> None:
    schema = DOCUMENT["components"]["schemas"]["CreatePayment"]
    assert schema["required"] == ["merchant", "currency", "amount", "type"]
    (header,) = DOCUMENT["paths"]["/v1/payments"]["post"]["parameters"]
    assert header["name"] == "Idempotency-Key"


def test_no_number_is_taken_for_one_of_32_bits() -> None:
    """Generators make a float32 of a number without a format; it has no cents from 131,072 on."""

    def numbers(part: Any) -> Iterator[Any]:
        if isinstance(part, dict):
            if part.get("type") == "number":
                yield part
            for inner in part.values():
                yield from numbers(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from numbers(inner)

    found = list(numbers(DOCUMENT))
    assert len(found) > 5
    assert {number.get("format") for number in found} == {"double"}
    cents = struct.unpack("f", struct.pack("f", 131_072.01))[0]
    assert round(cents, 2) != 131_072.01
    assert all(round(cents / 100 * 100) == cents for cents in range(99_999_000, 100_000_001))


def test_refund_needs_a_body_and_no_field_in_it() -> None:
    refund = DOCUMENT["paths"]["/v1/payments/{payment_id}/refunds"]["post"]
    assert refund["requestBody"]["required"] is True
    assert DOCUMENT["components"]["schemas"]["CreateRefund"].get("required", []) == []
    assert list(refund["responses"]) == [
        "201", "200", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503"
    ]  # fmt: skip


def test_every_route_needs_a_key_but_health_and_this_document() -> None:
    public = {path for path, _, operation in OPERATIONS if operation.get("security") == []}
    assert public == {"/v1/health", "/v1/openapi.json"}
    assert DOCUMENT["security"] == [{"key": []}]
    for path, _, operation in OPERATIONS:
        if path not in public:
            assert {"401", "403"} <= set(operation["responses"])


def test_query_parameters_are_never_null() -> None:
    parameters = DOCUMENT["paths"]["/v1/payments"]["get"]["parameters"]
    by_name = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert set(by_name) == {
        "status", "type", "currency", "idempotency_key", "merchant",
        "created_from", "created_to", "limit", "cursor",
    }  # fmt: skip
    assert [choice["format"] for choice in by_name["created_from"]["anyOf"]] == [
        "date",
        "date-time",
    ]
    assert by_name["status"]["$ref"] == "#/components/schemas/Status"
    assert by_name["limit"] == {
        "default": 20, "maximum": 100, "minimum": 1, "title": "Limit", "type": "integer"
    }  # fmt: skip


def described(pattern: str, text: str) -> bool:
    """By ECMA's rules, as JSON Schema has them: `$` is the very end, a newline there or not."""
    return re.search(pattern.replace("$", r"\Z"), text) is not None


def the_text(model: str, field: str) -> Any:
    """The schema of a field that is a text, or null."""
    schema = DOCUMENT["components"]["schemas"][model]["properties"][field]
    return next((one for one in schema.get("anyOf", []) if one["type"] == "string"), schema)


@pytest.mark.parametrize(
    ("command", "field", "others"),
    [
        (CreatePayment, "description", {"merchant": "a", "amount": 1, "currency": "CAD",
                                        "type": "eft", "idempotency_key": "order-1234"}),
        (CreateRefund, "reason", {"idempotency_key": "order-1234"}),
        (CreateEndpoint, "description", {"url": "https://example.com/"}),
    ],
)  # fmt: skip
@given(text=st.text(max_size=9) | st.text(st.characters(max_codepoint=160), max_size=9))
def test_pattern_of_a_text_matches_its_validation(
    command: Any, field: str, others: dict[str, Any], text: str
) -> None:
    is_described = described(the_text(command.__name__, field)["pattern"], text)
    try:
        validated(command, others | {field: text})
    except ValidationFailed:
        assert not is_described
    else:
        assert is_described


def test_names_that_are_logged_are_one_line() -> None:
    one_line = the_text("CreateEndpoint", "description")["pattern"]
    assert the_text("CreatePayment", "merchant")["pattern"] == one_line
    assert the_text("CreateApiKey", "name")["pattern"] == one_line


@given(text=st.from_regex("[0-9x]{2,4}") | st.text(max_size=3))
def test_pattern_of_a_status_matches_its_validation(text: str) -> None:
    parameters = DOCUMENT["paths"]["/v1/logs"]["get"]["parameters"]
    (pattern,) = (one["schema"]["pattern"] for one in parameters if one["name"] == "status")
    is_described = described(pattern, text)
    try:
        validated(ReadLogs, {"status": text})
    except ValidationFailed:
        assert not is_described
    else:
        assert is_described


@given(text=st.from_regex("[R90-3]{3}", fullmatch=True))
def test_pattern_of_return_codes_has_only_those_of_rails(text: str) -> None:
    is_known = any(codes.pattern.fullmatch(text) for codes in RETURN_CODES.values())
    schema = DOCUMENT["components"]["schemas"]["SimulateReturn"]["properties"]["code"]
    assert described(schema["pattern"], text) == is_known


def test_numbers_are_described_with_their_bounds() -> None:
    overlap = DOCUMENT["components"]["schemas"]["RollApiKey"]["properties"]["overlap_hours"]
    assert (overlap["minimum"], overlap["maximum"]) == (0, 168)


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/webhook_endpoints/{endpoint_id}/deliveries"])
def test_pattern_of_a_cursor_is_its_alphabet(path: str) -> None:
    parameters = DOCUMENT["paths"][path]["get"]["parameters"]
    (schema,) = (one["schema"] for one in parameters if one["name"] == "cursor")
    assert schema["pattern"] == "^[A-Za-z0-9_-]+$"
