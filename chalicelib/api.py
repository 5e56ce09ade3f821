"""HTTP: parsing, problems and the request log. The only module that knows Chalice's request.

Guarantee: a view runs only for a caller who may, with a command that has passed its checks, in
this order: key, scope, body size and form, then its fields; and every answer, whatever happened,
is JSON with an `X-Request-Id`, errors being problem details (RFC 9457) that leak nothing of the
inside.
"""

import functools
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic
from urllib.parse import unquote

from chalice.app import Chalice, CORSConfig, MultiDict, Request, Response

from chalicelib import exact_json
from chalicelib.api_keys import ApiKeys
from chalicelib.commands import Command, validated
from chalicelib.errors import (
    BodyTooLarge,
    FieldError,
    IdempotencyKeyMismatch,
    Internal,
    MalformedJson,
    PayFlowError,
    UnsupportedMediaType,
    ValidationFailed,
)
from chalicelib.model import SYSTEM, Scope
from chalicelib.schema import Schema
from chalicelib.telemetry import log, log_exception

MAX_BODY_BYTES: Final = 64 * 1024
REQUEST_HEADERS: Final = ("Authorization", "Idempotency-Key")
EXPOSED_HEADERS: Final = ("X-Request-Id", "Idempotent-Replayed", "Location", "Retry-After")
_PREFLIGHT_SECONDS: Final = 600
# What is no id may be a key or a secret, or a part of one, that was put where an id belongs.
_ID: Final = re.compile(r"[a-z]{2,3}-[0-9a-z]{1,80}", re.IGNORECASE)


def cors(allowed_origin: str) -> CORSConfig:
    """For the one origin; must be set before the first route is declared."""
    return CORSConfig(
        allow_origin=allowed_origin,
        allow_headers=list(REQUEST_HEADERS),
        expose_headers=list(EXPOSED_HEADERS),
        max_age=_PREFLIGHT_SECONDS,
    )


@dataclass(frozen=True)
class Answer:
    """What a view gives back: a status, JSON text and headers of its own."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    payment_id: str | None = None
    """For the request log."""


@dataclass(frozen=True)
class Call(Generic[Command]):
    """One request, as far as a view needs it."""

    command: Command
    path: Mapping[str, str]
    url_path: str
    """As the client sent it, the stage's prefix included."""
    actor: str
    admit: Callable[[Scope], None]
    """For a view that asks for a scope only sometimes. Raises Unauthenticated or Forbidden."""


class Nothing(Schema):
    """The command of a view that takes none."""


View = Callable[[Call[Any]], Answer]


@dataclass(frozen=True)
class Success:
    """One way in which a view succeeds."""

    status: int
    description: str
    model: type[Schema] | None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """What a route takes and gives: for the checks before its view, and for `openapi`."""

    operation_id: str
    summary: str
    scope: Scope | None
    """What a key must allow; None for what is public."""
    successes: tuple[Success, ...]
    refusals: tuple[type[PayFlowError], ...]
    """Those of the view itself; the checks before it add theirs."""
    query: type[Schema] | None = None
    body: type[Schema] | None = None


