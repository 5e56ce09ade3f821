"""Signatures of what is sent to merchants, by Standard Webhooks 1.0.

Guarantee: the headers verify with any library of that standard, for every secret that is given;
they are made from the bytes that are sent, and are good for five minutes around their time.
"""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """A secret as a merchant is shown it."""
    random = randomness.token_bytes(_SECRET_BYTES)
    return _PREFIX + base64.b64encode(random).decode()


def headers(webhook_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers. While a secret is rotated both are given, the new one first. `at` is
    when it is sent, not when the event was: each attempt is signed anew, with the same id.
    """
    if at.tzinfo is None or not secrets:
        raise ValueError("a signature takes a time with its zone, and a secret at least")
    moment = at.astimezone(UTC)  # the library takes the clock's face for UTC, whatever its zone
    text = body.decode()
    signatures = [Webhook(secret).sign(webhook_id, moment, text) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
