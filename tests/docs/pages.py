"""The documentation as the tests read it: pages, code blocks, links and headings."""

import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")


class Link(NamedTuple):
    """A link to something in the repository, from `page`."""

    page: Path
    target: str

    @property
    def file(self) -> Path:
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        return self.target.partition("#")[2]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)} -> {self.target}"


class Command(NamedTuple):
    """A command as it is typed, and what the page shows after it."""

    typed: str
    shown: str


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found = [ROOT / name for name in listed.stdout.splitlines()]
    return sorted(page for page in found if page.is_file())


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language, without their indentation."""
    found = _FENCE.findall((ROOT / page).read_text())
    return [
        re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        for indent, of, code in found
        if of == language
    ]


def links(page: Path) -> list[Link]:
    """The links of a page that do not leave the repository."""
    targets = _LINK.findall(_without_code(page.read_text()))
    return [Link(page, target) for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the page's headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level, up to the next one."""
    _, found, rest = (ROOT / page).read_text().partition(f"\n## {heading}\n")
    assert found, f"{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def commands(text: str) -> list[Command]:
    """What a person types in the console blocks of `text`, in order."""
    found: list[Command] = []
    for language, code in ((language, code) for _, language, code in _FENCE.findall(text)):
        lines = iter(code.splitlines() if language == "console" else [])
        for line in lines:
            if line.lstrip().startswith("$ "):
                typed = line.lstrip().removeprefix("$ ")
                while typed.endswith("\\") or typed.count("'") % 2:
                    typed += "\n" + next(lines)
                found.append(Command(typed, ""))
            else:
                found[-1] = Command(found[-1].typed, f"{found[-1].shown}{line}\n")
    return found


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
