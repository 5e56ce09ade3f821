"""The engines, and the fixtures and builders that all tests share."""

import atexit
import importlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import moto.core  # noqa: F401 (it mocks only sessions that are created after its import)
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings

from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.aws.dynamodb import key_of
from chalicelib.aws.kms import Key
from chalicelib.aws.sqs import Queue
from chalicelib.exports.repository import ExportRepository
from chalicelib.messages import Message, decode
from chalicelib.payments.commands import CreatePayment, CreateRefund
from chalicelib.payments.facts import Fact
from chalicelib.payments.feed import BEHIND
from chalicelib.payments.models import Change, Event, Payment, Refund
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import Simulator
from chalicelib.sweeper import Sweeper
from chalicelib.values import SYSTEM, Actor
from chalicelib.webhooks.delivery_worker import DeliveryWorker, Post
from chalicelib.webhooks.http_client import PostResult as Answer
from chalicelib.webhooks.models import Delivery
from chalicelib.webhooks.outbox import WebhookOutbox
from chalicelib.webhooks.repository import WebhookRepository
from chalicelib.webhooks.service import Webhooks
from tests import engines, environment, hearing
from tests.invariants import scan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

# No test fails because it is slow: benchmarks measure time, on a quiet machine.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", unhurried, max_examples=20)
settings.register_profile("thorough", unhurried, max_examples=50)
settings.load_profile("thorough" if engines.IS_THOROUGH else "quick")
environment.clean()
REGION = "ca-central-1"
TEST = Actor("test")
"""Who makes the changes."""
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-webhooks-test"
EXPORTS_URL = f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-exports-test"
EXPORTS_BUCKET = "payflow-exports-test-123456789012"
DELIVERIES_URL = f"https://sqs.{REGION}.amazonaws.com/123456789012/payflow-deliveries-test"
SETTINGS = {
    "PAYFLOW_STAGE": "test",
    "PAYFLOW_ALLOWED_ORIGIN": "https://dashboard.example",
    "PAYFLOW_WEBHOOK_QUEUE_URL": QUEUE_URL,
    "PAYFLOW_DELIVERIES_QUEUE_URL": DELIVERIES_URL,
    "PAYFLOW_EXPORTS_QUEUE_URL": EXPORTS_URL,
    "PAYFLOW_EXPORTS_BUCKET": EXPORTS_BUCKET,
    "PAYFLOW_SIMULATION": "allowed",
    "PAYFLOW_AUTH": "open",
    "PAYFLOW_PARTIAL_BATCHES": "reported",
}
IN_PARTS = "PAYFLOW_TEST_HEARD_IN" in os.environ
"""Whether several processes run the suite, as `make test` does. They record the calls of AWS in one
folder, and the last process checks them."""
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
# One session for all: boto3.client() would load botocore's models in each test, for 0.2 s.
SESSION = boto3.Session("test", "test", region_name=REGION)
START = datetime(2026, 11, 22, 21, 57, 1, 120000, tzinfo=UTC)
_numbers = itertools.count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the tests that start stacks first: they take longest. Run test_heard last.

    On DynamoDB Local, run only what an engine can make a difference to.
    """
    if engines.ENGINE == engines.DYNAMODB_LOCAL:
        config.hook.pytest_deselected(items=[one for one in items if not _is_about_an_engine(one)])
        items[:] = [item for item in items if _is_about_an_engine(item)]
    items.sort(key=lambda item: (item.path.stem == "test_heard", "stack" not in item.path.parts))


def _is_about_an_engine(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    return "engine" in item.fixturenames or "stack" in item.path.parts


class Clock:
    """A clock that the test sets. Each reading adds a microsecond."""

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
    """The local stack's emulated AWS, one for each test process. Each test has its own tables."""
    with engines.emulated_aws(tmp_path_factory.mktemp("emulated")) as url:
        yield url


@pytest.fixture
def emulated_dynamodb(emulated_url: str) -> Iterator["DynamoDBClient"]:
    with closing(SESSION.client("dynamodb", endpoint_url=emulated_url)) as client:
        yield client


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator["DynamoDBClient"]:
    """A client of the engine under test."""
    url = request.getfixturevalue(f"{engines.ENGINE.replace('-', '_')}_url")
    with closing(SESSION.client("dynamodb", endpoint_url=url)) as client:
        yield client


def new_repository(dynamodb: "DynamoDBClient") -> PaymentRepository:
    """Return a repository with new tables."""
    stage = f"test{next(_numbers)}"
    engines.create_tables(dynamodb, stage)
    return PaymentRepository(
        dynamodb,
        payments_table=f"payflow-payments-{stage}",
        idempotency_table=f"payflow-idempotency-{stage}",
    )


