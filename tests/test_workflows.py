"""What the workflows promise to who reads them as an attacker; zizmor looks besides."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.deploy import artifact
from infra.deploy.bootstrap import next_steps
from tests.engines import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, Any] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = [(name, job) for name, one in WORKFLOWS.items() for job in one["jobs"]]
DEPLOYS = [("release", "deploy-backend"), ("release", "deploy-frontend")]
PINNED = {
    "actions/attest": "1e69f48acb82d1966a394da916b4c1698aa569d6",
    "actions/checkout": "3d3c42e5aac5ba805825da76410c181273ba90b1",
    "actions/download-artifact": "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
    "actions/setup-node": "820762786026740c76f36085b0efc47a31fe5020",
    "actions/setup-python": "5fda3b95a4ea91299a34e894583c3862153e4b97",
    "actions/upload-artifact": "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    "aws-actions/configure-aws-credentials": "e6de054238d6b7531b4efff3b6587d9aade6a06c",
}


def job_of(where: tuple[str, str]) -> Any:
    workflow, job = where
    return WORKFLOWS[workflow]["jobs"][job]


def steps(job: Any) -> list[Any]:
    """None of a job that calls another workflow."""
    found: list[Any] = job.get("steps", [])
    return found


def triggers(workflow: str) -> Any:
    return WORKFLOWS[workflow][True]  # `on`, to YAML 1.1


def test_main_is_deployed_when_it_is_pushed_and_at_no_other_time() -> None:
    assert triggers("release") == {"push": {"branches": ["main"]}}
    assert triggers("checks") == {"pull_request": None, "workflow_call": None}


def test_no_workflow_runs_foreign_code_with_our_rights() -> None:
    # Each of these runs for a stranger's event, in the name of the main branch.
    dangerous = {"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion"}
    for name in WORKFLOWS:
        assert dangerous.isdisjoint(triggers(name))


@pytest.mark.parametrize("where", JOBS)
def test_job_may_only_read_and_only_deploys_get_a_token_for_aws(
    where: tuple[str, str],
) -> None:
    token = {"id-token": "write"} if where in DEPLOYS else {}
    if where == DEPLOYS[0]:
        token |= {"attestations": "write"}
    assert job_of(where)["permissions"] == {"contents": "read"} | token
    assert WORKFLOWS[where[0]]["permissions"] == {}


def test_audit_runs_weekly_in_a_job_that_may_only_read() -> None:
    asked = triggers("audit")
    assert asked.keys() == {"schedule", "workflow_dispatch"}
    assert [run["cron"].split()[2:] for run in asked["schedule"]] == [["*", "*", "1"]]
    (job,) = WORKFLOWS["audit"]["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make audit"]


@pytest.mark.parametrize("where", DEPLOYS)
def test_a_deploy_has_the_branch_as_its_subject_and_credentials_for_an_hour(
    where: tuple[str, str],
) -> None:
    job = job_of(where)
    assert "environment" not in job
    (assumes,) = [step["with"] for step in job["steps"] if "configure-aws" in step.get("uses", "")]
    assert assumes["role-duration-seconds"] == 3600
    assert assumes.keys() == {"role-to-assume", "role-duration-seconds", "aws-region"}


@pytest.mark.parametrize("where", DEPLOYS)
def test_only_our_scripts_and_hashed_packages_run_with_credentials(
    where: tuple[str, str],
) -> None:
    for step in job_of(where)["steps"]:
        if "run" in step:
            assert re.match(
                r"python -m infra\.deploy\.(deploy|publish|smoke|head|sbom)\b"
                r"|pip install --only-binary=:all: --require-hashes "
                r"-r infra/requirements-deploy\.txt$",
                step["run"],
            ), step
    lines = (ROOT / "infra" / "requirements-deploy.txt").read_text()
    assert lines.count("==") == lines.count("--hash=sha256:") > 0


def test_package_is_built_with_what_packaging_needs_and_nothing_else() -> None:
    build = job_of(("release", "build-backend"))
    assert [step["run"] for step in build["steps"] if "run" in step] == [
        "pip install --only-binary=:all: --require-hashes -r infra/requirements-package.lock",
        'python -m infra.deploy.package -- "$STAGE"',
    ]


@pytest.mark.parametrize("where", DEPLOYS)
def test_a_run_that_is_repeated_later_gets_no_credentials(where: tuple[str, str]) -> None:
    names = [step.get("run") or step["uses"].partition("@")[0] for step in steps(job_of(where))]
    checks = names.index("python -m infra.deploy.head")
    assert names[checks + 1] == "aws-actions/configure-aws-credentials"


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_reach_a_shell_of_make_with_no_value_of_the_repository(workflow: str) -> None:
    for job in WORKFLOWS[workflow]["jobs"].values():
        for step in steps(job):
            if "make" in step.get("run", "").split():
                assert "vars." not in str(step.get("env"))


def test_deploy_attests_the_package_that_it_ships_and_what_is_in_it() -> None:
    attests = [
        step["with"]
        for step in job_of(DEPLOYS[0])["steps"]
        if step.get("uses", "").startswith("actions/attest@")
    ]
    provenance, materials = attests
    folder = "dist/${{ vars.PAYFLOW_STAGE }}"
    assert provenance == {"subject-path": f"{folder}/*"}
    assert materials == {
        "subject-path": f"{folder}/{artifact.ZIP}",
        "sbom-path": f"{folder}/sbom.json",
    }


@pytest.mark.parametrize("what", ["backend", "frontend"])
def test_deploy_ships_the_artifact_of_the_build_job(what: str) -> None:
    # Any job of a run can replace an artifact under its name; the checks run others' code.
    build, deploy = job_of(("release", f"build-{what}")), job_of(("release", f"deploy-{what}"))
    (uploads,) = [step for step in build["steps"] if "upload-artifact" in step.get("uses", "")]
    (downloads,) = [step for step in deploy["steps"] if "download-artifact" in step.get("uses", "")]
    assert build["outputs"] == {"artifact": f"${{{{ steps.{uploads['id']}.outputs.artifact-id }}}}"}
    assert f"build-{what}" in deploy["needs"]
    assert downloads["with"].keys() == {"artifact-ids", "path"}
    wanted = f"${{{{ needs.build-{what}.outputs.artifact }}}}"
    assert downloads["with"]["artifact-ids"] == wanted


def test_deploy_calls_the_checks_of_a_pull_request() -> None:
    checks = job_of(("release", "checks"))
    assert checks == {
        "permissions": {"contents": "read"},
        "uses": "$/.github/workflows/checks.yml",
    }


def test_checks_run_what_ci_runs_under_names_of_their_own() -> None:
    checks = job_of(("checks", "checks"))
    assert [step["run"] for step in checks["steps"] if "run" in step] == ["make $TARGETS"]
    rows = checks["strategy"]["matrix"]["include"]
    assert len({row["name"] for row in rows}) == len(rows)
    words = [word for row in rows for word in row["targets"].split()]
    commands = (ROOT / ".ci" / "run").read_text()
    made = re.findall(r"^make (.*)$", commands, re.MULTILINE)
    assert sorted(words) == sorted(word for command in made for word in command.split())
    assert {"check", "coverage", "e2e"} <= set(words)


def test_hashed_packages_of_the_deploy_are_compatible(tmp_path: Path) -> None:
    # Otherwise an update of one of them would be found out on main, by the deploy.
    setups = [step for step in job_of(DEPLOYS[0])["steps"] if "setup-python" in str(step)]
    assert [step["with"]["python-version"] for step in setups] == ["3.13"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
    command += ["--only-binary=:all:", "--python-version", "3.13", "--dest", str(tmp_path)]
    command += ["--platform", "manylinux2014_x86_64", "--implementation", "cp"]
    command += ["--requirement", str(ROOT / "infra" / "requirements-deploy.txt")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("where", DEPLOYS)
def test_deploy_runs_after_the_checks_and_before_the_smoke_test(
    where: tuple[str, str],
) -> None:
    def all_before(job: str) -> set[str]:
        needs = WORKFLOWS["release"]["jobs"][job].get("needs", [])
        return {*needs, *(other for one in needs for other in all_before(one))}

    assert "checks" in all_before(where[1])
    assert "infra.deploy.smoke" in job_of(where)["steps"][-1]["run"]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_runs_of_a_workflow_do_not_interfere(workflow: str) -> None:
    concurrency = WORKFLOWS[workflow]["concurrency"]
    # A deploy that has begun is never broken off.
    assert concurrency["cancel-in-progress"] == (workflow == "checks")


@pytest.mark.parametrize("where", JOBS)
def test_an_action_is_one_commit_and_leaves_no_credentials(where: tuple[str, str]) -> None:
    for step in steps(job_of(where)):
        if "uses" in step:
            action, _, commit = step["uses"].partition("@")
            assert commit == PINNED[action]
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_workflows_name_no_secret_and_paste_no_value_into_scripts(file: Path) -> None:
    assert "secrets." not in file.read_text()
    for job in WORKFLOWS[file.stem]["jobs"].values():
        for step in steps(job):
            assert "${{" not in step.get("run", "")


def test_bootstrap_prints_every_variable_that_workflows_read() -> None:
    outputs = dict.fromkeys(
        [
            "BackendDeployRole", "CloudFormationRole", "DistributionId", "FrontendDeployRole",
            "PackagesBucket", "SiteBucket", "SiteOrigin",
        ],
        "value",
    )  # fmt: skip
    told = re.findall(r"gh variable set (\w+)", next_steps("dev", outputs, "https://api.example"))
    read = re.findall(r"vars\.(\w+)", json.dumps(WORKFLOWS))
    assert set(read) == {*told, "PAYFLOW_ATTEST"}, "which only some repositories need"
