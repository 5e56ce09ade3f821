"""API keys: who may call, and what for.

Guarantee: a key is shown once and kept as its SHA-256 alone. It is found by that digest, so
nothing of a secret is ever compared. A key that is revoked or has expired stops working
everywhere within `CACHE`, the time for which a process remembers a key that it has looked up.

    pf_<stage>_<64 hexadecimal digits: 256 random bits><8 more: a checksum>

The checksum turns typing errors and other stages' keys away before any look-up.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib.commands import CreateApiKey, RollApiKey
from chalicelib.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from chalicelib.model import ApiKey, Scope
from chalicelib.store import KeyIsGone, Store
from chalicelib.telemetry import log

CACHE: Final = timedelta(seconds=30)
MAX_CACHED: Final = 1000
_SECRET_BYTES: Final = 32
_CHECKSUM_DIGITS: Final = 8
_BEARER: Final = re.compile(r"Bearer +([!-~]{1,200})", re.IGNORECASE)


class Issued(NamedTuple):
    """A new key: `secret` is what its holder sends, and is not kept."""

    key: ApiKey
    secret: str


class Remembered(NamedTuple):
    key: ApiKey
    since: datetime


@dataclass
class ApiKeys:
    """The keys of one stage. Where `is_required` is false, everybody may do everything."""

    stage: str
    store: Store
    is_required: bool
    clock: Callable[[], datetime]
    _remembered: dict[str, Remembered] = field(default_factory=dict)

    def admit(self, authorization: str | None, scope: Scope) -> str | None:
        """The name of the key that an Authorization header carries; None where all are admitted.

        Raises Unauthenticated, Forbidden, or Unavailable when the keys cannot be looked up.
        """
        if not self.is_required:
            return None
        key = self._authenticate(authorization)
        if not key.may(scope):
            raise Forbidden(f"This needs a key with the scope {scope}.")
        return key.name

    def create(self, command: CreateApiKey) -> Issued:
        """Raises ValidationFailed, Conflict or Unavailable."""
        now = self.clock()
        if command.expires_at is not None and command.expires_at <= now:
            raise ValidationFailed([FieldError("expires_at", "must be in the future")])
        issued = self._issue(command.name, command.scopes, command.expires_at, now)
        self.store.add_key(issued.key)
        return issued

    def all(self) -> list[ApiKey]:
        """Every key that was ever made, the newest first. Raises Unavailable."""
        return sorted(self.store.all_keys(), key=lambda key: key.created_at, reverse=True)

    def roll(self, key_id: str, command: RollApiKey) -> Issued:
        """A new key in place of a live one, which ends after the overlap.

        Raises NotFound, Unavailable, or Conflict when it has ended or was rolled already.
        """
        old, now = self.store.get_key(key_id), self.clock()
        end = now + timedelta(hours=command.overlap_hours)
        issued = self._issue(old.name, old.scopes, old.expires_at, now)
        try:
            if not old.is_live(now):
                raise KeyIsGone
            self.store.replace_key(old, min(end, old.expires_at or end), issued.key)
        except KeyIsGone:
            raise Conflict(
                "The key is revoked, has expired or was rolled before; create a new one."
            ) from None
        self._remembered.pop(old.digest, None)
        return issued

    def revoke(self, key_id: str) -> None:
        """End a key; one that is revoked stays so. Raises NotFound or Unavailable."""
        key = self.store.get_key(key_id)
        self.store.revoke_key(key, self.clock())
        self._remembered.pop(key.digest, None)

    def _authenticate(self, authorization: str | None) -> ApiKey:
        if authorization is None:
            raise Unauthenticated("Send the header Authorization: Bearer <API key>.")
        # One sentence for every way of being wrong: it tells nobody which keys there are.
        refusal = Unauthenticated("The API key is not valid.")
        bearer = _BEARER.fullmatch(authorization.strip())
        if bearer is None or not _is_well_formed(bearer[1], self.stage):
            raise refusal
        digest = hashlib.sha256(bearer[1].encode()).hexdigest()
        now = self.clock()
        key = self._look_up(digest, now)
        if key is None or not key.is_live(now):
            raise refusal
        return key

    def _look_up(self, digest: str, now: datetime) -> ApiKey | None:
        remembered = self._remembered.get(digest)
        if remembered is not None and now - remembered.since < CACHE:
            return remembered.key
        key = self.store.find_key(digest)
        if key is None:
            self._remembered.pop(digest, None)
            return None
        if len(self._remembered) >= MAX_CACHED:
            self._remembered.clear()
        self._remembered[digest] = Remembered(key, now)
        self._note_use(key, now)
        return key

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Once an hour: who uses a key is worth knowing, and not worth a write a request."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if not key.is_live(now) or (key.last_used_at is not None and key.last_used_at >= hour):
            return
        try:
            self.store.note_use(key, hour)
        except (Conflict, Unavailable) as error:
            log("key_use_not_noted", key=key.name, reason=error.detail)

    def _issue(
        self, name: str, scopes: list[Scope], expires_at: datetime | None, now: datetime
    ) -> Issued:
        secret = new_secret(self.stage)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = ApiKey(
            id=f"KEY-{digest[:20].upper()}",
            name=name,
            scopes=sorted(set(scopes), key=list(Scope).index),
            created_at=now,
            last_used_at=None,
            expires_at=expires_at,
            revoked_at=None,
            digest=digest,
        )
        return Issued(key, secret)


def new_secret(stage: str) -> str:
    body = f"pf_{stage}_{secrets.token_hex(_SECRET_BYTES)}"
    return body + _checksum(body)


def _is_well_formed(secret: str, stage: str) -> bool:
    body, checksum = secret[:-_CHECKSUM_DIGITS], secret[-_CHECKSUM_DIGITS:]
    return body.startswith(f"pf_{stage}_") and checksum == _checksum(body)


def _checksum(body: str) -> str:
    """Against typing errors; it is no secret, so comparing it may take what time it takes."""
    return hashlib.sha256(body.encode()).hexdigest()[:_CHECKSUM_DIGITS]
