"""The argument parser and the error handling of all commands for a stage."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError


def parser(name: str, description: str | None) -> ArgumentParser:
    """Return the parser of `make NAME`, which takes the stage first."""
    made = ArgumentParser(
        prog=f"make {name}", description=description, formatter_class=RawDescriptionHelpFormatter
    )
    made.add_argument("stage", metavar="STAGE", help="for example dev")
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
