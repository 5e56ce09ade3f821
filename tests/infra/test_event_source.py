"""The local event source decides as Lambda's does which messages stay in the queue."""

from typing import Any

import pytest

from infra.local.event_source import failed_ids

BATCH = {"a", "b"}


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}]
)
def test_batch_without_reported_failures_is_deleted(answer: Any) -> None:
    assert failed_ids(answer, BATCH) == set()


def test_only_reported_messages_stay() -> None:
    assert failed_ids({"batchItemFailures": [{"itemIdentifier": "b"}]}, BATCH) == {"b"}


@pytest.mark.parametrize(
    "answer",
    [
        "", [], {"failures": []},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "a"}]},
        {"batchItemFailures": [{"itemIdentifier": "another batch's"}]},
    ],
)  # fmt: skip
def test_invalid_answer_keeps_the_whole_batch(answer: Any) -> None:
    assert failed_ids(answer, BATCH) is None
