"""What is taken in of others is locked whole; an audit that was not answered is no audit."""

import json
import re

import pytest

from infra import supply
from infra.supply import LOCKS, SupplyError, locked
from tests.engines import ROOT

TEXTS = {name: (ROOT / name).read_text() for name in LOCKS}


def asked_for(source: str) -> dict[str, str]:
    """What people have written: names as a lock spells them, without extras, and versions."""
    lines = (line.strip() for line in (ROOT / source).read_text().splitlines())
    pins = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower(): v for name, _, v in pins}


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_has_what_is_asked_for_or_make_lock_was_forgotten(lock: str) -> None:
    found = locked(TEXTS[lock])
    wanted = asked_for(LOCKS[lock])
    assert wanted
    stale = {name: one for name, one in wanted.items() if found.get(name) != {one}}
    assert not stale, "run `make lock`"


def test_tests_run_on_the_versions_that_run_and_ship() -> None:
    names = ("requirements.lock", "requirements-run.lock", "requirements-dev.lock")
    ships, runs, tested = (locked(TEXTS[name]).items() for name in names)
    assert ships < runs < tested


def test_the_shipped_packages_are_pinned_whole() -> None:
    assert locked(TEXTS["requirements.lock"]).keys() == asked_for("requirements.txt").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_is_locked_is_known_by_its_bytes_and_comes_from_nowhere_else(lock: str) -> None:
    lines = [line for line in TEXTS[lock].splitlines() if not line.startswith("#")]
    assert "\n".join(lines).count("\n    --hash=sha256:") >= len(locked(TEXTS[lock]))
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(" "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
        else:
            assert re.fullmatch(r"[a-z0-9-]+==[^ ]+( ; .*)? \\", line)
            assert following.startswith("    --hash=")


def test_versions_for_several_pythons_are_all_seen() -> None:
    text = "# a==9\na==1 ; x < '3' \\\n    --hash=sha256:0\na==2 ; x >= '3' \\\nb==3 \\\n"
    assert locked(text) == {"a": {"1", "2"}, "b": {"3"}}


CLEAN = {"name": "h11", "version": "0.16.0", "vulns": []}
KNOWN = {
    "name": "h11",
    "version": "0.14.0",
    "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}],
}
SKIPPED = {"name": "h11", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def python(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_finding_says_where_it_is_and_what_mends_it() -> None:
    report = supply.python_report(python(CLEAN, KNOWN), "")
    assert report == (2, ["h11 0.14.0: CVE-2025-43859, mended in 0.16.0"])
    vulnerable = {"vite": {"range": "<=1", "severity": "high"}}
    said = {"vulnerabilities": vulnerable, "metadata": {"dependencies": {"total": 7}}}
    assert supply.npm_report(json.dumps(said), "") == (7, ["vite <=1: high"])


@pytest.mark.parametrize("said", [python(CLEAN, SKIPPED), "", "{}", "no network"])
def test_a_package_that_pypi_did_not_answer_for_is_no_clean_one(said: str) -> None:
    with pytest.raises(SupplyError, match="did not answer"):
        supply.python_report(said, "out of reach")


@pytest.mark.parametrize("said", ["", "{}", '{"message": "405 Method Not Allowed", "error": {}}'])
def test_an_error_of_npms_is_no_clean_audit(said: str) -> None:
    with pytest.raises(SupplyError, match="did not answer: out of reach"):
        supply.npm_report(said, "out of reach\nand more")


@pytest.mark.parametrize(
    ("python_finds", "npm_finds", "status"),
    [
        ([], [], supply.NOTHING_KNOWN),
        (["one"], [], supply.FOUND),
        (None, [], supply.NOT_AUDITED),
        ([], None, supply.NOT_AUDITED),
        (None, ["one"], supply.FOUND),
        (["one"], None, supply.FOUND),
    ],
)
def test_make_audit_succeeds_only_when_both_were_asked_and_nothing_is_known(
    python_finds: list[str] | None,
    npm_finds: list[str] | None,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audited: list[str] = []

    def python(lock: str) -> supply.Report:
        audited.append(lock)
        return answering(python_finds)

    def answering(findings: list[str] | None) -> supply.Report:
        if findings is None:
            raise SupplyError("There is no network.")
        return supply.Report(1, findings)

    monkeypatch.setattr(supply, "_audit_python", python)
    monkeypatch.setattr(supply, "_audit_npm", lambda: answering(npm_finds))
    assert supply.audit() == status
    assert audited == ["requirements-dev.lock", "infra/requirements-deploy.txt"]
    assert ("NOT AUDITED" in capsys.readouterr().out) == (None in (python_finds, npm_finds))
