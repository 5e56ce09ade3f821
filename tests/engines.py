"""The DynamoDB engines of the storage tests: the emulated AWS, and AWS's DynamoDB Local."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pytest

from infra.local import engines, provision
from infra.local.settings import SetupError

ROOT: Final = Path(__file__).resolve().parents[1]
create_tables: Final = provision.create_tables
emulated_aws: Final = engines.emulated_aws
free_port: Final = engines.free_port
accepts: Final = engines.accepts
wait_until: Final = engines.wait_until
DYNAMODB_LOCAL: Final = "dynamodb-local"
ENGINE: Final = os.environ.get("PAYFLOW_TEST_DYNAMODB") or "emulated"
"""The engine of the storage tests and of the tests' stacks; no test may depend on which one it is.
`make test` takes the emulated AWS, `make test-dynamodb-local` the other one, and CI runs both."""
IS_THOROUGH: Final = bool(os.environ.get("CI"))
"""CI tries more examples and repeats races more often than a developer wants to wait for."""


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local, in memory, until the block ends; yield its address."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(engines.dynamodb_local())
        except SetupError as error:
            _skip_unless_in_ci(str(error))
        yield url


def node_packages() -> Path:
    """Return the dashboard's node_modules, for tests that run Node."""
    packages = ROOT / "frontend" / "node_modules"
    if shutil.which("node") is None or not packages.exists():
        _skip_unless_in_ci(
            "Node or frontend/node_modules is missing; `make test` installs the latter"
        )
    return packages


def _skip_unless_in_ci(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
