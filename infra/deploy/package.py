"""`make package`: build a stage's CloudFormation template and the zip that its functions run.

Guarantee: the zip contains what infra/deploy/contents.py says, for Lambda's processor and Python
version on any machine. The template changes only resources that exist. The same commit gives the
same bytes.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from infra import ROOT, cli
from infra.deploy import artifact, contents, gateway_responses, policies, unknown_routes, yaml_text
from infra.deploy.artifact import TEMPLATE, ZIP
from infra.deploy.contents import LAMBDA, PackageError, Target

_PLACEHOLDER: Final = "https://origin.invalid"
"""The origin that importing the app needs; the template replaces it by a parameter."""

_MIB: Final = 1024 * 1024


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
        _write(contents.vendored(target), work / "project" / "vendor")  # Chalice packs it as it is
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
        contents.check(made / ZIP, target)
    folder.mkdir(parents=True, exist_ok=True)
    artifact.write_zip(folder / ZIP, target)
    text = json.dumps(template, indent=2, sort_keys=True)
    (folder / TEMPLATE).write_text(text + "\n")


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


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def copy_sources(project: Path) -> None:
    """Copy our sources and Chalice's configuration, but no files that Chalice generated."""
    for name in contents.sources():
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
    overlay = yaml_text.read((ROOT / "infra" / "backend.yaml").read_text())
    overlay = merged(overlay, yaml_text.read((ROOT / "infra" / "package.yaml").read_text()))
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
    api = resources["RestAPI"]["Properties"]
    document = api["DefinitionBody"]
    # Where simulation is refused, its routes are not there to be limited.
    api["MethodSettings"] = [one for one in api["MethodSettings"] if _is_in(document, one)]
    document["paths"] = unknown_routes.answers(document["paths"])
    template["Parameters"]["Stage"] |= {"Default": stage, "AllowedValues": [stage]}
    # Chalice imports the app, so the preflight answers contain the placeholder.
    origin: Any = {"Fn::Sub": "'${AllowedOrigin}'"}
    replaced: dict[str, Any] = _replace(template, f"'{_PLACEHOLDER}'", origin)
    if _PLACEHOLDER in json.dumps(replaced):
        raise PackageError(f"The template still has the placeholder {_PLACEHOLDER}.")
    return replaced


def _is_in(document: dict[str, Any], limit: dict[str, Any]) -> bool:
    """Return whether the API has the path of a limit, or the limit is for all paths."""
    path = limit["ResourcePath"].removeprefix("/").replace("~1", "/")
    return path == "*" or path in document["paths"]


def _replace(value: Any, old: str, new: Any) -> Any:
    """Return `value` with each string that equals `old` replaced by `new`."""
    if isinstance(value, dict):
        return {name: _replace(part, old, new) for name, part in value.items()}
    if isinstance(value, list):
        return [_replace(part, old, new) for part in value]
    return new if value == old else value


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
            f"  {_bytecode(entry.filename for entry in entries)}",
            f"  sha256 {sha256(archive.read_bytes()).hexdigest()}",
            f"{(folder / TEMPLATE).relative_to(ROOT)}: "
            f"{(folder / TEMPLATE).stat().st_size / 1024:.0f} KiB",
        ]
    )


def _bytecode(names: Iterable[str]) -> str:
    compiled = sum(name.endswith(".pyc") for name in names)
    if compiled:
        return f"bytecode of Python {contents.PYTHON} for {compiled} modules"
    return (
        f"no bytecode, for which there is no Python {contents.PYTHON} on this machine: each new "
        "process compiles what it imports, unless the machine that deploys has one"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
