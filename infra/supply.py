"""What we take in of others: pinned to the byte, and asked after.

    lock     write the locks from the requirements files that people edit
    audit    ask PyPI and npm what is known against what is locked

Guarantee: a lock names every package of a tree, with the hashes of all files of its release, so
that one lock is good for every Python and machine, and pip installs nothing else. An audit that
was not answered for every package is none, and says so: both tools would call that a success, or
not tell it from a finding.

Their own tools are fetched when they are needed, into .tools.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.dist import ROOT

OLDEST_PYTHON: Final = "3.11"
WHOLE: Final = "requirements-dev.lock"
"""It holds everything that the other locks hold, at the same versions."""

LOCKS: Final = {
    WHOLE: "requirements-dev.txt",
    "requirements-run.lock": "requirements-run.txt",
    "requirements.lock": "requirements.txt",
}
_DEPLOY: Final = "infra/requirements-deploy.txt"
_HEADER: Final = "# Made by `make lock` from {source}; edit that.\n"
_UV: Final = "uv==0.13.9"
_PIP_AUDIT: Final = "pip-audit==2.10.1"

NOTHING_KNOWN: Final = 0
FOUND: Final = 1
NOT_AUDITED: Final = 2


class SupplyError(Exception):
    """It could not be done; the message says why."""


class Report(NamedTuple):
    """What a registry knows: of how many packages, and the findings, one line each."""

    asked: int
    findings: list[str]


def main(arguments: list[str]) -> None:
    match arguments:
        case ["lock"]:
            try:
                lock()
            except SupplyError as error:
                sys.exit(f"Not locked: {error}")
        case ["audit"]:
            sys.exit(audit())
        case _:
            sys.exit("Use: python -m infra.supply lock|audit")


def lock() -> None:
    """Versions that are locked stay, unless the edited files say otherwise. Raises SupplyError."""
    for name, source in LOCKS.items():
        command = ["pip", "compile", source, "--output-file", name]
        command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--quiet"]
        if name != WHOLE:
            command += ["--constraints", WHOLE]
        ended = _run(_tool(_UV), *command)
        if ended.returncode != 0:
            raise SupplyError(ended.stderr)
        path = ROOT / name
        path.write_text(_HEADER.format(source=source) + path.read_text())
        print(f"{name}: {len(locked(path.read_text()))} packages")


def locked(text: str) -> dict[str, set[str]]:
    """The versions of each package in a lock; more than one where Pythons need different ones."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if "==" in line and not line.startswith(("#", " ")):
            name, _, rest = line.partition("==")
            found.setdefault(name, set()).add(rest.split()[0])
    return found


def audit() -> int:
    """Print what is known; returns FOUND, else NOT_AUDITED when an audit was none."""
    worst = NOTHING_KNOWN
    asked = {
        "Python": lambda: _audit_python(WHOLE),
        "Python, jobs that deploy": lambda: _audit_python(_DEPLOY),
        "npm": _audit_npm,
    }
    for title, ask in asked.items():
        try:
            report = ask()
        except SupplyError as error:
            print(f"{title}: NOT AUDITED. {error}")
            worst = worst or NOT_AUDITED
            continue
        print(f"{title}: {report.asked} packages, {len(report.findings)} findings")
        if report.findings:
            print("\n".join(f"  {finding}" for finding in report.findings))
            worst = FOUND
    return worst


def _audit_python(lock: str) -> Report:
    command = ["--disable-pip", "--require-hashes", "--requirement", lock]
    ended = _run(_tool(_PIP_AUDIT), *command, "--format", "json", "--progress-spinner", "off")
    return python_report(ended.stdout, ended.stderr)


def python_report(said: str, complaints: str) -> Report:
    """Of pip-audit's words. Raises SupplyError when it had no answer for some package."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError):
        raise SupplyError(f"PyPI did not answer: {_last_line(complaints)}") from None
    if skipped := [one["name"] for one in packages if "skip_reason" in one]:
        raise SupplyError(
            f"PyPI did not answer for {len(skipped)} of {len(packages)} packages "
            f"({', '.join(skipped[:3])} …); this needs pypi.org itself."
        )
    findings = [
        f"{one['name']} {one['version']}: {known['id']}, mended in "
        f"{', '.join(known['fix_versions']) or 'no version yet'}"
        for one in packages
        for known in one["vulns"]
    ]
    return Report(len(packages), findings)


def _audit_npm() -> Report:
    try:
        ended = _run("npm", "audit", "--package-lock-only", "--json", folder=ROOT / "frontend")
    except FileNotFoundError:
        raise SupplyError("There is no npm.") from None
    return npm_report(ended.stdout, ended.stderr)


def npm_report(said: str, complaints: str) -> Report:
    """Of npm's words. Raises SupplyError when they are no audit."""
    try:
        answer = json.loads(said)
        known, asked = answer["vulnerabilities"], answer["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError):
        raise SupplyError(f"npm's registry did not answer: {_first_line(complaints)}") from None
    findings = [f"{name} {one['range']}: {one['severity']}" for name, one in known.items()]
    return Report(asked, findings)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "it said nothing.")


def _last_line(text: str) -> str:
    return next(iter(reversed(text.strip().splitlines())), "it said nothing.")


def _tool(requirement: str) -> str:
    """A tool's command, in an environment of its own: what it needs is not what we lock."""
    name = requirement.partition("==")[0]
    folder = ROOT / ".tools" / requirement.replace("==", "-")
    command = folder / "bin" / name
    if not command.exists():
        venv.create(folder, with_pip=True)
        pip = _run(str(folder / "bin" / "pip"), "install", "--quiet", requirement)
        if pip.returncode != 0:
            raise SupplyError(f"{requirement} could not be installed: {_last_line(pip.stderr)}")
    return str(command)


def _run(*command: str, folder: Path = ROOT) -> Any:
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603


if __name__ == "__main__":
    main(sys.argv[1:])
