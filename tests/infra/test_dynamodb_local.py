"""How DynamoDB Local gets here: what was pinned, or a sentence; never half of it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local import dynamodb_local, provision
from infra.local.settings import SetupError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """Puts a command of this name before all others; nothing is installed yet."""
    monkeypatch.setattr(dynamodb_local, "_TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(dynamodb_local, "_HOME", tmp_path / ".tools" / "dynamodb-local")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
        dynamodb_local.java_version.cache_clear()

    yield put
    dynamodb_local.java_version.cache_clear()


def says(version: str) -> str:
    """A Java that says what version it is."""
    return f"""echo 'openjdk version "{version}" 2025-04-15' >&2"""


def assert_refused(tmp_path: Path, *words: str) -> None:
    with pytest.raises(SetupError) as refused:
        dynamodb_local.install()
    for word in words:
        assert word in str(refused.value)
    left = [path.name for path in (tmp_path / ".tools").glob("*")]
    assert left in ([], ["lock"]), "nothing that a later start would take for the engine"


def test_an_archive_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, on_path: Callable[[str, str], None]
) -> None:
    on_path("java", says("17.0.15"))
    on_path("npm", 'echo other > "$4/amplify-dynamodb-simulator-2.9.30.tgz"')
    assert_refused(tmp_path, "has changed", "sha512")


def test_an_npm_that_fails_is_quoted(tmp_path: Path, on_path: Callable[[str, str], None]) -> None:
    on_path("java", says("17.0.15"))
    on_path("npm", "echo no network >&2; exit 1")
    assert_refused(tmp_path, "npm could not download", "no network")


@pytest.mark.parametrize("script", ["exit 1", "exit 0", says("1.8.0_422")])
def test_missing_or_old_java_is_a_plain_message(
    tmp_path: Path, on_path: Callable[[str, str], None], script: str
) -> None:
    on_path("java", script)
    assert_refused(tmp_path, "needs Java 11 or newer")


@pytest.mark.parametrize(
    ("version", "keeps_out"),
    [("11.0.2", True), ("17.0.15", True), ("21", True), ("24-ea", False), ("25.0.1", False)],
)
def test_java_restricts_connections_if_it_can(
    on_path: Callable[[str, str], None], version: str, keeps_out: bool
) -> None:
    on_path("java", says(version))
    assert dynamodb_local.is_restricted_to_this_machine() is keeps_out
    is_asked = "-Djava.security.manager" in dynamodb_local.command(4567, None)
    assert is_asked is keeps_out, "a newer one does not start when asked"


def test_table_of_an_earlier_template_is_a_plain_message(engine: "DynamoDBClient") -> None:
    (wanted, *_) = [
        table for table in provision.tables("earlier") if "GlobalSecondaryIndexes" in table
    ]
    *earlier, _newest = wanted["GlobalSecondaryIndexes"]
    keys = {key["AttributeName"] for key in wanted["KeySchema"]} | {
        key["AttributeName"] for index in earlier for key in index["KeySchema"]
    }
    engine.create_table(
        TableName=wanted["TableName"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=wanted["KeySchema"],
        AttributeDefinitions=[
            attribute
            for attribute in wanted["AttributeDefinitions"]
            if attribute["AttributeName"] in keys
        ],
        GlobalSecondaryIndexes=earlier,
    )
    provision.create_tables(engine, "earlier")  # leaves it as it is
    with pytest.raises(SetupError, match=r"is not what infra/backend\.yaml says.*make reset"):
        provision._check(engine, wanted)
