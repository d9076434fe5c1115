"""Look at a built site: every link leads somewhere, and no page asks another host for anything.

``python docs/site/check.py build/site/html`` ends with 1 and names every fault.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
"""What a browser fetches without being asked, by the attribute that names it."""


class _Page(HTMLParser):
    """The anchors of a page, what it links to, and what it fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses and anchors of one element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        wanted = FETCHED.get(tag)
        # A canonical or alternate address is named, not fetched.
        named = tag == "link" and given.get("rel") in {"canonical", "alternate", "prev", "next"}
        if wanted in given and not named:
            self.fetched.append(given[wanted])


def faults(folder: Path) -> list[str]:
    """Return every fault of a site, one line each."""
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        place = path.relative_to(folder.resolve())
        found += [
            f"{place} fetches {address}"
            for address in page.fetched
            if urlsplit(address).scheme in ("http", "https") or address.startswith("//")
        ]
        for address in {*page.links, *page.fetched}:
            if why := _broken(address, path, pages, folder):
                found.append(f"{place}: {address} {why}")
    for path in folder.rglob("*.css"):
        if re.search(r"""(?:url\(["']?|@import ["'])(?:https?:)?//""", path.read_text("utf-8")):
            found.append(f"{path.relative_to(folder)} fetches from another host")
    return found


def _broken(address: str, path: Path, pages: dict[Path, _Page], folder: Path) -> str:
    """Say why a local address leads nowhere; empty where it leads somewhere."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not address:
        return ""
    name = unquote(parts.path)
    base = folder if name.startswith("/") else path.parent
    target = (base / name.lstrip("/")).resolve() if name else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "leads to no heading"
    return ""


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        sys.exit(f"{site}: no site here; run make site")
    told = faults(site)
    print(
        *told or [f"{site}: every link leads somewhere, nothing is fetched from elsewhere"],
        sep="\n",
    )
    sys.exit(1 if told else 0)
