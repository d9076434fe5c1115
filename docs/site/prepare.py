"""Gather the pages of the site in one folder, from which a generator builds it.

``python docs/site/prepare.py`` writes ``build/site/pages``, which ``mkdocs.yml`` names. Pages lie
in `docs`, a few others at the top of the checkout or beside what they describe; links between them
are rewritten, and a link to anything else is an error. Notebooks become pages with their pictures,
and every public room of the package gets a page of the API. Needs nothing but Python.
"""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "build" / "site" / "pages"
ELSEWHERE = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "licence.md",
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "hw_profiles/README.md": "hardware-profiles.md",
    "sdcl_neuro/demo/clip/ATTRIBUTION.md": "clip-attribution.md",
}
"""Pages that do not lie in docs, and their place in the site. The site has an index of its own in
place of the README."""
ROOMS = ("", "conversion", "events", "hardware", "hybrid", "network", "profiling", "reid", "snn")
"""Public rooms of the package; the first is its top."""
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.S | re.M)


class BrokenLink(Exception):
    """A link of a page that leads to no page, picture or heading of the site."""


def sources(root: Path = ROOT) -> dict[str, Path]:
    """Return the pages and pictures of the site, by their place in it, with their files."""
    docs = root / "docs"
    found = {
        path.relative_to(docs).as_posix(): path
        for path in sorted(docs.rglob("*"))
        if path.suffix in {".md", ".png", ".svg", ".css"} and path.parent.name != "site"
    }
    found["site.css"] = docs / "site" / "site.css"
    for origin, place in ELSEWHERE.items():
        found.setdefault(place, root / origin)
    return found


def prepare(target: Path = PAGES, root: Path = ROOT) -> list[str]:
    """Write all pages to a folder, which is emptied first; return their places."""
    shutil.rmtree(target, ignore_errors=True)
    found = sources(root)
    places = {path.resolve(): place for place, path in found.items()}
    places.setdefault((root / "README.md").resolve(), "index.md")
    for notebook in sorted((root / "docs" / "notebooks").glob("*.ipynb")):
        places[notebook.resolve()] = f"notebooks/{notebook.stem}.md"
    for place, path in found.items():
        out = target / place
        out.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            out.write_text(relinked(text, path, place, places), encoding="utf-8")
        elif path.name == "LICENSE":
            out.write_text(f"# Licence\n\n```text\n{path.read_text('utf-8')}```\n", "utf-8")
        else:
            shutil.copy(path, out)
    for notebook in sorted((root / "docs" / "notebooks").glob("*.ipynb")):
        place = f"notebooks/{notebook.stem}.md"
        text = notebook_page(notebook, target / "notebooks")
        for picture in (target / "notebooks").glob(f"{notebook.stem}-*.png"):
            places[notebook.with_name(picture.name).resolve()] = f"notebooks/{picture.name}"
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).write_text(relinked(text, notebook, place, places), encoding="utf-8")
    for room in ROOMS:
        out = target / "api" / f"{room or 'sdcl_neuro'}.md"
        out.parent.mkdir(exist_ok=True)
        out.write_text(api_page(room, root), encoding="utf-8")
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*.md"))


def outside_code(text: str) -> str:
    """Return a page with its code blocks and code words blanked, at the same offsets."""
    text = _FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    return re.sub(r"`[^`\n]+`", lambda found: " " * len(found[0]), text)


def links(text: str) -> Iterator[re.Match[str]]:
    """Yield the links of a page: group 2 is the target."""
    for found in _LINK.finditer(text):
        plain = outside_code(text)[found.start() : found.end()]
        if "](" in plain:
            yield found


def relinked(text: str, path: Path, place: str, places: dict[Path, str]) -> str:
    """Rewrite the links of a page from its own folder to its place in the site.

    Raises:
        BrokenLink: a link that leads to no page or picture of the site.
    """
    parts, last = [], 0
    for found in links(text):
        address = found[2]
        if re.match(r"[a-z]+:", address) or address.startswith("#"):
            continue
        name, _, heading = address.partition("#")
        wanted = places.get((path.parent / name).resolve())
        if wanted is None:
            raise BrokenLink(f"{path}: {address} leads to no page of the site")
        to = os.path.relpath(wanted, Path(place).parent) + (f"#{heading}" if heading else "")
        parts += [text[last : found.start()], f"{found[1]}({to})"]
        last = found.end()
    return "".join([*parts, text[last:]])


def notebook_page(path: Path, folder: Path) -> str:
    """Return a notebook as a page; its pictures are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts = []
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for index, output in enumerate(cell["outputs"]):
            parts.append(_shown(output, f"{path.stem}-{number}-{index}.png", folder))
    return "\n\n".join(part for part in parts if part) + "\n"


def _shown(output: dict, picture: str, folder: Path) -> str:
    """One output of a cell, in Markdown: a picture, a table or text."""
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output.get("data", {})
    if "image/png" in data:
        (folder / picture).write_bytes(base64.b64decode("".join(data["image/png"])))
        return f"![What the cell above draws]({picture})"
    if "text/html" in data:
        html = re.sub(r"<style>.*?</style>", "", "".join(data["text/html"]), flags=re.S)
        return f'<div class="result">{html}</div>'
    text = "".join(data.get("text/plain", "")).rstrip()
    return f"```text\n{text}\n```" if text else ""


def public_names(room: str, root: Path = ROOT) -> list[str]:
    """Return the names that a room offers, read from what it imports for type checkers."""
    folder = root / ("conversion" if room == "conversion" else f"sdcl_neuro/{room}")
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            names = (one for one in node.body if isinstance(one, ast.ImportFrom))
            return [alias.asname or alias.name for one in names for alias in one.names]
    raise BrokenLink(f"{folder}: expected imports under TYPE_CHECKING")


def api_page(room: str, root: Path = ROOT) -> str:
    """Return the page of one room: its docstring, then every public name."""
    module = f"sdcl_neuro.{room}" if room else "sdcl_neuro"
    head = f"# `{module}`\n\n::: {module}\n    options:\n      members: false\n"
    names = sorted(set(public_names(room, root)) - set(ROOMS), key=str.lower)
    return head + "".join(f"\n::: {module}.{name}\n" for name in names)


if __name__ == "__main__":
    try:
        print(f"{len(prepare())} pages in {PAGES}")
    except BrokenLink as error:
        sys.exit(str(error))
