"""One POST to a merchant's server, which may be slow, broken or hostile.

Guarantee: `send` returns by its deadline, whatever the server does: the deadline counts from the
first name look-up to the last byte of the answer, and each wait gets what is left of it. The
addresses that are checked are those that are connected to, since a name is resolved once and
connected to by number; TLS still proves the name. At most 2 KiB of the answer's body are kept and
64 KiB are read, redirects are answers like any other, and no proxy is used. It raises for
mistakes of ours only. Several threads may share one Sender.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import certifi
import h11

from chalicelib import webhook_schedule, webhook_url
from chalicelib.webhook_url import Target, UrlRefused

DEADLINE_SECONDS: Final = 15.0
MAX_RESPONSE_BYTES: Final = 2048
USER_AGENT: Final = "PayFlow-Webhooks/1"

_MAX_READ_BYTES: Final = 64 * 1024
_MAX_HEADER_BYTES: Final = 16 * 1024
_READ_BYTES: Final = 4096
_MAX_ADDRESSES: Final = 8
_MAX_DIGITS: Final = 10


class SendError(StrEnum):
    """Why there is no answer, or no whole one."""

    URL_REFUSED = "url_refused"
    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """It does not speak HTTP, or says more than anybody needs."""


@dataclass(frozen=True)
class Attempt:
    """What came of one POST."""

    status: int | None
    """As far as one was heard: with `error` set it counts for nothing."""
    latency_ms: int
    response: str
    """The beginning of the body."""
    retry_after_seconds: int | None
    error: SendError | None
    detail: str | None
    """A few words on the error, for whoever runs the server."""

    @property
    def is_delivered(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The merchant wants no more at this URL."""
        return self.error is None and self.status == 410


class Address(NamedTuple):
    """Where to connect to, in getaddrinfo's words."""

    family: int
    place: tuple[Any, ...]


class _AddressRefused(Exception):
    """One of a name's addresses is not public."""


class _TooMuch(Exception):
    """More was sent than headers and 2 KiB of a body can take."""


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than none. Raises TimeoutError."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Stream:
    """A connection of which every wait ends by the deadline. The timeout of a socket is one for
    each call; those of `send` and `recv`, encrypted or not, end with the call.
    """

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._unread = _MAX_READ_BYTES

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.left())
            rest = rest[self._sock.send(rest) :]

    def receive(self) -> bytes:
        if self._unread <= 0:
            raise _TooMuch
        self._sock.settimeout(self._deadline.left())
        data = self._sock.recv(_READ_BYTES)
        self._unread -= len(data)
        return data


@dataclass
class _Heard:
    """What has come so far: it stays when the rest does not come."""

    status: int | None = None
    retry_after_seconds: int | None = None
    body: bytearray = field(default_factory=bytearray)


