"""Fixtures for every room."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.ray_cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings and weights that may not be shipped; see the README on where to put them."""
    named = os.environ.get("SDCL_NEURO_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real recordings and weights: name their folder in SDCL_NEURO_DATA")
    return folder


@pytest.fixture(scope="session")
def expect_page() -> Callable[[Path, str], None]:
    """Compare a generated page with the stored one; SDCL_NEURO_OVERWRITE=1 stores it again."""

    def check(path: Path, text: str) -> None:
        if os.environ.get("SDCL_NEURO_OVERWRITE") == "1":
            path.write_text(text, encoding="utf-8")
        stored = path.read_text(encoding="utf-8")
        assert stored == text, f"{path.name} is out of date: run `make docs` and look at the change"

    return check


@pytest.fixture(scope="session")
def expect_sections(
    expect_page: Callable[[Path, str], None],
) -> Callable[[Path, Mapping[str, str]], None]:
    """Compare the parts of a page between ``<!-- name -->`` and ``<!-- end of name -->``."""

    def check(path: Path, sections: Mapping[str, str]) -> None:
        page = path.read_text(encoding="utf-8")
        for name, text in sections.items():
            begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
            before, rest = page.split(begin)
            _, after = rest.split(end)
            page = f"{before}{begin}{text}{end}{after}"
        expect_page(path, page)

    return check


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that compares with a golden file, for `make docs`."""
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.generated)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray cluster of two nodes on this machine."""
    pytest.importorskip("ray", reason="ray is not installed")
    from helpers.ray_cluster import Cluster

    made = Cluster(Path(tempfile.mkdtemp(prefix="ray-")))  # its sockets need a short path
    yield made
    made.close()
