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


PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "train-a-residual-network.md"
WHOLE = "10, 12, 4, 1797"
AGAINST = 'against=["snntorch-int"]'


def trained(replacements):
    """The training page's code, run with some of it replaced."""
    text = PAGE.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    for old, new in replacements.items():
        assert code.count(old) == 1
        code = code.replace(old, new)
    space = {"__name__": "page"}
    exec(compile(code, str(PAGE), "exec"), space)
    assert space["certificate"].holds
    assert space["differing"] == 0
    assert space["accuracy"]["net"] == space["accuracy"]["integers"]
    return space


@pytest.mark.filterwarnings("ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning")
def test_a_residual_network_trains_in_small(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    trained({WHOLE: "6, 2, 1, 480"})
    assert (tmp_path / "digits.net").exists()
    assert "every verdict holds" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.lava
def test_a_residual_network_trains_as_the_page_says(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    space = trained({AGAINST: 'against=["snntorch-int", "lava"]'})
    printed = capsys.readouterr().out
    floating = float(re.search(r"float, as trained +([0-9.]+)%", printed)[1])
    assert floating > 92
    assert abs(100 * space["accuracy"]["net"] - floating) < 1
