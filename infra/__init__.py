"""Everything around the product: running it locally, checking it, deploying it, operating it.

    checks ──▶ ops ──▶ local ──▶ deploy

A package imports only those to its right; import-linter checks that.
"""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
"""The checkout."""
