"""What docs/ says of costs and of scaling is what the handlers are seen to do, and in budget."""

import base64
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from sizing import bill, costs
from sizing.flows import Measured

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


def test_the_readmes_table_of_costs_is_of_the_same_numbers(seen: Measured) -> None:
    assert costs.summary(seen) in (ROOT / "README.md").read_text()


def test_payments_and_an_idle_stage_stay_in_their_budgets(seen: Measured) -> None:
    budget = bill.prices()["budget"]
    million = bill.MILLION
    assert costs.payment_alone(seen.flows).total * million <= budget["million_payments_alone"]
    full = costs.payment_in_full_batches(seen.flows).total * million
    assert full <= budget["million_payments_in_full_batches"]
    assert bill.idle(seen.flows["sweep"]).total <= budget["idle_month"]
