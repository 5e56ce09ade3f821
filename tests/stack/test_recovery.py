"""What the runbook's procedures make good, by the commands that it names, on the real stack.

Its sweeper is slow, so that nothing but the command can have done it.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from infra import ROOT
from infra.local.event_source import WAIT_SECONDS
from infra.ops.redrive import Redriven, redrive
from tests.engines import wait_until
from tests.stack.conftest import Stack, events, request, rows
from tests.stack.test_lifecycle import operate
from tests.stack.test_races import is_empty
from tests.stack.test_webhooks import COMPLETED, ENDPOINTS, a_merchant, ended, of_payment

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

SLOW = {"PAYFLOW_SWEEP_UNIT_SECONDS": "3600", "PAYFLOW_VISIBILITY_SECONDS": "1"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> "Path":
    return tmp_path_factory.mktemp("recovery")


@pytest.fixture(scope="module")
def quiet(state: "Path") -> Iterator[Stack]:
    running = Stack(state, **SLOW)
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()


@contextmanager
def nobody_works(stack: Stack) -> Iterator[None]:
    """The worker is stopped, and goes on afterwards."""
    worker = stack.children()["infra.local.worker"]
    worker.suspend()
    try:
        # A receive that waits at the queue still takes what comes, and nothing shows that it waits.
        time.sleep(WAIT_SECONDS)
        yield
    finally:
        worker.resume()


def command(stack: Stack, *words: str) -> str:
    """What the operator's command said; it ended well."""
    done = operate(stack, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(stack: Stack, simulate: str) -> str:
    reply = stack.client.post_until_answered(request(metadata={"simulate": simulate}))
    assert reply.status in {200, 201}, reply
    return str(reply.json["id"])


class Interrupted:
    """A client of SQS by which Ctrl-C comes at the worst moment: sent, and not yet deleted."""

    def __init__(self, sqs: "SQSClient") -> None:
        self._sqs = sqs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def delete_message_batch(self, **_: Any) -> None:
        raise KeyboardInterrupt


def visible(sqs: "SQSClient", url: str) -> int:
    name: Any = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def mend(dynamodb: "DynamoDBClient", payment_id: str) -> None:
    """Take away what makes its worker fail."""
    dynamodb.update_item(
        TableName="payflow-payments-local",
        Key={"PK": {"S": f"PAY#{payment_id}"}, "SK": {"S": "PAYMENT"}},
        UpdateExpression="SET #metadata = :mended",
        ExpressionAttributeNames={"#metadata": "metadata"},
        ExpressionAttributeValues={":mended": {"M": {"simulate": {"S": "completed"}}}},
    )


def test_redriven_dead_letters_are_settled_once(
    quiet: Stack,
) -> None:
    sqs, dynamodb = quiet.aws("sqs"), quiet.aws("dynamodb")
    dead = quiet.local.queue_url.replace("webhooks", "webhooks-dlq")
    failing = [make(quiet, "error") for _ in range(12)]
    wait_until(lambda: visible(sqs, dead) == 12, "all are dead letters")
    for body in ("no message", '{"type": "of a version to come"}'):
        sqs.send_message(QueueUrl=dead, MessageBody=body)
    would = command(quiet, "infra.ops.redrive", "local", "--queue", "webhooks", "--dry-run")
    assert "webhooks: 12 would be moved, 2 kept" in would
    assert visible(sqs, dead) == 14
    still_failing, *mended = failing
    for payment_id in mended:
        mend(dynamodb, payment_id)
    with pytest.raises(KeyboardInterrupt):
        redrive(Interrupted(sqs), "local", "webhooks", Redriven())  # type: ignore[arg-type]
    assert visible(sqs, dead) == 14
    said = command(quiet, "infra.ops.redrive", "local")
    # The payment that still fails may have another dead letter by then, from its message before.
    assert re.search(r"webhooks: 1[23] moved, 2 kept", said)
    assert "not a valid message: type 'of a version to come'" in said
    assert "deliveries: 0 moved, 0 kept" in said
    for payment_id in mended:
        assert quiet.client.settled(payment_id)["status"] == "completed"
    wait_until(
        lambda: is_empty(sqs, quiet.local.queue_url), "the messages that came twice are done"
    )
    for payment_id in mended:
        assert events(dynamodb, payment_id) == ["payment.created", "payment.completed"]
    # The payment that fails again has a dead letter for each of its two messages.
    assert visible(sqs, dead) == 4
    assert quiet.client.payment(still_failing)["status"] == "processing"
    sqs.purge_queue(QueueUrl=dead)
    mend(dynamodb, still_failing)
    command(quiet, "infra.ops.requeue", "local")
    assert quiet.client.settled(still_failing)["status"] == "completed"


def test_requeue_after_a_purge_finishes_everything_once(quiet: Stack) -> None:
    sqs, dynamodb = quiet.aws("sqs"), quiet.aws("dynamodb")
    queues = (quiet.local.queue_url, quiet.local.deliveries_url)
    with a_merchant() as (merchant, url):
        merchant.is_open.set()
        endpoint = quiet.client.post({"url": url}, ENDPOINTS).json["id"]
        paid = [make(quiet, "completed") for _ in range(3)]
        for payment_id in paid:
            assert ended(quiet.client, payment_id)["status"] == "delivered"
        with nobody_works(quiet):
            made = [make(quiet, "completed") for _ in range(12)]
            for payment_id in paid:
                key = {"Idempotency_Key": f"purged-{payment_id}"}
                path = f"/v1/payments/{payment_id}/refunds"
                assert quiet.client.post_until_answered({}, path, **key).status in {200, 201}
            for _ in range(6):
                assert quiet.client.post({}, f"{ENDPOINTS}/{endpoint}/test").status == 201
            for queue in queues:
                sqs.purge_queue(QueueUrl=queue)
        for queue in queues:
            wait_until(lambda queue=queue: is_empty(sqs, queue), "what pollers had is done")
        left = [one for one in made if quiet.client.payment(one)["status"] == "processing"]
        assert left, "the purge deleted their messages"
        sent = re.fullmatch(
            r"Enqueued (\d+) messages\.\n", command(quiet, "infra.ops.requeue", "local")
        )
        assert sent
        assert int(sent[1]) >= len(left)
        for payment_id in made:
            assert ended(quiet.client, payment_id)["status"] == "delivered"
            assert events(dynamodb, payment_id) == ["payment.created", "payment.completed"]
        for payment_id in paid:
            wait_until(
                lambda one=payment_id: (
                    "refund.completed" in events(dynamodb, one)
                    or "refund.failed" in events(dynamodb, one)
                ),
                "its refund is settled",
            )
            assert len(events(dynamodb, payment_id)) == 4
        expected = len(paid) + len(made) + len(paid) + 6
        wait_until(lambda: len(merchant.counts()) == expected, "all webhooks are delivered")
        for queue in queues:
            wait_until(lambda queue=queue: is_empty(sqs, queue), "nothing is under way")
        assert set(merchant.counts().values()) == {1}
        quiet.client.request("DELETE", f"{ENDPOINTS}/{endpoint}")


def test_a_stage_runs_on_as_it_was_at_a_moment_and_what_came_later_is_named(
    quiet: Stack, state: "Path"
) -> None:
    dynamodb, client = quiet.aws("dynamodb"), quiet.client
    fields = request(metadata=COMPLETED)
    first = client.post(fields)
    paid = client.settled(first.json["id"])["id"]
    with nobody_works(quiet):
        unfinished = make(quiet, "completed")
        quiet.aws("sqs").purge_queue(QueueUrl=quiet.local.queue_url)
        was = {payment_id: rows(dynamodb, payment_id) for payment_id in (paid, unfinished)}
        listed, totals = client.get("/v1/payments").body, client.get("/v1/stats").json["rows"]
        # The emulated AWS restores what is there now, whatever moment it is asked for.
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert "none\n" in command(quiet, "infra.ops.restore", "local", at)
    # What is made of the stage from here on is lost, and named.
    later = request(metadata=COMPLETED)
    lost = client.settled(client.post(later).json["id"])["id"]
    refund = client.post({}, f"/v1/payments/{paid}/refunds", Idempotency_Key=f"late-{paid}").json
    command(quiet, "infra.ops.requeue", "local")
    client.settled(unfinished)
    client.post({"name": "late", "scopes": ["read"]}, "/v1/api_keys")
    said = command(quiet, "infra.ops.restore", "local", at)
    assert named(said) == Counter(
        {
            ("payment", "created later", lost): 1,
            ("payment", "settled later; processing again", unfinished): 1,
            ("refund", "created later", refund["id"]): 1,
            ("api_key", "created later", "late"): 1,
            ("audit_event", "created later", "late"): 1,
        }
    )
    restored = re.search(r"RESTORED=(\w+)", said)
    assert restored
    assert "uses payflow-payments-20" in command(quiet, "infra.ops.switch", "local", restored[1])
    assert quiet.stop() == 0
    second = Stack(state, **SLOW)
    try:
        second.wait_until_up()
        assert second.client.get("/v1/payments").body == listed
        assert second.client.get("/v1/stats").json["rows"] == totals  # its days are today's
        dynamodb, client = second.aws("dynamodb"), second.client
        table = f"payflow-payments-{restored[1]}-local"
        assert was == {one: rows(dynamodb, one, table) for one in was}
        again = client.post(fields)
        assert (again.status, again.body) == (200, first.body)
        assert client.get(f"/v1/payments/{lost}").status == 404
        anew = client.post(later)
        assert anew.status == 201
        assert client.settled(anew.json["id"])["status"] == "completed"
        assert client.payment(unfinished)["status"] == "processing"
        assert "Enqueued 1 messages.\n" in command(second, "infra.ops.requeue", "local")
        assert client.settled(unfinished)["status"] == "completed"
        assert events(dynamodb, unfinished, table) == ["payment.created", "payment.completed"]
        assert of_payment(client, unfinished) == []
    finally:
        second.stop()


def named(said: str) -> Counter[tuple[str, str, str]]:
    """The rows of the report: kind, why, and what it is called."""
    file = re.search(r"listed in (\S+)", said)
    assert file
    lines = (ROOT / file[1]).read_text().splitlines()
    (ROOT / file[1]).unlink()
    rows = [json.loads(line) for line in lines]
    names = [row.get("name") or row.get("resourceName") or row["id"] for row in rows]
    return Counter((row["kind"], row["why"], name) for row, name in zip(rows, names, strict=True))
