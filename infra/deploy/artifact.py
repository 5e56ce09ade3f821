"""Where a stage's package lies between `make package` and `make deploy`, and what is in it."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATE: Final = "template.json"
ZIP: Final = "deployment.zip"


def folder(stage: str) -> Path:
    return ROOT / "dist" / stage
