"""Models are built when they are first used, and safely so."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from chalicelib.schema import Schema

THREADS = 8


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """They take turns so often that they meet in the middle of everything."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def new_model() -> type[Schema]:
    class Part(Schema):
        name: str
        sizes: list[int]

    class Whole(Schema):
        number: int
        part: Part
        parts: dict[str, Part]

    return Whole


def test_a_model_is_not_built_before_it_is_used() -> None:
    whole = new_model()
    assert not whole.__pydantic_complete__
    whole.model_validate({"number": 1, "part": {"name": "a", "sizes": []}, "parts": {}})
    assert whole.__pydantic_complete__


@pytest.mark.usefixtures("hasty_threads")
def test_threads_that_build_a_model_at_once_get_the_same_result() -> None:
    part = {"name": "a", "sizes": [1, 2]}
    fields = {"number": 1, "part": part, "parts": {"first": part}}
    for _ in range(50):
        whole, together = new_model(), Barrier(THREADS)

        def use(whole: type[Schema] = whole, together: Barrier = together) -> object:
            together.wait()
            return whole.model_validate(fields).model_dump()

        with ThreadPoolExecutor(THREADS) as pool:
            used = [pool.submit(use) for _ in range(THREADS)]
        assert [one.result() for one in used] == [fields] * THREADS
