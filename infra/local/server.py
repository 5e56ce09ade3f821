"""The API: Chalice's local server, changed to serve 50 connections at once, in several processes.

It fixes three problems of Chalice's server (two writes per answer, Nagle's algorithm, a backlog of
5), and answers with a problem document where API Gateway or HTTP itself would refuse a request.
"""

import os
import re
import signal
import socket
import sys
import threading
import uuid
from contextlib import suppress
from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
from http import HTTPStatus
from typing import Any, Final

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    LocalChalice,
    LocalDevServer,
    RouteMatcher,
    ThreadedHTTPServer,
)

from chalicelib.api import routing
from chalicelib.errors import (
    BodyTooLarge,
    FieldError,
    MethodNotAllowed,
    NotFound,
    PayFlowError,
    ValidationFailed,
)
from infra.local import browser_guard, lifeline, processes
from infra.local.settings import HOST

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
"""API Gateway's limit. Larger bodies are refused unread."""

_BROKEN_HEADERS: Final = (
    FirstHeaderLineIsContinuationDefect,
    MisplacedEnvelopeHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
_MAX_LENGTH_DIGITS: Final = 18
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LINE_BYTES: Final = 4096
_POLL_SECONDS: Final = 0.1
_LINGER_BYTES: Final = 64 * 1024 * 1024
_LINGER_SECONDS: Final = 1
_READ_BYTES: Final = 64 * 1024


class Handler(ChaliceRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True
    wbufsize = -1

    def _generic_handle(self) -> None:
        try:
            self._check_host()
            self._check_route()
            self._check_framing()
            super()._generic_handle()
            self.wfile.flush()
        except PayFlowError as error:
            self._refuse(error)

    do_GET = do_PUT = do_POST = do_HEAD = _generic_handle  # noqa: N815
    do_DELETE = do_PATCH = do_OPTIONS = _generic_handle  # noqa: N815

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """Answer with a problem where http.server would answer with HTML."""
        try:
            if code == HTTPStatus.NOT_IMPLEMENTED:
                self._check_route()  # raises unless a route has this method
            raise ValidationFailed([FieldError("request", message or HTTPStatus(code).phrase)])
        except PayFlowError as error:
            self.request_version = self.protocol_version  # otherwise the answer has no headers
            self._refuse(error)

    def version_string(self) -> str:
        return "PayFlow"

    def handle_expect_100(self) -> bool:
        """Flush at once: the client waits for this before it sends the body."""
        is_expected: bool = super().handle_expect_100()
        self.wfile.flush()
        return is_expected

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: chalicelib.api writes the request log."""

    def _check_host(self) -> None:
        """Refuse a web page whose domain resolves to loopback: the stack may be open."""
        if not browser_guard.is_this_machine(self.headers.get("host", "")):
            raise ValidationFailed([FieldError("Host", "must be 127.0.0.1 or localhost")])

    def _check_framing(self) -> None:
        """Refuse a request of unclear length: its rest could be read as the next request."""
        if any(isinstance(defect, _BROKEN_HEADERS) for defect in self.headers.defects):
            raise ValidationFailed([FieldError("headers", "must be well-formed")])
        routing.check_sent_once(self.headers.get_all("idempotency-key", []))
        codings = self.headers.get_all("transfer-encoding", [])
        if codings:
            if [coding.lower() for coding in codings] != ["chunked"]:
                raise ValidationFailed([FieldError("Transfer-Encoding", "must be chunked")])
            if "content-length" in self.headers:
                raise ValidationFailed([FieldError("Content-Length", "must not be sent as well")])
        length, *others = self.headers.get_all("content-length", ["0"])
        if others or not (length.isascii() and length.isdigit()):
            raise ValidationFailed([FieldError("Content-Length", "must be a number of bytes")])
        if len(length) > _MAX_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"Send at most {routing.MAX_BODY_BYTES} bytes.")

    def _parse_payload(self) -> tuple[dict[str, Any], bytes | None]:
        if "transfer-encoding" in self.headers:
            return dict(self.headers), self._joined_chunks()
        headers, body = super()._parse_payload()
        if len(body or b"") != int(self.headers.get("content-length", "0")):
            raise ValidationFailed([FieldError("body", "ended before its Content-Length")])
        return headers, body

    def _joined_chunks(self) -> bytes:
        """Read a chunked body, as API Gateway does (RFC 9112, 7.1)."""
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_BODY_BYTES:
                raise BodyTooLarge(f"Send at most {routing.MAX_BODY_BYTES} bytes.")
            chunk = self.rfile.read(size)
            if len(chunk) != size or self.rfile.readline(_LINE_BYTES) != b"\r\n":
                raise ValidationFailed([FieldError("body", "has a chunk of another length")])
            body += chunk
        while self.rfile.readline(_LINE_BYTES).strip():
            pass  # trailers
        return bytes(body)

    def _chunk_size(self) -> int:
        digits, _, _ = self.rfile.readline(_LINE_BYTES).partition(b";")
        if not _CHUNK_SIZE.fullmatch(digits.strip()):
            raise ValidationFailed([FieldError("body", "has a chunk without a size")])
        return int(digits, 16)

    def _check_route(self) -> None:
        app: Chalice = self.server.app
        try:
            route = RouteMatcher(list(app.routes)).match_route(self.path).route
        except ValueError:
            raise NotFound("There is nothing at this path; see /v1/openapi.json.") from None
        allowed = [*sorted(app.routes[route]), "OPTIONS"]
        if self.command not in allowed:
            raise MethodNotAllowed(allowed)

    def _refuse(self, error: PayFlowError) -> None:
        """Answer and close the connection: the rest of the request is unread."""
        request_id = str(uuid.uuid4())
        response = routing.respond(routing.problem(error, request_id), request_id)
        cors = self.server.app.api.cors
        headers = {**response.headers, **cors.get_access_control_headers(), "Connection": "close"}
        self.close_connection = True
        if getattr(self, "command", None) == "HEAD":
            self._send_http_response_no_body(error.status, headers)
        else:
            self._send_http_response(error.status, headers, response.body)
        self._linger()

    def _linger(self) -> None:
        """Read on for a while: closing with unread bytes would reset the answer in transit."""
        self.wfile.flush()
        left_bytes = _LINGER_BYTES
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            while left_bytes > 0 and (read := self.rfile.read1(_READ_BYTES)):
                left_bytes -= len(read)

    def _send_headers(self, headers: dict[str, Any]) -> None:
        # No view answers a preflight, so no view sets its request id.
        super()._send_headers({"X-Request-Id": str(uuid.uuid4()), **headers})


class Server(ThreadedHTTPServer):
    """Accepts bursts of connections without resetting any."""

    request_queue_size = 256
    app: Chalice

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up before their answer: that is not our error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main() -> None:
    import app  # reads its settings from the environment that the parent set

    app.app.__class__ = LocalChalice  # makes the current request thread-local
    config = Config(chalice_stage=app.settings.stage, config_from_disk={"app_name": "payflow"})
    port = int(os.environ["PAYFLOW_API_PORT"])
    lifeline.wait_to_begin()  # until then there are no tables
    server = LocalDevServer(app.app, config, HOST, port, handler_cls=Handler, server_cls=Server)
    server.server.app = app.app
    # Another process may take the connection that woke this one.
    server.server.socket.settimeout(_POLL_SECONDS)

    def serve() -> None:
        # shutdown() waits for the loop that the signal interrupts, so call it in a thread.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.server.serve_forever(_POLL_SECONDS)
        sys.stdout.flush()

    processes.run(serve, processes.count())


if __name__ == "__main__":
    main()
