"""The faults of a call, and the plans that say when they happen."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Fault(StrEnum):
    """What goes wrong with a call, its answer or the process that made it."""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    STOP_BEFORE = "stop before"
    STOP_AFTER = "stop after"
    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    HANG_BEFORE = "hang before"
    HANG_AFTER = "hang after"
    THROTTLED = "throttled"
    CONFLICT = "conflict"
    BROKEN = "broken"
    GARBLED = "garbled"
    PARTIAL = "partial"
    STALE_OLD = "stale, old"
    STALE_MISSING = "stale, missing"


WHAT: Final = {
    Fault.KILL_BEFORE: "the process dies before its call is sent",
    Fault.KILL_AFTER: "the call succeeds, and the process dies before the answer",
    Fault.STOP_BEFORE: "the process stops, others work, and then its call is sent",
    Fault.STOP_AFTER: "the call succeeds, and the process stops before the answer",
    Fault.CUT_BEFORE: "the connection breaks before the call arrives",
    Fault.CUT_AFTER: "the call succeeds, and the connection breaks before the answer",
    Fault.HANG_BEFORE: "the call is lost, and no answer ever comes",
    Fault.HANG_AFTER: "the call succeeds, and no answer ever comes",
    Fault.THROTTLED: "refused: too many calls",
    Fault.CONFLICT: "refused: another transaction is under way",
    Fault.BROKEN: "500 from the service",
    Fault.GARBLED: "503 in HTML, from a proxy in between",
    Fault.PARTIAL: "a batch is sent, and the answer says that a part was refused",
    Fault.STALE_OLD: "an index still lists an item that has left it",
    Fault.STALE_MISSING: "an index does not list anything yet",
}
DEADLY: Final = frozenset({Fault.KILL_BEFORE, Fault.KILL_AFTER})
STOPPING: Final = frozenset({Fault.STOP_BEFORE, Fault.STOP_AFTER})
SLOW: Final = frozenset({Fault.HANG_BEFORE, Fault.HANG_AFTER})
"""Faults that take as long as a client waits."""

_ON_ANY: Final = frozenset(
    {
        *DEADLY,
        *STOPPING,
        *SLOW,
        Fault.CUT_BEFORE,
        Fault.CUT_AFTER,
        Fault.BROKEN,
        Fault.GARBLED,
    }
)
_ON_AN_INDEX: Final = frozenset({Fault.STALE_OLD, Fault.STALE_MISSING})
_WRITES: Final = frozenset({"TransactWriteItems", "UpdateItem", "PutItem"})
_BATCH: Final = "SendMessageBatch"
POST: Final = "POST"
"""The name of a call to a merchant."""


class Call(NamedTuple):
    """One request: its operation and its parameters."""

    operation: str
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name in the report."""
        index = self.body.get("IndexName")
        return f"{self.operation} {index}" if index else self.operation

    def may_meet(self, fault: Fault) -> bool:
        if fault in _ON_ANY:
            return True
        if self.operation == POST:
            return False
        if fault is Fault.THROTTLED:
            return True
        if fault is Fault.CONFLICT:
            return self.operation in _WRITES
        if fault is Fault.PARTIAL:
            return self.operation == _BATCH
        return fault in _ON_AN_INDEX and "IndexName" in self.body and "Select" not in self.body


@dataclass
class Plan:
    """A fault for one process, at its call number `at` or the next call that the fault can hit.

    It also hits the calls after that one, `wide` in all.
    """

    fault: Fault
    at: int
    wide: int = 1
    met: list[str] = field(default_factory=list)
    """The names of the calls that it hit."""

    def meets(self, number: int, call: Call) -> bool:
        if number < self.at or len(self.met) >= self.wide or not call.may_meet(self.fault):
            return False
        self.met.append(call.name)
        return True


class Answer(NamedTuple):
    """An answer that the proxy sends instead of the service."""

    status: int
    content_type: str
    body: bytes


_JSON: Final = "application/x-amz-json-1.0"


def refusal(fault: Fault, call: Call) -> Answer:
    """Return the refusal of a service that did nothing of the call."""
    if fault is Fault.GARBLED:
        return Answer(503, "text/html", b"<html><body>Service Unavailable</body></html>")
    if fault is Fault.BROKEN:
        return _error(500, "InternalServerError", "Internal server error")
    if call.operation == "TransactWriteItems":
        code = "TransactionConflict" if fault is Fault.CONFLICT else "ThrottlingError"
        return _cancelled([code] + ["None"] * (len(call.body["TransactItems"]) - 1))
    if fault is Fault.CONFLICT:
        return _error(400, "TransactionConflictException", "Transaction is ongoing for the item")
    if call.operation.startswith("SendMessage"):
        return _error(400, "RequestThrottled", "The request was throttled")
    return _error(400, "ProvisionedThroughputExceededException", "The level was exceeded")


def _error(status: int, code: str, message: str, **more: Any) -> Answer:
    body = {"__type": f"com.amazonaws#{code}", "message": message, "Message": message, **more}
    return Answer(status, _JSON, json.dumps(body).encode())


def _cancelled(codes: Sequence[str]) -> Answer:
    reasons = [{"Code": code} for code in codes]
    message = f"Transaction cancelled, reasons [{', '.join(codes)}]"
    return _error(400, "TransactionCanceledException", message, CancellationReasons=reasons)


def partly_done(answer: Answer) -> Answer:
    """Return the answer to a sent batch, changed so that its last message looks refused."""
    *kept, refused = json.loads(answer.body)["Successful"]
    failed = {"Id": refused["Id"], "Code": "InternalError", "SenderFault": False}
    told = {"Successful": kept, "Failed": [failed]}
    return Answer(200, _JSON, json.dumps(told).encode())


class Indexes:
    """Remembers what the indexes listed, so that their answers can be made stale."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], dict[str, Any]] = {}

    def watch(self, call: Call, answer: Answer) -> None:
        if "IndexName" in call.body and answer.status == 200:
            listed = self._of(call)
            for item in json.loads(answer.body).get("Items", []):
                listed[item[_range(call)]["S"]] = item

    def late(self, fault: Fault, call: Call, answer: Answer) -> Answer:
        """Return `answer` as it was a while ago."""
        told = json.loads(answer.body)
        found = {item[_range(call)]["S"]: item for item in told["Items"]}
        if fault is Fault.STALE_MISSING:
            found = {}
        else:
            values = call.body["ExpressionAttributeValues"]
            lower, upper = values[":lower"]["S"], values[":upper"]["S"]
            listed = self._of(call).items()
            found |= {key: item for key, item in listed if lower <= key <= upper}
        is_forward = call.body.get("ScanIndexForward", True)
        items = [found[key] for key in sorted(found, reverse=not is_forward)]
        items = items[: call.body.get("Limit", len(items))]
        return Answer(200, _JSON, json.dumps({"Items": items, "Count": len(items)}).encode())

    def _of(self, call: Call) -> dict[str, Any]:
        hash_value = call.body["ExpressionAttributeValues"][":hash"]["S"]
        return self._seen.setdefault((call.body["IndexName"], hash_value), {})


def _range(call: Call) -> str:
    name: str = call.body["ExpressionAttributeNames"]["#range"]
    return name
