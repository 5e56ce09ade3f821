"""A DynamoDB table: the only module that builds requests for DynamoDB and sends them.

Guarantee: nothing scans. A read sees the last write, except through an index, which lags by a
moment. A write that collides with another is retried (botocore retries no transactions), and raises
Conflict if the collisions continue. A write whose answer is lost, and which botocore sends again,
has one effect and succeeds. A call raises Unavailable when DynamoDB cannot answer: a write may then
have been done or not.

Knows nothing of payments or endpoints. Repositories name the item, the condition
(`boto3.dynamodb.conditions.Attr`) and the range of keys; this module turns them into requests:

    table.transact(
        token,
        table.put_if_absent(event),
        table.update_request(key, Attr("status").eq("processing"), set_={"status": "failed"}),
    )
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeVar

from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder
from botocore.exceptions import ClientError

from chalicelib.aws.clients import Throttled, outage_is_unavailable
from chalicelib.errors import Conflict, Unavailable
from chalicelib.telemetry import count, log_exception

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

Item = dict[str, Any]
Current = TypeVar("Current")
Result = TypeVar("Result")

MAX_KEYS: Final = 100
"""DynamoDB's limit for a batch get."""

EARLIEST: Final = "0"
LATEST: Final = "~"

_ATTEMPTS: Final = 6
_BACKOFF_BASE_SECONDS: Final = 0.02
_BACKOFF_CAP_SECONDS: Final = 0.5

_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_CONFLICTS: Final = frozenset({"TransactionConflict"})
_MISSING_INDEX: Final = ("does not have the specified index", "backfilling global secondary index")
"""What DynamoDB says of an index that is not there, or not yet."""
_THROTTLES: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


class ConditionFailed(Exception):
    """The condition of a write did not hold.

    `items` has one entry for each write: the stored item if its condition failed, or None.
    """

    def __init__(self, items: Sequence[Item | None]) -> None:
        super().__init__("a condition of the write did not hold")
        self.items = items


class StaleVersion(Exception, Generic[Current]):
    """The stored item changed since the caller read it; `current` is its new state."""

    def __init__(self, current: Current) -> None:
        super().__init__(f"{getattr(current, 'id', 'it')} changed since it was read")
        self.current = current


class Index(NamedTuple):
    """An index of the table, by its name and the attributes of its key."""

    name: str
    hash: str
    range: str


TABLE: Final = Index("", "PK", "SK")
"""The table itself, which is read consistently."""


class KeyRange(NamedTuple):
    """Part of a table or index: one hash key, and the range keys from `lower` to `upper`."""

    hash: str
    lower: str = EARLIEST
    upper: str = LATEST


class Write(NamedTuple):
    """One write, in a transaction or alone."""

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    request: dict[str, Any]
    leaves: Mapping[str, Any] = {}
    """Attributes as the item has them afterwards, None for absent ones, as far as that is known."""

    def has_left(self, stored: Item | None) -> bool:
        """Return whether `stored` is what this write leaves: then it has been done."""
        if stored is None or not self.leaves:
            return False
        return all(stored.get(name) == value for name, value in self.leaves.items())


