"""JSON whose numbers keep their digits, in both directions.

Guarantee: no number passes through a float. Duplicate names and invalid UTF-8 are refused.
"""

import functools
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson

from chalicelib.errors import MalformedJson


def loads(body: bytes) -> Any:
    """Parse the body of a request; every number becomes a `Decimal`.

    NaN, Infinity and numbers too large for `Decimal` become a `Decimal` that is not finite. The
    field's own check then rejects it. Raises MalformedJson.
    """
    try:
        return simplejson.loads(
            body.decode("utf-8"),
            parse_float=_number,
            parse_int=_number,
            parse_constant=Decimal,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise MalformedJson("The body is not UTF-8; send JSON as UTF-8.") from error
    except RecursionError as error:
        raise MalformedJson("The body is nested too deeply.") from error
    except simplejson.JSONDecodeError as error:
        raise MalformedJson(
            f"{error.msg.removesuffix(' %r at')} at line {error.lineno}, column {error.colno}."
        ) from error


def dumps(value: Any) -> str:
    """Write compact ASCII JSON; a `Decimal` keeps its digits."""
    return _dumps(value)


def canonical(value: Any) -> str:
    """Write `value` with sorted names at every depth, so that equal values give equal text.

    Times are those of one zone.
    """
    return _dumps(value, sort_keys=True, default=datetime.isoformat)


_dumps = functools.partial(
    simplejson.dumps, use_decimal=True, allow_nan=False, separators=(",", ":")
)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise MalformedJson(f"The name {name[:40]!a} occurs twice in one object.")
        result[name] = value
    return result
