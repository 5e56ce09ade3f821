"""API errors (RFC 9457).

    PayFlowError
    ├── ValidationFailed          400 validation_failed
    ├── MalformedJson             400 malformed_json
    ├── InvalidCursor             400 invalid_cursor
    ├── IdempotencyKeyMismatch    400 idempotency_key_mismatch
    ├── Unauthenticated           401 unauthenticated
    ├── Forbidden                 403 forbidden
    ├── NotFound                  404 not_found
    ├── MethodNotAllowed          405 method_not_allowed
    ├── Conflict                  409 conflict
    ├── PaymentNotCancelable      409 payment_not_cancelable
    ├── PaymentNotRefundable      409 payment_not_refundable
    ├── PaymentNotReturnable      409 payment_not_returnable
    ├── EndpointLimitReached      409 endpoint_limit_reached
    ├── EndpointDisabled          409 endpoint_disabled
    ├── BodyTooLarge              413 body_too_large
    ├── UnsupportedMediaType      415 unsupported_media_type
    ├── IdempotencyKeyReused      422 idempotency_key_reused
    ├── RefundExceedsPayment      422 refund_exceeds_payment
    ├── RateLimited               429 rate_limited (sent by API Gateway itself)
    ├── Internal                  500 internal
    └── Unavailable               503 unavailable

Each class is one stable `code` of the API. `detail` says what happened and what the caller can do.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """What is wrong with one field of a request; dots join nested fields."""

    field: str
    message: str


class PayFlowError(Exception):
    """Base class of all API errors."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def headers(self) -> dict[str, str]:
        """Return the headers that this error adds to the answer."""
        if self.retry_after_seconds is None:
            return {}
        return {"Retry-After": str(self.retry_after_seconds)}

    def problem(self, request_id: str) -> dict[str, Any]:
        """Return the body of the `application/problem+json` answer (RFC 9457, section 3)."""
        return {
            "type": f"urn:payflow:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }


class ValidationFailed(PayFlowError):
    status, code, title = 400, "validation_failed", "The request is not valid"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = tuple(errors)

    def problem(self, request_id: str) -> dict[str, Any]:
        return super().problem(request_id) | {"errors": [error._asdict() for error in self.errors]}


class MalformedJson(PayFlowError):
    status, code, title = 400, "malformed_json", "The body is not valid JSON"


class InvalidCursor(PayFlowError):
    status, code, title = 400, "invalid_cursor", "The cursor is not valid"


class IdempotencyKeyMismatch(PayFlowError):
    status, code = 400, "idempotency_key_mismatch"
    title = "The header and the body have different idempotency keys"


class Unauthenticated(PayFlowError):
    status, code, title = 401, "unauthenticated", "No valid API key"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="payflow"'}  # RFC 6750, section 3


class Forbidden(PayFlowError):
    status, code, title = 403, "forbidden", "The API key does not allow this"


class NotFound(PayFlowError):
    status, code, title = 404, "not_found", "Resource not found"


class MethodNotAllowed(PayFlowError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"Use {' or '.join(allowed)}.")
        self.allowed = tuple(allowed)

    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class Conflict(PayFlowError):
    status, code, title = 409, "conflict", "Another request is changing the same resource"
    retry_after_seconds = 1


class PaymentNotCancelable(PayFlowError):
    status, code, title = 409, "payment_not_cancelable", "The payment can no longer be canceled"


class PaymentNotRefundable(PayFlowError):
    status, code, title = 409, "payment_not_refundable", "The payment cannot be refunded"


class PaymentNotReturnable(PayFlowError):
    status, code, title = 409, "payment_not_returnable", "The payment cannot be returned"


class RefundNotReturnable(PayFlowError):
    status, code, title = 409, "refund_not_returnable", "The refund cannot be returned"


class EndpointLimitReached(PayFlowError):
    status, code, title = 409, "endpoint_limit_reached", "Webhook endpoint limit reached"


class UrlInUse(PayFlowError):
    status, code, title = 409, "url_in_use", "Another webhook endpoint has this URL"


class EndpointDisabled(PayFlowError):
    status, code, title = 409, "endpoint_disabled", "The webhook endpoint is disabled"


class BodyTooLarge(PayFlowError):
    status, code, title = 413, "body_too_large", "The body is too large"


class UnsupportedMediaType(PayFlowError):
    status, code, title = 415, "unsupported_media_type", "The body must be application/json"


class IdempotencyKeyReused(PayFlowError):
    status, code = 422, "idempotency_key_reused"
    title = "The idempotency key was used for another request"


class RefundExceedsPayment(PayFlowError):
    status, code = 422, "refund_exceeds_payment"
    title = "The refund exceeds the refundable amount"


class RateLimited(PayFlowError):
    status, code, title = 429, "rate_limited", "Too many requests"
    retry_after_seconds = 1


class Internal(PayFlowError):
    status, code, title = 500, "internal", "Internal error"


class Unavailable(PayFlowError):
    status, code, title = 503, "unavailable", "Service temporarily unavailable"
    retry_after_seconds = 2