@pytest.fixture
def repository(engine: "DynamoDBClient") -> PaymentRepository:
    """A repository on the engine under test."""
    return new_repository(engine)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes that collide are tried again at once."""
    monkeypatch.setattr("chalicelib.aws.dynamodb._BACKOFF_BASE_SECONDS", 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sqs(emulated_url: str) -> Iterator["SQSClient"]:
    with closing(SESSION.client("sqs", endpoint_url=emulated_url)) as client:
        yield client


@pytest.fixture
def payments(emulated_dynamodb: "DynamoDBClient", sqs: "SQSClient", clock: Clock) -> Payments:
    """The service on the emulated AWS."""
    webhooks, deliveries = (
        sqs.create_queue(QueueName=f"payflow-{name}-test{next(_numbers)}")["QueueUrl"]
        for name in ("webhooks", "deliveries")
    )
    repository = new_repository(emulated_dynamodb)
    return Payments(
        stage="test",
        repository=repository,
        queue=Queue(sqs, webhooks),
        processor=Simulator(clock=clock),
        outbox=WebhookOutbox("test", webhook_repository_beside(repository), Queue(sqs, deliveries)),
        simulation_allowed=True,
        clock=clock,
    )


@pytest.fixture
def refunds(payments: Payments) -> Refunds:
    return refunds_beside(payments)


def refunds_beside(payments: Payments) -> Refunds:
    """Return the refunds of the same stage."""
    return Refunds(payments)


def recorded(payment: Payment, fact: Fact, now: datetime) -> Change:
    """The change by a fact that is new to a payment."""
    change = payment.record(fact, now, actor=SYSTEM)
    assert change is not None
    return change


def refund_recorded(payment: Payment, refund: Refund, fact: Fact, now: datetime) -> Change:
    """The change by a fact that is new to a refund."""
    change = payment.record_refund(refund, fact, now, actor=SYSTEM)
    assert change is not None
    return change


def stored(repository: PaymentRepository, payment_id: str) -> Payment:
    """Return the stored payment, which must exist."""
    payment = repository.find(payment_id)
    assert payment is not None
    return payment


def stored_refund(repository: PaymentRepository, payment_id: str, refund_id: str) -> Refund:
    """Return the stored refund, which must exist."""
    refund = repository.find_refund(payment_id, refund_id)
    assert refund is not None
    return refund


def stored_refunds(repository: PaymentRepository, payment_id: str) -> list[Refund]:
    """Return all refunds of a payment, oldest first."""
    return [refund for _, refund in repository.refunds(payment_id) if refund is not None]


def stored_events(repository: PaymentRepository, payment_id: str) -> list[Event]:
    """Return all events of a payment, oldest first."""
    return [event for _, event in repository.events(payment_id) if event is not None]


def stored_deliveries(repository: WebhookRepository, payment_id: str) -> list[Delivery]:
    """Return all deliveries of a payment, newest first."""
    return [delivery for _, delivery in repository.of_payment(payment_id) if delivery is not None]


def outbox_of(payments: Payments) -> WebhookOutbox:
    assert isinstance(payments.outbox, WebhookOutbox)
    return payments.outbox


def webhooks_beside(payments: Payments, *, allows_private: bool = False) -> Webhooks:
    """Return the webhooks of the same stage."""
    outbox = outbox_of(payments)
    return Webhooks(
        stage=payments.stage,
        payments=payments,
        repository=outbox.repository,
        queue=outbox.queue,
        secrets_key=secrets_key(),
        allows_private=allows_private,
        clock=payments.clock,
    )


class KmsDouble:
    """KMS, without a process: its ciphertext names the context, and other contexts are refused."""

    def __init__(self) -> None:
        self.decrypted = 0
        self.fails_after: int | None = None
        """How many calls still succeed; None for all."""

    def encrypt(self, KeyId: str, Plaintext: bytes, EncryptionContext: Any) -> Any:  # noqa: N803
        self._answer("Encrypt")
        shut = json.dumps([Plaintext.decode()[::-1], EncryptionContext, KeyId]).encode()
        return {"CiphertextBlob": shut}

    def decrypt(self, KeyId: str, CiphertextBlob: bytes, EncryptionContext: Any) -> Any:  # noqa: N803
        self._answer("Decrypt")
        self.decrypted += 1
        turned, context, key = json.loads(CiphertextBlob)
        assert (context, key) == (EncryptionContext, KeyId)
        return {"Plaintext": turned[::-1].encode()}

    def _answer(self, operation: str) -> None:
        if self.fails_after is not None:
            self.fails_after -= 1
        if self.fails_after is not None and self.fails_after < 0:
            error: Any = {"Error": {"Code": "KMSInternalException"}}
            raise ClientError(error | {"ResponseMetadata": {"HTTPStatusCode": 500}}, operation)


def secrets_key() -> Key:
    """Return a key like that of each stage."""
    kms: Any = KmsDouble()
    return Key(lambda: kms, "alias/payflow-secrets-test")


def _tables_of(repository: PaymentRepository) -> dict[str, str]:
    return {
        "payments_table": repository._payments.name,
        "idempotency_table": repository.records._table.name,
    }


def webhook_repository_beside(repository: PaymentRepository) -> WebhookRepository:
    """Return the webhook repository on the same table."""
    table = repository._payments
    return WebhookRepository(table._dynamodb, **_tables_of(repository))


def key_repository_beside(repository: PaymentRepository) -> ApiKeyRepository:
    """Return the API key repository on the same table."""
    table = repository._payments
    return ApiKeyRepository(table._dynamodb, **_tables_of(repository))


class KeptQueue(Queue):
    """A queue that keeps its messages, so that a test can read them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.delays_seconds: list[int] = []
        """The delays of the messages that were sent with one."""

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        self.messages.append(decode(body))
        if delay_seconds:
            self.delays_seconds.append(delay_seconds)

    def send_batch(self, bodies: Sequence[str]) -> Mapping[int, str]:
        self.messages += map(decode, bodies)
        return {}


