"""The README is short, and every command in it is run by a test."""

import re

import pytest

from tests.docs.pages import ROOT, commands

README = (ROOT / "README.md").read_text()
TYPED = [command.typed for command in commands(README)]
SESSION = "tests/stack/test_documented_sessions.py"
RUN_BY = {
    "git": (SESSION, "cwd=ROOT"),  # the tests run in a clone
    "curl": (SESSION, 'check_session("README.md"'),
    "make run": (SESSION, '["make", "run"]'),
    "make seed": (SESSION, 'make(env, "seed"'),
    "make key": (SESSION, 'make(env, "key"'),
    "make reset": (SESSION, 'make(env, "reset")'),
    "make bootstrap": ("tests/stack/test_package.py", "bootstrap.bootstrap("),
}


def test_readme_has_8_kb_at_most() -> None:
    assert len(README.encode()) <= 8 * 1024


def test_every_command_is_run_by_a_test() -> None:
    inline = re.findall(r"`(make [a-z-]+)", README)
    named = {" ".join(command.split()[:2]) for command in [*TYPED, *inline]}
    named = {name if name.startswith("make") else name.split()[0] for name in named}
    assert named == RUN_BY.keys()


@pytest.mark.parametrize(("file", "call"), RUN_BY.values(), ids=RUN_BY)
def test_named_test_runs_its_command(file: str, call: str) -> None:
    assert call in (ROOT / file).read_text()


def test_costs_are_those_of_the_report() -> None:
    report = (ROOT / "docs" / "reports" / "costs.md").read_text()
    alone, together, idle = (
        round(float(dollars)) for dollars in re.findall(r"\*\*\$([0-9.]+)\*\*", report)[:3]
    )
    text = " ".join(README.split())
    assert f"cost ${together} to ${alone} by AWS's list prices" in text
    assert f"an idle stage about ${idle} a month" in text
