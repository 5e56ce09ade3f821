"""POSTs to slow, broken and hostile servers.

No test measures time. The deadline is a third of a second, and a client that waits longer gets
another result.
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

from chalicelib.webhooks import http_client, signing
from chalicelib.webhooks.http_client import (
    MAX_RESPONSE_BYTES,
    Address,
    HttpClient,
    PostError,
    PostResult,
)
from infra.local import webhook_receiver
from tests.conftest import START
from tests.engines import free_port
from tests.merchants import OK, Authority, over_tls, read_request, saying, serving
from tests.webhooks.test_url_policy import NOT_PUBLIC

BODY = b'{"type":"payment.completed"}'
HEADERS = {"webhook-id": "EVT-1"}
NAME = "hooks.merchant.com"
PUBLIC = "93.184.215.14"
SHORT = 0.3
LONG_ENOUGH = 20.0
Merchant = tuple[webhook_receiver.Receiver, int]
"""The local stack's webhook receiver, and its port."""
local = HttpClient(allows_private=True, deadline_seconds=LONG_ENOUGH, clock=lambda: START)
impatient = HttpClient(allows_private=True, deadline_seconds=SHORT)


def post(port: int, path: str = "/", client: HttpClient = local) -> PostResult:
    return client.post(f"http://127.0.0.1:{port}{path}", BODY, HEADERS)


@pytest.fixture
def merchant(tmp_path: Path) -> Iterator[Merchant]:
    receiver = webhook_receiver.Receiver(tmp_path)
    with webhook_receiver.server(receiver, 0) as server:
        serving = threading.Thread(target=server.serve_forever, args=[0.01])
        serving.start()
        yield receiver, server.server_address[1]
        receiver.is_closing.set()
        server.shutdown()
        serving.join()


@dataclass
class Internet:
    """Resolves names to public addresses, and connects them to one local port."""

    port: int
    answers: list[list[str]]
    """The resolver's answers, in order; the last one is repeated."""
    resolved: list[str] = field(default_factory=list)
    connected: list[tuple[Any, ...]] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.resolved.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [Address(socket.AF_INET, (address, port)) for address in found]

    def connect(self, address: Address, timeout_seconds: float) -> socket.socket:
        self.connected.append(address.place)
        here = Address(socket.AF_INET, ("127.0.0.1", self.port))
        return http_client.connect(here, timeout_seconds)

    def client(self, trust: ssl.SSLContext, seconds: float = LONG_ENOUGH) -> HttpClient:
        return HttpClient(
            deadline_seconds=seconds, trust=trust, resolve=self.resolve, connect=self.connect
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


# Requests, and which answers count as delivered.


def test_received_request_verifies_and_is_unchanged(merchant: Merchant) -> None:
    receiver, port = merchant
    secret = signing.new_secret()
    receiver.keep_secrets([secret])
    headers = signing.headers("EVT-1", datetime.now(UTC), BODY, [secret])
    result = local.post(f"http://127.0.0.1:{port}/hooks?shop=7", BODY, headers)
    assert result.is_delivered
    assert (result.status, result.response) == (200, "received\n")
    assert (result.error, result.detail, result.retry_after_seconds) == (None, None, None)
    (one,) = receiver.received()
    assert (one.verified, one.webhook_id, one.body) == (True, "EVT-1", BODY.decode())
    assert one.path == "/hooks?shop=7"


def test_request_has_the_headers_of_http_and_closes_the_connection() -> None:
    requests: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK)

    with serving(talk) as port:
        assert post(port, "/a|b?c={d}").is_delivered
    head, _, body = requests[0].partition(b"\r\n\r\n")
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
def test_every_2xx_is_delivered(status: int) -> None:
    with serving(saying(f"HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n".encode())) as port:
        result = post(port)
    assert (result.status, result.is_delivered, result.is_gone) == (status, True, False)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 404, 410, 429, 500, 503])
def test_other_status_is_not_delivered_and_only_410_is_gone(
    merchant: Merchant, status: int
) -> None:
    result = post(merchant[1], f"/status/{status}")
    assert result.status == status
    assert result.error is None
    assert not result.is_delivered
    assert result.is_gone == (status == 410)


