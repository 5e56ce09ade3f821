"""Why a payment writes as many units as it does: each of its writes, with its reason."""

from typing import Final, NamedTuple

from sizing.flows import Usage
from sizing.page import table


class Write(NamedTuple):
    """One write that a payment without webhooks makes on its way."""

    step: str
    place: str
    what: str
    why: str


_WHY: Final = (
    Write("create", "payflow-idempotency", "the key's record",
          "whoever comes second with the key is given the first one's answer"),
    Write("create", "payflow-payments", "the payment", "it is what the API promises to keep"),
    Write("create", "payflow-payments", "its event `payment.created`",
          "no change without its event: who did it, and when"),
    Write("create", "status-createdAt-index", "its entry under `processing`",
          "the list by status; how the sweeper finds it when its hint is lost"),
    Write("create", "all-createdAt-index", "its entry",
          "the list of everything; it is never written again, so no page misses it"),
    Write("claim", "payflow-payments", "`submittedAt`",
          "before the processor is asked: from here on nobody can cancel it"),
    Write("claim", "status-createdAt-index", "the entry's copy of it",
          "the index shows whole payments, so that a list by status is one query"),
    Write("settle", "payflow-payments", "the payment's outcome", "its one end"),
    Write("settle", "payflow-payments", "its event `payment.completed`", "as above"),
    Write("settle", "payflow-payments", "its day's total",
          "the totals are exact, since they move with the payment or not at all"),
    Write("settle", "status-createdAt-index", "its entry under `processing`, deleted",
          "an entry moves by being deleted in one place"),
    Write("settle", "status-createdAt-index", "its entry under `completed`",
          "and written in another"),
)  # fmt: skip

_TEXT: Final = """
Items are up to 1 KB. A write in a transaction counts twice, a write of an index once. The claim is
no transaction: it is one row.
"""


class Unexplained(Exception):
    """A payment writes something else than what is explained here."""


def writes_explained(create: Usage, settle: Usage) -> str:
    """Raises Unexplained."""
    writes = [*create.writes, *settle.writes]
    if [write.place for write in writes] != [reason.place for reason in _WHY]:
        raise Unexplained(
            "a payment's writes have changed: say in sizing/units.py what they are for"
        )
    rows = [
        [reason.step, reason.what, f"{write.units:g}", reason.why]
        for reason, write in zip(_WHY, writes, strict=True)
    ]
    whole = f"{create.write_units + settle.write_units:g}"
    head = ["step", "what is written", "units", "what for"]
    return "\n\n".join([
        f"## Why a payment writes {whole} units",
        table(head, [*rows, ["**in all**", "", f"**{whole}**", ""]], "llrl"),
        _TEXT,
    ])  # fmt: skip
