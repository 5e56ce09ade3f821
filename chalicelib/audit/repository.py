"""The list of audit events in DynamoDB.

The events are written by the repositories of what they tell of, each in the transaction of its
change. Nothing changes or deletes them. Raises Unavailable as `aws.dynamodb` does.
"""

from typing import TYPE_CHECKING

from chalicelib.audit import items
from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import KeyRange, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class AuditRepository:
    """The audit events of one stage."""

    def __init__(self, dynamodb: "DynamoDBClient", payments_table: str) -> None:
        self._table = Table(dynamodb, payments_table)

    def newest(self, upper: str, limit: int) -> list[tuple[str, AuditEvent | None]]:
        """Return events up to a sort key, newest first: see `Table.listed`."""
        keys = KeyRange(items.LISTING, upper=upper)
        return self._table.listed(keys, items.ALL, limit, items.from_item, newest_first=True)
