"""Ask what has been deployed whether it lives. Nothing is created: it has no key.

Guarantee: it ends well only when the API answers, lets nobody in without a key and allows the
dashboard's origin, and when the dashboard is served with the headers that protect it, may talk to
that API and answers at the address of any page.
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

_TIMEOUT_SECONDS: Final = 30
_PATIENCE_SECONDS: Final = 120
"""What was just deployed may take this long to be seen everywhere."""
_PAUSE_SECONDS: Final = 5.0


class Unwell(Exception):
    """What has been deployed is not as it should be; the message says what."""


class Answer(NamedTuple):
    status: int
    headers: Message
    body: str


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.smoke", description=__doc__)
    parser.add_argument("what", choices=["api", "site"])
    parser.add_argument("--api", required=True, help="its address, up to the /v1")
    parser.add_argument("--site", required=True, help="the dashboard's origin")
    asked = parser.parse_args(arguments)
    check = {"api": check_api, "site": check_site}[asked.what]
    try:
        in_time(lambda: check(asked.api.rstrip("/"), asked.site.rstrip("/")))
    except Unwell as error:
        sys.exit(f"Deployed, but not well: {error}")


def in_time(check: Callable[[], None]) -> None:
    """Raises Unwell if `check` still does after a while."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return check()
        except Unwell:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def check_api(api: str, site: str) -> None:
    """Raises Unwell."""
    health = ask(f"{api}/v1/health")
    _expect(health.status == 200, f"{api}/v1/health answers {health.status}")
    _expect('"payflow-api"' in health.body, f"what answers there is not PayFlow: {health.body}")
    # A payment that has no key and no contents: refused twice over, made in no case.
    refused = ask(f"{api}/v1/payments", "POST", {"Content-Type": "application/json"}, b"{}")
    _expect(refused.status == 401, f"without a key POST /v1/payments answers {refused.status}")
    wanted = {"Origin": site, "Access-Control-Request-Method": "POST"}
    allowed = ask(f"{api}/v1/payments", "OPTIONS", wanted).headers["Access-Control-Allow-Origin"]
    _expect(allowed == site, f"the API allows the origin {allowed}, and the dashboard is {site}")


def check_site(api: str, site: str) -> None:
    """Raises Unwell."""
    page = ask(site + "/")
    _expect(page.status == 200, f"{site}/ answers {page.status}")
    policy = page.headers["Content-Security-Policy"] or ""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(api))
    talks_to = re.search(r"connect-src ([^;]+)", policy)
    _expect(
        talks_to is not None and origin in talks_to[1].split(),
        f"the dashboard may not talk to {origin}: its Content-Security-Policy is {policy!r}",
    )
    deep = ask(f"{site}/payments/PAY-NONE")
    _expect(
        (deep.status, deep.body) == (200, page.body),
        f"{site}/payments/PAY-NONE answers {deep.status}, not the page",
    )
    for asset in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.body):
        kind = ask(site + asset).headers.get_content_type()
        _expect(kind != "text/html", f"{site}{asset} is missing")


def ask(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Raises Unwell when nothing answers."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode())
    except OSError as error:
        raise Unwell(f"{url} does not answer: {error}") from None


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Unwell(otherwise)


if __name__ == "__main__":
    main(sys.argv[1:])
