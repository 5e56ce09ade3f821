"""Smoke tests of a deployed stage. They have no API key, and create nothing.

Guarantee: they succeed only if the API answers, refuses callers without a key and allows the
dashboard's origin, and if the dashboard is served with the headers that protect it, may call that
API and answers at the URL of every page.
"""

import argparse
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from infra import cli

_TIMEOUT_SECONDS: Final = 30
_RETRY_SECONDS: Final = 120
"""A change may take this long to reach every edge of CloudFront and API Gateway."""
_PAUSE_SECONDS: Final = 5.0


class SmokeError(Exception):
    """A check of the deployed stage failed; the message says which."""


class Answer(NamedTuple):
    status: int
    headers: Message
    body: str


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.smoke", description=__doc__)
    parser.add_argument("what", choices=["api", "site"])
    parser.add_argument("--api", type=cli.url, required=True, help="the API's URL, up to /v1")
    parser.add_argument("--site", type=cli.origin, required=True, help="the dashboard's origin")
    asked = parser.parse_args(arguments)
    check = {"api": check_api, "site": check_site}[asked.what]
    with cli.exits("Deployed, but a check failed", SmokeError):
        retried(lambda: check(asked.api.rstrip("/"), asked.site.rstrip("/")))


def retried(check: Callable[[], None]) -> None:
    """Retry `check` for two minutes. Raises its last SmokeError."""
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            return check()
        except SmokeError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def check_api(api: str, site: str) -> None:
    """Check the API at `api` for a dashboard at `site`. Raises SmokeError."""
    health = ask(f"{api}/v1/health")
    _expect(health.status == 200, f"{api}/v1/health answers {health.status}.")
    _expect(
        '"payflow-api"' in health.body, f"{api} is not PayFlow: /v1/health answers {health.body}"
    )
    # No key and no fields: this request cannot create a payment.
    refused = ask(f"{api}/v1/payments", "POST", {"Content-Type": "application/json"}, b"{}")
    _expect(refused.status == 401, f"Without a key POST /v1/payments answers {refused.status}.")
    wanted = {"Origin": site, "Access-Control-Request-Method": "POST"}
    allowed = ask(f"{api}/v1/payments", "OPTIONS", wanted).headers["Access-Control-Allow-Origin"]
    _expect(allowed == site, f"The API allows the origin {allowed}, but the dashboard is {site}.")
    for method, path, expected in [("GET", "/v1/none", 404), ("PATCH", "/v1/payments", 405)]:
        # With a key, which API Gateway takes for a signature of AWS where it finds no method.
        answer = ask(f"{api}{path}", method, {"Authorization": "Bearer pf_none", "Origin": site})
        where = f"{method} {path}"
        _expect(answer.status == expected, f"{where} answers {answer.status}, not {expected}.")
        origin = answer.headers["Access-Control-Allow-Origin"]
        _expect(origin == site, f"{where} answers without the dashboard's origin: {origin}.")


def check_site(api: str, site: str) -> None:
    """Check the dashboard at `site` for an API at `api`. Raises SmokeError."""
    page = ask(site + "/")
    _expect(page.status == 200, f"{site}/ answers {page.status}.")
    policy = page.headers["Content-Security-Policy"] or ""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(api))
    talks_to = re.search(r"connect-src ([^;]+)", policy)
    _expect(
        talks_to is not None and origin in talks_to[1].split(),
        f"The dashboard may not call {origin}: its Content-Security-Policy is {policy!r}.",
    )
    deep = ask(f"{site}/payments/PAY-NONE")
    _expect(
        (deep.status, deep.body) == (200, page.body),
        f"{site}/payments/PAY-NONE answers {deep.status}, not the page.",
    )
    for asset in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.body):
        kind = ask(site + asset).headers.get_content_type()
        _expect(kind != "text/html", f"{site}{asset} is missing.")


def ask(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send a request. Raises SmokeError if nothing answers."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())
    except OSError as error:
        raise SmokeError(f"{url} does not answer: {error}") from None


def _expect(condition: bool, failure: str) -> None:
    if not condition:
        raise SmokeError(failure)


if __name__ == "__main__":
    main(sys.argv[1:])
