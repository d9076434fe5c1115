"""`sdcl-neuro infer --gallery`: who of earlier videos is in this one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.network.identity import path_sha256
from sdcl_neuro.reid.gallery import Gallery, Where
from sdcl_neuro.reid.pipeline.entry_pictures import decoded


def infer(material, checkpoint: Path, out: Path, *more: str) -> dict:
    assert main([*material.arguments(checkpoint, out), "--quiet", "--limit", "2", *more]) == 0
    return json.loads((out / "infer.json").read_text())


def test_enrolled_once_and_found_in_the_next_video(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "people.gallery", tmp_path / "out"
    enrol = ("--gallery", str(path), "--enrol", "--camera", "door 1")
    start = ("--start", "2026-11-22T10:30:00+01:00")
    kept = ("--keep-crops", "--retain", "30d")
    told = infer(material, checkpoint, out, *enrol, *start, *kept)["gallery"]
    assert (told["entries"], told["enrolled"]) == (0, {"ids": [1, 2, 3, 4, 5, 6], "added": 6})
    assert told["hits"] == [[]] * 6
    said = capsys.readouterr().out
    assert f"gallery {path}: 0 entries; 6 enrolled" in said
    assert "track 2: no one from another video" in said
    # The same video again: nothing is enrolled twice, and it is not found in itself.
    told = infer(material, checkpoint, out, *enrol)["gallery"]
    assert (told["entries"], told["enrolled"]["added"], told["hits"]) == (6, 0, [[]] * 6)
    assert told["enrolled"]["ids"] == [1, 2, 3, 4, 5, 6]
    assert "0 enrolled, 6 already there" in capsys.readouterr().out
    _check_entries(path, checkpoint)
    # Another file with the same pictures: everybody is found.
    twin = replace(material, video=tmp_path / "twin.avi")
    twin.video.write_bytes(material.video.read_bytes() + bytes(8))
    told = infer(twin, checkpoint, out, "--gallery", str(path), "--top", "2")
    gallery = told["gallery"]
    assert (gallery["entries"], gallery["enrolled"], gallery["top"]) == (6, None, 2)
    for tracklet, hits in zip(told["tracklets"], gallery["hits"], strict=True):
        assert len(hits) == 2
        assert hits[0]["label"] == f"walk.avi#{tracklet['track']}"
        assert hits[0]["metadata"]["first_frame"] == tracklet["first_frame"]
        assert hits[0]["cosine"] == pytest.approx(1, abs=1e-6)
        assert hits[1]["cosine"] <= hits[0]["cosine"]
    assert "  track 7: walk.avi#7 (1.000)" in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert "In the gallery" in page
    assert "walk.avi#7" in page
    assert "door 1" in page
    gallery_part = page.split('id="in-the-gallery"')[1].split("</section>")[0]
    # Three tracks, each with its own picture and those of the entries that it is like.
    assert gallery_part.count("data:image/jpeg") == 3 + sum(
        len({hit["label"] for hit in hits}) for hits in _by_track(told).values()
    )
    assert "Grey entries" not in gallery_part
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "people.gallery", "twin.avi"]


def _by_track(told: dict) -> dict[int, list[dict]]:
    found: dict[int, list[dict]] = {}
    for tracklet, hits in zip(told["tracklets"], told["gallery"]["hits"], strict=True):
        found.setdefault(tracklet["track"], []).extend(hits)
    return found


def _check_entries(path: Path, checkpoint: Path) -> None:
    with Gallery(path, model=path_sha256(checkpoint), dimension=16, create=False) as gallery:
        entries = gallery.entries(Where(cameras=["door 1"]))
        assert gallery.retention == timedelta(days=30)
        picture = cv2.imdecode(np.frombuffer(gallery.crop(entries[0].id), np.uint8), 1)
        assert picture.shape == (256, 128, 3)
        assert decoded(gallery.crop(entries[0].id)).shape == (128, 64, 3)
        assert decoded(b"no picture") is None
    assert len(entries) == 6
    first = entries[0]
    # 10:30 at +01:00 is 9:30 UTC; 20 frames a second.
    start_us = 1_795_339_800_000_000 + (first.metadata["first_frame"] - 1) * 50_000
    assert abs(first.time_us - start_us) <= 1
    assert first.metadata["events"] == "simulated"
    assert first.metadata["backend"] == "loihi"


BAD = {
    "enrol into nothing": (["--enrol"], "--enrol without a gallery"),
    "top of nothing": (["--top", "0"], "--top without a gallery"),
    "a gallery that is not there": (["--gallery", "GALLERY"], "no such gallery"),
    "none to be found": (["--gallery", "GALLERY", "--enrol", "--top", "0"], "--top: 0 entries"),
    "a camera for no one": (["--gallery", "GALLERY", "--camera", "x"], "give --enrol, too"),
    "pictures of no one": (["--gallery", "GALLERY", "--keep-crops"], "give --enrol, too"),
    "an age without a unit": (["--gallery", "GALLERY", "--enrol", "--retain", "30"], "age '30'"),
    "no time": (["--gallery", "GALLERY", "--enrol", "--start", "noon"], "'noon' is not a time"),
    "in the results": (["--gallery", "GALLERY/../out/g", "--enrol"], "folder of results"),
    "no tracks": (["--gallery", "GALLERY", "--enrol", "--tracks", "nowhere"], "no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_makes_no_gallery(
    case: str, material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, message = BAD[case]
    more = [word.replace("GALLERY", str(tmp_path / "g")) for word in more]
    arguments = [*material.arguments(checkpoint, tmp_path / "out"), "--quiet", *more]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_another_models_gallery_is_refused_before_the_work(
    material, checkpoint: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    Gallery(tmp_path / "g", model="of another checkpoint", dimension=16).close()
    monkeypatch.setattr("sdcl_neuro.reid.pipeline.infer_video.open_footage", None)  # never reached
    for more in ([], ["--enrol"]):
        arguments = [*material.arguments(checkpoint, tmp_path / "out"), "--quiet"]
        assert main([*arguments, "--gallery", str(tmp_path / "g"), *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "embeddings of model of another c in 16 dimensions; this model is" in line
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
