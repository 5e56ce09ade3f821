"""Routing: parsing, answers, problems and the request log. The only module that knows requests.

Guarantee: a view runs only for an authorized caller and a valid command. The checks run in this
order: key, scope, body size and form, fields. Every answer is JSON and has an `X-Request-Id`.
Errors are problem details (RFC 9457) that reveal nothing internal.
"""

import functools
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Generic
from urllib.parse import unquote

from chalice.app import Chalice, CORSConfig, MultiDict, Request, Response

from chalicelib import errors, exact_json
from chalicelib.api_keys.models import Scope
from chalicelib.schema import Schema
from chalicelib.telemetry import log, log_exception
from chalicelib.validation import Command, validated
from chalicelib.values import SYSTEM, Actor

if TYPE_CHECKING:
    from chalicelib.idempotency import Created

MAX_BODY_BYTES: Final = 64 * 1024
REQUEST_HEADERS: Final = ("Authorization", "Idempotency-Key")
EXPOSED_HEADERS: Final = ("X-Request-Id", "Idempotent-Replayed", "Location", "Retry-After")
_PREFLIGHT_SECONDS: Final = 600
# Other text in place of an id may be a key or a secret, so it is not logged.
_ID: Final = re.compile(r"[a-z]{2,3}-[0-9a-z]{1,80}", re.IGNORECASE)


def cors(allowed_origin: str) -> CORSConfig:
    """Allow the one origin. Set it before the first route is declared."""
    return CORSConfig(
        allow_origin=allowed_origin,
        allow_headers=list(REQUEST_HEADERS),
        expose_headers=list(EXPOSED_HEADERS),
        max_age=_PREFLIGHT_SECONDS,
    )


@dataclass(frozen=True)
class Answer:
    """An answer that sets its own status or headers. `body` is JSON text."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    payment_id: str | None = None
    """For the request log."""

    @classmethod
    def created(
        cls,
        body: str,
        *,
        replayed: bool,
        payment_id: str | None = None,
        location: str | None = None,
        status: int = 201,
    ) -> "Answer":
        """Answer `status` for a new resource, or 200 for the replay of a stored answer."""
        if replayed:
            return cls(200, body, {"Idempotent-Replayed": "true"}, payment_id)
        return cls(status, body, {"Location": location} if location else {}, payment_id)

    @classmethod
    def once(cls, result: "Schema | Created") -> "Answer":
        """Answer with a new resource, or with the first answer that was stored."""
        if isinstance(result, Schema):
            return cls.created(result.to_json(), replayed=False)
        return cls.created(result.body, replayed=True)


@dataclass(frozen=True)
class Call(Generic[Command]):
    """The parts of a request that a view needs."""

    command: Command
    path: Mapping[str, str]
    url_path: str
    """As the client sent it, with the stage's prefix."""
    actor: Actor
    authorize: Callable[[Scope], None]
    """For a view that needs a scope only sometimes. Raises Unauthenticated or Forbidden."""


class Nothing(Schema):
    """The command of a view that takes none."""


View = Callable[[Call[Any]], Schema | Answer | None]
"""A returned model is sent as JSON, with the status of the first success; None becomes 204."""


@dataclass(frozen=True)
class Success:
    """A successful answer of a view."""

    status: int
    description: str
    model: type[Schema] | None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """What a route accepts and returns: for the checks before its view, and for `openapi`."""

    operation_id: str
    summary: str
    scope: Scope | None
    """The scope that a key needs; None for a public route."""
    successes: tuple[Success, ...]
    errors: tuple[type[errors.PayFlowError], ...]
    """The errors of the view itself; the checks before it add theirs."""
    query: type[Schema] | None = None
    body: type[Schema] | None = None


@dataclass(frozen=True)
class Api:
    """Turns views into functions that Chalice can route to."""

    app: Chalice
    authorize: Callable[[str | None, Scope], Actor | None]
    """Returns the key in an Authorization header, or raises: see `ApiKeys`."""

    def operation(
        self,
        summary: str,
        *successes: Success,
        scope: Scope | None,
        errors: tuple[type[errors.PayFlowError], ...] = (),
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
    ) -> Callable[[View], Callable[..., Response]]:
        """Decorate a view: a function of a `Call`."""

        def decorate(view: View) -> Callable[..., Response]:
            operation = Operation(view.__name__, summary, scope, successes, errors, query, body)

            @functools.wraps(view)
            def handler(**path: str) -> Response:
                request = self.app.current_request
                assert request is not None, "Chalice routes requests only"
                return self._serve(view, operation, request, path)

            handler.operation = operation  # type: ignore[attr-defined]
            return handler

        return decorate

    def _serve(
        self, view: View, operation: Operation, request: Request, path: Mapping[str, str]
    ) -> Response:
        started = time.perf_counter()
        request_id = request.context.get("requestId") or str(uuid.uuid4())
        key: Actor | None = None

        def authorize(scope: Scope) -> None:
            nonlocal key
            key = self.authorize(request.headers.get("authorization"), scope)

        try:
            if operation.scope is not None:
                authorize(operation.scope)
            command = _command(request, operation)
            url_path = request.context.get("path", "")
            address = request.context.get("identity", {}).get("sourceIp")
            actor = (key or SYSTEM)._replace(address=address)
            result = view(Call(command, path, url_path, actor, authorize))
            answer = _answer(result, operation, path)
        except errors.PayFlowError as error:
            answer = problem(error, request_id)
        except Exception as error:  # a bug: log its details, but send none to the client
            log_exception("bug", error, request_id=request_id)
            answer = problem(
                errors.Internal("The request failed; quote its request_id."), request_id
            )
        log(
            "request",
            method=request.method,
            path=_loggable(request.path, path),
            status=answer.status,
            latency_ms=round((time.perf_counter() - started) * 1000, 1),
            request_id=request_id,
            key=key and key.name,
            key_id=key and key.key_id,
            payment_id=answer.payment_id,
        )
        if request.method == "HEAD":
            answer = replace(answer, body="")
        return respond(answer, request_id)


