"""Commands for exports."""

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from chalicelib import validation
from chalicelib.exports.models import (
    DecimalSign,
    Filters,
    Format,
    Layout,
    Resource,
    Separator,
)
from chalicelib.schema import Schema

_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")


def _check_time_zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # few requests need it

    try:
        if _ZONE.fullmatch(name):
            ZoneInfo(name)
            return name
    except (LookupError, ValueError, OSError) as error:
        raise ValueError("must be a time zone that exists, such as America/Toronto") from error
    raise ValueError("must be the IANA name of a time zone, such as America/Toronto")


class CreateExport(Schema):
    """A file to write. Its rows are those that the list of the resource shows, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resource: Resource
    format: Format
    filters: Filters = Field(default_factory=Filters)
    separator: Separator = Field(default=Separator.COMMA, description="between the cells of a CSV")
    decimal_sign: DecimalSign = Field(
        default=DecimalSign.POINT, description="in the amounts of a CSV"
    )
    time_zone: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="of the times in a CSV: the IANA name of a time zone",
            examples=["America/Toronto"],
            json_schema_extra=validation.pattern(f"^{_ZONE.pattern}$"),
        ),
        AfterValidator(_check_time_zone),
    ] = "UTC"
    idempotency_key: validation.IdempotencyKey | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_a_csv_has_a_layout(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("format") == Format.JSON_LINES:
            named = {"separator", "decimal_sign", "time_zone"} & fields.keys()
            if named:
                raise ValueError(f"{', '.join(sorted(named))}: only for format csv")
        return fields

    @property
    def layout(self) -> Layout:
        if self.format is Format.JSON_LINES:
            return Layout(format=self.format, separator=None, decimal_sign=None, time_zone=None)
        return Layout(
            format=self.format,
            separator=self.separator,
            decimal_sign=self.decimal_sign,
            time_zone=self.time_zone,
        )


class ListExports(Schema):
    """A page of exports, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 20
    cursor: validation.Cursor = None
