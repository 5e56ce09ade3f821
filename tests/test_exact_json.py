"""JSON: exact both ways, and strict on the way in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import exact_json
from chalicelib.errors import MalformedJson


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"a":1', b"{'a':1}", b'{"a":1}}', b'{"a":01}', b'{"a":.5}', b'{"a":+1}',
        b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"x":{"a":1,"a":1}}',
        b'{"a":"\x01"}', b"\xff", b'{"a":"\xed\xa0\x80"}',
        b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000,
    ],
)  # fmt: skip
def test_malformed_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson) as refusal:
        exact_json.loads(body)
    assert refusal.value.detail


def test_number_of_thousands_of_digits_is_kept_in_full() -> None:
    assert exact_json.loads(b"9" * 5000) == Decimal("9" * 5000)


def test_number_too_large_for_decimal_is_infinite() -> None:
    assert exact_json.loads(b"1e99999999999999999999") == Decimal("Infinity")
    assert exact_json.loads(b"-1e99999999999999999999") == Decimal("-Infinity")


def test_nan_and_infinity_are_not_finite() -> None:
    for name in ("NaN", "Infinity", "-Infinity"):
        assert not exact_json.loads(name.encode()).is_finite()


@given(value=st.decimals(allow_nan=False, allow_infinity=False))
def test_number_survives_a_round_trip(value: Decimal) -> None:
    assert exact_json.loads(exact_json.dumps(value).encode()) == value


@given(body=st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        exact_json.loads(body)
    except MalformedJson:
        return


def test_output_is_ascii() -> None:
    assert exact_json.dumps({"a": "é\ud800"}) == '{"a":"\\u00e9\\ud800"}'
