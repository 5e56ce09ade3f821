"""What a bank says of a payment or refund, and the codes that it says it by. Pure.

A bank's word is a fact: it is recorded whatever our own state is, and never refused. A bank gives
its own codes; any of them is recorded as it came, and read as one of PayFlow's failure codes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class PaymentType(StrEnum):
    """The rail that carries a payment."""

    WIRE = "wire"
    EFT = "eft"
    INTERAC = "interac"
    ACH = "ach"


class FailureCode(StrEnum):
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_FROZEN = "account_frozen"
    NO_AUTHORIZATION = "no_authorization"
    """The payer never agreed, or no longer agrees."""
    PAYMENT_STOPPED = "payment_stopped"
    REJECTED_BY_BANK = "rejected_by_bank"
    """For any other reason, also one that PayFlow does not know."""
    CURRENCY_NOT_SUPPORTED = "currency_not_supported"
    PAYMENT_RETURNED = "payment_returned"
    """Of a refund: its payment was returned before its bank saw the refund."""


@dataclass(frozen=True)
class Completed:
    """The money has arrived."""

    def __str__(self) -> str:
        return "completed"


@dataclass(frozen=True)
class Failed:
    """The money will not arrive; `code` says why, and `bank_code` is the bank's own word for it."""

    code: FailureCode
    bank_code: str | None = None

    @classmethod
    def by_bank(cls, bank_code: str) -> "Failed":
        """Return the failure that a bank's code means."""
        return cls(failure_code_of(bank_code), bank_code)

    def __str__(self) -> str:
        return f"failed:{self.bank_code or self.code}"


@dataclass(frozen=True)
class Returned:
    """A bank sent the money back, or will not move it; `bank_code` is its code for the reason."""

    bank_code: str

    @property
    def code(self) -> FailureCode:
        return failure_code_of(self.bank_code)

    def __str__(self) -> str:
        return f"returned:{self.bank_code}"


Fact = Completed | Failed | Returned


class ReturnCodes(NamedTuple):
    """The codes of a rail for a return."""

    pattern: re.Pattern[str]
    described: str
    no_funds: str
    no_account: str


RETURN_CODES: Mapping[PaymentType, ReturnCodes] = MappingProxyType(
    {
        PaymentType.ACH: ReturnCodes(
            re.compile(r"R(0[1-9]|[1-3][0-9]|4[0-7]|5[0-3]|6[12789]|7[0-7]|8[0-5])"),
            "R01 to R47, R50 to R53, R61, R62, R67 to R77 or R80 to R85",
            "R01",
            "R03",
        ),
        PaymentType.EFT: ReturnCodes(
            re.compile(r"9(0[1-5]|0[7-9]|1[0-2]|1[4-9]|2[0-2]|90)"),
            "901 to 905, 907 to 912, 914 to 922 or 990",
            "901",
            "902",
        ),
    }
)
"""The codes that can be simulated: Nacha's and those of Payments Canada (Standard 007).

Other rails are final: their returns cannot be simulated.
"""

_MEANINGS: Final[Mapping[FailureCode, str]] = MappingProxyType(
    {
        FailureCode.INSUFFICIENT_FUNDS: "901 908 R01 R09",
        FailureCode.ACCOUNT_CLOSED: "905 R02 R12",
        FailureCode.ACCOUNT_NOT_FOUND: "902 912 R03 R04 R13 R20",
        FailureCode.ACCOUNT_FROZEN: "911 R16",
        FailureCode.NO_AUTHORIZATION: "907 915 916 917 918 919 920 921 R05 R07 R10 R11 R29",
        FailureCode.PAYMENT_STOPPED: "903 R08 R38 R52",
    }
)
_BY_BANK_CODE: Final = MappingProxyType(
    {code: meaning for meaning, codes in _MEANINGS.items() for code in codes.split()}
)


def failure_code_of(bank_code: str) -> FailureCode:
    """Return what a bank's code means: `rejected_by_bank` for one that is not known."""
    return _BY_BANK_CODE.get(bank_code, FailureCode.REJECTED_BY_BANK)
