"""Serve the dashboard as CloudFront would.

Guarantee: the same headers (from infra/frontend-stack.yaml), `index.html` at the URL of every
page, and compression for clients that accept it. The build calls this stack's API.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from infra import ROOT
from infra.deploy import site, yaml_text
from infra.local import lifeline
from infra.local.settings import HOST, Local, SetupError, from_environment

FRONTEND: Final = ROOT / "frontend"
_SOURCES: Final = ("src", "public", "index.html", "package-lock.json", "vite.config.ts")
_STAMP: Final = "built-from"
_COMPRESSED: Final = ("text/", "image/svg", "application/json")


class File(NamedTuple):
    headers: dict[str, str]
    body: bytes
    compressed: bytes | None


def folder(local: Local) -> Path:
    return local.state / "dashboard"


def build(local: Local) -> None:
    """Build the dashboard for this stack's API, if it has changed. Raises SetupError."""
    stamp = folder(local) / _STAMP
    wanted = _fingerprint(local.api_url)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    command = ["node", "node_modules/vite/bin/vite.js", "build", "--emptyOutDir"]
    ended = subprocess.run(  # noqa: S603
        [*command, "--outDir", str(folder(local).resolve())],
        cwd=FRONTEND,
        env={**os.environ, "VITE_API_URL": local.api_url},
        check=False,
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        raise SetupError(f"The dashboard was not built:\n{ended.stdout}{ended.stderr}")
    stamp.write_text(wanted)


def _fingerprint(api_url: str) -> str:
    digest = sha256(api_url.encode())
    for name in _SOURCES:
        source = FRONTEND / name
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in (file for file in files if file.is_file()):
            digest.update(str(file.relative_to(FRONTEND)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def security_headers(api_origin: str) -> dict[str, str]:
    """Return the headers that CloudFront sends, for an API at `api_origin`."""
    template: Any = yaml_text.read((ROOT / "infra" / "frontend-stack.yaml").read_text())
    config = template["Resources"]["ResponseHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    policy, _ = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    headers = {
        "Content-Security-Policy": policy.replace("${Api}", api_origin),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
    }
    return headers | {
        item["Header"]: item["Value"] for item in config["CustomHeadersConfig"]["Items"]
    }


def _read(root: Path) -> dict[str, File]:
    """Read the build; return its files by path."""
    files = {}
    for path in (path for path in root.rglob("*") if path.is_file() and path.name != _STAMP):
        name = path.relative_to(root).as_posix()
        kept = site.headers(name)
        kind = kept["ContentType"]
        body = path.read_bytes()
        files[f"/{name}"] = File(
            {
                "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
                "Cache-Control": kept["CacheControl"],
            },
            body,
            gzip.compress(body, mtime=0) if kind.startswith(_COMPRESSED) else None,
        )
    return files


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    files: dict[str, File]
    security: dict[str, str]
    origin: str

    def do_GET(self) -> None:
        if self.headers.get("Sec-Fetch-Dest") == "document" and self._is_elsewhere():
            self._redirect()
            return
        path = unquote(urlsplit(self.path).path)
        file = self.files.get(path) or self.files[f"/{site.PAGE}"]
        is_compressed = file.compressed is not None and "gzip" in self.headers.get(
            "Accept-Encoding", ""
        )
        body = file.compressed if is_compressed and file.compressed is not None else file.body
        self.send_response(HTTPStatus.OK)
        for name, value in (file.headers | self.security).items():
            self.send_header(name, value)
        if is_compressed:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def _is_elsewhere(self) -> bool:
        """Whether a browser asks at another name of this machine: the API allows one origin."""
        return f"http://{self.headers.get('Host', '')}" != self.origin

    def _redirect(self) -> None:
        self.send_response(HTTPStatus.TEMPORARY_REDIRECT)
        self.send_header("Location", self.origin + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def version_string(self) -> str:
        return "PayFlow"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        print(json.dumps({"kind": "request", "line": format % args}), flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    lifeline.hold()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    local = from_environment()
    Handler.files = _read(folder(local))
    Handler.security = security_headers(local.api_url)
    Handler.origin = local.dashboard_url
    with Server((HOST, local.dashboard_port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
