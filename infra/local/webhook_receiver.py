"""A merchant's server on this machine: it receives webhooks, verifies them and shows them.

Guarantee: a webhook that GET /received lists as verified was signed with one of the receiver's
secrets, according to the library that merchants use. A POST to any path is answered 200 if it
verifies and 400 if it does not. The paths in `_MISBEHAVIOURS` ignore the signature and misbehave:
they hang, redirect, answer too much and so on. The receiver keeps the last thousand webhooks.

Tell it its secrets with PUT /secrets {"secrets": ["whsec_…"]}: the API shows an endpoint's secret
only once. They survive a restart, as the endpoints do.
"""

import html
import json
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from infra.local import lifeline
from infra.local.settings import HOST, Local, from_environment

MAX_BODY_BYTES: Final = 64 * 1024
HUGE_BYTES: Final = 100 * 1024 * 1024
_MAX_KEPT: Final = 1000
_LONGEST_SECONDS: Final = 60
_DRIP_SECONDS: Final = 0.05
_PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    # The page shows content from outside: none of it may run.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Received:
    """One POST as it arrived."""

    received_at: str
    path: str
    webhook_id: str | None
    verified: bool
    body: str


class Receiver:
    """The webhooks that arrived, and the secrets that verify them, which a file keeps."""

    def __init__(self, folder: Path, *, most: int = _MAX_KEPT) -> None:
        self._file = folder / "secrets.json"
        self._lock = threading.Lock()
        self._kept: deque[Received] = deque(maxlen=most)
        self.is_closing = threading.Event()

    def secrets(self) -> list[str]:
        if not self._file.exists():
            return []
        secrets: list[str] = json.loads(self._file.read_text())
        return secrets

    def keep_secrets(self, secrets: Sequence[str]) -> None:
        """Replace the secrets. Raises what Webhook raises for an invalid one."""
        for secret in secrets:
            Webhook(secret)
        with self._lock:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            written = self._file.with_suffix(".new")
            written.touch(mode=0o600)
            written.write_text(json.dumps(secrets))
            written.replace(self._file)

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> Received:
        one = Received(
            received_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            path=path,
            webhook_id=headers.get("webhook-id"),
            verified=any(_verifies(secret, headers, body) for secret in self.secrets()),
            body=body.decode(errors="replace"),
        )
        self._kept.append(one)
        return one

    def received(self) -> list[Received]:
        """Oldest first."""
        return list(self._kept)


