"""The little of AWS that a first request needs, on loopback: answers at once, and writes down what
it was asked. It costs the app and its floor the same.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from botocore import xform_name

_SERVICES: Final = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}


class AwsDouble(ThreadingHTTPServer):
    """Gives the items that were put, changes nothing, and accepts everything else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        """Each call, as botocore's client takes it: service, operation and parameters."""
        self._items: dict[str, dict[str, Any]] = {}

    def answer(self, target: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service, _, operation = target.partition(".")
        self.asked.append((_SERVICES[service], xform_name(operation), parameters))
        match operation:
            case "PutItem":
                self._put(parameters["Item"])
            case "TransactWriteItems":
                for write in parameters["TransactItems"]:
                    if "Put" in write:
                        self._put(write["Put"]["Item"])
            case "GetItem":
                return {"Item": self._items.get(_place(parameters["Key"]), {})}
            case "UpdateItem":
                return {"Attributes": self._items.get(_place(parameters["Key"]), {})}
            case "SendMessage":
                return {"MessageId": "5fea7756-0ea4-451a-a703-a558b933e274"}
        return {}

    def _put(self, item: dict[str, Any]) -> None:
        self._items[_place(item)] = item


def _place(item: dict[str, Any]) -> str:
    return json.dumps([item[name] for name in ("PK", "SK") if name in item])


class _Handler(BaseHTTPRequestHandler):
    server: AwsDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answer(self.headers["X-Amz-Target"], parameters)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def aws_double() -> Iterator[AwsDouble]:
    with AwsDouble() as double:
        threading.Thread(target=double.serve_forever, daemon=True).start()
        try:
            yield double
        finally:
            double.shutdown()
