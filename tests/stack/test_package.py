"""The package at work: deployed to the emulated AWS, and by itself in a bare interpreter.

The emulated AWS runs a zip with this machine's Python and packages. So a twin is deployed, built
for this machine, and run once more where there is boto3 and nothing else, as on Lambda.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench.cold_start import RUNTIMES_OWN
from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.models import Scope
from chalicelib.api_keys.service import ApiKeys, new_secret
from infra.deploy import artifact, bootstrap, contents, deploy, package, publish, smoke, yaml_text
from infra.deploy.stacks import DeployError, Stack
from infra.local import provision
from infra.local.lambda_events import api_event, sqs_event, with_key
from infra.ops.key import make_key
from infra.ops.requeue import requeue
from infra.ops.restore import moment, restore
from infra.ops.stages import api_key_repository_of, tables_of
from infra.ops.switch import switch
from tests.engines import emulated_aws, wait_until
from tests.infra.test_frontend_stack import GITHUBS
from tests.stack.conftest import JSON, Client, request
from tests.stack.lambda_runtime import ForgetfulSqs, RuntimeApi, frozen, served


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twin")
    package.build("dev", folder, contents.this_machine())
    return folder


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulated AWS of its own, which every client of this module talks to."""
    settings = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "ca-central-1",
        "AWS_REGION": "ca-central-1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        environment.setattr(contents, "LAMBDA", contents.this_machine())  # the twin's
        with emulated_aws(tmp_path_factory.mktemp("aws")) as url:
            environment.setenv("AWS_ENDPOINT_URL", url)
            yield url


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for a build."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(
        '<script type="module" src="/assets/index-1a2b.js"></script>'
    )
    (folder / "assets" / "index-1a2b.js").write_text("export {}")
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


class Deployed:
    """What `make bootstrap` has made of the twin, through its API gateway and its queues."""

    def __init__(self, url: str, twin: Path, dashboard: Path, frontend_template: Path) -> None:
        self._twin = twin
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "TEMPLATE", frontend_template)
            patch.setattr(artifact, "folder", lambda _: twin)
            patch.setattr(package, "build", lambda *_: None)  # the twin is built
            patch.setattr(bootstrap, "build_dashboard", lambda _: dashboard)
            patch.setattr(bootstrap, "quota_advice", str)  # the emulated AWS does not know it
            patch.setattr(smoke, "retried", lambda _: None)  # its addresses lead nowhere
            self.said = bootstrap.bootstrap("dev", GITHUBS, "")
        self.frontend = Stack("payflow-frontend-dev").outputs()
        self.outputs: dict[str, str] = {}
        self.deploy(VisibilityTimeoutSeconds="2")
        self.client = Client(int(url.rpartition(":")[2]))
        self.key = make_key("dev", "tests", ["read", "write"])

    def deploy(self, restored: str | None = None, **chosen: str) -> None:
        """As GitHub Actions does."""
        packages, role = self.frontend["PackagesBucket"], self.frontend["CloudFormationRole"]
        self.outputs = deploy.deploy("dev", self._twin, chosen, packages, role, restored)

    def call(self, method: str, path: str, fields: Any = None, key: str | None = None) -> Any:
        route = f"/restapis/{self.outputs['RestAPIId']}/api/_user_request_{path}"
        body = None if fields is None else json.dumps(fields)
        bearer = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return self.client.request(method, route, body, **JSON, **bearer)

    def status(self, payment_id: str) -> str:
        return str(self.call("GET", f"/v1/payments/{payment_id}").json["status"])


