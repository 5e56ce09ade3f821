"""How the pages are put into Markdown."""

import re
import textwrap
from collections.abc import Iterable
from typing import Final

_WIDTH: Final = 100
_BLANK: Final = re.compile(r"\n{2,}")
_AS_IT_IS: Final = ("|", "#", "<", "```", "!")
_MARKS: Final = {"l": "---", "r": "---:"}


def table(head: list[str], rows: Iterable[list[str]], align: str) -> str:
    """`align` has an l or an r for each column."""
    lines = [head, [_MARKS[side] for side in align], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def page(*blocks: str) -> str:
    """Blocks of text, with their paragraphs wrapped."""
    paragraphs = [
        _wrapped(paragraph) for block in blocks for paragraph in _BLANK.split(block.strip())
    ]
    return "\n\n".join(paragraphs) + "\n"


def _wrapped(paragraph: str) -> str:
    if paragraph.startswith(_AS_IT_IS):
        return paragraph
    items = paragraph.split("\n- ")
    filled = [_filled(item) if number == 0 else _filled(f"- {item}") for number, item in
              enumerate(items)]  # fmt: skip
    return "\n".join(filled)


def _filled(text: str) -> str:
    indent = "  " if text.startswith("- ") else "   " if text[:1].isdigit() else ""
    return textwrap.fill(
        " ".join(text.split()),
        _WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def money(dollars: float) -> str:
    return f"${dollars:,.2f}"
