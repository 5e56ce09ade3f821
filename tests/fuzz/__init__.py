"""Generated requests: compares the API's answers with its document."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
CONFINED: Final = {
    "PYTHONPATH": str(FOLDER / "loopback"),
    "PAYFLOW_WEBHOOKS_PRIVATE": "refused",
}
"""The environment of a stack that can send no webhook to others.

As on AWS, it refuses private addresses. loopback/sitecustomize.py blocks all public ones too.
"""
