"""One POST to a merchant's server, which may be slow, broken or hostile.

Guarantee: `post` returns by its deadline, whatever the server does. The deadline covers everything
from the name look-up to the last byte of the answer; each step gets the time that is left. A name
is resolved once. The client connects only to the addresses that it checked, and TLS still verifies
the name. The status line and the headers decide; a body that is cut short changes nothing. At most
64 KiB of the answer are read, and 2 KiB of its body are kept. Redirects are not followed, and no
proxy is used. It raises only for bugs. Threads may share one client.
"""

import io
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
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import certifi

from chalicelib.webhooks import retry_schedule, url_policy
from chalicelib.webhooks.url_policy import Target, UrlRefused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DEADLINE_SECONDS: Final = 15.0
MAX_RESPONSE_BYTES: Final = 2048
USER_AGENT: Final = "PayFlow-Webhooks/1"

_MAX_READ_BYTES: Final = 64 * 1024
_MAX_ADDRESSES: Final = 8
_MAX_DIGITS: Final = 10
_SHOWN_BYTES: Final = 60


class PostError(StrEnum):
    """Why there is no status that counts."""

    URL_REFUSED = "url_refused"
    ADDRESS_REFUSED = "address_refused"
    DNS = "dns"
    CONNECTION = "connection"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """The status line or the headers are not HTTP/1.1, are cut short or are too long."""


@dataclass(frozen=True)
class PostResult:
    """The result of one POST."""

    status: int | None
    """Status code, if one was received. Ignore it when `error` is set."""
    latency_ms: int
    response: str
    """The beginning of the body."""
    retry_after_seconds: int | None
    error: PostError | None
    detail: str | None
    """A short explanation of the error, for the merchant's operators."""

    @property
    def is_delivered(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Return whether the merchant asked for no more webhooks at this URL."""
        return self.error is None and self.status == 410


class Address(NamedTuple):
    """An address as getaddrinfo returns it."""

    family: int
    place: tuple[Any, ...]


class _AddressRefused(Exception):
    """One of a name's addresses is not public."""


class _NotReadable(Exception):
    """The status line or the headers cannot be read; the message says where."""


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, more than 0. Raises TimeoutError."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Stream(io.RawIOBase):
    """A connection on which every call ends by the deadline.

    A socket's timeout applies to a single call of `send` or `recv`, so it is set again before each.
    """

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._unread = _MAX_READ_BYTES
        self.is_cut = False
        """Whether there was more to read than `_MAX_READ_BYTES`."""

    def readable(self) -> bool:
        return True

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.left())
            rest = rest[self._sock.send(rest) :]

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read what has arrived; 0 at the end of the answer, or of what is read of it."""
        self.is_cut = self._unread <= 0
        if self.is_cut:
            return 0
        self._sock.settimeout(self._deadline.left())
        received = self._sock.recv_into(memoryview(buffer)[: self._unread])
        self._unread -= received
        return received


class _Lines(io.BufferedReader):
    """The answer, for http.client; knows the line that was read last."""

    last = b""
    before = b""

    def readline(self, limit: int | None = -1, /) -> bytes:
        self.before, self.last = self.last, super().readline(limit)
        return self.last

    def close(self) -> None:
        """Stay open: http.client closes after an informational answer, and another one follows."""


@dataclass
class _Received:
    """The answer so far. It is kept even if the rest does not arrive."""

    status: int | None = None
    retry_after_seconds: int | None = None
    body: bytearray = field(default_factory=bytearray)


def resolve(host: str, port: int) -> list[Address]:
    """Resolve a host name with the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [Address(family, place) for family, _, _, _, place in found]


def connect(address: Address, timeout_seconds: float) -> socket.socket:
    """Open a connection. Raises OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_seconds)
        sock.connect(address.place)
    except BaseException:
        sock.close()
        raise
    return sock


def trust() -> ssl.SSLContext:
    """Trust the pinned list of Mozilla's certificate authorities, not the machine's list."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True)
