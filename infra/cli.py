"""The arguments and the error handling of all commands for a stage.

Guarantee: each argument has its form before anything is done with it. Values come from make and
from a repository's variables, which more people may set than may change the code.
"""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError


def matching(pattern: str, meaning: str) -> Callable[[str], str]:
    """Return a type for argparse: text that matches `pattern` as a whole."""

    def checked(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ArgumentTypeError(f"{text!r} is not {meaning}")
        return text

    return checked


stage: Final = matching("[a-z][a-z0-9]{0,15}", "a stage: lower-case letters and digits, 16 at most")
origin: Final = matching(
    r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?",
    "an origin, such as https://dashboard.example, without a path or a slash",
)
url: Final = matching(
    r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[a-zA-Z0-9_-]+)*/?",
    "the API's URL, such as https://api.example.com",
)
email: Final = matching(
    r"[a-zA-Z0-9.!#%&*+/=?^_{|}~-]+@[a-zA-Z0-9.-]+", "an address, such as oncall@example.com"
)
bucket: Final = matching("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket")
role: Final = matching("arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9+=,.@_/-]+", "a role's ARN")
distribution: Final = matching("[A-Z0-9]{1,32}", "the id of a CloudFront distribution")


def number(text: str) -> int:
    return int(matching("[0-9]{1,9}", "a whole number")(text))


def parser(name: str, description: str | None) -> ArgumentParser:
    """Return the parser of `make NAME`, which takes the stage first."""
    made = ArgumentParser(
        prog=f"make {name}", description=description, formatter_class=RawDescriptionHelpFormatter
    )
    made.add_argument("stage", metavar="STAGE", type=stage, help="for example dev")
    return made


@contextmanager
def exits(failure: str, *expected: type[Exception]) -> Iterator[None]:
    """Turn expected errors, and those of AWS, into an exit with one line that says why."""
    try:
        yield
    except expected as error:
        sys.exit(f"{failure}. {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{failure}. AWS says: {error}")
