"""What docs/reports/model.md and the model say of the code, and of each other, is so.

That the model holds is TLC's to say: `make model`.
"""

import re
from pathlib import Path

import pytest

from tests.model import tlc, transitions
from tests.model.checks import BROKEN, HOLDS, PROTOCOLS, Check, Protocol

MODULES = Path(transitions.__file__).parent
by_module = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.module)


def text(protocol: Protocol) -> str:
    return (MODULES / f"{protocol.module}.tla").read_text()


def test_page_has_every_transition_and_its_line_of_code() -> None:
    made = transitions.lines()
    assert {one.action.partition("!")[0] for one in made} == {one.module for one in PROTOCOLS}
    for one in made:
        assert one.line > 0


def test_transition_missing_from_the_page_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = transitions.DOCUMENT.read_text()
    monkeypatch.setattr(transitions, "DOCUMENT", tmp_path / "model.md")
    transitions.DOCUMENT.write_text(re.sub(r".*`Settle!MarkSubmitted`.*\n", "", page))
    with pytest.raises(transitions.NotSo, match="Settle!MarkSubmitted"):
        transitions.lines()


@pytest.mark.parametrize("part", ["no such line", "self"])
def test_missing_or_ambiguous_line_is_found(part: str) -> None:
    with pytest.raises(transitions.NotSo, match=r"times in PaymentRepository\.create"):
        transitions.line_of(
            transitions.ROOT / "chalicelib/payments/repository.py", "PaymentRepository.create", part
        )


@by_module
def test_each_rule_of_a_module_is_left_out_by_a_check(protocol: Protocol) -> None:
    rules = set(re.findall(r'Broken (?:=|#) "(\w+)"', text(protocol)))
    assert rules == set(protocol.rules)


@by_module
def test_each_property_of_a_module_is_checked(protocol: Protocol) -> None:
    last = text(protocol).partition("(* What holds in every state. *)")[2]
    properties = set(re.findall(r"^(\w+) ==", last, re.MULTILINE)) - {"Answers"}
    properties -= {"HasIt"}
    asked = {
        name
        for check in HOLDS
        if check.module == protocol.module
        for name in check.invariants + check.steps + check.ends
    }
    assert asked == properties
    page = transitions.DOCUMENT.read_text()
    assert {name for name in asked if f"`{name}`" in page} == asked


def test_page_has_the_states_of_each_check_and_the_rules() -> None:
    assert set(transitions.states()) == {(check.module, check.name) for check in HOLDS}
    page = transitions.DOCUMENT.read_text()
    for protocol in PROTOCOLS:
        for rule, broken in protocol.rules.items():
            assert f"| {protocol.module} | `{rule}` | `{broken}` |" in page


@pytest.mark.parametrize("check", [*HOLDS, *BROKEN], ids=lambda one: f"{one.module} {one.name}")
def test_a_check_gives_each_constant_of_its_module_a_value(check: Check) -> None:
    module = (MODULES / f"{check.module}.tla").read_text()
    declared = module.partition("CONSTANTS\n")[2].partition("\n\n")[0]
    constants = set(re.findall(r"(\w+)(?:,|\s*(?:\\\*.*)?$)", re.sub(r"\\\*.*", "", declared)))
    given = {line.split(" = ")[0].strip() for line in tlc.configuration(check) if " = " in line}
    assert constants <= given
