"""`make package`: build a stage's CloudFormation template and the zip that its functions run.

Guarantee: the package is complete and contains nothing else. The zip holds our sources, Chalice's
two modules, and the wheels that requirements.lock pins by hash, for Lambda's processor and Python
version on any machine. The template changes only resources that exist. The same commit gives the
same bytes.
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

from infra import ROOT, cli
from infra.deploy import artifact, gateway_responses, policies, unknown_routes
from infra.deploy.artifact import TEMPLATE, ZIP

PYTHON: Final = "3.13"
"""Lambda's Python version. No other place names it."""

CHALICES_OWN: Final = frozenset({"chalice/__init__.py", "chalice/app.py"})
_LOCK: Final = ROOT / "requirements.lock"
_ARM64: Final = 183
"""Its number in ELF files."""

_PLACEHOLDER: Final = "https://origin.invalid"
"""The origin that importing the app needs; the template replaces it by a parameter."""

_TEST_FOLDERS: Final = frozenset({"test", "tests", "testing"})
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MIB: Final = 1024 * 1024


class PackageError(Exception):
    """The package cannot be built; the message says why."""


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


def main(arguments: list[str]) -> None:
    stage = cli.parser("package", __doc__).parse_args(arguments).stage
    folder = artifact.folder(stage)
    with cli.exits("Not packaged", PackageError):
        build(stage, folder)
    print(_report(folder))


def build(stage: str, folder: Path, target: Target = LAMBDA) -> None:
    """Write `template.json` and `deployment.zip` into `folder`. Raises PackageError."""
    check_stage(stage)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        vendored = vendor(target, work / "project" / "vendor")
        copy_sources(work / "project")
        policies.copy_sources_into(work / "project" / ".chalice", stage)
        set_origin(work / "project", stage, _PLACEHOLDER)
        # Keep Chalice from installing packages: it would choose this machine's Python, and would
        # not check hashes for another processor.
        (work / "project" / "requirements.txt").touch()
        (work / "project" / "merge.json").write_text(json.dumps(_additions()))
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
    """Return our source files, as the zip names them."""
    modules = (ROOT / "chalicelib").rglob("*.py")
    return ["app.py", *sorted(module.relative_to(ROOT).as_posix() for module in modules)]


def elf_machine(binary: bytes) -> int | None:
    """Return the processor that a binary is built for; None if it is not an ELF file."""
    return int.from_bytes(binary[18:20], "little") if binary.startswith(b"\x7fELF") else None


def merged(base: Any, overlay: Any) -> Any:
    """Merge as Chalice does: dicts key by key; anything else is replaced."""
    if not (isinstance(base, Mapping) and isinstance(overlay, Mapping)):
        return overlay
    both = {key: merged(base[key], overlay[key]) for key in base.keys() & overlay.keys()}
    return {**base, **overlay, **both}


def check_stage(stage: str) -> None:
    """Raise PackageError if the stage is not one to deploy."""
    deployed = policies.deployed_stages()
    if stage not in deployed:
        raise PackageError(
            f"There is no stage {stage!r} to deploy; there is {', '.join(deployed)}."
        )


def vendor(target: Target, folder: Path) -> set[str]:
    """Unpack the locked wheels into `folder`, which Chalice packs as it is.

    Returns the files as the zip will name them. Raises PackageError.
    """
    with tempfile.TemporaryDirectory() as wheels:
        return _unpacked(_wheels(target, Path(wheels)), folder)


def _wheels(target: Target, folder: Path) -> list[Path]:
    """Download exactly what requirements.lock pins. Raises PackageError."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    command += ["--require-hashes"]
    if target.platform is not None:
        command += ["--platform", target.platform, "--implementation", "cp"]
        command += ["--python-version", target.python]
    command += ["--dest", str(folder), "--requirement", str(_LOCK)]
    pip = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if pip.returncode != 0:
        raise PackageError(
            f"A wheel is missing for Python {target.python} on {target.platform}, or its hash is "
            f"not in requirements.lock:\n{pip.stderr}"
        )
    wheels = sorted(folder.iterdir())
    needed = {_project(wheel.name.partition("-")[0]) for wheel in wheels}
    if unpinned := needed - _pinned():
        raise PackageError(f"requirements.lock does not pin {', '.join(sorted(unpinned))}.")
    return wheels


def _pinned() -> set[str]:
    names = re.findall(r"^([\w.-]+)==", _LOCK.read_text(), re.MULTILINE)
    return {_project(name) for name in names}


def _project(name: str) -> str:
    """Normalise a project's name: its wheel and the lock may spell it differently."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _unpacked(wheels: list[Path], folder: Path) -> set[str]:
    """Unpack the wheels, except their tests."""
    kept: set[str] = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if _ships(name)]
            if overlap := kept & set(names):
                raise PackageError(f"Two wheels contain {', '.join(sorted(overlap))}.")
            archive.extractall(folder, names)
            kept |= set(names)
    return kept


