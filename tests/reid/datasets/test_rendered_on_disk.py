"""Rendered tracklets on disk: the same as rendered, once each, and again where damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.datasets import Clip, Generated, GeneratedConfig, RenderedOnDisk

CLIP = Clip(frames=2, bins=2, size=(32, 16))


def same(one, other) -> bool:
    keys = ("frames", "spikes", "times_us", "boxes")
    equal = all(np.array_equal(getattr(one, key), getattr(other, key)) for key in keys)
    return equal and (one.name, one.person, one.camera) == (other.name, other.person, other.camera)


@pytest.fixture
def kept(tmp_path: Path) -> RenderedOnDisk:
    config = GeneratedConfig(persons=2, cameras=2, walks=1, substeps=2, moments=2)
    return RenderedOnDisk(Generated(config), tmp_path / "kept")


def test_a_kept_tracklet_is_the_rendered_one(
    kept: RenderedOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = {seed: kept.data.load(1, CLIP, seed=seed) for seed in (None, 0, 5)}
    first = {seed: kept.load(1, CLIP, seed=seed) for seed in rendered}
    # Seed 5 is moment 1 of two; None, 0 and 1 are three files.
    assert len(list(kept.folder.rglob("*.npz"))) == 3
    monkeypatch.setattr(Generated, "load", None)  # nothing is rendered any more
    for seed, one in rendered.items():
        assert same(first[seed], one)
        assert same(kept.load(1, CLIP, seed=seed), one)
    assert same(kept.load(1, CLIP, seed=1), rendered[5])


def test_a_damaged_file_is_rendered_again(kept: RenderedOnDisk) -> None:
    whole = kept.load(0, CLIP)
    (path,) = kept.folder.rglob("*.npz")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    assert same(kept.load(0, CLIP), whole)
    assert path.stat().st_size == size


def test_seeds_without_end_are_not_kept(tmp_path: Path) -> None:
    kept = RenderedOnDisk(
        Generated(GeneratedConfig(persons=2, cameras=1, walks=1, substeps=1)), tmp_path
    )
    kept.load(0, CLIP, seed=3)
    assert not list(tmp_path.rglob("*.npz"))


def test_other_populations_and_clips_lie_apart(kept: RenderedOnDisk) -> None:
    kept.load(0, CLIP)
    kept.load(0, Clip(frames=2, bins=1, size=(32, 16)))
    larger = GeneratedConfig(persons=3, cameras=3, walks=2, substeps=2)
    RenderedOnDisk(Generated(larger), kept.folder).load(0, CLIP)  # the same walk
    other = GeneratedConfig(persons=2, cameras=2, walks=1, substeps=2, seed=1)
    RenderedOnDisk(Generated(other), kept.folder).load(0, CLIP)
    assert len(list(kept.folder.rglob("*.npz"))) == 3


def test_a_configuration_names_the_folder(tmp_path: Path) -> None:
    configuration = load_configuration("generated-small", ["data.cache=walks"])
    data = build_data(configuration, tmp_path)
    assert isinstance(data, RenderedOnDisk)
    assert data.folder == tmp_path / "walks"
    assert isinstance(build_data(configuration), Generated)  # without a root nothing is kept
