"""Exports: what a file holds, how far its worker is, and the legal changes. Pure.

    processing ──┬─▶ completed
                 └─▶ failed

An export is due for a worker until it ends. A lease makes it due later: see `repository`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_serializer

from chalicelib.aws.s3 import Part
from chalicelib.payments.commands import EventFilters, PaymentFilters, RefundFilters
from chalicelib.schema import Schema
from chalicelib.values import EXPORT_ID, Timestamp, rfc3339

KEPT: Final = timedelta(days=7)
"""How long the file stays; infra/backend.yaml deletes it then, or up to a day later."""
MAX_FRUITLESS: Final = 8
"""Runs one after another that got no further: after so many, an export fails."""
_BACKOFF: Final = timedelta(minutes=1)
_MAX_BACKOFF: Final = timedelta(hours=1)


class Resource(StrEnum):
    """What the rows of a file are."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    EVENTS = "events"


class Format(StrEnum):
    CSV = "csv"
    JSON_LINES = "json_lines"


class Separator(StrEnum):
    COMMA = ","
    SEMICOLON = ";"
    TAB = "\t"


class DecimalSign(StrEnum):
    POINT = "."
    COMMA = ","


class State(StrEnum):
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class ExportFailure(StrEnum):
    NO_PROGRESS = "no_progress"
    """Its worker was stopped again and again, and got no further."""
    TOO_LARGE = "too_large"
    """It has more parts than one file may have."""
    UPLOAD_LOST = "upload_lost"
    """What was stored of it is gone."""


class _Range(Schema):
    """The time range of filters, as it is stored and answered."""

    @field_serializer("created_from", "created_to", check_fields=False)
    def _written(self, moment: datetime | None) -> str | None:
        return None if moment is None else rfc3339(moment)


class FiltersOfPayments(_Range, PaymentFilters):
    """The filters of the list of payments. The time range includes both ends."""


class FiltersOfRefunds(_Range, RefundFilters):
    """The filters of the list of refunds. The time range includes both ends."""


class FiltersOfEvents(_Range, EventFilters):
    """The filters of the feed. The time range includes both ends."""


_FILTERS: Final[Mapping[Resource, type[Schema]]] = MappingProxyType(
    {
        Resource.PAYMENTS: FiltersOfPayments,
        Resource.REFUNDS: FiltersOfRefunds,
        Resource.EVENTS: FiltersOfEvents,
    }
)


def _of_resource(filters: Any, info: ValidationInfo) -> Schema:
    """Return the filters as those of the resource, a field before this one."""
    resource = info.data.get("resource")
    if resource is None:  # reported by itself
        return FiltersOfPayments()
    return _FILTERS[resource].model_validate(filters)


Filters = Annotated[
    FiltersOfPayments | FiltersOfRefunds | FiltersOfEvents, BeforeValidator(_of_resource)
]
"""Those of the resource: no other filter is accepted."""


class Layout(Schema):
    """How a file is written. Only a CSV has a separator, a decimal sign and a time zone."""

    model_config = ConfigDict(frozen=True)

    format: Format
    separator: Separator | None
    decimal_sign: DecimalSign | None
    time_zone: str | None


class Tail(NamedTuple):
    """Rows that are too few for a part, in an object of their own between two runs."""

    key: str
    size_bytes: int


class Progress(NamedTuple):
    """How far the worker is. Everything up to `cursor` is in the parts and the tail."""

    cursor: str = ""
    is_walked: bool = False
    """All rows are in the parts."""
    upload_id: str = ""
    parts: tuple[Part, ...] = ()
    tail: Tail | None = None
    fruitless: int = 0
    """Leases since the last rows were stored."""


