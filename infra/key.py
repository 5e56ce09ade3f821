"""Makes an API key of a stage, with a developer's own AWS credentials: the first one cannot be
asked for over HTTP, since that takes a key.

`python -m infra.key --stage STAGE --name NAME --scopes read,write,admin`
"""

import argparse
import os
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.api_keys import ApiKeys
from chalicelib.aws import dynamodb_client
from chalicelib.commands import CreateApiKey, validated
from chalicelib.errors import PayFlowError
from chalicelib.store import Store
from infra.local import settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.key")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--scopes", required=True, help="comma-separated: read, write, admin")
    chosen = parser.parse_args()
    try:
        if chosen.stage == settings.STAGE:
            settings.from_environment().enter_environment()
        print(make_key(chosen.stage, chosen.name, chosen.scopes.split(",")))
    except (PayFlowError, settings.SetupError, BotoCoreError, ClientError) as error:
        sys.exit(f"No key was made. {error}")
    print("It is shown this once: keep it where secrets are kept.", file=sys.stderr)


def make_key(stage: str, name: str, scopes: list[str]) -> str:
    """The new key. Raises PayFlowError, or what boto3 raises."""
    keys = ApiKeys(stage, store_of(stage), is_required=True, clock=lambda: datetime.now(UTC))
    return keys.create(validated(CreateApiKey, {"name": name, "scopes": scopes})).secret


def store_of(stage: str) -> Store:
    return Store(
        dynamodb_client(os.environ.get("AWS_REGION", "ca-central-1")),
        payments_table=f"payflow-payments-{stage}",
        idempotency_table=f"payflow-idempotency-{stage}",
    )


if __name__ == "__main__":
    main()
