"""API keys and their scopes. Pure."""

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from chalicelib.schema import Schema
from chalicelib.values import Timestamp


class Scope(StrEnum):
    """What a key may do; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class ApiKey(Schema):
    """A key as the API shows it. Only its holder knows the key itself."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scopes: list[Scope]
    created_at: Timestamp
    last_used_at: Timestamp | None = Field(description="rounded down to the hour")
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    created_by: str | None = Field(
        description="the name of the API key that created it; null with `make key`, and for keys "
        "from before version 0.2.0"
    )
    created_by_id: str | None = Field(description="the id of that API key")

    digest: str = Field(exclude=True, description="SHA-256 of the key, in hexadecimal")

    def may(self, scope: Scope) -> bool:
        """Return whether the key's scopes include `scope`."""
        order = list(Scope)
        return any(order.index(own) >= order.index(scope) for own in self.scopes)

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class NewApiKey(ApiKey):
    """A new key. `key` is shown only once."""

    key: str


class ApiKeyList(Schema):
    """Every API key that was ever created, newest first."""

    api_keys: list[ApiKey]
