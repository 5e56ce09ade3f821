"""Which URLs an endpoint may have: a private host is refused in every spelling."""

import pytest

from chalicelib.webhooks.url_policy import MAX_URL_LENGTH, UrlRefused, is_public, parse

LOOPBACK = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://2130706433/",
    "https://127.0.0.1./",
    "https://%31%32%37.0.0.1/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:0:0:1]/",
]
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254"),  # noqa: S104
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("192.0.0.1", "192.0.0.9", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"),
    *("192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1"),
    *("2001::1", "2001:0:53aa:64c::1", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_address_that_the_internet_does_not_route_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "example.com", "127.1", "0x7f.1", "1.2.3.4/32"])
def test_text_that_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


def sentences(url: str, *, allows_private: bool = False) -> list[str]:
    try:
        parse(url, allows_private=allows_private)
    except UrlRefused as refused:
        return list(refused.sentences)
    return []


@pytest.mark.parametrize("url", LOOPBACK)
def test_every_spelling_of_loopback_is_refused(url: str) -> None:
    assert sentences(url) == [
        "must be on the public internet: this host is private, local or reserved"
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("mailto:someone", "must begin with https://"),
        ("example.com/hooks", "must be a URL such as"),
        ("https://", "must be a URL such as"),
        ("https://example.com:22/", "port 443 or a port above 1023"),
        ("https://example.com:80/", "port 443 or a port above 1023"),
        ("https://example.com:1023/", "port 443 or a port above 1023"),
        ("https://example.com:0/", "port 443 or a port above 1023"),
        ("https://example.com:65536/", "must be a URL such as"),
        ("https://me@example.com/", "user name or a password"),
        ("https://me:secret@example.com/", "user name or a password"),
        ("https://:secret@example.com/", "user name or a password"),
        ("https://example.com/#part", "fragment"),
        ("https://exa mple.com/", "spaces, backslashes or control characters"),
        ("https://example.com/\r\nHost: other", "spaces, backslashes or control characters"),
        ("https://exa\tmple.com/", "spaces, backslashes or control characters"),
        ("https:\\\\example.com\\", "spaces, backslashes or control characters"),
        ("https://example.com\u202e/", "spaces, backslashes or control characters"),
        ("https://localhost/", "public internet"),
        ("https://localhost./", "public internet"),
        ("https://api.localhost/", "public internet"),
        ("https://printer.local/", "public internet"),
        ("https://metadata.google.internal/", "public internet"),
        ("https://metadata/", "public internet"),
        ("https://a..example.com/", "letters, digits, hyphens and dots"),
        ("https://example.com../", "letters, digits, hyphens and dots"),
        (f"https://{'a' * 64}.com/", "letters, digits, hyphens and dots"),
        (f"https://{'a.' * 130}com/", "letters, digits, hyphens and dots"),
        ("https://exa!mple.com/", "letters, digits, hyphens and dots"),
        ("https://[fe80::1%25eth0]/", "must be a URL such as"),
        (f"https://example.com/{'a' * MAX_URL_LENGTH}", "at most 2048 characters"),
    ],
)
def test_refused_url_names_the_broken_rule(url: str, words: str) -> None:
    (sentence,) = sentences(url)
    assert words in sentence


def test_every_broken_rule_has_a_sentence() -> None:
    assert len(sentences("https://me:secret@127.0.0.1:22/#part")) == 4


@pytest.mark.parametrize(
    ("url", "kept", "host", "authority", "resource"),
    [
        ("https://example.com", "https://example.com/", "example.com", "example.com", "/"),
        (
            "HTTPS://Example.COM:443/a?b=c",
            "https://example.com/a?b=c",
            *("example.com", "example.com", "/a?b=c"),
        ),
        (
            "https://example.com:8443/a",
            "https://example.com:8443/a",
            *("example.com", "example.com:8443", "/a"),
        ),
        ("https://example.com./", "https://example.com/", "example.com", "example.com", "/"),
        (
            "https://bücher.example.com/ü",
            "https://xn--bcher-kva.example.com/%C3%BC",
            *("xn--bcher-kva.example.com", "xn--bcher-kva.example.com", "/%C3%BC"),
        ),
        (
            "https://[2606:4700::1111]:8443/",
            "https://[2606:4700::1111]:8443/",
            *("2606:4700::1111", "[2606:4700::1111]:8443", "/"),
        ),
    ],
)
def test_url_is_stored_in_the_form_in_which_it_is_used(
    url: str, kept: str, host: str, authority: str, resource: str
) -> None:
    target = parse(url, allows_private=False)
    assert (target.url, target.host, target.authority, target.resource) == (
        *(kept, host, authority, resource),
    )
    assert parse(target.url, allows_private=False) == target


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8090/", "http://localhost:80/", "https://[::1]/"]
)
def test_local_stack_may_use_http_and_loopback(url: str) -> None:
    assert sentences(url, allows_private=True) == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://me@127.0.0.1/", "file:///etc/passwd"])
def test_other_schemes_and_credentials_are_always_refused(url: str) -> None:
    assert sentences(url, allows_private=True)