def folder(local: Local) -> Path:
    return local.state / "webhook-receiver"


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: malformed UTF-8, base64 or header
        return False
    return True


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _LONGEST_SECONDS
    receiver: Receiver

    def do_GET(self) -> None:
        if self.path == "/received":
            received = [asdict(one) for one in self.receiver.received()]
            self._answer(HTTPStatus.OK, json.dumps({"received": received}), _JSON)
        elif self.path == "/":
            page = _page(self.receiver.received(), len(self.receiver.secrets()))
            self._answer(HTTPStatus.OK, page, _PAGE_HEADERS)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "Try / or /received.\n")

    def do_PUT(self) -> None:
        body = self._body()
        if body is None:
            return
        try:
            secrets = json.loads(body)["secrets"]
            self.receiver.keep_secrets([str(secret) for secret in secrets])
        except (ValueError, KeyError, TypeError, EmptyWebhookSecretError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, f'Send {{"secrets": ["whsec_…"]}}: {error}\n')
        else:
            self._answer(HTTPStatus.NO_CONTENT)

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        one = self.receiver.receive(self.path, headers, body)
        for pattern, behave in _MISBEHAVIOURS:
            if match := pattern.fullmatch(urlsplit(self.path).path):
                behave(self, match)
                return
        if one.verified:
            self._answer(HTTPStatus.OK, "received\n")
        else:
            self._answer(HTTPStatus.BAD_REQUEST, "no known secret verifies this\n")

    def _body(self) -> bytes | None:
        """Return the body, or None if it was refused."""
        length = self.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit() and int(length[:9]) <= MAX_BODY_BYTES:
            return self.rfile.read(int(length))
        self.close_connection = True
        self._answer(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Send a Content-Length of at most 64 KiB.\n"
        )
        return None

    def _answer(self, status: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != HTTPStatus.NO_CONTENT:
            self.wfile.write(body)

    def _query(self, name: str) -> str | None:
        return next(iter(parse_qs(urlsplit(self.path).query).get(name, [])), None)

    def give_status(self, match: re.Match[str]) -> None:
        wait = self._query("retry_after")
        self._answer(int(match[1]), "as asked\n", {} if wait is None else {"Retry-After": wait})

    def redirect(self, _: re.Match[str]) -> None:
        self._answer(HTTPStatus.FOUND, headers={"Location": self._query("to") or "/"})

    def sleep(self, match: re.Match[str]) -> None:
        self.receiver.is_closing.wait(min(float(match[1]), _LONGEST_SECONDS))
        self._answer(HTTPStatus.OK, "at last\n")

    def hang(self, _: re.Match[str]) -> None:
        self.receiver.is_closing.wait(_LONGEST_SECONDS)
        self.close_connection = True

    def drip(self, match: re.Match[str]) -> None:
        """Answer byte by byte: all of it, or only the body."""
        body = "." * (_LONGEST_SECONDS * 20)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        whole, self.close_connection = (head + body).encode(), True
        start = len(head) if match[1] == "body" else 0
        self.wfile.write(whole[:start])
        for byte in whole[start:]:
            self.wfile.write(bytes([byte]))
            if self.receiver.is_closing.wait(_DRIP_SECONDS):
                return

    def huge(self, _: re.Match[str]) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(HUGE_BYTES))
        self.end_headers()
        piece = b"." * 65_536
        for _piece in range(HUGE_BYTES // len(piece)):
            self.wfile.write(piece)

    def version_string(self) -> str:
        return "PayFlow-Webhook-Receiver"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        print(json.dumps({"kind": "request", "line": format % args}), flush=True)


_MISBEHAVIOURS: Final[
    Sequence[tuple[re.Pattern[str], Callable[[Handler, re.Match[str]], None]]]
] = [
    (re.compile(r"/status/([2-5][0-9]{2})"), Handler.give_status),
    (re.compile(r"/redirect"), Handler.redirect),
    (re.compile(r"/sleep/([0-9]{1,2}(?:\.[0-9]{1,3})?)"), Handler.sleep),
    (re.compile(r"/hang"), Handler.hang),
    (re.compile(r"/drip/(all|body)"), Handler.drip),
    (re.compile(r"/huge"), Handler.huge),
]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore senders that hang up: the misbehaving paths provoke it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def server(receiver: Receiver, port: int) -> Server:
    """Return a listening server that passes its requests to `receiver`."""
    handler = type("ReceiverHandler", (Handler,), {"receiver": receiver})
    return Server((HOST, port), handler)


def _page(received: Sequence[Received], secrets: int) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(one.received_at)}<td>{'yes' if one.verified else 'NO'}"
        f"<td>{html.escape(one.webhook_id or '-')}<td>{html.escape(one.path)}"
        f"<td><code>{html.escape(one.body)}</code>"
        for one in reversed(received)
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>PayFlow: webhook receiver</title>
<style>
  body {{ font: 15px/1.5 system-ui; margin: 2rem; color-scheme: light dark }}
  td, th {{ padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }}
  code {{ white-space: pre-wrap; overflow-wrap: anywhere }}
</style>
<h1>Webhook receiver</h1>
<p>{len(received)} webhooks, newest first. Known secrets: {secrets} (set them with PUT /secrets).
As JSON: <a href="/received">/received</a>.</p>
<table><tr><th>Received<th>Verified<th>webhook-id<th>Path<th>Body</tr>{rows}</table>
</html>
"""


def main() -> None:
    lifeline.hold()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    local = from_environment()
    with server(Receiver(folder(local)), local.receiver_port) as listening:
        listening.serve_forever()


if __name__ == "__main__":
    main()