class Table:
    """One table. A transaction may also write to others."""

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        self._dynamodb = dynamodb
        self.name = name

    def find(self, key: Item, *, only: Sequence[str] = ()) -> Item | None:
        """Return the item as of the last write, with `only` these attributes if any are named."""
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.get_item(
                TableName=self.name, Key=encode(key), ConsistentRead=True, **_projection(only)
            )
        return decode(answer["Item"]) if "Item" in answer else None

    def find_many(self, keys: Sequence[Item]) -> Iterator[Item]:
        """Yield the items that exist among at most `MAX_KEYS` keys, in any order."""
        wanted: list[Any] = [encode(key) for key in keys]
        for attempt in range(_ATTEMPTS):
            if not wanted:
                return
            if attempt:
                back_off(attempt)
            with outage_is_unavailable("DynamoDB"):
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self.name: {"Keys": wanted, "ConsistentRead": True}}
                )
            yield from map(decode, answer["Responses"].get(self.name, []))
            left = answer["UnprocessedKeys"].get(self.name)
            wanted = list(left["Keys"]) if left else []
        if wanted:
            raise Throttled("DynamoDB cannot answer now; try again.")

    def query(
        self,
        keys: KeyRange,
        index: Index = TABLE,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        only: Sequence[str] = (),
    ) -> list[Item]:
        """Return the items of a range in the order of their keys, at most `limit` of them.

        They have `only` these attributes if any are named.
        """
        items: list[Item] = []
        fixed: dict[str, Any] = {"ScanIndexForward": not newest_first}
        if only:  # policies look at Select
            fixed |= {**_projection(only), "Select": "SPECIFIC_ATTRIBUTES"}
        start: dict[str, Any] = {}
        while True:  # a page ends at 1 MB, whatever the limit
            bound = {} if limit is None else {"Limit": limit - len(items)}
            answer = self._query(keys, index, **fixed, **bound, **start)
            items += map(decode, answer["Items"])
            if "LastEvaluatedKey" not in answer or len(items) == limit:
                return items
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def listed(
        self,
        keys: KeyRange,
        index: Index,
        limit: int,
        codec: Callable[[Item], Result],
        *,
        newest_first: bool = False,
    ) -> list[tuple[str, Result | None]]:
        """Return the rows that an index of keys lists, with their sort keys, as of the last write.

        None stands for a row that is gone, or that this version cannot read, and for the last of a
        full read: it only shows that there are more.
        """
        entries = self.query(keys, index, limit=limit, newest_first=newest_first)
        found = {
            (row[TABLE.hash], row[TABLE.range]): self.read(row, codec)
            for row in self.find_many([key_of(entry) for entry in entries[: limit - 1]])
        }
        return [
            (entry[index.range], found.get((entry[TABLE.hash], entry[TABLE.range])))
            for entry in entries
        ]

    def count(self, keys: KeyRange, index: Index, enough: int) -> int:
        """Count the items of a range; stop after `enough`."""
        counted = 0
        start: dict[str, Any] = {}
        while counted < enough:
            answer = self._query(keys, index, Select="COUNT", **start)
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return counted

    def _query(self, keys: KeyRange, index: Index, **options: Any) -> "QueryOutputTypeDef":
        if keys.lower > keys.upper:  # DynamoDB refuses an empty BETWEEN
            return {"Items": [], "Count": 0}  # type: ignore[typeddict-item]
        place = {"IndexName": index.name} if index.name else {"ConsistentRead": True}
        names = options.pop("ExpressionAttributeNames", {})
        with outage_is_unavailable("DynamoDB"), _missing_index_is_unavailable():
            return self._dynamodb.query(
                TableName=self.name,
                KeyConditionExpression="#hash = :hash AND #range BETWEEN :lower AND :upper",
                ExpressionAttributeNames={"#hash": index.hash, "#range": index.range} | names,
                ExpressionAttributeValues=encode(
                    {":hash": keys.hash, ":lower": keys.lower, ":upper": keys.upper}
                ),
                **place,
                **options,
            )

    def put_if(self, item: Item, condition: ConditionBase) -> Write:
        """Put `item`, replacing what is there, if the condition holds."""
        return Write("Put", self._request(condition, Item=encode(item)), leaves=item)

    def put_if_absent(self, item: Item) -> Write:
        """Put `item` if there is no item with its key."""
        return self.put_if(item, Attr(TABLE.hash).not_exists())

    def delete_request(self, key: Item, condition: ConditionBase | None = None) -> Write:
        """Delete the item, if the condition holds."""
        return Write("Delete", self._request(condition, Key=encode(key)))

    def check_request(self, key: Item, condition: ConditionBase) -> Write:
        """Change nothing, and let the transaction fail unless the condition holds."""
        return Write("ConditionCheck", self._request(condition, Key=encode(key)))

    def update_request(
        self,
        key: Item,
        condition: ConditionBase | None = None,
        *,
        set_: Item | None = None,
        set_if_absent: Item | None = None,
        append: Item | None = None,
        add: Item | None = None,
        remove: Sequence[str] = (),
        is_silent: bool = False,
    ) -> Write:
        """Change attributes of the item, if the condition holds.

        `append` extends lists. `add` adds to numbers; an absent number counts as 0. A silent write
        returns only what it changed, and no item if its condition fails: for functions that may
        not see the rest.
        """
        settings = [f"#{name} = :{name}" for name in set_ or {}]
        settings += [f"#{name} = if_not_exists(#{name}, :{name})" for name in set_if_absent or {}]
        settings += [f"#{name} = list_append(#{name}, :{name})" for name in append or {}]
        clauses = {
            "SET": settings,
            "ADD": [f"#{name} :{name}" for name in add or {}],
            "REMOVE": [f"#{name}" for name in remove],
        }
        values = (set_ or {}) | (set_if_absent or {}) | (append or {}) | (add or {})
        request = self._request(
            condition,
            names={f"#{name}": name for name in (*values, *remove)},
            values={f":{name}": value for name, value in values.items()},
            Key=encode(key),
            UpdateExpression=" ".join(
                f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts
            ),
        )
        if is_silent:
            request.pop("ReturnValuesOnConditionCheckFailure", None)
        return Write("Update", request, leaves=(set_ or {}) | dict.fromkeys(remove))

    def replace_request(
        self, old: Item, new: Item, condition: ConditionBase, *, is_silent: bool = False
    ) -> Write:
        """Change what differs between `old` and `new`, if the condition holds."""
        return self.update_request(
            key_of(old),
            condition,
            set_={name: value for name, value in new.items() if value != old.get(name)},
            remove=[name for name in old if name not in new],
            is_silent=is_silent,
        )

    def _request(
        self,
        condition: ConditionBase | None,
        names: Mapping[str, str] | None = None,
        values: Item | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        names, values = {**(names or {})}, {**(values or {})}
        if condition is not None:
            built = ConditionExpressionBuilder().build_expression(condition)
            names |= built.attribute_name_placeholders
            values |= built.attribute_value_placeholders
            request["ConditionExpression"] = built.condition_expression
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = encode(values)
        return request | {"TableName": self.name}

    def write(self, write: Write) -> Item:
        """Send one put or update, and return the item as stored; of a silent one its changes.

        Raises ConditionFailed, Conflict or Unavailable.
        """
        try:
            return self._write(write)
        except ConditionFailed as failed:
            (stored,) = failed.items
            if stored is None or not write.has_left(stored):
                raise
            return stored  # the condition failed because of an earlier try of this very write

    def _write(self, write: Write) -> Item:
        if write.kind == "Put":
            _send(lambda: self._dynamodb.put_item(**write.request))
            return decode(write.request["Item"])
        condition = "ConditionExpression" in write.request
        is_silent = condition and "ReturnValuesOnConditionCheckFailure" not in write.request
        request = write.request | {"ReturnValues": "UPDATED_NEW" if is_silent else "ALL_NEW"}
        answer = _send(lambda: self._dynamodb.update_item(**request))
        return decode(answer.get("Attributes", {}))

    def transact(self, token: str, *writes: Write) -> None:
        """Send all of the writes or none. A resend with the same token has no second effect.

        Raises ConditionFailed, Conflict or Unavailable.
        """
        items: Any = [{write.kind: write.request} for write in writes]
        _send(
            lambda: self._dynamodb.transact_write_items(
                TransactItems=items, ClientRequestToken=token
            )
        )

    def read(self, item: Item, codec: Callable[[Item], Result]) -> Result | None:
        """Return what `codec` reads from the item, or None if this version cannot read it.

        A row of a newer version, or a broken one, must not hide the others: it is passed over,
        logged and counted. The last part of a table's name is its stage.
        """
        try:
            return codec(item)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            key = {name: item.get(name) for name in (TABLE.hash, TABLE.range)}
            log_exception("row_unreadable", error, **key)
            count(self.name.rpartition("-")[2], RowsUnreadable=1)
            return None

    def read_all(self, found: Iterable[Item], codec: Callable[[Item], Result]) -> list[Result]:
        """Return what `codec` reads from the items, without those that cannot be read."""
        read = (self.read(item, codec) for item in found)
        return [result for result in read if result is not None]

    def check(self, key: Item) -> None:
        """Read once. Raises Unavailable if that fails, whatever the reason."""
        try:
            with outage_is_unavailable("DynamoDB"):
                self._dynamodb.get_item(TableName=self.name, Key=encode(key))
        except ClientError as error:
            raise Unavailable("The tables do not answer.") from error


def _projection(only: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a read that ask for `only` these attributes; none for all."""
    if not only:
        return {}
    names = {f"#{name}": name for name in only}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def key_of(item: Item) -> Item:
    """Return the key of an item."""
    return {name: item[name] for name in (TABLE.hash, TABLE.range)}


def unchanged(item: Item, *names: str) -> ConditionBase:
    """Return the condition that these attributes still have the values of `item`, or are absent."""
    return reduce(
        and_,
        (Attr(name).eq(item[name]) if name in item else Attr(name).not_exists() for name in names),
    )


def exists() -> ConditionBase:
    """Return the condition that the item exists."""
    return Attr(TABLE.hash).exists()


def retry_on_conflict(
    current: Current, attempt: Callable[[Current], Result], *, tries: int
) -> Result:
    """Call `attempt` on `current`, and again on the newer state whenever it raises StaleVersion.

    Raises what `attempt` raises, or Conflict after the last of `tries`.
    """
    for number in range(tries):
        if number:
            back_off(number)
        try:
            return attempt(current)
        except StaleVersion as stale:
            current = stale.current
    raise Conflict("Other requests keep changing this resource; try again.")


def drop_none(item: Item) -> Item:
    """Return `item` without its None values: no attribute is stored for them."""
    return {name: value for name, value in item.items() if value is not None}


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return `item` as DynamoDB's attributes.

    Raises TypeError for a type that no item has. boto3's serializer takes two to three times as
    long; a property test compares the two.
    """
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case Decimal():
            return {"N": _canonical(value)}
        case Mapping():
            return {"M": encode(value)}
        case list():
            return {"L": [_attribute(part) for part in value]}
    raise TypeError(f"no attribute can be made of {type(value).__name__}")


def _canonical(value: Decimal) -> str:
    """Write a number as DynamoDB stores it, without trailing zeros.

    Otherwise, an emulator that rewrites the numbers of a request takes a resend with the same token
    for another request.
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decode(item: Mapping[str, Any]) -> Item:
    """Return the values of DynamoDB's attributes; every number is a `Decimal`."""
    return {
        name: content if kind == "S" else _value(kind, content)  # most are text
        for name, attribute in item.items()
        for kind, content in attribute.items()
    }


def _value(kind: str, content: Any) -> Any:
    match kind:
        case "N":
            return Decimal(content)
        case "M":
            return decode(content)
        case "L":
            return [_value(*of_kind) for part in content for of_kind in part.items()]
        case "NULL":
            return None
        case "S" | "BOOL":
            return content
    raise TypeError(f"no item has an attribute of type {kind}")


def back_off(attempt: int) -> None:
    """Sleep with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling_seconds = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
    time.sleep(random.uniform(0, ceiling_seconds))


@contextmanager
def _missing_index_is_unavailable() -> Iterator[None]:
    """Raise Unavailable while an upgrade is still building the index that a query asks for."""
    try:
        yield
    except ClientError as error:
        if any(said in str(error) for said in _MISSING_INDEX):
            raise Unavailable("An index is still being built; try again later.") from error
        raise


def _send(call: Callable[[], Result]) -> Result:
    """Make `call`, and retry it after collisions, because botocore does not."""
    attempt = 1
    while True:
        try:
            with outage_is_unavailable("DynamoDB"):
                return call()
        except ClientError as error:
            _raise_if_condition_failed(error)
            collision = _collision(error)
            if collision is None:
                raise
            if attempt == _ATTEMPTS:
                raise collision from error
        back_off(attempt)
        attempt += 1


def _collision(error: ClientError) -> Conflict | Unavailable | None:
    """Return what to raise if `error` persists; None if a retry cannot help."""
    codes = {reason.get("Code") for reason in _cancellation_reasons(error)}
    if codes & _CONFLICTS or error.response["Error"]["Code"] == "TransactionConflictException":
        return Conflict("Other requests keep changing this resource; try again.")
    if codes & _THROTTLES:
        return Throttled("DynamoDB cannot accept more writes now; try again.")
    return None


def _raise_if_condition_failed(error: ClientError) -> None:
    """Raise ConditionFailed when a retry would fail too.

    A failed condition of the first item always counts, because the caller needs to know it. A
    failed condition of another item counts only if there was no collision.
    """
    if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
        item: Any = error.response.get("Item")
        raise ConditionFailed([decode(item) if item else None]) from error
    reasons = _cancellation_reasons(error)
    codes = [reason.get("Code") for reason in reasons]
    is_first = codes[:1] == [_CONDITION_FAILED]
    if is_first or (_CONDITION_FAILED in codes and _collision(error) is None):
        raise ConditionFailed(
            [decode(reason["Item"]) if reason.get("Item") else None for reason in reasons]
        ) from error


def _cancellation_reasons(error: ClientError) -> Sequence[Mapping[str, Any]]:
    reasons: Any = error.response.get("CancellationReasons", [])
    return reasons  # type: ignore[no-any-return]
