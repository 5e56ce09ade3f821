"""Plain `chalice package` and `chalice deploy`, typed as Chalice's own tutorial has them typed.

No emulator gives a working API for a plain `chalice deploy`, so what it would do is read off the
calls that it makes of a new account, which is played here. Nothing of it ran on AWS.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import package, policies
from tests.engines import ROOT
from tests.infra.test_package import translated

ACCOUNT = "123456789012"
REGION = "ca-central-1"
FUNCTIONS = {
    "payflow-dev": "api_handler",
    "payflow-dev-webhook_processor": "webhook_processor",
    "payflow-dev-delivery_worker": "delivery_worker",
    "payflow-dev-export_worker": "export_worker",
    "payflow-dev-sweeper": "sweeper",
}
QUEUES = {
    f"arn:aws:sqs:{REGION}:{ACCOUNT}:payflow-{kind}-dev"
    for kind in ("webhooks", "deliveries", "exports")
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, without the packages that Chalice would download."""
    folder = tmp_path_factory.mktemp("project")
    package.copy_sources(folder)
    (folder / "requirements.txt").touch()
    return folder


def chalice(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": REGION}
    command = [str(Path(sys.executable).with_name("chalice")), *words]
    return subprocess.run(
        command, cwd=project, env=env, check=False, capture_output=True, text=True, timeout=60
    )


COMMANDS = [["package", "out"], ["deploy"], ["local", "--no-autoreload"], ["local"]]
each_command = pytest.mark.parametrize("words", COMMANDS, ids=" ".join)


def sentence(project: Path, stage: str, words: list[str]) -> str:
    """Run a command of Chalice that is refused; return the one line that it prints."""
    ended = chalice(project, words[0], "--stage", stage, *words[1:])
    (line,) = (ended.stdout + ended.stderr).splitlines()
    # Chalice's reloader ends with 0 whatever its worker ended with.
    assert words == ["local"] or ended.returncode == 1
    return line


@each_command
def test_stage_without_an_origin_ends_with_one_sentence(words: list[str], project: Path) -> None:
    assert sentence(project, "prod", words).startswith("PAYFLOW_ALLOWED_ORIGIN is not set. In the")


@each_command
def test_stage_without_settings_ends_with_one_sentence(words: list[str], project: Path) -> None:
    assert sentence(project, "qa", words).startswith("PAYFLOW_STAGE is not set. In the stage's")


@each_command
def test_local_stage_before_make_run_ends_with_one_sentence(
    words: list[str], project: Path
) -> None:
    assert sentence(project, "local", words).startswith("There is no .payflow/aws.config. Run")


def test_missing_boto3_ends_with_one_sentence(project: Path) -> None:
    """requirements.txt, which a user of Chalice installs, leaves boto3 to Lambda's runtime."""
    hidden = "import sys; sys.modules['boto3'] = None; import app"
    env = {"PATH": os.environ["PATH"], "AWS_CHALICE_CLI_MODE": "true"}
    ended = subprocess.run(
        [sys.executable, "-c", hidden],
        cwd=project,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "There is no boto3. Run `pip install -r requirements-run.txt`.\n"


def test_missing_setting_is_an_ordinary_exception_in_lambda(project: Path) -> None:
    caught = (
        "try:\n    import app\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", caught],
        cwd=project, env={"PATH": os.environ["PATH"]}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stdout.startswith("SettingError PAYFLOW_STAGE is not set."), ended.stderr


@pytest.fixture(scope="module")
def template(project: Path) -> Any:
    ended = chalice(project, "package", "--stage", "dev", "out")
    assert ended.returncode == 0, ended.stderr
    return json.loads((project / "out" / "sam.json").read_text())


def test_packaged_template_passes_the_sam_translator(template: Any) -> None:
    kinds = {one["Type"] for one in translated(template)["Resources"].values()}
    assert {"AWS::Lambda::Function", "AWS::ApiGateway::RestApi", "AWS::IAM::Role"} <= kinds


def test_packaged_template_passes_cfn_lint(template: Any, project: Path) -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    ended = subprocess.run(
        [lint, project / "out" / "sam.json"], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_packaged_functions_do_not_trust_that_their_failures_are_kept(template: Any) -> None:
    """A mapping has `FunctionResponseTypes` exactly if its function is told so."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = json.dumps(resource["Properties"])
            assert "ReportBatchItemFailures" not in properties
            assert "PAYFLOW_PARTIAL_BATCHES" not in properties


@pytest.fixture(scope="module")
def account(project: Path) -> Any:
    """The calls of `chalice deploy --stage dev`, by operation."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.infra.new_account", "dev"]
    ended = subprocess.run(
        command, cwd=project, env=env, check=False, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_deploy_gives_each_role_the_policy_file_of_its_stage(account: Any) -> None:
    given = {one["RoleName"]: json.loads(one["PolicyDocument"]) for one in account["PutRolePolicy"]}
    assert given == {
        f"payflow-dev-{function}": json.loads(policies.written_out(function, "dev"))
        for function in FUNCTIONS.values()
    }


def test_deploy_creates_every_function_for_arm_with_the_settings_of_its_stage(account: Any) -> None:
    assert {one["FunctionName"] for one in account["CreateFunction"]} == FUNCTIONS.keys()
    for one in account["CreateFunction"]:
        assert one["Architectures"] == ["arm64"]
        assert one["Environment"]["Variables"] == {
            "PAYFLOW_STAGE": "dev",
            "PAYFLOW_ALLOWED_ORIGIN": "http://localhost:5173",
            "PAYFLOW_SIMULATION": "allowed",
        }


def test_deploy_feeds_the_workers_from_the_queues_of_infra_backend_yaml(account: Any) -> None:
    sources = {one["EventSourceArn"]: one for one in account["CreateEventSourceMapping"]}
    assert sources.keys() == QUEUES
    for queue, one in sources.items():
        assert one["BatchSize"] == (1 if "exports" in queue else 10)
        assert "FunctionResponseTypes" not in one, "the functions must not be told that it is there"


def test_deploy_imports_an_api_that_answers_the_local_dashboard(account: Any) -> None:
    (imported,) = account["ImportRestApi"]
    document = imported["body"]
    assert document.count("'http://localhost:5173'") > 10
    (deployment,) = account["CreateDeployment"]
    assert deployment["stageName"] == "api"


def test_deploy_asks_for_nothing_that_only_make_deploy_sets(account: Any) -> None:
    """What the page on deploying says that plain Chalice lacks."""
    assert not {"PutGatewayResponse", "PutMetricAlarm", "CreateLogGroup"} & account.keys()
    patched = json.dumps(account.get("UpdateStage", []))
    assert "throttling" not in patched
    assert "accessLog" not in patched
