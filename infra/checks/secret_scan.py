"""Search for secrets in the files that git tracks, or in every line that it ever tracked.

Guarantee: every shape is specific, so a match is a finding. A finding is named by its place and
kind, and its text is never printed. Known false findings are listed by hash, with the reason:
published examples, and values made up for tests.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from infra import ROOT

SHAPES: Final = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret key": r"(?i)secret_?(?:access_?)?key[\"']?\s*[=:]\s*[\"']?[0-9A-Za-z/+]{40}\b",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a PayFlow API key": r"\bpf_[a-z0-9]+_[0-9a-f]{72}\b",
    "a webhook secret": r"\bwhsec_[0-9A-Za-z+/]{32,}",
    "a GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{40,})",
    "a registry's token": r"\bnpm_[0-9A-Za-z]{36}\b|\bpypi-AgE[0-9A-Za-z_-]{40,}",
    "a chat's token": r"\bxox[abeprs]-[0-9A-Za-z-]{10,}|hooks\.slack\.com/services/T[0-9A-Z]{8}",
    "a payment provider's key": r"\b(?:sk|rk)_live_[0-9A-Za-z]{16,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a signed token": r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^/\s:@\"'{}$<>]+:[^/\s:@\"'{}$<>]{3,}@\w",
}
KNOWN: Final = {
    "96ad2ccd81462a76": "the example that Standard Webhooks publishes",
    "2fe595314ee2e932": "an address that must be refused for its password",
    "c07b8d9d5ab1e717": "another such address",
    "4985c78f5d13ab96": "an endpoint's secret in tests/frozen: the bytes 0 to 31",
    "f514552629ae0440": "another such secret: the bytes 32 to 63",
    "b516d56dcc1735ef": "another such secret: the bytes 64 to 95",
}
_MADE: Final = frozenset({".venv", ".payflow", ".tools", "dist", "node_modules"})
_SHAPES: Final = {kind: re.compile(shape) for kind, shape in SHAPES.items()}
_FINGERPRINT_DIGITS: Final = 16


class Leak(NamedTuple):
    """A finding. Its `fingerprint` is its key in KNOWN."""

    place: str
    kind: str
    fingerprint: str


def main(arguments: list[str]) -> None:
    match arguments:
        case []:
            lines = _file_lines()
        case ["history"]:
            lines = _history_lines()
        case _:
            sys.exit("Use: python -m infra.checks.secret_scan [history]")
    found = list(dict.fromkeys(leaks(lines)))
    for leak in found:
        print(f"{leak.place}: looks like {leak.kind} ({leak.fingerprint})")
    if found:
        sys.exit("Revoke every real secret. List false findings in infra/checks/secret_scan.py.")


def leaks(lines: Iterable[tuple[str, str]]) -> Iterator[Leak]:
    """Yield the findings in `lines`, pairs of a place and a line."""
    for place, line in lines:
        for kind, shape in _SHAPES.items():
            for found in shape.findall(line):
                fingerprint = hashlib.sha256(found.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
                if fingerprint not in KNOWN:
                    yield Leak(place, kind, fingerprint)


def _file_lines() -> Iterator[tuple[str, str]]:
    """Yield the lines of files that git tracks or would add; without git, of all files."""
    if (ROOT / ".git").exists():
        listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = [name for name in listed.split("\0") if name]
    else:
        files = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [file.as_posix() for file in files if _MADE.isdisjoint(file.parts)]
    for name in names:
        path = ROOT / name
        if path.is_file():
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
                yield f"{name}:{number}", line


def _history_lines() -> Iterator[tuple[str, str]]:
    """Yield every line that a commit added, and the commits' messages."""
    commit = ""
    log = _git("log", "--all", "-m", "-p", "--no-color", "--text", "--format=commit %h%n%B")
    for line in log.split("\n"):
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        if not line.startswith("-") or line.startswith("-----BEGIN"):
            yield commit, line


def _git(*command: str) -> str:
    git = ["git", "-c", "safe.directory=*", *command]  # accept any owner of the checkout
    ended = subprocess.run(git, cwd=ROOT, check=False, capture_output=True)  # noqa: S603
    if ended.returncode != 0:
        sys.exit(f"git could not list what to search: {ended.stderr.decode(errors='replace')}")
    return ended.stdout.decode(errors="replace")


if __name__ == "__main__":
    main(sys.argv[1:])
