"""A KMS key: the only module that calls KMS.

Guarantee: a text can be decrypted only with the context that it was encrypted with. Raises
Unavailable when KMS cannot answer, or when the key is disabled or waits for its deletion: an
operator can bring it back, so nothing may be given up for it.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws.clients import outage_is_unavailable
from chalicelib.errors import Unavailable

_OUT_OF_USE: Final = frozenset(
    {"DisabledException", "KMSInvalidStateException", "NotFoundException"}
)
_MAX_CACHED: Final = 256


class Key:
    """One key, by its id or alias. Its client is made on first use: few processes need it."""

    def __init__(self, kms: Callable[[], Any], key_id: str) -> None:
        self._kms = kms
        self._key_id = key_id
        self._decrypted: dict[tuple[str, str], str] = {}

    def encrypt(self, text: str, context: Mapping[str, str]) -> str:
        """Return the ciphertext, in base64. Raises Unavailable."""
        with _failure_is_unavailable():
            answer = self._kms().encrypt(
                KeyId=self._key_id, Plaintext=text.encode(), EncryptionContext=context
            )
        return base64.b64encode(answer["CiphertextBlob"]).decode()

    def decrypt(self, ciphertext: str, context: Mapping[str, str]) -> str:
        """Return the text of a ciphertext; KMS is asked once in each process.

        Raises Unavailable.
        """
        asked = (ciphertext, repr(sorted(context.items())))
        if asked not in self._decrypted:
            with _failure_is_unavailable():
                answer = self._kms().decrypt(
                    KeyId=self._key_id,
                    CiphertextBlob=base64.b64decode(ciphertext),
                    EncryptionContext=context,
                )
            if len(self._decrypted) >= _MAX_CACHED:
                self._decrypted.clear()
            self._decrypted[asked] = answer["Plaintext"].decode()
        return self._decrypted[asked]


@contextmanager
def _failure_is_unavailable() -> Iterator[None]:
    with outage_is_unavailable("KMS"):
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] in _OUT_OF_USE:
                raise Unavailable("The key of the webhook secrets is out of use.") from error
            raise
