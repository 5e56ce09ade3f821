"""Exports: create one, list them, and download their files.

Guarantee: an export shows no more than the lists do, and its range is fixed when it is created. It
ends a moment before, when every payment that was created until then is in the index. A link is made
for each answer and never stored; it lasts for at most 15 minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.audit.models import AuditEvent, AuditType, changes_of_new
from chalicelib.aws.dynamodb import LATEST
from chalicelib.aws.pagination import just_before, read_page
from chalicelib.aws.s3 import Bucket
from chalicelib.aws.sqs import Queue
from chalicelib.exports.commands import CreateExport, ListExports
from chalicelib.exports.models import Export, ExportPage, State
from chalicelib.exports.repository import ExportRepository
from chalicelib.idempotency import Created, RecordExists, record_key, record_of
from chalicelib.messages import RunExport, enqueue
from chalicelib.values import Actor, new_id

LINK_LIFETIME: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Exports:
    """The exports of one stage."""

    stage: str
    repository: ExportRepository
    queue: Queue
    bucket: Bucket
    settled_after: timedelta
    """How old a payment is when it is surely in the index: it was stamped, sent and indexed."""
    clock: Callable[[], datetime]

    def create(self, command: CreateExport, *, actor: Actor) -> Created:
        """Create an export, or return the first answer for its idempotency key.

        Raises IdempotencyKeyReused, Conflict or Unavailable.
        """
        now = self.clock()
        settled = now - self.settled_after
        export = Export(
            id=new_id("EXP", now),
            resource=command.resource,
            filters=command.filters,
            layout=command.layout,
            state=State.PROCESSING,
            failure_reason=None,
            rows=0,
            unreadable=0,
            size_bytes=0,
            up_to=min(settled, command.filters.created_to or settled),
            created_at=now,
            completed_at=None,
            expires_at=None,
            created_by=actor.name,
            created_by_id=actor.key_id,
            due_at=now,
        )
        body, record = export.to_json(), None
        if command.idempotency_key is not None:
            key = record_key("create_export", "all", command.idempotency_key)
            record = record_of(command, key, export.id, body, now)
        try:
            self.repository.create(export, _audited(export, actor), record)
        except RecordExists as exists:
            return exists.record.answer(export.id, command)
        enqueue(self.queue, [RunExport(export.id)], stage=self.stage)
        return Created(body, export.id, replayed=False)

    def get(self, export_id: str) -> Export:
        """Return the export, with a link to its file. Raises NotFound or Unavailable."""
        return self._linked(self.repository.get(export_id))

    def list_page(self, query: ListExports) -> ExportPage:
        """Return one page, newest first. Raises InvalidCursor or Unavailable."""
        exports, cursor = read_page(
            lambda last, size: self.repository.newest(
                LATEST if last is None else just_before(last), size
            ),
            query,
            query,
        )
        return ExportPage(exports=[self._linked(one) for one in exports], next_cursor=cursor)

    def _linked(self, export: Export) -> Export:
        now = self.clock()
        if export.expires_at is None or now >= export.expires_at:
            return export
        seconds = int(min(LINK_LIFETIME, export.expires_at - now).total_seconds())
        link = self.bucket.link(export.key, export.file_name, seconds=max(1, seconds))
        return export.model_copy(update={"link": link})


def _audited(export: Export, actor: Actor) -> AuditEvent:
    filters = export.filters.model_dump(mode="json", exclude_none=True)
    return AuditEvent.of(
        AuditType.EXPORT_CREATED,
        actor,
        export.created_at,
        resource=(export.id, export.resource.value),
        changes=changes_of_new({"format": export.layout.format.value, **filters}),
    )
