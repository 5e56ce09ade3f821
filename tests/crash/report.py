"""The report of a run: on the screen, and as a page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.crash.faults import WHAT, Fault

FLOWS: Final = (
    *("create", "process", "refund", "cancel", "return", "refund return", "deliver", "sweep"),
    *("endpoint", "change", "rotate", "test", "replay failed", "delete", "key", "roll", "revoke"),
)
_SUMS: Final = ("invocations", "chapters", "payments", "refunds", "webhooks", "dead_letters")


@dataclass(frozen=True)
class Lived:
    """The results of one lane."""

    lane: int
    engine: str
    broken: list[str]
    trace: list[str]
    chapter: int
    met: Counter[tuple[str, str, str]]
    """Faults, by flow, call and fault."""
    calls: Counter[tuple[str, str]]
    """All calls, by flow and name."""
    sums: Mapping[str, int]
    digest: str

    @classmethod
    def of(cls, lane: int, engine: str, told: Mapping[str, Any]) -> "Lived":
        return cls(
            lane=lane,
            engine=engine,
            broken=told["broken"],
            trace=told["trace"],
            chapter=told["chapter"],
            met=Counter({(flow, call, fault): n for flow, call, fault, n in told["met"]}),
            calls=Counter({(flow, call): n for flow, call, n in told["calls"]}),
            sums={name: told[name] for name in _SUMS},
            digest=told["digest"],
        )

    @property
    def told(self) -> str:
        sums = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.sums.items())
        return f"{self.engine}: {self.met.total():,} faults; {sums}; digest {self.digest}"


def summary(lived: Sequence[Lived], seed: int, seconds: float) -> str:
    """Return the text for the screen, with the trace of a chapter that broke a promise."""
    lines = []
    for one in lived:
        lines.append(one.told)
        lines += [f"  BROKEN: {sentence}" for sentence in one.broken]
        if one.broken:
            again = f"SEED={seed} LANE={one.lane} CHAPTER={one.chapter}"
            lines.append(f"  Again: make crash {again}. What happened:")
        lines += [f"    {line}" for line in one.trace]
    faults = sum(one.met.total() for one in lived)
    verdict = "BROKEN" if any(one.broken for one in lived) else "every promise was kept"
    each = 1000 * seconds / max(1, faults)
    return "\n".join(
        [*lines, f"{faults:,} faults in {seconds:.0f} s, {each:.0f} ms each: {verdict}"]
    )


def page(lived: Sequence[Lived], seed: int) -> str:
    """Return the page for docs/: which calls met which faults, and how often."""
    met, calls = Counter[tuple[str, str, str]](), Counter[tuple[str, str]]()
    for one in lived:
        met += one.met
        calls += one.calls
    broken = [sentence for one in lived for sentence in one.broken]
    verdict = "Every promise was kept." if not broken else f"BROKEN: {'; '.join(broken)}"
    return _PAGE.format(
        seed=seed,
        faults=f"{met.total():,}",
        verdict=verdict,
        lanes="\n".join(f"- {one.told}" for one in lived),
        kinds="\n".join(_kinds(met)),
        matrix="\n".join(_matrix(met, calls)),
    )


def _kinds(met: Counter[tuple[str, str, str]]) -> Iterator[str]:
    for fault in Fault:
        count = sum(n for (_, _, kind), n in met.items() if kind == fault)
        yield f"| {fault} | {WHAT[fault]} | {count:,} |"


def _matrix(met: Counter[tuple[str, str, str]], calls: Counter[tuple[str, str]]) -> Iterator[str]:
    yield f"| Flow | Call | {' | '.join(Fault)} |"
    yield f"|---|---|{'--:|' * len(Fault)}"
    for flow in FLOWS:
        for name in sorted(name for of, name in calls if of == flow):
            counts = (met[flow, name, fault] for fault in Fault)
            yield f"| {flow} | {name} | {' | '.join(str(n) if n else '' for n in counts)} |"


_PAGE: Final = """# Crashes

`make crash SEED={seed} FAULTS=… REPORT=docs/reports/crash.md` wrote this page. The same seed
injects the same faults.

{faults} faults. {verdict}

{lanes}

## How
The app's own handlers run as Lambda runs them, each invocation in a process of its own (forked
from one that has loaded everything), against a real DynamoDB engine and a real queue. A proxy in
between makes calls fail; it kills with SIGKILL and stops with SIGSTOP. One lane runs on the local
stack's emulator, the other on AWS's DynamoDB Local. The clock is the harness's own, so leases,
schedules and the sweeper's doublings pass in no time.

A run consists of chapters, each drawn from its own seed. In a chapter's storm clients create,
refund, cancel and return payments and return refunds, and an administrator creates, changes and
removes webhook endpoints and API keys; they ask again when they get no answer, and sometimes when
they do; workers take batches; the sweeper sweeps; messages are lost and repeated;
and nine of ten invocations meet up to three faults. While one process is stopped, others work on
the same rows. In the calm that follows nothing fails any more, time passes, and then these promises
are checked:

- Every request was answered, and no client got two different answers.
- Each key made one payment or refund, and what was acknowledged is stored as it was answered.
- Every payment and refund ended once, except where its bank never decides. A canceled payment was
  never given to the processor.
- Every change has exactly one event, and the last event shows the current state.
- Refunds never add up to more than the payment, and add up to what the payment says.
- The totals equal a recount.
- Every outcome reached each of two receivers (one of them refuses a third of its requests),
  signed, under one id.
- The administrator's endpoints and keys are those that were acknowledged: none twice, none lost,
  none left over; no secret is stored twice, and no test event waits for ever.
- Five days later the sweeper reports exactly what has not ended.
- A key makes a new payment when its 24 hours are over.
- No answer was a 500, and no function raised, except the sweeper during an outage.

`make crash SEED=… LANE=… CHAPTER=…` runs one chapter again and prints what happened in it.

## Faults
| Fault | | Times |
|---|---|--:|
{kinds}

## Where they struck
How often each call of each flow met each fault. A call that AWS's client repeats counts again; a
fault that lasts over several calls counts once.

{matrix}
"""
