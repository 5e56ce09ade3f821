"""Deploying: what is refused with a sentence, and what plain `chalice deploy` is given."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.deploy import artifact, chalice_deploy, deploy, package
from infra.deploy.package import copy_sources
from infra.deploy.stacks import DeployError, Stack, parameter_values

REGION = "ca-central-1"
OUTPUTS = {
    "WebhookQueueUrl": f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-webhooks-dev",
    "PaymentsTableArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/payflow-payments-dev",
    "IdempotencyTableArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/payflow-idempotency-dev",
    "WebhookQueueArn": f"arn:aws:sqs:{REGION}:123456789012:payflow-webhooks-dev",
    "DeliveriesQueueUrl": f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-deliveries-dev",
    "DeliveriesQueueArn": f"arn:aws:sqs:{REGION}:123456789012:payflow-deliveries-dev",
}
NAMES = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": "123456789012",
    "Stage": "dev",
}
UUID = "8b578b29-fc81-47f1-8b65-27f832bf7f61"
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


@pytest.mark.parametrize("running", [(3, 11), (3, 12), (3, 14)])
def test_plain_chalice_is_refused_on_another_python_than_lambdas(running: tuple[int, int]) -> None:
    with pytest.raises(DeployError, match=rf"this is 3\.{running[1]}.*make deploy.*python3\.13"):
        chalice_deploy.check_python(running)


def test_plain_chalice_runs_on_lambdas_python() -> None:
    chalice_deploy.check_python((3, 13))


def test_plain_chalice_is_given_every_value_that_it_cannot_look_up(tmp_path: Path) -> None:
    chalice_deploy.prepare(tmp_path, "dev", "https://dashboard.example", OUTPUTS, NAMES)
    config = json.loads((tmp_path / ".chalice" / "config.json").read_text())
    variables = config["stages"]["dev"]["environment_variables"]
    assert variables["PAYFLOW_ALLOWED_ORIGIN"] == "https://dashboard.example"
    assert variables["PAYFLOW_WEBHOOK_QUEUE_URL"] == OUTPUTS["WebhookQueueUrl"]
    assert variables["PAYFLOW_DELIVERIES_QUEUE_URL"] == OUTPUTS["DeliveriesQueueUrl"]
    for settings in config["lambda_functions"].values():
        policy = (tmp_path / ".chalice" / settings["iam_policy_file"]).read_text()
        assert "${" not in policy
        assert "Fn::" not in policy
        assert OUTPUTS["PaymentsTableArn"] in policy
    assert (tmp_path / "requirements.txt").read_text() == "", "Chalice checks no hashes"
    (binary,) = (tmp_path / "vendor" / "pydantic_core").glob("*.so")
    assert package.elf_machine(binary.read_bytes()) == package.LAMBDA.machine
    assert {path.name for path in tmp_path.iterdir()} == {
        "app.py", "chalicelib", ".chalice", "requirements.txt", "vendor",
    }  # fmt: skip


def test_policy_of_a_missing_resource_is_a_plain_message() -> None:
    with pytest.raises(DeployError, match=r"RefundsTable\.Arn"):
        chalice_deploy.resolved([{"Fn::Sub": "${RefundsTable.Arn}/index/*"}], NAMES)


def test_after_plain_chalice_only_the_failed_messages_of_a_batch_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chalice_deploy, "_PAUSE_SECONDS", 0)
    lambdas = boto3.client("lambda", region_name=REGION)
    queue = OUTPUTS["WebhookQueueArn"]
    source = {"UUID": UUID}
    listed = {"EventSourceMappings": [source]}
    with Stubber(lambdas) as stub:
        stub.add_response("list_event_source_mappings", listed, {"EventSourceArn": queue})
        for state in ("Creating", "Enabled"):
            stub.add_response("get_event_source_mapping", {"State": state}, source)
        stub.add_response(
            "update_event_source_mapping",
            {"State": "Updating"},
            source | {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
        )
        for state in ("Updating", "Enabled"):
            stub.add_response("get_event_source_mapping", {"State": state}, source)
        assert chalice_deploy.switch_on_partial_batches(lambdas, queue) == 1
        stub.assert_no_pending_responses()


def test_event_source_that_stays_unready_is_a_plain_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chalice_deploy, "_TIMEOUT_SECONDS", -1)
    lambdas = boto3.client("lambda", region_name=REGION)
    with Stubber(lambdas) as stub:
        stub.add_response("list_event_source_mappings", {"EventSourceMappings": [{"UUID": UUID}]})
        stub.add_response("get_event_source_mapping", {"State": "Creating"})
        with pytest.raises(DeployError, match=r"still Creating.*Run this again"):
            chalice_deploy.switch_on_partial_batches(lambdas, OUTPUTS["WebhookQueueArn"])


@pytest.mark.parametrize("command", ["deploy", "package"])
def test_bare_chalice_deploy_names_the_command_of_payflow(command: str, tmp_path: Path) -> None:
    copy_sources(tmp_path)
    (tmp_path / "requirements.txt").touch()
    run = [str(Path(sys.executable).with_name("chalice")), command, "--stage", "dev"]
    where = ["made"] if command == "package" else []
    env = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": REGION}
    ended = subprocess.run(
        run + where, cwd=tmp_path, env=env, check=False, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "`make chalice-deploy`" in ended.stdout + ended.stderr
