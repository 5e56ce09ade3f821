"""What TLC is asked: which module, within which bounds, and what has to hold.

Guarantee: each rule that a module can leave out has a check here that expects the property which
is broken by that; so no property is one that nothing can break.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

THE_CODE: Final = "nothing"
"""What is left out of a model that is as the code is."""


@dataclass(frozen=True)
class Check:
    """One run of TLC. `bounds` are the constants' values, as a TLC configuration has them."""

    name: str
    module: str
    bounds: Mapping[str, str]
    invariants: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    """Properties of single steps."""
    ends: tuple[str, ...] = ()
    """Properties of whole behaviours; asked of them, what is symmetric is not left out."""
    broken: str = THE_CODE
    is_large: bool = False
    """Of more than 40,000 states. Smaller ones show which actions are ever taken."""

    @property
    def expected(self) -> str | None:
        """The property that TLC must find broken."""
        asked = self.invariants + self.steps + self.ends
        return None if self.broken == THE_CODE else asked[0]


@dataclass(frozen=True)
class Protocol:
    """A module, its safety properties, and small bounds in which its broken rules show: for what
    happens at last, with what is `alone` instead.
    """

    module: str
    invariants: tuple[str, ...]
    small: Mapping[str, str]
    alone: Mapping[str, str]
    steps: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    """What can be left out, and the property that this breaks."""
    shown_in: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Other bounds, for rules that do not show in the small ones."""

    def holds(self, name: str, **bounds: str) -> Check:
        """Every safety property."""
        return Check(name, self.module, {**self.small, **bounds}, self.invariants, steps=self.steps)

    def holds_in_large(self, name: str, **bounds: str) -> Check:
        return replace(self.holds(name, **bounds), is_large=True)

    def ends(self, name: str, *properties: str, **bounds: str) -> Check:
        return Check(name, self.module, {**self.small, **bounds}, ends=properties)

    def broken_checks(self) -> list[Check]:
        return [self._broken(rule, asked) for rule, asked in self.rules.items()]

    def _broken(self, rule: str, asked: str) -> Check:
        kinds: dict[str, Any] = {
            "invariants": (asked,) if asked in self.invariants else (),
            "steps": (asked,) if asked in self.steps else (),
        }
        if not any(kinds.values()):
            kinds["ends"] = (asked,)
        wider = self.alone if "ends" in kinds else self.shown_in.get(rule, {})
        bounds = {**self.small, **wider}
        return Check(f"without {rule}", self.module, bounds, broken=rule, **kinds)


CREATE: Final = Protocol(
    "Create",
    invariants=(
        "OnePaymentAKey",
        "OneEventAChange",
        "RecordHasItsPayment",
        "MessagesNameCommittedPayments",
        "AnswerIsTrue",
        "RecordCountsForItsWindow",
        "OwnRequestIsNoReplay",
    ),
    small={
        "Clients": "{c1, c2}",
        "Bodies": "{a, b}",
        "Faults": "1",
        "Window": "2",
        "Horizon": "2",
        "TokenHonoured": "FALSE",
    },
    alone={"Clients": "{c1}", "Bodies": "{a}", "Horizon": "0"},
    rules={
        "NoRecordCondition": "OnePaymentAKey",
        "PaymentAfterwards": "RecordHasItsPayment",
        "EnqueueBeforeCommit": "MessagesNameCommittedPayments",
        "IgnoreExpiry": "RecordCountsForItsWindow",
        "OwnRecordIsAnothers": "OwnRequestIsNoReplay",
        "NoSweeper": "EveryPaymentIsSettled",
    },
)

SETTLE: Final = Protocol(
    "Settle",
    invariants=(
        "OneEventAChange",
        "OneTerminalState",
        "EveryOutcomeHasItsDeliveries",
        "TotalsAreARecount",
        "SubmittedIsNeverCanceled",
        "CanceledIsNeverAskedAbout",
        "OutcomeIsTheBanks",
        "NothingSaidIsForgotten",
        "CancelIsTrue",
    ),
    steps=("FinalStaysFinal",),
    small={
        "Payments": "{p1}",
        "Workers": "{w1, w2}",
        "Cancelers": "{k1}",
        "Faults": "1",
        "Pendings": "1",
        "Says": "0",
    },
    alone={"Workers": "{w1}"},
    rules={
        "NoVersionCheck": "OneTerminalState",
        "NotMarkedSubmitted": "CanceledIsNeverAskedAbout",
        "CancelIgnoresSubmission": "SubmittedIsNeverCanceled",
        "CountedAfterwards": "TotalsAreARecount",
        "DeliveriesAfterwards": "EveryOutcomeHasItsDeliveries",
        "GuessTheUnknown": "OutcomeIsTheBanks",
        "RefuseWhatDoesNotFit": "NothingSaidIsForgotten",
        "ForgetWhatDoesNotFit": "OneTerminalState",
        "NoSweeper": "EveryPaymentIsSettled",
    },
    shown_in={
        rule: {"Workers": "{w1}", "Faults": "0", "Says": "2"}
        for rule in ("RefuseWhatDoesNotFit", "ForgetWhatDoesNotFit")
    },
)

REFUND: Final = Protocol(
    "Refund",
    invariants=(
        "NeverMoreThanWasPaid",
        "RefundedIsTheSum",
        "OneEventAChange",
        "OneTerminalState",
        "OneRefundAKey",
        "ReturnTakesAll",
        "NoneIsSentTooLate",
        "TotalsAreARecount",
        "OutcomeIsTheBanks",
        "NothingSaidIsForgotten",
        "AnswerIsTrue",
        "RetryGetsTheFirstAnswer",
    ),
    small={
        "Clients": "{c1, c2}",
        "Keys": "{k1, k2}",
        "Wants": "{0, 1}",
        "Workers": "{w1}",
        "Amount": "2",
        "Faults": "1",
        "Pendings": "0",
        "Says": "0",
    },
    alone={"Clients": "{c1}", "Keys": "{k1}"},
    rules={
        "NoVersionCheck": "NeverMoreThanWasPaid",
        "NoRecordCondition": "OneRefundAKey",
        "RefusalOutranksRecord": "RetryGetsTheFirstAnswer",
        "FailedKeepsItsAmount": "RefundedIsTheSum",
        "RefundIsNotCompared": "OneEventAChange",
        "ReturnTakesTheRest": "ReturnTakesAll",
        "BeginIgnoresReturn": "NoneIsSentTooLate",
        "RefuseWhatDoesNotFit": "NothingSaidIsForgotten",
        "NoSweeper": "EveryRefundIsSettled",
    },
    shown_in={
        "RefundIsNotCompared": {"Workers": "{w1, w2}", "Faults": "0"},
        "RefuseWhatDoesNotFit": {"Clients": "{c1}", "Keys": "{k1}", "Faults": "0", "Says": "2"},
    },
)

DELIVERY: Final = Protocol(
    "Delivery",
    invariants=(
        "AtMostOneInItsLease",
        "AtMostOneAtWork",
        "DeliveredWasAccepted",
        "PendingIsFindable",
        "FailedForAReason",
        "AttemptsAreBounded",
    ),
    steps=("OnlyTheLeaseHolderEndsIt",),
    small={
        "Workers": "{w1, w2}",
        "Lease": "2",
        "Delay": "1",
        "MaxAttempts": "2",
        "Answers": '{"ok", "bad", "gone"}',
        "Faults": "1",
        "Replays": "1",
        "Moves": "0",
        "WorkersStop": "FALSE",
    },
    alone={"Workers": "{w1}"},
    rules={
        "LeaseBeforeItIsDue": "AtMostOneInItsLease",
        "LeaseEndsAtOnce": "AtMostOneInItsLease",
        "RecordIgnoresLease": "OnlyTheLeaseHolderEndsIt",
        "RecordBeforeSending": "DeliveredWasAccepted",
        "ReplayDuringAttempt": "AtMostOneInItsLease",
        "ReplayIgnoresChanges": "AtMostOneInItsLease",
        "NoSweeper": "EveryDeliveryEnds",
    },
)

PROTOCOLS: Final = (CREATE, SETTLE, REFUND, DELIVERY)

HOLDS: Final = [
    CREATE.holds_in_large("a key, two clients", Faults="2", TokenHonoured="TRUE"),
    CREATE.holds("the same, where tokens are forgotten"),
    CREATE.ends("a request ends", "EveryClientIsAnswered", "EveryPaymentIsSettled", Horizon="0"),
    SETTLE.holds_in_large("a payment, two workers, a cancel", Faults="2"),
    SETTLE.holds_in_large(
        "two payments, two workers, a cancel", Payments="{p1, p2}", Pendings="0", Faults="0"
    ),
    SETTLE.holds("a bank that speaks", Workers="{w1}", Faults="0", Says="2"),
    SETTLE.holds_in_large("a bank that speaks, two workers", Pendings="0", Says="1"),
    # Each bound is wide in one check of what happens at last: together they cost ten times as much.
    SETTLE.ends(
        "a payment ends, a worker",
        "EveryPaymentIsSettled",
        "DeadLettersAreSettled",
        Workers="{w1}",
    ),
    SETTLE.ends(
        "a payment ends, two workers",
        "EveryPaymentIsSettled",
        "DeadLettersAreSettled",
        Faults="0",
        Pendings="0",
    ),
    REFUND.holds_in_large("two clients, a worker, a bank", Wants="{1}"),
    REFUND.holds_in_large(
        "two clients, two workers, a bank", Workers="{w1, w2}", Faults="0", Wants="{1}"
    ),
    REFUND.holds(
        "a bank that speaks", Clients="{c1}", Keys="{k1}", Wants="{1}", Faults="0", Says="2"
    ),
    REFUND.holds_in_large(
        "a bank that speaks, two workers",
        Clients="{c1}",
        Keys="{k1}",
        Wants="{1}",
        Workers="{w1, w2}",
        Says="1",
    ),
    REFUND.ends(
        "a refund ends, a worker",
        "EveryClientIsAnswered",
        "EveryRefundIsSettled",
        Clients="{c1}",
        Keys="{k1}",
        Wants="{1}",
        Pendings="1",
    ),
    REFUND.ends(
        "a refund ends, two workers",
        "EveryClientIsAnswered",
        "EveryRefundIsSettled",
        Clients="{c1}",
        Keys="{k1}",
        Wants="{1}",
        Workers="{w1, w2}",
    ),
    DELIVERY.holds("late workers, a replay, an endpoint that changes", Moves="1"),
    DELIVERY.holds_in_large(
        "workers that stop in time", Moves="1", Faults="2", Lease="3", WorkersStop="TRUE"
    ),
    DELIVERY.ends("a delivery ends", "EveryDeliveryEnds"),
    DELIVERY.ends("a delivery arrives", "EveryDeliveryArrives", Answers='{"ok"}'),
]
BROKEN: Final = [check for protocol in PROTOCOLS for check in protocol.broken_checks()]
