"""Commands for exports."""

import re
from typing import Annotated, ClassVar, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
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
    filters: Filters = Field(
        default_factory=dict,
        validate_default=True,
        description="those of the list of the resource; for events also `created_to`",
    )
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

    @field_validator("separator", "decimal_sign", "time_zone")
    @classmethod
    def _of_a_csv(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("format") is Format.JSON_LINES:
            raise ValueError("is for the format csv only")
        return value

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
    kind: ClassVar = "exports"

    limit: Annotated[int, Field(ge=1, le=100), BeforeValidator(validation.whole_number)] = 20
    cursor: validation.Cursor = None
