"""Make a stage's package: a CloudFormation template and the zip that its functions run.

Guarantee: what is written is whole and holds nothing else. The zip has our sources, the wheels
that requirements.lock knows by their hashes, all of them built for Lambda's processor and Python
whatever this machine's are, and Chalice's two modules; the template knows every resource that it
changes. The same commit gives the same bytes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from infra import ROOT
from infra.deploy import artifact, gateway_responses
from infra.deploy.artifact import TEMPLATE, ZIP

PYTHON: Final = "3.13"
"""The deployed runtime's Python: the one place that says so."""

CHALICES_OWN: Final = frozenset({"chalice/__init__.py", "chalice/app.py"})
_LOCK: Final = ROOT / "requirements.lock"
_ARM64: Final = 183
"""ELF's number for it."""

_KNOWN_ONCE_DEPLOYED: Final = {
    "PAYFLOW_ALLOWED_ORIGIN": "https://origin.invalid",
    "PAYFLOW_WEBHOOK_QUEUE_URL": "https://queue.invalid",
    "PAYFLOW_DELIVERIES_QUEUE_URL": "https://deliveries.invalid",
}
"""What importing the app needs though only an account can say it; replaced in the template."""

_TEST_FOLDERS: Final = frozenset({"test", "tests", "testing"})
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MIB: Final = 1024 * 1024


class PackageError(Exception):
    """There is no package; the message says why."""


@dataclass(frozen=True)
class Target:
    """Where a zip is to run."""

    python: str
    platform: str | None
    """pip's name for it; None is this machine."""
    machine: int | None
    """ELF's number of its processor; None where binaries are not ELF."""


LAMBDA: Final = Target(PYTHON, "manylinux2014_aarch64", _ARM64)


def this_machine() -> Target:
    """For a twin of what ships that can be run here."""
    machine = elf_machine(Path(sys.executable).resolve().read_bytes())
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", None, machine)


def main(arguments: list[str]) -> None:
    try:
        (stage,) = arguments
    except ValueError:
        sys.exit("Name the stage: make package STAGE=dev")
    folder = artifact.folder(stage)
    try:
        build(stage, folder)
    except PackageError as error:
        sys.exit(f"No package: {error}")
    print(_report(folder))


def build(stage: str, folder: Path, target: Target = LAMBDA) -> None:
    """Write `template.json` and `deployment.zip` into `folder`. Raises PackageError."""
    check_stage(stage)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        vendored = vendor(target, work / "project" / "vendor")
        copy_sources(work / "project")
        add_settings(work / "project", stage, _KNOWN_ONCE_DEPLOYED)
        # The wheels are there already: Chalice would fetch them for this machine's Python, and
        # what it fetches for another processor by no hash.
        (work / "project" / "requirements.txt").touch()
        (work / "project" / "merge.json").write_text(json.dumps(_overlay()))
        _run_chalice(stage, work / "project")
        made = work / "project" / "made"
        template = _finished(json.loads((made / "sam.json").read_text()), stage, target)
        contents = _contents(made / ZIP)
    _check_contents(contents, CHALICES_OWN | vendored | set(sources()), target)
    folder.mkdir(parents=True, exist_ok=True)
    _write_zip(folder / ZIP, contents)
    text = json.dumps(template, indent=2, sort_keys=True)
    (folder / TEMPLATE).write_text(text + "\n")


def sources() -> list[str]:
    """Ours that ship, as the zip names them."""
    modules = (ROOT / "chalicelib").rglob("*.py")
    return ["app.py", *sorted(module.relative_to(ROOT).as_posix() for module in modules)]


def elf_machine(binary: bytes) -> int | None:
    """The processor that a binary is for; None when it is no ELF file."""
    return int.from_bytes(binary[18:20], "little") if binary.startswith(b"\x7fELF") else None


def merged(base: Any, overlay: Any) -> Any:
    """As Chalice merges: dicts key by key, anything else is replaced."""
    if not (isinstance(base, Mapping) and isinstance(overlay, Mapping)):
        return overlay
    both = {key: merged(base[key], overlay[key]) for key in base.keys() & overlay.keys()}
    return {**base, **overlay, **both}


def check_stage(stage: str) -> None:
    """Raises PackageError for a stage that is not deployed."""
    stages = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]
    deployed = sorted(stages.keys() - {"local"})
    if stage not in deployed:
        raise PackageError(f"there is no stage {stage!r} to deploy; there is {', '.join(deployed)}")


def vendor(target: Target, folder: Path) -> set[str]:
    """Put what ships of others into `folder`, for Chalice to take as it is; returns the files, as
    the zip will name them. Raises PackageError.
    """
    with tempfile.TemporaryDirectory() as wheels:
        return _unpacked(_wheels(target, Path(wheels)), folder)


def _wheels(target: Target, folder: Path) -> list[Path]:
    """What requirements.lock pins, and nothing that it does not. Raises PackageError."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--require-hashes"]
    if target.platform is not None:
        command += ["--platform", target.platform, "--implementation", "cp"]
        command += ["--python-version", target.python]
    command += ["--dest", str(folder), "--requirement", str(_LOCK)]
    pip = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if pip.returncode != 0:
        raise PackageError(
            f"a wheel is missing for Python {target.python} on {target.platform}, or is not "
            f"the one that requirements.lock knows:\n{pip.stderr}"
        )
    wheels = sorted(folder.iterdir())
    needed = {_project(wheel.name.partition("-")[0]) for wheel in wheels}
    if unpinned := needed - _pinned():
        raise PackageError(f"requirements.lock does not pin {', '.join(sorted(unpinned))}")
    return wheels


def _pinned() -> set[str]:
    names = re.findall(r"^([\w.-]+)==", _LOCK.read_text(), re.MULTILINE)
    return {_project(name) for name in names}


def _project(name: str) -> str:
    """One spelling of a project's name, which its wheel and the lock may write apart."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _unpacked(wheels: list[Path], folder: Path) -> set[str]:
    """Unpack the wheels without their tests."""
    kept: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if _ships(name)]
            if overlap := kept & set(names):
                raise PackageError(f"two wheels have {', '.join(sorted(overlap))}")
            archive.extractall(folder, names)
            kept |= set(names)
    return kept


