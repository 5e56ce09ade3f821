"""`make chalice-deploy`: deploy by plain `chalice deploy`, with the two steps that it needs.

    the data stack ──▶ chalice deploy ──▶ partial batches on

Guarantee: Chalice starts only when the tables and queues exist. This succeeds only when Lambda
honours the failures that the queues' functions report. (Until the last step it does not: a message
that fails then is deleted, and the sweeper enqueues it again.) Chalice cannot deploy throttling,
API Gateway's own answers as problems, access logs, or the alarms on the API and the functions.
`make deploy` deploys all of it.
"""

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

from infra import ROOT, cli
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
"""Where Chalice records what it has deployed."""

_QUEUES: Final = {
    "WebhookQueue": "PAYFLOW_WEBHOOK_QUEUE_URL",
    "DeliveriesQueue": "PAYFLOW_DELIVERIES_QUEUE_URL",
}
"""The queues that feed functions, by logical id, with the settings that name them."""

_TABLES: Final = {
    "PaymentsTable": "PAYFLOW_PAYMENTS_TABLE",
    "IdempotencyTable": "PAYFLOW_IDEMPOTENCY_TABLE",
}
"""The tables, by logical id, with the settings that name them."""

_SETTLED: Final = frozenset({"Enabled", "Disabled"})
_TIMEOUT_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 1.0


def main(arguments: list[str]) -> None:
    parser = cli.parser("chalice-deploy", __doc__)
    parser.add_argument("--origin", default="", help="the dashboard's origin, https://…")
    parser.add_argument("--email", default="", help="the address that gets the alarms")
    asked = parser.parse_args(arguments)
    with cli.exits("Not deployed", DeployError, PackageError):
        choose_region()
        check_python(sys.version_info[:2])
        if not asked.origin:
            raise DeployError("Name the dashboard's origin: ORIGIN=https://…")
        deploy(asked.stage, asked.origin, asked.email)


def check_python(running: tuple[int, int]) -> None:
    """Raise DeployError if this is not Lambda's Python: Chalice deploys the one it runs on."""
    version = ".".join(map(str, running))
    if version != PYTHON:
        raise DeployError(
            f"`chalice deploy` gives Lambda the Python that it runs on, and this is {version}. "
            f"Use `make deploy`. Or run `make clean`, then "
            f"`make PYTHON=python{PYTHON} chalice-deploy`."
        )


def deploy(stage: str, origin: str, email: str) -> None:
    """Do the three steps. Raises DeployError, PackageError or boto3 errors."""
    check_stage(stage)
    outputs = _deploy_data(stage, email)
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary)
        prepare(project, stage, origin, outputs, _account_names(stage))
        remembered = ROOT / _DEPLOYED
        if remembered.exists():
            shutil.copytree(remembered, project / _DEPLOYED)
        try:
            _run_chalice(project, stage)
        finally:
            # Even if it failed: keep Chalice's record, and a queue may already feed its function.
            if (project / _DEPLOYED).exists():
                shutil.copytree(project / _DEPLOYED, remembered, dirs_exist_ok=True)
            lambdas = boto3.client("lambda")
            sources = {
                queue: switch_on_partial_batches(lambdas, outputs[f"{queue}Arn"])
                for queue in _QUEUES
            }
    if unread := [queue for queue, number in sources.items() if number == 0]:
        raise DeployError(f"Chalice created no event source for {', '.join(unread)}.")


def prepare(
    project: Path, stage: str, origin: str, outputs: Mapping[str, str], names: Mapping[str, str]
) -> None:
    """Copy the project into `project`, with references resolved that Chalice cannot express."""
    copy_sources(project)
    # Chalice would download Lambda's wheels without checking hashes.
    vendor(LAMBDA, project / "vendor")
    (project / "requirements.txt").touch()
    urls = {setting: outputs[f"{queue}Url"] for queue, setting in _QUEUES.items()}
    tables = {
        setting: outputs[f"{table}Arn"].rpartition("/")[2] for table, setting in _TABLES.items()
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
    """Return `value` with CloudFormation's functions resolved. Raises DeployError if it cannot."""
    try:
        match value:
            case {"Ref": str(name)}:
                return names[name]
            case {"Fn::GetAtt": [str(resource), str(attribute)]}:
                return names[f"{resource}.{attribute}"]
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
    except KeyError as error:
        raise DeployError(f"infra/backend.yaml has no output for {error}.") from None
    if isinstance(value, dict):
        return {name: resolved(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [resolved(part, names) for part in value]
    return value


def switch_on_partial_batches(lambdas: Any, queue_arn: str) -> int:
    """Have Lambda keep the messages that a function reports as failed.

    Returns how many functions the queue feeds.
    """
    sources = lambdas.list_event_source_mappings(EventSourceArn=queue_arn)["EventSourceMappings"]
    for source in sources:
        # A mapping that is being created or updated rejects updates.
        _wait_until_settled(lambdas, source["UUID"])
        lambdas.update_event_source_mapping(
            UUID=source["UUID"], FunctionResponseTypes=["ReportBatchItemFailures"]
        )
        _wait_until_settled(lambdas, source["UUID"])
    return len(sources)


def _wait_until_settled(lambdas: Any, uuid: str) -> None:
    """Wait up to five minutes. Raises DeployError."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while (state := lambdas.get_event_source_mapping(UUID=uuid)["State"]) not in _SETTLED:
        if time.monotonic() > deadline:
            raise DeployError(
                f"The queue's event source {uuid} is still {state}, so partial batches may be "
                "off. Run this again."
            )
        time.sleep(_PAUSE_SECONDS)


def _run_chalice(project: Path, stage: str) -> None:
    chalice = [str(Path(sys.executable).with_name("chalice")), "deploy", "--stage", stage]
    if subprocess.run(chalice, cwd=project, check=False).returncode != 0:  # noqa: S603
        raise DeployError("`chalice deploy` failed; its output is above.")


def _deploy_data(stage: str, email: str) -> dict[str, str]:
    body = (ROOT / "infra" / "backend.yaml").read_text()
    template = yaml.safe_load(body)
    stack = Stack(f"payflow-backend-{stage}")
    previous = stack.parameters()
    if previous is None:
        previous = stack.import_tables(template, stage)
    chosen = {"Stage": stage, **({"AlarmEmail": email} if email else {})}
    values = parameter_values(template, chosen, previous or set())
    stack.change(TemplateBody=body, Parameters=values)
    return stack.outputs()


def _account_names(stage: str) -> dict[str, str]:
    """Return the values of CloudFormation's pseudo parameters and of `Stage`."""
    caller = boto3.client("sts").get_caller_identity()
    return {
        "AWS::Partition": caller["Arn"].split(":")[1],
        "AWS::Region": boto3.Session().region_name,
        "AWS::AccountId": caller["Account"],
        "Stage": stage,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
