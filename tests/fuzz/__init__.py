"""Made-up requests: what the API says of itself is held against what it answers."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
CONFINED: Final = {
    "PYTHONPATH": str(FOLDER / "loopback"),
    "PAYFLOW_WEBHOOKS_PRIVATE": "refused",
}
"""The environment of a stack that no made-up URL leads out of: as on AWS, no private address is
sent to; and since the public ones must not be either, see loopback/sitecustomize.py.
"""
