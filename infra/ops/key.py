"""`make key`: create an API key, with the operator's own AWS credentials.

The API cannot create a stage's first key, because a request to create one needs a key.
"""

import sys
from datetime import UTC, datetime

from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.api_keys.service import ApiKeys
from chalicelib.validation import validated
from infra import cli
from infra.ops import stages


def main(arguments: list[str]) -> None:
    parser = cli.parser("key", __doc__)
    parser.add_argument("--name", default="", help="what the key is for")
    parser.add_argument("--scopes", default="", help="comma-separated: read, write, admin")
    asked = parser.parse_args(arguments)
    with stages.operated(asked.stage, "No key created"):
        print(make_key(asked.stage, asked.name, asked.scopes.split(",")))
    print("Store the key now: it is not shown again.", file=sys.stderr)


def make_key(stage: str, name: str, scopes: list[str]) -> str:
    """Return the new key. Raises PayFlowError or boto3 errors."""
    repository = stages.api_key_repository_of(stages.tables_of(stage))
    keys = ApiKeys(stage, repository, is_required=True, clock=lambda: datetime.now(UTC))
    return keys.create(validated(CreateApiKey, {"name": name, "scopes": scopes})).key


if __name__ == "__main__":
    main(sys.argv[1:])
