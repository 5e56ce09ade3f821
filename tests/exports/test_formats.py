"""The lines of a file."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.exports.formats import OF_PAYMENTS, Csv, JsonLines, amount_lost
from chalicelib.exports.models import DecimalSign, Format, Layout, Separator
from chalicelib.payments.models import Payment, Status
from chalicelib.payments.service import new_payment
from tests.conftest import START, TEST, command

FORMULA = re.compile("^[=+\\-@\uff1d\uff0b\uff0d\uff20]")
SEPARATORS = (",", ";", "|", "\t", "\n", "\r")


def in_csv(
    separator: Separator = Separator.COMMA,
    sign: DecimalSign = DecimalSign.POINT,
    time_zone: str = "UTC",
) -> Csv:
    layout = Layout(format=Format.CSV, separator=separator, decimal_sign=sign, time_zone=time_zone)
    return Csv(layout, OF_PAYMENTS)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("plain", "plain"),
        ("a, b", '"a, b"'),
        ('say "hi"', '"say ""hi"""'),
        ('say, "hi"', '"say, ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        (None, ""),
        (Decimal("1250.75"), "1250.75"),
        (Decimal("40.00"), "40.00"),
        (Decimal("1000000.00"), "1000000.00"),
    ],
)
def test_cell_is_written_as_rfc_4180_says(value: str | Decimal | None, cell: str) -> None:
    assert in_csv().cell(value) == cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n=1", "\r=1", "\ufeff=1",
        "\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)",
        "a,=1", "a;=1", "a|+1", "a\n-1", 'a";=1',
    ],
)  # fmt: skip
def test_no_cell_is_a_formula_whatever_the_separator(text: str) -> None:
    assert_no_formula(in_csv().cell(text))


@given(st.text(st.sampled_from(list("=+-@,;|\t\r\n 'a\uff1d\uff20\ufeff")), max_size=12))
def test_no_text_becomes_a_formula(text: str) -> None:
    assert_no_formula(in_csv().cell(text))


def assert_no_formula(cell: str) -> None:
    for separator in SEPARATORS:
        for part in cell.split(separator):
            shown = re.sub('^["\\s\ufeff]+', "", part)
            assert not FORMULA.match(shown), (cell, separator)


@given(st.decimals(0, 1_000_000, places=2), st.sampled_from(list(DecimalSign)))
def test_amount_keeps_its_digits(amount: Decimal, sign: DecimalSign) -> None:
    written = in_csv(sign=sign).cell(amount).strip('"')
    assert written.partition(sign)[2].isdigit()
    assert str(Decimal(written.replace(",", "."))) == str(amount.quantize(Decimal("0.01")))


def returned() -> Payment:
    return new_payment(command(), START, actor=TEST).payment.model_copy(
        update={
            "status": Status.RETURNED,
            "merchant": "a; b",
            "amount": Decimal("12.50"),
            "amount_refunded": Decimal("2.50"),
            "amount_returned": Decimal("12.50"),
            "created_at": datetime(2026, 11, 22, 3, 57, 1, 120000, tzinfo=UTC),
        }
    )


@pytest.mark.parametrize("separator", list(Separator))
@pytest.mark.parametrize("sign", list(DecimalSign))
def test_spreadsheet_reads_back_what_was_written(separator: Separator, sign: DecimalSign) -> None:
    writer = in_csv(separator, sign, "America/Toronto")
    text = (writer.header() + writer.line(returned())).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    assert row["merchant"] == "a; b"
    assert row["amount_lost"] == f"2{sign}50"
    assert row["created_at (America/Toronto)"] == "2026-11-21 22:57:01"


def test_times_of_a_csv_in_utc_say_so() -> None:
    header = in_csv().header()
    assert header.startswith(b"\xef\xbb\xbfid,created_at_utc,status,")
    assert b",2026-11-22 03:57:01," in in_csv().line(returned())


def test_json_line_is_the_payment_as_the_api_answers_it() -> None:
    payment = returned()
    line = JsonLines().line(payment)
    assert line == f"{payment.to_json()}\n".encode()
    assert json.loads(line, parse_float=Decimal)["amount"] == Decimal("12.50")
    assert JsonLines().header() == b""


def test_only_a_returned_payment_loses_what_was_refunded() -> None:
    assert amount_lost(returned()) == Decimal("2.50")
    completed = returned().model_copy(update={"status": Status.COMPLETED})
    assert str(amount_lost(completed)) == "0.00"
