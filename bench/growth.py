"""`make growth`: what reading costs while the table grows from a thousand payments to a million.

Goal: list (with and without filters), get and stats within a fifth of what they cost at the
smallest size, and page 1,000 within a fifth of page 1. One engine holds a deployment of each size,
and each request is made of all of them in turn, so that what the machine does meanwhile, and what
the engine has learnt by then, is the same for all. The engine's own part is seen in raw calls by
the same client.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import growth_report as report
from bench.filling import A_DAY, Days, fill, made, row_of
from bench.ground import Engines
from bench.growth_report import LAST_PAGE, Cost, Filled, Measured
from chalicelib.store import BY_STATUS, EVERYTHING
from chalicelib.tables import encode
from infra.local import provision
from infra.local.lambda_events import api_event
from infra.local.settings import HOST
from sizing.meter import Meter
from tests.engines import dynamodb_local

SIZES: Final = (1_000, 100_000, 1_000_000)
PAGE: Final = 20
_WARM_ROUNDS: Final = 40
_PAYMENT: Final = "/v1/payments/{payment_id}"
_LIST: Final = "/v1/payments"
_NO_QUEUE: Final = f"http://{HOST}:1"
"""Reading sends nothing."""
Run = Callable[[], Any]

LISTS: Final[dict[str, dict[str, str]]] = {"list": {}, "list, completed": {"status": "completed"}}
"""Those that are long enough for so many pages."""


class Deployment:
    """The product, on tables with so many payments."""

    def __init__(self, app: Any, days: Days, size: int) -> None:
        self.app = app
        self.size = size
        self.newest = days.newest
        self._days = days
        self.cursors: dict[str, str] = {}
        """Where page `LAST_PAGE` begins, of each list that has it."""

    def any_payment(self) -> str:
        """The id of one, of whatever age."""
        ago, number = divmod(random.randrange(self.size), A_DAY)
        return self._days.payment_id(ago, number)

    def ask(self, resource: str, query: Mapping[str, str], **path: str) -> dict[str, Any]:
        """What the API answers to a GET."""
        event = api_event("GET", resource, **path)
        if query:
            event["multiValueQueryStringParameters"] = {
                name: [value] for name, value in query.items()
            }
        with contextlib.redirect_stdout(io.StringIO()):
            answer: dict[str, Any] = self.app.app(event, None)
        if answer["statusCode"] != 200:
            raise AssertionError(f"GET {resource} {dict(query)}: {answer}")
        return answer

    def walk_to_last_page(self, query: Mapping[str, str]) -> str | None:
        """Follow `next_cursor` to where page `LAST_PAGE` begins, and see that each payment comes
        once, in order; None for a list that is shorter.
        """
        cursor: dict[str, str] = {}
        seen: list[tuple[str, str]] = []
        for _ in range(LAST_PAGE - 1):
            page = json.loads(self.ask(_LIST, {**query, **cursor})["body"])
            seen += [(payment["created_at"], payment["id"]) for payment in page["payments"]]
            if page["next_cursor"] is None:
                return None
            cursor = {"cursor": page["next_cursor"]}
        assert len(set(seen)) == (LAST_PAGE - 1) * PAGE
        assert seen == sorted(seen, reverse=True)
        return cursor["cursor"]


class Flow(NamedTuple):
    """Something that is timed, of a deployment."""

    name: str
    prepare: Callable[[Deployment], Run | None]
    """What to time, this once; None where it cannot be compared."""
    every: int = 1
    """Once in so many rounds: what takes long is asked less often."""


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    try:
        with dynamodb_local() as url:
            measured = grown(url, options.sizes, options.rounds)
    except OSError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    print(report.results(measured))
    if options.report:
        Path(options.report).write_text(report.page(measured))
    sys.exit("\n".join(report.verdict(measured)) or 0)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make growth", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="payments in the table")
    parser.add_argument("--rounds", type=int, default=200, help="how often each is asked")
    parser.add_argument("--report", help="write what it comes to into this file as well")
    options = parser.parse_args(arguments)
    try:
        options.sizes = sorted({int(size) for size in options.sizes.split(",")})
    except ValueError:
        parser.error(f"--sizes are numbers with commas between them, not {options.sizes!r}")
    if any(size < A_DAY or size % A_DAY for size in options.sizes):
        parser.error(f"each size is a number of days of {A_DAY} payments")
    return options


def grown(url: str, sizes: Sequence[int], rounds: int) -> Measured:
    """Fill a deployment of each size, warm all of them up, and time every flow."""
    newest = datetime.now(UTC).date() - timedelta(days=1)
    days = Days(newest, [row_of(payment) for payment in made(newest)])
    deployments, filled = [], []
    for size in sizes:
        deployment = deployed(url, days, size)
        filled.append(filled_up(url, deployment, days))
        _say(f"{size:,} payments, {filled[-1].rows:,} rows, in {filled[-1].seconds:.0f} s")
        deployments.append(deployment)
    for deployment in deployments:
        for name, query in LISTS.items():
            if cursor := deployment.walk_to_last_page(query):
                deployment.cursors[name] = cursor
    _say(f"page {LAST_PAGE:,} is reached")
    flows = [*FLOORS, *FLOWS, *PAGES]
    timed(deployments, flows, _WARM_ROUNDS)
    _say("warm")
    began = time.monotonic()
    busy = os.getloadavg()[0]
    seconds = timed(deployments, flows, rounds)
    costs = {
        (flow.name, deployment.size): cost
        for flow in (*FLOWS, *PAGES)
        for deployment in deployments
        if (cost := metered(deployment, flow)) is not None
    }
    return Measured(
        sizes=list(sizes),
        filled=filled,
        seconds=seconds,
        costs=costs,
        floors=[flow.name for flow in FLOORS],
        flows=[flow.name for flow in FLOWS],
        lists=list(LISTS),
        rounds=rounds,
        took_seconds=time.monotonic() - began,
        busy=busy,
    )


def deployed(url: str, days: Days, size: int) -> Deployment:
    """A product of its own, on tables of its own, as yet empty."""
    stage = f"growth{size}"
    environment = Engines(dynamodb=url, sqs=_NO_QUEUE).environment(stage)
    os.environ.clear()
    os.environ.update(environment)
    sys.modules.pop("app", None)  # it reads its settings on import
    with contextlib.redirect_stdout(io.StringIO()):
        app = importlib.import_module("app")
    provision.create_tables(app.dynamodb, stage)
    return Deployment(app, days, size)


def filled_up(url: str, deployment: Deployment, days: Days) -> Filled:
    began = time.monotonic()
    table = deployment.app.settings.payments_table
    rows = fill(url, table, days, range(deployment.size // A_DAY))
    return Filled(deployment.size, rows, time.monotonic() - began)


def timed(
    deployments: Sequence[Deployment], flows: Sequence[Flow], rounds: int
) -> dict[tuple[str, int], list[float]]:
    """Seconds of each run, by flow and size. The order is shuffled, so that nothing always comes
    after the same; a flow's sizes follow each other at once.
    """
    seconds: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(rounds):
        due = [flow for flow in flows if number % flow.every == 0]
        for flow in random.sample(due, len(due)):
            for deployment in random.sample(deployments, len(deployments)):
                run = flow.prepare(deployment)
                if run is None:
                    continue
                began = time.perf_counter()
                run()
                seconds[flow.name, deployment.size].append(time.perf_counter() - began)
    return dict(seconds)


def metered(deployment: Deployment, flow: Flow) -> Cost | None:
    """What one run asks of DynamoDB, by AWS's own formula."""
    run = flow.prepare(deployment)
    if run is None:
        return None
    meter = Meter(deployment.app.dynamodb, deployment.app.sqs)
    with contextlib.closing(meter), meter.running() as asked:
        run()
        return Cost(len(asked().calls), asked().read_units)


