"""HTTP/1.1 by h11, on connections that are kept alive and shared by all who ask."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import h11

from infra.local.settings import HOST

_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


class Connection:
    """One connection, opened when it is needed. Not for two requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Raises OSError or h11.ProtocolError; whatever it raises, the connection is closed."""
        try:
            answer = await self._exchange(method, path, body or b"", headers)
        except BaseException:  # a timeout too: what is still to come belongs to nobody
            self.close()
            raise
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()
        return answer

    async def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
            self._http = h11.Connection(h11.CLIENT)
        head = [("Host", f"{HOST}:{self._port}"), ("Content-Length", str(len(body)))]
        request = h11.Request(method=method, target=path, headers=[*head, *headers.items()])
        sent = [self._http.send(part) for part in (request, h11.Data(body), h11.EndOfMessage())]
        self._writer.write(b"".join(part for part in sent if part))
        await self._writer.drain()
        status, got, answer = 0, {}, b""
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
                got = {name.decode().lower(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                answer += event.data
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("closed without an answer")
        return Answer(status, got, answer)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Connections:
    """So many, each used by one at a time; the one that was used last is used next."""

    def __init__(self, port: int, most: int) -> None:
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._all = [Connection(port) for _ in range(most)]
        for connection in self._all:
            self._free.put_nowait(connection)

    async def take(self) -> Connection:
        """Waits for one to be free."""
        return await self._free.get()

    def give_back(self, connection: Connection) -> None:
        self._free.put_nowait(connection)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
