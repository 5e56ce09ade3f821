"""Deploying: what is refused with a sentence, and which values parameters get."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from infra.deploy import artifact, deploy
from infra.deploy.stacks import DeployError, Stack, parameter_values

TEMPLATE: Any = {"Parameters": {"Stage": {}, "AllowedOrigin": {}, "AlarmEmail": {"Default": ""}}}


class Cloudformation:
    """Knows one stack, in one state."""

    def __init__(self, status: str) -> None:
        self._status = status

    def describe_stacks(self, **_: Any) -> Any:
        return {
            "Stacks": [{"StackStatus": self._status, "Parameters": [{"ParameterKey": "Stage"}]}]
        }


def stack_in(status: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(boto3, "client", lambda _: Cloudformation(status))
    return Stack("payflow-dev")


def test_without_a_package_nothing_is_deployed(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="`make package STAGE=dev` first"):
        deploy.deploy("dev", tmp_path, {})


def test_stack_whose_creation_failed_is_a_message_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DeployError, match="delete-stack --stack-name payflow-dev"):
        stack_in("ROLLBACK_COMPLETE", monkeypatch).parameters()


def test_stack_with_only_a_change_set_counts_as_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stack_in("REVIEW_IN_PROGRESS", monkeypatch).parameters() is None
    assert stack_in("UPDATE_ROLLBACK_COMPLETE", monkeypatch).parameters() == {"Stage"}


def test_a_new_stack_needs_an_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / artifact.TEMPLATE).write_text(json.dumps(TEMPLATE))
    monkeypatch.setattr(boto3, "client", lambda _: Cloudformation("REVIEW_IN_PROGRESS"))
    with pytest.raises(DeployError, match="ORIGIN="):
        deploy.deploy("dev", tmp_path, {})


def test_parameter_is_the_chosen_the_current_or_the_default_value() -> None:
    previous = {"Stage", "AllowedOrigin", "Gone"}
    assert parameter_values(TEMPLATE, {"Stage": "dev"}, previous) == [
        {"ParameterKey": "Stage", "ParameterValue": "dev"},
        {"ParameterKey": "AllowedOrigin", "UsePreviousValue": True},
    ]


class Played:
    """Plays CloudFormation for one change of a stack, and keeps the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers
        monkeypatch.setattr(BaseClient, "_make_api_call", lambda _, *call: self._answer(*call))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ca-central-1")

    def _answer(self, operation: str, params: dict[str, Any]) -> Any:
        self.calls.append((operation, params))
        if isinstance(answer := self._answers.get(operation, {}), Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("change_set", "expected"),
    [
        ({"Status": "CREATE_COMPLETE"}, {"Create", "Describe", "Execute"}),
        (
            {"Status": "FAILED", "StatusReason": "The information didn't contain changes."},
            {"Create", "Describe", "Delete"},
        ),
    ],
    ids=["changes", "nothing"],
)
def test_every_call_for_a_change_set_names_its_stack(
    change_set: Any, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM may check a call that has only the change set's ARN on that instead of the stack."""
    stacks = {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}
    played = Played(monkeypatch, DescribeStacks=stacks, DescribeChangeSet=change_set)
    Stack("payflow-dev").change(TemplateBody="{}")
    calls = {
        name.removesuffix("ChangeSet"): params
        for name, params in played.calls
        if name.endswith("ChangeSet")
    }
    assert calls.keys() == expected
    assert {params["StackName"] for params in calls.values()} == {"payflow-dev"}
    (name,) = {params["ChangeSetName"] for params in calls.values()}
    assert name.startswith("payflow-")


def test_failed_creation_says_what_to_do_and_names_what_it_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "Your account must be verified before you can add new CloudFront resources."
    events = [
        {"ResourceStatus": "DELETE_SKIPPED", "LogicalResourceId": "SiteBucket",
         "PhysicalResourceId": "payflow-frontend-dev-sitebucket-1a2b"},
        {"ResourceStatus": "CREATE_FAILED", "LogicalResourceId": "Distribution",
         "ResourceStatusReason": reason},
        {"ResourceStatus": "CREATE_COMPLETE", "LogicalResourceId": "SiteBucket"},
    ]  # fmt: skip
    Played(
        monkeypatch,
        DescribeStacks={"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]},
        DescribeChangeSet={"Status": "CREATE_COMPLETE"},
        DescribeStackEvents={"StackEvents": events},
    )
    monkeypatch.setattr(Stack, "parameters", lambda _: None)
    with pytest.raises(DeployError) as failed:
        Stack("payflow-frontend-dev").change(TemplateBody="{}")
    lines = str(failed.value).splitlines()
    assert lines == [
        "CloudFormation says:",
        f"  Distribution: {reason}",
        "  AWS has not verified this new account for CloudFront yet. Ask for it in a case at AWS "
        "Support (account and billing, no plan needed), then run this again.",
        "  SiteBucket: was kept; delete payflow-frontend-dev-sitebucket-1a2b yourself",
    ]