@pytest.fixture(scope="module")
def deployed(
    aws: str, twin: Path, dashboard: Path, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    template: Any = yaml_text.read(bootstrap.TEMPLATE.read_text())
    del template["Resources"]["GitHub"]  # the emulated CloudFormation refuses the kind
    without_it = tmp_path_factory.mktemp("template") / "frontend-stack.json"
    without_it.write_text(json.dumps(template))
    return Deployed(aws, twin, dashboard, without_it)


def test_api_and_dashboard_allow_each_others_origin(
    deployed: Deployed,
) -> None:
    answer = deployed.call("GET", "/v1/health")
    assert answer.headers["Access-Control-Allow-Origin"] == deployed.frontend["SiteOrigin"]
    cloudfront: Any = boto3.client("cloudfront")
    config = cloudfront.get_distribution_config(Id=deployed.frontend["DistributionId"])
    behavior = config["DistributionConfig"]["DefaultCacheBehavior"]
    headers = cloudfront.get_response_headers_policy(Id=behavior["ResponseHeadersPolicyId"])
    policy = json.dumps(headers["ResponseHeadersPolicy"], default=str)
    assert f"connect-src https://{deployed.outputs['RestAPIId']}.execute-api." in policy


def test_build_is_published_with_a_cache_age_for_each_file(deployed: Deployed) -> None:
    s3 = boto3.client("s3")
    bucket = deployed.frontend["SiteBucket"]

    def published(file: str) -> tuple[str, str]:
        found = s3.get_object(Bucket=bucket, Key=file)
        return found["ContentType"], found["CacheControl"]

    assert published("assets/index-1a2b.js") == (
        "text/javascript", "public, max-age=31536000, immutable",
    )  # fmt: skip
    assert published("index.html") == ("text/html", "no-cache")
    assert published("icon.svg") == ("image/svg+xml", "no-cache")


def test_assets_of_the_build_before_stay_for_open_tabs(deployed: Deployed, tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("the next")
    (tmp_path / "assets" / "index-3c4d.js").write_text("export {}")
    bucket, distribution = deployed.frontend["SiteBucket"], deployed.frontend["DistributionId"]
    publish.publish(tmp_path, bucket, distribution)
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert {"assets/index-1a2b.js", "assets/index-3c4d.js"} <= {one["Key"] for one in listed}


def test_bootstrap_ends_the_administrators_presence(deployed: Deployed) -> None:
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName="payflow-frontend-dev")[
        "Stacks"
    ]
    (until,) = [
        parameter["ParameterValue"]
        for parameter in stack["Parameters"]
        if parameter["ParameterKey"] == "Administrator"
    ]
    assert until < "2001", "the administrator's window is closed"


def test_bootstrap_prints_its_resources_and_the_next_command(deployed: Deployed) -> None:
    assert "make key STAGE=dev" in deployed.said
    for name in ("SiteBucket", "PackagesBucket", "BackendDeployRole", "FrontendDeployRole"):
        assert deployed.frontend[name] in deployed.said


def waiting(queue: str) -> int:
    """Messages in the queue, whether somebody works on them or not."""
    sqs = boto3.client("sqs")
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(number) for number in attributes.values())


def test_a_request_goes_through_api_gateway_to_the_function_in_the_zip(deployed: Deployed) -> None:
    fields = request(metadata={"simulate": "completed"})
    created = deployed.call("POST", "/v1/payments", fields)
    assert created.status == 201, created
    replayed = deployed.call("POST", "/v1/payments", fields)
    assert (replayed.status, replayed.body) == (200, created.body)
    payment_id = created.json["id"]
    wait_until(
        lambda: deployed.status(payment_id) == "completed", "the queue's function settled it"
    )
    refused = deployed.call("POST", "/v1/payments", fields | {"amount": "12.345"})
    assert (refused.status, refused.json["code"]) == (400, "validation_failed")
    assert deployed.call("GET", "/v1/payments/PAY-NONE").status == 404
    assert deployed.call("GET", "/v1/health?deep=1").status == 200


def test_caller_without_a_key_of_the_stage_is_refused(deployed: Deployed) -> None:
    revoked = make_key("dev", "revoked", ["admin"])
    keys = ApiKeys(
        "dev",
        api_key_repository_of(tables_of("dev")),
        is_required=True,
        clock=lambda: datetime.now(UTC),
    )
    keys.revoke(next(key.id for key in keys.all().api_keys if key.name == "revoked"))
    reader = make_key("dev", "reader", ["read"])
    for key in ("", "x", revoked, new_secret("dev"), make_key_of_another_stage()):
        refused = deployed.call("GET", "/v1/payments", key=key)
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
    assert deployed.call("GET", "/v1/payments", key=reader).status == 200
    refused = deployed.call("POST", "/v1/payments", request(), key=reader)
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert deployed.call("GET", "/v1/health", key="").status == 200


