"""A web page that a developer visits reaches loopback too; what tells it from a program."""

import asyncio
from typing import Any

import pytest

from infra.local import browser_guard


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:4566",
        "localhost:8000",
        "LOCALHOST",
        "[::1]:8000",
        "laptop:8000",
        "bucket.localhost:4566",
    ],
)
def test_local_name_is_one_that_nobody_else_can_own(host: str) -> None:
    assert browser_guard.is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        "page.example",
        "page.example:4566",
        "127.0.0.1.page.example:4566",
        "localhost.page.example",
        "127.0.0.1:80.page.example",
        "notlocalhost.com",
        "192.168.1.7:4566",
        "[::ffff:192.168.1.7]:8000",
    ],
)
def test_name_that_others_can_own_is_not_local(host: str) -> None:
    assert not browser_guard.is_this_machine(host)


def asked(kind: str = "http", *, of: Any = None, **headers: str) -> list[Any]:
    """What comes of a request: what was sent, or `served` if it was let through."""
    said: list[Any] = []

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        said.append("served")

    async def send(message: Any) -> None:
        said.append(message)

    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "headers": sent} | (of or {})
    asyncio.run(browser_guard.refuse_web_pages(serve)(scope, None, send))
    return said


HERE = "127.0.0.1:4566"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        {"host": HERE, "origin": "https://page.example"},
        {"host": HERE, "origin": "null"},
        {"host": HERE, "sec_fetch_site": "cross-site"},
        {"host": "page.example:4566"},
    ],
    ids=["post", "sandboxed", "picture", "rebound name"],
)
def test_request_of_a_web_page_is_refused_unread(headers: dict[str, str], kind: str) -> None:
    said = asked(kind, **headers)
    assert "served" not in said
    first = said[0]
    assert first.get("status", first.get("code")) in {403, 1008}


def test_programs_and_typed_addresses_are_served() -> None:
    assert asked(host=HERE) == ["served"]
    assert asked(host=HERE, sec_fetch_site="none") == ["served"]
    assert asked("lifespan") == ["served"]


LINK = {
    "method": "GET",
    "path": "/payflow-exports-local-000000000000/exports/EXP-1",
    "query_string": b"X-Amz-Expires=900&X-Amz-Signature=0a1b",
}
FOLLOWED = {"host": "127.0.0.1:4566", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}


def test_browser_may_follow_a_signed_link_to_an_export() -> None:
    assert asked(of=LINK, **FOLLOWED) == ["served"]


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"method": "POST"}, {}),
        ({"path": "/2015-03-31/functions"}, {}),
        ({"query_string": b""}, {}),
        ({}, {"sec_fetch_mode": "no-cors"}),
        ({}, {"origin": "https://page.example"}),
        ({}, {"host": "page.example:4566"}),
    ],
)
def test_page_gets_nothing_by_a_link_to_an_export(
    changed: dict[str, Any], headers: dict[str, str]
) -> None:
    assert asked(of=LINK | changed, **(FOLLOWED | headers)) != ["served"]
