"""The least of AWS that a first request needs, on loopback: it answers at once, and writes down
what it was asked. What it costs is the same for the app and for its floor.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from botocore import xform_name

_KEYS: Final = ("PK", "SK", "idempotencyKey")
_SERVICES: Final = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}


class Asked(NamedTuple):
    """One call, as botocore's client takes it."""

    service: str
    operation: str
    parameters: dict[str, Any]


class AwsDouble(ThreadingHTTPServer):
    """Keeps what is put, gives it by its key, changes nothing, and takes everything else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self._items: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, asked: Asked) -> dict[str, Any]:
        self.asked.append(asked)
        match asked.operation:
            case "put_item":
                item = asked.parameters["Item"]
                self._items[_place({name: item[name] for name in _KEYS if name in item})] = item
            case "get_item":
                item = self._items.get(_place(asked.parameters["Key"]))
                return {} if item is None else {"Item": item}
            case "update_item":
                return {"Attributes": self._items[_place(asked.parameters["Key"])]}
            case "send_message":
                return {"MessageId": "5fea7756-0ea4-451a-a703-a558b933e274"}
        return {}


def _place(key: dict[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)


class _Handler(BaseHTTPRequestHandler):
    server: AwsDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        service, _, operation = self.headers["X-Amz-Target"].partition(".")
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = Asked(_SERVICES[service], xform_name(operation), parameters)
        body = json.dumps(self.server.answer(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def aws_double() -> Iterator[AwsDouble]:
    with AwsDouble() as double:
        thread = threading.Thread(target=double.serve_forever, daemon=True)
        thread.start()
        try:
            yield double
        finally:
            double.shutdown()
            thread.join()
