"""Lambda around a function: its Runtime API, and an SQS whose connections a freeze outlives.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
AWS's own client of that API, awslambdaric, runs the function. Lambda freezes it between two
invocations; meanwhile the other ends of its connections forget them without a word.
"""

import hashlib
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer
from typing import Any, ClassVar

_ARN = "arn:aws:lambda:ca-central-1:123456789012:function:payflow-dev"
_ANSWER_SECONDS = 60


class RuntimeApi(ThreadingHTTPServer):
    """Hands one event after the other to the function, and keeps its answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeHandler)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()

    def invoke(self, event: Any) -> Any:
        """Return the function's answer. Raises queue.Empty if there is none in a minute."""
        self.events.put(event)
        return self.answers.get(timeout=_ANSWER_SECONDS)


class _RuntimeHandler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Long-poll for the next invocation."""
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 29_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", _ARN)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Take an answer, or an error: of an invocation or of the start."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.answers.put(json.loads(body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class ForgetfulSqs(ThreadingTCPServer):
    """Takes messages. What it has forgotten a connection of, it resets at the next byte."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SqsHandler)
        self.bodies: list[str] = []
        self.resets = 0
        self.generation = 0

    def forget_connections(self) -> None:
        self.generation += 1


class _SqsHandler(StreamRequestHandler):
    server: ForgetfulSqs
    RESET: ClassVar[bytes] = struct.pack("ii", 1, 0)

    def handle(self) -> None:
        generation = self.server.generation
        while first := self.rfile.read(1):
            if generation != self.server.generation:
                self.server.resets += 1
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, self.RESET)
                self.connection.close()
                return
            self._answer(first)

    def _answer(self, first: bytes) -> None:
        head = first + b"".join(iter(self.rfile.readline, b"\r\n"))
        headers = dict(
            line.lower().split(b": ", 1) for line in head.splitlines()[1:] if b": " in line
        )
        message = json.loads(self.rfile.read(int(headers[b"content-length"])))
        self.server.bodies.append(message["MessageBody"])
        digest = hashlib.md5(message["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        body = json.dumps({"MessageId": "1", "MD5OfMessageBody": digest}).encode()
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )


@contextmanager
def served(server: TCPServer) -> Iterator[str]:
    """Serve in the background; yield the address."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def frozen(process: subprocess.Popen[str]) -> Iterator[None]:
    """Freeze the function, and thaw it."""
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)
