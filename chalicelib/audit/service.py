"""The audit log, as the API lists it."""

from dataclasses import dataclass

from chalicelib.audit.commands import ListAuditEvents
from chalicelib.audit.models import AuditPage
from chalicelib.audit.repository import AuditRepository
from chalicelib.aws.dynamodb import LATEST
from chalicelib.aws.pagination import just_before, read_page


@dataclass(frozen=True)
class AuditLog:
    """The audit log of one stage."""

    repository: AuditRepository

    def list_page(self, query: ListAuditEvents) -> AuditPage:
        """Return one page, newest first. Raises InvalidCursor or Unavailable."""
        events, cursor = read_page(
            lambda last, size: self.repository.newest(
                LATEST if last is None else just_before(last), size
            ),
            query,
            query,
            matches=lambda event: query.type in {None, event.type},
            is_filtered=query.type is not None,
        )
        return AuditPage(audit_events=events, next_cursor=cursor, count=len(events))
