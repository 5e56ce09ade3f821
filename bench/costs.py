"""`make costs`: what a million payments cost, from recorded calls, in docs/reports/costs.md."""

from typing import Final

from bench import page
from bench.bill import (
    MILLION,
    MINUTES_A_MONTH,
    Bill,
    alarms,
    bill,
    billed_ms,
    dynamodb_dollars,
    idle,
    log_bytes,
    of_one,
    prices,
    sqs_requests,
    timing,
    traced_part,
)
from bench.page import money, table
from bench.usage import Recorded, Usage, record

PAGE: Final = "costs"
_THROTTLE: Final = 100
"""Payments a second: as fast as the API lets callers go."""
_SIZES: Final = (10_000, 100_000, MILLION, 10 * MILLION, 100 * MILLION)
"""Payments a month."""
_GIB: Final = 1024**3
_TABLE: Final = "payflow-payments"
Flows = dict[str, Usage]


def main(_: list[str]) -> None:
    page.write(PAGE, blocks(record()))


def blocks(seen: Recorded) -> dict[str, str]:
    """The tables of the page, by name."""
    return {
        "budgets": _budgets(seen.flows),
        "payments": _payments(seen.flows),
        "flows": _flows(seen.flows),
        "writes": _writes(seen.flows),
        "idle": _idle(seen.flows["sweep"]),
        "stored": _stored(seen),
        "kept": _kept(seen),
        "months": _months(seen.flows),
    }


def totals(flows: Flows) -> dict[str, float]:
    """Dollars, by their budget's name in prices.toml."""
    return {
        "million_payments_alone": payment_alone(flows).total * MILLION,
        "million_payments_in_full_batches": payment_in_full_batches(flows).total * MILLION,
        "idle_month": idle(flows["sweep"]).total,
    }


def payment_alone(flows: Flows) -> Bill:
    """Created and settled by itself, every run traced: the most that a payment can cost."""
    return bill("create", flows["create"]) + bill("settle", flows["settle"])


def payment_in_full_batches(flows: Flows, rate: float = _THROTTLE) -> Bill:
    """At so many a second, their messages coming ten at a time."""
    settled = bill("settle ten", flows["settle ten"], traced=traced_part(rate / 10))
    return bill("create", flows["create"], traced=traced_part(rate)) + settled * (1 / 10)


def _endpoint_told(flows: Flows) -> Bill:
    """To tell one endpoint of one outcome: what the outcome writes more, and the delivery."""
    written = dynamodb_dollars(flows["endpoint told"])
    outcome = Bill({"DynamoDB": written, "SQS": of_one("sqs", "requests")})
    return outcome + bill("deliver", flows["deliver"])


def _budgets(flows: Flows) -> str:
    names = {
        "million_payments_alone": "a million payments, each alone",
        "million_payments_in_full_batches": f"a million payments, {_THROTTLE} a second",
        "idle_month": "a month in which nothing happens",
    }
    budget = prices()["budget"]
    rows = [
        [names[name], f"**{money(dollars)}**", money(budget[name])]
        for name, dollars in totals(flows).items()
    ]
    return table(["", "dollars", "budget"], rows)


def _payments(flows: Flows) -> str:
    columns = [payment_alone(flows), payment_in_full_batches(flows), _endpoint_told(flows)]
    rows = [
        [service, *(_of_a_million(one.lines[service]) for one in columns)]
        for service in columns[0].services
    ]
    rows.append(["**in all**", *(f"**{_of_a_million(one.total)}**" for one in columns)])
    head = ["a million of them", "alone, all traced", "100 a second, in tens", "each endpoint told"]
    return table(head, rows)


def _flows(flows: Flows) -> str:
    rows = [
        [
            name, ", ".join(f"{call} × {n}" if n > 1 else call for call, n in usage.calls.items()),
            f"{usage.write_units:g}", f"{usage.read_units:g}", str(sqs_requests(usage)),
            f"{timing()['cpu_ms'][name]:.1f}", str(billed_ms(name, usage)),
            str(log_bytes(usage)), str(usage.out_bytes), _of_a_million(bill(name, usage).total),
        ]
        for name, usage in flows.items()
        if usage.function
    ]  # fmt: skip
    head = ["flow", "calls of AWS", "write units", "read units", "SQS requests", "CPU ms",
            "billed ms", "log bytes", "bytes out", "a million"]  # fmt: skip
    return table(head, rows, texts=2)


