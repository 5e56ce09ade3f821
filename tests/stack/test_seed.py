"""`make seed`: payments that the API has taken like anybody's."""

import pytest

from infra.local import seed
from infra.local.settings import SetupError
from tests.engines import free_port
from tests.stack.conftest import Stack
from tests.stack.test_races import walk


def test_seed_creates_the_given_number_and_says_so(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(walk(stack.client))
    seed.seed(25, stack.local.api_port, None)
    assert "25 payments in" in capsys.readouterr().out
    made = [stack.client.payment(one) for one in set(walk(stack.client)) - before]
    seeded = [one for one in made if one["idempotency_key"].startswith("seed-")]
    assert len(seeded) == 25
    assert {one["merchant"] for one in seeded} <= {one.name for one in seed.MERCHANTS}


def test_seed_of_a_closed_stack_says_where_to_put_the_key(stack: Stack) -> None:
    with (
        stack.another_api(PAYFLOW_AUTH="required") as (closed, _),
        pytest.raises(SetupError, match="PAYFLOW_KEY"),
    ):
        seed.seed(3, closed.port, None)


def test_seed_without_a_stack_says_how_to_start_one() -> None:
    with pytest.raises(SetupError, match="make run"):
        seed.seed(1, free_port(), None)
