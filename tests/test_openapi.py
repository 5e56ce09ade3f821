"""The document: valid OpenAPI 3.1, complete, and true of the models that it is made from."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib import openapi
from chalicelib.errors import PayFlowError
from tests.conftest import payflow

app = payflow.app

DOCUMENT = openapi.document(app)
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def test_it_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_has_every_route() -> None:
    described = {(path, method.upper()) for path, method, _ in OPERATIONS}
    assert described == {
        (path, method) for path, methods in app.routes.items() for method in methods
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


def test_create_names_every_refusal_that_it_has() -> None:
    responses = DOCUMENT["paths"]["/v1/payments"]["post"]["responses"]
    assert list(responses) == [
        "201", "200", "400", "401", "403", "409", "413", "415", "422", "500", "503"
    ]  # fmt: skip


def test_what_is_ours_alone_is_not_shown() -> None:
    shown = DOCUMENT["components"]["schemas"]["Payment"]["properties"]
    assert {"refundable", "version", "submitted_at"}.isdisjoint(shown)
    assert shown["amount"]["type"] == "number"


def test_the_key_may_come_in_the_header_so_the_body_does_not_require_it() -> None:
    schema = DOCUMENT["components"]["schemas"]["CreatePayment"]
    assert schema["required"] == ["merchant", "currency", "amount", "type"]
    (header,) = DOCUMENT["paths"]["/v1/payments"]["post"]["parameters"]
    assert header["name"] == "Idempotency-Key"


def test_a_refund_of_all_that_is_left_needs_no_body() -> None:
    refund = DOCUMENT["paths"]["/v1/payments/{payment_id}/refunds"]["post"]
    assert refund["requestBody"]["required"] is False
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
        "status", "type", "currency", "created_from", "created_to", "limit", "cursor"
    }  # fmt: skip
    assert [choice["format"] for choice in by_name["created_from"]["anyOf"]] == [
        "date",
        "date-time",
    ]
    assert by_name["status"]["$ref"] == "#/components/schemas/Status"
    assert by_name["limit"] == {
        "default": 20, "maximum": 100, "minimum": 1, "title": "Limit", "type": "integer"
    }  # fmt: skip
