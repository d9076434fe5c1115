"""Every code block of every page is run, or says why it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.doc_blocks import LANGUAGES, QUICK, blocks_of, run_blocks
from helpers.doc_preparations import PREPARED

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
FOLLOWED = {
    "how-to/add-a-backend.md": "tests/conversion/test_backend_table.py",
    "how-to/add-a-chip.md": "tests/profiling/test_profile_cli.py",
    "how-to/add-a-data-set.md": "tests/how_to",
    "how-to/add-a-frame-branch.md": "tests/how_to",
    "how-to/add-a-layer.md": "tests/how_to",
    "how-to/add-a-target.md": "tests/how_to",
    "how-to/add-an-event-format.md": "tests/how_to",
    "how-to/deploy-a-resnet.md": "tests/conversion/graph/test_how_to.py",
    "how-to/train-a-residual-network.md": "tests/conversion/graph/test_how_to.py",
}
"""Pages that a test of their own follows: they change a table, or compare what came out."""
SMALLER = {
    "training.md": {
        '"training.float_stage.steps=20"': ", ".join(f'"{key}"' for key in QUICK["train"].split())
    },
    "tutorials/first-network.md": {
        "moving_bars(128": "moving_bars(32",
    },
}
"""Settings that are replaced in a page's Python, so that it takes seconds."""
RUN = [page for page in PAGES if page not in FOLLOWED]
FAST = [
    page
    for page in RUN
    if any(block.runs and block.remark != "slow" for block in blocks_of(ROOT / "docs" / page))
]
SLOW = [
    page
    for page in RUN
    if any(block.runs and block.remark == "slow" for block in blocks_of(ROOT / "docs" / page))
]


def _run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, slow: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    chosen = [
        block
        for block in blocks_of(ROOT / "docs" / page)
        if block.runs and (slow or block.remark != "slow")
    ]
    names = PREPARED[page](tmp_path) if page in PREPARED else {}
    run_blocks(chosen, tmp_path, names, page=page, smaller=SMALLER.get(page))


@pytest.mark.parametrize("page", FAST)
def test_a_page_runs(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _run(page, tmp_path, monkeypatch, slow=False)


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("page", SLOW)
def test_a_whole_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its slow blocks, from the top."""
    _run(page, tmp_path, monkeypatch, slow=True)


def test_every_block_says_its_language(root: Path) -> None:
    for page in PAGES:
        text = (root / "docs" / page).read_text("utf-8")
        assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(blocks_of(root / "docs" / page)), (
            page
        )
        for block in blocks_of(root / "docs" / page):
            assert block.language in LANGUAGES, f"{page}:{block.line}"
        fenced = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
        assert not re.search(r"^    (sdcl-neuro|python|pip|make) ", fenced, re.M), page


def test_pages_with_a_test_of_their_own_are_followed(root: Path) -> None:
    for page, place in FOLLOWED.items():
        assert page in PAGES
        files = [root / place] if place.endswith(".py") else list((root / place).glob("*.py"))
        assert any(Path(page).stem in path.read_text("utf-8") for path in files), page


@pytest.mark.generated
def test_the_page_lists_what_is_not_run(root: Path, expect_sections: Callable[..., None]) -> None:
    rows = [
        f"| [{page}]({page}) | `{next(iter(block.code.splitlines()))[:60]}` | "
        f"{block.remark.removeprefix('not run: ')} |\n"
        for page in PAGES
        for block in blocks_of(root / "docs" / page)
        if block.remark.startswith("not run")
    ]
    assert rows
    table = "| page | block | not run because |\n|---|---|---|\n" + "".join(rows)
    expect_sections(root / "docs" / "tests.md", {"blocks": table})