@dataclass(frozen=True)
class Api:
    """Makes views into what Chalice can route to, behind the keys."""

    app: Chalice
    keys: ApiKeys

    def operation(
        self,
        summary: str,
        *successes: Success,
        scope: Scope | None,
        refusals: tuple[type[PayFlowError], ...] = (),
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
    ) -> Callable[[View], Callable[..., Response]]:
        """Decorates a view of `Call` to `Answer`."""

        def decorate(view: View) -> Callable[..., Response]:
            what = Operation(view.__name__, summary, scope, successes, refusals, query, body)

            @functools.wraps(view)
            def handler(**path: str) -> Response:
                request = self.app.current_request
                assert request is not None, "Chalice routes requests only"
                return self._serve(view, what, request, path)

            handler.operation = what  # type: ignore[attr-defined]
            return handler

        return decorate

    def _serve(
        self, view: View, what: Operation, request: Request, path: Mapping[str, str]
    ) -> Response:
        started = time.perf_counter()
        request_id = request.context.get("requestId") or str(uuid.uuid4())
        key: str | None = None

        def admit(scope: Scope) -> None:
            nonlocal key
            key = self.keys.admit(request.headers.get("authorization"), scope)

        try:
            if what.scope is not None:
                admit(what.scope)
            url_path = request.context.get("path", "")
            answer = view(Call(_command(request, what), path, url_path, key or SYSTEM, admit))
        except PayFlowError as error:
            answer = refuse(error, request_id)
        except Exception as error:  # a bug: told to the log, never to the client
            log_exception("bug", error, request_id=request_id)
            answer = refuse(Internal("The request failed; quote its request_id."), request_id)
        log(
            "request",
            method=request.method,
            path=_loggable(request.path, path),
            status=answer.status,
            latency_ms=round((time.perf_counter() - started) * 1000, 1),
            request_id=request_id,
            key=key,
            payment_id=answer.payment_id,
        )
        return respond(answer, request_id)


def _loggable(route: str, path: Mapping[str, str]) -> str:
    """The path, with nothing in it that is not the route's or an id. Decoded, as a local server
    does not do, so that ids look alike.
    """
    ids = {name: unquote(value) for name, value in path.items()}
    return route.format(
        **{name: value if _ID.fullmatch(value) else "…" for name, value in ids.items()}
    )


def refuse(error: PayFlowError, request_id: str) -> Answer:
    """The problem that tells a client of `error`."""
    headers = {"Content-Type": "application/problem+json", **error.headers()}
    return Answer(error.status, exact_json.dumps(error.problem(request_id)), headers)


def respond(answer: Answer, request_id: str) -> Response:
    """`answer` in Chalice's form."""
    headers: dict[str, str | list[str]] = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Request-Id": request_id,
        **answer.headers,
    }
    return Response(answer.body, headers=headers, status_code=answer.status)


def _command(request: Request, what: Operation) -> Schema:
    if what.body is not None:
        fields = _json_object(request, may_be_empty=not required_fields(what.body))
        if "idempotency_key" in what.body.model_fields:
            fields = _with_header_key(fields, request)
        return validated(what.body, fields)
    if what.query is not None:
        return validated(what.query, _query(request))
    return Nothing()


def required_fields(model: type[Schema]) -> list[str]:
    """The fields that a body cannot leave out; one that has none may be left out whole.

    An idempotency key may come in the header instead.
    """
    return [
        name
        for name, field in model.model_fields.items()
        if field.is_required() and name != "idempotency_key"
    ]


def _json_object(request: Request, *, may_be_empty: bool) -> dict[str, Any]:
    body = request.raw_body
    assert isinstance(body, bytes), "Chalice encodes what API Gateway hands over as text"
    if may_be_empty and not body:
        return {}
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES} bytes; the body has {len(body)}.")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("Send the header Content-Type: application/json.")
    if not body.strip():
        raise MalformedJson("The body is empty; send a JSON object.")
    value = exact_json.loads(body)
    if not isinstance(value, dict):
        raise ValidationFailed([FieldError("body", "must be a JSON object")])
    return value


def _with_header_key(fields: dict[str, Any], request: Request) -> dict[str, Any]:
    header = request.headers.get("idempotency-key")
    if header is None:
        return fields
    if "idempotency_key" in fields and fields["idempotency_key"] != header:
        raise IdempotencyKeyMismatch(
            "Send the key in the header Idempotency-Key or in the body, or the same in both."
        )
    return fields | {"idempotency_key": header}


def _query(request: Request) -> dict[str, str]:
    parameters = request.query_params or MultiDict({})
    fields: dict[str, str] = {}
    for name in parameters:
        values = parameters.getlist(name)
        if len(values) > 1:
            raise ValidationFailed([FieldError(name[:100], "must be sent once")])
        fields[name] = values[0]
    return fields
