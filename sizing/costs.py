"""Writes docs/reports/costs.md: `make costs`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from sizing import bill as billing
from sizing.bill import MILLION, ROOT, SECONDS_A_MONTH, Bill, bill, prices, timing, traced_part
from sizing.flows import Measured, Usage
from sizing.page import money, table
from sizing.page import page as paged
from sizing.recorded import record
from sizing.units import writes_explained

PAGE: Final = ROOT / "docs" / "reports" / "costs.md"
_FULL_BATCHES_A_SECOND: Final = 100
"""The API's throttle: as fast as a stage is let go."""
_SIZES: Final = (10_000, 100_000, MILLION, 10 * MILLION, 100 * MILLION)
"""Payments a month."""
_GIB: Final = 1024**3
_TABLES: Final = ("payflow-payments",)


def main(arguments: list[str]) -> None:
    path = Path(arguments[0]) if arguments else PAGE
    path.write_text(page(record()))


def page(seen: Measured) -> str:
    alone, full = payment_alone(seen.flows), payment_in_full_batches(seen.flows)
    parts = [
        _HEAD.format(
            alone=money(alone.total * MILLION),
            full=money(full.total * MILLION),
            idle=money(billing.idle(seen.flows["sweep"]).total),
            region=prices()["region"],
            as_of=prices()["as_of"],
            note=prices()["note"].strip(),
            budget=money(prices()["budget"]["million_payments_alone"]),
            full_budget=money(prices()["budget"]["million_payments_in_full_batches"]),
            idle_budget=money(prices()["budget"]["idle_month"]),
        ),
        _payments(seen.flows, alone, full),
        _flows(seen.flows),
        writes_explained(seen.flows["create"], seen.flows["settle"]),
        _idle(seen.flows["sweep"]),
        _storage(seen),
        _months(seen),
        _prices(),
        _assumed(),
    ]
    return paged(*parts)


def payment_alone(flows: dict[str, Usage]) -> Bill:
    """Created and settled by itself, every run traced: the dearest that a payment can be."""
    created = bill("create", flows["create"], traced=1)
    return created.plus(bill("settle", flows["settle"], traced=1))


def payment_in_full_batches(flows: dict[str, Usage], rate: float = _FULL_BATCHES_A_SECOND) -> Bill:
    """At so many a second, its hints coming ten at a time."""
    created = bill("create", flows["create"], traced=traced_part(rate))
    settled = bill("settle ten", flows["settle ten"], traced=traced_part(rate / 10))
    return created.plus(settled.times(1 / 10))


def look(flows: dict[str, Usage], rate: float) -> Bill:
    """One GET of a payment, at so many a second."""
    return bill("get", flows["get"], traced=traced_part(rate))


def summary(seen: Measured) -> str:
    """The README's table."""
    flows, fast = seen.flows, _FULL_BATCHES_A_SECOND
    alone, full = payment_alone(flows), payment_in_full_batches(flows)
    units = flows["create"].write_units + flows["settle"].write_units
    pairs = [
        ("payments, created and settled", alone.total, full.total),
        (f"of that DynamoDB: {units:g} write units each", *_lines("DynamoDB", alone, full)),
        (
            "of that X-Ray: it records the first of each second, and 5 % of the others",
            *_lines("X-Ray", alone, full),
        ),
        ("looks at one", look(flows, 1).total, look(flows, fast).total),
    ]
    rows = [[name, _of_a_million(one), _of_a_million(ten)] for name, one, ten in pairs]
    told = _of_a_million(endpoint_alone(flows).total)
    rows.append(["outcomes told to one endpoint that answers in 0.2 s", told, ""])
    return table(["a million", "each alone", f"{fast} a second"], rows, "lrr")


def _lines(service: str, *bills: Bill) -> tuple[float, float]:
    alone, full = (one.lines[service] for one in bills)
    return alone, full


def endpoint_alone(flows: dict[str, Usage]) -> Bill:
    """Telling one endpoint of one outcome: what the outcome writes more, and the delivery."""
    more = Bill(Counter({
        "DynamoDB": billing.dynamodb_dollars(flows["endpoint told"]),
        "SQS": prices()["sqs"]["million_requests"] / MILLION,
    }))  # fmt: skip
    return more.plus(bill("deliver", flows["deliver"], traced=1))