class HttpClient:
    """Posts webhooks. Create one and keep it: loading the certificate authorities takes time."""

    allows_private: bool = False
    """For the local stack: any address, any port, and HTTP."""
    deadline_seconds: float = DEADLINE_SECONDS
    trust: ssl.SSLContext = field(default_factory=trust)
    resolve: Callable[[str, int], Sequence[Address]] = resolve
    connect: Callable[[Address, float], socket.socket] = connect
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostResult:
        """POST the JSON `body` with `headers`, and add the headers that HTTP needs."""
        started = time.monotonic()
        received = _Received()
        error, detail = self._outcome(url, body, headers, received)
        return PostResult(
            status=received.status,
            latency_ms=round((time.monotonic() - started) * 1000),
            response=bytes(received.body[:MAX_RESPONSE_BYTES]).decode(errors="replace"),
            retry_after_seconds=received.retry_after_seconds,
            error=error,
            detail=detail,
        )

    def _outcome(
        self, url: str, body: bytes, headers: Mapping[str, str], received: _Received
    ) -> tuple[PostError | None, str | None]:
        """Return the error, if there is one.

        The order matters: most of these exceptions are subclasses of OSError.
        """
        try:
            target = url_policy.parse(url, allows_private=self.allows_private)
            self._exchange(target, body, headers, received)
        except UrlRefused as refused:
            return PostError.URL_REFUSED, str(refused)
        except _AddressRefused:
            return PostError.ADDRESS_REFUSED, "the host has an address that is not public"
        except TimeoutError:
            return PostError.TIMEOUT, f"no complete answer within {self.deadline_seconds:g} s"
        except (socket.gaierror, UnicodeError):
            return PostError.DNS, "the host's name could not be resolved"
        except ssl.SSLCertVerificationError as unproven:
            return PostError.TLS, unproven.verify_message
        except ssl.SSLError as failed:
            return PostError.TLS, failed.reason
        except RemoteDisconnected:
            return PostError.CONNECTION, "the server closed the connection without an answer"
        except OSError as failed:
            return PostError.CONNECTION, failed.strerror or str(failed)
        except _NotReadable as broken:
            return PostError.PROTOCOL, str(broken)
        return None, None

    def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], received: _Received
    ) -> None:
        deadline = _Deadline(self.deadline_seconds)
        addresses = self._checked(_within(deadline, lambda: self.resolve(target.host, target.port)))
        sock = self._connected(addresses, deadline)
        try:
            if target.is_tls:
                sock.settimeout(deadline.left())  # wrapping does the whole handshake
                sock = self.trust.wrap_socket(sock, server_hostname=target.host)
            stream = _Stream(sock, deadline)
            stream.send(_request(target, body, headers))
            self._receive(stream, received)
        finally:
            sock.close()

    def _checked(self, addresses: Sequence[Address]) -> Sequence[Address]:
        """Raise _AddressRefused if any address is not public: a mix of both is an attack."""
        if not self.allows_private and not all(
            url_policy.is_public(address.place[0]) for address in addresses
        ):
            raise _AddressRefused
        return addresses[:_MAX_ADDRESSES]

    def _connected(self, addresses: Sequence[Address], deadline: _Deadline) -> socket.socket:
        """Connect to the first address that answers, sharing the time left. Raises OSError."""
        failure = OSError("the host has no address")
        for position, address in enumerate(addresses):
            share = deadline.left() / (len(addresses) - position)
            try:
                return self.connect(address, share)
            except OSError as error:
                failure = error
        raise failure

    def _receive(self, stream: _Stream, received: _Received) -> None:
        """Read the status and the headers, and the body as far as it is kept and arrives."""
        incoming = _Lines(stream)
        answer = _head(stream, incoming)
        received.status = answer.status
        received.retry_after_seconds = _retry_after_seconds(
            answer.headers.get("Retry-After", ""), self.clock()
        )
        try:
            while left := MAX_RESPONSE_BYTES - len(received.body):
                part = answer.read1(left)
                if not part:
                    return
                received.body += part
        except (OSError, HTTPException, ValueError):
            return  # cut short, late or malformed: the status and the headers have decided


def _head(stream: _Stream, incoming: _Lines) -> HTTPResponse:
    """Read the status line and the headers of the final answer. Raises _NotReadable or OSError."""
    connection: Any = SimpleNamespace(makefile=lambda _: incoming)
    while True:
        answer = HTTPResponse(connection, method="POST")
        try:
            answer.begin()
        except OSError:
            raise
        except HTTPException as error:
            raise _NotReadable(_fault(incoming, stream, str(error))) from error
        if incoming.last == b"":
            raise _NotReadable(_fault(incoming, stream, "the headers are cut short"))
        if answer.status >= 200 or answer.status == 101:  # others are informational
            return answer


def _fault(incoming: _Lines, stream: _Stream, reason: str) -> str:
    """Say what cannot be read, and name the header, or the beginning of the status line."""
    if stream.is_cut:
        reason = f"the headers exceed {_MAX_READ_BYTES // 1024} KiB"
    line = incoming.last or incoming.before
    name = line.partition(b":")[0][:_SHOWN_BYTES].decode(errors="replace")
    return f"the answer is not HTTP/1.1 at {name.strip()!r}: {reason}"


def _within(deadline: _Deadline, look_up: Callable[[], Sequence[Address]]) -> Sequence[Address]:
    """Return what `look_up` returns, or raise what it raises, or TimeoutError.

    The system's resolver takes no timeout, so it runs in a thread that may outlive the deadline.
    """
    answer: Future[Sequence[Address]] = Future()

    def ask() -> None:
        try:
            answer.set_result(look_up())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    return answer.result(deadline.left())


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of the request."""
    fields = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    lines = [
        f"POST {target.resource} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _retry_after_seconds(text: str, now: datetime) -> int | None:
    """Read the header Retry-After, in seconds or as a date (RFC 9110, 10.2.3).

    Returns at most `MAX_RETRY_AFTER`; None if the text is empty or not valid.
    """
    longest = int(retry_schedule.MAX_RETRY_AFTER.total_seconds())
    if text.isascii() and text.isdigit():
        return min(int(text[:_MAX_DIGITS]), longest)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    # HTTP dates are UTC.
    until = moment.replace(tzinfo=moment.tzinfo or UTC) - now
    return max(0, min(round(until.total_seconds()), longest))
