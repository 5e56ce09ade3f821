"""The simulator: the same answer for the same payment, and the one that was asked for."""

from typing import Any

import pytest

from chalicelib.payments.facts import Completed, Failed, FailureCode
from chalicelib.payments.models import Payment, Refund
from chalicelib.payments.processor import Pending
from chalicelib.payments.refunds import new_refund
from chalicelib.payments.service import new_payment
from chalicelib.payments.simulator import SimulatedOutage, Simulator, check_simulation
from tests.conftest import START, TEST, command, recorded, refund_command


def payment(**fields: Any) -> Payment:
    return new_payment(command(**fields), START, actor=TEST).payment


def test_simulator_completes_85_in_100_and_fails_with_every_reason() -> None:
    outcomes = [Simulator().settle(payment()) for _ in range(4000)]
    completed = sum(outcome == Completed() for outcome in outcomes)
    # Four standard deviations of a fair draw are 90 in 4,000: 1 run in 16,000 is outside.
    assert 3400 - 90 < completed < 3400 + 90
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Failed)} == {
        FailureCode.INSUFFICIENT_FUNDS,
        FailureCode.ACCOUNT_CLOSED,
        FailureCode.ACCOUNT_NOT_FOUND,
        FailureCode.REJECTED_BY_BANK,
    }


def test_outcome_depends_on_the_payment_id_only() -> None:
    one = payment()
    other = one.model_copy(update={"merchant": "Another", "version": 9})
    assert len({Simulator().settle(one), Simulator().settle(one), Simulator().settle(other)}) == 1


@pytest.mark.parametrize(("rate", "certain"), [(1.0, True), (0.0, False)])
def test_rate_of_one_or_zero_is_certain(rate: float, certain: bool) -> None:
    outcomes = {Simulator(rate).settle(payment()) == Completed() for _ in range(200)}
    assert outcomes == {certain}


@pytest.mark.parametrize(
    ("wish", "outcome"),
    [
        ("completed", Completed()),
        ("pending", Pending()),
        *((f"failed:{code}", Failed(code)) for code in FailureCode),
    ],
)
def test_simulated_outcome_is_returned(wish: str, outcome: Any) -> None:
    assert Simulator(0.0).settle(payment(metadata={"simulate": wish})) == outcome


def test_simulated_error_raises() -> None:
    with pytest.raises(SimulatedOutage):
        Simulator().settle(payment(metadata={"simulate": "error"}))


def test_slow_simulation_has_the_usual_outcome() -> None:
    slow = payment(metadata={"simulate": "slow:0.001"})
    quick = slow.model_copy(update={"metadata": {}})
    assert Simulator().settle(slow) == Simulator().settle(quick)


@pytest.mark.parametrize(("type_", "currency"), [("interac", "USD"), ("ach", "CAD")])
def test_currency_that_the_rail_does_not_carry_fails(type_: str, currency: str) -> None:
    outcome = Simulator(1.0).settle(payment(type=type_, currency=currency))
    assert outcome == Failed(FailureCode.CURRENCY_NOT_SUPPORTED)


def refund_of(paid: Payment, number: int = 0) -> Refund:
    completed = recorded(paid, Completed(), START).payment
    refund_id = f"REF-01M82Y8T27997E9EYD0G{number:06}"
    return new_refund(completed, refund_command(), refund_id, START)


def test_refund_outcome_depends_on_its_own_id() -> None:
    paid = payment(metadata={"simulate": "failed:account_closed"})
    outcomes = [Simulator().refund(refund_of(paid, number), paid) for number in range(200)]
    assert {type(outcome) for outcome in outcomes} == {Completed, Failed}
    assert outcomes == [Simulator().refund(refund_of(paid, number), paid) for number in range(200)]


def test_simulate_refund_applies_to_refunds_only() -> None:
    paid = payment(metadata={"simulate_refund": "pending"})
    assert Simulator().refund(refund_of(paid), paid) == Pending()
    assert Simulator(1.0).settle(paid) == Completed()


@pytest.mark.parametrize(
    "wish", ["", "Completed", "failed", "failed:", "failed:R01", "slow", "slow:", "slow:31",
             "slow:-1", "slow:1e1", "slow:nan", "pending "],
)  # fmt: skip
def test_unknown_outcome_to_simulate_is_refused(wish: str) -> None:
    with pytest.raises(ValueError, match="must be completed, pending"):
        check_simulation(wish)