class Export(Schema):
    """An export as the API shows it; the last fields are internal."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=f"^{EXPORT_ID.pattern}$")
    resource: Resource
    filters: Filters
    layout: Layout
    state: State
    failure_reason: ExportFailure | None = Field(
        description="`no_progress`: its worker was stopped again and again; `too_large`: ask for "
        "a shorter range; `upload_lost`: what was stored of it is gone, create it again"
    )
    rows: int = Field(description="how many rows are stored so far, or in all once it is completed")
    unreadable: int = Field(
        description="rows that are missing from the file, because this version cannot read them"
    )
    size_bytes: int
    up_to: Timestamp = Field(description="what was created later is not in the file")
    created_at: Timestamp
    completed_at: Timestamp | None
    expires_at: Timestamp | None = Field(description="how long the file can be downloaded")
    link: str | None = Field(
        default=None,
        description="downloads the file, without a key, for at most 15 minutes; each answer has a "
        "new one while the file exists",
    )
    created_by: str | None = Field(description="the name of the API key that created it")
    created_by_id: str | None = Field(description="the id of that API key")

    progress: Progress = Field(default=Progress(), exclude=True)
    due_at: datetime | None = Field(
        default=None, exclude=True, description="when a worker may begin"
    )

    @property
    def key(self) -> str:
        """The key of its file in the bucket."""
        return f"exports/{self.id}"

    @property
    def file_name(self) -> str:
        ending = "csv" if self.layout.format is Format.CSV else "jsonl"
        return f"{self.resource}-{self.created_at:%Y-%m-%dT%H%M%S}Z-{self.id[-6:]}.{ending}"

    @property
    def next_part_number(self) -> int:
        """The number of the next part, which no worker before this one has used."""
        last = self.progress.parts[-1].number if self.progress.parts else 0
        return last + max(1, self.progress.fruitless)

    def leased(self, until: datetime) -> "Export":
        return self._at(until, fruitless=self.progress.fruitless + 1)

    def held(self, until: datetime) -> "Export":
        """Extend the lease."""
        return self._at(until)

    def uploading(self, upload_id: str) -> "Export":
        return self._at(self.due_at, upload_id=upload_id)

    def grown(
        self, cursor: str, rows: int, unreadable: int, part: Part, size_bytes: int, until: datetime
    ) -> "Export":
        """Add a part, with all rows up to `cursor`."""
        # One: the lease that goes on. A later one that dies uses other numbers.
        stored = {"cursor": cursor, "parts": (*self.progress.parts, part), "tail": None}
        size = self.size_bytes - self._tail_bytes + size_bytes
        counted = {"rows": rows, "unreadable": unreadable, "size_bytes": size}
        return self._at(until, **stored, fruitless=1).model_copy(update=counted)

    def paused(
        self, cursor: str, rows: int, unreadable: int, tail: Tail | None, now: datetime
    ) -> "Export":
        """End a run, with the rows up to `cursor` that are too few for a part."""
        size = self.size_bytes - self._tail_bytes + (tail.size_bytes if tail else 0)
        counted = {"rows": rows, "unreadable": unreadable, "size_bytes": size}
        return self._at(now, cursor=cursor, tail=tail, fruitless=0).model_copy(update=counted)

    def walked(self) -> "Export":
        """All rows are in the parts."""
        return self._at(self.due_at, is_walked=True)

    @property
    def _tail_bytes(self) -> int:
        return self.progress.tail.size_bytes if self.progress.tail else 0

    def given_back(self, now: datetime) -> "Export":
        """Let another run begin after a pause, which grows with each fruitless run."""
        pause = _BACKOFF * 2 ** min(self.progress.fruitless, 10)
        return self._at(now + min(pause, _MAX_BACKOFF))

    def completed(self, now: datetime) -> "Export":
        ended = {"state": State.COMPLETED, "completed_at": now, "expires_at": now + KEPT}
        return self.model_copy(update={**ended, "due_at": None, "progress": Progress()})

    def failed(self, reason: ExportFailure) -> "Export":
        ended = {"state": State.FAILED, "failure_reason": reason, "due_at": None}
        return self.model_copy(update={**ended, "progress": Progress()})

    def _at(self, due_at: datetime | None, **progress: Any) -> "Export":
        changed = self.progress._replace(**progress)
        return self.model_copy(update={"due_at": due_at, "progress": changed})


class ExportPage(Schema):
    """Exports, newest first; `next_cursor` is null on the last page."""

    model_config = ConfigDict(frozen=True)

    exports: list[Export]
    next_cursor: str | None
