"""The table in docs/fit.md is what the code says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sdcl_neuro.hardware.placement.table import branches_table


@pytest.mark.generated
def test_the_table_is_what_the_code_says(
    root: Path, expect_sections: Callable[[Path, Mapping[str, str]], None]
) -> None:
    expect_sections(root / "docs" / "fit.md", {"table": branches_table()})
