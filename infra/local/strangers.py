"""Who may talk to the local stack: programs of this machine, and no web page but its dashboard.

A page that a developer visits runs in a browser of this machine, and so reaches what listens on
loopback. It betrays itself: the browser says where a page's requests come from, and a page that
has its own name point here (DNS rebinding) still calls for that name.
"""

import re
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from typing import Any, Final

from infra.local.settings import HOST

_HERE: Final = frozenset({HOST, "[::1]"})
_PORT: Final = re.compile(r":[0-9]*$")
_REFUSAL: Final = b"The emulated AWS is for programs of this machine, not for web pages.\n"

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Any, Any], Coroutine[Any, Any, None]]


def names_this_machine(host: str) -> bool:
    """Whether a Host header does. Nobody else can own a name without a dot, or below localhost."""
    name = _PORT.sub("", host.lower())
    return name in _HERE or "." not in name or name.endswith(".localhost")


def kept_out(serve: Asgi) -> Asgi:
    """`serve`, for whoever is no web page: what it offers runs the code that it is given."""

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or not _is_page(scope["headers"]):
            await serve(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})
        else:
            await send({"type": "websocket.close", "code": 1008})

    return guarded


def _is_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    said = {name.lower(): value.decode("latin-1") for name, value in headers}
    site = said.get(b"sec-fetch-site", "none")  # `none`: typed into the address bar
    return b"origin" in said or site != "none" or not names_this_machine(said.get(b"host", ""))
