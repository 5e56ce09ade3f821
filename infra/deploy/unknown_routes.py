"""API Gateway's answers to unknown paths and methods, without running a function.

Guarantee: a path that no route has is a 404 problem, and a method that a path does not have is a
405 with `Allow`, with a key or without. Otherwise API Gateway takes the request for one of AWS's
own, and answers 403, or complains about the `Authorization` header.
"""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib import exact_json
from chalicelib.errors import MethodNotAllowed, NotFound, PayFlowError
from infra.deploy.gateway_responses import headers_of

_NO_SUCH_PATH: Final = NotFound("There is nothing at this path; see /v1/openapi.json.")
_ANY: Final = "x-amazon-apigateway-any-method"
_CONTENT_TYPES: Final = (
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/xml",
    "multipart/form-data",
    "text/plain",
)
"""A mock takes its status from a template, which API Gateway chooses by the content type (JSON if a
request has none). Any other gets API Gateway's 415."""


def answers(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return `paths`, those of the API's document, with every other path and method answered."""
    known = {path: {**methods, _ANY: _wrong_method(methods)} for path, methods in paths.items()}
    rest = {"name": "proxy", "in": "path", "required": True, "type": "string"}
    return {
        **known,
        "/": {_ANY: _mock(_NO_SUCH_PATH)},
        "/{proxy+}": {_ANY: {**_mock(_NO_SUCH_PATH), "parameters": [rest]}},
    }


def _wrong_method(methods: Mapping[str, Any]) -> dict[str, Any]:
    allowed = sorted(name.upper() for name in methods if name != "options")
    parameters = next(iter(methods.values())).get("parameters")
    mock = _mock(MethodNotAllowed([*allowed, "OPTIONS"]))
    return {**mock, "parameters": parameters} if parameters else mock


def _mock(problem: PayFlowError) -> dict[str, Any]:
    """Return a method that always answers `problem`."""
    status = str(problem.status)
    headers = headers_of(problem)
    template = exact_json.dumps({"statusCode": problem.status})
    return {
        "consumes": list(_CONTENT_TYPES),
        "produces": ["application/json"],
        "responses": {
            status: {
                "description": problem.title,
                "headers": {name: {"type": "string"} for name in headers},
            }
        },
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "contentHandling": "CONVERT_TO_TEXT",
            "passthroughBehavior": "never",
            "requestTemplates": dict.fromkeys(_CONTENT_TYPES, template),
            "responses": {
                "default": {
                    "statusCode": status,
                    "responseParameters": {
                        f"method.response.header.{name}": value for name, value in headers.items()
                    },
                    "responseTemplates": {
                        "application/json": exact_json.dumps(problem.problem("$context.requestId"))
                    },
                }
            },
        },
    }
