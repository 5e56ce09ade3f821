"""The engines, and the pieces that every test builds its payments from."""

import atexit
import importlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import moto.core  # noqa: F401 (only sessions that are made after it can be mocked)
import pytest
from hypothesis import settings

from chalicelib.commands import CreatePayment, CreateRefund
from chalicelib.payments import Payments
from chalicelib.processor import Simulator
from chalicelib.queue_jobs import Job, Queue
from chalicelib.refunds import Refunds
from chalicelib.store import Store
from chalicelib.sweeper import Sweeper
from chalicelib.webhook_delivery import Courier, Send
from chalicelib.webhook_outbox import Outbox
from chalicelib.webhook_sender import Attempt as Answer
from chalicelib.webhook_store import WebhookStore
from tests import engines, hearing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

# No test fails for being slow: that is for benchmarks, on a quiet machine.
settings.register_profile("quick", settings(), deadline=None, max_examples=20)
settings.register_profile("thorough", settings(), deadline=None, max_examples=100)
settings.load_profile("thorough" if engines.IS_THOROUGH else "quick")
# Whatever a developer's shell says, no test reaches a real account.
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="ca-central-1")
REGION = "ca-central-1"
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-webhooks-test"
DELIVERIES_URL = f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-deliveries-test"
SETTINGS = {
    "PAYFLOW_STAGE": "test",
    "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
    "PAYFLOW_WEBHOOK_QUEUE_URL": QUEUE_URL,
    "PAYFLOW_DELIVERIES_QUEUE_URL": DELIVERIES_URL,
    "PAYFLOW_SIMULATION": "allowed",
    "PAYFLOW_AUTH": "open",
}
IN_PARTS = "PAYFLOW_TEST_HEARD_IN" in os.environ
"""Whether several processes run the suite, as `make test` has them. They write what they hear into
one folder, and the last of them judges it."""
_heard_in = Path(
    os.environ.get("PAYFLOW_TEST_HEARD_IN") or tempfile.mkdtemp(prefix="payflow-heard-")
)
if not IN_PARTS:
    atexit.register(shutil.rmtree, _heard_in)
HEARD_FROM_STACKS, HEARD_FROM_TESTS = _heard_in / "stacks", _heard_in / "tests"
for _folder in (HEARD_FROM_STACKS, HEARD_FROM_TESTS):
    _folder.mkdir(exist_ok=True)
recorder = hearing.Recorder(keep=hearing.write_down(HEARD_FROM_TESTS))
recorder.listen()  # before the app makes its clients
with patch.dict("os.environ", SETTINGS):
    payflow: Any = importlib.import_module("app")  # it reads its settings on import
# Each boto3.client() of its own would read botocore's models anew, a fifth of a second a test.
SESSION = boto3.Session(region_name=REGION)
START = datetime(2026, 11, 22, 21, 57, 1, 120000, tzinfo=UTC)
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what starts stacks, since it takes longest and the stacks can then end; last what is
    heard of all tests.
    """
    items.sort(key=lambda item: (item.path.stem == "test_heard", "stack" not in item.path.parts))


class Clock:
    """Says what the test says it is; every reading is a microsecond later than the last."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    with engines.dynamodb_local() as url:
        yield url


@pytest.fixture(scope="session")
def emulated_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The local stack's emulated AWS, one a process of the tests: each test has its own tables."""
    with engines.emulated_aws(tmp_path_factory.mktemp("emulated")) as url:
        yield url


@pytest.fixture
def emulated_dynamodb(emulated_url: str) -> Iterator["DynamoDBClient"]:
    with closing(SESSION.client("dynamodb", endpoint_url=emulated_url)) as client:
        yield client


@pytest.fixture(params=["emulated", "dynamodb-local"])
def engine(request: pytest.FixtureRequest) -> Iterator["DynamoDBClient"]:
    """A DynamoDB client on each engine in turn."""
    url = request.getfixturevalue(f"{request.param.replace('-', '_')}_url")
    with closing(SESSION.client("dynamodb", endpoint_url=url)) as client:
        yield client


