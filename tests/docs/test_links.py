"""Every link of the documentation leads somewhere."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Link, anchors, links, pages


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def resolves(link: Link) -> bool:
    if not link.file.exists():
        return False
    return not link.anchor or link.anchor in anchors(link.file)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_of_a_page_resolve(page: Path) -> None:
    assert [link.target for link in links(page) if not resolves(link)] == []


def test_every_page_is_reachable_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [link.file for link in links(page) if link.file.exists()]
    templates = {page for page in pages() if ".github" in page.parts}
    assert {name(page) for page in set(pages()) - reached - templates} == set()