def _ships(name: str) -> bool:
    path = PurePosixPath(name)
    return not name.endswith("/") and _TEST_FOLDERS.isdisjoint(path.parts)


def copy_sources(project: Path) -> None:
    """Copy what Chalice needs of ours, and nothing that it has left there."""
    for name in sources():
        copy = project / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
    (project / ".chalice").mkdir()
    for file in (ROOT / ".chalice").glob("*.json"):
        shutil.copyfile(file, project / ".chalice" / file.name)


def add_settings(project: Path, stage: str, values: Mapping[str, str]) -> None:
    """Add to the environment that a copy's stage gives its functions."""
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"][stage]["environment_variables"] |= values
    path.write_text(json.dumps(config))


def _overlay() -> Any:
    """All that Chalice does not know of."""
    overlay = yaml.safe_load((ROOT / "infra" / "backend.yaml").read_text())
    overlay = merged(overlay, yaml.safe_load((ROOT / "infra" / "package.yaml").read_text()))
    api = {"Properties": {"GatewayResponses": gateway_responses.responses()}}
    return merged(overlay, {"Resources": {"RestAPI": api}})


def _run_chalice(stage: str, project: Path) -> None:
    foreign = ("AWS_", "PAYFLOW_")  # a developer's own settings must not end up in a package
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    env |= {"AWS_DEFAULT_REGION": "ca-central-1", "PYTHONDONTWRITEBYTECODE": "1"}
    chalice = Path(sys.executable).with_name("chalice")
    command = [str(chalice), "package", "--stage", stage, "--merge-template", "merge.json", "made"]
    ended = subprocess.run(  # noqa: S603
        command, cwd=project, env=env, check=False, capture_output=True, text=True
    )
    # A dependency that it could not install is only a sentence to Chalice, not a failure.
    if ended.returncode != 0 or "Could not install" in ended.stdout + ended.stderr:
        raise PackageError(f"chalice package failed:\n{ended.stdout}{ended.stderr}")


def _finished(template: dict[str, Any], stage: str, target: Target) -> dict[str, Any]:
    """Chalice's template with what it cannot be told. Raises PackageError."""
    resources = template["Resources"]
    if typeless := [name for name, resource in resources.items() if "Type" not in resource]:
        raise PackageError(f"Chalice generates no {', '.join(typeless)}; see infra/package.yaml")
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Chalice writes the Python that runs it.
            resource["Properties"]["Runtime"] = f"python{target.python}"
            resource["Properties"]["CodeUri"] = f"./{ZIP}"
    template["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    # The app is imported to be packaged, and so its preflight answers have the placeholder.
    origin = _KNOWN_ONCE_DEPLOYED["PAYFLOW_ALLOWED_ORIGIN"]
    replaced: dict[str, Any] = _replace(template, f"'{origin}'", {"Fn::Sub": "'${AllowedOrigin}'"})
    text = json.dumps(replaced)
    if left_over := [value for value in _KNOWN_ONCE_DEPLOYED.values() if value in text]:
        raise PackageError(f"placeholders were not replaced: {', '.join(left_over)}")
    return replaced


def _replace(value: Any, old: str, new: Any) -> Any:
    """`value` with `new` wherever `old` stood as a whole text."""
    if isinstance(value, dict):
        return {name: _replace(part, old, new) for name, part in value.items()}
    if isinstance(value, list):
        return [_replace(part, old, new) for part in value]
    return new if value == old else value


def _contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _check_contents(contents: Mapping[str, bytes], expected: Set[str], target: Target) -> None:
    if unexpected := contents.keys() - expected:
        raise PackageError(f"unexpected in the zip: {', '.join(sorted(unexpected))}")
    if missing := expected - contents.keys():
        raise PackageError(f"missing from the zip: {', '.join(sorted(missing))}")
    for name, machine in _binaries(contents):
        if machine != target.machine:
            raise PackageError(f"{name} is built for another processor (ELF machine {machine})")


def _binaries(contents: Mapping[str, bytes]) -> Iterator[tuple[str, int | None]]:
    for name, content in sorted(contents.items()):
        if name.endswith(".so") or elf_machine(content) is not None:
            yield name, elf_machine(content)


def _write_zip(path: Path, contents: Mapping[str, bytes]) -> None:
    """In one order, of one time and with one mode, whatever the machine's folders say."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # Unix, for the mode to count
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _report(folder: Path) -> str:
    archive = folder / ZIP
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
    parts: Counter[str] = Counter()
    for entry in entries:
        parts[entry.filename.partition("/")[0]] += entry.compress_size
    unpacked = sum(entry.file_size for entry in entries)
    lines = [f"  {name:32} {size / _MIB:6.2f} MiB" for name, size in parts.most_common(5)]
    return "\n".join(
        [
            f"{archive.relative_to(ROOT)}: {archive.stat().st_size / _MIB:.2f} MiB, "
            f"unpacked {unpacked / _MIB:.2f} MiB, {len(entries)} files; the largest:",
            *lines,
            f"  sha256 {sha256(archive.read_bytes()).hexdigest()}",
            f"{(folder / TEMPLATE).relative_to(ROOT)}: "
            f"{(folder / TEMPLATE).stat().st_size / 1024:.0f} KiB",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
