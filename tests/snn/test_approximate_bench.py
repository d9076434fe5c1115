"""The script behind docs/approximate.md, on a shorter training."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    pytest.importorskip("sklearn", reason="scikit-learn has the digits; install the extra lava")
    spec = importlib.util.spec_from_file_location("approximate", ROOT / "bench" / "approximate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["approximate"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["approximate"]


@pytest.mark.slow
def test_both_ways_in(bench):
    found = bench.measure(epochs=4, tuning=2)
    assert found["before"] > 0.6
    assert found["approximate"] > 0.5
    assert found["tuned"] > found["before"] - 0.1
    assert found["tuned"] == found["tuned_in_training"], "the chip computes what was trained"
    for note in found["notes"]:
        assert note["approximated"]
        assert abs(note["spikes_after"] / note["spikes"] - 1) < 0.02
    text = bench.page([found])
    committed = (ROOT / "docs" / "approximate.md").read_text(encoding="utf-8")
    assert text.split("## Measured")[0] == committed.split("## Measured")[0]
