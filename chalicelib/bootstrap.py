"""Builds the services of one stage from its settings, each on first use.

Modules that few processes need are also imported on first use: the API never sends a webhook.
"""

import functools
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chalicelib.api.request_log import RequestLog
from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.api_keys.service import ApiKeys
from chalicelib.audit.repository import AuditRepository
from chalicelib.audit.service import AuditLog
from chalicelib.aws.clients import dynamodb_client, kms_client, logs_client, s3_client, sqs_client
from chalicelib.aws.kms import Key
from chalicelib.aws.sqs import Queue
from chalicelib.config import Settings
from chalicelib.payments.refunds import Refunds
from chalicelib.payments.repository import PaymentRepository
from chalicelib.payments.service import Payments
from chalicelib.payments.simulator import Simulator
from chalicelib.telemetry import log
from chalicelib.webhooks.outbox import WebhookOutbox
from chalicelib.webhooks.repository import WebhookRepository
from chalicelib.webhooks.service import Webhooks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

    from chalicelib.aws.s3 import Bucket
    from chalicelib.exports.repository import ExportRepository
    from chalicelib.exports.service import Exports
    from chalicelib.exports.worker import ExportWorker
    from chalicelib.payments.settling import Settling
    from chalicelib.sweeper import Sweeper
    from chalicelib.webhooks.delivery_worker import DeliveryWorker
    from chalicelib.webhooks.http_client import HttpClient

Built = TypeVar("Built")
_BUILDING: Final = threading.RLock()


def now() -> datetime:
    """Return the current time: the clock of every service."""
    return datetime.now(UTC)


class _Lazy(functools.cached_property[Built]):
    """A service that is built on first use, and only once, even if threads race for it."""

    def __get__(self, services: Any, owner: Any = None) -> Built:  # type: ignore[override]
        with _BUILDING:
            built: Built = super().__get__(services, owner)
            return built


