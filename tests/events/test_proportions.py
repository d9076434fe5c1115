"""A change of proportions in encoding is said, and what rounding explains is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.cli.event_encoding import stretched
from sdcl_neuro.events import EVENT_DTYPE, Events, write_events


@pytest.mark.parametrize(
    ("part", "size", "said"),
    [
        ((640, 480), (480, 640), ""),
        ((640, 480), (240, 320), ""),
        ((346, 260), (128, 170), ""),
        ((640, 480), (128, 64), "640x480 pixels become 64x128, stretched 2.67 times in height"),
        ((100, 200), (64, 64), "100x200 pixels become 64x64, stretched 2.00 times in width"),
    ],
)
def test_stretching_in_words(part: tuple[float, float], size: tuple[int, int], said: str) -> None:
    assert stretched(part, size) == (f"proportions change: {said}" if said else "")


def test_it_is_printed_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = np.zeros(10, EVENT_DTYPE)
    array["t"] = np.arange(10) * 1000
    write_events(tmp_path / "a.npz", Events(array, 64, 48))
    out = tmp_path / "out.json"
    command = ["events", "encode", str(tmp_path / "a.npz"), "--out", str(tmp_path / "s.npz"),
               "--fps", "100", "--bins", "1", "--json", str(out)]  # fmt: skip
    assert main([*command, "--size", "32x16"]) == 0
    assert "proportions change: 64x48 pixels become 16x32" in capsys.readouterr().out
    assert any("proportions change" in note for note in json.loads(out.read_text())["assumed"])
    assert main([*command, "--size", "24x32"]) == 0
    assert "proportions change" not in capsys.readouterr().out