def test_redirect_is_not_followed(merchant: Merchant) -> None:
    receiver, port = merchant
    result = post(port, "/redirect?to=http://169.254.169.254/latest/meta-data/")
    assert (result.status, result.is_delivered) == (302, False)
    again = post(port, f"/redirect?to=http://127.0.0.1:{port}/other")
    assert (again.status, again.is_delivered) == (302, False)
    assert {one.path.partition("?")[0] for one in receiver.received()} == {"/redirect"}


def test_informational_answer_is_not_the_result() -> None:
    informational = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with serving(saying(informational + OK)) as port:
        assert post(port).status == 200


# Deadlines.


def test_slow_answer_before_the_deadline_is_delivered(merchant: Merchant) -> None:
    result = post(merchant[1], "/sleep/0.4")
    assert (result.status, result.is_delivered) == (200, True)


def test_server_that_hangs_times_out(merchant: Merchant) -> None:
    result = post(merchant[1], "/hang", impatient)
    assert (result.status, result.error) == (None, PostError.TIMEOUT)
    assert result.detail == "no complete answer within 0.3 s"
    assert not result.is_delivered


def test_server_that_drips_its_headers_times_out(merchant: Merchant) -> None:
    result = post(merchant[1], "/drip/all", impatient)
    assert (result.status, result.error) == (None, PostError.TIMEOUT)


def test_server_that_drips_its_body_is_cut_off_and_delivered(merchant: Merchant) -> None:
    # The headers arrive in time, even on a busy machine.
    client = HttpClient(allows_private=True, deadline_seconds=2)
    result = post(merchant[1], "/drip/body", client)
    assert (result.status, result.error) == (200, None)
    assert set(result.response) == {"."}
    assert result.is_delivered


def drip(connection: socket.socket) -> None:
    """Send the beginning of a long TLS record, byte by byte, then hang up.

    A client that waits for all of it reports an error other than a timeout.
    """
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 40:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def test_handshake_that_drips_times_out(authority: Authority) -> None:
    with serving(drip) as port:
        client = Internet(port, [[PUBLIC]]).client(authority.trust(), SHORT)
        result = client.post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.TIMEOUT


def test_encrypted_answer_that_drips_times_out(authority: Authority) -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        for byte in b"HTTP/1.1 200 OK\r\nServer: slow and steady wins nothing\r\n\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with serving(over_tls(authority.server(NAME), talk)) as port:
        client = Internet(port, [[PUBLIC]]).client(authority.trust(), SHORT)
        result = client.post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.TIMEOUT


def test_server_that_does_not_read_times_out() -> None:
    done = threading.Event()

    def talk(_: socket.socket) -> None:
        done.wait(10)

    with serving(talk) as port:
        result = impatient.post(f"http://127.0.0.1:{port}/", b" " * 32_000_000, HEADERS)
        done.set()
    assert result.error is PostError.TIMEOUT


def test_resolver_that_hangs_times_out() -> None:
    done = threading.Event()

    def resolve(host: str, port: int) -> Sequence[Address]:
        assert done.wait(10), "the client waited for the resolver"
        return [Address(socket.AF_INET, ("127.0.0.1", port))]

    client = HttpClient(allows_private=True, deadline_seconds=SHORT, resolve=resolve)
    result = client.post(f"http://{NAME}/", BODY, HEADERS)
    done.set()
    assert result.error is PostError.TIMEOUT


def test_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    def connect(address: Address, timeout_seconds: float) -> socket.socket:
        if address.place[0] == PUBLIC:
            time.sleep(timeout_seconds)
            raise TimeoutError
        return http_client.connect(address, timeout_seconds)

    def resolve(host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, (address, port)) for address in (PUBLIC, "127.0.0.1")]

    with serving(saying(OK)) as port:
        client = HttpClient(
            allows_private=True, deadline_seconds=4, resolve=resolve, connect=connect
        )
        assert client.post(f"http://{NAME}:{port}/", BODY, HEADERS).is_delivered


def test_waiting_request_blocks_no_other() -> None:
    """Answer none of eight requests until all eight have arrived."""
    barrier = threading.Barrier(8, timeout=60)

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        barrier.wait()
        connection.sendall(OK)

    with serving(talk) as port, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: post(port), range(8)))
    assert all(result.is_delivered for result in results)


# Size and form of answers.


