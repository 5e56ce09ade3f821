"""Only the head of `main` is deployed, however old the run."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from infra.deploy import head
from infra.deploy.smoke import SmokeError

HEAD, BEFORE = "a" * 40, "b" * 40
REF = "/repos/acme/payflow/git/ref/heads/main"


class GitHub(http.server.BaseHTTPRequestHandler):
    """Knows one branch, and who asks."""

    def do_GET(self) -> None:
        knows = (self.path, self.headers["Authorization"]) == (REF, "Bearer token")
        body = json.dumps({"ref": "refs/heads/main", "object": {"sha": HEAD}}) if knows else "{}"
        self.send_response(200 if knows else 404)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def of_a_job(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    with http.server.HTTPServer(("127.0.0.1", 0), GitHub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GITHUB_REPOSITORY", "acme/payflow")
        monkeypatch.setenv("GITHUB_TOKEN", "token")
        yield monkeypatch
        server.shutdown()
        thread.join()


def test_head_of_main_is_deployed(of_a_job: pytest.MonkeyPatch) -> None:
    of_a_job.setenv("GITHUB_SHA", HEAD)
    head.main()


def test_run_of_an_earlier_commit_stops(of_a_job: pytest.MonkeyPatch) -> None:
    of_a_job.setenv("GITHUB_SHA", BEFORE)
    with pytest.raises(SystemExit, match=f"Not deployed.*{BEFORE}.*main is at {HEAD}"):
        head.main()


def test_run_stops_if_github_does_not_say(of_a_job: pytest.MonkeyPatch) -> None:
    of_a_job.setenv("GITHUB_SHA", HEAD)
    of_a_job.setenv("GITHUB_TOKEN", "of nobody")
    with pytest.raises(SystemExit, match=r"Not deployed.*answers 404"):
        head.main()
    with pytest.raises(SmokeError, match="does not answer"):
        head.check("http://127.0.0.1:9/", HEAD, "token")
