"""What `make package` writes: the zip that Lambda gets, and what the template says for an
emulator to ignore."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser import parser
from samtranslator.translator.translator import Translator

from chalicelib.api.routing import EXPOSED_HEADERS
from chalicelib.config import from_environment
from chalicelib.errors import PayFlowError
from chalicelib.exports.worker import RUN
from chalicelib.webhooks.http_client import DEADLINE_SECONDS
from infra.deploy import artifact, deploy, package, policies, sbom
from infra.deploy import contents as zipped
from infra.deploy.contents import LAMBDA, PackageError
from infra.deploy.stacks import table_names
from infra.ops.switch import Named, detached
from tests.conftest import SETTINGS, payflow
from tests.engines import IS_THOROUGH, ROOT
from tests.frozen import facts
from tests.infra.test_frontend_stack import NOT_USED
from tests.infra.test_frontend_stack import STACK as FRONTEND
from tests.policies import rights_of

FUNCTIONS = {
    "APIHandler": ("ApiHandlerRole", "api_handler"),
    "WebhookProcessor": ("WebhookProcessorRole", "webhook_processor"),
    "DeliveryWorker": ("DeliveryWorkerRole", "delivery_worker"),
    "ExportWorker": ("ExportWorkerRole", "export_worker"),
    "Sweeper": ("SweeperRole", "sweeper"),
}
FED = {
    "WebhookProcessor": "WebhookQueue",
    "DeliveryWorker": "DeliveriesQueue",
    "ExportWorker": "ExportsQueue",
}
"""The functions that queues feed."""

ORIGIN = {"Fn::Sub": "'${AllowedOrigin}'"}
STAGES = ["dev", "prod"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {stage: tmp_path_factory.mktemp(stage) for stage in STAGES}
    for stage, folder in made.items():
        package.build(stage, folder)
    return made


@pytest.fixture(scope="session")
def contents(folders: dict[str, Path]) -> dict[str, bytes]:
    with zipfile.ZipFile(folders["dev"] / artifact.ZIP) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read(folder: Path) -> Any:
    return json.loads((folder / artifact.TEMPLATE).read_text())


@pytest.fixture(params=STAGES)
def template(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Any:
    """Of each stage in turn."""
    return read(folders[request.param])


@pytest.fixture
def api(template: Any) -> Any:
    return template["Resources"]["RestAPI"]["Properties"]


def translated(template: Any) -> Any:
    """As CloudFormation's SAM transform makes it; raises what it finds wrong."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"  # as after the upload
    session = boto3.Session(region_name="ca-central-1")
    translator = Translator({}, parser.Parser(), boto_session=session)
    return translator.translate(template, {"AllowedOrigin": "https://dashboard.example"})


# The zip