def test_huge_body_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            f"HTTP/1.1 200 OK\r\nContent-Length: {webhook_receiver.HUGE_BYTES}\r\n\r\n".encode()
        )
        with suppress(ConnectionError):
            while sum(sent) < webhook_receiver.HUGE_BYTES:
                sent.append(connection.send(b"." * 65_536))

    with serving(talk) as port:
        result = post(port)
    assert result.is_delivered
    assert result.response == "." * MAX_RESPONSE_BYTES
    assert sum(sent) < webhook_receiver.HUGE_BYTES / 2, "only what fits in the sockets' buffers"


def test_huge_body_of_the_local_receiver_is_delivered(merchant: Merchant) -> None:
    result = post(merchant[1], "/huge")
    assert (result.is_delivered, len(result.response)) == (True, MAX_RESPONSE_BYTES)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfe\x00", "\ufffd\ufffd\x00"),
        (b"a" * (MAX_RESPONSE_BYTES - 1) + "é".encode(), "a" * 2047 + "\ufffd"),
    ],
)
def test_body_that_is_not_utf_8_is_kept_with_replacements(raw: bytes, text: str) -> None:
    with serving(saying(b"HTTP/1.0 500 No\r\n\r\n" + raw)) as port:
        assert post(port).response == text


def test_chunked_body_is_joined() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(saying(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as port:
        assert post(port).response == "abcde"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: cut sh",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000,
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_answer_that_is_not_http_or_is_endless_is_a_protocol_error(answer: bytes) -> None:
    with serving(saying(answer)) as port:
        result = post(port)
    assert result.error is PostError.PROTOCOL
    assert not result.is_delivered


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "'SSH-2.0-OpenSSH_9.6'"),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000, "'X-Long'"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\nX-Cut: cut sh", "'X-Cut'"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n" + b"X-Many: a\r\n" * 200, "'X-Many'"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_cannot_be_read_is_named(answer: bytes, named: str) -> None:
    with serving(saying(answer)) as port:
        result = post(port)
    assert result.error is PostError.PROTOCOL
    assert named in (result.detail or "")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 STATUS OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 STATUS OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 STATUS OK\r\nContent-Length: ten\r\n\r\n",
        b"HTTP/1.1 STATUS OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 STATUS OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 STATUS OK\r\nTransfer-Encoding: chunked\r\n\r\nnot chunked",
        b"HTTP/1.1 STATUS OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"1;" + b"x" * 10_000 + b"\r\na\r\n") * 100,
        b"HTTP/1.1 STATUS OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 STATUS\r\n\r\n",
        b"HTTP/1.1 STATUS \r\n\r\n",
        b"HTTP/1.0 STATUS OK\n\n",
        b"HTTP/1.1 STATUS D\xc3\xa9j\xe0 vu\r\nX: \xff\x01\r\n\r\n",
        b"HTTP/1.1 STATUS OK\r\nServer : x\r\nX\r\n: no name\r\n folded\r\n\r\n",
        b"HTTP/1.1 STATUS OK\r\nSet-Cookie: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=lambda head: repr(head[:60]),
)
@pytest.mark.parametrize("status", [200, 410, 503])
def test_status_line_and_headers_decide_as_they_do_for_curl_and_browsers(
    head: bytes, status: int
) -> None:
    with serving(saying(head.replace(b"STATUS", str(status).encode()))) as port:
        result = post(port)
    assert (result.status, result.error) == (status, None)
    assert (result.is_delivered, result.is_gone) == (status == 200, status == 410)


# Connections that fail.


def test_closed_port_is_a_connection_error() -> None:
    result = post(free_port())
    assert (result.status, result.error) == (None, PostError.CONNECTION)
    assert result.detail == "Connection refused"


def test_server_that_hangs_up_is_a_connection_error() -> None:
    with serving(saying(b"")) as port:
        result = post(port)
    assert result.error is PostError.CONNECTION
    assert result.detail == "the server closed the connection without an answer"


def test_unknown_name_is_a_dns_error() -> None:
    def resolve(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    result = HttpClient(resolve=resolve).post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.DNS


def test_name_without_an_address_is_a_connection_error() -> None:
    result = HttpClient(resolve=lambda *_: []).post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.CONNECTION


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody)
    with serving(saying(OK)) as port:
        assert post(port).is_delivered


# Addresses.