_STATUS, _ALL, _SEARCH = "status-createdAt-index", "all-createdAt-index", "search-index"
_WRITES: Final = (
    ("create", "payflow-idempotency", "the key's record",
          "whoever comes second with the key is given the first one's answer"),
    ("create", _TABLE, "the payment", "it is what the API promises to keep"),
    ("create", _TABLE, "its event `payment.created`",
          "no change without its event: who did it, and when"),
    ("create", _STATUS, "its entry under `processing`",
          "the list by status; how the sweeper finds it when its message is lost"),
    ("create", _ALL, "its entry",
          "the list of everything; it is never written again, so no page misses it"),
    ("create", _SEARCH, "its entry by its key", "whoever has only the key finds the payment"),
    ("create", _ALL, "its event's entry", "the feed of all events, in the order of their times"),
    ("create", _SEARCH, "its entry by its merchant", "as above, for whoever has the name"),
    ("submit", _TABLE, "`submittedAt`",
          "before the processor is asked: from here on nobody can cancel it"),
    ("submit", _STATUS, "the entry's copy of it",
          "the index shows whole payments, so that a list by status is one query"),
    ("settle", _TABLE, "the payment's outcome", "its one end"),
    ("settle", _TABLE, "its event `payment.completed`", "as above"),
    ("settle", _TABLE, "its day's total",
          "the totals are exact, since they move with the payment or not at all"),
    ("settle", _STATUS, "its entry under `processing`, deleted",
          "an entry moves by being deleted in one place"),
    ("settle", _STATUS, "its entry under `completed`", "and written in another"),
    ("settle", _ALL, "its event's entry", "as above"),
)  # fmt: skip
"""The writes of a payment without webhooks: by step and place, and why they are needed."""


def _writes(flows: Flows) -> str:
    """Raises ValueError for a write without a reason."""
    seen = [*flows["create"].writes, *flows["settle"].writes]
    if [load.place for load in seen] != [place for _, place, _, _ in _WRITES]:
        raise ValueError("a payment's writes have changed: give each its reason in bench/costs.py")
    rows = [
        [step, what, why, f"{load.units:g}"]
        for (step, _, what, why), load in zip(_WRITES, seen, strict=True)
    ]
    rows.append(["**in all**", "", "", f"**{sum(load.units for load in seen):g}**"])
    return table(["step", "what is written", "what for", "units"], rows, texts=3)


def _idle(sweep: Usage) -> str:
    whole, cloudwatch = idle(sweep), prices()["cloudwatch"]
    notes = {
        "CloudWatch alarms": f"{alarms()}, of which {cloudwatch['free_alarms']} are free",
        "CloudWatch metrics": ", ".join(f"`{name}`" for name in sorted(sweep.metrics)),
        "DynamoDB": f"{MINUTES_A_MONTH:,} sweeps, which read {sweep.read_units:g} units each",
    }
    rows = [
        [service, notes.get(service, ""), money(whole.lines[service])]
        for service in whole.services
        if whole.lines[service]
    ]
    rows.append(["**in all**", "", f"**{money(whole.total)}**"])
    return table(["a month", "", "dollars"], rows, texts=2)


def _stored(seen: Recorded) -> str:
    rows = [
        [f"`{place}`", str(len(sizes)), str(sum(sizes)), str(_billed_bytes(sizes))]
        for place, sizes in seen.stored.items()
    ]
    return table(["of a settled payment", "items", "bytes", "as billed"], rows)


def _billed_bytes(sizes: list[int]) -> int:
    return sum(sizes) + int(prices()["dynamodb"]["overhead_bytes_an_item"]) * len(sizes)


def _kept(seen: Recorded) -> str:
    price = prices()["dynamodb"]
    sizes = {place: _billed_bytes(items) for place, items in seen.stored.items()}
    kept = sum(sizes.values()) * price["storage_gb_month"]
    month = (kept + sizes[_TABLE] * price["pitr_gb_month"]) / _GIB * MILLION
    both = price["storage_gb_month"] + price["pitr_gb_month"]
    day = _billed_bytes([seen.record_bytes]) / 30 * both / _GIB * MILLION
    delivery = _billed_bytes([seen.delivery_bytes]) * both / _GIB * MILLION
    rows = [
        ["a million payments, for a month", money(month)],
        ["a million more each month, for a first year", money(month * 12 * 13 / 2)],
        [f"a million idempotency records of {seen.record_bytes} bytes, for a day", money(day)],
        [f"a million deliveries of {seen.delivery_bytes} bytes, for a month", money(delivery)],
    ]
    return table(["kept and backed up", "dollars"], rows)


def _months(flows: Flows) -> str:
    rows = []
    for size in _SIZES:
        rate = size / (MINUTES_A_MONTH * 60)
        create, settle, get = (
            bill(name, flows[name], traced=traced_part(rate)).total * size
            for name in ("create", "settle", "get")
        )
        used = create + settle + get + idle(flows["sweep"]).total
        rows.append([
            f"{size:,}", f"{rate:.2g}", money(create + settle), money(get), money(used),
        ])  # fmt: skip
    head = ["payments a month", "a second", "payments", "one look at each", "with what is idle"]
    return table(head, rows, texts=0)


def _of_a_million(dollars: float) -> str:
    return money(dollars * MILLION)
