"""The policy files of plain Chalice: written from infra/policies, and for one stage each."""

import json
from typing import Any

import pytest

from infra.deploy import policies

WRITTEN = [
    (function, stage)
    for stage in policies.deployed_stages()
    for function in policies.functions()
]  # fmt: skip
OWN_LOGS = "WriteItsOwnLog"


def read(function: str, stage: str) -> Any:
    return json.loads((policies.CHALICE / policies.file_name(function, stage)).read_text())


def test_files_are_those_that_make_policies_writes() -> None:
    expected = {policies.file_name(*written): policies.written_out(*written) for written in WRITTEN}
    found = {path.name: path.read_text() for path in policies.CHALICE.glob("policy-*")}
    assert found == expected, "run `make policies`"


@pytest.mark.parametrize(("function", "stage"), WRITTEN)
def test_every_arn_is_literal_and_of_its_stage(function: str, stage: str) -> None:
    for statement in read(function, stage)["Statement"]:
        assert isinstance(statement["Sid"], str)
        resources = statement["Resource"]
        for arn in [resources] if isinstance(resources, str) else resources:
            if arn == "*":
                assert all(action.startswith("xray:") for action in statement["Action"])
                continue
            _, partition, service, region, account, name = arn.split(":", 5)
            assert (partition, region, account) == ("aws", "*", "*")
            if service == "kms":  # a key has no name: its alias says which one
                alias = statement["Condition"]["StringEquals"]["kms:RequestAlias"]
                assert (name, alias) == ("key/*", f"alias/payflow-secrets-{stage}")
                continue
            assert service in {"dynamodb", "sqs", "logs"}
            owned = name.split("/index/")[0].removesuffix(":*").removesuffix("-*")
            assert owned.endswith(f"-{stage}"), arn
            assert "$" not in name


@pytest.mark.parametrize(("function", "stage"), WRITTEN)
def test_grants_are_those_of_the_source_and_what_plain_chalice_leaves_to_the_function(
    function: str, stage: str
) -> None:
    source = policies.source(function)["Statement"]
    for written, original in zip(read(function, stage)["Statement"], source, strict=True):
        more = set(written["Action"]) - set(original["Action"])
        assert set(original["Action"]) <= set(written["Action"])
        names = {"Stage": stage}
        assert written.get("Condition") == policies.resolved(original.get("Condition"), names)
        assert more == {
            *({"sqs:GetQueueUrl"} if "sqs:SendMessage" in original["Action"] else ()),
            *({"logs:CreateLogGroup"} if original["Sid"] == OWN_LOGS else ()),
        }


def test_unknown_reference_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"RefundsTable\.Arn"):
        policies.resolved([{"Fn::Sub": "${RefundsTable.Arn}/index/*"}], {})
