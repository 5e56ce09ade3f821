"""The OpenAPI 3.1 document, generated from the routes and their models."""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from chalice.app import Chalice
from pydantic import ConfigDict, Field
from pydantic.json_schema import models_json_schema

from chalicelib import VERSION
from chalicelib.api import Operation, Success, required_fields
from chalicelib.errors import (
    BodyTooLarge,
    Forbidden,
    IdempotencyKeyMismatch,
    Internal,
    MalformedJson,
    PayFlowError,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from chalicelib.schema import Schema

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_BODY_REFUSALS: Final = (
    MalformedJson,
    BodyTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Instead of `idempotency_key` in the body; send it in one of the two.",
    "schema": {"type": "string", "minLength": 8, "maxLength": 128, "pattern": "^[ -~]+$"},
}
_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {"description": "quote it when you ask us", "schema": {"type": "string"}},
    "Retry-After": {"description": "in seconds", "schema": {"type": "integer"}},
    "Location": {"description": "path of the new resource", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: this is the stored answer to an earlier request",
        "schema": {"type": "string", "const": "true"},
    },
}


class Document(Schema):
    """An OpenAPI 3.1 document: this one."""

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
    """The description of every route of `app`, made once a process."""
    routes = list(_operations(app))
    schemas = _schemas(what for _, _, what in routes)
    paths: Json = {}
    for path, method, what in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(path, what, schemas)
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
            yield path, method, entry.view_function.operation  # type: ignore[attr-defined]


def _schemas(operations: Iterator[Operation]) -> Json:
    inputs: set[type[Schema]] = set()
    outputs: set[type[Schema]] = {Problem}
    for what in operations:
        inputs |= {model for model in (what.body, what.query) if model is not None}
        outputs |= {answer.model for answer in what.successes if answer.model is not None}
    wanted: list[Any] = [(model, "validation") for model in sorted(inputs, key=str)]
    wanted += [(model, "serialization") for model in sorted(outputs, key=str)]
    _, definitions = models_json_schema(wanted, ref_template=_REF)
    schemas: Json = definitions["$defs"]
    for model in inputs:
        # The header may carry the key instead, which a schema of the body cannot say.
        required = schemas[model.__name__].get("required", [])
        if "idempotency_key" in required:
            required.remove("idempotency_key")
    return schemas


def _operation(path: str, what: Operation, schemas: Json) -> Json:
    description: Json = {
        "operationId": what.operation_id,
        "summary": what.summary,
        "parameters": _parameters(path, what, schemas),
        "responses": {
            **{str(answer.status): _answer(answer) for answer in what.successes},
            **_problems(_refusals(what)),
        },
    }
    if what.body is not None:
        is_required = bool(required_fields(what.body))
        description["requestBody"] = {"required": is_required, "content": _content(what.body)}
    if what.scope is None:
        description["security"] = []
    else:
        description["description"] = f"Needs a key with the scope `{what.scope}`."
    return description


def _parameters(path: str, what: Operation, schemas: Json) -> list[Json]:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
    if _takes_key(what):
        parameters.append(_KEY_HEADER)
    if what.query is not None:
        # Its fields are parameters one by one; nothing refers to it as a whole.
        query = schemas.pop(what.query.__name__)
        for name, schema in query["properties"].items():
            parameters.append({"name": name, "in": "query", "schema": _without_null(schema)})
    return parameters


def _without_null(schema: Json) -> Json:
    """A query parameter is absent or a string: it cannot be null."""
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


def _refusals(what: Operation) -> Iterator[type[PayFlowError]]:
    if what.scope is not None:
        yield from (Unauthenticated, Forbidden, Unavailable)
    if what.body is not None:
        yield from _BODY_REFUSALS
        if _takes_key(what):
            yield IdempotencyKeyMismatch
    elif what.query is not None:
        yield ValidationFailed
    yield from what.refusals
    yield Internal


def _takes_key(what: Operation) -> bool:
    return what.body is not None and "idempotency_key" in what.body.model_fields


def _problems(refusals: Iterator[type[PayFlowError]]) -> Json:
    by_status: dict[int, list[type[PayFlowError]]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    return {
        str(status): _problem(list(dict.fromkeys(by_status[status])))
        for status in sorted(by_status)
    }


def _problem(refusals: list[type[PayFlowError]]) -> Json:
    codes = [refusal.code for refusal in refusals]
    names = ["X-Request-Id"]
    if any(refusal.retry_after_seconds for refusal in refusals):
        names.append("Retry-After")
    schema = {
        "allOf": [{"$ref": _REF.format(model="Problem")}],
        "properties": {"code": {"enum": codes}},
    }
    return {
        "description": "; ".join(f"`{refusal.code}`: {refusal.title}" for refusal in refusals),
        "headers": {name: _HEADERS[name] for name in names},
        "content": {"application/problem+json": {"schema": schema}},
    }


def _content(model: type[Schema]) -> Mapping[str, Json]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
