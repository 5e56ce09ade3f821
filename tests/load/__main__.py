"""`make load`: traffic at increasing rates, hours of business in minutes, then the check."""

import argparse
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

from bench import page
from infra import ROOT
from infra.local.settings import SetupError
from tests.invariants import unsettled
from tests.load import promises, report
from tests.load.generator import Generator, Step
from tests.load.ledger import Ledger, Outcome
from tests.load.promises import Found, Said
from tests.load.stack import Merchant, Stack, ask, open_merchant, running
from tests.load.traffic import BUSINESS, MIXED, Traffic

PATIENCE_SECONDS: Final = 10
DRAIN_SECONDS: Final = 600
"""The longest that the backlog may take: a lost message is sent again when its payment is twice as
old.
"""
_LOOK_SECONDS: Final = 1.0
_NEARLY_DRY: Final = 50
_SHOWN: Final = 20
_LONGEST: Final = 1500


@dataclass
class Run:
    """What one run came to."""

    steps: list[Step] = field(default_factory=list)
    business: Step | None = None
    sent_again: int = 0
    drained_seconds: float | None = None
    """After the last request; None when it did not drain."""
    payments: int = 0
    webhooks: int = 0
    said: Said = field(default_factory=Said)
    unanswered: int = 0
    """Keys that were sent, and not answered in time however often."""
    broken: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Answers and lines in logs that there must not be."""

    @property
    def is_whole(self) -> bool:
        """Whether all was answered, settled and delivered in time, so that all was checked."""
        return not self.unanswered and self.drained_seconds is not None

    @property
    def is_good(self) -> bool:
        return self.is_whole and not (self.broken or self.wrong)


def main(arguments: Sequence[str]) -> None:
    options = _parsed(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the stack as well
    try:
        with ExitStack() as opened:
            stack = opened.enter_context(running())
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="payflow-merchant-"))
            merchant = opened.enter_context(open_merchant(Path(folder)))
            run = Load(options, stack, merchant).run()
    except (SetupError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    text = told(options, run)
    print(text)
    if options.report:
        page.write(report.PAGE, {"run": text})
    sys.exit(0 if run.is_good else 1)


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--rates", default="10,25,50,100,200", help="requests offered a second")
    parser.add_argument("--seconds", type=float, default=8, help="how long each rate is offered")
    parser.add_argument("--payments", type=int, default=7200, help="two hours' of one a second")
    parser.add_argument("--within", type=float, default=120, help="so many seconds")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--report", action="store_true", help="write docs/reports/load.md")
    options = parser.parse_args(arguments)
    options.rates = [float(rate) for rate in options.rates.split(",")]
    return options


class Load:
    """One run, against one stack."""

    def __init__(self, options: argparse.Namespace, stack: Stack, merchant: Merchant) -> None:
        self.options = options
        self.stack = stack
        self.merchant = merchant
        self.name = uuid.uuid4().hex[:8]
        self.ledger = Ledger()

    def run(self) -> Run:
        run, api = Run(), self.stack.local.api_port
        made = ask(api, "POST", "/v1/webhook_endpoints", {"url": self.merchant.url})
        self.merchant.trust(made["secret"])
        traffic = Traffic(self.name, self.options.seed)
        with Generator(traffic, self.ledger, api, self.stack.depth) as generator:
            self._offer(generator, run)
            found = self._drain(run)
            _say("checking every promise")
            found.received = self.merchant.received()
            run.said = promises.said_in_logs(self.stack)
            run.broken = promises.broken_promises(self.stack, self.ledger, found, run.said)
            run.broken += self._read_back(generator, found)
        run.said = promises.said_in_logs(self.stack)
        unit = timedelta(seconds=int(os.environ["PAYFLOW_SWEEP_UNIT_SECONDS"]))
        run.broken += promises.overslept(found, run.said, datetime.now(UTC), unit)
        run.unanswered = len(self.ledger.uncertain())
        run.wrong = [*self.ledger.wrong, *run.said.wrong]
        if run.wrong:
            logs = ROOT / ".payflow" / "load"
            shutil.copytree(self.stack.local.logs, logs, dirs_exist_ok=True)
            _say(f"the stack's logs are kept in {logs}")
        run.payments = len(found.books.lives)
        run.webhooks = len({one["webhook_id"] for one in found.received})
        return run

    def _offer(self, generator: Generator, run: Run) -> None:
        for rate in self.options.rates:
            step = generator.offer(
                MIXED, rate, seconds=self.options.seconds, patience_seconds=PATIENCE_SECONDS
            )
            run.steps.append(step)
            _say(f"{rate:g} a second: {step.outcomes[Outcome.SERVED]} of {len(step.samples)} "
                 f"served, {step.queued} queued")  # fmt: skip
        count, within = self.options.payments, self.options.within
        if count:
            step = generator.offer(
                BUSINESS,
                count / within * sum(BUSINESS.values()) / BUSINESS["create"],
                seconds=2 * within,
                patience_seconds=within,  # a shop that wants to be paid
                creates=count,
            )
            run.business = step
            _say(f"{count} payments asked for in {within:g} s, answered after {step.seconds:.0f} s")
        run.sent_again = generator.insist()
        _say(f"{run.sent_again} requests whose answer settled nothing were sent again")

    def _drain(self, run: Run) -> Found:
        """What is there once all is settled and delivered."""
        began = time.monotonic()
        deadline = began + DRAIN_SECONDS
        while True:
            while self.stack.depth() > _NEARLY_DRY and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
            seen = time.monotonic()
            found = promises.look(self.stack)
            left = len(unsettled(found.books)) + len(found.pending_deliveries)
            _say(f"after {seen - began:.0f} s {left} are still to be settled or delivered")
            if not left:
                run.drained_seconds = seen - began
            if not left or seen > deadline:
                return found
            time.sleep(_LOOK_SECONDS)

    def _read_back(self, generator: Generator, found: Found) -> list[str]:
        """What the API says of the whole, against the whole."""
        ids, cursor = [], ""
        while cursor is not None:
            listed = generator.read(f"/v1/payments?limit=100{cursor}")
            ids += [payment["id"] for payment in listed["payments"]]
            cursor = listed["next_cursor"] and f"&cursor={listed['next_cursor']}"
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        stats = generator.read(f"/v1/stats?from={yesterday}")
        return [
            *promises.listed_otherwise(ids, found.books),
            *promises.stats_otherwise(stats, found.books),
        ]


def told(options: argparse.Namespace, run: Run) -> str:
    """What the page says of the run."""
    parts = [
        report.offered(options.seed, PATIENCE_SECONDS),
        report.steps_table(run.steps),
        report.bend_sentence(run.steps),
        report.operations_table(run.steps),
    ]
    if run.business is not None:
        parts += [
            f"{options.payments:,} payments, as many as one a second makes in "
            f"{options.payments / 3600:.2g} hours, asked for within {options.within:g} s:",
            report.steps_table([run.business]),
        ]
    drained = (
        f"The backlog was gone {run.drained_seconds:.0f} s after the last request."
        if run.drained_seconds is not None
        else "The backlog did not drain."
    )
    seen = ", ".join(f"{count} × {what}" for what, count in sorted(run.said.counts.items()))
    parts.append(
        f"{run.sent_again} requests whose answer settled nothing were sent again with their key. "
        f"{drained} {run.payments:,} payments and {run.webhooks:,} webhooks were looked at one by "
        f"one; the sweeper sent {run.said.messages_resent:,} messages again. "
        f"In the logs: {seen or '–'}."
    )
    return "\n\n".join([*parts, *_verdict(run)])


def _verdict(run: Run) -> list[str]:
    if run.is_good:
        return ["**Every promise is kept**: nothing lost, nothing twice."]
    parts = []
    if not run.is_whole:
        parts.append(
            f"**The machine was too slow for this load**: {run.unanswered} keys were never "
            "answered, and what was not settled in time could not be checked."
        )
    for what, sentences in (
        ("promises are broken", run.broken),
        ("answers or log lines are wrong", run.wrong),
    ):
        listed = "\n".join(f"- {sentence[:_LONGEST]}" for sentence in sentences[:_SHOWN])
        parts += [f"**{len(sentences)} {what}.**", listed or "–"]
    return parts


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