def test_two_builds_are_the_same_bytes(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYFLOW_ALLOWED_ORIGIN", "https://another.example")
    monkeypatch.setenv("AWS_PROFILE", "a-developers-own")
    umask = os.umask(0o077)
    try:
        package.build("dev", tmp_path)
    finally:
        os.umask(umask)
    for name in (artifact.ZIP, artifact.TEMPLATE):
        assert (tmp_path / name).read_bytes() == (folders["dev"] / name).read_bytes(), name


def test_every_stage_runs_the_same_zip(folders: dict[str, Path]) -> None:
    assert len({(folder / artifact.ZIP).read_bytes() for folder in folders.values()}) == 1


def test_cloudformation_and_the_deploy_may_use_every_transform_of_the_template(
    template: Any,
) -> None:
    """With a service role, CloudFormation expands a macro with that role's rights."""
    transforms = template["Transform"]
    for transform in [transforms] if isinstance(transforms, str) else transforms:
        service, _, name = transform.partition("::")
        assert service == "AWS"
        arn = f"arn:aws:cloudformation:ca-central-1:aws:transform/{name}"
        for role in ("CloudFormationRole", "BackendDeployRole"):
            rights = rights_of(FRONTEND.resource(role))
            assert rights.allow("cloudformation:CreateChangeSet", arn), role


def test_no_resource_needs_an_action_that_cloudformations_role_is_spared(template: Any) -> None:
    for resource in translated(template)["Resources"].values():
        spared = NOT_USED.get(resource["Type"], {})
        assert spared.keys().isdisjoint(resource.get("Properties", {})), resource


def test_zip_has_our_sources_unchanged(contents: dict[str, bytes]) -> None:
    ours = {name for name in contents if re.fullmatch(r"app\.py|chalicelib/.*\.py", name)}
    assert ours == {
        "app.py",
        *(str(path) for path in Path("chalicelib").rglob("*.py")),
    }
    for name in ours:
        assert contents[name] == (ROOT / name).read_bytes()


def test_zip_has_the_pinned_packages_but_no_tests_and_no_boto3(
    contents: dict[str, bytes],
) -> None:
    distributions = {name.split("-")[0] for name in contents if ".dist-info/METADATA" in name}
    shipped = zipped.pins(zipped.SHIPPED.read_text()).keys()
    assert {name.replace("_", "-") for name in distributions} == shipped
    folders = {part for name in contents for part in name.split("/")[:-1]}
    assert {"pydantic", "pydantic_core", "simplejson"} <= folders
    assert folders.isdisjoint({"boto3", "botocore", "pip", "setuptools", "tests"})
    assert {name for name in contents if re.match(r"chalice/\w+\.", name)} == zipped.CHALICES_OWN


def test_the_zip_has_5_mib_at_most(folders: dict[str, Path]) -> None:
    for stage, folder in folders.items():
        assert (folder / artifact.ZIP).stat().st_size <= 5 * 1024 * 1024, stage


def test_every_binary_in_the_zip_is_for_arm_and_python_3_13(contents: dict[str, bytes]) -> None:
    binaries = {name: content for name, content in contents.items() if ".so" in name}
    assert any("pydantic_core" in name for name in binaries)
    for name, content in binaries.items():
        assert zipped.elf_machine(content) == 183, name
        assert "cpython-313-aarch64" in name


def test_missing_wheel_fails_the_package(tmp_path: Path) -> None:
    target = zipped.Target("3.99", LAMBDA.platform, LAMBDA.machine)
    with pytest.raises(PackageError, match=r"A wheel is missing for Python 3\.99"):
        package.build("dev", tmp_path / "made", target)
    assert not (tmp_path / "made").exists()


def test_wheel_with_another_hash_fails_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", zipped.SHIPPED.read_text())
    monkeypatch.setattr(zipped, "SHIPPED", tmp_path / "requirements.lock")
    zipped.SHIPPED.write_text(spoilt)
    with pytest.raises(PackageError, match=r"(?s)its hash is not in .*DO NOT MATCH THE HASHES"):
        package.build("dev", tmp_path / "made", LAMBDA)


def test_unpinned_dependency_fails_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipped, "SHIPPED", tmp_path / "requirements.lock")
    zipped.SHIPPED.write_text((ROOT / "requirements.lock").read_text() + "# read anew\n")
    monkeypatch.setattr(zipped, "pins", lambda _: {"pydantic": "2", "simplejson": "3"})
    with pytest.raises(PackageError, match=r"does not pin .*annotated-types.*pydantic-core"):
        package.build("dev", tmp_path, LAMBDA)


X86 = b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little")


def test_files_for_another_processor_fail_the_package() -> None:
    for binary in (X86, b"no ELF at all"):
        files = {"app.py": b"", "pydantic_core/_core.so": binary}
        with pytest.raises(PackageError, match="built for another processor"):
            zipped.check_files(files, files, LAMBDA)