def test_client_connects_by_address_and_verifies_the_name(authority: Authority) -> None:
    names: list[str | None] = []
    requests: list[bytes] = []
    context = authority.server(NAME)
    context.sni_callback = lambda _tls, name, _context: names.append(name)

    def talk(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK)

    with serving(over_tls(context, talk)) as port:
        internet = Internet(port, [[PUBLIC]])
        client = internet.client(authority.trust())
        assert client.post(f"https://{NAME}:8443/", BODY, HEADERS).is_delivered
    assert names == [NAME]
    assert f"\r\nHost: {NAME}:8443\r\n".encode() in requests[0]
    assert internet.connected == [(PUBLIC, 8443)]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_name_of_a_private_address_is_not_connected_to(authority: Authority, address: str) -> None:
    internet = Internet(free_port(), [[address]])
    result = internet.client(authority.trust()).post(f"https://{NAME}/", BODY, HEADERS)
    assert (result.status, result.error) == (None, PostError.ADDRESS_REFUSED)
    assert internet.connected == []
    assert address not in str(result.detail), "the detail must not reveal private addresses"


def test_one_private_address_among_public_ones_is_refused(authority: Authority) -> None:
    internet = Internet(free_port(), [[PUBLIC, "10.0.0.1"]])
    result = internet.client(authority.trust()).post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.ADDRESS_REFUSED
    assert internet.connected == []


def test_name_is_resolved_once_so_rebinding_reaches_no_private_address(
    authority: Authority,
) -> None:
    with serving(over_tls(authority.server(NAME), saying(OK))) as port:
        internet = Internet(port, [[PUBLIC], ["127.0.0.1"]])
        client = internet.client(authority.trust())
        assert client.post(f"https://{NAME}/", BODY, HEADERS).is_delivered
        assert (internet.resolved, internet.connected) == ([NAME], [(PUBLIC, 443)])
        # The name is rebound before the next attempt, which connects to nothing.
        rebound = client.post(f"https://{NAME}/", BODY, HEADERS)
    assert rebound.error is PostError.ADDRESS_REFUSED
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
def test_url_that_registration_refuses_is_not_sent_to(authority: Authority, url: str) -> None:
    internet = Internet(free_port(), [[PUBLIC]])
    result = internet.client(authority.trust()).post(url, BODY, HEADERS)
    assert result.error is PostError.URL_REFUSED
    assert (internet.resolved, internet.connected) == ([], [])


# TLS.


def post_over_tls(server: ssl.SSLContext, trust: ssl.SSLContext) -> PostResult:
    with serving(over_tls(server, saying(OK))) as port:
        client = Internet(port, [[PUBLIC]]).client(trust)
        return client.post(f"https://{NAME}/", BODY, HEADERS)


def test_certificate_for_another_name_is_refused(authority: Authority) -> None:
    result = post_over_tls(authority.server("other.merchant.com"), authority.trust())
    assert result.error is PostError.TLS
    assert "not valid for" in str(result.detail)


def test_expired_certificate_is_refused(authority: Authority) -> None:
    expired = authority.server(NAME, valid_for=timedelta(days=-1))
    result = post_over_tls(expired, authority.trust())
    assert (result.error, result.detail) == (PostError.TLS, "certificate has expired")


def test_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    result = post_over_tls(authority.server(NAME), http_client.trust())
    assert result.error is PostError.TLS
    assert "unable to get local issuer certificate" in str(result.detail)


def test_server_without_tls_is_refused(authority: Authority) -> None:
    with serving(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        client = Internet(port, [[PUBLIC]]).client(authority.trust())
        result = client.post(f"https://{NAME}/", BODY, HEADERS)
    assert result.error is PostError.TLS


def test_trusted_authorities_are_those_of_the_package() -> None:
    shipped = ssl.create_default_context(cafile=certifi.where())
    trusted = http_client.trust()
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
        assert post(port).retry_after_seconds == seconds


def test_local_receiver_sends_a_retry_after(merchant: Merchant) -> None:
    result = post(merchant[1], "/status/429?retry_after=7")
    assert (result.status, result.retry_after_seconds) == (429, 7)


def test_result_can_be_written_as_json() -> None:
    result = post(free_port())
    assert json.loads(json.dumps(vars(result)))["error"] == "connection"
