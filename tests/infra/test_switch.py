"""A switch of tables: what the template is meanwhile, and that it goes on where it broke off."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.stacks import DeployError, Stack, restored_parameter, table_names
from infra.local.provision import template
from infra.ops import stages
from infra.ops import switch as module
from infra.ops.switch import Named, detached, switch

TABLES = {
    logical_id: Named(name, f"arn:aws:dynamodb:ca-central-1:123456789012:table/{name}")
    for logical_id, name in table_names(template(), "dev", "20261125T120000Z-").items()
}


def test_template_during_a_switch_refers_to_no_missing_table() -> None:
    text = json.dumps(detached(template(), TABLES)["Resources"])
    for logical_id, table in TABLES.items():
        assert f'"{logical_id}"' not in text
        assert f"${{{logical_id}" not in text
        assert table.name in text


def test_policies_during_a_switch_name_the_new_table_and_index() -> None:
    table = TABLES["PaymentsTable"]
    policy = {"Resource": [{"Fn::GetAtt": ["PaymentsTable", "Arn"]}, {"Ref": "PaymentsTable"}]}
    index = {"Fn::Sub": "${PaymentsTable.Arn}/index/due-index"}
    body = {"Resources": {key: {} for key in TABLES} | {"Policy": policy, "Index": index}}
    resources = detached(body, TABLES)["Resources"]
    assert resources["Policy"] == {"Resource": [table.arn, table.name]}
    assert resources["Index"] == {"Fn::Sub": f"{table.arn}/index/due-index"}


@pytest.mark.parametrize("said", ["", "x", "2026-11-25T12:00:00Z", "20261125T120000", "-"])
def test_invalid_moment_is_refused(said: str) -> None:
    with pytest.raises(DeployError, match="must be `first`"):
        restored_parameter(said)


def test_target_is_a_moment_or_the_first_tables() -> None:
    assert restored_parameter("20261125T120000Z") == "20261125T120000Z-"
    assert restored_parameter("first") == ""


class Account:
    """A stack as CloudFormation has it, which fails at one of its changes."""

    def __init__(self, fails_at: int) -> None:
        self.whole = json.loads(json.dumps(template()))
        self.now: Any = self.whole
        self.changes: list[str] = []
        self._fails_at = fails_at

    def parameters(self) -> set[str]:
        return {"Stage"}

    def template(self, _: str) -> Any:
        return json.loads(json.dumps(self.now))

    def change(self, **what: Any) -> None:
        self.changes.append(what.get("ChangeSetType", "UPDATE"))
        if len(self.changes) == self._fails_at:
            raise DeployError("as if the connection was lost")
        self.now = json.loads(what["TemplateBody"])


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_interrupted_switch_continues(
    fails_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(fails_at)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(stages, "stack_of", lambda _: account)
    monkeypatch.setattr(
        module, "_find", lambda name: next(one for one in TABLES.values() if one.name == name)
    )
    with pytest.raises(DeployError, match="connection"):
        switch("dev", "20261125T120000Z-")
    switch("dev", "20261125T120000Z-")
    assert account.now == account.whole
    assert account.changes[-3:] == ["UPDATE", "IMPORT", "UPDATE"]
    assert not list((tmp_path / "dist").iterdir())


def test_stack_without_tables_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(0)
    account.now = detached(account.whole, TABLES)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    stack: Any = account
    with pytest.raises(DeployError, match="interrupted in another folder"):
        module._whole(stack, "dev")
    assert isinstance(stack, Account | Stack)
