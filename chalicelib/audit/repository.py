"""The list of audit events in DynamoDB.

The events are written by the repositories of what they tell of, each in the transaction of its
change. Nothing changes or deletes them. Raises Unavailable as `aws.dynamodb` does.
"""

from typing import TYPE_CHECKING

from chalicelib.audit import items
from chalicelib.audit.models import AuditEvent
from chalicelib.aws.dynamodb import EARLIEST, KeyRange, Table, key_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class AuditRepository:
    """The audit events of one stage."""

    def __init__(self, dynamodb: "DynamoDBClient", payments_table: str) -> None:
        self._table = Table(dynamodb, payments_table)

    def newest(self, upper: str, limit: int) -> list[tuple[str, AuditEvent | None]]:
        """Return events up to a sort key, newest first, with their sort keys.

        None stands for one that this version cannot read.
        """
        keys = KeyRange(items.LISTING, EARLIEST, upper)
        entries = self._table.query(keys, items.ALL, limit=limit, newest_first=True)
        # The last row of a full read only shows that there are more.
        wanted = [key_of(entry) for entry in entries[: limit - 1]]
        rows = self._table.find_many(wanted)
        found = {row["createdAt"]: self._table.read(row, items.from_item) for row in rows}
        return [(entry["createdAt"], found.get(entry["createdAt"])) for entry in entries]
