"""One lane of a run: chapters, one after another, on one engine.

A chapter starts with empty tables, and has a storm and a calm. In the storm clients send requests,
workers process messages and the sweeper runs; the order and the faults are drawn from the chapter's
seed. In the calm nothing fails, and at its end every promise must be kept.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from chalicelib.errors import Unavailable
from chalicelib.payments.items import BY_STATUS
from chalicelib.payments.models import RefundStatus, Status
from chalicelib.payments.simulator import SIMULATE, SIMULATE_REFUND
from chalicelib.values import rfc3339
from infra.local.event_source import EventSource
from infra.local.lambda_events import api_event, scheduled_event
from tests import engines, invariants
from tests.crash import administrator, audit_trail, merchant
from tests.crash.faults import DEADLY, SLOW, STOPPING, Fault, Plan
from tests.crash.invocation import Conductor, Outcome
from tests.crash.merchant import Request, Wish
from tests.crash.verdict import unanswered, verdict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

START: Final = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
_STEPS: Final = 250
_PAYMENTS: Final = 24
_FAULTY: Final = 0.9
"""The fraction of invocations in a storm that get faults."""
_OUTAGES: Final = 3
_ROUNDS: Final = 60
"""The limit of rounds in a calm: many more than unfinished work needs."""
_UNIT: Final = timedelta(minutes=1)
_STUCK: Final = _UNIT * (2**13 + 2)
"""The sweeper reports older items as stuck."""
_PATHS: Final = ("/calm", "/moody")
_LATEST_CALL: Final = {"create": 2, "refund": 3, "cancel": 4, "return": 4, "refund return": 5,
                       "process": 8, "deliver": 5, "sweep": 40, "endpoint": 3, "change": 2,
                       "rotate": 2, "test": 3, "replay failed": 4, "delete": 1, "key": 1, "roll": 2,
                       "revoke": 2}  # fmt: skip
"""The highest call number of a fault. A fault has no effect if its call is never made."""


class Killed(Exception):
    """The process of the function died, or the function raised."""


@dataclass
class Tally:
    """What a lane did, in numbers."""

    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Faults, by flow, call and fault."""
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """All calls, by flow and name."""
    invocations: int = 0
    chapters: int = 0
    payments: int = 0
    refunds: int = 0
    webhooks: int = 0
    dead_letters: int = 0
    digest: str = ""

    @property
    def faults(self) -> int:
        return sum(self.met.values())


@dataclass
class Chapter:
    """The state of a chapter."""

    drawn: random.Random
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """The secrets of the endpoints that stay, by their path."""
    endpoint_ids: set[str] = field(default_factory=set)
    """The same endpoints."""

    def of(self, wish: Wish) -> list[Request]:
        return [request for request in self.requests if request.wish is wish]

    def paid(self) -> list[dict[str, Any]]:
        """Return the payments that clients know about."""
        return [
            json.loads(one.told["body"]) for one in self.of(Wish.CREATE) if one.told is not None
        ]


