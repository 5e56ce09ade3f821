"""The local webhook receiver verifies, keeps and shows what it receives.

Its paths that misbehave are tried in webhooks/test_http_client.py.
"""

import http.client
import json
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.webhooks.signing import headers, new_secret
from infra.local import webhook_receiver

BODY = b'{"type":"payment.completed"}'


class Merchant:
    def __init__(self, port: int) -> None:
        self._port = port

    def request(
        self, method: str, path: str, body: bytes = b"", sent: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body, sent or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def told(self, *secrets: str) -> int:
        return self.request("PUT", "/secrets", json.dumps({"secrets": secrets}).encode())[0]

    def sent(self, webhook_id: str, *secrets: str, body: bytes = BODY) -> int:
        signed = headers(webhook_id, datetime.now(UTC), body, secrets)
        return self.request("POST", "/hooks", body, signed)[0]

    def received(self) -> Any:
        return json.loads(self.request("GET", "/received")[1])["received"]


@pytest.fixture
def merchant(tmp_path: Path) -> Iterator[Merchant]:
    with webhook_receiver.server(webhook_receiver.Receiver(tmp_path), 0) as server:
        serving = threading.Thread(target=server.serve_forever, args=[0.01])
        serving.start()
        yield Merchant(server.server_address[1])
        server.shutdown()
        serving.join()


def test_receiver_accepts_what_one_of_its_secrets_verifies(merchant: Merchant) -> None:
    ours, other, stranger = new_secret(), new_secret(), new_secret()
    assert merchant.told(ours, other) == 204
    assert merchant.sent("EVT-1", ours) == 200
    assert merchant.sent("EVT-2", stranger, other) == 200
    assert merchant.sent("EVT-3", stranger) == 400
    assert [(one["webhook_id"], one["verified"]) for one in merchant.received()] == [
        ("EVT-1", True),
        ("EVT-2", True),
        ("EVT-3", False),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"webhook-id": "EVT-1", "webhook-timestamp": "x", "webhook-signature": "v1,x"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,====="},
        {"webhook-signature": ""},
    ],
)
def test_unsigned_webhook_is_kept_as_unverified(merchant: Merchant, broken: dict[str, str]) -> None:
    secret = new_secret()
    merchant.told(secret)
    sent = headers("EVT-1", datetime.now(UTC), BODY, [secret]) | broken if broken else {}
    assert merchant.request("POST", "/", BODY, sent)[0] == 400
    (one,) = merchant.received()
    assert one["verified"] is False


def test_misbehaving_path_also_keeps_webhooks(merchant: Merchant) -> None:
    assert merchant.request("POST", "/status/503", BODY)[0] == 503
    assert [one["path"] for one in merchant.received()] == ["/status/503"]


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b'{"secrets": 1}', b'{"secrets": ["whsec_"]}', b'{"secrets":["a"]}'],
)
def test_invalid_secrets_are_refused_and_the_old_ones_stay(merchant: Merchant, body: bytes) -> None:
    secret = new_secret()
    merchant.told(secret)
    assert merchant.request("PUT", "/secrets", body)[0] == 400
    assert merchant.sent("EVT-1", secret) == 200


def test_receiver_keeps_its_secrets_private_across_a_restart(tmp_path: Path) -> None:
    secret = new_secret()
    webhook_receiver.Receiver(tmp_path).keep_secrets([secret])
    assert webhook_receiver.Receiver(tmp_path).secrets() == [secret]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_receiver_keeps_the_last_thousand(tmp_path: Path) -> None:
    kept = webhook_receiver.Receiver(tmp_path)
    for number in range(1001):
        kept.receive(f"/{number}", {}, b"")
    assert [one.path for one in kept.received()] == [f"/{number}" for number in range(1, 1001)]


def test_received_content_cannot_run_as_a_script(merchant: Merchant) -> None:
    merchant.request("POST", "/<script>", b"<script>alert(1)</script>", {"webhook-id": "<b>"})
    status, page = merchant.request("GET", "/")
    assert status == 200
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;" in page


def test_a_body_that_is_too_large_or_endless_is_refused(merchant: Merchant) -> None:
    assert merchant.request("POST", "/", b"a", {"Content-Length": "99999999"})[0] == 413
    assert merchant.request("POST", "/", b"", {"Transfer-Encoding": "chunked"})[0] == 413
    assert merchant.received() == []