def _ships(name: str) -> bool:
    path = PurePosixPath(name)
    return not name.endswith("/") and _TEST_FOLDERS.isdisjoint(path.parts)


def copy_sources(project: Path) -> None:
    """Copy our sources and Chalice's configuration, but no files that Chalice generated."""
    for name in sources():
        copy = project / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
    (project / ".chalice").mkdir()
    for file in (ROOT / ".chalice").glob("*.json"):
        shutil.copyfile(file, project / ".chalice" / file.name)


def set_origin(project: Path, stage: str, origin: str) -> None:
    """Set the stage's allowed origin in the copy's configuration."""
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"][stage]["environment_variables"]["PAYFLOW_ALLOWED_ORIGIN"] = origin
    path.write_text(json.dumps(config))


def _additions() -> Any:
    """Return the resources and properties that Chalice cannot generate."""
    overlay = yaml.safe_load((ROOT / "infra" / "backend.yaml").read_text())
    overlay = merged(overlay, yaml.safe_load((ROOT / "infra" / "package.yaml").read_text()))
    api = {"Properties": {"GatewayResponses": gateway_responses.responses()}}
    return merged(overlay, {"Resources": {"RestAPI": api}})


def _run_chalice(stage: str, project: Path) -> None:
    own = ("AWS_", "PAYFLOW_")  # a developer's own settings must not enter a package
    env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    env |= {"AWS_DEFAULT_REGION": "ca-central-1", "PYTHONDONTWRITEBYTECODE": "1"}
    chalice = Path(sys.executable).with_name("chalice")
    command = [str(chalice), "package", "--stage", stage, "--merge-template", "merge.json", "made"]
    ended = subprocess.run(  # noqa: S603
        command, cwd=project, env=env, check=False, capture_output=True, text=True
    )
    # Chalice exits with 0 even if it could not install a dependency.
    if ended.returncode != 0 or "Could not install" in ended.stdout + ended.stderr:
        raise PackageError(f"`chalice package` failed:\n{ended.stdout}{ended.stderr}")


def _finished(template: dict[str, Any], stage: str, target: Target) -> dict[str, Any]:
    """Complete Chalice's template with what it has no settings for. Raises PackageError."""
    resources = template["Resources"]
    if typeless := [name for name, resource in resources.items() if "Type" not in resource]:
        raise PackageError(f"infra/package.yaml changes unknown resources: {', '.join(typeless)}.")
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Chalice names the Python version that it runs on.
            resource["Properties"]["Runtime"] = f"python{target.python}"
            resource["Properties"]["CodeUri"] = f"./{ZIP}"
    document = resources["RestAPI"]["Properties"]["DefinitionBody"]
    document["paths"] = unknown_routes.answers(document["paths"])
    template["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    # Chalice imports the app, so the preflight answers contain the placeholder.
    origin: Any = {"Fn::Sub": "'${AllowedOrigin}'"}
    replaced: dict[str, Any] = _replace(template, f"'{_PLACEHOLDER}'", origin)
    if _PLACEHOLDER in json.dumps(replaced):
        raise PackageError(f"The template still has the placeholder {_PLACEHOLDER}.")
    return replaced


def _replace(value: Any, old: str, new: Any) -> Any:
    """Return `value` with each string that equals `old` replaced by `new`."""
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
        raise PackageError(f"The zip has unexpected files: {', '.join(sorted(unexpected))}.")
    if missing := expected - contents.keys():
        raise PackageError(f"The zip lacks files: {', '.join(sorted(missing))}.")
    for name, machine in _binaries(contents):
        if machine != target.machine:
            raise PackageError(f"{name} is built for another processor (ELF machine {machine}).")


def _binaries(contents: Mapping[str, bytes]) -> Iterator[tuple[str, int | None]]:
    for name, content in sorted(contents.items()):
        if name.endswith(".so") or elf_machine(content) is not None:
            yield name, elf_machine(content)


def _write_zip(path: Path, contents: Mapping[str, bytes]) -> None:
    """Write files in a fixed order, with a fixed time and mode, on every machine."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # Unix: otherwise the mode is ignored
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
            f"unpacked {unpacked / _MIB:.2f} MiB, {len(entries)} files. The largest parts:",
            *lines,
            f"  sha256 {sha256(archive.read_bytes()).hexdigest()}",
            f"{(folder / TEMPLATE).relative_to(ROOT)}: "
            f"{(folder / TEMPLATE).stat().st_size / 1024:.0f} KiB",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
