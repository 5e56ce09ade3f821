"""Tables in Markdown, and the pages of docs/reports that show them."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
REPORTS: Final = ROOT / "docs" / "reports"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """The first `texts` columns are aligned left, the others right."""
    rules = ["---" if column < texts else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rules, *rows))


def read(page: str) -> str:
    return (REPORTS / f"{page}.md").read_text()


def write(page: str, blocks: Mapping[str, str]) -> None:
    (REPORTS / f"{page}.md").write_text(filled(read(page), blocks))


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- end -->` replaced, by name."""
    for name, block in blocks.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no place for {name!r}")
        text = f"{before}{start}\n{block}\n\n{end}{after}"
    return text


def percentile(values: Iterable[float], share: float) -> float:
    """The value that so large a `share` of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def money(dollars: float) -> str:
    return f"${dollars:,.2f}"


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
