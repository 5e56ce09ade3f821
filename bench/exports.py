"""`make exports`: write a large export with its worker killed in between, and count it again.

Goal: every payment once, sums exact, memory that does not grow with the export, and no run longer
than five minutes. Each run of the worker is a process of its own, as it is on AWS; the first one is
killed after a part. The file is downloaded by its link, and compared with what was written.
"""

import argparse
import csv
import hashlib
import io
import json
import multiprocessing
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.request import urlopen

import boto3

from bench import page
from bench.ground import ground
from bench.growth import payments_of, rows_of
from bench.page import table
from chalicelib.aws.dynamodb import encode
from chalicelib.exports.models import Export, State
from infra.local.lambda_events import REGION, api_event, sqs_event

PAGE: Final = "exports"
BUCKET: Final = "payflow-exports-bench"
LEASE_SECONDS: Final = 5
_A_DAY: Final = 1_000
_BATCH: Final = 25
_LOADERS: Final = 3


class Sums(NamedTuple):
    """What must be the same in the table and in the file."""

    rows: int
    volume: dict[str, Decimal]
    """By currency and status."""
    ids: int
    """The sum of the ids' digests: the same for the same ids in any order."""


class Run(NamedTuple):
    """One process of the worker."""

    seconds: float
    peak_mb: float
    """0 of one that was killed."""
    rows: int


def add(sums: list[Sums]) -> Sums:
    volume: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in sums:
        for kind, amount in one.volume.items():
            volume[kind] += amount
    return Sums(sum(one.rows for one in sums), dict(volume), sum(one.ids for one in sums))


def digest(payment_id: str) -> int:
    return int.from_bytes(hashlib.sha256(payment_id.encode()).digest()[:8])


def fill(url: str, table_name: str, day: date) -> Sums:
    """Write a day's payments as the product would have."""
    dynamodb: Any = boto3.client("dynamodb", REGION, endpoint_url=url)
    payments = payments_of(day, _A_DAY)
    puts = [{"PutRequest": {"Item": encode(row)}} for row in rows_of(payments)]
    for start in range(0, len(puts), _BATCH):
        batch: Any = {table_name: puts[start : start + _BATCH]}
        if left := dynamodb.batch_write_item(RequestItems=batch)["UnprocessedItems"]:
            raise OSError(f"DynamoDB Local did not take all of a batch: {left}")
    volume: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, payment in payments:
        volume[f"{payment.currency} {payment.status}"] += payment.amount
    return Sums(_A_DAY, dict(volume), sum(digest(payment.id) for _, payment in payments))


def read_back(lines: Iterator[str]) -> Sums:
    volume: defaultdict[str, Decimal] = defaultdict(Decimal)
    rows = ids = 0
    newest = ""
    for row in csv.DictReader(lines):
        if row["created_at_utc"] < newest:
            raise ValueError(f"{row['id']} is out of order")
        newest = row["created_at_utc"]
        rows += 1
        ids += digest(row["id"])
        volume[f"{row['currency']} {row['status']}"] += Decimal(row["amount"])
    return Sums(rows, dict(volume), ids)


def work(export_id: str) -> None:
    """Run the worker once, in this process, and say how much memory that took."""
    import app

    app.export_worker(sqs_event(json.dumps({"type": "run_export", "export_id": export_id})), None)
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def run_once(repository: Any, export_id: str, *, kill_after_a_part: bool) -> Run:
    before: Export = repository.get(export_id)
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 (this module)
        [sys.executable, "-c", f"from bench.exports import work; work({export_id!r})"],
        stdout=subprocess.PIPE,
        text=True,
    )
    if kill_after_a_part:
        while process.poll() is None and repository.get(export_id).rows == before.rows:
            time.sleep(0.1)
        process.kill()
    out, _ = process.communicate()
    lines = out.splitlines()
    peak_mb = 0.0 if kill_after_a_part else json.loads(lines[-1])["peak_mb"]
    after: Export = repository.get(export_id)
    return Run(time.monotonic() - began, peak_mb, after.rows - before.rows)


def exported(app: Any) -> tuple[Export, list[Run]]:
    """Create an export through the API, and run its worker until it ends."""
    body = {"resource": "payments", "format": "csv"}
    created = json.loads(app.app(api_event("POST", "/v1/exports", body), None)["body"])
    repository = app.services.export_repository
    export: Export = repository.get(created["id"])
    runs: list[Run] = []
    while export.state is State.PROCESSING:
        runs.append(run_once(repository, export.id, kill_after_a_part=not runs))
        export = repository.get(export.id)
        if export.due_at is not None:  # the sweeper waits for the lease to end
            time.sleep(max(0.0, (export.due_at - datetime.now(UTC)).total_seconds()) + 0.1)
    return app.services.exports.get(export.id), runs


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench exports", description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--report", action="store_true", help=f"write docs/reports/{PAGE}.md")
    asked = parser.parse_args(arguments)
    days = asked.payments // _A_DAY
    with ground(
        PAYFLOW_EXPORTS_BUCKET=BUCKET,
        PAYFLOW_EXPORT_LEASE_SECONDS=str(LEASE_SECONDS),
        PYTHONPATH=str(page.ROOT),
    ) as app:
        s3: Any = boto3.client("s3", REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        url = app.services.dynamodb.meta.endpoint_url
        newest = datetime.now(UTC).date() - timedelta(days=1)
        began = time.monotonic()
        tasks = [
            (url, app.settings.payments_table, newest - timedelta(days=ago))
            for ago in reversed(range(days))
        ]
        with multiprocessing.get_context("spawn").Pool(_LOADERS) as pool:
            written = add(pool.starmap(fill, tasks))
        print(f"{written.rows:,} payments written in {time.monotonic() - began:.0f} s", flush=True)
        export, runs = exported(app)
        if export.link is None:
            sys.exit(f"The export is {export.state}: {export.failure_reason}.")
        with urlopen(export.link) as answer:  # noqa: S310 (the emulated S3)
            found = read_back(io.TextIOWrapper(answer, "utf-8-sig", newline=""))
    block = report(export, runs)
    print(block)
    if found != written:
        sys.exit(f"The file differs from what was written:\n{found}\n{written}")
    print("Every payment is in the file once, in order, and the sums are the same.")
    if asked.report:
        page.write(PAGE, {"runs": block, "machine": page.machine()})


def report(export: Export, runs: list[Run]) -> str:
    rows = [
        [
            f"{number}, killed" if not run.peak_mb else str(number),
            f"{run.rows:,}",
            f"{run.seconds:.1f}",
            f"{run.peak_mb:.0f}" if run.peak_mb else "",
        ]
        for number, run in enumerate(runs, start=1)
    ]
    size_mb = export.size_bytes / 1024 / 1024
    return f"{export.rows:,} payments, {size_mb:.0f} MiB of CSV.\n\n" + table(
        ["Run", "Payments stored", "Seconds", "Peak memory, MiB"], rows
    )


if __name__ == "__main__":
    main(sys.argv[1:])
