"""The OpenAPI 3.1 document, generated from the routes and their models."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chalice.app import Chalice
from pydantic import ConfigDict, Field
from pydantic.json_schema import models_json_schema

from chalicelib import VERSION, errors
from chalicelib.api.routing import Operation, Success, may_be_left_out
from chalicelib.schema import Schema

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_BODY_ERRORS: Final = (
    errors.MalformedJson,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.ValidationFailed,
)
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "May replace `idempotency_key` in the body.",
    "schema": {"type": "string", "minLength": 8, "maxLength": 128, "pattern": "^[ -~]+$"},
}
_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {
        "description": "the id to quote in a support request",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "in seconds", "schema": {"type": "integer"}},
    "Location": {"description": "the path of the new resource", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: this is the stored answer to an earlier request",
        "schema": {"type": "string", "const": "true"},
    },
}


class Document(Schema):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: Json
    paths: Json


class ProblemField(Schema):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Schema):
    """Problem details (RFC 9457). `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[ProblemField] = Field(default=[], description="with `validation_failed` only")


@functools.cache
def document(app: Chalice) -> Json:
    """Return the document for all routes of `app`; cached."""
    routes = list(_operations(app))
    schemas = _schemas(operation for _, _, operation in routes)
    paths: Json = {}
    for path, method, operation in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation, schemas)
    for _, _, operation in routes:
        if operation.query is not None:  # its fields are parameters
            schemas.pop(operation.query.__name__, None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PayFlow",
            "version": VERSION,
            "description": "Payments over HTTP. Amounts are exact decimal numbers, "
            "timestamps are RFC 3339 in UTC, errors are problem details (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operations(app: Chalice) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in app.routes.items():
        for method, entry in methods.items():
            if method != "HEAD":  # the same as GET, without the body
                yield path, method, entry.view_function.operation  # type: ignore[attr-defined]


def _schemas(operations: Iterator[Operation]) -> Json:
    inputs: set[type[Schema]] = set()
    outputs: set[type[Schema]] = {Problem}
    for operation in operations:
        inputs |= {model for model in (operation.body, operation.query) if model is not None}
        outputs |= {answer.model for answer in operation.successes if answer.model is not None}
    wanted: list[Any] = [(model, "validation") for model in sorted(inputs, key=str)]
    wanted += [(model, "serialization") for model in sorted(outputs, key=str)]
    _, definitions = models_json_schema(wanted, ref_template=_REF)
    schemas: Json = definitions["$defs"]
    for model in inputs:
        # The key may be in the header instead; a schema of the body cannot say so.
        required = schemas[model.__name__].get("required", [])
        if "idempotency_key" in required:
            required.remove("idempotency_key")
    return schemas


def _operation(path: str, operation: Operation, schemas: Json) -> Json:
    description: Json = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "parameters": _parameters(path, operation, schemas),
        "responses": {
            **{str(answer.status): _answer(answer) for answer in operation.successes},
            **_problems(_errors(operation)),
        },
    }
    if operation.body is not None:
        is_required = not may_be_left_out(operation.body)
        description["requestBody"] = {"required": is_required, "content": _content(operation.body)}
    if operation.scope is None:
        description["security"] = []
    else:
        description["description"] = f"Needs a key with the scope `{operation.scope}`."
    return description


def _parameters(path: str, operation: Operation, schemas: Json) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if _takes_key(operation):
        parameters.append(_KEY_HEADER)
    if operation.query is not None:
        # Each field becomes a parameter, so the document needs no schema of the query.
        query = schemas[operation.query.__name__]
        for name, schema in query["properties"].items():
            parameters.append({"name": name, "in": "query", "schema": _without_null(schema)})
    return parameters


def _without_null(schema: Json) -> Json:
    """Remove null: a query parameter is absent or text."""
    choices: list[Json] = [
        choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}
    ]
    rest: Json = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    if len(choices) == 1:
        return rest | choices[0]
    return rest | {"anyOf": choices} if choices else rest


def _answer(answer: Success) -> Json:
    headers = {name: _HEADERS[name] for name in ("X-Request-Id", *answer.headers)}
    content = {} if answer.model is None else {"content": _content(answer.model)}
    return {"description": answer.description, "headers": headers, **content}


def _errors(operation: Operation) -> Iterator[type[errors.PayFlowError]]:
    if operation.scope is not None:
        yield from (errors.Unauthenticated, errors.Forbidden, errors.Unavailable)
    if operation.body is not None:
        yield from _BODY_ERRORS
        if _takes_key(operation):
            yield errors.IdempotencyKeyMismatch
    elif operation.query is not None:
        yield errors.ValidationFailed
    yield from operation.errors
    yield errors.Internal


def _takes_key(operation: Operation) -> bool:
    return operation.body is not None and "idempotency_key" in operation.body.model_fields


def _problems(kinds: Iterator[type[errors.PayFlowError]]) -> Json:
    by_status: dict[int, list[type[errors.PayFlowError]]] = {}
    for error in kinds:
        by_status.setdefault(error.status, []).append(error)
    return {
        str(status): _problem(list(dict.fromkeys(by_status[status])))
        for status in sorted(by_status)
    }


def _problem(kinds: list[type[errors.PayFlowError]]) -> Json:
    codes = [error.code for error in kinds]
    names = ["X-Request-Id"]
    if any(error.retry_after_seconds for error in kinds):
        names.append("Retry-After")
    schema = {
        "allOf": [{"$ref": _REF.format(model="Problem")}],
        "properties": {"code": {"enum": codes}},
    }
    return {
        "description": "; ".join(f"`{error.code}`: {error.title}" for error in kinds),
        "headers": {name: _HEADERS[name] for name in names},
        "content": {"application/problem+json": {"schema": schema}},
    }


def _content(model: type[Schema]) -> Mapping[str, Json]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