def resolve(host: str, port: int) -> list[Address]:
    """By the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [Address(family, place) for family, _, _, _, place in found]


def connect(address: Address, timeout_seconds: float) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_seconds)
        sock.connect(address.place)
    except BaseException:
        sock.close()
        raise
    return sock


def trust() -> ssl.SSLContext:
    """The authorities that Mozilla trusts, as pinned; whatever the machine has or lacks."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sender:
    """Sends as its settings say. Make one and keep it: reading the authorities takes time."""

    allows_private: bool = False
    """Any address, any port, and HTTP: for the local stack."""
    deadline_seconds: float = DEADLINE_SECONDS
    trust: ssl.SSLContext = field(default_factory=trust)
    resolve: Callable[[str, int], Sequence[Address]] = resolve
    connect: Callable[[Address, float], socket.socket] = connect
    clock: Callable[[], datetime] = _now

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """POST `body`, which is JSON, with `headers` beside those that HTTP needs."""
        started = time.monotonic()
        heard = _Heard()
        error, detail = self._outcome(url, body, headers, heard)
        return Attempt(
            status=heard.status,
            latency_ms=round((time.monotonic() - started) * 1000),
            response=bytes(heard.body[:MAX_RESPONSE_BYTES]).decode(errors="replace"),
            retry_after_seconds=heard.retry_after_seconds,
            error=error,
            detail=detail,
        )

    def _outcome(
        self, url: str, body: bytes, headers: Mapping[str, str], heard: _Heard
    ) -> tuple[SendError | None, str | None]:
        """The error, if there is one; most particular first, since all of the operating
        system's are one family.
        """
        try:
            target = webhook_url.parse(url, allows_private=self.allows_private)
            self._exchange(target, body, headers, heard)
        except UrlRefused as refused:
            return SendError.URL_REFUSED, str(refused)
        except _AddressRefused:
            return SendError.ADDRESS_REFUSED, "the host has an address that is not public"
        except TimeoutError:
            return SendError.TIMEOUT, f"not done in {self.deadline_seconds:g} s"
        except (socket.gaierror, UnicodeError):
            return SendError.DNS, "the host's name could not be resolved"
        except ssl.SSLCertVerificationError as unproven:
            return SendError.TLS, unproven.verify_message
        except ssl.SSLError as failed:
            return SendError.TLS, failed.reason
        except OSError as failed:
            return SendError.CONNECTION, failed.strerror or str(failed)
        except (h11.RemoteProtocolError, _TooMuch):
            return SendError.PROTOCOL, "the answer is not HTTP/1.1, is cut short or is too long"
        return None, None

    def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], heard: _Heard
    ) -> None:
        deadline = _Deadline(self.deadline_seconds)
        addresses = self._checked(_within(deadline, lambda: self.resolve(target.host, target.port)))
        sock = self._connected(addresses, deadline)
        try:
            if target.is_tls:
                sock.settimeout(deadline.left())  # wrapping is the handshake, all of it
                sock = self.trust.wrap_socket(sock, server_hostname=target.host)
            stream = _Stream(sock, deadline)
            protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADER_BYTES)
            stream.send(_request(protocol, target, body, headers))
            self._hear(stream, protocol, heard)
        finally:
            sock.close()

    def _checked(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """Raises _AddressRefused if any is not public: a name that mixes them is an attack."""
        if not self.allows_private and not all(
            webhook_url.is_public(address.place[0]) for address in addresses
        ):
            raise _AddressRefused
        return addresses[:_MAX_ADDRESSES]

    def _connected(self, addresses: Sequence[Address], deadline: _Deadline) -> socket.socket:
        """To the first that answers; one that does not leaves time for the next. Raises OSError."""
        failure = OSError("the host has no address")
        for position, address in enumerate(addresses):
            share = deadline.left() / (len(addresses) - position)
            try:
                return self.connect(address, share)
            except OSError as error:
                failure = error
        raise failure

    def _hear(self, stream: _Stream, protocol: h11.Connection, heard: _Heard) -> None:
        """Until the answer ends, or enough of its body is here."""
        while len(heard.body) < MAX_RESPONSE_BYTES:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                data = stream.receive()
                if not data and heard.status is None:
                    raise ConnectionError("it closed the connection without an answer")
                protocol.receive_data(data)
            elif isinstance(event, h11.Response):
                heard.status = event.status_code
                heard.retry_after_seconds = _retry_after_seconds(event.headers, self.clock())
            elif isinstance(event, h11.Data):
                heard.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return


def _within(deadline: _Deadline, look_up: Callable[[], Sequence[Address]]) -> Sequence[Address]:
    """What `look_up` returns or raises, or TimeoutError: the system's resolver takes no timeout,
    so it is waited for no longer than that, and left to end by itself.
    """
    answer: Future[Sequence[Address]] = Future()

    def ask() -> None:
        try:
            answer.set_result(look_up())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    return answer.result(deadline.left())


def _request(
    protocol: h11.Connection, target: Target, body: bytes, headers: Mapping[str, str]
) -> bytes:
    """The bytes of it."""
    request = h11.Request(
        method="POST",
        target=target.resource,
        headers=[
            ("Host", target.authority),
            ("User-Agent", USER_AGENT),
            ("Accept", "*/*"),
            ("Connection", "close"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *headers.items(),
        ],
    )
    events = (request, h11.Data(data=body), h11.EndOfMessage())
    return b"".join(protocol.send(event) or b"" for event in events)


def _retry_after_seconds(headers: Any, now: datetime) -> int | None:
    """Of the first such header, in seconds or as a date (RFC 9110, 10.2.3); None for any other
    text. Never more than the schedule would honour.
    """
    text = next((value for name, value in headers if name == b"retry-after"), b"").decode("latin-1")
    longest = int(webhook_schedule.MAX_RETRY_AFTER.total_seconds())
    if text.isascii() and text.isdigit():
        return min(int(text[:_MAX_DIGITS]), longest)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    # A date without a zone is UTC: HTTP has no other.
    until = moment.replace(tzinfo=moment.tzinfo or UTC) - now
    return max(0, min(round(until.total_seconds()), longest))
