"""`make audit`: ask PyPI and npm for known vulnerabilities in the locked packages.

Guarantee: an audit that did not get an answer for every package fails, and says so. The tools
themselves would report success, or an exit code that looks like a finding.
"""

import json
import sys
from typing import Final, NamedTuple

from infra import ROOT
from infra.checks import tools
from infra.checks.lock import WHOLE
from infra.checks.tools import ToolError

DEPLOY: Final = "infra/requirements-deploy.txt"
NOTHING_KNOWN: Final = 0
FOUND: Final = 1
NOT_AUDITED: Final = 2


class Report(NamedTuple):
    """A registry's answer: how many packages it checked, and one line per finding."""

    checked: int
    findings: list[str]


def audit() -> int:
    """Print what is known. Return FOUND, else NOT_AUDITED if an answer is missing."""
    audits = {
        "Python": lambda: _audit_python(WHOLE),
        "Python, deploy jobs": lambda: _audit_python(DEPLOY),
        "npm": _audit_npm,
    }
    status = NOTHING_KNOWN
    for title, ask in audits.items():
        try:
            report = ask()
        except ToolError as error:
            print(f"{title}: NOT AUDITED. {error}")
            status = status or NOT_AUDITED
            continue
        print(f"{title}: {report.checked} packages, {len(report.findings)} findings")
        for finding in report.findings:
            print(f"  {finding}")
            status = FOUND
    return status


def _audit_python(lock: str) -> Report:
    command = ["--disable-pip", "--require-hashes", "--requirement", lock]
    command += ["--format", "json", "--progress-spinner", "off"]
    ended = tools.run(tools.command_of("pip-audit"), *command)
    return python_report(ended.stdout, ended.stderr)


def python_report(output: str, errors: str) -> Report:
    """Read pip-audit's output. Raises ToolError if a package has no answer."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError):
        raise ToolError(f"PyPI did not answer: {tools.last_line(errors)}") from None
    if skipped := [package["name"] for package in packages if "skip_reason" in package]:
        raise ToolError(
            f"PyPI did not answer for {len(skipped)} of {len(packages)} packages "
            f"({', '.join(skipped[:3])} …). The audit needs pypi.org itself, not a mirror."
        )
    findings = [
        f"{package['name']} {package['version']}: {known['id']}, fixed in "
        f"{', '.join(known['fix_versions']) or 'no version yet'}"
        for package in packages
        for known in package["vulns"]
    ]
    return Report(len(packages), findings)


def _audit_npm() -> Report:
    command = ["npm", "audit", "--package-lock-only", "--json"]
    try:
        ended = tools.run(*command, folder=ROOT / "frontend")
    except FileNotFoundError:
        raise ToolError("npm is not installed.") from None
    return npm_report(ended.stdout, ended.stderr)


def npm_report(output: str, errors: str) -> Report:
    """Read npm's output. Raises ToolError if it is not an audit."""
    try:
        answer = json.loads(output)
        known, checked = answer["vulnerabilities"], answer["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError):
        first_line = next(iter(errors.strip().splitlines()), "no output.")
        raise ToolError(f"npm's registry did not answer: {first_line}") from None
    return Report(
        checked, [f"{name} {one['range']}: {one['severity']}" for name, one in known.items()]
    )


if __name__ == "__main__":
    sys.exit(audit())
