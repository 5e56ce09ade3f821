"""Commands for API keys."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from chalicelib import validation
from chalicelib.api_keys.models import Scope
from chalicelib.schema import Schema
from chalicelib.values import SYSTEM

_SECRET = re.compile("pf_[a-z0-9]+_[0-9a-f]{16}|whsec_[a-z0-9+/]{16}", re.IGNORECASE)


def _check_not_reserved(name: str) -> str:
    if _SECRET.search(name):
        raise ValueError("must not contain a key or secret: names are shown in logs and events")
    if validation.as_read(name) == SYSTEM.name:
        raise ValueError(f"must not be {SYSTEM.name!r}: it marks changes made by PayFlow itself")
    return name


class CreateApiKey(Schema):
    """An API key to create. The answer is the only place that shows the key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            description="shown as the actor in events and logs",
            json_schema_extra=validation.ONE_LINE,
        ),
        AfterValidator(validation.check_one_line),
        AfterValidator(validation.check_not_blank),
        AfterValidator(_check_not_reserved),
    ]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_at: Annotated[
        datetime | None,
        validation.optional_moment(end_of_day=True),
        validation.moment_schema(
            "a date (the end of that UTC day) or an RFC 3339 time; by default, never"
        ),
    ] = None
    idempotency_key: validation.IdempotencyKey | None = None


class RollApiKey(Schema):
    """An API key to replace. The old key works for another `overlap_hours`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap_hours: Annotated[
        int, Field(ge=0, le=168), BeforeValidator(validation.whole_json_number)
    ] = 24
