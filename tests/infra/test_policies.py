"""The policy files of plain Chalice: written from infra/policies, and for one stage each."""

import json
import re
from typing import Any

import pytest

from infra.deploy import policies
from tests.policies import Context, Rights

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
def test_every_arn_is_literal(function: str, stage: str) -> None:
    for statement in read(function, stage)["Statement"]:
        for arn in statement["Resource"]:
            assert isinstance(arn, str)
            assert "$" not in arn
            if arn == "*":
                assert all(action.startswith("xray:") for action in statement["Action"])
            else:
                assert re.match(
                    r"arn:aws:((dynamodb|kms|sqs|logs):\*:\*:|s3:::payflow-exports-)", arn
                )
            if ":kms:" in arn:  # a key has no name: its alias says which one
                alias = statement["Condition"]["StringEquals"]["kms:RequestAlias"]
                assert alias == f"alias/payflow-secrets-{stage}"


MOMENTS = ("", "20261125T120000Z-")
TABLE = "dynamodb:ca-central-1:123456789012:table/payflow-payments-{}"
INDEX = f"{TABLE}/index/status-createdAt-index"
RECORDS = "dynamodb:ca-central-1:123456789012:table/payflow-idempotency-{}"
QUEUES = [
    f"sqs:ca-central-1:123456789012:payflow-{kind}-{{}}"
    for kind in ("webhooks", "deliveries", "exports")
]
LOG = "logs:ca-central-1:123456789012:log-group:/aws/lambda/payflow-{}:*"


def is_allowed(function: str, stage: str, action: str, name: str, key: str = "") -> bool:
    keys: Context = {"dynamodb:LeadingKeys": key} if key else {}
    context: Context = {"dynamodb:Select": "SPECIFIC_ATTRIBUTES", **keys}
    return Rights(read(function, stage)["Statement"]).allow(action, f"arn:aws:{name}", context)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("stage", policies.deployed_stages())
def test_tables_of_the_stage_are_reached_the_restored_ones_too(stage: str, moment: str) -> None:
    own = moment + stage
    update, put, query = (f"dynamodb:{name}" for name in ("UpdateItem", "PutItem", "Query"))
    assert is_allowed("webhook_processor", stage, update, TABLE.format(own), key="PAY#PAY-01")
    assert not is_allowed("webhook_processor", stage, update, TABLE.format(own), key="APIKEYS")
    assert is_allowed("api_handler", stage, put, RECORDS.format(own))
    assert not is_allowed("webhook_processor", stage, put, RECORDS.format(own))
    assert is_allowed("sweeper", stage, query, INDEX.format(own))
    assert not is_allowed("delivery_worker", stage, query, INDEX.format(own))


@pytest.mark.parametrize(("function", "stage"), WRITTEN)
def test_nothing_of_another_stage_is_reached(function: str, stage: str) -> None:
    """Asked with and without a key: a condition that needs one must not be what refuses."""
    rights = Rights(read(function, stage)["Statement"])
    others = {"dev", "prod", "local", f"my{stage}", f"{stage}2", f"copy-{stage}"} - {stage}
    foreign = [
        name.format(moment + other)
        for other in others
        for moment in MOMENTS
        for name in (TABLE, INDEX, RECORDS, LOG, *QUEUES)
    ]
    actions = [action for action in rights.actions() if not action.startswith("xray:")]
    assert len(actions) > 5
    reached = [
        (action, name)
        for name in foreign
        for action in actions
        for key in ("", "PAY#PAY-01", "APIKEYS", "ENDPOINTS", "ENDPOINT#EP-1", "SECRET#EP-1")
        if rights.allow(action, f"arn:aws:{name}", {"dynamodb:LeadingKeys": key} if key else {})
    ]
    assert reached == []


@pytest.mark.parametrize(("function", "stage"), WRITTEN)
def test_grants_are_the_sources_and_what_plain_chalice_lacks(function: str, stage: str) -> None:
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