@dataclass(frozen=True)
class Services:
    """The services of one stage, in one process."""

    settings: Settings

    def warm_up(self) -> None:
        """Build what nearly every function uses, while Lambda gives more CPU: during its init."""
        _ = self.payments, self.api_keys

    @_Lazy
    def dynamodb(self) -> "DynamoDBClient":
        return dynamodb_client(self.settings.region)

    @_Lazy
    def sqs(self) -> "SQSClient":
        return sqs_client(self.settings.region)

    @_Lazy
    def kms(self) -> Any:
        return kms_client(self.settings.region)

    @_Lazy
    def secrets_key(self) -> Key:
        return Key(lambda: self.kms, self.settings.secrets_key)

    @_Lazy
    def payments_queue(self) -> Queue:
        settings = self.settings
        return Queue(self.sqs, settings.webhook_queue_url, name=settings.webhook_queue)

    @_Lazy
    def deliveries_queue(self) -> Queue:
        settings = self.settings
        return Queue(self.sqs, settings.deliveries_queue_url, name=settings.deliveries_queue)

    @_Lazy
    def payment_repository(self) -> PaymentRepository:
        return PaymentRepository(
            self.dynamodb,
            **self._tables,
        )

    @property
    def _tables(self) -> dict[str, str]:
        return {
            "payments_table": self.settings.payments_table,
            "idempotency_table": self.settings.idempotency_table,
        }

    @_Lazy
    def webhook_repository(self) -> WebhookRepository:
        return WebhookRepository(self.dynamodb, **self._tables)

    @_Lazy
    def outbox(self) -> WebhookOutbox:
        return WebhookOutbox(
            stage=self.settings.stage,
            repository=self.webhook_repository,
            queue=self.deliveries_queue,
        )

    @_Lazy
    def payments(self) -> Payments:
        return Payments(
            stage=self.settings.stage,
            repository=self.payment_repository,
            queue=self.payments_queue,
            processor=Simulator(clock=now),
            outbox=self.outbox,
            simulation_allowed=self.settings.simulation_allowed,
            feed_behind=timedelta(seconds=self.settings.feed_behind_seconds),
            clock=now,
        )

    @_Lazy
    def settling(self) -> "Settling":
        from chalicelib.payments.settling import Settling

        return Settling(self.payments)

    @_Lazy
    def refunds(self) -> Refunds:
        return Refunds(self.payments)

    @_Lazy
    def webhooks(self) -> Webhooks:
        return Webhooks(
            stage=self.settings.stage,
            payments=self.payments,
            repository=self.webhook_repository,
            queue=self.deliveries_queue,
            secrets_key=self.secrets_key,
            allows_private=self.settings.private_webhooks_allowed,
            clock=now,
        )

    @_Lazy
    def api_keys(self) -> ApiKeys:
        if not self.settings.key_required:
            log("no_key_required", stage=self.settings.stage)
        return ApiKeys(
            stage=self.settings.stage,
            repository=ApiKeyRepository(self.dynamodb, **self._tables),
            is_required=self.settings.key_required,
            clock=now,
        )

    @_Lazy
    def audit_log(self) -> AuditLog:
        return AuditLog(AuditRepository(self.dynamodb, self.settings.payments_table))

    @_Lazy
    def request_log(self) -> RequestLog:
        return RequestLog(logs_client(self.settings.region), self.settings.api_log_group)

    @_Lazy
    def http_client(self) -> "HttpClient":
        from chalicelib.webhooks.http_client import HttpClient

        return HttpClient(allows_private=self.settings.private_webhooks_allowed)

    @_Lazy
    def delivery_worker(self) -> "DeliveryWorker":
        from chalicelib.webhooks.delivery_worker import DeliveryWorker

        return DeliveryWorker(
            stage=self.settings.stage,
            repository=self.webhook_repository,
            queue=self.deliveries_queue,
            secrets_key=self.secrets_key,
            post=self.http_client.post,
            clock=now,
            lease=timedelta(seconds=self.settings.delivery_lease_seconds),
        )

    @_Lazy
    def exports_queue(self) -> Queue:
        settings = self.settings
        return Queue(self.sqs, settings.exports_queue_url, name=settings.exports_queue)

    @_Lazy
    def s3(self) -> Any:
        return s3_client(self.settings.region)

    @_Lazy
    def exports_bucket(self) -> "Bucket":
        from chalicelib.aws.s3 import Bucket

        return Bucket(lambda: self.s3, self.settings.exports_bucket)

    @_Lazy
    def export_repository(self) -> "ExportRepository":
        from chalicelib.exports.repository import ExportRepository

        return ExportRepository(self.dynamodb, **self._tables)

    @_Lazy
    def exports(self) -> "Exports":
        from chalicelib.exports.service import Exports

        return Exports(
            stage=self.settings.stage,
            repository=self.export_repository,
            queue=self.exports_queue,
            bucket=self.exports_bucket,
            settled_after=timedelta(seconds=self.settings.feed_behind_seconds),
            clock=now,
        )

    @_Lazy
    def export_worker(self) -> "ExportWorker":
        from chalicelib.exports.worker import ExportWorker

        return ExportWorker(
            stage=self.settings.stage,
            repository=self.export_repository,
            bucket=self.exports_bucket,
            clock=now,
            lease=timedelta(seconds=self.settings.export_lease_seconds),
        )

    @_Lazy
    def sweeper(self) -> "Sweeper":
        from chalicelib.sweeper import Sweeper

        return Sweeper(
            stage=self.settings.stage,
            payments=self.payment_repository,
            payments_queue=self.payments_queue,
            webhooks=self.webhook_repository,
            deliveries_queue=self.deliveries_queue,
            exports=self.export_repository,
            exports_queue=self.exports_queue,
            unit=timedelta(seconds=self.settings.sweep_unit_seconds),
        )