class Lane:
    """An engine, the proxy in front of it, and the handlers."""

    def __init__(
        self,
        conductor: Conductor,
        dynamodb: "DynamoDBClient",
        sqs: "SQSClient",
        queues: Mapping[str, str],
        *,
        stage: str,
        seed: str,
    ) -> None:
        self.conductor, self.clock = conductor, conductor.clock
        self.dynamodb, self.sqs = dynamodb, sqs
        self.queues, self.stage, self.seed = queues, stage, seed
        self.tally = Tally()
        self._digest = hashlib.sha256()
        self._number = 0
        self._is_calm = True
        self._has_stopped = False
        self._held: str | None = None
        """The payment that a stopped process works on."""

    def warm_up(self) -> None:
        """Settle a payment in this process, so that its children start warm."""
        app = self.conductor.app
        self._prepare()
        self.clock.reset(START - timedelta(days=1))

        def live() -> None:
            body = {"merchant": "Warm", "amount": 1, "currency": "CAD", "type": "eft",
                    "idempotency_key": "warming-up"}  # fmt: skip
            event = api_event("POST", "/v1/payments", body)
            made = json.loads(app.app(event, None)["body"])
            if "id" not in made:
                raise Unavailable(made["detail"])
            app.services.payments.settle(made["id"])
            app.sweeper(scheduled_event(self.clock()), None)

        def warm() -> bool:
            """Return whether the engine answers in time. It is slow at first."""
            with suppress(Unavailable):
                live()
                return True
            return False

        self.conductor.warm_up(lambda: engines.wait_until(warm, "the engine is warm"))

    # -- a chapter

    def run(self, number: int) -> list[str]:
        """Run a chapter, and return the broken promises."""
        self._number = 0
        self._chapter = Chapter(random.Random(f"{self.seed}:{number}"))
        self._name = f"{self.seed}:{number}"
        self._start_afresh()
        self._storm()
        self._calm()
        self.tally.chapters += 1
        self.tally.digest = self._digest.hexdigest()[:16]
        return self._chapter.complaints

    @property
    def trace(self) -> list[str]:
        """What happened in the chapter, in order."""
        return self._chapter.trace

    def _prepare(self) -> None:
        """Empty the tables and queues."""
        for table in (f"payflow-payments-{self.stage}", f"payflow-idempotency-{self.stage}"):
            if table in self.dynamodb.list_tables()["TableNames"]:
                self.dynamodb.delete_table(TableName=table)
        engines.create_tables(self.dynamodb, self.stage)
        for name in self.queues:
            self._lose(name, all_of_them=True)
        self.conductor.ask(received=True)
        self.clock.reset(START)

    def _start_afresh(self) -> None:
        self._prepare()
        self._is_calm = True
        for path in _PATHS:
            event = api_event("POST", "/v1/webhook_endpoints", {"url": self.conductor.url + path})
            answer = self._invoke("endpoint", "app", event).answer
            assert answer["statusCode"] == 201, answer
            endpoint = json.loads(answer["body"])
            self._chapter.secrets[path] = endpoint["secret"]
            self._chapter.endpoint_ids.add(endpoint["id"])

    def _storm(self) -> None:
        self._is_calm = False
        self.conductor.ask(calm=False)
        for _ in range(_STEPS):
            self._step()

    def _step(self) -> None:
        drawn = self._chapter.drawn
        self.clock.advance(timedelta(seconds=drawn.uniform(0.05, 1.5)))
        self._act(
            (3, self._create),
            (4, self._ask_again),
            (3, self._refund),
            (1, self._cancel),
            (1, self._return),
            (1, self._return_refund),
            (3, self._administer),
            (8, lambda: self._work("webhooks")),
            (8, lambda: self._work("deliveries")),
            (1, self._sweep),
            (1, lambda: self._lose(drawn.choice(["webhooks", "deliveries"]))),
            (1, self._repeat),
            (2, lambda: self.clock.advance(timedelta(seconds=drawn.uniform(5, 90)))),
        )

    def _act(self, *actions: tuple[int, Callable[[], object]]) -> None:
        weights = [weight for weight, _ in actions]
        (action,) = self._chapter.drawn.choices([action for _, action in actions], weights)
        action()

    def _calm(self) -> None:
        self._is_calm = True
        self.conductor.ask(calm=True)
        for _ in range(_ROUNDS):
            for request in self._chapter.requests:
                if not request.is_done:
                    self._ask(request)
            self._sweep()
            self._drain()
            if not (wait := self._until_next(self._books())):
                break
            self.clock.advance(wait)
        self._judge(self._books())

    def _until_next(self, books: invariants.Books) -> timedelta | None:
        """Return how long to wait until the sweeper finds more unfinished work.

        Returns None when everything is finished.
        """
        since = [*_unfinished(books), *_due(self._rows())]
        if not since and [*unanswered(self._chapter.requests)]:
            return _UNIT
        now = self.clock()
        return min((_found_after(now - moment) for moment in since), default=None)

    def _judge(self, books: invariants.Books) -> None:
        chapter = self._chapter
        received = self.conductor.ask(received=True)["received"]
        received = [post for post in received if post["path"] in chapter.secrets]
        chapter.complaints += administrator.broken(self._rows(), chapter.requests)
        chapter.complaints += audit_trail.broken(self._rows())
        chapter.complaints += verdict(
            books, chapter.requests, chapter.secrets, received, self.conductor.said()
        )
        self.tally.payments += len(books.lives)
        self.tally.refunds += sum(len(life.refunds) for life in books.lives.values())
        self.tally.webhooks += len(received)
        self.tally.dead_letters += sum(
            self._lose(name, all_of_them=True) for name in self.queues if name.endswith("dlq")
        )
        self._judge_stuck(books)
        self._judge_expired_key()

    def _judge_stuck(self, books: invariants.Books) -> None:
        """Check that the sweeper reports exactly what never ends."""
        self.clock.advance(_STUCK)
        open_refunds = sum(invariants.under_way(life.refunds) for life in books.lives.values())
        expected = open_refunds + sum(
            payment.status is Status.PROCESSING for payment in books.payments
        )
        swept = self._sweep()
        if swept != {"enqueued": 0, "stuck": expected}:
            self._chapter.complaints.append(f"{expected} are stuck; the sweeper says {swept}")

    def _judge_expired_key(self) -> None:
        """Check that a key creates a new payment after 24 hours, if its record still exists."""
        made = [one for one in self._chapter.of(Wish.CREATE) if one.succeeded]
        for old in made[:1]:
            again = Request(Wish.CREATE, old.body)
            self._ask(again)
            if again.told is None or again.told["statusCode"] != 201:
                self._chapter.complaints.append(f"a key that is a day old got {again.told}")

    def _books(self) -> invariants.Books:
        """Return the books of what merchants are promised: without the administrator's."""
        return invariants.read(
            (row for row in self._rows() if self._is_for_merchants(row)),
            (
                record
                for record in invariants.scan(self.dynamodb, f"payflow-idempotency-{self.stage}")
                if record["idempotencyKey"].startswith(("create_payment#", "create_refund#"))
            ),
        )

    def _rows(self) -> list[invariants.Row]:
        return [*invariants.scan(self.dynamodb, f"payflow-payments-{self.stage}")]

    def _is_for_merchants(self, row: invariants.Row) -> bool:
        parts = row["SK"].split("#")
        return parts[0] != "DELIVERY" or parts[-1] in self._chapter.endpoint_ids

    # -- what clients do

    def _create(self) -> None:
        made = len(self._chapter.of(Wish.CREATE))
        if made < _PAYMENTS:
            self._new(merchant.payment(self._chapter.drawn, f"payment-{self._name}-{made:03}"))

    def _refund(self) -> None:
        if paid := self._paid():
            key = f"refund-{self._name}-{len(self._chapter.requests):03}"
            drawn = self._chapter.drawn
            self._new(merchant.refund(drawn, drawn.choice(paid), key))

    def _cancel(self) -> None:
        if paid := self._chapter.paid():  # mostly the last one: the others are usually submitted
            one = (
                paid[-1] if self._chapter.drawn.random() < 0.7 else self._chapter.drawn.choice(paid)
            )
            self._new(Request(Wish.CANCEL, None, one["id"]))

    def _paid(self) -> list[dict[str, Any]]:
        """Return mostly completed payments: no other can be refunded or returned."""
        if held := self._held_one():
            return held
        paid = self._chapter.paid()
        if self._chapter.drawn.random() < 0.15:
            return paid
        answer = self.dynamodb.query(
            TableName=f"payflow-payments-{self.stage}",
            IndexName=BY_STATUS.name,
            KeyConditionExpression="#status = :completed",
            ExpressionAttributeNames={"#status": BY_STATUS.hash},
            ExpressionAttributeValues={":completed": {"S": Status.COMPLETED}},
        )
        completed = {item["id"]["S"] for item in answer["Items"]}
        return [one for one in paid if one["id"] in completed]

    def _held_one(self) -> list[dict[str, Any]]:
        return [one for one in self._chapter.paid() if one["id"] == self._held]

    def _return(self) -> None:
        if paid := self._paid():
            self._new(Request(Wish.RETURN, {}, self._chapter.drawn.choice(paid)["id"]))

    def _return_refund(self) -> None:
        made = [one for one in self._chapter.of(Wish.REFUND) if one.succeeded and one.told]
        if made:
            refund = self._chapter.drawn.choice(made)
            assert refund.told is not None
            body = {"refund_id": json.loads(refund.told["body"])["id"]}
            self._new(Request(Wish.REFUND_RETURN, body, refund.payment_id))

    def _administer(self) -> None:
        drawn, made = self._chapter.drawn, self._chapter.requests
        wanted = administrator.request(drawn, made, self._name, self.conductor.url)
        if wanted is not None:
            self._new(wanted)

    def _new(self, request: Request) -> None:
        self._chapter.requests.append(request)
        self._ask(request)

    def _ask_again(self) -> None:
        """Repeat a request without an answer, or else an answered one, to see it replayed."""
        waiting = [one for one in self._chapter.requests if not one.is_done]
        keyed = [one for one in self._chapter.requests if one.succeeded and one.key]
        if candidates := waiting or keyed:
            is_held = self._has_stopped and self._chapter.drawn.random() < 0.5
            self._ask(candidates[-1] if is_held else self._chapter.drawn.choice(candidates))

    def _ask(self, request: Request) -> None:
        outcome = self._invoke(request.wish, "app", request.event())
        request.hear(outcome.answer)
        if outcome.raised:
            self._chapter.complaints.append(f"{request.wish}: {outcome.raised}")

    # -- what AWS does

    def _work(self, name: str) -> None:
        size = self._chapter.drawn.choice([1, 1, 1, 2, 10])
        self._source(name, 10 if self._is_calm else size).poll()

    def _source(self, name: str, size: int) -> EventSource:
        handler = {"webhooks": "webhook_processor", "deliveries": "delivery_worker"}[name]
        flow = {"webhooks": "process", "deliveries": "deliver"}[name]

        def function(event: dict[str, Any], _: Any) -> Any:
            outcome = self._invoke(flow, handler, event)
            if outcome.raised:
                self._chapter.complaints.append(f"{flow}: {outcome.raised}")
            if outcome.answer is None:
                raise Killed
            return outcome.answer

        return EventSource(
            sqs=self.sqs,
            queue_url=self.queues[name],
            queue_arn=f"arn:aws:sqs:ca-central-1:000000000000:payflow-{name}-{self.stage}",
            retry_seconds=0,
            region="ca-central-1",
            function=function,
            batch_size=size,
            wait_seconds=0,
        )

    def _drain(self) -> None:
        """Process messages until none is left; after five receives they are dead letters."""
        for name in ("webhooks", "deliveries"):
            source = self._source(name, 10)
            while source.poll():
                pass

    def _sweep(self) -> Any:
        outcome = self._swept()
        for _ in range(_OUTAGES):
            if self._is_calm and outcome.raised:  # an outage because the machine is busy
                outcome = self._swept()
        return outcome.answer

    def _swept(self) -> Outcome:
        outcome = self._invoke("sweep", "sweeper", scheduled_event(self.clock()))
        if outcome.raised and not outcome.raised.startswith(("Throttled", "Unavailable")):
            self._chapter.complaints.append(f"sweep: {outcome.raised}")
        return outcome

    def _lose(self, name: str, *, all_of_them: bool = False) -> int:
        """Delete messages, and return how many."""
        lost = 0
        while messages := self._received(name):
            for message in messages:
                self.sqs.delete_message(
                    QueueUrl=self.queues[name], ReceiptHandle=message["ReceiptHandle"]
                )
            lost += len(messages)
            if not all_of_them:
                self._note(f"lost {[message['Body'] for message in messages]}")
                break
        return lost

    def _repeat(self) -> None:
        """Send messages that are in the queue once more."""
        for message in self._received("webhooks"):
            self.sqs.send_message(QueueUrl=self.queues["webhooks"], MessageBody=message["Body"])
            self._note(f"repeated {message['Body']}")

    def _received(self, name: str) -> list[Any]:
        answer = self.sqs.receive_message(
            QueueUrl=self.queues[name], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return list(answer.get("Messages", []))

    # -- an invocation and its fault

    def _invoke(self, flow: str, handler: str, event: Mapping[str, Any]) -> Outcome:
        self._number += 1
        number = self._number
        # Two processes with one parent would create the same id in the same millisecond.
        self.clock.advance(timedelta(milliseconds=2))
        plans = [] if self._is_calm else self._plans(flow)
        outcome = self.conductor.invoke(number, handler, event, plans, f"{self._name}:{number}")
        if outcome.stopped:
            outcome = self._while_it_is_stopped(number, event)
        self._count(flow, outcome, plans)
        return outcome

    def _plans(self, flow: str) -> list[Plan]:
        """Return up to three faults for one process, which may survive the first."""
        drawn = self._chapter.drawn
        if drawn.random() > _FAULTY:
            return []
        plans: list[Plan] = []
        for _ in range(drawn.randint(1, 3)):
            # Only one process at a time is stopped, and only once.
            may_stop = not self._has_stopped and not any(plan.fault in STOPPING for plan in plans)
            plans.append(self._plan(flow, may_stop=may_stop))
        return plans

    def _plan(self, flow: str, *, may_stop: bool) -> Plan:
        drawn = self._chapter.drawn
        kinds = [kind for kind in Fault if may_stop or kind not in STOPPING]
        weights = [0.15 if kind in SLOW else 1.5 if kind in DEADLY else 1 for kind in kinds]
        (kind,) = drawn.choices(kinds, weights)
        wide = 1 if kind in DEADLY | STOPPING | SLOW else drawn.choice([1, 1, 3, 20])
        return Plan(kind, drawn.randint(1, _LATEST_CALL[flow]), wide)

    def _while_it_is_stopped(self, number: int, event: Mapping[str, Any]) -> Outcome:
        """Let others work on the same rows, then continue or kill the stopped process."""
        drawn = self._chapter.drawn
        self._note(f"{number} stands still")
        self._has_stopped, self._held = True, _payment_of(event)
        for record in event.get("Records", []):
            self._send_again(record)
        for _ in range(drawn.randint(1, 4)):
            self._act(
                (3, self._ask_again),
                (4, self._refund),
                (1, self._cancel),
                (2, self._return),
                (1, self._return_refund),
                (2, self._administer),
                (4, lambda: self._work("webhooks")),
                (2, lambda: self._work("deliveries")),
                (2, lambda: self.clock.advance(timedelta(seconds=drawn.uniform(60, 120)))),
            )
        self._has_stopped, self._held = False, None
        self._note(f"{number} goes on")
        if drawn.random() < 0.2:
            return self.conductor.kill(number)
        return self.conductor.resume(number)

    def _send_again(self, record: Mapping[str, Any]) -> None:
        queue = record["eventSourceARN"].rpartition(":")[2].removesuffix(f"-{self.stage}")
        url = self.queues[queue.removeprefix("payflow-")]
        self.sqs.send_message(QueueUrl=url, MessageBody=record["body"])

    def _count(self, flow: str, outcome: Outcome, plans: Sequence[Plan]) -> None:
        self.tally.invocations += 1
        self.tally.calls.update((flow, call) for call in outcome.calls)
        met = [(plan, calls) for plan, calls in zip(plans, outcome.met, strict=False) if calls]
        self.tally.met.update((flow, calls[0], str(plan.fault)) for plan, calls in met)
        faults = ", ".join(f"{plan.fault} ×{len(calls)} at {calls[0]}" for plan, calls in met)
        calls = ", ".join(
            call if count == 1 else f"{call} ×{count}"
            for call, count in ((call, len([*same])) for call, same in groupby(outcome.calls))
        )
        self._note(f"{flow}: {calls} → {_shown(outcome)}{' | ' if met else ''}{faults}")

    def _note(self, what: str) -> None:
        line = f"{rfc3339(self.clock())} {what}"
        self._chapter.trace.append(line)
        self._digest.update(line.encode())


def _payment_of(event: Mapping[str, Any]) -> str | None:
    """Return the payment, or the first payment, that the event is about."""
    for record in event.get("Records", []):
        payment_id: str | None = json.loads(record["body"]).get("payment_id")
        return payment_id
    return (event.get("pathParameters") or {}).get("payment_id")


def _unfinished(books: invariants.Books) -> Iterator[datetime]:
    """Yield since when each payment and refund is unfinished."""
    for life in books.lives.values():
        wishes = life.payment.metadata
        if (
            life.payment.status is Status.PROCESSING
            and wishes.get(SIMULATE) not in invariants.NEVER_SETTLED
        ):
            yield life.payment.created_at
        for refund in life.refunds.values():
            is_open = refund.status is RefundStatus.PROCESSING
            if is_open and wishes.get(SIMULATE_REFUND) not in invariants.NEVER_SETTLED:
                yield refund.created_at


def _due(rows: Sequence[invariants.Row]) -> Iterator[datetime]:
    """Yield when each pending delivery will be due."""
    for row in rows:
        if "dueAt" in row:
            yield datetime.fromisoformat(row["dueAt"].partition("#")[0])


def _found_after(age: timedelta) -> timedelta:
    """Return how long it takes until an item of this age is in one of the sweeper's windows."""
    window = _UNIT
    while window <= age:
        window *= 2
    return window - age + timedelta(seconds=1)


def _shown(outcome: Outcome) -> Any:
    """Return the outcome without SQS's message ids, which differ in each run."""
    answer = outcome.answer
    if not isinstance(answer, dict):
        return outcome.raised
    failures = answer.get("batchItemFailures")
    return answer.get("statusCode", answer) if failures is None else f"{len(failures)} failed"
