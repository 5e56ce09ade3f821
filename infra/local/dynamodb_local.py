"""AWS's own DynamoDB Local as a process, for stacks with PAYFLOW_DYNAMODB=dynamodb-local.

It is downloaded from npm, where AWS publishes it, once per clone. It is never part of this
repository: its licence is an agreement between AWS and its user.
"""

import base64
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from infra import ROOT
from infra.local import lifeline
from infra.local.settings import SetupError, from_environment

_PACKAGE: Final = "amplify-dynamodb-simulator"
_VERSION: Final = "2.9.30"
_SHA512: Final = (
    "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
)
_TOOLS: Final = ROOT / ".tools"
_HOME: Final = _TOOLS / f"dynamodb-local-{_VERSION}"
_POLICY: Final = Path(__file__).with_suffix(".policy")
_JAVA_NEEDED: Final = 11
_JAVA_WITHOUT_POLICIES: Final = 24
"""From this version on Java has no Security Manager, and does not start with its options."""


def install() -> None:
    """Check for Java, and download the engine once per clone (55 MB, by npm). Raises SetupError."""
    if java_version() < _JAVA_NEEDED:
        raise SetupError(
            f"DynamoDB Local needs Java {_JAVA_NEEDED} or newer (on Debian: sudo apt-get install "
            "default-jre-headless). Or run without PAYFLOW_DYNAMODB."
        )
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at the same time
        if not _HOME.exists():
            print("  Downloading DynamoDB Local …", flush=True)
            with tempfile.TemporaryDirectory(dir=_TOOLS) as folder:
                _fetch(Path(folder)).rename(_HOME)


def is_restricted_to_this_machine() -> bool:
    """Whether other machines are kept out, which takes Java's Security Manager."""
    return java_version() < _JAVA_WITHOUT_POLICIES


@functools.cache
def java_version() -> int:
    """Return Java's feature release; 0 if there is no Java."""
    try:
        said = subprocess.run(
            ["java", "-version"],  # noqa: S607 (whichever Java this machine has)
            check=True,
            capture_output=True,
            text=True,
        ).stderr
    except (OSError, subprocess.CalledProcessError):  # macOS has a stub of `java`
        return 0
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(version[1]) if version else 0


def command(port: int, data: Path | None) -> list[str]:
    """Return the command that runs the engine; without `data` its tables are in memory."""
    policy = ["-Djava.security.manager", f"-Djava.security.policy=={_POLICY}"]
    return [
        "env",
        "DDB_LOCAL_TELEMETRY=0",  # its command-line option still writes an id file
        "java",
        "-Djava.net.preferIPv4Stack=true",
        *(policy if is_restricted_to_this_machine() else []),
        f"-Djava.library.path={_HOME / 'DynamoDBLocal_lib'}",
        "-jar",
        str(_HOME / "DynamoDBLocal.jar"),
        "-sharedDb",  # one database for all credentials and regions
        *(["-inMemory"] if data is None else ["-dbPath", str(data)]),
        "-port",
        str(port),
    ]


def _fetch(folder: Path) -> Path:
    """Download the engine into `folder`; return the engine's folder. Raises SetupError."""
    if shutil.which("npm") is None:
        raise SetupError(
            "DynamoDB Local is downloaded by npm, which is not installed. Install Node "
            "(https://nodejs.org), or run without PAYFLOW_DYNAMODB."
        )
    packed = subprocess.run(  # noqa: S603 (a version that is pinned)
        ["npm", "pack", f"{_PACKAGE}@{_VERSION}", "--pack-destination", str(folder)],  # noqa: S607
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    if packed.returncode != 0:
        raise SetupError(f"npm could not download {_PACKAGE} {_VERSION}:\n{packed.stderr}")
    archive = folder / f"{_PACKAGE}-{_VERSION}.tgz"
    with archive.open("rb") as content:
        found = base64.b64encode(hashlib.file_digest(content, "sha512").digest()).decode()
    if found != _SHA512:
        raise SetupError(
            f"{_PACKAGE} {_VERSION} has changed: its sha512 is {found}, not {_SHA512}."
        )
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / "package" / "emulator"


def main() -> None:
    local = from_environment()
    assert local.dynamodb_port is not None, "the supervisor starts it only if it is the engine"
    local.tables.mkdir(parents=True, exist_ok=True)
    run = command(local.dynamodb_port, local.tables)
    lifeline.hold_for_the_next_program()
    os.execvp(run[0], run)  # noqa: S606 (so that it stays the supervisor's child)


if __name__ == "__main__":
    main()
