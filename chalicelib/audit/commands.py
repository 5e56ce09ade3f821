"""Commands for the audit log."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field

from chalicelib import validation
from chalicelib.audit.models import AuditType
from chalicelib.schema import Schema


class ListAuditEvents(Schema):
    """A page of audit events, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar = "audit_events"

    type: AuditType | None = None
    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 20
    cursor: validation.Cursor = None
