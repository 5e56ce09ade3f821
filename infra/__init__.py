"""Everything around the product: running it locally, checking it, deploying it, operating it.

    checks ──▶ ops ──▶ local ──▶ deploy      a package imports only those to its right
"""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
"""The checkout."""
