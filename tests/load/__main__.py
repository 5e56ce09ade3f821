"""`make load`: traffic at increasing rates, hours of business in minutes, then the check."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from bench import page
from infra import ROOT
from infra.local.settings import SetupError
from infra.local.webhook_receiver import Receiver
from tests.http_client import send
from tests.invariants import unsettled
from tests.load import promises, report
from tests.load.follower import Follower
from tests.load.generator import CONNECTIONS, Generator, Step
from tests.load.ledger import Ledger, Outcome
from tests.load.promises import Found, Said
from tests.load.stack import SWEEP_UNIT, Stack, merchant, running
from tests.load.traffic import BUSINESS, MIXED, Traffic

PATIENCE_SECONDS: Final = 10
DRAIN_SECONDS: Final = 600
"""The longest that the backlog may take: a lost message is sent again when its payment is twice as
old.
"""
_LOOK_SECONDS: Final = 1.0
_NEARLY_DRY: Final = 50
_SHOWN: Final = 20


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
    events: int = 0
    """That a client was told who followed the feed meanwhile."""
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
        with running() as stack, merchant() as (url, receiver):
            run = load(options, stack, url, receiver)
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


def load(options: argparse.Namespace, stack: Stack, url: str, receiver: Receiver) -> Run:
    """Offer it all to the stack, which tells a merchant at `url`; then check every promise."""
    port, headers = stack.local.api_port, {"Content-Type": "application/json"}
    made = send(port, "POST", "/v1/webhook_endpoints", json.dumps({"url": url}), headers)
    receiver.keep_secrets([made.json["secret"]])
    run, ledger = Run(), Ledger()
    traffic = Traffic(uuid.uuid4().hex[:8], options.seed)
    with (
        Generator(traffic, ledger, port, stack.depth) as generator,
        Follower(generator.read) as follower,
    ):
        _offer(options, generator, run)
        found = _drain(stack, run)
        _say("checking every promise")
        followed = follower.followed()
        found.received = receiver.received()
        run.said = promises.said_in_logs(stack)
        run.broken = promises.broken_promises(stack, ledger, found, run.said)
        run.broken += promises.followed_otherwise(followed, found.books, run.said)
        run.broken += _read_back(generator, found)
    run.said = promises.said_in_logs(stack)
    run.broken += promises.overslept(found, run.said, datetime.now(UTC), SWEEP_UNIT)
    run.unanswered = len(ledger.uncertain())
    run.wrong = [*ledger.wrong, *run.said.wrong]
    if run.wrong:
        logs = ROOT / ".payflow" / "load"
        shutil.copytree(stack.local.logs, logs, dirs_exist_ok=True)
        _say(f"the stack's logs are kept in {logs}")
    run.events = len(followed)
    run.payments = len(found.books.lives)
    run.webhooks = len({one.webhook_id for one in found.received})
    return run


def _offer(options: argparse.Namespace, generator: Generator, run: Run) -> None:
    for rate in options.rates:
        step = generator.offer(
            MIXED, rate, seconds=options.seconds, patience_seconds=PATIENCE_SECONDS
        )
        run.steps.append(step)
        served = step.outcomes[Outcome.SERVED]
        _say(f"{rate:g} a second: {served} of {len(step.samples)} served, {step.queued} queued")
    count, within = options.payments, options.within
    if count:
        run.business = generator.offer(
            BUSINESS,
            count / within * sum(BUSINESS.values()) / BUSINESS["create"],
            seconds=2 * within,
            patience_seconds=within,  # a shop that wants to be paid
            creates=count,
        )
        taken = run.business.seconds
        _say(f"{count} payments asked for in {within:g} s, answered after {taken:.0f} s")
    run.sent_again = generator.insist()
    _say(f"{run.sent_again} requests whose answer settled nothing were sent again")


def _drain(stack: Stack, run: Run) -> Found:
    """What is there once all is settled and delivered."""
    began = time.monotonic()
    deadline = began + DRAIN_SECONDS
    while True:
        while stack.depth() > _NEARLY_DRY and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        seen = time.monotonic()
        found = promises.look(stack)
        left = len(unsettled(found.books)) + len(found.pending_deliveries)
        _say(f"after {seen - began:.0f} s {left} are still to be settled or delivered")
        if not left:
            run.drained_seconds = seen - began
        if not left or seen > deadline:
            return found
        time.sleep(_LOOK_SECONDS)


def _read_back(generator: Generator, found: Found) -> list[str]:
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
    engine = os.environ.get("PAYFLOW_DYNAMODB") or "emulated"
    parts = [
        f"Offered with seed {options.seed} over {CONNECTIONS} connections to a local stack on the "
        f"same machine: {page.machine()}, {engine} DynamoDB. A client gives up "
        f"{PATIENCE_SECONDS:g} s after its request was due.",
        report.steps_table(run.steps),
        report.bend(run.steps),
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
        f"{drained} {run.payments:,} payments, {run.webhooks:,} webhooks and the {run.events:,} "
        f"events of a client that followed the feed ({len(run.said.late)} late) were looked at "
        f"one by one; the sweeper sent {run.said.messages_resent:,} messages again. "
        f"In the logs: {seen or '–'}."
    )
    if run.is_good:
        parts.append("**Every promise is kept**: nothing lost, nothing twice.")
    if not run.is_whole:
        parts.append(
            f"**The machine was too slow for this load**: {run.unanswered} keys were never "
            "answered, and what was not settled in time could not be checked."
        )
    faults = {"promises are broken": run.broken, "answers or log lines are wrong": run.wrong}
    for what, sentences in faults.items():
        if sentences:
            listed = "\n".join(f"- {sentence[:1500]}" for sentence in sentences[:_SHOWN])
            parts += [f"**{len(sentences)} {what}.**", listed]
    return "\n\n".join(parts)


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