@pytest.fixture
def built(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the package, to tamper with."""
    shutil.copytree(folders["dev"], tmp_path / "dev")
    return tmp_path / "dev"


class Unchanged:
    """A stack that is there, and may not be changed."""

    def __init__(self, _: str) -> None:
        pass

    def parameters(self) -> set[str]:
        return {"AllowedOrigin", "ApiGatewayLogsRole"}


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "Stack", Unchanged)
    monkeypatch.setattr(deploy, "_upload", None)


def tampered(archive: Path, changed: dict[str, bytes | None]) -> None:
    """Write the zip again, with other files in it; one that is None is left out."""
    with zipfile.ZipFile(archive) as opened:
        files: dict[str, bytes | None] = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in (files | changed).items():
            if content is not None:
                opened.writestr(name, content)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"app.py": b"import os"}, "not those of this checkout.*: app.py"),
        ({"chalicelib/errors.py": b""}, "not those of this checkout.*: chalicelib/errors.py"),
        ({"chalice/app.py": b""}, "not those of this checkout.*: chalice/app.py"),
        ({"pydantic/main.py": b""}, "not those of this checkout.*: pydantic/main.py"),
        ({"certifi/cacert.pem": b""}, "not those of this checkout.*: certifi/cacert.pem"),
        ({"chalicelib/errors.pyc": b""}, "unexpected files: chalicelib/errors.pyc"),
        ({"chalicelib/__pycache__/errors.cpython-312.pyc": b""}, "unexpected files: .*[.]pyc"),
        ({"chalicelib/__pycache__/other.cpython-313.pyc": b""}, "unexpected files: .*[.]pyc"),
        ({"sitecustomize.py": b""}, "unexpected files: sitecustomize.py"),
        ({"app.py": None}, "lacks files: app.py"),
    ],
)
def test_package_that_was_tampered_with_is_not_deployed(
    built: Path, changed: dict[str, bytes | None], words: str, unchanged: None
) -> None:
    tampered(built / artifact.ZIP, changed)
    with pytest.raises(PackageError, match=words):
        deploy.deploy("dev", built, {"AllowedOrigin": "https://pay.example.com"})


def test_bytecode_that_someone_else_made_is_made_again(built: Path) -> None:
    archive = built / artifact.ZIP
    before = archive.read_bytes()
    tampered(archive, {"chalicelib/__pycache__/errors.cpython-313.pyc": b"another's"})
    artifact.seal(archive, LAMBDA)
    assert archive.read_bytes() == before


def test_bill_of_materials_lists_what_the_zip_has(folders: dict[str, Path]) -> None:
    archive = folders["dev"] / artifact.ZIP
    made = sbom.bill(archive)
    assert made["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": sha256(archive.read_bytes()).hexdigest()}
    ]
    with zipfile.ZipFile(archive) as opened:
        found = [re.match(r"([^/]+)-([^/-]+)[.]dist-info/", name) for name in opened.namelist()]
    shipped = {(one[1].replace("_", "-").lower(), one[2]) for one in found if one}
    listed = {(one["name"], one["version"]) for one in made["components"]}
    assert listed == shipped | {("chalice", "1.34.0")}
    assert {one["purl"] for one in made["components"]} == {
        f"pkg:pypi/{name}@{version}" for name, version in listed
    }


def test_zip_that_names_a_file_twice_is_not_deployed(built: Path, unchanged: None) -> None:
    with zipfile.ZipFile(built / artifact.ZIP, "a") as opened, pytest.warns(match="Duplicate"):
        opened.writestr("app.py", (ROOT / "app.py").read_bytes())
    with pytest.raises(PackageError, match="names a file twice"):
        deploy.deploy("dev", built, {"AllowedOrigin": "https://pay.example.com"})


@pytest.mark.parametrize("stage", ["local", "elsewhere", ""])
def test_only_a_stage_that_is_deployed_has_a_package(stage: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="there is dev, prod"):
        package.build(stage, tmp_path)


def test_overlay_of_an_unknown_resource_fails_the_package() -> None:
    template: Any = {"Resources": {"APIHandlerr": {"Properties": {}}}}
    with pytest.raises(PackageError, match="APIHandlerr"):
        package._finished(template, "dev", LAMBDA)


# The template


def test_cfn_lint_finds_nothing(folders: dict[str, Path]) -> None:
    files = [str(folder / artifact.TEMPLATE) for folder in folders.values()]
    files.append(str(ROOT / "infra" / "backend.yaml"))
    if not IS_THOROUGH:  # each takes seconds, and the stages differ little
        del files[1:]
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "ca-central-1", "--"]
    ended = subprocess.run([*command, *files], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_template_updates_the_stack_of_every_release(template: Any) -> None:
    for release in facts.releases("stacks"):
        frozen = facts.read(release, "stacks")["package"]
        assert not list(facts.missing(frozen, facts.stack(template))), release


def test_template_refers_to_tables_by_name_during_a_switch(
    template: Any,
) -> None:
    names = table_names(template, "dev", "20261125T120000Z-")
    tables = {
        logical_id: Named(name, f"arn:aws:dynamodb:ca-central-1:123456789012:table/{name}")
        for logical_id, name in names.items()
    }
    meanwhile = detached(template, tables)
    resources = json.dumps(translated(meanwhile)["Resources"])
    for logical_id, table in tables.items():
        assert f'"{logical_id}"' not in resources
        assert f"${{{logical_id}" not in resources
        assert resources.count(table.arn) >= 1


def test_sam_translator_accepts_the_template_and_makes_one_stage(template: Any) -> None:
    resources = translated(template)["Resources"]
    kinds = [resource["Type"] for resource in resources.values()]
    assert kinds.count("AWS::ApiGateway::Stage") == 1
    assert kinds.count("AWS::Lambda::Function") == 5
    assert kinds.count("AWS::Lambda::EventSourceMapping") == 3
    (stage,) = (r for r in resources.values() if r["Type"] == "AWS::ApiGateway::Stage")
    assert stage["Properties"]["StageName"] == "api"
    assert stage["Properties"]["MethodSettings"][0]["ThrottlingRateLimit"] == 100
    # It cannot log before the account's role is there.
    assert "ApiGatewayAccount" in json.dumps(stage["Properties"]["Variables"])


def test_each_deploy_creates_a_new_deployment_of_the_api(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments = []
    for seconds in (1, 2):
        monkeypatch.setattr("samtranslator.model.apigateway.time.time", lambda: seconds)  # noqa: B023
        resources = translated(read(folders["dev"]))["Resources"]
        deployments += [
            logical_id
            for logical_id, resource in resources.items()
            if resource["Type"] == "AWS::ApiGateway::Deployment"
        ]
    assert len(set(deployments)) == 2


@pytest.mark.parametrize("what", ["simulate_return", "simulate_refund_return"])
def test_returns_are_simulated_only_where_that_is_allowed(
    folders: dict[str, Path], what: str
) -> None:
    acted = f"/v1/payments/{{payment_id}}/{what}"
    for stage, is_there in [("dev", True), ("prod", False)]:
        api = read(folders[stage])["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
        assert (acted in api["paths"]) is is_there


@pytest.mark.parametrize("stage", STAGES)
def test_a_package_is_for_its_own_stage_only(stage: str, folders: dict[str, Path]) -> None:
    template = read(folders[stage])
    parameter = template["Parameters"]["Stage"]
    assert (parameter["Default"], parameter["AllowedValues"]) == (stage, [stage])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_runs_python_3_13_on_arm_and_is_traced(template: Any, function: str) -> None:
    properties = template["Resources"][function]["Properties"]
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert properties["Tracing"] == "Active"
    assert properties["CodeUri"] == "./deployment.zip"


def test_api_takes_tls_1_2_or_better(template: Any) -> None:
    properties = translated(template)["Resources"]["RestAPI"]["Properties"]
    assert properties["SecurityPolicy"] == "TLS_1_2"
    domain = FRONTEND.resource("ApiDomain")
    assert domain["SecurityPolicy"] == "TLS_1_2"


def test_address_at_execute_api_is_there_unless_it_is_disabled(template: Any) -> None:
    disabled = {"Fn::If": ["DisablesExecuteApiEndpoint", True, False]}
    made = translated(template)
    document = made["Resources"]["RestAPI"]["Properties"]["Body"]
    endpoint = document["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint["disableExecuteApiEndpoint"] == disabled
    assert made["Parameters"]["ExecuteApiEndpoint"]["Default"] == "enabled"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_its_own_policy(template: Any, function: str) -> None:
    resources = template["Resources"]
    role, policy = FUNCTIONS[function]
    assert resources[function]["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    (attached,) = resources[role]["Properties"]["Policies"]
    assert attached["PolicyDocument"] == policies.source(policy)
    assert "ManagedPolicyArns" not in resources[role]["Properties"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_gets_stage_tables_queues_and_origin(template: Any, function: str) -> None:
    variables = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    assert variables["PAYFLOW_STAGE"] == {"Ref": "Stage"}
    assert variables["PAYFLOW_PAYMENTS_TABLE"] == {"Ref": "PaymentsTable"}
    assert variables["PAYFLOW_IDEMPOTENCY_TABLE"] == {"Ref": "IdempotencyTable"}
    assert variables["PAYFLOW_WEBHOOK_QUEUE_URL"] == {"Ref": "WebhookQueue"}
    assert variables["PAYFLOW_DELIVERIES_QUEUE_URL"] == {"Ref": "DeliveriesQueue"}
    assert variables["PAYFLOW_EXPORTS_QUEUE_URL"] == {"Ref": "ExportsQueue"}
    assert variables["PAYFLOW_EXPORTS_BUCKET"] == {"Ref": "ExportsBucket"}
    assert variables["PAYFLOW_ALLOWED_ORIGIN"] == {"Ref": "AllowedOrigin"}
    assert "PAYFLOW_AUTH" not in variables  # unset: required
    assert "PAYFLOW_WEBHOOKS_PRIVATE" not in variables  # unset: refused


def test_simulation_is_allowed_in_dev_and_not_in_prod(folders: dict[str, Path]) -> None:
    for stage, allowed in (("dev", True), ("prod", False)):
        for function in FUNCTIONS:
            properties = read(folders[stage])["Resources"][function]["Properties"]
            said = properties["Environment"]["Variables"]["PAYFLOW_SIMULATION"]
            assert (said == "allowed") is allowed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_logs_to_a_group_with_retention(template: Any, function: str) -> None:
    properties = template["Resources"][function]["Properties"]
    group = template["Resources"][properties["LoggingConfig"]["LogGroup"]["Ref"]]
    assert group["Type"] == "AWS::Logs::LogGroup"
    # By the function's name, so that a policy can name it and plain Chalice finds it too.
    name = properties["FunctionName"]["Fn::Sub"]
    assert group["Properties"]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{name}"}


@pytest.mark.parametrize("function", FED)
def test_a_message_stays_hidden_for_six_times_its_functions_timeout(
    template: Any, function: str
) -> None:
    timeout = template["Resources"][function]["Properties"]["Timeout"]
    assert timeout == (360 if function == "ExportWorker" else 60)
    visibility = template["Resources"][FED[function]]["Properties"]["VisibilityTimeout"]["Ref"]
    assert template["Parameters"][visibility]["Default"] == 6 * timeout


def test_lease_is_longer_than_the_timeout_of_the_worker(template: Any) -> None:
    timeout = template["Resources"]["DeliveryWorker"]["Properties"]["Timeout"]
    assert DEADLINE_SECONDS < timeout < from_environment(SETTINGS).delivery_lease_seconds


def test_run_of_an_export_ends_before_its_function(template: Any) -> None:
    timeout = template["Resources"]["ExportWorker"]["Properties"]["Timeout"]
    assert RUN.total_seconds() + 60 <= timeout


def test_exports_take_little_concurrency(template: Any) -> None:
    (source,) = template["Resources"]["ExportWorker"]["Properties"]["Events"].values()
    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_slow_merchants_take_bounded_concurrency(template: Any) -> None:
    (source,) = template["Resources"]["DeliveryWorker"]["Properties"]["Events"].values()
    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 10}


def test_a_burst_of_payments_leaves_concurrency_to_the_api(template: Any) -> None:
    (source,) = template["Resources"]["WebhookProcessor"]["Properties"]["Events"].values()
    assert source["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 50}


def test_api_times_out_before_api_gateway(template: Any) -> None:
    assert template["Resources"]["APIHandler"]["Properties"]["Timeout"] <= 29


@pytest.mark.parametrize("function", FED)
def test_only_the_failed_messages_of_a_batch_come_back(template: Any, function: str) -> None:
    (source,) = template["Resources"][function]["Properties"]["Events"].values()
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["Queue"] == {"Fn::Sub": f"${{{FED[function]}.Arn}}"}
    assert source["Properties"]["BatchSize"] == (1 if function == "ExportWorker" else 10)


def test_origin_reaches_preflight_functions_and_gateway_responses(template: Any, api: Any) -> None:
    paths = routes(api)
    preflights = [methods["options"] for methods in paths.values()]
    assert len(preflights) == len(paths) > 0
    for preflight in preflights:
        answer = preflight["x-amazon-apigateway-integration"]["responses"]["default"]
        name = "method.response.header.Access-Control-Allow-Origin"
        assert answer["responseParameters"][name] == ORIGIN
    for response in api["GatewayResponses"].values():
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
    handler = template["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]
    assert handler["PAYFLOW_ALLOWED_ORIGIN"] == {"Ref": "AllowedOrigin"}
    assert "Default" not in template["Parameters"]["AllowedOrigin"]
    assert ".invalid" not in json.dumps(template)


def test_api_is_throttled_traced_and_logged_without_paid_metrics(template: Any, api: Any) -> None:
    settings, *_ = api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (100, 200)
    assert settings["MetricsEnabled"] is False
    assert api["TracingEnabled"] is True
    assert api["EndpointConfiguration"] == "REGIONAL"
    assert api["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLogGroup", "Arn"]}
    line = json.loads(api["AccessLogSetting"]["Format"])
    assert line["requestId"] == "$context.requestId"
    # Keys travel in headers, cursors in the query: neither is logged.
    assert not any("header" in value or "query" in value for value in line.values())


def test_made_up_keys_cost_less_reads_than_one_partition_has(api: Any) -> None:
    """A method lets its rate and its burst through in one second, and each may look up a key."""
    limits = {
        (one["ResourcePath"].replace("~1", "/").replace("//", "/"), one["HttpMethod"].lower()): one
        for one in api["MethodSettings"]
    }
    default = limits.pop(("/*", "*"))
    methods = {
        (path, method)
        for path, of_path in api["DefinitionBody"]["paths"].items()
        for method, described in of_path.items()
        if described.get("x-amazon-apigateway-integration", {}).get("type") == "aws_proxy"
    }
    assert len(methods) > 25
    assert limits.keys() <= methods, "a limit of no method limits nothing"
    for one in limits.values():
        assert one["ThrottlingRateLimit"] < default["ThrottlingRateLimit"]
        assert one["MetricsEnabled"] is False
    reads = sum(
        limit["ThrottlingRateLimit"] + limit["ThrottlingBurstLimit"]
        for limit in (limits.get(method, default) for method in methods)
    )
    assert reads < 3000


@pytest.mark.parametrize("name", ["ApiErrorsAlarm", "ApiRefusalsAlarm"])
def test_the_alarms_on_answers_watch_the_name_that_the_api_has(
    template: Any, api: Any, name: str
) -> None:
    alarm = template["Resources"][name]["Properties"]
    watched = {part["Name"]: part["Value"] for part in alarm["Dimensions"]}
    assert watched == {
        "ApiName": api["DefinitionBody"]["info"]["title"],
        "Stage": api["StageName"],
    }
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]


def test_every_role_has_a_boundary(template: Any) -> None:
    roles = {
        name: resource["Properties"]
        for name, resource in translated(template)["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    assert roles.keys() == {*(role for role, _ in FUNCTIONS.values()), "ApiGatewayLogs"}
    # The account's, for API Gateway's logs. It can do what its one policy says, now and later.
    accounts = roles["ApiGatewayLogs"]
    assert accounts["ManagedPolicyArns"] == [accounts["PermissionsBoundary"]]
    assert "Policies" not in accounts
    for role, _ in FUNCTIONS.values():
        assert roles[role]["PermissionsBoundary"] == {
            "Fn::If": [
                "HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"},
            ]
        }  # fmt: skip


def test_every_function_has_an_alarm_on_throttling(template: Any) -> None:
    watched = {
        resource["Properties"]["Dimensions"][0]["Value"]["Ref"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"]["MetricName"] == "Throttles"
    }
    assert watched == set(FUNCTIONS)


def test_every_taggable_resource_is_tagged(template: Any) -> None:
    untaggable = {
        "AWS::KMS::Alias",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SNS::Subscription",
        "AWS::Lambda::Permission",
        "AWS::ApiGateway::Account",
        "AWS::ApiGateway::Deployment",
        "AWS::Events::Rule",  # by AWS; but SAM, which makes these two, has no tags for them
        "AWS::Lambda::EventSourceMapping",
    }
    for logical_id, resource in translated(template)["Resources"].items():
        if resource["Type"] in untaggable:
            continue
        tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"].get("Tags", ())}
        assert tags.get("Project") == "payflow", logical_id
        assert tags["Stage"] in ({"Ref": "Stage"}, *STAGES), logical_id


def test_role_for_access_logs_is_created_on_demand_and_retained(
    template: Any,
) -> None:
    assert template["Parameters"]["ApiGatewayLogsRole"]["Default"] == "present"
    for name in ("ApiGatewayAccount", "ApiGatewayLogs"):
        assert template["Resources"][name]["Condition"] == "CreatesApiGatewayLogsRole"
        assert template["Resources"][name]["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", 404, "not_found"),
        ("INVALID_SIGNATURE", 404, "not_found"),
        ("THROTTLED", 429, "rate_limited"),
        ("REQUEST_TOO_LARGE", 413, "body_too_large"),
        ("INTEGRATION_TIMEOUT", 503, "unavailable"),
        ("INTEGRATION_FAILURE", 503, "unavailable"),
        ("DEFAULT_4XX", 400, "validation_failed"),
        ("DEFAULT_5XX", 500, "internal"),
    ],
)
def test_api_gateway_refuses_with_problems(api: Any, kind: str, status: int, code: str) -> None:
    response = api["GatewayResponses"][kind]
    problem = json.loads(response["ResponseTemplates"]["application/json"])
    assert (response["StatusCode"], problem["status"], problem["code"]) == (
        str(status),
        status,
        code,
    )


def test_every_problem_of_api_gateway_is_one_of_ours_and_names_its_request(api: Any) -> None:
    known = {error.code: error for error in PayFlowError.__subclasses__()}
    for kind, response in api["GatewayResponses"].items():
        problem = json.loads(response["ResponseTemplates"]["application/json"])
        error = known[problem["code"]]
        assert (problem["title"], problem["status"]) == (error.title, error.status), kind
        assert problem["type"] == f"urn:payflow:problem:{error.code}"
        assert problem["request_id"] == "$context.requestId"
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'"
        assert headers["X-Request-Id"] == "context.requestId"
        assert headers["Access-Control-Expose-Headers"] == f"'{','.join(EXPOSED_HEADERS)}'"
        assert ("Retry-After" in headers) is (error.retry_after_seconds is not None)


ANY = "x-amazon-apigateway-any-method"
NOWHERE = {"/", "/{proxy+}"}


def routes(api: Any) -> dict[str, Any]:
    """The paths of the document that lead to a function."""
    paths = api["DefinitionBody"]["paths"]
    return {path: methods for path, methods in paths.items() if path not in NOWHERE}


def mocked(method: Any) -> tuple[str, Any, dict[str, Any]]:
    """Return the status, the problem and the headers of a method that runs no function."""
    integration = method["x-amazon-apigateway-integration"]
    assert integration["type"] == "mock"
    assert "uri" not in integration
    ((selected, answer),) = integration["responses"].items()
    assert selected == "default", "whatever status the request's template gives"
    for template in integration["requestTemplates"].values():
        assert json.loads(template) == {"statusCode": int(answer["statusCode"])}
    # A body of another type must not get through: a mock would look for its status in there.
    assert integration["passthroughBehavior"] == "never"
    headers = {
        name.removeprefix("method.response.header."): value
        for name, value in answer["responseParameters"].items()
    }
    assert method["responses"][answer["statusCode"]]["headers"].keys() == headers.keys()
    problem = json.loads(answer["responseTemplates"]["application/json"])
    assert problem["status"] == int(answer["statusCode"])
    return answer["statusCode"], problem, headers


def test_every_other_method_of_a_path_is_405_with_those_that_it_has(api: Any) -> None:
    app_routes = payflow.app.routes
    assert routes(api).keys() <= app_routes.keys()
    for path, methods in routes(api).items():
        status, problem, headers = mocked(methods[ANY])
        assert (status, problem["code"]) == ("405", "method_not_allowed")
        assert headers["Allow"] == f"'{', '.join([*sorted(app_routes[path]), 'OPTIONS'])}'"
        assert methods.keys() == {*(name.lower() for name in app_routes[path]), "options", ANY}


def test_every_other_path_is_404(api: Any) -> None:
    for path in NOWHERE:
        methods = api["DefinitionBody"]["paths"][path]
        status, problem, _ = mocked(methods[ANY])
        assert (status, problem["code"]) == ("404", "not_found")
        assert methods.keys() == {ANY}


def test_unknown_paths_and_methods_are_answered_as_api_gateways_other_refusals(api: Any) -> None:
    known = {error.code: error for error in PayFlowError.__subclasses__()}
    refusal = api["GatewayResponses"]["MISSING_AUTHENTICATION_TOKEN"]
    for methods in api["DefinitionBody"]["paths"].values():
        _, problem, headers = mocked(methods[ANY])
        assert problem["title"] == known[problem["code"]].title
        assert problem["request_id"] == "$context.requestId"
        headers.pop("Allow", None)
        assert headers == refusal["ResponseParameters"]["Headers"]


def test_resources_are_tagged_with_their_own_stage(folders: dict[str, Path]) -> None:
    for stage in STAGES:
        for function in FUNCTIONS:
            tags = read(folders[stage])["Resources"][function]["Properties"]["Tags"]
            assert tags["Stage"] == stage