def _answer(
    result: Schema | Answer | None, operation: Operation, path: Mapping[str, str]
) -> Answer:
    if isinstance(result, Answer):
        return result
    status = operation.successes[0].status
    if result is None:
        return Answer(status, "")
    payment_id = path.get("payment_id") or getattr(result, "payment_id", None)
    return Answer(status, result.to_json(), payment_id=payment_id)


def _loggable(route: str, path: Mapping[str, str]) -> str:
    """Return the path to log: text that is not an id becomes "…".

    Decodes the ids, because a local server does not.
    """
    ids = {name: unquote(value) for name, value in path.items()}
    return route.format(
        **{name: value if _ID.fullmatch(value) else "…" for name, value in ids.items()}
    )


def problem(error: errors.PayFlowError, request_id: str) -> Answer:
    """Return the problem document of `error`."""
    headers = {"Content-Type": "application/problem+json", **error.headers()}
    return Answer(error.status, exact_json.dumps(error.problem(request_id)), headers)


def respond(answer: Answer, request_id: str) -> Response:
    """Return `answer` as Chalice's response."""
    headers: dict[str, str | list[str]] = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Request-Id": request_id,
        **answer.headers,
    }
    return Response(answer.body, headers=headers, status_code=answer.status)


def _command(request: Request, operation: Operation) -> Schema:
    if operation.body is not None:
        fields = _json_object(request, may_be_empty=may_be_left_out(operation.body))
        if "idempotency_key" in operation.body.model_fields:
            fields = _with_header_key(fields, request)
        return validated(operation.body, fields)
    if operation.query is not None:
        return validated(operation.query, _query(request))
    return Nothing()


def may_be_left_out(model: type[Schema]) -> bool:
    """Return whether a request may have no body: one that says nothing, and moves no money."""
    fields = model.model_fields
    return "idempotency_key" not in fields and not any(
        field.is_required() for field in fields.values()
    )


def _json_object(request: Request, *, may_be_empty: bool) -> dict[str, Any]:
    body = request.raw_body
    assert isinstance(body, bytes), "Chalice encodes the text that API Gateway passes"
    if may_be_empty and not body:
        return {}
    if len(body) > MAX_BODY_BYTES:
        raise errors.BodyTooLarge(f"Send at most {MAX_BODY_BYTES} bytes; the body has {len(body)}.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise errors.UnsupportedMediaType("Send the header Content-Type: application/json.")
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity"}:
        raise errors.UnsupportedMediaType(
            f"Send the body as it is, without Content-Encoding: {coding[:20]}."
        )
    if not body.strip():
        raise errors.MalformedJson("The body is empty; send a JSON object.")
    value = exact_json.loads(body)
    if not isinstance(value, dict):
        raise errors.ValidationFailed([errors.FieldError("body", "must be a JSON object")])
    return value


def _with_header_key(fields: dict[str, Any], request: Request) -> dict[str, Any]:
    header = request.headers.get("idempotency-key")
    if header is None:
        return fields
    several = request.to_original_event().get("multiValueHeaders") or {}
    for name, values in several.items():
        if name.lower() == "idempotency-key":
            check_sent_once(values)
    if header.startswith('"') and header.endswith('"'):
        # Versions before took the quotes for a part of the key. Left out now, the retry of such a
        # request would be a new payment.
        raise errors.ValidationFailed(
            [errors.FieldError("Idempotency-Key", "must be sent without quotes")]
        )
    if "idempotency_key" in fields and fields["idempotency_key"] != header:
        raise errors.IdempotencyKeyMismatch(
            "Send the key in the Idempotency-Key header or in the body, or the same key in both."
        )
    return fields | {"idempotency_key": header}


def check_sent_once(keys: Sequence[str]) -> None:
    """Raise ValidationFailed if a request has several headers Idempotency-Key."""
    if len(keys) > 1:
        raise errors.ValidationFailed([errors.FieldError("Idempotency-Key", "must be sent once")])


def _query(request: Request) -> dict[str, str]:
    parameters = request.query_params or MultiDict({})
    fields: dict[str, str] = {}
    for name in parameters:
        values = parameters.getlist(name)
        if len(values) > 1:
            raise errors.ValidationFailed([errors.FieldError(name[:100], "must be sent once")])
        fields[name] = values[0]
    return fields
