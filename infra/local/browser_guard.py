"""Keep web pages, other than the dashboard, away from the local stack.

A page that a developer visits runs in a browser on this machine, so it can reach servers on
loopback. Two headers identify it: browsers name the origin of a page's requests, and a page whose
domain resolves to loopback (DNS rebinding) still sends that domain as the Host.

A browser may follow a signed link to an export: what it downloads, no page can read.
"""

import re
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from typing import Any, Final

from infra.local.settings import HOST

_HERE: Final = frozenset({HOST, "[::1]"})
_PORT: Final = re.compile(r":[0-9]*$")
_REFUSAL: Final = b"The emulated AWS serves programs on this machine, not web pages.\n"

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Coroutine[Any, Any, None]]


def is_this_machine(host: str) -> bool:
    """Return whether a Host header names this machine.

    Nobody else can own a name without a dot, or one that ends in .localhost.
    """
    name = _PORT.sub("", host.lower())
    return name in _HERE or "." not in name or name.endswith(".localhost")


def refuse_web_pages(serve: Asgi) -> Asgi:
    """Wrap `serve` so that it refuses web pages: the emulated AWS runs any code that it gets."""

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if (
            scope["type"] == "lifespan"
            or not _is_page(scope["headers"])
            or _is_followed_link(scope)
        ):
            await serve(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
        else:
            await send({"type": "websocket.close", "code": 1008})

    return guarded


def _is_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    values = {name.lower(): value.decode("latin-1") for name, value in headers}
    site = values.get(b"sec-fetch-site", "none")  # `none`: typed into the address bar
    return b"origin" in values or site != "none" or not is_this_machine(values.get(b"host", ""))


def _is_followed_link(scope: Scope) -> bool:
    """Return whether a browser follows a signed link to an export, as to a page of its own."""
    if scope["type"] != "http" or scope.get("method") != "GET":
        return False
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return (
        scope["path"].startswith("/payflow-exports-")
        and b"X-Amz-Signature=" in scope["query_string"]
        and headers.get(b"sec-fetch-mode") == "navigate"
        and b"origin" not in headers
        and is_this_machine(headers.get(b"host", ""))
    )
