"""API keys: who may call what.

Guarantee: a key is shown once, and only its SHA-256 is stored. It is looked up by that digest, so
no secret is ever compared. A revoked or expired key stops working everywhere within `CACHE`, which
is how long a process caches a key.

    pf_<stage>_<64 hexadecimal digits: 256 random bits><8 more: a checksum>

The checksum rejects typing errors and keys of other stages before any look-up.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from chalicelib import errors, exact_json
from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import ApiKey, ApiKeyList, NewApiKey, Scope
from chalicelib.api_keys.repository import ApiKeyRepository, KeyEnded
from chalicelib.audit.models import AuditEvent, AuditType, FieldChange, changes_of_new
from chalicelib.idempotency import Created, RecordExists, record_key, record_of
from chalicelib.telemetry import log
from chalicelib.values import SYSTEM, Actor, rfc3339

CACHE: Final = timedelta(seconds=30)
MAX_CACHED: Final = 1000
_SECRET_BYTES: Final = 32
_CHECKSUM_DIGITS: Final = 8
_BEARER: Final = re.compile(r"Bearer +([!-~]{1,200})", re.IGNORECASE)


class CachedKey(NamedTuple):
    key: ApiKey
    since: datetime


@dataclass
class ApiKeys:
    """The API keys of one stage. Where `is_required` is false, every caller may do everything."""

    stage: str
    repository: ApiKeyRepository
    is_required: bool
    clock: Callable[[], datetime]
    _cache: dict[str, CachedKey] = field(default_factory=dict)

    def authorize(self, authorization: str | None, scope: Scope) -> Actor | None:
        """Return the key in an Authorization header; None where no key is required.

        Raises Unauthenticated, Forbidden, or Unavailable when the key cannot be looked up.
        """
        if not self.is_required:
            return None
        key = self._authenticate(authorization)
        if not key.may(scope):
            raise errors.Forbidden(f"Use a key with the scope {scope}.")
        return Actor(key.name, key.id)

    def create_once(self, command: CreateApiKey, *, actor: Actor) -> NewApiKey | Created:
        """Create a key, or return the first answer to its idempotency key, without the key.

        Raises as `create` does, and IdempotencyKeyReused.
        """
        try:
            return self.create(command, actor=actor)
        except RecordExists as exists:
            return exists.record.replayed(command)

    def create(self, command: CreateApiKey, *, actor: Actor | None = None) -> NewApiKey:
        """Create a key, for a key's holder or an operator.

        Raises ValidationFailed, RecordExists, Conflict or Unavailable.
        """
        now = self.clock()
        if command.expires_at is not None and command.expires_at <= now:
            raise errors.ValidationFailed(
                [errors.FieldError("expires_at", "must be in the future")]
            )
        new = self._new_key(command.name, command.scopes, command.expires_at, now, actor)
        record = None
        if command.idempotency_key is not None:
            key = record_key("create_api_key", "all", command.idempotency_key)
            shown = exact_json.dumps(new.model_dump(exclude={"key"}))
            record = record_of(command, key, new.id, shown, now)
        self.repository.add(new, _created(new, actor or SYSTEM), record)
        return new

    def all(self) -> ApiKeyList:
        """Return every key that was ever created, newest first. Raises Unavailable."""
        keys = sorted(self.repository.all(), key=lambda key: key.created_at, reverse=True)
        return ApiKeyList(api_keys=keys)

    def roll(self, key_id: str, command: RollApiKey, *, actor: Actor) -> NewApiKey:
        """Replace a live key; the old one ends after the overlap.

        Raises NotFound, Unavailable, or Conflict when the key has ended or was already rolled.
        """
        old, now = self._get(key_id), self.clock()
        end = now + timedelta(hours=command.overlap_hours)
        new = self._new_key(old.name, old.scopes, old.expires_at, now, actor)
        try:
            if not old.is_live(now):
                raise KeyEnded
            old_ends_at = min(end, old.expires_at or end)
            event = _rolled(old, old_ends_at, new, actor)
            self.repository.replace(old, old_ends_at, new, event)
        except KeyEnded:
            raise errors.Conflict(
                "The key is revoked, has expired or was already rolled; create a new one."
            ) from None
        self._cache.pop(old.digest, None)
        return new

    def revoke(self, key_id: str, *, actor: Actor = SYSTEM) -> None:
        """End a key. No-op if it is already revoked. Raises NotFound or Unavailable."""
        key = self._get(key_id)
        event = AuditEvent.of(
            AuditType.API_KEY_REVOKED,
            actor,
            self.clock(),
            resource=(key.id, key.name),
            changes=[],
        )
        self.repository.revoke(key, event)
        self._cache.pop(key.digest, None)

    def _get(self, key_id: str) -> ApiKey:
        key = self.repository.find(key_id)
        if key is None:
            raise errors.NotFound("There is no API key with this id.")
        return key

    def _authenticate(self, authorization: str | None) -> ApiKey:
        if authorization is None:
            raise errors.Unauthenticated("Send the header Authorization: Bearer <API key>.")
        # One text for all invalid keys, so that callers cannot find out which keys exist.
        invalid = errors.Unauthenticated("The API key is not valid.")
        bearer = _BEARER.fullmatch(authorization.strip())
        if bearer is None or not _is_well_formed(bearer[1], self.stage):
            raise invalid
        digest = hashlib.sha256(bearer[1].encode()).hexdigest()
        now = self.clock()
        key = self._look_up(digest, now)
        if key is None or not key.is_live(now):
            raise invalid
        return key

    def _look_up(self, digest: str, now: datetime) -> ApiKey | None:
        cached = self._cache.get(digest)
        if cached is not None and now - cached.since < CACHE:
            return cached.key
        key = self.repository.find_by_digest(digest)
        if key is None:
            self._cache.pop(digest, None)
            return None
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[digest] = CachedKey(key, now)
        self._note_use(key, now)
        return key

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Store the hour of use, once an hour: a write for each request would cost too much."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if not key.is_live(now) or (key.last_used_at is not None and key.last_used_at >= hour):
            return
        try:
            self.repository.note_use(key, hour)
        except (errors.Conflict, errors.Unavailable) as error:
            log("key_use_not_noted", key=key.name, key_id=key.id, reason=error.detail)

    def _new_key(
        self,
        name: str,
        scopes: list[Scope],
        expires_at: datetime | None,
        now: datetime,
        actor: Actor | None,
    ) -> NewApiKey:
        secret = new_secret(self.stage)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        return NewApiKey(
            id=f"KEY-{digest[:20].upper()}",
            name=name,
            scopes=sorted(set(scopes), key=list(Scope).index),
            created_at=now,
            last_used_at=None,
            expires_at=expires_at,
            revoked_at=None,
            created_by=actor and actor.name,
            created_by_id=actor and actor.key_id,
            digest=digest,
            key=secret,
        )


def _created(key: ApiKey, actor: Actor) -> AuditEvent:
    return AuditEvent.of(
        AuditType.API_KEY_CREATED,
        actor,
        key.created_at,
        resource=(key.id, key.name),
        changes=changes_of_new(
            {
                "name": key.name,
                "scopes": [scope.value for scope in key.scopes],
                "expires_at": rfc3339(key.expires_at) if key.expires_at else None,
            }
        ),
    )


def _rolled(old: ApiKey, old_ends_at: datetime, new: ApiKey, actor: Actor) -> AuditEvent:
    return AuditEvent.of(
        AuditType.API_KEY_ROLLED,
        actor,
        new.created_at,
        resource=(old.id, old.name),
        changes=[
            FieldChange(
                field="expires_at",
                before=rfc3339(old.expires_at) if old.expires_at else None,
                after=rfc3339(old_ends_at),
            ),
            FieldChange(field="replaced_by", before=None, after=new.id),
        ],
    )


def new_secret(stage: str) -> str:
    """Return a new key in clear text."""
    body = f"pf_{stage}_{secrets.token_hex(_SECRET_BYTES)}"
    return body + _checksum(body)


def _is_well_formed(secret: str, stage: str) -> bool:
    body, checksum = secret[:-_CHECKSUM_DIGITS], secret[-_CHECKSUM_DIGITS:]
    return body.startswith(f"pf_{stage}_") and checksum == _checksum(body)


def _checksum(body: str) -> str:
    """Return a checksum against typing errors. It is no secret: comparing it may leak timing."""
    return hashlib.sha256(body.encode()).hexdigest()[:_CHECKSUM_DIGITS]
