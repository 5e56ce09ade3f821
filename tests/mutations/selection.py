"""A pytest plugin: which tests of the run are asked, and which of them are red, in order.

Guarantee: what hypothesis tries is the same in every run, so that no mutant is caught by luck.
"""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import Phase, settings

RED: Final = "red-tests"
"""The file that has their ids, one a line."""
ON_MOTO: Final = "moto"
ON_DYNAMODB_LOCAL: Final = "dynamodb-local"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=[ON_MOTO, ON_DYNAMODB_LOCAL])
    parser.addoption("--red", type=Path, help="where to write down which are red")


def pytest_configure(config: pytest.Config) -> None:
    # A failure is enough; nobody waits for the smallest one.
    settings.register_profile(
        "mutations", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutations")
    config.pluginmanager.register(_Red(config.getoption("--red")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave those that run on the engine that is asked for."""
    engine = config.getoption("--engine")
    if engine is None:
        return
    wanted = [item for item in items if _is_on_dynamodb_local(item) is (engine != ON_MOTO)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def _is_on_dynamodb_local(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "dynamodb_local_url" in item.fixturenames or ON_DYNAMODB_LOCAL in parameters


class _Red:
    def __init__(self, path: Path | None) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A set-up that fails is no test that noticed.
        if self._path is not None and report.failed and report.when == "call":
            with self._path.open("a") as file:
                file.write(f"{report.nodeid}\n")
