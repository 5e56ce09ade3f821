"""Field types that commands share, and the validation of requests.

Guarantee: every command has passed all rules that depend on the request alone. The same types
describe requests in `/v1/openapi.json`.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
)

from chalicelib.errors import FieldError, ValidationFailed
from chalicelib.schema import Schema
from chalicelib.values import MAX_AMOUNT

MAX_ERRORS_SHOWN: Final = 20
Command = TypeVar("Command", bound=Schema)
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})",
    re.IGNORECASE,
)
_LOST_PLUS: Final = re.compile(r".*[0-9] [0-9]{2}:[0-9]{2}")
_LEAP_SECOND: Final = "60"
_INVISIBLE: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols, for Unicode, that show nothing."""
_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional embeddings, overrides and isolates: what is shown is not what is there."""
_NOT_IN_ONE_LINE: Final = frozenset("\u2028\u2029") | _REORDERING


def pattern(expression: str) -> dict[str, JsonValue]:
    """Return the JSON schema of a rule that a validator below enforces."""
    return {"pattern": expression}


def without_default(schema: dict[str, JsonValue]) -> None:
    """Leave a default out of a JSON schema: one that may not be sent."""
    schema.pop("default", None)


ONE_LINE: Final = pattern(r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$")
_TEXT: Final = pattern(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")


def check_one_line(text: str) -> str:
    """Raise ValueError if `text` has control characters, or any that break or reorder its line."""
    _check_no_control_characters(text)
    if not _NOT_IN_ONE_LINE.isdisjoint(text):
        raise ValueError("must not contain line separators or bidirectional controls")
    return text


def _check_text(text: str) -> str:
    _check_no_control_characters(text.translate(dict.fromkeys(map(ord, "\n\r\t"))))
    return text


def _check_no_control_characters(text: str) -> None:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must not contain control characters")


def check_not_blank(text: str) -> str:
    """Raise ValueError unless `text` has a visible character."""
    if not any(map(_is_visible, text)):
        raise ValueError("must not be blank")
    return text


def _is_visible(character: str) -> bool:
    if character in _INVISIBLE or character.isspace() or not character.isprintable():
        return False
    return not unicodedata.category(character).startswith("M")  # marks show on others only


def as_read(text: str) -> str:
    """Return `text` as a person reads it: one case, one form, and nothing invisible."""
    shown = (one for one in unicodedata.normalize("NFKC", text) if _is_visible(one))
    return "".join(shown).casefold()


def _check_printable_ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must contain printable ASCII characters only")
    return text


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise ValueError("must be a JSON number or a decimal string such as 10.50")


def moment(value: Any, *, end_of_day: bool) -> datetime:
    """Read a date (its start or end, UTC) or an RFC 3339 time. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    try:
        if _DATE.fullmatch(value):
            start = datetime.fromisoformat(value).replace(tzinfo=UTC)
            return start + timedelta(days=1, microseconds=-1) if end_of_day else start
        if found := _DATE_TIME.fullmatch(value):
            return _time(*found.groups(default=""))
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a date or time that exists") from error
    if _LOST_PLUS.fullmatch(value):
        raise ValueError("has a space for the + of its offset: percent-encode the + as %2B")
    raise ValueError("must be a date (2026-11-22) or an RFC 3339 time (2026-11-22T21:57:01Z)")


def _time(minute: str, second: str, fraction: str, offset: str) -> datetime:
    """Return a time of RFC 3339, without what is below a microsecond.

    A leap second, which UTC counts and computers do not, is the last microsecond before it.
    """
    if second == _LEAP_SECOND:
        second, fraction = "59", ".999999"
    text = f"{minute}:{second}{fraction[:7]}{offset}"
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def day(value: Any) -> date:
    """Read a date. Raises ValueError."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("must be a date that exists") from error
    raise ValueError("must be a date (2026-11-22)")


def day_schema(description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": "date", "description": description})


def optional_moment(*, end_of_day: bool) -> BeforeValidator:
    """Return the validator of a field that is a moment or null."""
    return BeforeValidator(
        lambda value: None if value is None else moment(value, end_of_day=end_of_day)
    )


def moment_schema(description: str) -> WithJsonSchema:
    formats = [{"type": "string", "format": form} for form in ("date", "date-time")]
    return WithJsonSchema({"description": description, "anyOf": [*formats, {"type": "null"}]})


def whole_number(value: Any) -> Any:
    """Accept the digits of a query parameter. Raises ValueError for other text."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError("must be a whole number")
    return value


def whole_json_number(value: Any) -> Any:
    """Accept a JSON number without a fraction. Raises ValueError for anything else."""
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        # Compare first: converting a number of a million digits would take forever.
        return int(value) if -MAX_AMOUNT < value < MAX_AMOUNT else MAX_AMOUNT
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


Text = Annotated[str, Field(max_length=500, json_schema_extra=_TEXT), AfterValidator(_check_text)]
IdempotencyKey = Annotated[
    str,
    Field(min_length=8, max_length=128, json_schema_extra=pattern("^[ -~]+$")),
    AfterValidator(_check_printable_ascii),
]
_AMOUNT: Final = WithJsonSchema(
    {
        "anyOf": [
            {
                "type": "number",
                "format": "double",
                "exclusiveMinimum": 0,
                "maximum": int(MAX_AMOUNT),
            },
            {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"},
        ],
        "examples": [1250.75, "1250.75"],
    }
)
RequestedAmount = Annotated[Decimal, BeforeValidator(_number), _AMOUNT]
AmountIfGiven = Annotated[Decimal | None, BeforeValidator(_number), _AMOUNT]
"""None only if it is left out: a null may be a mistake, as of a caller whose NaN became one."""
Cursor = Annotated[
    str | None,
    Field(
        description="`next_cursor` of the previous page; keep the same filters",
        json_schema_extra=pattern("^[A-Za-z0-9_-]+$"),
    ),
]


def validated(command: type[Command], data: object) -> Command:
    """Return `data` as a `command`. Raises ValidationFailed, which names each invalid field."""
    try:
        return command.model_validate(data)
    except ValidationError as failure:
        errors = [
            FieldError(_field(error["loc"]), _message(error["type"], error))
            for error in failure.errors(include_url=False, include_input=False)
        ][:MAX_ERRORS_SHOWN]
        raise ValidationFailed(errors) from failure


def _field(location: tuple[int | str, ...]) -> str:
    if not location:
        return "body"
    names = [str(part) for part in location if part != "[key]"]
    field = ".".join(names)[:100] or '""'
    return field.encode("utf-8", "replace").decode()  # a name may hold a lone surrogate


_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_unicode": "must be well-formed Unicode, without lone surrogates",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "dict_type": "must be an object whose values are strings",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entry",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "model_type": "must be a JSON object",
    "finite_number": "must be a finite number",
    "value_error": "{error}",
}


def _message(kind: str, error: Mapping[str, Any]) -> str:
    context = error.get("ctx", {})
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    template = _MESSAGES.get(kind)
    return template.format(**context) if template else str(error["msg"])
