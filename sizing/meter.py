"""What requests cost by AWS's own formula, and which partitions they touch, as they are recorded.

Emulators count transactions each in their own way, so the units are computed from the requests:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
A transacted write counts twice; an index entry that appears, changes or goes is one more write,
one whose key changes is two (the old entry goes, the new one comes). A write whose condition fails
is paid for all the same, but reaches no index.
"""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

INDEXES: Final = {
    "status-createdAt-index": ("status", "createdAt"),
    "all-createdAt-index": ("listing", "createdAt"),
    "endpoint-deliveryAt-index": ("endpointId", "deliveryAt"),
    "due-index": ("due", "dueAt"),
}
PROJECTS_ALL: Final = {"status-createdAt-index"}
"""The others hold keys only, and so change only when one of their keys does."""

_TABLE_KEYS: Final = ("PK", "idempotencyKey")
_PAYMENTS: Final = "payflow-payments"
_SINGLE_WRITES: Final = {"UpdateItem", "PutItem"}
_SETTING: Final = re.compile(r"([#\w]+) = (?:(\w+)\([#\w]+, )?(:\w+)")
Row = dict[str, Any]


class Load(NamedTuple):
    """Units that one partition key of a table or an index is asked for."""

    place: str
    """The index's name, or the table's without its stage."""
    key: str
    units: float


class Asked(NamedTuple):
    """The calls of an operation, and the units that its reads and writes cost."""

    calls: list[str]
    read_units: float
    write_units: int


class Meter:
    """Listens to the clients, and keeps the rows that the requests write."""

    def __init__(self, dynamodb: "DynamoDBClient", sqs: "SQSClient") -> None:
        self._dynamodb = dynamodb
        self._calls: list[str] = []
        self.reads: list[Load] = []
        self.writes: list[Load] = []
        self._unconfirmed: list[Load] = []
        self._asked: Row = {}
        self.is_on = False
        """Whether what is asked now is the operation's."""
        self._heard: list[tuple[Any, str, Callable[..., None]]] = [
            (client, "provide-client-params.*.*", self._before) for client in (dynamodb, sqs)
        ]
        self._heard.append((dynamodb, "after-call.dynamodb.*", self._after))
        for client, event, listener in self._heard:
            client.meta.events.register(event, listener)

    def close(self) -> None:
        for client, event, listener in self._heard:
            client.meta.events.unregister(event, listener)

    @contextmanager
    def running(self) -> Iterator[Callable[[], Asked]]:
        self._calls, self.reads, self.writes = [], [], []
        self.is_on = True
        try:
            yield lambda: Asked(
                list(self._calls),
                sum(load.units for load in self.reads),
                round(sum(load.units for load in self.writes)),
            )
        finally:
            self.is_on = False

    def _before(self, params: Row, model: Any, **_: Any) -> None:
        if not self.is_on:
            return
        self._calls.append(model.name)
        self._asked = params
        if model.name == "TransactWriteItems":
            written = [
                self._written(kind, write, transacted=True)
                for item in params["TransactItems"]
                for kind, write in item.items()
            ]
        elif model.name in _SINGLE_WRITES:
            kind = model.name.removesuffix("Item")
            written = [self._written(kind, params, transacted=False)]
        else:
            return
        self.writes += [table for table, _ in written]
        self._unconfirmed = [load for _, indexes in written for load in indexes]

    def _after(self, model: Any, parsed: Row, http_response: Any, **_: Any) -> None:
        if not self.is_on:
            return
        if model.name == "TransactWriteItems" or model.name in _SINGLE_WRITES:
            if http_response.status_code == 200:
                self.writes += self._unconfirmed
        elif model.name == "GetItem":
            size = size_bytes(parsed.get("Item", {}))
            self._read(self._asked["Key"], size, self._asked)
        elif model.name == "Query":
            items = parsed.get("Items")
            counted = parsed["Count"] * 1024  # a count reads what it counts
            self._read_query(counted if items is None else sum(map(size_bytes, items)))
        elif model.name == "BatchGetItem":
            for table, items in parsed["Responses"].items():
                how = self._asked["RequestItems"][table] | {"TableName": table}
                for item in items:
                    self._read(item, size_bytes(item), how)

    def _read(self, key: Row, size: int, how: Row) -> None:
        units = read_units(size, consistent=bool(how.get("ConsistentRead")))
        self.reads.append(Load(place_of(how["TableName"]), hash_of(key), units))

    def _read_query(self, size: int) -> None:
        asked = self._asked
        values = asked["ExpressionAttributeValues"]
        hash_key = values.get(":hash", values.get(":key"))
        units = read_units(size, consistent=bool(asked.get("ConsistentRead")))
        place = asked.get("IndexName") or place_of(asked["TableName"])
        self.reads.append(Load(place, str(hash_key["S"]), units))

    def _written(self, kind: str, write: Row, *, transacted: bool) -> tuple[Load, list[Load]]:
        if kind == "Put":
            before, after = {}, write["Item"]
        else:
            before = self._row(write)
            after = changed(before, write)
        units = math.ceil(max(size_bytes(before), size_bytes(after)) / 1024)
        place = place_of(write["TableName"])
        table = Load(place, hash_of(after), units * (2 if transacted else 1))
        return table, index_writes(before, after) if place == _PAYMENTS else []

    def _row(self, write: Row) -> Row:
        self.is_on = False  # our own look is not counted
        try:
            found = self._dynamodb.get_item(TableName=write["TableName"], Key=write["Key"])
        finally:
            self.is_on = True
        item: Row = found.get("Item", write["Key"])  # an update makes what is not there
        return item


