"""An audit succeeds only if every package has an answer."""

import json

import pytest

from infra.checks import audit
from infra.checks.audit import Report
from infra.checks.tools import ToolError

CLEAN = {"name": "h11", "version": "0.16.0", "vulns": []}
KNOWN = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}],
}
SKIPPED = {"name": "h11", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def python(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_finding_names_the_package_and_the_fix() -> None:
    report = audit.python_report(python(CLEAN, KNOWN), "")
    assert report == (2, ["h11 0.14.0: CVE-2025-43859, fixed in 0.16.0"])
    vulnerable = {"vite": {"range": "<=1", "severity": "high"}}
    output = {"vulnerabilities": vulnerable, "metadata": {"dependencies": {"total": 7}}}
    assert audit.npm_report(json.dumps(output), "") == (7, ["vite <=1: high"])


@pytest.mark.parametrize("output", [python(CLEAN, SKIPPED), "", "{}", "no network"])
def test_a_package_without_an_answer_fails_the_audit(output: str) -> None:
    with pytest.raises(ToolError, match="did not answer"):
        audit.python_report(output, "out of reach")


@pytest.mark.parametrize("output", ["", "{}", '{"message": "405 Method Not Allowed", "error": {}}'])
def test_an_error_of_npm_fails_the_audit(output: str) -> None:
    with pytest.raises(ToolError, match="did not answer: out of reach"):
        audit.npm_report(output, "out of reach\nand more")


@pytest.mark.parametrize(
    ("python_finds", "npm_finds", "status"),
    [
        ([], [], audit.NOTHING_KNOWN),
        (["one"], [], audit.FOUND),
        (None, [], audit.NOT_AUDITED),
        ([], None, audit.NOT_AUDITED),
        (None, ["one"], audit.FOUND),
        (["one"], None, audit.FOUND),
    ],
)
def test_audit_succeeds_only_with_all_answers_and_no_finding(
    python_finds: list[str] | None,
    npm_finds: list[str] | None,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audited: list[str] = []

    def python(lock: str) -> Report:
        audited.append(lock)
        return answering(python_finds)

    def answering(findings: list[str] | None) -> Report:
        if findings is None:
            raise ToolError("There is no network.")
        return Report(1, findings)

    monkeypatch.setattr(audit, "_audit_python", python)
    monkeypatch.setattr(audit, "_audit_npm", lambda: answering(npm_finds))
    assert audit.audit() == status
    assert audited == ["requirements-dev.lock", "infra/requirements-deploy.txt"]
    assert ("NOT AUDITED" in capsys.readouterr().out) == (None in (python_finds, npm_finds))
