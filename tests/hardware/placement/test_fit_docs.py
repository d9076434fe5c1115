"""The table in docs/fit.md is what the code says."""

from __future__ import annotations

import os
from pathlib import Path

from sdcl_neuro.hardware.placement.table import branches_table

BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"


def test_the_table_is_what_the_code_says(root: Path) -> None:
    """SDCL_NEURO_OVERWRITE=1 writes it anew (then look at it)."""
    page = root / "docs" / "fit.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    expected = f"{before}{BEGIN}{branches_table()}{END}{after}"
    if os.environ.get("SDCL_NEURO_OVERWRITE") == "1":
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected, "docs/fit.md: its table is out of date"
