"""One POST, to servers that do their worst. Each test states an outcome; none measures time: with
a deadline of a third of a second, one that did not hold would show another outcome.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest

from chalicelib import webhook_sender, webhook_signature
from chalicelib.webhook_sender import MAX_RESPONSE_BYTES, Address, Attempt, Sender, SendError
from infra.local import sink
from tests.conftest import START
from tests.engines import free_port
from tests.merchants import OK, Authority, over_tls, read_request, saying, serving
from tests.test_webhook_url import NOT_PUBLIC

BODY = b'{"type":"payment.completed"}'
HEADERS = {"webhook-id": "EVT-1"}
NAME = "hooks.merchant.com"
PUBLIC = "93.184.215.14"
SHORT = 0.3
LONG_ENOUGH = 20.0
local = Sender(allows_private=True, deadline_seconds=LONG_ENOUGH, clock=lambda: START)
impatient = Sender(allows_private=True, deadline_seconds=SHORT)


def send(port: int, path: str = "/", sender: Sender = local) -> Attempt:
    return sender.send(f"http://127.0.0.1:{port}{path}", BODY, HEADERS)


@pytest.fixture
def merchant(tmp_path: Path) -> Iterator[tuple[sink.Sink, int]]:
    kept = sink.Sink(tmp_path)
    with sink.server(kept, 0) as server:
        serving = threading.Thread(target=server.serve_forever, args=[0.01])
        serving.start()
        yield kept, server.server_address[1]
        kept.is_closing.set()
        server.shutdown()
        serving.join()


@dataclass
class Internet:
    """Names and public addresses, all of which lead to one port of this machine."""

    port: int
    answers: list[list[str]]
    """Of the resolver: the first to the first question, and the last to all that follow."""
    asked: list[str] = field(default_factory=list)
    connected: list[tuple[Any, ...]] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [Address(socket.AF_INET, (address, port)) for address in found]

    def connect(self, address: Address, timeout_seconds: float) -> socket.socket:
        self.connected.append(address.place)
        here = Address(socket.AF_INET, ("127.0.0.1", self.port))
        return webhook_sender.connect(here, timeout_seconds)

    def sender(self, trust: ssl.SSLContext, seconds: float = LONG_ENOUGH) -> Sender:
        return Sender(
            deadline_seconds=seconds, trust=trust, resolve=self.resolve, connect=self.connect
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# What arrives, and what counts as delivered.


def test_what_arrives_is_what_was_signed(merchant: tuple[sink.Sink, int]) -> None:
    kept, port = merchant
    secret = webhook_signature.new_secret()
    kept.keep_secrets([secret])
    headers = webhook_signature.headers("EVT-1", datetime.now(UTC), BODY, [secret])
    attempt = local.send(f"http://127.0.0.1:{port}/hooks?shop=7", BODY, headers)
    assert attempt.is_delivered
    assert (attempt.status, attempt.response) == (200, "received\n")
    assert (attempt.error, attempt.detail, attempt.retry_after_seconds) == (None, None, None)
    (one,) = kept.received()
    assert (one.verified, one.webhook_id, one.body) == (True, "EVT-1", BODY.decode())
    assert one.path == "/hooks?shop=7"


def test_the_request_says_what_it_is_and_asks_for_an_end() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(read_request(connection))
        connection.sendall(OK)

    with serving(talk) as port:
        assert send(port, "/a|b?c={d}").is_delivered
    head, _, body = heard[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /a|b?c={d} HTTP/1.1"
    assert {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines} == {
        "host": f"127.0.0.1:{port}",
        "user-agent": "PayFlow-Webhooks/1",
        "accept": "*/*",
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "webhook-id": "EVT-1",
    }
    assert body == BODY


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(merchant: tuple[sink.Sink, int], status: int) -> None:
    with serving(saying(f"HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n".encode())) as port:
        attempt = send(port)
    assert (attempt.status, attempt.is_delivered, attempt.is_gone) == (status, True, False)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 404, 410, 429, 500, 503])
def test_no_other_status_is_and_410_is_told_apart(
    merchant: tuple[sink.Sink, int], status: int
) -> None:
    attempt = send(merchant[1], f"/status/{status}")
    assert attempt.status == status
    assert attempt.error is None
    assert not attempt.is_delivered
    assert attempt.is_gone == (status == 410)


def test_a_redirect_to_the_metadata_service_is_not_followed(
    merchant: tuple[sink.Sink, int],
) -> None:
    kept, port = merchant
    attempt = send(port, "/redirect?to=http://169.254.169.254/latest/meta-data/")
    assert (attempt.status, attempt.is_delivered) == (302, False)
    again = send(port, f"/redirect?to=http://127.0.0.1:{port}/other")
    assert (again.status, again.is_delivered) == (302, False)
    assert {one.path.partition("?")[0] for one in kept.received()} == {"/redirect"}


def test_an_early_hint_is_not_the_answer() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with serving(saying(hints + OK)) as port:
        assert send(port).status == 200


# Time.


def test_an_answer_that_is_late_but_in_time_is_delivered(merchant: tuple[sink.Sink, int]) -> None:
    attempt = send(merchant[1], "/sleep/0.4")
    assert (attempt.status, attempt.is_delivered) == (200, True)


def test_a_server_that_hangs_is_left(merchant: tuple[sink.Sink, int]) -> None:
    attempt = send(merchant[1], "/hang", impatient)
    assert (attempt.status, attempt.error) == (None, SendError.TIMEOUT)
    assert attempt.detail == "not done in 0.3 s"
    assert not attempt.is_delivered


def test_a_server_that_drips_its_headers_is_left(merchant: tuple[sink.Sink, int]) -> None:
    attempt = send(merchant[1], "/drip/all", impatient)
    assert (attempt.status, attempt.error) == (None, SendError.TIMEOUT)


def test_a_server_that_drips_its_body_is_left_and_not_believed(
    merchant: tuple[sink.Sink, int],
) -> None:
    # Its headers come in time, even on a busy machine.
    sender = Sender(allows_private=True, deadline_seconds=2)
    attempt = send(merchant[1], "/drip/body", sender)
    assert (attempt.status, attempt.error) == (200, SendError.TIMEOUT)
    assert set(attempt.response) == {"."}
    assert not attempt.is_delivered


def drip(connection: socket.socket) -> None:
    """The beginning of a TLS record that promises more, a byte at a time; then what no client
    would take for a time-out.
    """
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 40:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def test_a_handshake_that_drips_is_left(authority: Authority) -> None:
    with serving(drip) as port:
        sender = Internet(port, [[PUBLIC]]).sender(authority.trust(), SHORT)
        attempt = sender.send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.TIMEOUT


def test_an_encrypted_answer_that_drips_is_left(authority: Authority) -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        for byte in b"HTTP/1.1 200 OK\r\nServer: slow and steady wins nothing\r\n\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with serving(over_tls(authority.server(NAME), talk)) as port:
        sender = Internet(port, [[PUBLIC]]).sender(authority.trust(), SHORT)
        attempt = sender.send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.TIMEOUT


def test_a_server_that_does_not_read_is_left() -> None:
    done = threading.Event()

    def talk(_: socket.socket) -> None:
        done.wait(10)

    with serving(talk) as port:
        attempt = impatient.send(f"http://127.0.0.1:{port}/", b" " * 32_000_000, HEADERS)
        done.set()
    assert attempt.error is SendError.TIMEOUT


def test_a_resolver_that_hangs_is_left() -> None:
    done = threading.Event()

    def resolve(host: str, port: int) -> Sequence[Address]:
        assert done.wait(10), "nobody waited for this"
        return [Address(socket.AF_INET, ("127.0.0.1", port))]

    sender = Sender(allows_private=True, deadline_seconds=SHORT, resolve=resolve)
    attempt = sender.send(f"http://{NAME}/", BODY, HEADERS)
    done.set()
    assert attempt.error is SendError.TIMEOUT


def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    def connect(address: Address, timeout_seconds: float) -> socket.socket:
        if address.place[0] == PUBLIC:
            time.sleep(timeout_seconds)
            raise TimeoutError
        return webhook_sender.connect(address, timeout_seconds)

    def resolve(host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, (address, port)) for address in (PUBLIC, "127.0.0.1")]

    with serving(saying(OK)) as port:
        sender = Sender(allows_private=True, deadline_seconds=4, resolve=resolve, connect=connect)
        assert sender.send(f"http://{NAME}:{port}/", BODY, HEADERS).is_delivered


def test_one_that_waits_holds_up_no_other() -> None:
    """Each of eight is answered only when all eight are there."""
    barrier = threading.Barrier(8, timeout=60)

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        barrier.wait()
        connection.sendall(OK)

    with serving(talk) as port, ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(lambda _: send(port), range(8)))
    assert all(attempt.is_delivered for attempt in attempts)


# Size and form.


def test_100_mb_are_not_read() -> None:
    sent: list[int] = []

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {sink.HUGE_BYTES}\r\n\r\n".encode())
        with suppress(ConnectionError):
            while sum(sent) < sink.HUGE_BYTES:
                sent.append(connection.send(b"." * 65_536))

    with serving(talk) as port:
        attempt = send(port)
    assert attempt.is_delivered
    assert attempt.response == "." * MAX_RESPONSE_BYTES
    assert sum(sent) < sink.HUGE_BYTES / 2, "what the sockets' buffers took"


def test_the_sinks_100_mb_are_one_delivery(merchant: tuple[sink.Sink, int]) -> None:
    attempt = send(merchant[1], "/huge")
    assert (attempt.is_delivered, len(attempt.response)) == (True, MAX_RESPONSE_BYTES)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfe\x00", "\ufffd\ufffd\x00"),
        (b"a" * (MAX_RESPONSE_BYTES - 1) + "é".encode(), "a" * 2047 + "\ufffd"),
    ],
)
def test_a_body_that_is_no_text_is_kept_as_far_as_it_is(raw: bytes, text: str) -> None:
    with serving(saying(b"HTTP/1.0 500 No\r\n\r\n" + raw)) as port:
        assert send(port).response == text


def test_a_chunked_body_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(saying(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as port:
        assert send(port).response == "abcde"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"1;" + b"x" * 10_000 + b"\r\na\r\n") * 100,
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_what_is_not_http_or_is_endless_is_a_failure(answer: bytes) -> None:
    with serving(saying(answer)) as port:
        attempt = send(port)
    assert attempt.error is SendError.PROTOCOL
    assert not attempt.is_delivered


# Connections that are none.


def test_a_port_where_nobody_listens_is_a_failure_to_connect() -> None:
    attempt = send(free_port())
    assert (attempt.status, attempt.error) == (None, SendError.CONNECTION)
    assert attempt.detail == "Connection refused"


def test_a_server_that_hangs_up_is_a_failure_to_connect() -> None:
    with serving(saying(b"")) as port:
        attempt = send(port)
    assert attempt.error is SendError.CONNECTION
    assert attempt.detail == "it closed the connection without an answer"


def test_a_name_that_nobody_has_is_a_failure_to_resolve() -> None:
    def resolve(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    attempt = Sender(resolve=resolve).send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.DNS


def test_a_name_without_an_address_is_a_failure_to_connect() -> None:
    attempt = Sender(resolve=lambda *_: []).send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.CONNECTION


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody)
    with serving(saying(OK)) as port:
        assert send(port).is_delivered


# Addresses.


def test_a_public_address_is_sent_to_by_number_and_proved_by_name(authority: Authority) -> None:
    names: list[str | None] = []
    heard: list[bytes] = []
    context = authority.server(NAME)
    context.sni_callback = lambda _tls, name, _context: names.append(name)

    def talk(connection: socket.socket) -> None:
        heard.append(read_request(connection))
        connection.sendall(OK)

    with serving(over_tls(context, talk)) as port:
        internet = Internet(port, [[PUBLIC]])
        sender = internet.sender(authority.trust())
        assert sender.send(f"https://{NAME}:8443/", BODY, HEADERS).is_delivered
    assert names == [NAME]
    assert f"\r\nHost: {NAME}:8443\r\n".encode() in heard[0]
    assert internet.connected == [(PUBLIC, 8443)]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_that_leads_to_no_public_address_is_not_connected_to(
    authority: Authority, address: str
) -> None:
    internet = Internet(free_port(), [[address]])
    attempt = internet.sender(authority.trust()).send(f"https://{NAME}/", BODY, HEADERS)
    assert (attempt.status, attempt.error) == (None, SendError.ADDRESS_REFUSED)
    assert internet.connected == []
    assert address not in str(attempt.detail), "an answer must not map what is inside"


def test_one_private_address_among_public_ones_is_enough_to_refuse(authority: Authority) -> None:
    internet = Internet(free_port(), [[PUBLIC, "10.0.0.1"]])
    attempt = internet.sender(authority.trust()).send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.ADDRESS_REFUSED
    assert internet.connected == []


def test_a_name_that_resolves_differently_the_second_time_gets_no_second_time(
    authority: Authority,
) -> None:
    with serving(over_tls(authority.server(NAME), saying(OK))) as port:
        internet = Internet(port, [[PUBLIC], ["127.0.0.1"]])
        sender = internet.sender(authority.trust())
        assert sender.send(f"https://{NAME}/", BODY, HEADERS).is_delivered
        assert (internet.asked, internet.connected) == ([NAME], [(PUBLIC, 443)])
        # Rebound before the next attempt, it is not connected to at all.
        rebound = sender.send(f"https://{NAME}/", BODY, HEADERS)
    assert rebound.error is SendError.ADDRESS_REFUSED
    assert internet.connected == [(PUBLIC, 443)]


@pytest.mark.parametrize(
    "url",
    [
        f"http://{NAME}/",
        f"https://{NAME}:22/",
        f"https://me:secret@{NAME}/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
        f"https://{'a' * 64}.com/",
        "nonsense",
        "",
    ],
)
def test_a_url_that_would_not_be_registered_is_not_sent_to(authority: Authority, url: str) -> None:
    internet = Internet(free_port(), [[PUBLIC]])
    attempt = internet.sender(authority.trust()).send(url, BODY, HEADERS)
    assert attempt.error is SendError.URL_REFUSED
    assert (internet.asked, internet.connected) == ([], [])


# TLS.


def tls_attempt(server: ssl.SSLContext, trust: ssl.SSLContext) -> Attempt:
    with serving(over_tls(server, saying(OK))) as port:
        sender = Internet(port, [[PUBLIC]]).sender(trust)
        return sender.send(f"https://{NAME}/", BODY, HEADERS)


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    attempt = tls_attempt(authority.server("other.merchant.com"), authority.trust())
    assert attempt.error is SendError.TLS
    assert "not valid for" in str(attempt.detail)


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    expired = authority.server(NAME, valid_for=timedelta(days=-1))
    attempt = tls_attempt(expired, authority.trust())
    assert (attempt.error, attempt.detail) == (SendError.TLS, "certificate has expired")


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    attempt = tls_attempt(authority.server(NAME), webhook_sender.trust())
    assert attempt.error is SendError.TLS
    assert "unable to get local issuer certificate" in str(attempt.detail)


def test_a_server_that_speaks_no_tls_is_refused(authority: Authority) -> None:
    with serving(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        sender = Internet(port, [[PUBLIC]]).sender(authority.trust())
        attempt = sender.send(f"https://{NAME}/", BODY, HEADERS)
    assert attempt.error is SendError.TLS


def test_who_is_trusted_comes_with_the_package() -> None:
    shipped = ssl.create_default_context(cafile=certifi.where())
    trusted = webhook_sender.trust()
    assert trusted.cert_store_stats() == shipped.cert_store_stats()
    assert trusted.cert_store_stats()["x509_ca"] > 50
    assert (trusted.check_hostname, trusted.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert trusted.minimum_version == ssl.TLSVersion.TLSv1_2


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("86400", 86_400),
        ("86401", 86_400),
        ("9" * 5000, 86_400),
        ("Sun, 22 Nov 2026 21:58:01 GMT", 60),
        ("Sunday, 22-Nov-26 21:58:01 GMT", 60),
        ("Sun Nov 22 21:58:01 2026", 60),
        ("Sun, 22 Nov 2026 20:00:00 GMT", 0),
        ("Tue, 22 Nov 2050 20:00:00 GMT", 86_400),
        *((text, None) for text in ("", "-5", "1.5", "soon", "٣", "Sun, 99 Nov 2026 99:99:99 GMT")),
        ("Sun, 22 Nov 99999999999999999999 21:58:01 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(value: str, seconds: int | None) -> None:
    answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(answer.encode())) as port:
        assert send(port).retry_after_seconds == seconds


def test_the_sink_asks_for_patience_when_told(merchant: tuple[sink.Sink, int]) -> None:
    attempt = send(merchant[1], "/status/429?retry_after=7")
    assert (attempt.status, attempt.retry_after_seconds) == (429, 7)


def test_an_attempt_can_be_stored_as_json() -> None:
    attempt = send(free_port())
    assert json.loads(json.dumps(vars(attempt)))["error"] == "connection"
