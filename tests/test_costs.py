"""What docs/reports says of costs and scaling is what the handlers are seen to do, in budget."""

import base64
import pickle
import subprocess
import sys

import pytest

from bench import bill, costs, page, scaling
from bench.partitions import (
    SPLIT_AFTER_SECONDS,
    WRITE_UNITS,
    Partitions,
    UnitsHere,
    contended,
    simulated,
)
from bench.usage import Recorded
from tests.engines import IS_THOROUGH

RECORD = (
    "import base64, pickle; from bench.usage import record;"
    "print(base64.b64encode(pickle.dumps(record())).decode())"
)
ONE_EACH = UnitsHere(create=1, submit=1, settle=1)


@pytest.fixture(scope="module")
def seen() -> Recorded:
    """Recorded in a process of its own, where the app has a stage of its own."""
    command = [sys.executable, "-c", RECORD]
    said = subprocess.run(command, cwd=page.ROOT, capture_output=True, text=True, check=True)
    recorded: Recorded = pickle.loads(base64.b64decode(said.stdout))  # noqa: S301
    return recorded


def test_costs_page_has_the_tables_that_make_costs_writes(seen: Recorded) -> None:
    text = page.read(costs.PAGE)
    assert page.filled(text, costs.blocks(seen)) == text, "run `make costs`, and say why"


def test_scaling_page_has_the_tables_that_make_scaling_writes(seen: Recorded) -> None:
    text = page.read(scaling.PAGE)
    blocks = scaling.blocks if IS_THOROUGH else scaling.quick_blocks
    assert page.filled(text, blocks(seen)) == text, "run `make scaling`, and say why"


def test_payments_and_an_idle_stage_stay_within_budget(seen: Recorded) -> None:
    budget = bill.prices()["budget"]
    for name, dollars in costs.totals(seen.flows).items():
        assert dollars <= budget[name], name


def test_readme_rounds_the_costs_of_the_page(seen: Recorded) -> None:
    alone, in_batches, idle = costs.totals(seen.flows).values()
    readme = " ".join((page.ROOT / "README.md").read_text().split())
    assert f"cost ${in_batches:.0f} to ${alone:.0f} by AWS's list prices" in readme
    assert f"about ${idle:.0f} a month" in readme


def test_first_limit_of_payments_is_above_the_api_throttle(seen: Recorded) -> None:
    assert min(limit.rate for limit in scaling.limits(seen.flows)) > scaling.throttle()


def test_key_takes_a_thousand_units_a_second_and_refuses_the_rest() -> None:
    assert sum(simulated(150, 1, ONE_EACH, minutes=5).refused) == 0
    beyond = simulated(3_000, 1, ONE_EACH, minutes=5)
    taken = sum(beyond.asked) - sum(beyond.refused)
    assert 250 < taken / 300 < WRITE_UNITS


def test_hot_partition_splits_between_its_keys_but_never_within_one() -> None:
    keys = ["processing#000", "processing#001"]
    index = Partitions(keys, partitions=1)
    hot = [float(WRITE_UNITS)] * 2
    assert index.shares(hot) == [0.5, 0.5]
    for _ in range(3 * SPLIT_AFTER_SECONDS):
        shares = index.shares(hot)
    assert shares == [1, 1]
    alone = Partitions(keys[:1], partitions=1)
    for _ in range(3 * SPLIT_AFTER_SECONDS):
        shares = alone.shares([2.0 * WRITE_UNITS])
    assert shares == [0.5]


def test_crowded_transactions_give_up_and_rare_ones_need_one_try() -> None:
    assert contended(0.1, seconds_held=0.01).attempts == pytest.approx(1, abs=0.01)
    assert contended(90, seconds_held=0.01).given_up > 0.1