def _get(deployment: Deployment) -> Run:
    payment_id = deployment.any_payment()
    return lambda: deployment.ask(_PAYMENT, {}, payment_id=payment_id)


def _list(**query: str) -> Callable[[Deployment], Run]:
    return lambda deployment: lambda: deployment.ask(_LIST, query)


def _list_of_four_hours(deployment: Deployment) -> Run:
    ago = random.randrange(deployment.size // A_DAY)
    day = (deployment.newest - timedelta(days=ago)).isoformat()
    hours = {"created_from": f"{day}T14:00:00Z", "created_to": f"{day}T18:00:00Z"}
    return lambda: deployment.ask(_LIST, hours)


def _stats(days: int) -> Callable[[Deployment], Run | None]:
    def prepare(deployment: Deployment) -> Run | None:
        if deployment.size < days * A_DAY:
            return None  # so many days there are not
        first, last = _last_days(deployment, days)
        return lambda: deployment.ask("/v1/stats", {"from": first, "to": last})

    return prepare


def _last_days(deployment: Deployment, days: int) -> tuple[str, str]:
    first: date = deployment.newest - timedelta(days=days - 1)
    return first.isoformat(), deployment.newest.isoformat()


def _page(of_list: str, number: int) -> Callable[[Deployment], Run | None]:
    def prepare(deployment: Deployment) -> Run | None:
        cursor = deployment.cursors.get(of_list)
        if cursor is None:
            return None
        place = {"cursor": cursor} if number > 1 else {}
        return lambda: deployment.ask(_LIST, LISTS[of_list] | place)

    return prepare


def _raw_get(deployment: Deployment) -> Run:
    app, payment_id = deployment.app, deployment.any_payment()
    key = {"PK": {"S": f"PAY#{payment_id}"}, "SK": {"S": "PAYMENT"}}
    return lambda: app.dynamodb.get_item(
        TableName=app.settings.payments_table, Key=key, ConsistentRead=True
    )


def _raw_query(index: Any, hash_value: str) -> Callable[[Deployment], Run]:
    def prepare(deployment: Deployment) -> Run:
        app = deployment.app
        return lambda: app.dynamodb.query(
            TableName=app.settings.payments_table,
            IndexName=index.name,
            KeyConditionExpression="#hash = :hash",
            ExpressionAttributeNames={"#hash": index.hash},
            ExpressionAttributeValues={":hash": {"S": hash_value}},
            ScanIndexForward=False,
            Limit=PAGE,
        )

    return prepare


def _raw_totals(days: int) -> Callable[[Deployment], Run | None]:
    """One of the sixteen queries that the stats of so many days are made of."""

    def prepare(deployment: Deployment) -> Run | None:
        if deployment.size < days * A_DAY:
            return None
        app, (first, last) = deployment.app, _last_days(deployment, days)
        values = {":key": "STATS#00", ":lower": f"{first}#", ":upper": f"{last}$"}
        return lambda: app.dynamodb.query(
            TableName=app.settings.payments_table,
            KeyConditionExpression="PK = :key AND SK BETWEEN :lower AND :upper",
            ExpressionAttributeValues=encode(values),
            ConsistentRead=True,
        )

    return prepare


FLOORS: Final = (
    Flow("GetItem", _raw_get),
    Flow("Query of 20, by status", _raw_query(BY_STATUS, "completed")),
    Flow("Query of 20, of all", _raw_query(EVERYTHING, "PAYMENT")),
    Flow("Query of totals: a shard's, of a day", _raw_totals(1)),
    Flow("Query of totals: a shard's, of 30 days", _raw_totals(30)),
)
FLOWS: Final = (
    Flow("get", _get),
    Flow("list", _list()),
    Flow("list, completed", _list(status="completed")),
    Flow("list, processing", _list(status="processing")),
    Flow("list, eft and CAD", _list(type="eft", currency="CAD")),
    Flow("list, wire and USD: rare", _list(type="wire", currency="USD"), every=5),
    Flow("list, completed, eft and CAD", _list(status="completed", type="eft", currency="CAD")),
    Flow("list, four hours of any day", _list_of_four_hours),
    Flow("stats of a day", _stats(1)),
    Flow("stats of 30 days", _stats(30)),
)
PAGES: Final = tuple(
    Flow(report.page_name(name, number), _page(name, number))
    for name in LISTS
    for number in (1, LAST_PAGE)
)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