def test_requeue_works_on_a_deployed_stage(deployed: Deployed) -> None:
    assert deployed.call("GET", "/v1/health?deep=1").status == 200
    assert requeue("dev", timedelta(days=5)) == 0


def make_key_of_another_stage() -> str:
    """One that the tables of `dev` hold, as if a row had been copied from `prod`'s."""
    keys = ApiKeys(
        "prod",
        api_key_repository_of(tables_of("dev")),
        is_required=True,
        clock=lambda: datetime.now(UTC),
    )
    return keys.create(CreateApiKey(name="of prod", scopes=[Scope.ADMIN])).key


@contextmanager
def nobody_receives(queue: str) -> Iterator[None]:
    """Lambda receives nothing from the queue, so that what is sent becomes one batch."""
    lambdas: Any = boto3.client("lambda")
    (source,) = [
        one
        for one in lambdas.list_event_source_mappings()["EventSourceMappings"]
        if one["EventSourceArn"].endswith(f":{queue}")
    ]
    wait_until(lambda: waiting(queue) == 0, "what was sent before is done")
    lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    try:
        yield
        wait_until(lambda: waiting(queue) >= 10, "a batch waits")
    finally:
        lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=True)


def test_poison_message_is_dead_lettered_without_its_batch_on_a_deployed_stage(
    deployed: Deployed,
) -> None:
    wishes = ["completed"] * 9 + ["error"]
    with nobody_receives("payflow-webhooks-dev"):
        answers = [
            deployed.call("POST", "/v1/payments", request(metadata={"simulate": wish}))
            for wish in wishes
        ]
    *good, poison = [answer.json["id"] for answer in answers]
    wait_until(
        lambda: [deployed.status(payment_id) for payment_id in good] == ["completed"] * 9,
        "the other nine are done",
    )
    # A message is deleted after what it says is done.
    wait_until(lambda: waiting("payflow-webhooks-dev") == 0, "the queue has let go of the batch")
    assert deployed.status(poison) == "processing"
    # On a busy machine a message that is done may be received again too often, and join it.
    assert 1 <= waiting("payflow-webhooks-dlq-dev") < 10


