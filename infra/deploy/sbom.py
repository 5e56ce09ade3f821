"""Write the software bill of materials of a built package, in CycloneDX's form, beside its zip.

Guarantee: it lists what the zip has. A zip that has anything else is refused, and its bytecode made
anew, as before an upload: what is attested is what will be uploaded.
https://cyclonedx.org/docs/1.6/json/
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from chalicelib import VERSION
from infra import cli
from infra.deploy import artifact, contents
from infra.deploy.contents import PackageError


def main(arguments: list[str]) -> None:
    stage = cli.parser("sbom", __doc__).parse_args(arguments).stage
    archive = artifact.folder(stage) / artifact.ZIP
    with cli.exits("No bill of materials", PackageError):
        artifact.seal(archive, contents.LAMBDA)
        archive.with_name("sbom.json").write_text(json.dumps(bill(archive), indent=2) + "\n")


def bill(archive: Path) -> dict[str, Any]:
    """Return the bill of materials of the zip."""
    chalice = contents.pins(contents.PACKAGING.read_text())["chalice"]
    packages = {**contents.pins(contents.SHIPPED.read_text()), "chalice": chalice}
    digest = sha256(archive.read_bytes()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "payflow",
                "version": VERSION,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [
            {"type": "library", "name": name, "version": one, "purl": f"pkg:pypi/{name}@{one}"}
            for name, one in sorted(packages.items())
        ],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
