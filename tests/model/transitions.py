"""Which line of the code makes which transition of the model: docs/reports/model.md says it.

Guarantee: each action of each module is in its table, with lines that are in the code or with the
word that it is the world's doing; `lines` raises where that is not so.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.model.checks import PROTOCOLS

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs" / "reports" / "model.md"
_MODULES: Final = Path(__file__).parent
_ACTION: Final = re.compile(r"^    \\/ (?:\\E .* : )?(\w+)", re.MULTILINE)
_ROW: Final = re.compile(r"^\| `(\w+)!(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)
_CODE: Final = re.compile(r"\[`([\w.]+)`\]\(\.\./\.\./([\w/.]+)\)")
_STATES: Final = re.compile(r"^\| (\w+) \| ([^|]+) \|(?:[^|]+\|)? ([0-9,]+) \|$", re.MULTILINE)
_WORLD: Final = "the world"


class NotSo(Exception):
    """The document says of the code, or of the model, what is not so."""


class Transition(NamedTuple):
    """An action, and the function and line that take it; of the world's own there is none."""

    action: str
    path: str
    function: str
    line: int


def actions() -> set[str]:
    """Of all modules, as `Module!Action`: what their next step can be."""
    found = set()
    for protocol in PROTOCOLS:
        text = (_MODULES / f"{protocol.module}.tla").read_text()
        steps = text.partition("\nNext ==\n")[2].partition("\n\n")[0]
        found |= {f"{protocol.module}!{name}" for name in _ACTION.findall(steps)}
    return found


def lines() -> list[Transition]:
    """The table, with the lines as they are now. Raises NotSo."""
    document = DOCUMENT.read_text()
    rows = _ROW.findall(document)
    named = {f"{module}!{action}" for module, action, _, _ in rows}
    if named != actions():
        raise NotSo(f"in the table or in the modules alone: {sorted(named ^ actions())}")
    return [
        transition
        for module, action, function, line in rows
        for transition in _resolved(f"{module}!{action}", function, line)
    ]


def states() -> dict[tuple[str, str], int]:
    """How many states the document says that a check has, by module and name."""
    found = _STATES.findall(DOCUMENT.read_text())
    return {(module, name): int(count.replace(",", "")) for module, name, count in found}


def _resolved(action: str, function: str, line: str) -> Iterator[Transition]:
    if function.startswith(_WORLD):
        return
    code = _CODE.fullmatch(function)
    if code is None or not re.fullmatch("`[^`]+`", line):
        raise NotSo(f"{action}: neither a function with a line of it, nor “{_WORLD}”")
    qualified, path = code.groups()
    yield Transition(action, path, qualified, line_of(ROOT / path, qualified, line.strip("`")))


def line_of(path: Path, qualified: str, part: str) -> int:
    """Where in a function `part` of a line stands, once. Raises NotSo."""
    text = path.read_text() if path.is_file() else ""
    node: ast.AST = ast.parse(text)
    for name in qualified.split("."):
        found = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name == name
        ]
        if not found:
            raise NotSo(f"there is no {qualified} in {path.name}")
        node = found[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    assert node.end_lineno is not None
    within = enumerate(text.splitlines()[node.lineno - 1 : node.end_lineno], node.lineno)
    hits = [number for number, line in within if part in line]
    if len(hits) != 1:
        raise NotSo(f"“{part}” stands {len(hits)} times in {qualified} of {path.name}")
    return hits[0]