class Plain(Deployed):
    """What plain `chalice package --stage prod out/` gives, deployed beside infra/backend.yaml."""

    def __init__(self, url: str, twin: Path, project: Path) -> None:
        package.copy_sources(project)
        (project / "requirements.txt").touch()  # the twin's zip takes the place of Chalice's
        package.set_origin(project, "prod", "https://dashboard.example")
        chalice = Path(sys.executable).with_name("chalice")
        command = [str(chalice), "package", "--stage", "prod", "out"]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
        s3: Any = boto3.client("s3")
        s3.create_bucket(
            Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "ca-central-1"}
        )
        s3.upload_file(str(twin / artifact.ZIP), "plain", artifact.ZIP)
        text = (project / "out" / "sam.json").read_text()
        text = text.replace("./deployment.zip", f"s3://plain/{artifact.ZIP}")
        # Only so that a test can wish for poison.
        text = text.replace('"PAYFLOW_SIMULATION": "refused"', '"PAYFLOW_SIMULATION": "allowed"')
        s3.put_object(Bucket="plain", Key="sam.json", Body=text.encode())
        Stack("payflow-backend-prod").change(
            TemplateBody=provision.TEMPLATE.read_text(),
            Parameters=[
                {"ParameterKey": "Stage", "ParameterValue": "prod"},
                {"ParameterKey": "VisibilityTimeoutSeconds", "ParameterValue": "2"},
            ],
        )
        functions = Stack("payflow-prod-functions")
        functions.change(
            TemplateURL=f"{s3.meta.endpoint_url}/plain/sam.json",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        self.outputs = functions.outputs()
        self.client = Client(int(url.rpartition(":")[2]))
        self.key = make_key("prod", "tests", ["read", "write"])


def test_plain_chalice_package_makes_a_working_stage_that_loses_no_message(
    aws: str, twin: Path, tmp_path: Path
) -> None:
    plain = Plain(aws, twin, tmp_path)
    answers = [
        plain.call("POST", "/v1/payments", request(metadata={"simulate": wish}))
        for wish in ("completed", "error", "completed")
    ]
    assert [answer.status for answer in answers] == [201] * 3, answers
    first, poison, last = [answer.json["id"] for answer in answers]
    wait_until(
        lambda: {plain.status(first), plain.status(last)} == {"completed"}, "the good ones are done"
    )
    wait_until(lambda: waiting("payflow-webhooks-prod") == 0, "the queue has let go of the batch")
    assert plain.status(poison) == "processing"
    assert waiting("payflow-webhooks-dlq-prod") >= 1, "the poison is a dead letter"
    assert plain.call("GET", "/v1/health?deep=1").status == 200, "it finds its queues"


def test_deploy_changes_only_the_chosen_origin(deployed: Deployed) -> None:
    deployed.deploy(AllowedOrigin="https://another.example")
    answer = deployed.call("GET", "/v1/health")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://another.example"
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["WebhookQueueUrl"], AttributeNames=["VisibilityTimeout"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "2"


def in_no_stack(*stacks: str) -> set[str]:
    """The functions, roles, queues and rules named `payflow-…` that no stack has made."""
    cloudformation: Any = boto3.client("cloudformation")
    made = {
        one["PhysicalResourceId"].rpartition("/")[2]
        for stack in stacks
        for one in cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    }
    queues = boto3.client("sqs").list_queues(QueueNamePrefix="payflow-").get("QueueUrls", [])
    events: Any = boto3.client("events")
    iam: Any = boto3.client("iam")
    there = {
        *(url.rpartition("/")[2] for url in queues),
        *(one["FunctionName"] for one in boto3.client("lambda").list_functions()["Functions"]),
        *(one["Name"] for one in events.list_rules(NamePrefix="payflow-")["Rules"]),
        *(one["RoleName"] for one in iam.list_roles()["Roles"]),
    }
    return {name for name in there if name.startswith("payflow-dev")} - made


def policy_of_the_sweeper() -> Any:
    iam: Any = boto3.client("iam")
    function: Any = boto3.client("lambda").get_function_configuration(
        FunctionName="payflow-dev-sweeper"
    )
    role = function["Role"].rpartition("/")[2]
    return [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]


def test_revert_of_a_bad_push_leaves_only_what_its_code_made_and_that_is_found(
    deployed: Deployed, twin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM, which the emulated AWS does not have, would have stopped the queues at once."""
    policy, found = policy_of_the_sweeper(), in_no_stack("payflow-dev", "payflow-frontend-dev")
    template = json.loads((twin / artifact.TEMPLATE).read_text())
    resources = template["Resources"]
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "payflow-dev-elsewhere"}}
    resources["Elsewhere"] = queue
    (statements,) = resources["SweeperRole"]["Properties"]["Policies"]
    statements["PolicyDocument"]["Statement"].append(
        {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    )
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / artifact.TEMPLATE).write_text(json.dumps(template))
    (bad / artifact.ZIP).write_bytes((twin / artifact.ZIP).read_bytes())

    monkeypatch.setattr(deployed, "_twin", bad)
    deployed.deploy()
    boto3.client("sqs").create_queue(QueueName="payflow-dev-made-by-its-code")
    assert policy_of_the_sweeper() != policy
    assert in_no_stack("payflow-dev", "payflow-frontend-dev") == found | {
        "payflow-dev-made-by-its-code"
    }

    monkeypatch.setattr(deployed, "_twin", twin)
    deployed.deploy()
    assert policy_of_the_sweeper() == policy
    queues = boto3.client("sqs").list_queues(QueueNamePrefix="payflow-dev-elsewhere")
    assert not queues.get("QueueUrls")
    assert in_no_stack("payflow-dev", "payflow-frontend-dev") == found | {
        "payflow-dev-made-by-its-code"
    }
    assert deployed.call("GET", "/v1/health").status == 200


def test_stack_that_is_up_to_date_is_not_changed(
    aws: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack("payflow-backend-twice")
    for _ in range(2):
        stack.change(
            TemplateBody=provision.TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": "Stage", "ParameterValue": "twice"}],
        )
    assert capsys.readouterr().out.splitlines() == ["Nothing to change."]


BARE = """
import json, sys
import app, pydantic, pydantic_core
events = json.load(sys.stdin)
created = app.app(events["create"], None)
payment = json.loads(created["body"])
message = {"type": "settle_payment", "payment_id": payment["id"]}
events["batch"]["Records"][0]["body"] = json.dumps(message)
settled = app.webhook_processor(events["batch"], None)
swept = app.sweeper(events["minute"], None)
message = {"type": "deliver", "delivery_id": "DLV-" + "01M82Y8T27997E9EYD0G6SK6MT" * 3}
events["batch"]["Records"][0]["body"] = json.dumps(message)
delivered = app.delivery_worker(events["batch"], None)
refused = app.services.http_client.post("https://127.0.0.1/", b"{}", {})
events["get"]["pathParameters"] = {"payment_id": payment["id"]}
found = json.loads(app.app(events["get"], None)["body"])
print(json.dumps([created["statusCode"], settled, swept, found["status"], delivered,
                  refused.error,
                  pydantic.__file__, pydantic_core.__file__]))
"""


def unpacked(twin: Path, folder: Path, more: tuple[str, ...] = ()) -> dict[str, str]:
    """Unpack the zip into `task`, beside what Lambda's runtime brings; return the environment."""
    runtime, task = folder / "runtime", folder / "task"
    runtime.mkdir()
    site_packages = Path(boto3.__file__).parents[1]
    for name in (*RUNTIMES_OWN, *more):
        (found,) = site_packages.glob(name)
        (runtime / found.name).symlink_to(found)
    with zipfile.ZipFile(twin / artifact.ZIP) as archive:
        archive.extractall(task)
    own = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
    return own | {"PYTHONPATH": f"{task}:{runtime}"}


def test_thawed_function_loses_no_message(deployed: Deployed, twin: Path, tmp_path: Path) -> None:
    """While a function is frozen SQS forgets its connection, and resets it at the next byte."""
    env = unpacked(twin, tmp_path, ("awslambdaric", "runtime_client*.so", "snapshot_restore_py.py"))
    api, sqs = RuntimeApi(), ForgetfulSqs()

    def create(api: RuntimeApi) -> Any:
        return api.invoke(with_key(api_event("POST", "/v1/payments", request()), deployed.key))

    with served(api) as address, served(sqs) as queues:
        env |= {
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_ENDPOINT_URL_SQS": f"http://{queues}",
            "LAMBDA_TASK_ROOT": str(tmp_path / "task"),
            "PAYFLOW_STAGE": "dev",
            "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
            "PAYFLOW_WEBHOOK_QUEUE_URL": f"http://{queues}/000000000000/payflow-webhooks-dev",
        }
        function = subprocess.Popen(
            [sys.executable, "-S", "-m", "awslambdaric", "app.app"],  # -S: without site-packages
            cwd=tmp_path / "task", env=env, text=True,
        )  # fmt: skip
        try:
            created = [create(api)]
            with frozen(function):
                sqs.forget_connections()
            created.append(create(api))
        finally:
            function.kill()
            function.wait()
    assert [answer.get("statusCode") for answer in created] == [201, 201], created
    assert sqs.resets == 1, "the freeze outlived the connection"
    ids = [json.loads(answer["body"])["id"] for answer in created]
    assert [json.loads(body)["payment_id"] for body in sqs.bodies] == ids


def test_the_zip_needs_nothing_but_boto3(deployed: Deployed, twin: Path, tmp_path: Path) -> None:
    env = unpacked(twin, tmp_path)
    task = tmp_path / "task"
    fields = request(metadata={"simulate": "completed"})
    events = {
        "create": with_key(api_event("POST", "/v1/payments", fields), deployed.key),
        "get": with_key(
            api_event("GET", "/v1/payments/{payment_id}", payment_id="-"), deployed.key
        ),
        "batch": sqs_event("{}", "no job at all"),
        "minute": {
            "version": "0", "id": "1", "account": "0", "region": "ca-central-1", "detail": {},
            "detail-type": "Scheduled Event", "source": "aws.events", "resources": [],
            "time": "2026-11-22T21:57:00Z",
        },
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-S", "-c", BARE],  # -S: without site-packages
        cwd=task,
        env={
            **env,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PAYFLOW_STAGE": "dev",
            "PAYFLOW_ALLOWED_ORIGIN": deployed.frontend["SiteOrigin"],
            "PAYFLOW_WEBHOOK_QUEUE_URL": deployed.outputs["WebhookQueueUrl"],
            "PAYFLOW_DELIVERIES_QUEUE_URL": deployed.outputs["DeliveriesQueueUrl"],
            "PAYFLOW_SIMULATION": "allowed",
        },
        input=json.dumps(events),
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    status, settled, swept, found, delivered, error, *modules = json.loads(
        ended.stdout.splitlines()[-1]
    )
    assert (status, settled, found) == (201, {"batchItemFailures": []}, "completed")
    assert swept["stuck"] == 0
    # The sender is whole, and refuses what only the local stack may send to.
    assert (delivered, error) == ({"batchItemFailures": []}, "url_refused")
    assert all(module.startswith(str(task)) for module in modules)


def test_a_stage_is_switched_to_restored_tables_with_its_functions(
    deployed: Deployed,
) -> None:
    first = tables_of("dev")
    fields = request(metadata={"simulate": "completed"})
    before = deployed.call("POST", "/v1/payments", fields).json["id"]
    wait_until(lambda: deployed.status(before) == "completed", "it is settled")
    # The emulated AWS restores what is there now, whatever moment it is asked for.
    restored = restore(boto3.client("dynamodb"), "dev", moment("2026-11-24T12:00:00Z"), first)
    after = deployed.call("POST", "/v1/payments", request()).json["id"]
    template = Stack("payflow-dev").template("Original")
    switch("dev", "20261124T120000Z-")
    assert tables_of("dev") == restored
    assert Stack("payflow-dev").template("Original") == template
    assert deployed.call("GET", f"/v1/payments/{before}").status == 200
    assert deployed.call("GET", f"/v1/payments/{after}").status == 404
    anew = deployed.call("POST", "/v1/payments", fields | {"idempotency_key": "after-restore"})
    wait_until(lambda: deployed.status(anew.json["id"]) == "completed", "the workers follow")


def test_stack_created_again_asks_which_tables_to_use(deployed: Deployed) -> None:
    template = yaml_text.read(provision.TEMPLATE.read_text())
    with pytest.raises(DeployError, match=r"RESTORED=first or RESTORED=20261124T120000Z"):
        Stack("payflow-none").import_tables(template, "dev")


def test_stack_created_again_has_its_payments(deployed: Deployed) -> None:
    """Those of the tables that it was switched to."""
    payment_id = deployed.call("POST", "/v1/payments", request()).json["id"]
    cloudformation = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName="payflow-dev")
    waiter = cloudformation.get_waiter("stack_delete_complete")
    waiter.wait(StackName="payflow-dev", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    left = boto3.client("dynamodb").list_tables()["TableNames"]
    assert {"payflow-payments-dev", "payflow-idempotency-dev"} <= set(left)
    deployed.deploy("20261124T120000Z-", AllowedOrigin=deployed.frontend["SiteOrigin"])
    assert deployed.call("GET", f"/v1/payments/{payment_id}").status == 200
    resources = cloudformation.describe_stack_resources(StackName="payflow-dev")["StackResources"]
    assert {"PaymentsTable", "IdempotencyTable"} <= {one["LogicalResourceId"] for one in resources}
