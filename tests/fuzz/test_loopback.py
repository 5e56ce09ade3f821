"""A generated URL leads nowhere outside its own stack."""

import os
import subprocess
import sys

import pytest

from tests.engines import ROOT
from tests.fuzz import CONFINED
from tests.merchants import saying, serving

SEND = """
import sys
from chalicelib.webhooks.http_client import HttpClient

result = HttpClient(allows_private=True).post(sys.argv[1], b"{}", {})
print(result.status, result.error)
"""


def what_comes_of(url: str, **ports: str) -> str:
    """Return the result of a webhook to `url`, sent by a process whose stack has these ports."""
    sender = subprocess.run(
        [sys.executable, "-c", SEND, url],
        cwd=ROOT,
        env={**os.environ, **CONFINED, **ports},
        check=True,
        capture_output=True,
        text=True,
    )
    return sender.stdout.strip()


def test_generated_url_reaches_only_the_ports_of_the_stack() -> None:
    with serving(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        url = f"http://127.0.0.1:{port}/"
        assert what_comes_of(url) == "None connection"
        assert what_comes_of(url, PAYFLOW_RECEIVER_PORT=str(port)) == "204 None"


@pytest.mark.parametrize(
    "url", ["https://example.com/webhooks", "http://192.0.2.1/", "https://[2001:db8::1]/"]
)
def test_generated_url_reaches_no_other_host(url: str) -> None:
    assert what_comes_of(url) == "None dns"
