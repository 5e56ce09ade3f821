"""A stage with exports: its services on one engine, and the emulated S3."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from chalicelib.aws.s3 import Bucket
from chalicelib.exports.commands import CreateExport
from chalicelib.exports.models import Export
from chalicelib.exports.service import Exports
from chalicelib.exports.worker import ExportWorker
from chalicelib.payments.models import Payment
from tests.conftest import (
    SESSION,
    TEST,
    Clock,
    KeptQueue,
    command,
    export_repository_beside,
    new_repository,
    payments_on,
    stored,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_names = itertools.count(1)
SETTLED_AFTER = timedelta(seconds=15)


@dataclass
class Stage:
    """The services of a stage that share a clock, a queue and a bucket."""

    exports: Exports
    worker: ExportWorker
    clock: Clock
    payments: Any
    s3: Any
    bucket: str

    @property
    def queue(self) -> KeptQueue:
        assert isinstance(self.exports.queue, KeptQueue)
        return self.exports.queue

    def pay(self, count: int = 1, **fields: Any) -> list[Payment]:
        """Create payments that are old enough to be exported."""
        ids = [
            self.payments.create(command(**fields), actor=TEST).resource_id for _ in range(count)
        ]
        self.clock.advance(seconds=20)
        return [stored(self.payments.repository, payment_id) for payment_id in ids]

    def create(self, **fields: Any) -> Export:
        asked = {"resource": "payments", "format": "csv"} | fields
        created = self.exports.create(CreateExport.model_validate(asked), actor=TEST)
        return self.exports.repository.get(created.resource_id)

    def run(self, export: Export, **changes: Any) -> Export:
        """Let a worker run once, and return what it left."""
        replace(self.worker, **changes).run(export.id)
        return self.exports.repository.get(export.id)

    def file_of(self, export: Export) -> bytes:
        """Return the completed file, by its link."""
        link = self.exports.get(export.id).link
        assert link is not None
        with urlopen(link) as answer:  # noqa: S310 (the emulated S3)
            body: bytes = answer.read()
        return body

    def keys(self) -> list[str]:
        """Return the keys of all objects in the bucket."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket)
        return [one["Key"] for one in listed.get("Contents", [])]


@pytest.fixture
def s3(emulated_url: str) -> Iterator[Any]:
    session: Any = SESSION
    with closing(session.client("s3", endpoint_url=emulated_url)) as client:
        yield client


@pytest.fixture
def stage(engine: "DynamoDBClient", s3: Any, clock: Clock) -> Stage:
    """A stage on the engine under test."""
    repository = new_repository(engine)
    name = f"payflow-exports-test{next(_names)}-123456789012"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ca-central-1"})
    exports = export_repository_beside(repository)
    bucket = Bucket(lambda: s3, name)
    return Stage(
        Exports("test", exports, KeptQueue(), bucket, SETTLED_AFTER, clock),
        ExportWorker("test", exports, bucket, clock, lease=timedelta(minutes=1)),
        clock,
        payments_on(repository, clock),
        s3,
        name,
    )