def place_of(table: str) -> str:
    """A table's name without its stage."""
    return table.rpartition("-")[0]


def hash_of(item: Row) -> str:
    """A row's partition key."""
    ((_, value),) = next(item[name] for name in _TABLE_KEYS if name in item).items()
    return str(value)


def changed(before: Row, update: Row) -> Row:
    """The row that an update leaves behind: `SET a = :a, …`, with `if_not_exists(a, :b)` or
    `list_append(a, :b)` for values, `REMOVE a, …`, or `ADD a :a, …`, whose sums are as long as what
    is added, give or take.
    """
    names = update.get("ExpressionAttributeNames", {})
    values = update["ExpressionAttributeValues"]
    if update["UpdateExpression"].startswith("ADD "):
        added = [part.split() for part in update["UpdateExpression"][4:].split(", ")]
        return before | {names.get(name, name): values[value] for name, value in added}
    settings, _, removals = update["UpdateExpression"].partition("REMOVE ")
    after = dict(before)
    for name in removals.split(", "):
        after.pop(names.get(name, name), None)
    for name, function, value in _SETTING.findall(settings):
        attribute = names.get(name, name)
        if function == "if_not_exists":
            after.setdefault(attribute, values[value])
        elif function == "list_append":
            after[attribute] = {"L": before[attribute]["L"] + values[value]["L"]}
        else:
            after[attribute] = values[value]
    return after


def index_writes(before: Row, after: Row) -> list[Load]:
    """One unit for each entry, of at most 1 KB, that comes, goes or changes."""
    loads = []
    for name, (hash_name, range_name) in INDEXES.items():
        old, new = ((row.get(hash_name), row.get(range_name)) for row in (before, after))
        was, is_now = None not in old, None not in new
        if old != new:
            keys = [key for key, is_there in ((old[0], was), (new[0], is_now)) if is_there]
        else:
            keys = [new[0]] if is_now and name in PROJECTS_ALL and before != after else []
        loads += [Load(name, str(key["S"]), 1) for key in keys if key is not None]
    return loads


def size_bytes(item: Row) -> int:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Row) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return math.ceil(len(content.replace(".", "").lstrip("-0") or "0") / 2) + 1
    if kind == "BOOL":
        return 1
    if kind == "L":
        return 3 + sum(1 + value_bytes(part) for part in content)
    if kind == "M":
        return 3 + sum(1 + len(name) + value_bytes(part) for name, part in content.items())
    raise AssertionError(f"no such type in our items: {kind}")


def read_units(total_bytes: int, *, consistent: bool) -> float:
    return math.ceil(max(total_bytes, 1) / 4096) * (1.0 if consistent else 0.5)
