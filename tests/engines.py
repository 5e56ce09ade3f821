"""The DynamoDB engines that the storage tests run on: moto in process, and AWS's own."""

import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local import provision

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGE: Final = "amplify-dynamodb-simulator"
_VERSION: Final = "2.9.30"
_TOOLS: Final = ROOT / ".tools" / f"{_PACKAGE}-{_VERSION}"


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """AWS's DynamoDB Local, in memory, until the block ends; yields its address."""
    jar = _fetched() / "DynamoDBLocal.jar"
    port = free_port()
    process = subprocess.Popen(
        [
            "java",
            f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}",
            "-jar",
            str(jar),
            "-inMemory",
            "-sharedDb",
            "-port",
            str(port),
        ],
        cwd=jar.parent,
        env={**os.environ, "DDB_LOCAL_TELEMETRY": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), f"DynamoDB Local listens on {port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _fetched() -> Path:
    """The folder with the engine, fetched once from npm; it is never part of the repository."""
    missing = [tool for tool in ("java", "npm") if shutil.which(tool) is None]
    if missing:
        reason = f"DynamoDB Local needs {' and '.join(missing)}; .ci/run shows how to install it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    emulator = _TOOLS / "package" / "emulator"
    if not emulator.exists():
        _TOOLS.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "pack", f"{_PACKAGE}@{_VERSION}", "--pack-destination", str(_TOOLS)],
            check=True,
            capture_output=True,
        )
        with tarfile.open(_TOOLS / f"{_PACKAGE}-{_VERSION}.tgz") as archive:
            archive.extractall(_TOOLS, filter="data")
    return emulator


def node_packages() -> Path:
    """The dashboard's node_modules, for tests that run Node."""
    packages = ROOT / "frontend" / "node_modules"
    if shutil.which("node") is None or not packages.exists():
        reason = "Node or frontend/node_modules is missing; `make test` installs the latter"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return packages


def create_tables(dynamodb: "DynamoDBClient", stage: str) -> None:
    """The tables of infra/backend.yaml, through the API: neither engine has CloudFormation."""
    for table in provision.tables(stage):
        wanted: dict[str, Any] = {
            name: table[name]
            for name in (
                "TableName",
                "BillingMode",
                "AttributeDefinitions",
                "KeySchema",
                "GlobalSecondaryIndexes",
            )
            if name in table
        }
        dynamodb.create_table(**wanted)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Any, what: str, *, seconds: float = 30) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return answer
