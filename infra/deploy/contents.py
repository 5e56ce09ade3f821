"""What the zip of the functions contains: our sources, Chalice's two modules and the locked wheels.

Guarantee: `check` finds every file of a zip that is none of these, byte by byte, whoever built it.
Their bytecode comes on top (infra/deploy/bytecode.py).
Wheels are fetched by the hashes of the locks and only unpacked: none of their code runs.
"""

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from infra import ROOT
from infra.deploy import bytecode

PYTHON: Final = "3.13"
"""Lambda's Python version. No other place names it."""

CHALICES_OWN: Final = frozenset({"chalice/__init__.py", "chalice/app.py"})
SHIPPED: Final = ROOT / "requirements.lock"
PACKAGING: Final = ROOT / "infra" / "requirements-package.lock"
_ARM64: Final = 183
"""Its number in ELF files."""

_TEST_FOLDERS: Final = frozenset({"test", "tests", "testing"})
_SHOWN: Final = 10


class PackageError(Exception):
    """The package cannot be built, or is not what it must be; the message says why."""


@dataclass(frozen=True)
class Target:
    """The Python and the processor that a zip is built for."""

    python: str
    platform: str | None
    """The platform's name in pip; None for this machine."""
    machine: int | None
    """The processor's number in ELF files; None if binaries are not ELF."""


LAMBDA: Final = Target(PYTHON, "manylinux2014_aarch64", _ARM64)


def this_machine() -> Target:
    """Return a target for running the package on this machine, in tests."""
    machine = elf_machine(Path(sys.executable).resolve().read_bytes())
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", None, machine)


@cache
def expected(target: Target) -> Mapping[str, bytes]:
    """Return every file that a zip for `target` must contain. Raises PackageError."""
    ours = {name: (ROOT / name).read_bytes() for name in sources()}
    chalice = _of_lock(target, _entry("chalice", PACKAGING.read_text()), "--no-deps")
    runtime = {name: chalice[name] for name in CHALICES_OWN}
    return MappingProxyType({**ours, **runtime, **vendored(target)})


def vendored(target: Target) -> Mapping[str, bytes]:
    """Return the files of the wheels that ship, without their tests. Raises PackageError."""
    return _of_lock(target, SHIPPED.read_text())


def sources() -> list[str]:
    """Return our source files, as the zip names them."""
    modules = (ROOT / "chalicelib").rglob("*.py")
    return ["app.py", *sorted(module.relative_to(ROOT).as_posix() for module in modules)]


def check(archive: Path, target: Target) -> None:
    """Raise PackageError unless the zip contains what it must, and nothing else.

    Bytecode of what it contains is not looked at: it is made again before it ships.
    """
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        found = {name: opened.read(name) for name in names}
    if len(names) > len(found):
        raise PackageError("The zip names a file twice.")
    wanted = expected(target)
    for name in wanted:
        found.pop(bytecode.name_of(name, target.python), None)
    check_files(found, wanted, target)


def check_files(found: Mapping[str, bytes], wanted: Mapping[str, bytes], target: Target) -> None:
    """Raise PackageError unless both are the same, and built for `target`."""
    if unexpected := found.keys() - wanted.keys():
        raise PackageError(f"The zip has unexpected files: {_listed(unexpected)}.")
    if missing := wanted.keys() - found.keys():
        raise PackageError(f"The zip lacks files: {_listed(missing)}.")
    if changed := {name for name, content in wanted.items() if found[name] != content}:
        raise PackageError(
            f"The zip has files that are not those of this checkout and of the locked wheels: "
            f"{_listed(changed)}."
        )
    for name, machine in _binaries(found):
        if machine != target.machine:
            raise PackageError(f"{name} is built for another processor (ELF machine {machine}).")


def elf_machine(binary: bytes) -> int | None:
    """Return the processor that a binary is built for; None if it is not an ELF file."""
    return int.from_bytes(binary[18:20], "little") if binary.startswith(b"\x7fELF") else None


@cache
def _of_lock(target: Target, lock: str, *options: str) -> Mapping[str, bytes]:
    """Return the files of the wheels that the text of a lock pins. Raises PackageError."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.lock"
        requirements.write_text(lock)
        wheels = _downloaded(target, requirements, Path(folder) / "wheels", *options)
        needed = {_project(wheel.name.partition("-")[0]) for wheel in wheels}
        if unpinned := needed - pins(lock).keys():
            raise PackageError(f"requirements.lock does not pin {_listed(unpinned)}.")
        return MappingProxyType(_unpacked(wheels))


def _downloaded(target: Target, requirements: Path, folder: Path, *options: str) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--require-hashes", *options]
    if target.platform is not None:
        command += ["--platform", target.platform, "--implementation", "cp"]
        command += ["--python-version", target.python]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    pip = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if pip.returncode != 0:
        raise PackageError(
            f"A wheel is missing for Python {target.python} on {target.platform}, or its hash is "
            f"not in the lock:\n{pip.stderr}"
        )
    return sorted(folder.iterdir())


def _entry(project: str, lock: str) -> str:
    """Return a project's lines of a lock: its version and its hashes."""
    found = re.search(rf"^{project}==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    if found is None:
        raise PackageError(f"The lock does not pin {project}.")
    return found[0]


def pins(lock: str) -> dict[str, str]:
    """Return the versions in the text of a lock, by the names of their projects."""
    return {
        _project(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)
    }


def _project(name: str) -> str:
    """Normalise a project's name: its wheel and the lock may spell it differently."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _unpacked(wheels: Iterable[Path]) -> dict[str, bytes]:
    """Return the files of the wheels, except their tests. Raises PackageError."""
    kept: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if _ships(name)}
        if overlap := kept.keys() & files.keys():
            raise PackageError(f"Two wheels contain {_listed(overlap)}.")
        kept |= files
    return kept


def _ships(name: str) -> bool:
    path = PurePosixPath(name)
    return not name.endswith("/") and _TEST_FOLDERS.isdisjoint(path.parts)


def _binaries(contents: Mapping[str, bytes]) -> Iterator[tuple[str, int | None]]:
    for name, content in sorted(contents.items()):
        if name.endswith(".so") or elf_machine(content) is not None:
            yield name, elf_machine(content)


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)
    return ", ".join(first[:_SHOWN]) + (" …" if len(first) > _SHOWN else "")
