"""The site without its generator: every page has a place, every link leads somewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest

from sdcl_neuro.cli import VERBS

Site = Callable[[str], ModuleType]
HEADING = re.compile(r"^#{1,6} +(.*?)(?: *\{#([\w-]+)\})? *$", re.M)


@pytest.fixture(scope="module")
def pages(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    site("prepare").prepare(folder)
    return folder


def _navigation(root: Path) -> list[str]:
    text = (root / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    return re.findall(r": (\S+\.md)$", text, re.M)


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Python-Markdown's table of contents makes them."""
    found: set[str] = set()
    for title, given in HEADING.findall(_without_fences(text)):
        plain = unescape(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title))
        plain = re.sub(r"[^\w\s-]", "", plain.replace("`", "")).strip().lower()
        name = given or re.sub(r"[-\s]+", "-", plain)
        count = 1
        while name in found:
            name, count = f"{name}_{count}", count + 1
        found.add(name)
    return found


def _without_fences(text: str) -> str:
    return re.sub(r"^( *)(`{3,}).*?^\1\2 *$", "", text, flags=re.S | re.M)


def test_every_page_has_one_place_in_the_navigation(root: Path, pages: Path) -> None:
    named = _navigation(root)
    assert sorted(named) == sorted(set(named))
    assert set(named) == {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}


def test_the_index_leads_to_every_page(pages: Path, site: Site) -> None:
    """By links alone, as one who reads the pages in the repository must; the API's pages apart."""
    links = site("prepare").links
    reached, open_ = set(), ["index.md"]
    while open_:
        place = open_.pop()
        if place in reached or not place.endswith(".md"):
            continue
        reached.add(place)
        for found in links((pages / place).read_text("utf-8")):
            name = found[2].partition("#")[0]
            if name and not re.match(r"[a-z]+:", name):
                target = ((pages / place).parent / name).resolve()
                open_.append(target.relative_to(pages.resolve()).as_posix())
    every = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    assert {place for place in every - reached if not place.startswith("api/")} == set()


def test_every_link_leads_to_a_page_and_a_heading(pages: Path, site: Site) -> None:
    links = site("prepare").links
    texts = {path.resolve(): path.read_text("utf-8") for path in pages.rglob("*.md")}
    wrong = []
    for path, text in texts.items():
        for found in links(text):
            name, _, heading = found[2].partition("#")
            if re.match(r"[a-z]+:", found[2]):
                assert re.match(r"https://|mailto:", found[2]), (path, found[2])
                continue
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (heading and heading not in _anchors(texts[target])):
                wrong.append(f"{path.name}: {found[2]}")
    assert wrong == []


def test_a_page_outside_the_site_is_an_error(root: Path, site: Site, tmp_path: Path) -> None:
    module = site("prepare")
    copy = tmp_path / "copy"
    for name in ("docs", "sdcl_neuro", "conversion", "hw_profiles"):
        shutil.copytree(
            root / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("*.n*")
        )
    for name in module.ELSEWHERE:
        if "/" not in name:
            shutil.copy(root / name, copy / name)
    module.prepare(tmp_path / "good", copy)
    (copy / "docs" / "glossary.md").write_text("[nowhere](nothing.md)\n")
    with pytest.raises(module.BrokenLink, match=r"glossary\.md: nothing\.md leads to no page"):
        module.prepare(tmp_path / "bad", copy)


def test_no_page_asks_another_host(root: Path, pages: Path) -> None:
    assert "font: false" in (root / "mkdocs.yml").read_text("utf-8")
    for path in pages.rglob("*"):
        if path.suffix in {".md", ".svg", ".css"}:
            text = _without_fences(path.read_text("utf-8"))
            assert not re.search(
                r'(?:src|href)="https?:|url\(["\']?https?:|!\[[^\]]*\]\(https?:', text
            ), path


@pytest.mark.generated
def test_the_command_line(root: Path, site: Site, expect_page: Callable[[Path, str], None]) -> None:
    text = site("command_line").page()
    for verb in VERBS:
        assert f"\n## {verb}\n" in text
    assert "|  |\n" not in text, "an argument has no help"
    expect_page(root / "docs" / "reference" / "command-line.md", text)
