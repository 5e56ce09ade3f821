"""A DynamoDB table: how it is read and written, and the only module that calls DynamoDB.

Guarantee: nothing scans. Reads are of the last write but where an index is asked. A write that
only collides with another is tried again, which botocore does not do for transactions; what stays
raises Conflict, and a DynamoDB that cannot answer raises Unavailable: whether a write that ended
so was done is unknown until it is asked again. Knows no payment and no endpoint: what an item
means is for the stores.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from chalicelib.aws import outage_is_unavailable
from chalicelib.errors import Conflict, Unavailable
from chalicelib.model import rfc3339

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryOutputTypeDef

Item = dict[str, Any]
Result = TypeVar("Result")

MAX_KEYS: Final = 100
"""DynamoDB's limit for a batch get."""

_ATTEMPTS: Final = 6
_BACKOFF_BASE_SECONDS: Final = 0.02
_BACKOFF_CAP_SECONDS: Final = 0.5

_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_CONFLICTS: Final = frozenset({"TransactionConflict"})
_THROTTLES: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})

EARLIEST: Final = "0"
LATEST: Final = "~"
_SORT_KEY: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z#[A-Z]{3}-[0-9A-HJKMNP-TV-Z]{26}"
)


class ConditionFailed(Exception):
    """A write's condition did not hold; `items` has the old item of each that failed."""

    def __init__(self, items: Sequence[Item | None]) -> None:
        super().__init__("a condition of the write did not hold")
        self.items = items


class Index(NamedTuple):
    """A table's index, by the attributes that are its key."""

    name: str
    hash: str
    range: str


class Span(NamedTuple):
    """Part of an index: one hash, and a range of which both ends are included."""

    hash: str
    lower: str = EARLIEST
    upper: str = LATEST


