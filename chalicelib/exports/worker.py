"""The export worker: writes an export's file in parts, and in runs of a few minutes.

Guarantee: an export ends, completed or failed with a reason, whatever happens to its messages and
workers. A completed file has every row once. Memory is bounded: a part and a page of rows.

    message ──▶ lease ──▶ page ──▶ page … ──▶ part of 8 MiB ──▶ save: cursor, rows, part
                            ▲                                      │
                            └──────────────────────────────────────┤
                                   all rows: complete the upload ──┤──▶ completed
                                   time is up: keep the tail ──────┘──▶ due again: the sweeper

A part goes to S3 first, and is saved then. If the worker dies between the two, the next one uploads
those rows again, under another number, and the part that nobody saved is not in the file. The lease
is renewed by every save. The worker sends no message to itself: Lambda takes that for a loop.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chalicelib.aws.s3 import MIN_PART_BYTES, Bucket, UploadLost
from chalicelib.errors import Conflict, Unavailable
from chalicelib.exports import walk
from chalicelib.exports.formats import CONTENT_TYPES, lines
from chalicelib.exports.models import MAX_FRUITLESS, Export, ExportFailure, Tail
from chalicelib.exports.repository import ExportRepository, LeaseLost
from chalicelib.telemetry import count, log

PART_BYTES: Final = 8 * 1024 * 1024
MAX_PARTS: Final = 1000
"""The export's row lists them, and must stay small; S3 allows ten times as many numbers."""
RUN: Final = timedelta(minutes=5)
"""Shorter than the function may run."""
assert PART_BYTES >= MIN_PART_BYTES


@dataclass(frozen=True)
class ExportWorker:
    """The export worker of one stage."""

    stage: str
    repository: ExportRepository
    bucket: Bucket
    clock: Callable[[], datetime]
    lease: timedelta
    """Longer than a page and a part take."""
    run_time: timedelta = RUN
    part_bytes: int = PART_BYTES

    def run(self, export_id: str) -> None:
        """Go on with an export if it is due. Raises Conflict or Unavailable: call again then."""
        began = self.clock()
        leased = self.repository.lease(export_id, began, began + self.lease)
        if leased is None:
            return
        run = _Run(self, leased, began + self.run_time)
        try:
            if leased.progress.fruitless > MAX_FRUITLESS:
                run.fail(ExportFailure.NO_PROGRESS)
            else:
                run.go_on()
        except LeaseLost:
            # The run outlasted its lease: the worker that holds the lease now continues.
            log("export_lease_lost", export_id=export_id)
        except (Conflict, Unavailable):
            run.give_back()
            raise


class _Run:
    """One run of the worker, until `ends`."""

    def __init__(self, worker: ExportWorker, leased: Export, ends: datetime) -> None:
        self._worker = worker
        self._ends = ends
        self._buffer = bytearray()
        self._rows = self._unreadable = 0
        self.export = leased

    def go_on(self) -> None:
        """Write rows until all are written, or until the run must end.

        Raises LeaseLost, Conflict or Unavailable.
        """
        try:
            self._go_on()
        except UploadLost:
            self.fail(ExportFailure.UPLOAD_LOST)

    def _go_on(self) -> None:
        if not self.export.progress.upload_id:
            upload_id = self._worker.bucket.begin_upload(
                self.export.key, CONTENT_TYPES[self.export.layout.format]
            )
            self._save(self.export.uploading(upload_id))
        if self.export.progress.is_walked or self._write_rows():
            self._complete()

    def _write_rows(self) -> bool:
        """Return whether all rows are in the parts."""
        writer = lines(self.export.layout, walk.SOURCES[self.export.resource].columns)
        if self.export.progress.tail is not None:
            self._buffer += self._worker.bucket.get(self.export.progress.tail.key)
        elif not self.export.progress.parts:
            self._buffer += writer.header()
        self._rows, self._unreadable = self.export.rows, self.export.unreadable
        for page in walk.pages(self._worker.repository, self.export):
            for row in page.rows:
                self._buffer += writer.line(row)
            self._rows += len(page.rows)
            self._unreadable += page.unreadable
            is_over = self._worker.clock() >= self._ends and not page.is_last
            if page.is_last or len(self._buffer) >= self._worker.part_bytes:
                if len(self.export.progress.parts) == MAX_PARTS:
                    self.fail(ExportFailure.TOO_LARGE)
                    return False
                self._save_part(page, is_over=is_over)
            elif is_over:
                self._save_tail(page)
            else:
                self._hold()
            if is_over:
                return False
        return True

    def _save_part(self, page: walk.Page, *, is_over: bool) -> None:
        export = self.export
        # Even an empty file has one part.
        body = bytes(self._buffer)
        self._buffer.clear()
        part = self._worker.bucket.upload_part(
            export.key, export.progress.upload_id, export.next_part_number, body
        )
        now = self._worker.clock()
        until = now if is_over else now + self._worker.lease
        grown = export.grown(page.cursor, self._rows, self._unreadable, part, len(body), until)
        self._save(grown.walked() if page.is_last else grown)

    def _save_tail(self, page: walk.Page) -> None:
        """Keep rows that are too few for a part, and let the next run begin."""
        tail = None
        if self._buffer:
            key = f"unfinished/{self.export.id}/{self._rows}"
            self._worker.bucket.put(key, bytes(self._buffer))
            tail = Tail(key, len(self._buffer))
        self._save(
            self.export.paused(
                page.cursor, self._rows, self._unreadable, tail, self._worker.clock()
            )
        )

    def _hold(self) -> None:
        """Renew the lease when half of it is over."""
        now, due_at = self._worker.clock(), self.export.due_at
        if due_at is not None and due_at - now < self._worker.lease / 2:
            self._save(self.export.held(now + self._worker.lease))

    def _complete(self) -> None:
        progress = self.export.progress
        self._worker.bucket.complete_upload(self.export.key, progress.upload_id, progress.parts)
        self._save(self.export.completed(self._worker.clock()))
        log("export_completed", export_id=self.export.id, rows=self.export.rows)

    def fail(self, reason: ExportFailure) -> None:
        """End the export as failed. Raises LeaseLost."""
        upload_id = self.export.progress.upload_id
        self._save(self.export.failed(reason))
        log("export_failed", export_id=self.export.id, reason=reason)
        count(self._worker.stage, ExportsFailed=1)
        if upload_id:
            with suppress(Unavailable):  # the bucket's lifecycle aborts it
                self._worker.bucket.abort_upload(self.export.key, upload_id)

    def give_back(self) -> None:
        """Let another run begin after a pause; without it, when the lease ends."""
        with suppress(Conflict, LeaseLost, Unavailable):
            self._save(self.export.given_back(self._worker.clock()))

    def _save(self, after: Export) -> None:
        self._worker.repository.save(self.export, after)
        self.export = after
