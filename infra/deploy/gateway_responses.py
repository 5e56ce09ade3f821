"""API Gateway's own answers, when it called no function, or no function answered in time.

Guarantee: they are problems of `chalicelib.errors`, with the same codes, titles and CORS headers,
so clients read one kind of error.
"""

from typing import Any, Final

from chalicelib import exact_json
from chalicelib.api.routing import EXPOSED_HEADERS
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
    "No answer came in time. Send the request again with the same idempotency key: "
    "it takes effect once."
)
_THROTTLED: Final = RateLimited("Too many requests; slow down.")

# No route uses AWS signatures. API Gateway complains about a missing, expired or malformed one, as
# it sees `Authorization: Bearer`, only where there is no method; unknown_routes leaves none out.
PROBLEMS: Final[dict[str, PayFlowError]] = {
    "MISSING_AUTHENTICATION_TOKEN": _UNKNOWN_ROUTE,
    "INVALID_SIGNATURE": _UNKNOWN_ROUTE,
    "EXPIRED_TOKEN": _UNKNOWN_ROUTE,
    "RESOURCE_NOT_FOUND": _UNKNOWN_ROUTE,
    "UNAUTHORIZED": Unauthenticated("The API key is not valid."),
    "ACCESS_DENIED": Forbidden("This is not allowed."),
    "THROTTLED": _THROTTLED,
    "QUOTA_EXCEEDED": _THROTTLED,
    "WAF_FILTERED": _THROTTLED,  # its one rule limits the requests of an address
    "REQUEST_TOO_LARGE": BodyTooLarge("Send a smaller body."),
    "UNSUPPORTED_MEDIA_TYPE": UnsupportedMediaType(
        "Send the header Content-Type: application/json."
    ),
    "INTEGRATION_FAILURE": _NO_ANSWER,
    "INTEGRATION_TIMEOUT": _NO_ANSWER,
    "DEFAULT_4XX": ValidationFailed([FieldError("request", "could not be parsed by API Gateway")]),
    "DEFAULT_5XX": _BROKEN,
}


def responses() -> dict[str, Any]:
    """Return the API's `GatewayResponses` for SAM; `AllowedOrigin` is a template parameter."""
    return {name: _response(problem) for name, problem in PROBLEMS.items()}


def headers_of(problem: PayFlowError) -> dict[str, Any]:
    """Return the headers of an answer, as API Gateway's mapping expressions."""
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
    return headers


def _response(problem: PayFlowError) -> dict[str, Any]:
    return {
        "StatusCode": str(problem.status),
        "ResponseParameters": {"Headers": headers_of(problem)},
        "ResponseTemplates": {
            "application/json": exact_json.dumps(problem.problem("$context.requestId"))
        },
    }


def _literal(value: str) -> str:
    """Quote a text: API Gateway's mappings read an unquoted one as an expression."""
    return f"'{value}'"
