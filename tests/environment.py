"""The environment of the tests, whatever the caller's shell has.

Guarantee: after `clean`, this process and its children see none of the caller's PayFlow, AWS and
Python settings, proxies, language and time zone. `make` passes settings to the tests in variables
that begin with PAYFLOW_TEST_. Behind a proxy, configure pip and npm in their own settings files.
"""

import locale
import os
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

import pytest

_FOREIGN: Final = ("PAYFLOW_", "AWS_", "BOTO_", "PYTHON", "LC_")
_OURS: Final = "PAYFLOW_TEST_"
_NAMES: Final = {"LANG", "LANGUAGE", "TZ"}
_PROXIES: Final = {f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "FTP", "ALL", "NO")}
_OWN: Final = {
    # No test reaches a real account.
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "ca-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # This halves DynamoDB Local's CPU time: it ends before a second compiler has an effect.
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def clean() -> None:
    """Clean this process's environment. Raises UsageError if assertions are off."""
    if sys.flags.optimize:
        raise pytest.UsageError("Unset PYTHONOPTIMIZE: it removes the assertions.")
    _replace(os.environ)
    time.tzset()
    with suppress(locale.Error):  # macOS may lack it, but its text is UTF-8 anyway
        locale.setlocale(locale.LC_ALL, _OWN["LC_ALL"])


def _replace(environment: MutableMapping[str, str]) -> None:
    for name in list(environment):
        if _is_foreign(name):
            del environment[name]
    environment.update(_OWN)


def _is_foreign(name: str) -> bool:
    if name.upper() in _PROXIES or name in _NAMES:
        return True
    return name.startswith(_FOREIGN) and not name.startswith(_OURS)
