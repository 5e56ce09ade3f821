"""The rules for the URL of a webhook endpoint, and for the addresses behind its host name.

Guarantee: the same parser reads a URL when it is registered and when a webhook is sent, so that no
spelling (decimal, octal, full-width, escaped) can name two hosts. `parse` returns HTTPS URLs only,
on port 443 or above 1023, without credentials. `is_public` is true only for addresses that the
public internet routes. This module resolves no name and opens no connection.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from pydantic_core import Url

MAX_URL_LENGTH: Final = 2048

_SCHEMES: Final = ("http", "https")
_HTTPS_PORT: Final = 443
_HIGHEST_PRIVILEGED_PORT: Final = 1023
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_PRIVATE_NAMES: Final = (".localhost", ".local", ".internal")

# `is_global` depends on the Python version; some versions call these global.
_NOT_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # protocol assignments, Teredo among them: an IPv4 address inside
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
# NAT64, IPv4-mapped, unique local, link-local, site-local and multicast lie outside it.
_GLOBAL_UNICAST: Final = ip_network("2000::/3")


class UrlRefused(ValueError):
    """The URL breaks rules; `sentences` has a sentence for each of them."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = tuple(sentences)


@dataclass(frozen=True)
class Target:
    """A URL in parts, in normal form."""

    url: str
    is_tls: bool
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int
    authority: str
    """For the Host header."""
    resource: str
    """Path and query."""


def parse(url: str, *, allows_private: bool) -> Target:
    """Parse and check a URL. Raises UrlRefused.

    `allows_private` is for the local stack: any host, any port, and HTTP.
    """
    if broken := list(_spelling(url)):
        raise UrlRefused(broken)
    try:
        parsed = Url(url)
    except ValueError:
        raise UrlRefused(["must be a URL such as https://example.com/webhooks"]) from None
    if broken := list(_violations(parsed, allows_private=allows_private)):
        raise UrlRefused(broken)
    host, port = _host(parsed), parsed.port or 0
    literal = f"[{host}]" if ":" in host else host
    is_tls = parsed.scheme == "https"
    authority = literal if port == (_HTTPS_PORT if is_tls else 80) else f"{literal}:{port}"
    resource = (parsed.path or "/") + (f"?{parsed.query}" if parsed.query else "")
    written = f"{parsed.scheme}://{authority}{resource}"
    if len(written) > MAX_URL_LENGTH:  # escapes made it longer; sending parses it again
        raise UrlRefused([f"must be at most {MAX_URL_LENGTH} characters after percent-encoding"])
    return Target(written, is_tls, host, port, authority, resource)


def is_public(address: str) -> bool:
    """Return whether the public internet routes to the address; False for other text."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed not in _GLOBAL_UNICAST:
        return False
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not any(parsed in network for network in _NOT_PUBLIC)
    )


def _spelling(url: str) -> Iterator[str]:
    if len(url) > MAX_URL_LENGTH:
        yield f"must be at most {MAX_URL_LENGTH} characters"
    # The parser would repair these; other parsers may not, or may do it differently.
    if any(character.isspace() or not character.isprintable() for character in url) or "\\" in url:
        yield "must not contain spaces, backslashes or control characters"


def _violations(url: Url, *, allows_private: bool) -> Iterator[str]:
    if not (url.scheme == "https" or (allows_private and url.scheme in _SCHEMES)):
        yield "must begin with https://"
        return
    if url.username is not None or url.password is not None:
        yield "must not contain a user name or a password"
    if url.fragment is not None:
        yield "must not contain a fragment (#…): it would not be sent"
    port = url.port or 0
    if not (allows_private or port == _HTTPS_PORT or port > _HIGHEST_PRIVILEGED_PORT):
        yield f"must use port {_HTTPS_PORT} or a port above {_HIGHEST_PRIVILEGED_PORT}"
    host = _host(url)
    if _address(host) is None and _NAME.fullmatch(host) is None:
        yield "must name a host of letters, digits, hyphens and dots"
    elif not (allows_private or _may_be_public(host)):
        yield "must be on the public internet: this host is private, local or reserved"


def _host(url: Url) -> str:
    """Return the host without the brackets of an address or the final dot of a name.

    Certificates name hosts without that dot.
    """
    host = url.host or ""
    return host[1:-1] if host.startswith("[") else host.removesuffix(".")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _may_be_public(host: str) -> bool:
    """Check without resolving. The HTTP client checks the addresses of a name when it sends."""
    if _address(host) is not None:
        return is_public(host)
    return "." in host and not host.endswith(_PRIVATE_NAMES)