def queue_of(service: Payments | WebhookOutbox) -> KeptQueue:
    assert isinstance(service.queue, KeptQueue)
    return service.queue


def delivery_worker_on(
    webhooks: WebhookRepository,
    queue: Queue,
    clock: Callable[[], datetime],
    post: Post | None = None,
) -> DeliveryWorker:
    """Return a delivery worker whose POSTs all succeed, unless `post` is given."""

    def answer_all(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return Answer(200, 12, "ok", None, None, None)

    return DeliveryWorker(
        stage="test",
        repository=webhooks,
        queue=queue,
        secrets_key=secrets_key(),
        post=post or answer_all,
        clock=clock,
        lease=timedelta(seconds=75),
        jitter=lambda: 0.5,
    )


def payments_on(
    repository: PaymentRepository,
    clock: Callable[[], datetime],
    *,
    feed_behind: timedelta = BEHIND,
) -> Payments:
    """Return the service on any engine, with a queue that a test can read."""
    return Payments(
        stage="test",
        repository=repository,
        queue=KeptQueue(),
        processor=Simulator(clock=clock),
        outbox=WebhookOutbox("test", webhook_repository_beside(repository), KeptQueue()),
        simulation_allowed=True,
        clock=clock,
        feed_behind=feed_behind,
    )


def export_repository_beside(repository: PaymentRepository) -> ExportRepository:
    """Return the export repository on the same table."""
    table = repository._payments
    return ExportRepository(table._dynamodb, **_tables_of(repository))


@pytest.fixture
def sweeper(payments: Payments) -> Sweeper:
    return sweeper_of(payments)


def as_version_0_3_wrote(repository: PaymentRepository) -> None:
    """Take away what later versions write: the places in the feed and in the search."""
    table = repository._payments
    for row in scan(table._dynamodb, table.name):
        if "searchKey" in row:
            added = ["searchKey"] + ["listing"] * str(row["SK"]).startswith("EVENT#")
            table.write(table.update_request(key_of(dict(row)), remove=added))


def sweeper_of(payments: Payments) -> Sweeper:
    outbox = outbox_of(payments)
    return Sweeper(
        stage=payments.stage,
        payments=payments.repository,
        payments_queue=payments.queue,
        webhooks=outbox.repository,
        deliveries_queue=outbox.queue,
        exports=export_repository_beside(payments.repository),
        exports_queue=KeptQueue(),
        unit=timedelta(minutes=1),
    )


def refund_command(**fields: Any) -> CreateRefund:
    """Return a refund of all that is refundable, with a new key. `fields` override its fields.

    An amount of None is left out.
    """
    if fields.get("amount", ...) is None:
        del fields["amount"]
    return CreateRefund.model_validate(
        {"idempotency_key": f"test-refund-{next(_numbers):06}"} | fields
    )


def command(**fields: Any) -> CreatePayment:
    """Return a valid payment to create, with a new key. `fields` override its fields."""
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
