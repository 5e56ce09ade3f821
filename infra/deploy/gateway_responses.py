"""What API Gateway answers by itself, when a request does not reach a function or no answer comes.

Guarantee: its answers are the problems of `chalicelib.errors`, with the same codes, titles and
CORS headers, so that a client reads one kind of refusal.
"""

from typing import Any, Final

from chalicelib import exact_json
from chalicelib.api import EXPOSED_HEADERS
from chalicelib.errors import (
    BodyTooLarge,
    FieldError,
    Forbidden,
    Internal,
    NotFound,
    PayFlowError,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

_UNKNOWN_ROUTE: Final = NotFound(
    "The API has no such path or method; GET /v1/openapi.json lists them."
)
_BROKEN: Final = Internal("The request failed; quote its request_id.")
_NO_ANSWER: Final = Unavailable(
    "No answer came in time. Send the request again with the same idempotency key: it is done once."
)
_THROTTLED: Final = RateLimited("Too many requests; slow down.")

# No route asks for AWS's signatures or keys. Where one is missing, expired or malformed (which an
# `Authorization: Bearer` header is, to AWS) the path or the method is unknown.
PROBLEMS: Final[dict[str, PayFlowError]] = {
    "MISSING_AUTHENTICATION_TOKEN": _UNKNOWN_ROUTE,
    "INVALID_SIGNATURE": _UNKNOWN_ROUTE,
    "EXPIRED_TOKEN": _UNKNOWN_ROUTE,
    "RESOURCE_NOT_FOUND": _UNKNOWN_ROUTE,
    "UNAUTHORIZED": Unauthenticated("The API key is not valid."),
    "ACCESS_DENIED": Forbidden("This is not allowed."),
    "THROTTLED": _THROTTLED,
    "QUOTA_EXCEEDED": _THROTTLED,
    "REQUEST_TOO_LARGE": BodyTooLarge("Send a smaller body."),
    "UNSUPPORTED_MEDIA_TYPE": UnsupportedMediaType(
        "Send the header Content-Type: application/json."
    ),
    "INTEGRATION_FAILURE": _NO_ANSWER,
    "INTEGRATION_TIMEOUT": _NO_ANSWER,
    "DEFAULT_4XX": ValidationFailed([FieldError("request", "API Gateway cannot make sense of it")]),
    "DEFAULT_5XX": _BROKEN,
}


def responses() -> dict[str, Any]:
    """The `GatewayResponses` of the API in SAM's form; `AllowedOrigin` is the template's."""
    return {name: _response(problem) for name, problem in PROBLEMS.items()}


def _response(problem: PayFlowError) -> dict[str, Any]:
    headers: dict[str, Any] = {
        name: _literal(value)
        for name, value in {
            "Content-Type": "application/problem+json",
            "Cache-Control": "no-store",
            "Access-Control-Expose-Headers": ",".join(EXPOSED_HEADERS),
            **problem.headers(),
        }.items()
    }
    headers["Access-Control-Allow-Origin"] = {"Fn::Sub": _literal("${AllowedOrigin}")}
    headers["X-Request-Id"] = "context.requestId"
    return {
        "StatusCode": str(problem.status),
        "ResponseParameters": {"Headers": headers},
        "ResponseTemplates": {
            "application/json": exact_json.dumps(problem.problem("$context.requestId"))
        },
    }


def _literal(value: str) -> str:
    """As API Gateway's mappings tell a text from an expression."""
    return f"'{value}'"
