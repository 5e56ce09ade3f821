"""The README's examples of a merchant's endpoint, run exactly as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.webhooks.http_client import HttpClient
from chalicelib.webhooks.signing import headers, new_secret
from tests.engines import ROOT, accepts, free_port, node_packages, wait_until

BODY = b'{"type":"payment.completed","data":{"id":"PAY-1","amount":12.50}}'
client = HttpClient(allows_private=True)


def example(language: str) -> str:
    section = (ROOT / "README.md").read_text().partition("## Receive webhooks")[2]
    (source,) = re.findall(rf"```{language}\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return str(source)


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
def running(command: list[str], port: int, secret: str, output_file: Path) -> Iterator[None]:
    env = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": secret}
    with output_file.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, "the example listens")
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("program", [python, node])
def test_example_accepts_a_signed_webhook_once_and_refuses_others(
    tmp_path: Path, program: Callable[[Path], list[str]]
) -> None:
    port, new, old = free_port(), new_secret(), new_secret()
    url, output_file = f"http://127.0.0.1:{port}/", tmp_path / "output"
    signed = headers("EVT-1", datetime.now(UTC), BODY, [new, old])
    with running(program(tmp_path), port, old, output_file):
        statuses = [
            client.post(url, BODY, signed).status,
            client.post(url, BODY, signed).status,
            client.post(url, BODY.replace(b"12", b"99"), signed).status,
            client.post(url, BODY, signed | {"webhook-signature": "nonsense"}).status,
            client.post(url, BODY, {}).status,
        ]
    assert statuses == [204, 204, 400, 400, 400]
    assert output_file.read_text() == "payment.completed PAY-1\n"
