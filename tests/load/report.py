"""What a run comes to, as the tables of docs/reports/load.md."""

from collections.abc import Sequence
from typing import Final

from bench.page import percentile, table
from tests.load.generator import Step
from tests.load.ledger import Outcome

PAGE: Final = "load"
MOST_WAITED: Final = 5
"""Latency bends where p95 is so many times that of the first step."""
LEAST_SERVED: Final = 0.95
"""Or where less than this share of what was offered was served."""
_SHARES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def steps_table(steps: Sequence[Step]) -> str:
    """What became of what was offered, step by step."""
    counted = [Outcome.CONFLICT, Outcome.LIMITED, Outcome.UNAVAILABLE, Outcome.WRONG]
    rows = [
        [
            f"{step.offered_per_second:.3g}",
            f"{len(step.samples):,}",
            f"{step.outcomes[Outcome.SERVED]:,}",
            f"{step.outcomes[Outcome.SERVED] / step.seconds:.0f}",
            *(str(step.outcomes[outcome]) for outcome in counted),
            str(step.outcomes[Outcome.UNANSWERED] + step.outcomes[Outcome.NOT_SENT]),
            *(
                f"{1000 * percentile(step.latencies, share):,.0f}" if step.latencies else "–"
                for share in _SHARES.values()
            ),
            f"{step.queued:,}",
        ]
        for step in steps
    ]
    head = ["offered/s", "offered", "served", "served/s", "409", "429", "503", "wrong", "given up"]
    return table([*head, *(f"{name} ms" for name in _SHARES), "queued at the end"], rows)


def bend(steps: Sequence[Step]) -> str:
    """Says at which rate latency bends, if at any."""
    rule = (
        f"the first rate whose p95 is over {MOST_WAITED} times the first step's, or of which less "
        f"than {LEAST_SERVED:.0%} was served"
    )
    most = MOST_WAITED * percentile(steps[0].latencies, 0.95)
    for step in steps:
        is_slow = percentile(step.latencies, 0.95) > most
        if is_slow or step.outcomes[Outcome.SERVED] < LEAST_SERVED * len(step.samples):
            return f"Latency bends at {step.offered_per_second:g} requests a second ({rule})."
    return f"Latency does not bend ({rule})."
