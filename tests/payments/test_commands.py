"""What a request may say, and which field the refusal names. The full list runs on the stack."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import Field

from chalicelib.api_keys.commands import CreateApiKey
from chalicelib.errors import IdempotencyKeyReused, ValidationFailed
from chalicelib.idempotency import Fingerprints, Record, fingerprints
from chalicelib.payments.commands import CreatePayment, CreateRefund, ListPayments
from chalicelib.validation import validated
from chalicelib.values import Currency, rfc3339
from chalicelib.webhooks.commands import CreateEndpoint
from tests.conftest import command, refund_command

VALID = command(idempotency_key="a-key-of-its-own").model_dump()


def refused(fields: Any, model: type[Any] = CreatePayment) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as refusal:
        validated(model, fields)
    return {error.field: error.message for error in refusal.value.errors}


def test_every_invalid_field_is_named() -> None:
    wrong = {"merchant": " ", "amount": Decimal("10.005"), "currency": "CAD", "tip": Decimal(1)}
    assert refused(wrong) == {
        "merchant": "must not be blank",
        "amount": "must have at most 2 decimal places in CAD",
        "type": "is required",
        "idempotency_key": "is required",
        "tip": "is not a known field",
    }


@pytest.mark.parametrize(
    "blank",
    [
        " ",
        "\u200b",
        "\u3164",
        "\u2800 \u2800",
        "\u115f\u1160",
        "\ufeff",
        "\u0301",
        "\u00ad",
        "\ufe0f",
    ],
    ids=ascii,
)
def test_what_looks_blank_is_blank(blank: str) -> None:
    assert refused(VALID | {"merchant": blank}) == {"merchant": "must not be blank"}
    assert "name" in refused({"name": blank, "scopes": ["read"]}, CreateApiKey)


@pytest.mark.parametrize("hidden", "\u202e\u202a\u2066\u2069\u2028\u2029\u0085\n", ids=ascii)
def test_one_line_cannot_be_broken_or_reordered(hidden: str) -> None:
    text = f"Northern{hidden}Lights"
    assert "merchant" in refused(VALID | {"merchant": text})
    assert "name" in refused({"name": text, "scopes": ["read"]}, CreateApiKey)
    assert "description" in refused(
        {"url": "https://a.example/", "description": text}, CreateEndpoint
    )


@pytest.mark.parametrize(
    "name",
    ["system", " System", "sys\u200btem", "sys\u00adtem", "ｓｙｓｔｅｍ", "s\u2060ystem\u3164"],
)
def test_no_key_is_named_like_the_system(name: str) -> None:
    assert (
        "must not be 'system'" in refused({"name": name, "scopes": ["read"]}, CreateApiKey)["name"]
    )


@pytest.mark.parametrize(
    "name", ["Caf\u00e9 \u0645\u062a\u062c\u0631", "Cafe\u0301", "👩‍👩‍👧 systems"]
)
def test_text_is_kept_as_it_was_sent(name: str) -> None:
    assert validated(CreatePayment, VALID | {"merchant": name}).merchant == name


def test_empty_text_is_refused_in_plain_words() -> None:
    assert refused({"name": "", "scopes": ["read"]}, CreateApiKey) == {"name": "must not be empty"}
    assert refused(VALID | {"merchant": ""}) == {"merchant": "must not be empty"}


def test_thousands_of_unknown_fields_get_a_short_answer() -> None:
    assert len(refused({f"field-{number}": "" for number in range(5000)})) == 20


def test_an_amount_is_bounded_even_where_the_currency_is_unknown() -> None:
    assert refused(VALID | {"currency": "XXX", "amount": Decimal(0)}) == {
        "currency": "must be one of 'CAD' or 'USD'",
        "amount": "must be greater than 0",
    }


def test_unknown_currency_is_the_only_fault_of_a_payable_amount() -> None:
    wrong = VALID | {"currency": "XXX", "amount": Decimal("10.005")}
    assert refused(wrong) == {"currency": "must be one of 'CAD' or 'USD'"}


@pytest.mark.parametrize("amount", [True, None, [], {}, "1e2", "", " 1", "1_0", "٣", "0x10", "+1"])
def test_only_numbers_and_decimal_strings_are_amounts(amount: Any) -> None:
    assert "amount" in refused(VALID | {"amount": amount})


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"": "x"}, "metadata."),
        ({"k" * 41: "x"}, "metadata." + "k" * 41),
        ({"k": "v" * 501}, "metadata.k"),
        ({"k": Decimal(1)}, "metadata.k"),
        ({"k\n": "v"}, "metadata.k\n"),
        ({str(number): "" for number in range(21)}, "metadata"),
        ({str(number): "é" * 250 for number in range(5)}, "metadata"),
        ("text", "metadata"),
    ],
)
def test_metadata_is_twenty_short_pairs_of_text_in_two_kibibytes(metadata: Any, field: str) -> None:
    assert list(refused(VALID | {"metadata": metadata})) == [field]


@pytest.mark.parametrize("key", ["sevench", "k" * 129, "clé-de-paiement", "tab\tinside", 12345678])
def test_a_key_is_8_to_128_printable_ascii_characters(key: Any) -> None:
    assert list(refused(VALID | {"idempotency_key": key})) == ["idempotency_key"]


def test_a_lone_surrogate_is_refused_wherever_it_stands() -> None:
    assert "merchant" in refused(VALID | {"merchant": "\ud800"})
    (field,) = refused(VALID | {"metadata": {"\ud800": "x"}})
    assert field.encode("utf-8")
    (field,) = refused(VALID | {"\ud800": "x"})
    assert field.encode("utf-8")


def test_equal_requests_have_equal_fingerprints() -> None:
    metadata = {"order": "10023", "branch": "7"}
    one = validated(CreatePayment, VALID | {"amount": Decimal("10"), "metadata": metadata})
    respelled = {
        "amount": "10.00",
        "description": None,
        "metadata": dict(reversed(metadata.items())),
    }
    same = dict(reversed((VALID | respelled).items()))
    assert fingerprints(validated(CreatePayment, same)) == fingerprints(one)


def test_field_that_a_later_version_adds_changes_no_fingerprint() -> None:
    class Later(CreatePayment):
        urgency: str = "usual"
        tags: list[str] = Field(default_factory=list)

    now, later = (fingerprints(validated(model, VALID)) for model in (CreatePayment, Later))
    assert later.match(now)
    assert later.whole != now.whole, "which is why there is another one"
    assert not fingerprints(validated(Later, VALID | {"urgency": "today"})).match(now)


def test_direction_changes_the_fingerprint_only_if_it_is_another() -> None:
    one = fingerprints(validated(CreatePayment, VALID))
    assert fingerprints(validated(CreatePayment, VALID | {"direction": "debit"})) == one
    credit = fingerprints(validated(CreatePayment, VALID | {"direction": "credit"}))
    assert not credit.match(one)


def test_fingerprints_are_these() -> None:
    fields = VALID | {"idempotency_key": "order-10023", "amount": "12.50"}
    assert fingerprints(validated(CreatePayment, fields)) == Fingerprints(
        "74a73a2036171f22482ca3a6556b75e13f84d78ea85544789d05895a32f8f38c",
        "6ebf725c2960d76ac40e90d5166dd6beb3a8a25b261a077100a1c805c593bc62",
    )


def test_record_of_an_earlier_version_is_replayed_for_the_same_request_only() -> None:
    request = validated(CreatePayment, VALID)
    other = validated(CreatePayment, VALID | {"amount": "12.51"})
    record = Record("key", Fingerprints(None, fingerprints(request).whole), "PAY-1", "answer", 0)
    assert record.replay(request) == "answer"
    with pytest.raises(IdempotencyKeyReused):
        record.replay(other)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": "12.51"},
        {"merchant": "northern lights coffee"},
        {"currency": "USD"},
        {"type": "wire"},
        {"description": ""},
        {"metadata": {"a": "b"}},
    ],
)
def test_different_requests_have_different_fingerprints(other: dict[str, Any]) -> None:
    one = fingerprints(validated(CreatePayment, VALID))
    another = fingerprints(validated(CreatePayment, VALID | other))
    assert another.sent != one.sent
    assert another.whole != one.whole


@pytest.mark.parametrize("limit", ["0", "101", "x", "", "1.0", "1_0", "٣", "-1", "9" * 5000])
def test_a_limit_is_a_whole_number_from_1_to_100(limit: str) -> None:
    assert list(refused({"limit": limit}, ListPayments)) == ["limit"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
        ("2026-11-22T21:57:01Z", "2026-11-22T21:57:01.000000Z"),
        ("2026-11-22t21:57:01.12z", "2026-11-22T21:57:01.120000Z"),
        ("2026-11-22T21:57:01-05:00", "2026-11-23T02:57:01.000000Z"),
        ("2026-11-22T21:57:01.123456789Z", "2026-11-22T21:57:01.123456Z"),
        ("2026-11-22T21:57:01." + "9" * 100 + "Z", "2026-11-22T21:57:01.999999Z"),
        ("2026-11-22T21:57:01.5-00:00", "2026-11-22T21:57:01.500000Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T18:59:60.25-05:00", "2016-12-31T23:59:59.999999Z"),
    ],
)
def test_a_range_takes_dates_and_rfc_3339_times(text: str, moment: str) -> None:
    created_from = validated(ListPayments, {"created_from": text}).created_from
    assert created_from is not None
    assert rfc3339(created_from) == moment


def test_the_plus_that_a_url_lost_is_named() -> None:
    message = refused({"created_from": "2026-11-22T21:57:01 05:00"}, ListPayments)["created_from"]
    assert "%2B" in message


def test_a_date_as_the_end_of_a_range_includes_its_whole_day() -> None:
    created_to = validated(ListPayments, {"created_to": "2026-11-22"}).created_to
    assert created_to is not None
    assert rfc3339(created_to) == "2026-11-22T23:59:59.999999Z"


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "1700000000", "2026-13-01", "2026-02-30", "2026-11-22T25:00:00Z",
     "2026-11-22T21:57:01", "2026-11-22T21:57:61Z",
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_range_refuses_text_that_is_no_time(text: str) -> None:
    assert list(refused({"created_from": text}, ListPayments)) == ["created_from"]
    assert list(refused({"created_to": text}, ListPayments)) == ["created_to"]


def test_a_range_does_not_end_before_it_starts() -> None:
    reversed_range = {"created_from": "2026-11-22", "created_to": "2026-11-21"}
    assert list(refused(reversed_range, ListPayments)) == ["created_to"]


@pytest.mark.parametrize("amount", [0, -1, "1000000.01", "NaN", True, "", [], "1e2"])
def test_an_amount_to_refund_is_bounded_whatever_the_currency(amount: Any) -> None:
    wrong = {"amount": amount, "idempotency_key": "one-refund"}
    assert list(refused(wrong, CreateRefund)) == ["amount"]


def test_a_refund_needs_nothing_but_its_key() -> None:
    assert list(refused({}, CreateRefund)) == ["idempotency_key"]
    nothing = {"reason": None, "idempotency_key": "one-refund"}
    assert validated(CreateRefund, nothing) == refund_command(idempotency_key="one-refund")
    assert list(refused(nothing | {"amount": None}, CreateRefund)) == ["amount"], "perhaps a NaN"
    assert list(refused(nothing | {"reason": "r" * 501}, CreateRefund)) == ["reason"]


def test_refund_with_and_without_an_amount_are_different_requests() -> None:
    whole, part = (refund_command(idempotency_key="one-refund", **f) for f in ({}, {"amount": "1"}))
    assert not fingerprints(whole).match(fingerprints(part))
    assert fingerprints(part.in_currency(Currency.CAD)) == fingerprints(
        refund_command(idempotency_key="one-refund", amount="1.000").in_currency(Currency.CAD)
    )
