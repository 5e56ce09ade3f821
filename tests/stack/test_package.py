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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.api_keys import ApiKeys, new_secret
from chalicelib.commands import CreateApiKey
from chalicelib.model import Scope
from infra import deploy, dist, package
from infra.hint_stuck import hint_stuck
from infra.key import make_key
from infra.local import emulator, provision
from infra.package import Target
from infra.stacks import Stack
from infra.stage import store_of
from tests.engines import ROOT, accepts, free_port, wait_until
from tests.stack.conftest import JSON, Client, request
from tests.test_lambda import api_event, sqs_event, with_key

ORIGIN = "https://dashboard.example"
RUNTIMES_OWN = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


def of_this_machine() -> Target:
    machine = package.elf_machine(Path(sys.executable).resolve().read_bytes())
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", None, machine)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twin")
    package.build("dev", folder, of_this_machine())
    return folder


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulated AWS of its own, which every client of this module talks to."""
    state = tmp_path_factory.mktemp("aws")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "ca-central-1",
        "AWS_REGION": "ca-central-1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.emulator"],
        cwd=ROOT,
        env={**os.environ, **settings, **emulator.environment(port, state)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        try:
            (state / "aws").mkdir(exist_ok=True)
            wait_until(lambda: accepts(port), "the emulated AWS listens")
            yield url
        finally:
            process.terminate()
            process.communicate(timeout=30)


class Deployed:
    """The stack of the twin, through its API gateway and its queues."""

    def __init__(self, url: str, twin: Path) -> None:
        self._twin = twin
        self.outputs: dict[str, str] = {}
        self.deploy(AllowedOrigin=ORIGIN, VisibilityTimeoutSeconds="2")
        self.client = Client(int(url.rpartition(":")[2]))
        self.key = make_key("dev", "tests", ["read", "write"])

    def deploy(self, **chosen: str) -> None:
        self.outputs = deploy.deploy("dev", self._twin, chosen)

    def call(self, method: str, path: str, fields: Any = None, key: str | None = None) -> Any:
        route = f"/restapis/{self.outputs['RestAPIId']}/api/_user_request_{path}"
        body = None if fields is None else json.dumps(fields)
        bearer = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return self.client.request(method, route, body, **JSON, **bearer)

    def status(self, payment_id: str) -> str:
        return str(self.call("GET", f"/v1/payments/{payment_id}").json["status"])


@pytest.fixture(scope="module")
def deployed(aws: str, twin: Path) -> Deployed:
    return Deployed(aws, twin)


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
    assert created.headers["Access-Control-Allow-Origin"] == ORIGIN
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


def test_who_has_no_key_of_this_stage_does_not_get_in(deployed: Deployed) -> None:
    revoked = make_key("dev", "revoked", ["admin"])
    keys = ApiKeys("dev", store_of("dev"), is_required=True, clock=lambda: datetime.now(UTC))
    keys.revoke(next(key.id for key in keys.all() if key.name == "revoked"))
    reader = make_key("dev", "reader", ["read"])
    for key in ("", "x", revoked, new_secret("dev"), make_key_of_another_stage()):
        refused = deployed.call("GET", "/v1/payments", key=key)
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
    assert deployed.call("GET", "/v1/payments", key=reader).status == 200
    refused = deployed.call("POST", "/v1/payments", request(), key=reader)
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert deployed.call("GET", "/v1/health", key="").status == 200


def test_an_operator_hints_of_what_is_stuck_on_a_deployed_stage(deployed: Deployed) -> None:
    assert deployed.call("GET", "/v1/health?deep=1").status == 200
    assert hint_stuck("dev") == 0


def make_key_of_another_stage() -> str:
    """One that the tables of `dev` hold, as if a row had been copied from `prod`'s."""
    keys = ApiKeys("prod", store_of("dev"), is_required=True, clock=lambda: datetime.now(UTC))
    return keys.create(CreateApiKey(name="of prod", scopes=[Scope.ADMIN])).secret


