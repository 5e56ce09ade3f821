"""What every release has stored and sent is read as it was, and written as the newest did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.frozen import facts, product, scenario
from tests.frozen.product import Product
from tests.frozen.scenario import Stage


def each(name: str) -> pytest.MarkDecorator:
    """Once for each release that has this file of facts."""
    return pytest.mark.parametrize("release", facts.releases(name))


@contextmanager
def stage_with_rows_of(release: str, aws_url: str) -> Iterator[Stage]:
    with scenario.stage(aws_url) as stage:
        stage.load(facts.read(release, "rows"))
        yield stage


@pytest.fixture(scope="module")
def told(emulated_url: str) -> dict[str, Any]:
    """What the scenario leaves. Its stage has ended: another has the same tables."""
    with scenario.stage(emulated_url) as stage:
        scenario.tell(stage)
        return {
            "rows": stage.rows(),
            "messages": stage.product.messages,
            "webhooks": stage.posts,
            "log_lines": facts.log_lines(stage.unsettled),
        }


def key_of(row: Any) -> tuple[str, ...]:
    return tuple(row[name]["S"] for name in ("PK", "SK", "idempotencyKey") if name in row)


def kind_of(row: Any) -> str:
    """How its sort key begins."""
    kind = row["SK"]["S"].partition("#")[0] if "SK" in row else "record"
    is_endpoints = kind == "EVENT" and row["PK"]["S"].startswith("ENDPOINT#")
    return "ENDPOINT EVENT" if is_endpoints else kind


def test_the_scenario_writes_the_frozen_rows(told: dict[str, Any]) -> None:
    frozen = facts.newest("rows")
    written = {key_of(row): row for row in told["rows"]}
    assert written.keys() == {key_of(row) for row in frozen}
    for row in frozen:
        assert written[key_of(row)] == row


@each("rows")
def test_a_frozen_row_is_written_back_as_it_was_read(release: str) -> None:
    kinds = set()
    for row in facts.read(release, "rows"):
        kind = kind_of(row)
        kinds.add(kind)
        if kind in product.CODECS:
            read = {name: row[name] for name in row.keys() - product.NOT_READ}
            if kind == "EVENT" and "listing" not in row:  # before version 0.4, it is in no feed
                read["createdAt"] = {"S": f"{row['createdAt']['S']}#{row['id']['S']}"}
            assert not list(facts.missing(read, product.round_trip(kind, row))), row
    assert kinds >= product.CODECS.keys()


@each("answers")
def test_frozen_rows_are_shown_and_answers_replayed_byte_for_byte(
    release: str, emulated_url: str
) -> None:
    answers = facts.read(release, "answers")
    with stage_with_rows_of(release, emulated_url) as stage:
        for path, answer in answers["read"].items():
            frozen, shown = (without_cursor(text) for text in (answer, facts.get(path)))
            assert not list(facts.missing(frozen, shown)), path
        stage.now = scenario.START  # within every record's 24 hours
        for request in answers["created"]:
            assert replayed(stage.product, request) == request["answer"]


def without_cursor(text: str) -> Any:
    """An answer that only says whether there is a next page: cursors have facts of their own."""
    answer = facts.parsed(text)
    if "next_cursor" in answer:
        answer["next_cursor"] = bool(answer["next_cursor"])
    return answer


def replayed(payflow: Product, request: Any) -> str:
    """The stored answer to a request that is sent again."""
    if "of" in request:
        _, answer, is_replayed = payflow.create_refund(request["of"], **request["refund"])
    else:
        _, answer, is_replayed = payflow.create_payment(**request["payment"])
    assert is_replayed, request
    return answer


def test_the_scenario_sends_the_frozen_messages(told: dict[str, Any]) -> None:
    assert told["messages"] == facts.newest("messages")["sent"]


@each("messages")
def test_frozen_message_is_decoded_as_before(release: str) -> None:
    for body in facts.read(release, "messages")["sent"]:
        again = product.message_round_trip(body)
        assert not list(facts.missing(facts.parsed(body), facts.parsed(again)))


@each("messages")
def test_a_handler_retries_the_messages_that_it_retried_before(
    release: str, emulated_url: str
) -> None:
    with scenario.stage(emulated_url):
        for case in facts.read(release, "messages")["received"]:
            assert facts.is_retried(case["handler"], case["body"]) == case["is_retried"], case


def test_the_scenario_sends_the_frozen_webhooks(told: dict[str, Any]) -> None:
    assert told["webhooks"] == facts.newest("webhooks")


@each("cursors")
def test_frozen_cursor_continues_from_its_place(release: str) -> None:
    for case in facts.read(release, "cursors"):
        assert product.place_of(case["list"], case["filters"], case["cursor"]) == case["last"], case


def test_cursors_are_the_frozen_ones() -> None:
    assert facts.cursors() == facts.newest("cursors")


@each("fingerprints")
def test_a_request_still_matches_its_fingerprint(release: str) -> None:
    for case in facts.read(release, "fingerprints"):
        assert product.matches(case["command"], case["fields"], case["fingerprint"]), case


def test_log_lines_are_written_as_before(told: dict[str, Any]) -> None:
    frozen = facts.newest("log_lines")
    assert told["log_lines"] == {name: frozen[name] for name in ("requests", "metric")}


@each("log_lines")
def test_frozen_log_lines_are_read_as_before(release: str) -> None:
    frozen = facts.read(release, "log_lines")
    shown = facts.parsed(facts.logs(frozen["requests"]))
    assert not list(facts.missing(facts.parsed(frozen["logs"]), shown))
