"""A stage's package on disk: `make package` writes it, `make deploy` uploads it.

The jobs that deploy import this without PyYAML, and so without infra.deploy.package.
"""

from pathlib import Path
from typing import Final

from infra import ROOT

TEMPLATE: Final = "template.json"
ZIP: Final = "deployment.zip"


def folder(stage: str) -> Path:
    return ROOT / "dist" / stage
