"""Signatures of webhooks, by Standard Webhooks 1.0.

Guarantee: any library of that standard verifies the headers with any of the given secrets. They
sign the exact bytes that are sent, and are valid for five minutes before and after their time.
"""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from chalicelib.aws.kms import Key
from chalicelib.webhooks.models import Secrets

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32  # the standard asks for 24 to 64


def new_secret() -> str:
    """Return a new secret in the form that a merchant sees."""
    random = randomness.token_bytes(_SECRET_BYTES)
    return _PREFIX + base64.b64encode(random).decode()


def encryption_context(stage: str, endpoint_id: str) -> dict[str, str]:
    """Return what KMS ties the ciphertext of a secret to; policies look at it."""
    return {"stage": stage, "endpoint": endpoint_id}


def encrypted_secrets(key: Key, stage: str, endpoint_id: str, plain: Secrets) -> Secrets:
    """Return the secrets of an endpoint, encrypted. Raises Unavailable."""
    context = encryption_context(stage, endpoint_id)
    return plain.each(lambda secret: key.encrypt(secret, context))


def decrypted_secrets(key: Key, stage: str, endpoint_id: str, encrypted: Secrets) -> Secrets:
    """Return the secrets of an endpoint, in plain text. Raises Unavailable."""
    context = encryption_context(stage, endpoint_id)
    return encrypted.each(lambda secret: key.decrypt(secret, context))


def headers(webhook_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers, with one signature for each secret.

    During a rotation, pass both secrets, the new one first. `at` is the time of sending, not of the
    event: each attempt is signed again, with the same id.
    """
    if at.tzinfo is None or not secrets:
        raise ValueError("a signature needs a time with a zone, and at least one secret")
    moment = at.astimezone(UTC)  # the library ignores the zone and assumes UTC
    text = body.decode()
    signatures = [Webhook(secret).sign(webhook_id, moment, text) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
