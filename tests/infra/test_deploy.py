"""Deploying: what is refused with a sentence, and which values parameters get."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

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
