"""Twelve clips on a Ray cluster that loses a node: each result is that of `infer` alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.ray_cluster import Cluster
from sdcl_neuro.cli import main

from .test_batch import plain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CLIPS = 12


def _clips(material, folder: Path) -> list[str]:
    """Twelve clips that differ: each has the same film, and tracks with other frames left out."""
    rows = material.tracks.read_text().splitlines(keepends=True)
    names = [f"clip{number:02d}" for number in range(CLIPS)]
    for number, name in enumerate(names):
        shutil.copy(material.video, folder / f"{name}.avi")
        first = number % 4
        kept = [row for row in rows if int(row.split(",")[0]) > first]
        dropped = {7: number // 4 == 1, 2: number // 4 == 2}
        kept = [row for row in kept if not dropped.get(int(row.split(",")[1]), False)]
        (folder / f"{name}.txt").write_text("".join(kept))
    return names


def test_twelve_clips_and_a_killed_node(
    material, checkpoint: Path, tmp_path: Path, cluster: Cluster
) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    names = _clips(material, clips)
    process = cluster.run(
        *("-m", "sdcl_neuro", "batch", str(checkpoint), str(clips), "--out", str(out)),
        *("--ray", cluster.address, "--json", str(tmp_path / "told.json")),
    )
    assert process.stderr is not None
    told: list[str] = []
    while len([line for line in told if " of 12: " in line]) < 2:
        line = process.stderr.readline()
        assert line, told
        told.append(line)
    cluster.kill(1)
    said, error = process.communicate(timeout=700)
    assert process.returncode == 0, (told, error[-3000:])
    assert "12 of 12 jobs done, 0 of them before" in said
    results = set()
    for name in names:
        alone = tmp_path / "alone" / name
        clip = ["--video", str(clips / f"{name}.avi"), "--tracks", str(clips / f"{name}.txt")]
        assert main(["infer", str(checkpoint), *clip, "--out", str(alone), "--quiet"]) == 0
        both = [json.loads((path / "infer.json").read_text()) for path in (alone, out / name)]
        assert plain(both[0]) == plain(both[1]), name
        assert plain(both[0])["tracklets"]
        results.add(json.dumps(plain(both[0])["tracklets"], sort_keys=True))
    assert len(results) > CLIPS // 2  # the clips differ, so that a mix-up would be seen
