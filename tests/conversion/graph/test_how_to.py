"""The page on residual networks runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.mark.filterwarnings("ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning")
def test_the_page_runs(tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[3] / "docs" / "how-to" / "deploy-a-resnet.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "page"}
    exec(compile(code, str(page), "exec"), space)
    assert space["certificate"].holds
    assert (tmp_path / "residual.net").exists()
    printed = capsys.readouterr().out
    assert "(8, 2, 4, 4, 4)" in printed
    assert "(8, 2, 5)" in printed
