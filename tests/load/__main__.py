"""`python -m tests.load`: traffic at increasing rates, hours of business in minutes, the check."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from infra import ROOT
from infra.local.settings import SetupError
from tests.invariants import unsettled
from tests.load import merchant, promises, report
from tests.load.connections import Connections
from tests.load.generator import Generator, Step
from tests.load.ledger import Ledger, Outcome
from tests.load.promises import Found, Said
from tests.load.stack import Stack, ask, our_own, running
from tests.load.traffic import BUSINESS, MIXED, Traffic

CONNECTIONS: Final = 16
DRAIN_SECONDS: Final = 600
"""The longest that the backlog may take: a hint that was lost is sent again when what it is of is
twice as old.
"""
_DRAIN_LOOK_SECONDS: Final = 1.0
_NEARLY_DRY: Final = 50
_PAGE: Final = 100
_SHOWN: Final = 20
_LONGEST: Final = 1500


@dataclass
class Run:
    """What one run came to."""

    steps: list[Step] = field(default_factory=list)
    business: Step | None = None
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """What each process used from the first of those payments until the last was told."""
    sent_again: int = 0
    drained_seconds: float | None = None
    """After the last request; None when it did not drain."""
    payments: int = 0
    webhooks: int = 0
    said: Said = field(default_factory=Said)
    unanswered: int = 0
    """Keys that were sent, and not answered in time however often."""
    broken: list[str] = field(default_factory=list)
    """What is there and must not be, or the other way."""
    wrong: list[str] = field(default_factory=list)
    """Answers and lines in logs that there must not be."""
    logs: str = ""
    """Where the stack's logs were kept for a look."""

    @property
    def is_good(self) -> bool:
        return not (self.broken or self.wrong) and self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether all was answered, settled and told in time, so that all could be checked."""
        return not self.unanswered and self.drained_seconds is not None


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it wants all ended
    began, busy = time.monotonic(), os.getloadavg()[0]
    try:
        with ExitStack() as opened:
            stack = opened.enter_context(running() if options.running else our_own())
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="payflow-merchant-"))
            shop = opened.enter_context(merchant.open_for_business(Path(folder)))
            run = asyncio.run(Load(options, stack, shop).run())
    except (SetupError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    text = told(options, run, busy, time.monotonic() - began)
    print(text.replace(report.ABOUT, ""))
    if options.report:
        Path(options.report).write_text(text)
    sys.exit(0 if run.is_good else 1)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--rates", default="10,25,50,100,200", help="requests offered a second")
    parser.add_argument("--seconds", type=float, default=8, help="how long each rate is offered")
    parser.add_argument("--payments", type=int, default=7200, help="two hours' of one a second")
    parser.add_argument("--within", type=float, default=120, help="so many seconds")
    parser.add_argument("--patience", type=float, default=10, help="a client gives up then")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--running", action="store_true", help="use the stack that runs")
    parser.add_argument("--report", help="write what it comes to into this file as well")
    options = parser.parse_args(arguments)
    try:
        options.rates = [float(rate) for rate in options.rates.split(",") if rate]
    except ValueError:
        parser.error(f"--rates are numbers with commas between them, not {options.rates!r}")
    return options


class Load:
    """One run, against one stack."""

    def __init__(self, options: argparse.Namespace, stack: Stack, shop: merchant.Merchant) -> None:
        self.options = options
        self.stack = stack
        self.shop = shop
        self.name = uuid.uuid4().hex[:8]
        self.ledger = Ledger()
        self.traffic = Traffic(self.name, options.seed)
        self.key = os.environ.get("PAYFLOW_KEY")
        self.endpoint_id = ""

    async def run(self) -> Run:
        run, since_ms = Run(), time.time_ns() // 1_000_000
        self._subscribe()
        connections = Connections(self.stack.local.api_port, CONNECTIONS)
        generator = Generator(
            self.traffic, self.ledger, connections, self.stack.depth, key=self.key
        )
        try:
            for rate in self.options.rates:
                run.steps.append(await self._step(generator, rate))
            before = self.stack.cpu_seconds()
            if self.options.payments:
                run.business = await self._business(generator)
            run.sent_again = await generator.make_good()
            _say(f"{run.sent_again} requests whose answer settled nothing were sent again")
            found, run.drained_seconds = await asyncio.to_thread(self._drain)
            after = self.stack.cpu_seconds()
            run.cpu_seconds = {name: after[name] - before[name] for name in before}
            _say("checking every promise")
            found.received = await asyncio.to_thread(self.shop.received)
            run.said = promises.said_in_logs(self.stack, since_ms)
            run.broken = promises.broken_promises(self.stack, self.ledger, found, run.said)
            run.broken += await self._read_back(generator, found)
        finally:
            connections.close()
            self._unsubscribe()
        run.said = promises.said_in_logs(self.stack, since_ms)
        unit = timedelta(seconds=int(os.environ["PAYFLOW_SWEEP_UNIT_SECONDS"]))
        run.broken += promises.overslept(found, run.said, datetime.now(UTC), unit)
        run.unanswered = len(self.ledger.uncertain())
        run.wrong = [*self.ledger.wrong, *run.said.wrong]
        if run.wrong and self.stack.is_ours:
            run.logs = _kept(self.stack)
        run.payments = len(found.books.lives)
        run.webhooks = len({one["webhook_id"] for one in found.received})
        return run

    def _subscribe(self) -> None:
        body = json.dumps({"url": self.shop.url}).encode()
        made = json.loads(self._ask("POST", "/v1/webhook_endpoints", body))
        self.endpoint_id = made["id"]
        self.shop.trust(made["secret"])

    def _unsubscribe(self) -> None:
        if not self.stack.is_ours:
            self._ask("DELETE", f"/v1/webhook_endpoints/{self.endpoint_id}")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        bearer = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return ask(self.stack.local.api_port, method, path, body, **bearer)

    async def _step(self, generator: Generator, rate: float) -> Step:
        step = await generator.offer(
            MIXED,
            rate,
            seconds=self.options.seconds,
            patience_seconds=self.options.patience,
        )
        _say(
            f"{rate:g} a second: {step.outcomes[Outcome.SERVED]} of {len(step.samples)} served, "
            f"{step.depths[-1]} queued"
        )
        return step

    async def _business(self, generator: Generator) -> Step:
        count, within = self.options.payments, self.options.within
        step = await generator.offer(
            BUSINESS,
            count / within * sum(BUSINESS.values()) / BUSINESS["create"],
            seconds=2 * within,
            patience_seconds=within,  # a shop that wants to be paid
            creates=count,
        )
        _say(
            f"{count} payments asked for in {within:g} s: all is answered after "
            f"{step.seconds:.0f} s, {step.depths[-1]} queued"
        )
        return step

    def _drain(self) -> tuple[Found, float | None]:
        """What is there once all is settled and told, and how long that took."""
        began = time.monotonic()
        while True:
            while self.stack.depth() > _NEARLY_DRY and time.monotonic() < began + DRAIN_SECONDS:
                time.sleep(_DRAIN_LOOK_SECONDS)
            seen = time.monotonic() - began
            found = promises.look(self.stack, self.name, self.endpoint_id)
            left = len(unsettled(found.books)) + len(found.pending_deliveries)
            _say(f"after {seen:.0f} s {left} are still to be settled or told")
            if not left:
                return found, seen
            if seen > DRAIN_SECONDS:
                return found, None
            time.sleep(_DRAIN_LOOK_SECONDS)

    async def _read_back(self, generator: Generator, found: Found) -> list[str]:
        """What the API says of the whole, against the whole. Of a stack of our own."""
        if not self.stack.is_ours:
            return []
        ids, cursor = [], ""
        while cursor is not None:
            page = await generator.read(f"/v1/payments?limit={_PAGE}{cursor}")
            ids += [payment["id"] for payment in page["payments"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        stats = await generator.read(f"/v1/stats?from={yesterday}")
        return [
            *promises.listed_otherwise(ids, found.books),
            *promises.stats_otherwise(stats, found.books),
        ]


def told(options: argparse.Namespace, run: Run, busy: float, seconds: float) -> str:
    """The whole report."""
    parts = [
        report.ABOUT.rstrip(),
        f"Offered by `make load` (seed {options.seed}) over {CONNECTIONS} connections to a local "
        f"stack on the same machine: {report.machine()}; its load average before was {busy:.1f}. "
        f"A client gives up {options.patience:g} s after its request was due.",
    ]
    if run.steps:
        parts += [
            report.steps_table(run.steps),
            report.knee_sentence(run.steps),
            report.operations_table(run.steps),
        ]
    if run.business is not None:
        parts += [
            f"{options.payments:,} payments, as many as one a second makes in "
            f"{options.payments / 3600:.2g} hours, asked for within {options.within:g} s:",
            report.steps_table([run.business]),
            f"The last was answered after {run.business.seconds:.0f} s. Until all was settled and "
            f"told, {report.cpu_sentence(run.cpu_seconds, options.payments)}",
        ]
    parts += [*_end(run), f"All of this took {seconds:.0f} s."]
    return "\n\n".join(parts) + "\n"


def _end(run: Run) -> list[str]:
    drained = (
        f"The backlog was gone {run.drained_seconds:.0f} s after the last request."
        if run.drained_seconds is not None
        else "The backlog did not drain."
    )
    seen = ", ".join(f"{count} × {what}" for what, count in sorted(run.said.counts.items()))
    facts = (
        f"{run.sent_again} requests whose answer settled nothing were sent again with their key. "
        f"{drained} {run.payments:,} payments and {run.webhooks:,} webhooks were looked at one by "
        f"one; the sweeper sent {run.said.hints_resent:,} hints again. In the logs: {seen or '–'}."
    )
    if run.is_good:
        return [facts, "**Every promise is kept**: nothing lost, nothing twice."]
    if not run.is_whole:
        facts += (
            f" **The machine was too slow for this load**: {run.unanswered} keys were never "
            "answered, and what was not settled in time could not be checked."
        )
    parts = [facts, f"**{len(run.broken)} promises are broken.**", _listed(run.broken)]
    parts += [f"**{len(run.wrong)} answers or lines in logs are wrong.** {run.logs}"]
    return [*parts, _listed(run.wrong)]


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence[:_LONGEST]}" for sentence in sentences[:_SHOWN]) or "–"


def _kept(stack: Stack) -> str:
    folder = ROOT / ".payflow" / "load"
    shutil.copytree(stack.local.logs, folder, dirs_exist_ok=True)
    return f"The logs are in {folder.relative_to(ROOT)}."


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
