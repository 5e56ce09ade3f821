"""Makes an API key of a stage, with a developer's own AWS credentials: the first one cannot be
asked for over HTTP, since that takes a key.

`python -m infra.ops.key --stage STAGE --name NAME --scopes read,write,admin`
"""

import argparse
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.api_keys import ApiKeys
from chalicelib.commands import CreateApiKey, validated
from chalicelib.errors import PayFlowError
from infra.deploy.stacks import DeployError
from infra.local.settings import SetupError
from infra.ops import stages


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.ops.key")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--scopes", required=True, help="comma-separated: read, write, admin")
    chosen = parser.parse_args()
    try:
        stages.enter(chosen.stage)
        print(make_key(chosen.stage, chosen.name, chosen.scopes.split(",")))
    except (PayFlowError, SetupError, DeployError, BotoCoreError, ClientError) as error:
        sys.exit(f"No key was made. {error}")
    print("It is shown this once: keep it where secrets are kept.", file=sys.stderr)


def make_key(stage: str, name: str, scopes: list[str]) -> str:
    """The new key. Raises PayFlowError, or what boto3 raises."""
    store = stages.store_of(stages.tables_of(stage))
    keys = ApiKeys(stage, store, is_required=True, clock=lambda: datetime.now(UTC))
    return keys.create(validated(CreateApiKey, {"name": name, "scopes": scopes})).secret


if __name__ == "__main__":
    main()
