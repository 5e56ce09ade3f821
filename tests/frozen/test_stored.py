"""Rows, messages, cursors and stored answers of every release are read as they were written."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.frozen import facts, product, scenario
from tests.frozen.scenario import Stage

NEWEST = facts.RELEASES[-1]


@pytest.fixture(scope="module")
def told() -> Iterator[Stage]:
    """A stage in which the scenario has happened."""
    with scenario.stage() as stage:
        scenario.tell(stage)
        yield stage


@pytest.fixture(params=facts.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def stored(release: str) -> Iterator[Stage]:
    """A stage with the rows that the release left, at the moment when it left them."""
    content = facts.read(release, "rows")
    with scenario.stage() as stage:
        stage.load(content["rows"])
        stage.now = datetime.fromisoformat(content["now"])
        yield stage


def key_of(row: Any) -> tuple[str, ...]:
    return tuple(row[name]["S"] for name in ("PK", "SK", "idempotencyKey") if name in row)


def kind_of(row: Any) -> str:
    """How its sort key begins."""
    kind = row["SK"]["S"].partition("#")[0] if "SK" in row else "record"
    is_endpoints = kind == "EVENT" and row["PK"]["S"].startswith("ENDPOINT#")
    return "ENDPOINT EVENT" if is_endpoints else kind


def test_the_scenario_writes_the_frozen_rows(told: Stage) -> None:
    frozen = facts.read(NEWEST, "rows")["rows"]
    written = {key_of(row): row for row in told.rows()}
    assert written.keys() == {key_of(row) for row in frozen}
    for row in frozen:
        assert written[key_of(row)] == row


def test_a_frozen_row_is_written_back_as_it_was_read(release: str) -> None:
    kinds = set()
    for row in facts.read(release, "rows")["rows"]:
        kind = kind_of(row)
        kinds.add(kind)
        if kind in product.CODECS:
            read = {name: row[name] for name in row.keys() - product.NOT_READ}
            assert product.round_trip(kind, row) == read
    assert kinds >= product.CODECS.keys()


def test_requests_over_frozen_rows_are_answered_as_before(release: str, stored: Stage) -> None:
    for path, answer in facts.read(release, "answers")["read"].items():
        assert facts.get(path) == answer, path


def test_a_frozen_answer_is_replayed_byte_for_byte(release: str, stored: Stage) -> None:
    stored.now = scenario.START  # within every record's 24 hours
    for request in facts.read(release, "answers")["created"]:
        if "of" in request:
            replayed = stored.product.create_refund(request["of"], **request["refund"])
        else:
            replayed = stored.product.create_payment(**request["payment"])
        assert replayed[1:] == (request["answer"], True)


def test_the_scenario_sends_the_frozen_messages(told: Stage) -> None:
    assert told.product.messages == facts.read(NEWEST, "messages")["sent"]


def test_a_frozen_message_is_known_and_encoded_the_same(release: str) -> None:
    for body in facts.read(release, "messages")["sent"]:
        assert product.message_round_trip(body) == body


def test_a_handler_retries_the_messages_that_it_retried_before(release: str) -> None:
    with scenario.stage():
        for case in facts.read(release, "messages")["received"]:
            assert facts.is_retried(case["handler"], case["body"]) == case["is_retried"], case


def test_the_scenario_sends_the_frozen_webhooks(told: Stage) -> None:
    assert told.posts == facts.read(NEWEST, "webhooks")


def test_a_cursor_is_read_and_written_as_before(release: str) -> None:
    for case in facts.read(release, "cursors"):
        kind, filters = case["list"], case["filters"]
        assert product.cursor_at(kind, filters, case["last"]) == case["cursor"], case
        assert product.place_of(kind, filters, case["cursor"]) == case["last"], case


def test_a_request_keeps_its_fingerprint(release: str) -> None:
    for case in facts.read(release, "fingerprints"):
        assert product.digest_of(case["command"], case["fields"]) == case["fingerprint"], case
