"""Deploy a stage by plain `chalice deploy`, with the two steps that it needs around it.

    the data stack ──▶ chalice deploy ──▶ partial batches switched on

Guarantee: Chalice starts only when the tables and queues are there, and this ends well only when
Lambda honours the failures that the queues' functions report. (Between the two steps it does not:
what fails then is lost from its queue, and the sweeper makes it good.) What Chalice cannot do
stays out: throttling, API Gateway's own answers as problems, access logs, and the alarms on the
API and the functions. `make deploy` does all of it.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from infra import ROOT
from infra.deploy.package import (
    LAMBDA,
    PYTHON,
    PackageError,
    add_settings,
    check_stage,
    copy_sources,
    vendor,
)
from infra.deploy.stacks import DeployError, Stack, choose_region, parameter_values

_DEPLOYED: Final = Path(".chalice") / "deployed"
"""Where Chalice remembers what it has made."""

_FEEDING: Final = {
    "WebhookQueue": "PAYFLOW_WEBHOOK_QUEUE_URL",
    "DeliveriesQueue": "PAYFLOW_DELIVERIES_QUEUE_URL",
}
"""The queues that feed functions, each with the setting that names it to the app."""

_HOLDING: Final = {
    "PaymentsTable": "PAYFLOW_PAYMENTS_TABLE",
    "IdempotencyTable": "PAYFLOW_IDEMPOTENCY_TABLE",
}
"""The tables, each with the setting that names it to the app."""

_SETTLED: Final = frozenset({"Enabled", "Disabled"})
_PATIENCE_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 1.0


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make chalice-deploy", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--origin", default="", help="the dashboard's, https://…")
    parser.add_argument("--email", default="", help="who hears of alarms")
    asked = parser.parse_args(arguments)
    try:
        choose_region()
        check_python(sys.version_info[:2])
        if not asked.origin:
            raise DeployError("name the dashboard's origin: ORIGIN=https://…")
        deploy(asked.stage, asked.origin, asked.email)
    except (DeployError, PackageError) as error:
        sys.exit(f"Not deployed: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not deployed; AWS says: {error}")


def check_python(running: tuple[int, int]) -> None:
    """Raises DeployError unless Chalice would choose our runtime: it takes the one it runs on."""
    version = ".".join(map(str, running))
    if version != PYTHON:
        raise DeployError(
            f"`chalice deploy` gives Lambda the Python that runs it, and this is {version}. Use "
            f"`make deploy`, or set up with {PYTHON}: make clean, then "
            f"make PYTHON=python{PYTHON} chalice-deploy"
        )


def deploy(stage: str, origin: str, email: str) -> None:
    """The three steps. Raises DeployError, PackageError and what boto3 raises."""
    check_stage(stage)
    outputs = _bring_up_data(stage, email)
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        prepare(project, stage, origin, outputs, _account_names(stage))
        remembered = ROOT / _DEPLOYED
        if remembered.exists():
            shutil.copytree(remembered, project / _DEPLOYED)
        try:
            _run_chalice(project, stage)
        finally:
            # Also when it broke off: Chalice must know what it made, and a queue may feed its
            # function already.
            if (project / _DEPLOYED).exists():
                shutil.copytree(project / _DEPLOYED, remembered, dirs_exist_ok=True)
            lambdas = boto3.client("lambda")
            sources = {
                queue: switch_on_partial_batches(lambdas, outputs[f"{queue}Arn"])
                for queue in _FEEDING
            }
    if unread := [queue for queue, number in sources.items() if number == 0]:
        raise DeployError(f"Chalice made no event source for {', '.join(unread)}")


def prepare(
    project: Path, stage: str, origin: str, outputs: Mapping[str, str], names: Mapping[str, str]
) -> None:
    """A copy of the project with what Chalice has no references for written out."""
    copy_sources(project)
    # Chalice would ask for no hash of what it fetches for Lambda's processor.
    vendor(LAMBDA, project / "vendor")
    (project / "requirements.txt").touch()
    urls = {setting: outputs[f"{queue}Url"] for queue, setting in _FEEDING.items()}
    tables = {
        setting: outputs[f"{table}Arn"].rpartition("/")[2] for table, setting in _HOLDING.items()
    }
    add_settings(project, stage, {"PAYFLOW_ALLOWED_ORIGIN": origin, **urls, **tables})
    arns = {
        f"{name.removesuffix('Arn')}.Arn": value
        for name, value in outputs.items()
        if name.endswith("Arn")
    }
    for policy in (project / ".chalice").glob("policy-*.json"):
        written_out = resolved(json.loads(policy.read_text()), {**names, **arns})
        policy.write_text(json.dumps(written_out))


def resolved(value: Any, names: Mapping[str, str]) -> Any:
    """`value` without CloudFormation's functions. Raises DeployError for an unknown name."""
    try:
        match value:
            case {"Ref": str(name)}:
                return names[name]
            case {"Fn::GetAtt": [str(resource), str(attribute)]}:
                return names[f"{resource}.{attribute}"]
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
    except KeyError as error:
        raise DeployError(f"infra/backend.yaml has no output for {error}") from None
    if isinstance(value, dict):
        return {name: resolved(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [resolved(part, names) for part in value]
    return value


def switch_on_partial_batches(lambdas: Any, queue_arn: str) -> int:
    """Without this Lambda deletes the messages that failed. Returns how many functions the queue
    feeds, all of which now report theirs.
    """
    sources = lambdas.list_event_source_mappings(EventSourceArn=queue_arn)["EventSourceMappings"]
    for source in sources:
        # A mapping that is still being made or changed refuses another change.
        _wait_until_settled(lambdas, source["UUID"])
        lambdas.update_event_source_mapping(
            UUID=source["UUID"], FunctionResponseTypes=["ReportBatchItemFailures"]
        )
        _wait_until_settled(lambdas, source["UUID"])
    return len(sources)


def _wait_until_settled(lambdas: Any, uuid: str) -> None:
    """Raises DeployError after five minutes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (state := lambdas.get_event_source_mapping(UUID=uuid)["State"]) not in _SETTLED:
        if time.monotonic() > deadline:
            raise DeployError(
                f"the queue's event source {uuid} is still {state}, and so partial batches may be "
                "off; run this again"
            )
        time.sleep(_PAUSE_SECONDS)


def _run_chalice(project: Path, stage: str) -> None:
    chalice = [str(Path(sys.executable).with_name("chalice")), "deploy", "--stage", stage]
    if subprocess.run(chalice, cwd=project, check=False).returncode != 0:  # noqa: S603
        raise DeployError("chalice deploy failed; what went wrong stands above")


def _bring_up_data(stage: str, email: str) -> dict[str, str]:
    body = (ROOT / "infra" / "backend.yaml").read_text()
    template = yaml.safe_load(body)
    stack = Stack(f"payflow-backend-{stage}")
    previous = stack.parameters()
    if previous is None:
        previous = stack.take_in(template, stage)
    chosen = {"Stage": stage, **({"AlarmEmail": email} if email else {})}
    values = parameter_values(template, chosen, previous or set())
    stack.change(TemplateBody=body, Parameters=values)
    return stack.outputs()


def _account_names(stage: str) -> dict[str, str]:
    """CloudFormation's own names, and the template's parameter."""
    caller = boto3.client("sts").get_caller_identity()
    return {
        "AWS::Partition": caller["Arn"].split(":")[1],
        "AWS::Region": boto3.Session().region_name,
        "AWS::AccountId": caller["Account"],
        "Stage": stage,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