def _payments(flows: dict[str, Usage], alone: Bill, full: Bill) -> str:
    told = endpoint_alone(flows)
    rows = [
        [service, *(_of_a_million(one.lines[service]) for one in (alone, full, told))]
        for service, _ in alone.lines.most_common()
    ]
    total = [f"**{_of_a_million(one.total)}**" for one in (alone, full, told)]
    head = ["a million of them", "alone, all traced", "100 a second, in tens", "each endpoint told"]
    return "\n\n".join(
        ["## A million payments", table(head, [*rows, ["**in all**", *total]], "lrrr"), _PAYMENTS]
    )


def _flows(flows: dict[str, Usage]) -> str:
    rows = []
    for name, usage in flows.items():
        if not usage.invocations:
            continue
        cost = bill(name, usage, traced=1)
        rows.append([
            name, ", ".join(f"{call} × {n}" if n > 1 else call for call, n in usage.calls.items()),
            f"{usage.write_units:g}", f"{usage.read_units:g}", str(billing.sqs_requests(usage)),
            f"{timing()['cpu_ms'][name]:.1f}", str(billing.billed_ms(name, usage)),
            str(billing.log_bytes(usage)), str(usage.out_bytes), _of_a_million(cost.total),
        ])  # fmt: skip
    head = ["flow", "calls of AWS", "write units", "read units", "SQS requests", "CPU ms",
            "billed ms", "log bytes", "bytes out", "a million"]  # fmt: skip
    return "\n\n".join(["## Each flow", _FLOWS, table(head, rows, "llrrrrrrrr"), _KEY_LOOKUP])


def _idle(sweep: Usage) -> str:
    whole = billing.idle(sweep)
    free = prices()
    fewer_alarms = max(billing.alarms() - free["cloudwatch"]["free_alarms"], 0)
    rows = [[line, money(dollars)] for line, dollars in whole.lines.most_common() if dollars]
    rows.append(["**in all**", f"**{money(whole.total)}**"])
    text = _IDLE.format(
        alarms=billing.alarms(),
        free_alarms=free["cloudwatch"]["free_alarms"],
        alarm_dollars=money(fewer_alarms * free["cloudwatch"]["alarm_month"]),
        metrics=", ".join(f"`{name}`" for name in sorted(sweep.metrics)),
        reads=f"{sweep.read_units * billing.DAYS_A_MONTH * 1440:,.0f}",
        sweeps=f"{billing.DAYS_A_MONTH * 1440:,}",
        units=f"{sweep.read_units:g}",
    )
    return "\n\n".join(["## A month in which nothing happens",
                      table(["a month", "dollars"], rows, "lr"), text])  # fmt: skip


def stored_dollars_a_month(seen: Measured) -> float:
    """Keeping one settled payment for a month, backup included."""
    price = prices()["dynamodb"]
    overhead = price["overhead_bytes_an_item"]
    sizes = {
        place: size + overhead * seen.stored.items[place]
        for place, size in seen.stored.bytes.items()
    }
    kept = sum(sizes.values()) * price["storage_gb_month"]
    backed_up = sum(sizes[place] for place in _TABLES) * price["pitr_gb_month"]
    return float(kept + backed_up) / _GIB


def _storage(seen: Measured) -> str:
    overhead = prices()["dynamodb"]["overhead_bytes_an_item"]
    rows = [
        [f"`{place}`", str(seen.stored.items[place]), str(size),
         str(size + overhead * seen.stored.items[place])]
        for place, size in seen.stored.bytes.items()
    ]  # fmt: skip
    day = (
        (seen.record_bytes + overhead)
        / 30
        * (prices()["dynamodb"]["storage_gb_month"] + prices()["dynamodb"]["pitr_gb_month"])
        / _GIB
    )
    month = stored_dollars_a_month(seen) * MILLION
    return "\n\n".join([
        "## What is kept",
        table(["of a settled payment", "items", "bytes", "as billed"], rows, "lrrr"),
        _STORAGE.format(month=money(month), year=money(month * 12 * 13 / 2),
                        record=seen.record_bytes, day=money(day * MILLION),
                        delivery=seen.delivery_bytes),
    ])  # fmt: skip


