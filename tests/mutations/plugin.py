"""A pytest plugin: the run imports one module with a promise broken. No file is changed.

Guarantee: what Hypothesis tries is the same in every run, so that no mutant is caught by luck.
"""

import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import Phase, settings

from tests.mutations.catalogue import EVERY
from tests.mutations.mutant import Mutant
from tests.mutations.report import ROOT


def pytest_addoption(parser: pytest.Parser) -> None:
    by_promise = {mutant.promise: mutant for mutant in EVERY}
    parser.addoption("--mutant", type=by_promise.__getitem__, help="the promise to break")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before a conftest imports the product."""
    mutant = early_config.known_args_namespace.mutant
    if mutant is not None:
        sys.meta_path.insert(0, _Broken(mutant))


def pytest_configure() -> None:
    # One failure is enough; nobody waits for the smallest.
    settings.register_profile(
        "mutants",
        settings(),
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
    )
    settings.load_profile("mutants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run first the tests that most likely fail: those named like the promise, in a file or folder
    named like the module.
    """
    mutant = config.getoption("mutant")
    if mutant is not None:
        items.sort(key=lambda item: _likeness(mutant, item), reverse=True)


def _likeness(mutant: Mutant, item: pytest.Item) -> int:
    module = Path(mutant.file)
    words = len(_stems(mutant.promise) & _stems(item.name))
    is_named_so = module.stem in item.path.stem
    return words + 2 * is_named_so + 2 * (module.parent.name == item.path.parent.name)


def _stems(text: str) -> set[str]:
    """The beginnings of its longer words: `refunds` and `refunded` are one."""
    return {word[:5] for word in re.findall("[a-z]{4,}", text.lower())}


class _Broken:
    """Finds the mutant's module, and has it compiled without its promise."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._path = str(ROOT / mutant.file)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin != self._path:
            return None
        spec.loader = _BrokenLoader(name, self._path, self._mutant)
        return spec


class _BrokenLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname)
        assert source is not None
        return compile(self._mutant.mutated(source), self.path, "exec", dont_inherit=True)
