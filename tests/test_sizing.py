"""What docs/ says of costs and of scaling is what the handlers are seen to do, and in budget."""

import base64
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sizing import bill, costs, scaling
from sizing.flows import Measured
from sizing.partitions import (
    SPLIT_AFTER_SECONDS,
    WRITE_UNITS,
    Partitions,
    UnitsHere,
    contended,
    listed,
    simulated,
)

ROOT = Path(__file__).resolve().parents[1]
RECORD = (
    "import base64, pickle; from sizing.recorded import record;"
    "print(base64.b64encode(pickle.dumps(record())).decode())"
)


@pytest.fixture(scope="module")
def seen() -> Measured:
    """Recorded in a process of its own: the app has a stage of its own there."""
    command = [sys.executable, "-c", RECORD]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    measured: Measured = pickle.loads(base64.b64decode(said.stdout))  # noqa: S301
    return measured


def test_the_page_of_costs_is_what_make_costs_writes(seen: Measured) -> None:
    assert costs.page(seen) == costs.PAGE.read_text(), "run `make costs`, and say why it changed"


@pytest.mark.parametrize("path", [costs.PAGE, scaling.PAGE], ids=lambda path: path.name)
def test_every_row_of_a_table_is_one_line(path: Path) -> None:
    rows = [line for line in path.read_text().splitlines() if "|" in line]
    assert rows
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows)


def test_payments_and_an_idle_stage_stay_in_their_budgets(seen: Measured) -> None:
    budget = bill.prices()["budget"]
    million = bill.MILLION
    assert costs.payment_alone(seen.flows).total * million <= budget["million_payments_alone"]
    full = costs.payment_in_full_batches(seen.flows).total * million
    assert full <= budget["million_payments_in_full_batches"]
    assert bill.idle(seen.flows["sweep"]).total <= budget["idle_month"]


def test_the_page_of_scaling_and_its_plots_are_what_make_scaling_writes(seen: Measured) -> None:
    drawn = scaling.draw(seen)
    assert drawn.text == scaling.PAGE.read_text(), "run `make scaling`, and say why it changed"
    folder = scaling.PAGE.parent / scaling.PLOTS
    assert drawn.plots == {path.name: path.read_text() for path in folder.iterdir()}


def test_the_first_limit_of_payments_lies_above_the_apis_throttle(seen: Measured) -> None:
    assert min(limit.rate for limit in scaling.limits(seen.flows)) > scaling.throttle()


ONE_EACH = UnitsHere(create=1, claim=1, settle=1)


def test_a_key_takes_a_thousand_units_a_second_and_its_payments_no_more() -> None:
    calm = simulated(150, 1, ONE_EACH, seconds=300)
    assert calm.refused == 0
    beyond = simulated(3_000, 1, ONE_EACH, seconds=300)
    taken = beyond.asked - beyond.refused
    assert 250 < taken / 300 < WRITE_UNITS


def test_what_is_asked_comes_at_the_rate_that_was_asked_for() -> None:
    assert simulated(1_000, 16, ONE_EACH, seconds=1_200).asked == pytest.approx(1_200_000, rel=0.05)


def test_a_partition_is_split_between_its_keys_and_one_that_has_one_key_never_is() -> None:
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


def test_a_rare_transaction_needs_one_try_and_a_crowded_one_gives_up() -> None:
    assert contended(0.1, seconds_held=0.01).attempts == pytest.approx(1, abs=0.01)
    assert contended(90, seconds_held=0.01).given_up > 0.1


def test_a_page_of_more_shards_costs_more_queries_and_more_time() -> None:
    pages = [
        listed(shards, page=20, item_bytes=500, cpu_ms=1, connections=64) for shards in (1, 16, 256)
    ]
    assert pages[0].queries == 1
    for less, more in pairwise(pages):
        assert less.queries < more.queries
        assert less.median_ms < more.median_ms
        assert less.read_units < more.read_units
