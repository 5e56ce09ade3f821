"""AWS's own DynamoDB Local, as a process of its own, for whoever sets PAYFLOW_DYNAMODB.

It comes from npm, where AWS publishes it, once a clone, and is never part of this repository: its
licence is between AWS and whoever runs it.
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
"""From this one on a JVM has no Security Manager, and refuses to start when asked for it."""


def install() -> None:
    """Make sure that it can be started, which takes Java; the first time in a clone it is fetched,
    55 MB, which takes npm. Raises SetupError.
    """
    if java_version() < _JAVA_NEEDED:
        raise SetupError(
            f"DynamoDB Local needs Java {_JAVA_NEEDED} or newer (on Debian: sudo apt-get install "
            "default-jre-headless). Without it, do without PAYFLOW_DYNAMODB."
        )
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        if not _HOME.exists():
            with tempfile.TemporaryDirectory(dir=_TOOLS) as folder:
                _fetch(Path(folder)).rename(_HOME)


def keeps_others_out() -> bool:
    """Whether it serves this machine alone; else whoever reaches this machine reaches it."""
    return java_version() < _JAVA_WITHOUT_POLICIES


@functools.cache
def java_version() -> int:
    """The feature release; 0 where there is no Java."""
    try:
        said = subprocess.run(
            ["java", "-version"],  # noqa: S607 (whichever Java this machine has)
            check=True,
            capture_output=True,
            text=True,
        ).stderr
    except (OSError, subprocess.CalledProcessError):  # a Mac has a `java` that only says so
        return 0
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(version[1]) if version else 0


def command(port: int, data: Path | None) -> list[str]:
    """What runs the installed engine; without `data`, the tables are in memory and end with it."""
    policy = ["-Djava.security.manager", f"-Djava.security.policy=={_POLICY}"]
    return [
        "env",
        "DDB_LOCAL_TELEMETRY=0",  # its own option for that still leaves an id where it is started
        "java",
        "-Djava.net.preferIPv4Stack=true",
        *(policy if keeps_others_out() else []),
        f"-Djava.library.path={_HOME / 'DynamoDBLocal_lib'}",
        "-jar",
        str(_HOME / "DynamoDBLocal.jar"),
        "-sharedDb",  # whatever the credentials and the region of who asks
        *(["-inMemory"] if data is None else ["-dbPath", str(data)]),
        "-port",
        str(port),
    ]


def _fetch(folder: Path) -> Path:
    """The engine's own folder, somewhere in `folder`. Raises SetupError."""
    if shutil.which("npm") is None:
        raise SetupError(
            "DynamoDB Local comes from npm, which is not here. Install Node (https://nodejs.org), "
            "or do without PAYFLOW_DYNAMODB."
        )
    packed = subprocess.run(  # noqa: S603 (a version that is pinned)
        ["npm", "pack", f"{_PACKAGE}@{_VERSION}", "--pack-destination", str(folder)],  # noqa: S607
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    if packed.returncode != 0:
        raise SetupError(f"npm could not fetch {_PACKAGE} {_VERSION}:\n{packed.stderr}")
    archive = folder / f"{_PACKAGE}-{_VERSION}.tgz"
    with archive.open("rb") as content:
        found = base64.b64encode(hashlib.file_digest(content, "sha512").digest()).decode()
    if found != _SHA512:
        raise SetupError(
            f"{_PACKAGE} {_VERSION} is not what it was: its sha512 is {found}, not {_SHA512}."
        )
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / "package" / "emulator"


def main() -> None:
    local = from_environment()
    assert local.dynamodb_port is not None, "the supervisor starts it where it is the engine"
    local.tables.mkdir(parents=True, exist_ok=True)
    run = command(local.dynamodb_port, local.tables)
    lifeline.hold_for_the_next_program()
    os.execvp(run[0], run)  # noqa: S606 (so that it is the supervisor's own child)


if __name__ == "__main__":
    main()
