"""Exports from their creation to their file."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.clients import s3_client
from chalicelib.aws.dynamodb import EARLIEST, LATEST
from chalicelib.aws.s3 import Bucket
from chalicelib.errors import IdempotencyKeyReused, NotFound, Unavailable, ValidationFailed
from chalicelib.exports.commands import CreateExport, ListExports
from chalicelib.exports.models import MAX_FRUITLESS, Export, ExportFailure, State
from chalicelib.exports.repository import LeaseLost
from chalicelib.messages import RunExport
from chalicelib.validation import validated
from tests.conftest import TEST, command, sweeper_of
from tests.exports.conftest import SETTLED_AFTER, Stage
from tests.payments.test_feed import followed, lives

MIN_PART = 5 * 1024 * 1024


class Killed(BaseException):
    """The worker's process ended here."""


def rows_of(stage: Stage, export: Export) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in stage.file_of(export).splitlines()]


def small_pages(monkeypatch: pytest.MonkeyPatch, size: int = 3) -> None:
    monkeypatch.setattr("chalicelib.exports.walk.PAGE", size)


def test_export_has_every_payment_once_oldest_first(stage: Stage) -> None:
    payments = stage.pay(7)
    export = stage.create(format="json_lines")
    assert stage.queue.messages == [RunExport(export.id)]
    done = stage.run(export)
    assert (done.state, done.rows, done.failure_reason) == (State.COMPLETED, 7, None)
    assert [row["id"] for row in rows_of(stage, done)] == [payment.id for payment in payments]
    assert done.size_bytes == len(stage.file_of(done))
    assert done.completed_at is not None
    assert done.expires_at == done.completed_at + timedelta(days=7)


def test_export_ends_at_a_moment_before_its_creation(stage: Stage) -> None:
    (old,) = stage.pay()
    stage.payments.create(command(), actor=TEST)
    export = stage.create(format="json_lines")
    assert export.up_to == export.created_at - SETTLED_AFTER
    stage.pay()
    done = stage.run(export)
    assert [row["id"] for row in rows_of(stage, done)] == [old.id]