def _months(seen: Measured) -> str:
    rows = []
    for size in _SIZES:
        rate = size / SECONDS_A_MONTH
        created = bill("create", seen.flows["create"], traced=traced_part(rate))
        settled = bill("settle", seen.flows["settle"], traced=traced_part(rate))
        of_payments = created.plus(settled).times(size)
        looked_at = look(seen.flows, rate).times(size)
        month = of_payments.plus(looked_at).plus(billing.idle(seen.flows["sweep"]))
        free = free_tier(seen, size, of_payments.plus(looked_at), rate)
        rows.append([
            f"{size:,}", f"{rate:.2g}", money(of_payments.total), money(looked_at.total),
            money(month.total), money(month.total - free),
        ])  # fmt: skip
    head = ["payments a month", "a second", "payments", "one look at each", "with what is idle",
            "after AWS's lasting free tiers"]  # fmt: skip
    return "\n\n".join(["## A month's bill", table(head, rows, "rrrrrr"), _MONTHS])


def free_tier(seen: Measured, size: int, used: Bill, rate: float) -> float:
    """What AWS takes off a month's bill, for good and not for an account's first year only."""
    price, sweep = prices(), seen.flows["sweep"]
    sweeps = billing.DAYS_A_MONTH * 1440
    flows = [("create", size), ("settle", size), ("get", size), ("sweep", sweeps)]
    runs = sum(number for _, number in flows)
    gb_seconds = sum(_gb_seconds(name, seen.flows[name]) * number for name, number in flows)
    logged = sum(billing.log_bytes(seen.flows[name]) * number for name, number in flows)
    traces = 3 * size * traced_part(rate) + sweeps
    queue_dollars = used.lines["SQS"] + billing.idle(sweep).lines["SQS"]
    out = sum(seen.flows[name].out_bytes * number for name, number in flows)
    return float(
        min(runs, price["lambda"]["free_requests"]) * price["lambda"]["million_requests"] / MILLION
        + min(gb_seconds, price["lambda"]["free_gb_seconds"]) * price["lambda"]["gb_second_arm64"]
        + min(queue_dollars,
              price["sqs"]["free_requests"] * price["sqs"]["million_requests"] / MILLION)
        + min(logged, price["logs"]["free_gb"] * billing.GB) * price["logs"]["ingested_gb"]
        / billing.GB
        + min(traces, price["xray"]["free_traces"]) * price["xray"]["million_traces"] / MILLION
        + min(out, price["transfer"]["free_gb"] * billing.GB) * price["transfer"]["out_gb"]
        / billing.GB
        + min(billing.alarms(), price["cloudwatch"]["free_alarms"])
        * price["cloudwatch"]["alarm_month"]
        + min(len(sweep.metrics), price["cloudwatch"]["free_metrics"])
        * price["cloudwatch"]["metric_month"]
        + price["kms"]["free_requests"] * price["kms"]["million_requests"] / MILLION
    )  # fmt: skip


def _gb_seconds(name: str, usage: Usage) -> float:
    ((function, _),) = usage.invocations.items()
    return billing.billed_ms(name, usage) / 1000 * billing.memory_mb()[function] / 1024


def _prices() -> str:
    rows = []
    for service, lines in prices().items():
        if not isinstance(lines, dict) or service == "budget":
            continue
        source = lines["source"]
        said = ", ".join(
            f"{name.replace('_', ' ')} {_plain(value)}"
            for name, value in lines.items()
            if name != "source" and not name.startswith("free") and "step" not in name
        )
        rows.append([service.replace("_", " "), said, source])
    return "\n\n".join(["## Prices", table(["service", "dollars", "source"], rows, "lll")])


def _assumed() -> str:
    waits, said = timing()["wait_ms"], timing()
    cold = said["cold_start_cpu_ms"]
    api_gb = billing.memory_mb()["API"] / 1024
    return _ASSUMED.format(
        measured=said["measured"],
        machine=said["machine"],
        call=waits["call"],
        transaction=waits["TransactWriteItems"],
        merchant=waits["merchant"],
        cold=cold,
        cold_dollars=money(cold / 1000 * api_gb * prices()["lambda"]["gb_second_arm64"] * MILLION),
        retention=billing.retention_days(),
    )