def test_of_a_batch_with_one_poison_message_nine_are_done_and_one_is_a_dead_letter(
    deployed: Deployed,
) -> None:
    lambdas: Any = boto3.client("lambda")
    (source,) = lambdas.list_event_source_mappings()["EventSourceMappings"]
    lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    wishes = ["completed"] * 9 + ["error"]
    answers = [
        deployed.call("POST", "/v1/payments", request(metadata={"simulate": wish}))
        for wish in wishes
    ]
    *good, poison = [answer.json["id"] for answer in answers]
    assert waiting("payflow-webhooks-dev") == 10
    lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=True)
    wait_until(lambda: waiting("payflow-webhooks-dlq-dev") == 1, "the poison is a dead letter")
    assert [deployed.status(payment_id) for payment_id in good] == ["completed"] * 9
    assert deployed.status(poison) == "processing"
    assert waiting("payflow-webhooks-dev") == 0
    assert waiting("payflow-webhooks-dlq-dev") == 1


def test_another_origin_is_all_that_changes_when_no_more_is_chosen(deployed: Deployed) -> None:
    deployed.deploy(AllowedOrigin="https://another.example")
    answer = deployed.call("GET", "/v1/health")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://another.example"
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["WebhookQueueUrl"], AttributeNames=["VisibilityTimeout"]
    )["Attributes"]
    assert attributes["VisibilityTimeout"] == "2"


def test_a_stack_that_is_up_to_date_is_left_alone(
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
hint = {"type": "settle_payment", "payment_id": payment["id"]}
events["batch"]["Records"][0]["body"] = json.dumps(hint)
settled = app.webhook_processor(events["batch"], None)
swept = app.sweeper(events["minute"], None)
events["get"]["pathParameters"] = {"payment_id": payment["id"]}
found = json.loads(app.app(events["get"], None)["body"])
print(json.dumps([created["statusCode"], settled, swept, found["status"],
                  pydantic.__file__, pydantic_core.__file__]))
"""


def test_the_zip_needs_nothing_but_boto3(deployed: Deployed, twin: Path, tmp_path: Path) -> None:
    runtime, task = tmp_path / "runtime", tmp_path / "task"
    runtime.mkdir()
    site_packages = Path(boto3.__file__).parents[1]
    for name in RUNTIMES_OWN:
        (runtime / name).symlink_to(site_packages / name)
    with zipfile.ZipFile(twin / dist.ZIP) as archive:
        archive.extractall(task)
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
            **{name: os.environ[name] for name in os.environ if name.startswith("AWS_")},
            "PYTHONPATH": f"{task}:{runtime}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PAYFLOW_STAGE": "dev",
            "PAYFLOW_ALLOWED_ORIGIN": ORIGIN,
            "PAYFLOW_WEBHOOK_QUEUE_URL": deployed.outputs["WebhookQueueUrl"],
            "PAYFLOW_SIMULATION": "allowed",
        },
        input=json.dumps(events),
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    status, settled, swept, found, *modules = json.loads(ended.stdout.splitlines()[-1])
    assert (status, settled, found) == (201, {"batchItemFailures": []}, "completed")
    assert swept["stuck"] == 0
    assert all(module.startswith(str(task)) for module in modules)


def test_a_stack_that_was_taken_down_comes_back_with_its_payments(deployed: Deployed) -> None:
    payment_id = deployed.call("POST", "/v1/payments", request()).json["id"]
    cloudformation = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName="payflow-dev")
    waiter = cloudformation.get_waiter("stack_delete_complete")
    waiter.wait(StackName="payflow-dev", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    left = boto3.client("dynamodb").list_tables()["TableNames"]
    assert {"payflow-payments-dev", "payflow-idempotency-dev"} <= set(left)
    deployed.deploy(AllowedOrigin=ORIGIN)
    assert deployed.call("GET", f"/v1/payments/{payment_id}").status == 200
    resources = cloudformation.describe_stack_resources(StackName="payflow-dev")["StackResources"]
    assert {"PaymentsTable", "IdempotencyTable"} <= {one["LogicalResourceId"] for one in resources}
