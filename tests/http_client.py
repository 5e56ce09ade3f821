"""The HTTP client of the tests."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from infra.local.settings import HOST


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request on a connection that may be kept alive."""
    raw = body.encode() if isinstance(body, str) else body
    connection.request(method, path, raw, headers or {})
    response = connection.getresponse()
    return Reply(response.status, dict(response.headers), response.read())


def send(
    port: int,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request on a new connection."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        return exchange(connection, method, path, body, headers)
    finally:
        connection.close()
