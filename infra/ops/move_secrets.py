"""`make move-secrets`: encrypt the webhook secrets, and move them into rows of their own.

Guarantee: each endpoint's secrets move in one transaction, on the condition that they are as they
were read. So the command can run while endpoints are created, rotated and deleted, may be
interrupted, and a second run continues. The secrets stay the same: merchants notice nothing.

Version 0.1 reads secrets only from the endpoint's row. Run it when no function of that version
runs any more, and `make move-secrets BACK=1` before a rollback to it.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from chalicelib.aws.clients import kms_client
from chalicelib.aws.dynamodb import StaleVersion, retry_on_conflict
from chalicelib.aws.kms import Key
from chalicelib.errors import NotFound
from chalicelib.values import new_id
from chalicelib.webhooks.models import Endpoint
from chalicelib.webhooks.repository import WebhookRepository
from chalicelib.webhooks.signing import decrypted_secrets, encrypted_secrets
from infra import cli
from infra.ops import stages

_TRIES = 10


def main(arguments: list[str]) -> None:
    parser = cli.parser("move-secrets", __doc__)
    parser.add_argument("--back", action="store_true", help="for a rollback to version 0.1")
    asked = parser.parse_args(arguments)
    with stages.operated(asked.stage, "Not every secret was moved; run it again"):
        repository = stages.webhook_repository_of(stages.tables_of(asked.stage))
        key = Key(lambda: kms_client(os.environ["AWS_REGION"]), stages.secrets_key(asked.stage))
        move = move_back if asked.back else move_out
        moved = move(repository, key, asked.stage, lambda: datetime.now(UTC))
    where = "into the rows of their endpoints" if asked.back else "into rows of their own"
    print(f"Moved the secrets of {moved} endpoints {where}.")


def move_out(
    repository: WebhookRepository, key: Key, stage: str, clock: Callable[[], datetime]
) -> int:
    """Encrypt every endpoint's secrets, and those of new ones; return how many were moved.

    Raises PayFlowError.
    """

    def move(endpoint: Endpoint) -> bool:
        plain = endpoint.inline_secrets
        if plain is None:
            return False
        encrypted = encrypted_secrets(key, stage, endpoint.id, plain)
        repository.move_apart(endpoint, encrypted, new_id("MOV", clock()))
        return True

    repository.keep_secrets_apart(True)
    return _each(repository, move)


def move_back(
    repository: WebhookRepository, key: Key, stage: str, clock: Callable[[], datetime]
) -> int:
    """Store every endpoint's secrets, and those of new ones, as version 0.1 reads them.

    Returns how many were moved. Raises PayFlowError.
    """

    def move(endpoint: Endpoint) -> bool:
        if endpoint.inline_secrets is not None:
            return False
        encrypted = repository.find_secrets(endpoint.id)
        if encrypted is None:  # deleted, or moved by another run, since the endpoint was read
            raise StaleVersion(repository.get(endpoint.id))
        plain = decrypted_secrets(key, stage, endpoint.id, encrypted)
        repository.move_back(endpoint, encrypted, plain, new_id("MOV", clock()))
        return True

    repository.keep_secrets_apart(False)
    return _each(repository, move)


def _each(repository: WebhookRepository, move: Callable[[Endpoint], bool]) -> int:
    """Call `move` on every endpoint, again if it changed meanwhile; return how many moved."""
    moved = 0
    for endpoint in repository.all():
        try:
            moved += retry_on_conflict(endpoint, move, tries=_TRIES)
        except NotFound:  # deleted meanwhile
            continue
    return moved


if __name__ == "__main__":
    main(sys.argv[1:])
