"""Exports on a running stack: the API, the queue, the worker, the sweeper and the emulated S3."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.request import urlopen

import pytest

from tests.engines import wait_until
from tests.stack.conftest import Stack, request
from tests.stack.test_http import assert_problem

FILE = {"resource": "payments", "format": "json_lines"}


def old_enough(stack: Stack, payment_id: str) -> None:
    """Wait until an export includes the payment."""
    created = datetime.fromisoformat(stack.client.payment(payment_id)["created_at"])
    wait_until(lambda: datetime.now(UTC) - created > timedelta(seconds=1.5), "it is in the index")


def ended(stack: Stack, export_id: str) -> Any:
    def final() -> Any:
        export = stack.client.get(f"/v1/exports/{export_id}").json
        return None if export["state"] == "processing" else export

    return wait_until(final, f"{export_id} has ended")


def test_export_is_created_listed_and_downloaded_without_a_key(stack: Stack) -> None:
    payments = [stack.client.post(request(amount="12.30")).json for _ in range(3)]
    old_enough(stack, payments[-1]["id"])
    filters = {"created_from": payments[0]["created_at"]}
    created = stack.client.post(FILE | {"filters": filters}, "/v1/exports")
    assert (created.status, created.json["state"]) == (202, "processing")
    assert created.headers["Location"] == f"/v1/exports/{created.json['id']}"
    done = ended(stack, created.json["id"])
    assert (done["state"], done["failure_reason"]) == ("completed", None)
    with urlopen(done["link"]) as answer:  # noqa: S310 (the emulated S3)
        rows = [json.loads(line, parse_float=Decimal) for line in answer]
    exported = {row["id"]: row["amount"] for row in rows}
    assert {payment["id"] for payment in payments} <= exported.keys()
    assert {exported[payment["id"]] for payment in payments} == {Decimal("12.30")}
    assert done["rows"] == len(rows)
    newest = stack.client.get("/v1/exports?limit=1").json["exports"][0]
    assert newest["id"] == done["id"]


def test_repeated_request_is_one_export(stack: Stack) -> None:
    key = {"Idempotency-Key": "one-export-of-all"}
    first = stack.client.post(FILE, "/v1/exports", **key)
    again = stack.client.post(FILE, "/v1/exports", **key)
    assert (first.status, again.status) == (202, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body == first.body
    other = stack.client.post(FILE | {"format": "csv"}, "/v1/exports", **key)
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "resource"),
        (FILE | {"separator": ","}, "separator"),
        (FILE | {"format": "csv", "time_zone": "America/Atlantis"}, "time_zone"),
        (FILE | {"filters": {"created_from": "yesterday"}}, "filters.created_from"),
    ],
)
def test_bad_export_is_refused_by_field(stack: Stack, fields: Any, field: str) -> None:
    problem = assert_problem(stack.client.post(fields, "/v1/exports"), 400, "validation_failed")
    assert problem["errors"][0]["field"] == field


def test_export_goes_on_without_its_message(stack: Stack) -> None:
    """As of a worker that was killed: the row is due, and no message is there."""
    worker = stack.children()["infra.local.worker"]
    worker.suspend()
    try:
        export_id = stack.client.post(FILE, "/v1/exports").json["id"]
        stack.aws("sqs").purge_queue(QueueUrl=stack.local.exports_url)
    finally:
        worker.resume()
    assert ended(stack, export_id)["state"] == "completed"
