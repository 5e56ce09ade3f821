"""The commands refuse a value that has not its form, before they do anything with it."""

import importlib
from typing import Any

import pytest
from botocore.client import BaseClient

from infra import cli

SUFFIXES = ["; `touch $(x)` ' \" |", "$x", "\n"]
A_DEPLOY = ["--role=arn:aws:iam::123456789012:role/payflow", "--bucket=packages", "dev"]
VALID = {
    "infra.deploy.package": ["dev"],
    "infra.deploy.deploy": ["--origin=https://pay.example.com", "--email=a@b.example", *A_DEPLOY],
    "infra.deploy.publish": ["folder", "--bucket=site", "--distribution=E123"],
    "infra.deploy.smoke": ["api", "--api=https://api.example/api", "--site=https://pay.example"],
    "infra.deploy.bootstrap": [
        "--subject=repo:acme/payflow:ref:refs/heads/main",
        "--repository-id=67890",
        "--email=oncall@example.com",
        "--domain=pay.example.com",
        "--certificate=arn:aws:acm:us-east-1:123456789012:certificate/1-2",
        "--api-domain=api.example.com",
        "--api-certificate=arn:aws:acm:ca-central-1:123456789012:certificate/1-2",
        "--flood-limit=3000",
        "dev",
    ],
    "infra.ops.key": ["dev"],
    "infra.ops.requeue": ["dev", "5d"],
    "infra.ops.redrive": ["--queue=webhooks", "--most=5", "dev"],
    "infra.ops.move_secrets": ["dev"],
    "infra.ops.restore": ["dev", "2026-11-25T12:00:00Z"],
    "infra.ops.switch": ["dev", "first"],
}
PLACES = [
    (command, place)
    for command, arguments in VALID.items()
    for place in range(len(arguments))
    if (command, place) != ("infra.deploy.publish", 0)  # a folder
]


class Reached(Exception):
    """The arguments were accepted."""


def stops(*_: Any) -> None:
    raise Reached


@pytest.fixture
def asked_of_aws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def ask(_: BaseClient, operation: str, __: Any) -> None:
        asked.append(operation)

    monkeypatch.setattr(BaseClient, "_make_api_call", ask)
    return asked


@pytest.mark.parametrize("command", VALID)
def test_valid_arguments_and_no_options_reach_the_command(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends later, and not as a wrong use of the command: argparse exits with 2."""
    monkeypatch.setattr(cli, "exits", stops)
    module = importlib.import_module(command)
    required = {"infra.deploy.publish", "infra.deploy.smoke"}
    few = [one for one in VALID[command] if not one.startswith("--") or command in required]
    for arguments in (VALID[command], few):
        with pytest.raises(Reached):
            module.main(arguments)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("command", "place"), PLACES)
def test_argument_that_carries_more_is_refused(
    command: str, place: int, suffix: str, asked_of_aws: list[str]
) -> None:
    arguments = [*VALID[command]]
    arguments[place] += suffix
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main(arguments)
    assert ended.value.code not in {0, None}
    assert asked_of_aws == []
