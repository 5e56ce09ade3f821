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
def test_what_is_not_well_formed_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson) as refusal:
        exact_json.loads(body)
    assert refusal.value.detail


def test_a_number_of_thousands_of_digits_arrives_whole() -> None:
    assert exact_json.loads(b"9" * 5000) == Decimal("9" * 5000)


def test_a_number_that_nothing_can_hold_arrives_infinite() -> None:
    assert exact_json.loads(b"1e99999999999999999999") == Decimal("Infinity")
    assert exact_json.loads(b"-1e99999999999999999999") == Decimal("-Infinity")


def test_what_is_no_number_arrives_as_one_that_is_not_finite() -> None:
    for name in ("NaN", "Infinity", "-Infinity"):
        assert not exact_json.loads(name.encode()).is_finite()


@given(value=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_survives_the_way_out_and_back(value: Decimal) -> None:
    assert exact_json.loads(exact_json.dumps(value).encode()) == value


@given(body=st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        exact_json.loads(body)
    except MalformedJson:
        return


def test_what_is_written_is_ascii() -> None:
    assert exact_json.dumps({"a": "é\ud800"}) == '{"a":"\\u00e9\\ud800"}'
