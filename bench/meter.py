"""Computes the DynamoDB units of recorded requests, and the partition keys that they touch.

Emulators count transactions each in their own way, so the units follow AWS's formula:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
A transacted write counts twice. An index entry that appears, changes or goes is one more write;
one whose key changes is two. A write whose condition fails is paid for, but reaches no index.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from infra.local import provision

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

_TABLE_KEYS: Final = ("PK", "idempotencyKey")
Row = dict[str, Any]


class Load(NamedTuple):
    """Units that one partition key of a table or an index is asked for."""

    place: str
    """The index's name, or the table's without its stage."""
    key: str
    units: float


class Asked(NamedTuple):
    """The calls of an operation, and the units of its reads and writes."""

    calls: list[str]
    read_units: float
    write_units: int


class Index(NamedTuple):
    """An index of infra/backend.yaml. One that holds keys only changes with its keys only."""

    hash: str
    range: str
    holds_all: bool


class Meter:
    """Listens to the clients, and keeps the rows that their requests write."""

    def __init__(self, dynamodb: "DynamoDBClient", sqs: "SQSClient") -> None:
        self._dynamodb = dynamodb
        self._calls: list[str] = []
        self.reads: list[Load] = []
        self.writes: list[Load] = []
        self._asked: Row = {}
        self._rows_before: list[Row] = []
        self._is_on = False
        for client in (dynamodb, sqs):
            client.meta.events.register("provide-client-params.*.*", self._before)
        dynamodb.meta.events.register("after-call.dynamodb.*", self._after)

    def asked(self, run: Callable[..., object], *arguments: Any, **options: Any) -> Asked:
        """What one run asks for; `reads` and `writes` say it by partition key."""
        self._calls, self.reads, self.writes = [], [], []
        self._is_on = True
        try:
            run(*arguments, **options)
        finally:
            self._is_on = False
        reads, writes = (sum(load.units for load in loads) for loads in (self.reads, self.writes))
        return Asked(self._calls, reads, round(writes))

    def _before(self, params: Row, model: Any, **_: Any) -> None:
        if self._is_on:
            self._calls.append(model.name)
            self._asked = params
            self._rows_before = [self._row(write) for write in writes_of(model.name, params)]

    def _after(self, model: Any, parsed: Row, http_response: Any, **_: Any) -> None:
        if not self._is_on:
            return
        asked = self._asked
        if writes := writes_of(model.name, asked):
            is_done = http_response.status_code == 200
            self._write(writes, is_done, is_transaction=model.name == "TransactWriteItems")
        elif model.name == "GetItem":
            self._read(asked, hash_of(asked["Key"]), size_bytes(parsed.get("Item", {})))
        elif model.name == "Query":
            values = asked["ExpressionAttributeValues"]
            items = parsed.get("Items")
            counted = parsed["Count"] * 1024  # a count reads what it counts
            size = counted if items is None else sum(map(size_bytes, items))
            self._read(asked, values.get(":hash", values.get(":key"))["S"], size)
        elif model.name == "BatchGetItem":
            for table, items in parsed["Responses"].items():
                request = asked["RequestItems"][table] | {"TableName": table}
                for item in items:
                    self._read(request, hash_of(item), size_bytes(item))

    def _read(self, request: Row, key: str, size: int) -> None:
        units = math.ceil(max(size, 1) / 4096) * (1.0 if request.get("ConsistentRead") else 0.5)
        place = request.get("IndexName") or place_of(request["TableName"])
        self.reads.append(Load(place, key, units))

    def _write(self, writes: list[Row], is_done: bool, *, is_transaction: bool) -> None:
        entries: list[Load] = []
        for write, before in zip(writes, self._rows_before, strict=True):
            after = write.get("Item") or (self._row(write) if is_done else before)
            units = math.ceil(max(size_bytes(before), size_bytes(after)) / 1024)
            place = place_of(write["TableName"])
            self.writes.append(Load(place, hash_of(after), units * (2 if is_transaction else 1)))
            if is_done and "PK" in after:
                entries += index_writes(before, after)
        self.writes += entries

    def _row(self, write: Row) -> Row:
        """As it is now: nothing of an item that is put, since none is put twice."""
        if "Item" in write:
            return {}
        self._is_on = False  # our own read is not counted
        try:
            found = self._dynamodb.get_item(TableName=write["TableName"], Key=write["Key"])
        finally:
            self._is_on = True
        item: Row = found.get("Item", write["Key"])  # an update makes what is not there
        return item


def writes_of(operation: str, params: Row) -> list[Row]:
    """The writes of a request, if it is one that writes."""
    if operation == "TransactWriteItems":
        return [write for item in params["TransactItems"] for write in item.values()]
    return [params] if operation in {"UpdateItem", "PutItem"} else []


def place_of(table: str) -> str:
    """A table's name without its stage."""
    return table.rpartition("-")[0]


def hash_of(item: Row) -> str:
    """A row's partition key."""
    return str(next(item[name]["S"] for name in _TABLE_KEYS if name in item))


@functools.cache
def indexes() -> dict[str, Index]:
    return {
        index["IndexName"]: Index(
            index["KeySchema"][0]["AttributeName"],
            index["KeySchema"][1]["AttributeName"],
            index["Projection"]["ProjectionType"] == "ALL",
        )
        for table in provision.tables("any")
        for index in table.get("GlobalSecondaryIndexes", [])
    }


def index_writes(before: Row, after: Row) -> list[Load]:
    """One unit for each entry, of at most 1 KB, that comes, goes or changes."""
    loads = []
    for name, index in indexes().items():
        old, new = ((row.get(index.hash), row.get(index.range)) for row in (before, after))
        if old == new:
            is_written = index.holds_all and before != after
            entries = [new] if is_written else []
        else:
            entries = [old, new]
        loads += [
            Load(name, hash_key["S"], 1)
            for hash_key, range_key in entries
            if hash_key is not None and range_key is not None
        ]
    return loads


def size_bytes(item: Row) -> int:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Row) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.replace(".", "").lstrip("-0") or "0") / 2) + 1
        case "BOOL":
            return 1
        case "L":
            return 3 + sum(1 + _value_bytes(part) for part in content)
        case "M":
            return 3 + sum(1 + len(name) + _value_bytes(part) for name, part in content.items())
    raise AssertionError(f"no such type in our items: {kind}")
