"""The receivers of docs/webhooks.md, run as they stand there."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.webhooks.http_client import HttpClient
from chalicelib.webhooks.signing import headers, new_secret
from tests.docs.pages import blocks
from tests.engines import accepts, free_port, node_packages, wait_until

BODY = b'{"type":"payment.completed","data":{"id":"PAY-1","amount":12.50}}'
client = HttpClient(allows_private=True)


def example(language: str) -> str:
    (source,) = blocks("docs/webhooks.md", language)
    return source


def python(folder: Path) -> list[str]:
    file = folder / "endpoint.py"
    file.write_text(example("python"))
    return [sys.executable, str(file)]


def node(folder: Path) -> list[str]:
    (folder / "node_modules").symlink_to(node_packages())
    file = folder / "endpoint.cjs"
    file.write_text(example("js"))
    return ["node", str(file)]


@contextmanager
def running(command: list[str], port: int, secret: str, said: Path) -> Iterator[None]:
    env = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": secret}
    with said.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, "the example listens")
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("made", [python, node])
def test_example_takes_what_is_signed_once_and_refuses_the_rest(
    tmp_path: Path, made: Callable[[Path], list[str]]
) -> None:
    port, new, old = free_port(), new_secret(), new_secret()
    url, said = f"http://127.0.0.1:{port}/", tmp_path / "said"
    signed = headers("EVT-1", datetime.now(UTC), BODY, [new, old])
    with running(made(tmp_path), port, old, said):
        statuses = [
            client.post(url, BODY, signed).status,
            client.post(url, BODY, signed).status,
            client.post(url, BODY.replace(b"12", b"99"), signed).status,
            client.post(url, BODY, signed | {"webhook-signature": "nonsense"}).status,
            client.post(url, BODY, {}).status,
        ]
    assert statuses == [204, 204, 400, 400, 400]
    assert said.read_text() == "payment.completed PAY-1\n"