def new_store(dynamodb: "DynamoDBClient") -> Store:
    """A store on tables of its own."""
    stage = f"test{next(_numbers)}"
    engines.create_tables(dynamodb, stage)
    return Store(
        dynamodb,
        payments_table=f"payflow-payments-{stage}",
        idempotency_table=f"payflow-idempotency-{stage}",
    )


@pytest.fixture
def store(engine: "DynamoDBClient") -> Store:
    """On both engines."""
    return new_store(engine)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sqs(emulated_url: str) -> Iterator["SQSClient"]:
    with closing(SESSION.client("sqs", endpoint_url=emulated_url)) as client:
        yield client


@pytest.fixture
def payments(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient", clock: Clock) -> Payments:
    """The use cases on the emulated AWS."""
    webhooks, deliveries = (
        sqs.create_queue(QueueName=f"payflow-{name}-test{next(_numbers)}")["QueueUrl"]
        for name in ("webhooks", "deliveries")
    )
    store = new_store(emulated_dynamodb)
    return Payments(
        stage="test",
        store=store,
        queue=Queue(sqs, webhooks),
        processor=Simulator(),
        outbox=Outbox("test", webhooks_beside(store), Queue(sqs, deliveries), clock),
        simulation_allowed=True,
        clock=clock,
    )


@pytest.fixture
def refunds(payments: Payments) -> Refunds:
    return refunds_beside(payments)


def refunds_beside(payments: Payments) -> Refunds:
    """The use cases of refunds, on what `payments` works with."""
    shared = {name: value for name, value in vars(payments).items() if name in SHARED}
    return Refunds(**shared)


SHARED = {"stage", "store", "queue", "processor", "outbox", "clock"}


def webhooks_beside(store: Store) -> WebhookStore:
    """On the same table."""
    return WebhookStore(store._payments._dynamodb, payments_table=store._payments.name)


class KeptQueue(Queue):
    """Keeps its hints; it is no queue but what a test makes of them."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.delays: list[int] = []
        """Of the jobs that were sent one by one."""

    def send(self, job: Job, *, delay_seconds: int = 0) -> None:
        self.jobs.append(job)
        self.delays.append(delay_seconds)

    def send_all(self, jobs: Iterable[Job]) -> int:
        before = len(self.jobs)
        self.jobs.extend(jobs)
        return len(self.jobs) - before


def courier_on(
    webhooks: WebhookStore, queue: Queue, clock: Callable[[], datetime], send: Send | None = None
) -> Courier:
    """A delivery worker whose POSTs are all answered, unless `send` says otherwise."""

    def answer_all(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return Answer(200, 12, "ok", None, None, None)

    return Courier(
        stage="test",
        store=webhooks,
        queue=queue,
        send=send or answer_all,
        clock=clock,
        lease=timedelta(seconds=75),
        chance=lambda: 0.5,
    )


def payments_on(store: Store, clock: Callable[[], datetime]) -> Payments:
    """The use cases on any engine, with a queue that a test can read."""
    return Payments(
        stage="test",
        store=store,
        queue=KeptQueue(),
        processor=Simulator(),
        outbox=Outbox("test", webhooks_beside(store), KeptQueue(), clock),
        simulation_allowed=True,
        clock=clock,
    )


@pytest.fixture
def sweeper(payments: Payments) -> Sweeper:
    outbox = payments.outbox
    return Sweeper(
        stage="test",
        store=payments.store,
        queue=payments.queue,
        webhooks=outbox.store,
        deliveries=outbox.queue,
        unit=timedelta(minutes=1),
    )


def refund_command(**fields: Any) -> CreateRefund:
    """A request for all that is left, unless `fields` say otherwise, with a key of its own."""
    return CreateRefund.model_validate(
        {"idempotency_key": f"test-refund-{next(_numbers):06}"} | fields
    )


def command(**fields: Any) -> CreatePayment:
    """A valid request; `fields` replace what the test is about. Every one has a key of its own."""
    return CreatePayment.model_validate(
        {
            "merchant": "Northern Lights Coffee",
            "amount": "12.50",
            "currency": "CAD",
            "type": "eft",
            "idempotency_key": f"test-key-{next(_numbers):06}",
        }
        | fields
    )
