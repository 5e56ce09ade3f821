"""The look at what was deployed: it passes what is well, and says of the rest what is not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.deploy import smoke
from infra.deploy.smoke import SmokeError
from tests.stack.conftest import Stack

PAGE = '<script type="module" src="/assets/index-1a2b.js"></script>'
API = "https://a1b2.execute-api.ca-central-1.amazonaws.com/api"
POLICY = "default-src 'none'; connect-src https://a1b2.execute-api.ca-central-1.amazonaws.com"


@contextmanager
def site(policy: str = POLICY, deep: int = 200, asset: str = "text/javascript") -> Iterator[str]:
    """A dashboard at a loopback address."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_asset = self.path.startswith("/assets/")
            self.send_response(200 if is_asset or self.path == "/" else deep)
            self.send_header("Content-Type", asset if is_asset else "text/html")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_closed_api_that_allows_the_dashboard_passes(stack: Stack) -> None:
    with stack.another_api(PAYFLOW_AUTH="required") as (closed, _):
        url = f"http://127.0.0.1:{closed.port}"
        smoke.check_api(url, "http://localhost:5173")
        with pytest.raises(SmokeError, match="allows the origin http://localhost:5173"):
            smoke.check_api(url, "https://another.example")


def test_open_api_fails(stack: Stack) -> None:
    with pytest.raises(SmokeError, match="Without a key POST /v1/payments answers 400"):
        smoke.check_api(f"http://127.0.0.1:{stack.local.api_port}", "http://localhost:5173")


def test_smoke_test_creates_nothing(stack: Stack) -> None:
    before = stack.client.get("/v1/payments").json
    with pytest.raises(SmokeError):
        smoke.check_api(f"http://127.0.0.1:{stack.local.api_port}", "http://localhost:5173")
    assert stack.client.get("/v1/payments").json == before


def test_a_dashboard_that_may_call_its_api_passes() -> None:
    with site() as url:
        smoke.check_site(API, url)


@pytest.mark.parametrize(
    ("dashboard", "says"),
    [
        ({"policy": "default-src 'none'; connect-src 'none'"}, "may not call https://a1b2"),
        ({"policy": POLICY + ".evil.example"}, "may not call https://a1b2"),
        ({"deep": 404}, "/payments/PAY-NONE answers 404, not the page"),
        ({"asset": "text/html"}, "/assets/index-1a2b.js is missing"),
    ],
)
def test_a_failed_check_of_the_dashboard_says_why(dashboard: dict[str, str], says: str) -> None:
    with site(**dashboard) as url, pytest.raises(SmokeError, match=says):  # type: ignore[arg-type]
        smoke.check_site(API, url)


def test_a_site_that_does_not_answer_fails() -> None:
    with site() as url:
        pass
    with pytest.raises(SmokeError, match="does not answer"):
        smoke.check_site(API, url)


def test_a_failed_check_is_retried_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_PAUSE_SECONDS", 0)
    answers = iter([SmokeError("not yet"), SmokeError("not yet"), None])

    def check() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    smoke.retried(check)
    monkeypatch.setattr(smoke, "_RETRY_SECONDS", -1)
    answers = iter([SmokeError("never")])
    with pytest.raises(SmokeError, match="never"):
        smoke.retried(check)