def test_export_has_the_rows_that_its_filters_let_through(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    stage.pay(4, currency="CAD")
    wanted = stage.pay(2, currency="USD", type="wire")
    stage.pay(4, currency="USD", type="eft")
    by_type = stage.create(format="json_lines", filters={"currency": "USD", "type": "wire"})
    done = stage.run(by_type)
    assert [row["id"] for row in rows_of(stage, done)] == [payment.id for payment in wanted]
    times = {
        "created_from": wanted[0].created_at.isoformat(),
        "created_to": wanted[1].created_at.isoformat(),
    }
    by_time = stage.run(stage.create(format="json_lines", filters=times))
    assert [row["id"] for row in rows_of(stage, by_time)] == [payment.id for payment in wanted]


def test_export_of_refunds_has_each_once_as_it_is_now(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    lives(stage.payments, 4)
    stage.clock.advance(seconds=20)
    listed = stage.payments.repository
    refunds = [
        refund.model_dump(mode="json")
        for payment in [one.payment_id for one in listed.all(EARLIEST, LATEST, 10)][::-1]
        for _, refund in listed.refunds(payment)
        if refund is not None
    ]
    done = stage.run(stage.create(resource="refunds", format="json_lines"))
    assert done.rows == len(refunds) == 4
    assert [row["id"] for row in rows_of(stage, done)] == [refund["id"] for refund in refunds]
    assert {row["status"] for row in rows_of(stage, done)} == {"completed"}
    none = stage.create(resource="refunds", format="csv", filters={"status": "failed"})
    assert stage.run(none).rows == 0
    csv_ = stage.run(stage.create(resource="refunds"))
    text = stage.file_of(csv_).decode("utf-8-sig")
    assert [row["amount"] for row in csv.DictReader(io.StringIO(text))] == ["2.50"] * 4


def test_export_of_events_has_what_the_feed_tells(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    lives(stage.payments, 3)
    stage.clock.advance(seconds=20)
    told = [event.to_json() for event in followed(stage.payments)]
    done = stage.run(stage.create(resource="events", format="json_lines"))
    assert done.rows == len(told) == 15
    assert stage.file_of(done).decode().splitlines() == told
    completed = stage.create(resource="events", filters={"type": "payment.completed"})
    rows = csv.DictReader(io.StringIO(stage.file_of(stage.run(completed)).decode("utf-8-sig")))
    assert [(row["type"], row["refund_id"]) for row in rows] == [("payment.completed", "")] * 3


@pytest.mark.parametrize("format_", ["csv", "json_lines"])
def test_export_of_nothing_is_a_file_without_rows(stage: Stage, format_: str) -> None:
    done = stage.run(stage.create(format=format_))
    assert (done.state, done.rows) == (State.COMPLETED, 0)
    assert stage.file_of(done).count(b"\n") == (1 if format_ == "csv" else 0)


def test_link_downloads_a_named_file_for_fifteen_minutes_and_is_not_stored(stage: Stage) -> None:
    stage.pay()
    export = stage.create()
    assert stage.exports.get(export.id).link is None
    stage.run(export)
    link = stage.exports.get(export.id).link
    assert link is not None
    assert "X-Amz-Expires=900" in link
    assert "attachment" in link
    assert stage.exports.repository.get(export.id).link is None
    stage.clock.advance(days=6, hours=23, minutes=50)
    (listed,) = stage.exports.list_page(ListExports()).exports
    assert listed.link is not None
    assert "X-Amz-Expires=900" not in listed.link, "the file expires sooner"
    stage.clock.advance(minutes=10)
    assert stage.exports.get(export.id).link is None


def test_time_that_is_up_is_no_reason_to_begin_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch)
    payments = stage.pay(10)
    export, runs = stage.create(format="json_lines"), 0
    while export.state is State.PROCESSING:
        before = export
        export = stage.run(export, run_time=timedelta(0))
        runs += 1
        assert export.rows > before.rows or export.state is State.COMPLETED
        assert len(export.progress.parts) <= 1
    assert runs == 4
    assert [row["id"] for row in rows_of(stage, export)] == [payment.id for payment in payments]


def test_worker_killed_at_any_call_of_s3_or_the_table_costs_no_row_and_doubles_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each save and upload in turn, before and after it has been done."""
    small_pages(monkeypatch, 40)
    text = "x" * 490
    expected = [payment.id for payment in stage.pay(60, metadata={str(i): text for i in range(4)})]
    real: list[tuple[Any, str]] = [(stage.exports.repository, "save")]
    real += [(stage.worker.bucket, name) for name in CALLS]
    kills = 0
    for where, name in real:
        for after in (False, True):
            for nth in range(3):
                export = stage.create(format="json_lines")
                with monkeypatch.context() as patch:
                    if not killed_at(patch, where, name, nth, after, partial(stage.run, export)):
                        continue
                kills += 1
                stage.clock.advance(minutes=2)
                done = stage.run(export)
                assert done.state is State.COMPLETED
                assert [row["id"] for row in rows_of(stage, done)] == expected
    assert kills >= 10


CALLS = ("begin_upload", "upload_part", "complete_upload")


def killed_at(
    patch: pytest.MonkeyPatch, where: Any, name: str, nth: int, after: bool, run: Any
) -> bool:
    """Kill the worker at its call number `nth`. Returns whether it came to that."""
    call, calls = getattr(where, name), 0

    def killing(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth + 1:
            if after:
                call(*args, **named)
            raise Killed
        return call(*args, **named)

    patch.setattr(where, name, killing)
    try:
        run()
    except Killed:
        return True
    return False


def test_export_in_several_parts_is_resumed_at_the_last_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 100)
    expected = [payment.id for payment in stage.pay(260)]
    line = "chalicelib.exports.formats.JsonLines.line"
    monkeypatch.setattr(line, lambda _, row: f'{{"id":"{row.id}","x":"{"y" * 60_000}"}}\n'.encode())
    export = stage.create(format="json_lines")
    with monkeypatch.context() as patch:
        assert killed_at(
            patch, stage.worker.bucket, "upload_part", 1, True,
            lambda: stage.run(export, part_bytes=MIN_PART),
        )  # fmt: skip
    half = stage.exports.repository.get(export.id)
    assert [part.number for part in half.progress.parts] == [1]
    assert half.rows == 100
    assert stage.run(export) == half, "another worker may still hold the lease"
    stage.clock.advance(minutes=2)
    done = stage.run(export, part_bytes=MIN_PART)
    assert [row["id"] for row in rows_of(stage, done)] == expected


def test_late_part_of_a_worker_that_lost_its_lease_is_not_in_the_file(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was slow, not killed: its upload ends after the next worker's."""
    expected = [payment.id for payment in stage.pay(5)]
    export = stage.create(format="json_lines")
    upload = stage.worker.bucket.upload_part
    held: list[Any] = []

    def slow(key: str, upload_id: str, number: int, body: bytes) -> Any:
        held.append((key, upload_id, number, b"late"))
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(stage.worker.bucket, "upload_part", slow)
        with pytest.raises(Killed):
            stage.run(export)
    stage.clock.advance(minutes=2)

    def upload_after_the_late_one(*args: Any) -> Any:
        done = upload(*args)
        upload(*held.pop())
        return done

    monkeypatch.setattr(stage.worker.bucket, "upload_part", upload_after_the_late_one)
    done = stage.run(export)
    assert held == []
    assert [row["id"] for row in rows_of(stage, done)] == expected


def test_worker_that_lost_its_lease_writes_nothing(stage: Stage) -> None:
    stage.pay()
    export, repository = stage.create(), stage.exports.repository
    minute = timedelta(minutes=1)
    now = stage.clock()
    slow = repository.lease(export.id, now, now + minute)
    holder = repository.lease(export.id, now + 2 * minute, now + 3 * minute)
    assert slow is not None
    assert holder is not None
    for late in (slow.held(now + 4 * minute), slow.failed(ExportFailure.NO_PROGRESS)):
        with pytest.raises(LeaseLost):
            repository.save(slow, late)
    assert repository.get(export.id) == holder


def test_export_that_gets_no_further_fails_with_a_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = stage.create()

    def down(*_: Any) -> Any:
        raise Unavailable("S3 is out of reach; try again.")

    monkeypatch.setattr(stage.worker.bucket, "begin_upload", down)
    for _ in range(MAX_FRUITLESS):
        with pytest.raises(Unavailable):
            stage.run(export)
        assert stage.run(export).state is State.PROCESSING, "not due yet"
        stage.clock.advance(hours=2)
    failed = stage.run(export)
    assert (failed.state, failed.failure_reason) == (State.FAILED, ExportFailure.NO_PROGRESS)
    assert failed.due_at is None
    assert '"ExportsFailed": 1' in capsys.readouterr().out
    stage.clock.advance(days=6)
    assert stage.run(export) == failed


def test_export_whose_upload_is_gone_fails_with_a_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.pay()
    export = stage.create()
    with monkeypatch.context() as patch:
        assert killed_at(
            patch, stage.worker.bucket, "complete_upload", 0, False, lambda: stage.run(export)
        )
    begun = stage.exports.repository.get(export.id)
    stage.worker.bucket.abort_upload(begun.key, begun.progress.upload_id)
    stage.clock.advance(minutes=2)
    failed = stage.run(export)
    assert (failed.state, failed.failure_reason) == (State.FAILED, ExportFailure.UPLOAD_LOST)


def test_export_with_too_many_parts_fails_with_a_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.exports.worker.MAX_PARTS", 0)
    failed = stage.run(stage.create())
    assert (failed.state, failed.failure_reason) == (State.FAILED, ExportFailure.TOO_LARGE)


def test_row_that_cannot_be_read_is_counted_and_stops_nothing(stage: Stage) -> None:
    broken, sound = stage.pay(2)
    table = stage.exports.repository._table
    key = {"PK": f"PAY#{broken.id}", "SK": "PAYMENT"}
    table.write(table.update_request(key, set_={"status": "of_tomorrow"}))
    done = stage.run(stage.create(format="json_lines"))
    assert (done.rows, done.unreadable) == (1, 1)
    assert [row["id"] for row in rows_of(stage, done)] == [sound.id]


def test_sweeper_enqueues_an_export_whose_message_or_worker_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = sweeper_of(stage.payments)
    queue: Any = sweeper.exports_queue
    export = stage.create()
    stage.clock.advance(seconds=30)
    assert sweeper.sweep(stage.clock.now).enqueued == 1
    with monkeypatch.context() as patch:
        killed_at(patch, stage.worker.bucket, "begin_upload", 0, False, lambda: stage.run(export))
    queue.messages.clear()
    assert sweeper.sweep(stage.clock.now).enqueued == 0, "a worker may hold it"
    stage.clock.advance(seconds=90)
    assert sweeper.sweep(stage.clock.now).enqueued == 1
    assert queue.messages == [RunExport(export.id)]
    stage.run(export)
    assert sweeper.sweep(stage.clock.now).enqueued == 0


def test_stuck_export_is_reported(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    export = stage.create()
    stage.clock.advance(days=6)
    assert sweeper_of(stage.payments).sweep(stage.clock.now).stuck == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (report,) = [line for line in lines if line.get("kind") == "exports_stuck"]
    assert report["oldest"] == [export.id]


def test_repeated_request_has_one_export_and_the_same_answer(stage: Stage) -> None:
    asked = {
        "resource": "payments",
        "format": "csv",
        "filters": {"created_from": "2026-11-01"},
        "idempotency_key": "export-of-november",
    }
    first = stage.exports.create(validated(CreateExport, asked), actor=TEST)
    again = stage.exports.create(validated(CreateExport, asked), actor=TEST)
    assert (again.body, again.replayed) == (first.body, True)
    assert len(stage.exports.list_page(ListExports()).exports) == 1
    with pytest.raises(IdempotencyKeyReused):
        stage.exports.create(validated(CreateExport, asked | {"separator": ";"}), actor=TEST)


def test_exports_are_listed_newest_first_in_pages(stage: Stage) -> None:
    made = []
    for _ in range(5):
        made.append(stage.create().id)
        stage.clock.advance(seconds=1)
    seen: list[str] = []
    query = ListExports(limit=2)
    while True:
        page = stage.exports.list_page(query)
        seen += [export.id for export in page.exports]
        if page.next_cursor is None:
            break
        query = ListExports(limit=2, cursor=page.next_cursor)
    assert seen == made[::-1]


def test_unknown_export_is_not_found(stage: Stage) -> None:
    for unknown in ("EXP-01M82Y8T27997E9EYD0G6SK6MT", "none", "x" * 3000):
        with pytest.raises(NotFound):
            stage.exports.get(unknown)
    stage.worker.run("EXP-01M82Y8T27997E9EYD0G6SK6MT")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"resource": "everything"}, "resource"),
        ({"format": "xlsx"}, "format"),
        ({"filters": {"status": "lost"}}, "filters.status"),
        ({"filters": {"limit": 5}}, "filters.limit"),
        ({"filters": "all"}, "filters"),
        ({"resource": "refunds", "filters": {"merchant": "Other"}}, "filters.merchant"),
        ({"resource": "refunds", "filters": {"status": "canceled"}}, "filters.status"),
        ({"resource": "events", "filters": {"status": "completed"}}, "filters.status"),
        ({"resource": "payments", "filters": {"type": "payment.created"}}, "filters.type"),
        ({"resource": "everything", "filters": {"limit": 5}}, "resource"),
        ({"filters": {"created_from": "2026-11-02", "created_to": "2026-11-01"}},
         "filters.created_to"),
        ({"separator": "|"}, "separator"),
        ({"decimal_sign": "'"}, "decimal_sign"),
        *(({"time_zone": zone}, "time_zone")
          for zone in ("America/Atlantis", "../../etc/passwd", "America", "", "a" * 100, "/UTC")),
        ({"format": "json_lines", "time_zone": "UTC"}, "time_zone"),
        ({"format": "json_lines", "separator": ","}, "separator"),
    ],
)  # fmt: skip
def test_bad_request_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        validated(CreateExport, {"resource": "payments", "format": "csv"} | fields)
    assert [error.field for error in refused.value.errors] == [field]


def test_csv_adds_up_to_what_the_payments_do(stage: Stage) -> None:
    payments = [one for amount in ("0.01", "1000000", "12.30") for one in stage.pay(amount=amount)]
    done = stage.run(stage.create(separator=";", decimal_sign=",", time_zone="America/Toronto"))
    text = stage.file_of(done).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    total = sum(Decimal(row["amount"].replace(",", ".")) for row in rows)
    assert total == sum(payment.amount for payment in payments) == Decimal("1000012.31")


def test_links_name_the_region_and_are_signed_with_version_4() -> None:
    bucket = Bucket(lambda: s3_client("ca-central-1"), "payflow-exports-dev-123456789012")
    link = bucket.link("exports/EXP-1", "payments.csv", seconds=900)
    assert ".s3.ca-central-1.amazonaws.com/exports/EXP-1?" in link
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link


def test_other_errors_of_s3_are_no_outage() -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "CreateMultipartUpload")

    class S3:
        create_multipart_upload = staticmethod(refuse)

    with pytest.raises(ClientError):
        Bucket(S3, "any").begin_upload("key", "text/csv")
