"""Reads the answers of DynamoDB and SQS as the JSON that they are.

botocore walks every answer along the shapes of the service's model, to turn timestamps and binary
data into Python's types, and costs more time than the rest of the call. The calls of a request have
neither. Their successes are read as they came; errors, and all other calls, are read as ever.
"""

from typing import Any, Final

from botocore.model import StructureShape
from botocore.parsers import JSONParser, ResponseParserError, ResponseParserFactory

_AS_IT_IS: Final = StructureShape("AsItIs", {"type": "structure", "document": True, "members": {}})
"""A shape whose value is any JSON: botocore does not look inside."""

PLAIN: Final = frozenset(
    {
        "BatchGetItemOutput",
        "DeleteItemOutput",
        "GetItemOutput",
        "PutItemOutput",
        "QueryOutput",
        "SendMessageBatchResult",
        "SendMessageResult",
        "TransactWriteItemsOutput",
        "UpdateItemOutput",
    }
)
"""The shapes of answers that hold only text, numbers, booleans, lists and maps."""


class _Parser(JSONParser):
    def parse(self, response: Any, shape: Any) -> Any:
        if response["status_code"] >= 300 or shape is None or shape.name not in PLAIN:
            return super().parse(response, shape)
        parsed = super().parse(response, _AS_IT_IS)
        if "message" in parsed:  # how botocore hands on what is no JSON; it would read it as empty
            raise ResponseParserError("The answer is no JSON.")
        return parsed


class Parsers(ResponseParserFactory):
    """The parsers of a session: register it as the component `response_parser_factory`."""

    def create_parser(self, protocol_name: str) -> Any:
        return _Parser() if protocol_name == "json" else super().create_parser(protocol_name)
