"""A region's network: passes on what it is sent, each request later by so much.

    python -m bench.delay PORT MILLISECONDS    listens on a free port, and prints it

Bytes are passed on as they are. A connection carries one request at a time, so those that come
after an answer, or first, begin one.
"""

import asyncio
import sys
from contextlib import suppress

_CHUNK_BYTES = 256 * 1024


class Connection:
    """One client's, and the engine's that goes with it."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._is_answered = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine = await asyncio.open_connection("127.0.0.1", self._port)
        there = asyncio.create_task(self._requests(reader, engine[1]))
        await self._answers(engine[0], writer)
        there.cancel()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if self._is_answered:
                self._is_answered = False
                await asyncio.sleep(self._seconds)
            writer.write(data)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK_BYTES):
                self._is_answered = True
                writer.write(data)
            writer.close()


async def main(port: int, milliseconds: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(port, milliseconds / 1000).serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