def _of_a_million(dollars: float) -> str:
    return money(dollars * MILLION)


def _plain(value: Any) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


_HEAD: Final = """\
# What PayFlow costs

<!-- Written by `make costs`; a test holds it to what that writes. Edit sizing/ instead. -->

A million payments, created and settled, cost **{alone}** where each comes alone, and **{full}**
where they come a hundred a second. A stage that nobody uses costs **{idle}** a month. Nothing of
this has been seen on a bill.

The calls, units and bytes are those of the handlers themselves, recorded as they run (the units
by AWS's own formula, as `tests/test_capacity.py` does); the prices are AWS's list prices of
{region} as of {as_of}, and no free tier is taken off unless a column says so. {note}

Who makes PayFlow dearer hears of it: a test fails where this page is not what `make costs`
writes, and where the three numbers above exceed {budget}, {full_budget} and {idle_budget}
(`sizing/prices.toml`).
"""

_PAYMENTS: Final = """
Alone means that every message is a batch of its own and that X-Ray records every run, which it
does up to one a second; at a hundred a second it records the first of each second and 5 % of the
others. Webhooks are the last column, once for each endpoint that is told of an outcome, by a
merchant who answers in 200 ms. Reading is below.
"""

_FLOWS: Final = """\
One run of each: a request of the API, a batch of messages, a run of the sweeper. SQS's requests
are ours and the two by which Lambda receives and deletes a batch. Log bytes are our lines,
Lambda's own three, API Gateway's access log, and what CloudWatch adds to each line. The last
column has every run traced.
"""

_KEY_LOOKUP: Final = """
A list is of 20 payments. A key is looked up once in 30 seconds in each process (a read unit), and
its use is noted once an hour (a write unit): neither is in the table. A replay's transaction
fails, and is paid for; it reaches no index.
"""

_IDLE: Final = """
The sweeper runs {sweeps} times a month and reads {units} units each time, {reads} in all. Lambda
asks each of the two queues by five long polls of twenty seconds. There are {alarms} alarms, of
which {free_alarms} are free ({alarm_dollars} then), and {metrics} as metrics; `HintsLost`,
`DeliveriesFailed` and `EndpointsDisabled` are paid for in the hours in which they happen. The
tables' key is AWS's own: its uses are what KMS costs, at most. There is no dashboard of
CloudWatch's and no DynamoDB stream.
"""

_STORAGE: Final = """
AWS adds 100 bytes to each item. A million payments kept cost {month} a month, backups
(point-in-time recovery, which counts tables and no indexes) included: a million a month, nothing
ever deleted, costs {year} in its first year. An idempotency record has {record} bytes and is gone
after a day or three ({day} a million); a delivery has {delivery}.
"""

_MONTHS: Final = """
Spread evenly, each message alone: full batches save a part of it (above). The free tiers are
those that do not end: Lambda's million requests and 400,000 GB-seconds, SQS's million requests, 5
GB of logs, ten alarms and ten metrics, 100,000 traces, 100 GB sent, 20,000 uses of keys.
DynamoDB's 25 GB besides; its free units are for provisioned tables only. API Gateway's million
requests are free in an account's first year.
"""

_ASSUMED: Final = """\
## What is assumed

- **Milliseconds** are computed, and have not been seen on Lambda. CPU ms are the processor time
  of the handlers' own code, by `python -m sizing.milliseconds` on {measured} ({machine}): the
  middle of many runs, with AWS's answers from memory. Lambda gives a function its memory's share
  of a processor, so that they take longer there; besides it waits {call} ms for each call of AWS,
  {transaction} ms for a transaction and {merchant} ms for a merchant, which are guesses. A
  machine's own processor stands for Lambda's.
- **Cold starts** come on top: one takes {cold} ms of processor time, and a million of them on the
  API's memory cost {cold_dollars}. How many there are hangs on the traffic.
- A payment's merchant, description and metadata are of a usual length, so that no item exceeds 1
  KB.
- Logs are kept for {retention} days and stored at the ratio that AWS's own examples take.
- The dashboard's bucket and CloudFront, the mails of alarms and the account's CloudTrail are left
  out: cents, or the account's own.
"""

if __name__ == "__main__":
    main(sys.argv[1:])
