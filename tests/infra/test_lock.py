"""Every lock is whole: it pins all packages by their hashes, and the locks agree."""

import re

import pytest

from infra.checks.lock import LOCKS, locked
from tests.engines import ROOT

TEXTS = {name: (ROOT / name).read_text() for name in LOCKS}


def asked_for(source: str) -> dict[str, str]:
    """Pins in a requirements file: names as a lock spells them, without extras, and versions."""
    lines = (line.strip() for line in (ROOT / source).read_text().splitlines())
    pins = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower(): v for name, _, v in pins}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_everything_that_its_requirements_ask_for(lock: str) -> None:
    found = locked(TEXTS[lock])
    wanted = asked_for(LOCKS[lock])
    assert wanted
    stale = {name: one for name, one in wanted.items() if found.get(name) != {one}}
    assert not stale, "run `make lock`"


def test_tests_use_the_versions_that_run_and_ship() -> None:
    names = ("requirements.lock", "requirements-run.lock", "requirements-dev.lock")
    ships, runs, tested = (locked(TEXTS[name]).items() for name in names)
    assert ships < runs < tested


def test_shipped_packages_are_all_pinned() -> None:
    assert locked(TEXTS["requirements.lock"]).keys() == asked_for("requirements.txt").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_other_source(lock: str) -> None:
    lines = [line for line in TEXTS[lock].splitlines() if not line.startswith("#")]
    assert "\n".join(lines).count("\n    --hash=sha256:") >= len(locked(TEXTS[lock]))
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(" "):
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
        else:
            assert re.fullmatch(r"[a-z0-9-]+==[^ ]+( ; .*)? \\", line)
            assert following.startswith("    --hash=")


def test_all_versions_of_a_package_are_read() -> None:
    text = "# a==9\na==1 ; x < '3' \\\n    --hash=sha256:0\na==2 ; x >= '3' \\\nb==3 \\\n"
    assert locked(text) == {"a": {"1", "2"}, "b": {"3"}}
