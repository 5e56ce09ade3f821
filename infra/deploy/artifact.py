"""A stage's package on disk: `make package` writes it, `make deploy` uploads it.

The jobs that deploy import this without PyYAML, and so without infra.deploy.package.
"""

import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from infra import ROOT
from infra.deploy import bytecode, contents
from infra.deploy.contents import Target

TEMPLATE: Final = "template.json"
ZIP: Final = "deployment.zip"
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def folder(stage: str) -> Path:
    return ROOT / "dist" / stage


def seal(archive: Path, target: Target) -> None:
    """Check a zip, whoever built it, and write it again with bytecode that is made here.

    Raises PackageError.
    """
    contents.check(archive, target)
    write_zip(archive, target)


def write_zip(archive: Path, target: Target) -> None:
    """Write what ships, and its bytecode. Raises PackageError."""
    _write(archive, _shipped(target))


@cache
def _shipped(target: Target) -> Mapping[str, bytes]:
    files = contents.expected(target)
    return {**files, **bytecode.of(files, target.python)}


def _write(archive: Path, files: Mapping[str, bytes]) -> None:
    """Write files in a fixed order, with a fixed time and mode, on every machine."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # Unix: otherwise the mode is ignored
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, content)