class Table:
    """One table. Requests for `transact` may be of several."""

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        self._dynamodb = dynamodb
        self.name = name

    def find(self, key: Item) -> Item | None:
        """As of the last write."""
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.get_item(
                TableName=self.name, Key=encode(key), ConsistentRead=True
            )
        return decode(answer["Item"]) if "Item" in answer else None

    def find_many(self, keys: Sequence[Item]) -> Iterator[Item]:
        """Those of `keys`, at most `MAX_KEYS`, that are there, in any order."""
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
            raise Unavailable("DynamoDB cannot answer now; try again.")

    def partition(self, key: str, lower: str, upper: str) -> list[Item]:
        """Its items from one sort key to another, in their order."""
        with outage_is_unavailable("DynamoDB"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self.name,
                KeyConditionExpression="PK = :key AND SK BETWEEN :lower AND :upper",
                ExpressionAttributeValues=encode({":key": key, ":lower": lower, ":upper": upper}),
                ConsistentRead=True,
            )
            return [decode(item) for page in pages for item in page["Items"]]

    def last_of_partition(self, key: str, lower: str, upper: str, limit: int) -> list[Item]:
        """The same, of them the last `limit`, the last one first."""
        with outage_is_unavailable("DynamoDB"):
            answer = self._dynamodb.query(
                TableName=self.name,
                KeyConditionExpression="PK = :key AND SK BETWEEN :lower AND :upper",
                ExpressionAttributeValues=encode({":key": key, ":lower": lower, ":upper": upper}),
                ConsistentRead=True,
                ScanIndexForward=False,
                Limit=limit,
            )
            return [decode(item) for item in answer["Items"]]

    def query(self, index: Index, span: Span, limit: int, *, newest_first: bool) -> list[Item]:
        """At most `limit` items, as the index has them: it lags a write by a moment."""
        if span.lower > span.upper:  # DynamoDB refuses a BETWEEN that is empty
            return []
        items: list[Item] = []
        start: dict[str, Any] = {}
        while True:  # a page ends at 1 MB, whatever the limit
            answer = self._query(
                index,
                span,
                ScanIndexForward=not newest_first,
                Limit=limit - len(items),
                **start,
            )
            items += map(decode, answer["Items"])
            if len(items) >= limit or "LastEvaluatedKey" not in answer:
                return items
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def count(self, index: Index, span: Span, enough: int) -> int:
        """How many items there are; stops after `enough`."""
        counted = 0
        start: dict[str, Any] = {}
        while counted < enough:
            answer = self._query(index, span, Select="COUNT", **start)
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return counted

    def _query(self, index: Index, span: Span, **how: Any) -> "QueryOutputTypeDef":
        with outage_is_unavailable("DynamoDB"):
            return self._dynamodb.query(
                TableName=self.name,
                IndexName=index.name,
                KeyConditionExpression="#hash = :hash AND #range BETWEEN :lower AND :upper",
                ExpressionAttributeNames={"#hash": index.hash, "#range": index.range},
                ExpressionAttributeValues=encode(
                    {":hash": span.hash, ":lower": span.lower, ":upper": span.upper}
                ),
                **how,
            )

    def when_absent(self, item: Item) -> Item:
        """The request to put an item that replaces nothing."""
        return {
            "TableName": self.name,
            "Item": encode(item),
            "ConditionExpression": "attribute_not_exists(PK)",
        }

    def step(self, old: Item, new: Item, *seen: str, **at_least: Decimal) -> Item:
        """The request to update, from `old` to `new`, what differs, provided that what was `seen`
        of the row is still there, and that its numbers are `at_least` so much.
        """
        changed = [name for name in new if new[name] != old.get(name)]
        gone = [name for name in old if name not in new]
        conditions = [
            f"#{name} = :seen_{name}" if name in old else f"attribute_not_exists(#{name})"
            for name in seen
        ] + [f"#{name} >= :least_{name}" for name in at_least]
        settings = "SET " + ", ".join(f"#{name} = :{name}" for name in changed) if changed else ""
        removals = "REMOVE " + ", ".join(f"#{name}" for name in gone) if gone else ""
        return {
            "TableName": self.name,
            "Key": encode({name: old[name] for name in ("PK", "SK")}),
            "UpdateExpression": f"{settings} {removals}".strip(),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                f"#{name}": name for name in {*changed, *gone, *seen, *at_least}
            },
            "ExpressionAttributeValues": encode(
                {f":{name}": new[name] for name in changed}
                | {f":seen_{name}": old[name] for name in seen if name in old}
                | {f":least_{name}": least for name, least in at_least.items()}
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def put(self, request: Item) -> None:
        """Carry out one put. Raises ConditionFailed, Conflict or Unavailable."""
        with outage_is_unavailable("DynamoDB"):
            _retrying(lambda: self._dynamodb.put_item(**request))

    def update(self, request: Item) -> Item:
        """Carry out one update; returns the item that it leaves. Raises as `put` does."""
        with outage_is_unavailable("DynamoDB"):
            answer = _retrying(
                lambda: self._dynamodb.update_item(**request, ReturnValues="ALL_NEW")
            )
        return decode(answer["Attributes"])

    def transact(self, token: str, *requests: Any) -> None:
        """All of them or none. Raises ConditionFailed, Conflict or Unavailable."""
        with outage_is_unavailable("DynamoDB"):
            _retrying(
                lambda: self._dynamodb.transact_write_items(
                    TransactItems=requests, ClientRequestToken=token
                )
            )

    def check(self, key: Item) -> None:
        """Read once. Raises Unavailable, for whatever reason there is."""
        try:
            with outage_is_unavailable("DynamoDB"):
                self._dynamodb.get_item(TableName=self.name, Key=encode(key))
        except ClientError as error:
            raise Unavailable("The tables do not answer.") from error


def is_sort_key(text: str) -> bool:
    """Whether it is one by which lists are ordered: a moment and an id."""
    return _SORT_KEY.fullmatch(text) is not None


def from_moment(moment: datetime) -> str:
    """The lower end of a range that holds all of `moment` or later."""
    return rfc3339(moment)


def to_moment(moment: datetime) -> str:
    """The upper end of a range that holds all of `moment` or earlier.

    As a lower end it leaves exactly those out: '$' sorts right after the '#' of a sort key.
    """
    return f"{rfc3339(moment)}$"


def just_before(key: str) -> str:
    """The upper end of a range that holds every sort key below `key`: they are of one width."""
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~"


def just_after(key: str) -> str:
    """The lower end of a range that holds every sort key above `key`: they are of one width."""
    return f"{key}!"


def present(item: Item) -> Item:
    """What is unknown is left out: an attribute of the table is there or it is not."""
    return {name: value for name, value in item.items() if value is not None}


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """As DynamoDB's attributes. Raises TypeError for a kind of value that no item of ours has."""
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
    """As DynamoDB keeps it, without the zeros at its end: an emulator that keeps it so in the
    request too takes a resend with the same token for another request.
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decode(item: Mapping[str, Any]) -> Item:
    return {name: _value(attribute) for name, attribute in item.items()}


def _value(attribute: Mapping[str, Any]) -> Any:
    ((kind, content),) = attribute.items()
    match kind:
        case "N":
            return Decimal(content)
        case "M":
            return decode(content)
        case "L":
            return [_value(part) for part in content]
        case "NULL":
            return None
        case "S" | "BOOL":
            return content
    raise TypeError(f"no item of ours has an attribute of type {kind}")


def back_off(attempt: int) -> None:
    """Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
    ceiling_seconds = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
    time.sleep(random.uniform(0, ceiling_seconds))


def _retrying(call: Callable[[], Result]) -> Result:
    """`call`, again and again while it only collides: botocore does not retry these."""
    attempt = 1
    while True:
        try:
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
    """What to tell a caller if `error` stays, when it is worth another try; else None."""
    codes = {reason.get("Code") for reason in _cancellation_reasons(error)}
    if codes & _CONFLICTS or error.response["Error"]["Code"] == "TransactionConflictException":
        return Conflict("Others are changing this resource at this moment; try again.")
    if codes & _THROTTLES:
        return Unavailable("DynamoDB cannot take more writes at this moment; try again.")
    return None


def _raise_if_condition_failed(error: ClientError) -> None:
    """Raises ConditionFailed when another try would meet the same condition.

    The first item's condition outranks every other reason: it is the one that the caller is
    told about. Another item's counts only when nothing collided besides.
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
