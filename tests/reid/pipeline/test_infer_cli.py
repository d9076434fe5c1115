"""`sdcl-neuro infer` on a film that is not the demo's, and every way it can be asked wrongly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from markupsafe import escape
from safetensors.numpy import load_file

from sdcl_neuro.cli import main
from sdcl_neuro.events import Events, write_events
from sdcl_neuro.events.alignment import Alignment, write_alignment
from sdcl_neuro.events.tracklets import Video, simulate_video
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, load_sdcl, save_sdcl
from sdcl_neuro.reid.pipeline.origin import UNSAID, trained_on
from sdcl_neuro.snn.checkpoint import save_checkpoint

OUTPUTS = ["embeddings.safetensors", "infer.json", "report.html"]
TRACKLETS = {7: 5, 2: 4, 5: 5}  # nine frames give four pairs and one that overlaps


def one_line(error: str) -> str:
    """The message, if standard error holds nothing else."""
    (line,) = error.splitlines()
    assert line.startswith("sdcl-neuro: ")
    return line


def test_a_film_of_ones_own(material, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sdcl-neuro")), *material.arguments(checkpoint, out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "cutting 14 tracklets of 3 tracks" in done.stderr
    lines = done.stdout.splitlines()
    assert "3 tracks, 14 tracklets of 2 frames, events simulated from the frames" in lines[0]
    assert lines[-1] == f"report: {out / 'report.html'}"
    assert "[measured]" in done.stdout
    assert "[emulated]" in done.stdout
    assert "[modelled]" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture(scope="module")
def result(material, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("result") / "out"
    copy = out.with_name("copy.json")
    arguments = [*material.arguments(checkpoint, out), "--quiet", "--json", str(copy)]
    assert main(arguments) == 0
    assert json.loads(copy.read_text()) == json.loads((out / "infer.json").read_text())
    return out


def test_each_tracklet_by_itself(
    result: Path, material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*material.arguments(checkpoint, out), "--quiet", "--per-tracklet"]) == 0
    told = json.loads((out / "infer.json").read_text())
    rows = told["per_tracklet"]
    assert [row["name"] for row in rows] == [one["name"] for one in told["tracklets"]]
    assert [row["input_spikes"] for row in rows] == [
        one["input_spikes"] for one in told["tracklets"]
    ]
    totals = told["profile"]["totals"]
    assert sum(row["spikes"] for row in rows) == totals["spikes_out"]
    assert sum(row["synops"] for row in rows) == totals["synops"]
    mean = sum(row["activation_sparsity"] for row in rows) / len(rows)
    assert mean == pytest.approx(totals["activation_sparsity"])
    assert all(row["latency_ms"] > 0 for row in rows)
    text = capsys.readouterr().out
    assert all(f"\n{row['name']} " in text for row in rows)
    # The same network on the same tracklets, whatever the batch.
    whole = load_file(result / "embeddings.safetensors")["embeddings"]
    alone = load_file(out / "embeddings.safetensors")["embeddings"]
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    assert json.loads((result / "infer.json").read_text())["per_tracklet"] is None


def test_what_a_model_was_trained_on_is_said() -> None:
    assert trained_on({}) == UNSAID
    assert trained_on({"trained_on": "on two dogs"}) == "on two dogs"
    made = {"configuration": '[data]\nkind = "mars"\n', "persons": [1, 2], "steps": 9}
    assert trained_on(made) == "trained on 2 persons of mars, 9 steps"
    for damaged in ({**made, "configuration": "["}, {**made, "persons": 2}):
        assert trained_on(damaged) == UNSAID


def test_what_infer_json_says(result: Path, material) -> None:
    told = json.loads((result / "infer.json").read_text())
    assert told["schema"] == {"name": "sdcl_neuro.infer", "version": 1}
    assert told["events"]["origin"] == "events simulated from the frames"
    assert told["events"]["simulator"]["threshold_on"] == 0.15  # the checkpoint's own
    assert told["backend"] == "loihi"
    assert told["left_out"] == []
    counts = dict.fromkeys(TRACKLETS, 0)
    for tracklet in told["tracklets"]:
        counts[tracklet["track"]] += 1
        assert tracklet["last_frame"] == tracklet["first_frame"] + 1
        assert tracklet["input_spikes"] > 0
    assert counts == TRACKLETS
    cosine = np.array(told["track_similarity"]["cosine"])
    assert told["track_similarity"]["tracks"] == [2, 5, 7]
    assert np.allclose(np.diag(cosine), 1)
    assert np.allclose(cosine, cosine.T)
    assert [stage["name"] for stage in told["ledger"]["stages"]].count("event branch") == 1
    assert set(told["profile"]["energy"]) == {"loihi1", "loihi2"}


def test_ranked_lists_hold_all_others_and_never_the_query(result: Path) -> None:
    told = json.loads((result / "infer.json").read_text())
    persons = [tracklet["track"] for tracklet in told["tracklets"]]
    vectors = load_file(result / "embeddings.safetensors")["embeddings"].astype(np.float64)
    for query in told["ranked"]["queries"]:
        n = query["query"]
        assert n not in query["gallery"]
        assert query["persons"] == [persons[k] for k in query["gallery"]]
        assert query["matches"] == [persons[k] == persons[n] for k in query["gallery"]]
        distances = 1 - vectors @ vectors[n]
        distances[n] = np.inf
        assert query["distances"] == pytest.approx(np.sort(distances)[:10], abs=1e-6)


def test_embeddings_are_the_networks_own(result: Path, material, checkpoint: Path) -> None:
    """Hybrid inference from the file on disk equals the module's forward on the same tracklets."""
    from sdcl_neuro.hybrid.frame_branch import normalise
    from sdcl_neuro.reid.pipeline.video import Source, open_footage

    found = load_file(result / "embeddings.safetensors")
    assert found["embeddings"].shape == (14, 16)
    assert np.allclose(np.linalg.norm(found["embeddings"], axis=1), 1, atol=1e-6)
    loaded = load_sdcl(checkpoint)
    footage = open_footage(Source(material.video, material.tracks), loaded.clip)
    cut = {tracklet.name: tracklet for tracklet in footage.cut()}
    tracklets = [cut[window.name] for window in footage.plan.windows]
    assert found["person"].tolist() == [tracklet.person for tracklet in tracklets]
    assert found["first_frame"].tolist() == [int(t.indices[0]) + 1 for t in tracklets]
    assert found["last_frame"].tolist() == [int(t.indices[-1]) + 1 for t in tracklets]
    frames = torch.stack([normalise(tracklet.frames) for tracklet in tracklets])
    spikes = torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()
    with torch.no_grad():
        expected = loaded.model(frames, spikes).embedding
    expected = torch.nn.functional.normalize(expected).numpy()
    assert np.abs(found["embeddings"] - expected).max() < 1e-5


def test_the_report_is_one_file_and_says_what_is_simulated(result: Path) -> None:
    page = (result / "report.html").read_text()
    assert "events simulated from the frames" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    for track in TRACKLETS:
        assert f"track {track}" in page


def test_recorded_events_give_what_simulated_ones_did(
    result: Path, material, checkpoint: Path, tmp_path: Path
) -> None:
    """Events written by the simulator and read back are the same input to the chip."""
    config = load_sdcl(checkpoint).clip.simulator
    write_events(tmp_path / "events.npz", simulate_video(Video(material.video), config))
    out = tmp_path / "out"
    arguments = [*material.arguments(checkpoint, out), "--events", str(tmp_path / "events.npz")]
    assert main([*arguments, "--quiet", "--backend", "snntorch-int"]) == 0
    told = json.loads((out / "infer.json").read_text())
    assert told["events"]["simulated"] is False
    assert told["events"]["simulator"] is None
    assert told["events"]["recording"]["file"].endswith("events.npz")
    before = load_file(result / "embeddings.safetensors")["embeddings"]
    after = load_file(out / "embeddings.safetensors")["embeddings"]
    assert np.abs(before - after).max() < 1e-6


UNIX = 1_795_339_800_000_000  # 2026-11-22T10:30:00+01:00


def _moved(events: Events, folder: Path, case: str) -> list[str]:
    """The same events by another camera: the file, and the options that bring them back."""
    array, width, height = events.array.copy(), events.width, events.height
    path, options = folder / "moved.npz", ["--start", "2026-11-22T10:30:00+01:00"]
    if case == "unix, upside down":
        array["t"] += UNIX
        array["x"], array["y"] = width - 1 - array["x"], height - 1 - array["y"]
        rows = f"-1 0 {width - 1}\n0 -1 {height - 1}\n0 0 1\n"
        (folder / "h.txt").write_text(rows)
        options += ["--event-clock", "unix", "--homography", str(folder / "h.txt")]
    elif case == "offset, part of a larger sensor":
        array["t"] -= 123_456
        array["x"] += 40
        array["y"] += 7
        options += ["--event-offset", "123456", "--crop", f"40,7,{width},{height}"]
        width, height = width + 60, height + 20
    else:  # from a file
        array["t"] += UNIX
        write_alignment(
            folder / "alignment.toml",
            Alignment(event_clock="first", offset_us=int(events.array["t"][0])),
        )
        options += ["--alignment", str(folder / "alignment.toml")]
    write_events(path, Events(array, width, height))
    return [*("--events", str(path)), *options]


@pytest.mark.parametrize(
    "case", ["unix, upside down", "offset, part of a larger sensor", "from a file"]
)
def test_another_clock_and_view_give_the_same_when_stated(
    result: Path, material, checkpoint: Path, tmp_path: Path, case: str
) -> None:
    config = load_sdcl(checkpoint).clip.simulator
    moved = _moved(simulate_video(Video(material.video), config), tmp_path, case)
    out = tmp_path / "out"
    assert main([*material.arguments(checkpoint, out), *moved, "--quiet"]) == 0
    before, after = (
        load_file(folder / "embeddings.safetensors")["embeddings"] for folder in (result, out)
    )
    assert np.abs(before - after).max() < 1e-6
    told = json.loads((out / "infer.json").read_text())
    assert told["alignment"]["coverage"] > 0.8
    assert not any("share one clock" in line for line in told["assumed"])


def test_what_is_assumed_is_printed_and_stored(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "events.npz", simulate_video(Video(material.video)))
    out = tmp_path / "out"
    arguments = [*material.arguments(checkpoint, out), "--events", str(tmp_path / "events.npz")]
    assert main([*arguments, "--quiet"]) == 0
    assumed = json.loads((out / "infer.json").read_text())["assumed"]
    assert len(assumed) == 4  # the rate of an AVI, one view, the stamps, one clock
    said, page = capsys.readouterr().out, (out / "report.html").read_text()
    for line in assumed:
        assert f"assumed: {line}" in said
        assert str(escape(line)) in page


def test_from_python_in_silence(
    result: Path, material, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sdcl_neuro.reid.pipeline.infer_video import compare_tracks
    from sdcl_neuro.reid.pipeline.video import Source

    found = compare_tracks(str(checkpoint), Source(material.video, material.tracks))
    expected = load_file(result / "embeddings.safetensors")["embeddings"]
    assert np.abs(found.session.result.embeddings - expected).max() < 1e-6
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_another_dense_backend_says_the_same(
    result: Path, material, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [*material.arguments(checkpoint, out), "--quiet", "--dense-backend", "eager"]
    assert main(arguments) == 0
    before, after = (
        load_file(folder / "embeddings.safetensors")["embeddings"] for folder in (result, out)
    )
    assert 0 < np.abs(before - after).max() < 1e-4  # another order of sums


def test_short_tracks_and_mended_boxes_are_named(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "4,9,10,10,28,64,1,-1,-1,-1\n1,3,-6,10,28,64\n2,3,-4,10,28,64\n"
    tracks = tmp_path / "tracks.txt"
    tracks.write_text(text)
    out = tmp_path / "out"
    arguments = material.arguments(checkpoint, out)
    arguments[arguments.index(str(material.tracks))] = str(tracks)
    assert main(arguments) == 2
    assert "line 2" in one_line(capsys.readouterr().err)
    assert not out.exists()
    assert main([*arguments, "--clip-boxes", "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "left out: track 9: 1 frame from frame 4, fewer than the 2" in told.out
    assert "left out: track 3: 2 boxes cut to the picture" in told.out
    assert "one track only" in told.out
    assert "track 9: 1 frame" in (out / "report.html").read_text()


def _tracks(text: str):
    def change(arguments: list[str], folder: Path) -> list[str]:
        path = folder / "bad.txt"
        path.write_text(text)
        return [*arguments, "--tracks", str(path)]

    return change


def _video(content: bytes | None):
    def change(arguments: list[str], folder: Path) -> list[str]:
        path = folder / "bad.avi"
        if content is not None:
            path.write_bytes(content)
        return [*arguments, "--video", str(path)]

    return change


def _events(first_us: int, *, width: int = 160, height: int = 96):
    def change(arguments: list[str], folder: Path) -> list[str]:
        array = np.zeros(3, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
        array["t"] = first_us + np.arange(3)
        write_events(folder / "bad.npz", Events(array, width, height))
        return [*arguments, "--events", str(folder / "bad.npz")]

    return change


def _extra(*values: str):
    return lambda arguments, folder: [*arguments, *values]


BAD = {
    "no video": (_video(None), "no such file"),
    "an empty video": (_video(b""), "is empty"),
    "no video at all": (_video(b"RIFF but not really" * 50), "not a video"),
    "no tracks": (_extra("--tracks", "nowhere.txt"), "no such file"),
    "a line too short": (_tracks("1,2,3,4,5,6\n1,2,3\n"), "line 2: 3 fields"),
    "a word for a number": (_tracks("1,2,x,4,5,6\n"), "line 1: left is 'x'"),
    "a box outside": (_tracks("1,2,150,4,28,64\n2,2,150,4,28,64\n"), "line 1: box"),
    "a frame too late": (_tracks("1,2,3,4,5,6\n99,2,3,4,5,6\n"), "line 2: frame 99 is beyond"),
    "tracks too short": (_tracks("1,2,3,4,5,6\n3,2,3,4,5,6\n"), "no track gives a tracklet"),
    "another clock": (_events(10**12), "--event-offset US"),
    "another view": (_events(0, width=96), "same view"),
    "no events": (_extra("--events", "nowhere.raw"), "no such file"),
    "a wrong sensor": (_extra("--sensor", "160"), "--sensor"),
    "an unknown backend": (_extra("--backend", "loihi3"), "unknown backend 'loihi3'"),
    "an unknown device": (_extra("--device", "abacus"), "unknown device"),
    "an unknown dense backend": (_extra("--dense-backend", "fast"), "unknown dense backend 'fast'"),
    "a limit of nothing": (_extra("--limit", "0"), "limit"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_line_and_leaves_nothing(
    case: str, material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = BAD[case]
    out = tmp_path / "out"
    arguments = change([*material.arguments(checkpoint, out), "--quiet"], tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 2
    assert message in one_line(capsys.readouterr().err)
    assert sorted(tmp_path.iterdir()) == before


def test_checkpoints_that_will_not_do(
    model: Sdcl, material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = save_checkpoint(tmp_path / "alone", model.event_branch, input_size=(64, 32))
    cases = {
        alone: "an event branch alone",
        tmp_path / "nowhere": "no sdcl.json",
        material.video: "a file, where the folder of a whole SDCL",
    }
    for path, message in cases.items():
        assert main([*material.arguments(path, tmp_path / "out"), "--quiet"]) == 2
        assert message in one_line(capsys.readouterr().err)
    model.event_branch.set_mode("float")
    try:
        clip = ClipFormat(frames=2, bins=2)
        save_sdcl(tmp_path / "float", model, clip=clip, frame_branch="osnet_x0_25")
    finally:
        model.event_branch.set_mode("int")
    assert main([*material.arguments(tmp_path / "float", tmp_path / "out"), "--quiet"]) == 2
    assert "trained in float only" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_without_lava_the_backend_is_missing_from_the_start(
    material, checkpoint: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(
        "sdcl_neuro.conversion.backends.lava.installation._exists", lambda module: False
    )
    arguments = [*material.arguments(checkpoint, tmp_path / "out"), "--backend", "lava"]
    assert main([*arguments, "--quiet"]) == 3
    assert "lava install" in one_line(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_a_dense_backend_is_missing_from_the_start(
    material, checkpoint: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(
        "sdcl_neuro.extras.find_spec",
        lambda name: None if name.startswith("onnx") else find_spec(name),
    )
    arguments = [*material.arguments(checkpoint, tmp_path / "out"), "--dense-backend", "onnx"]
    assert main(arguments) == 3
    assert "sdcl-neuro[onnx]" in one_line(capsys.readouterr().err)


def test_nothing_else_in_the_folder_is_ever_replaced(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    arguments = [*material.arguments(checkpoint, out), "--quiet"]
    assert main(arguments) == 2
    assert "thesis.tex" in one_line(capsys.readouterr().err)
    assert (out / "thesis.tex").read_text() == "years of work"
    (out / "thesis.tex").rename(out / "infer.json")  # an older result is
    assert main([*arguments, "--limit", "1", "--json", str(out / "x.json")]) == 2
    assert "--json" in one_line(capsys.readouterr().err)
    assert main([*arguments, "--limit", "1"]) == 0
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_report_leaves_the_older_results(
    material, checkpoint: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("older")

    def fail(comparison: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sdcl_neuro.reid.pipeline.video_page.comparison_page", fail)
    assert main([*material.arguments(checkpoint, out), "--quiet", "--limit", "1"]) == 2
    assert (out / "report.html").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture
def with_curve(checkpoint: Path, tmp_path: Path) -> Path:
    """The same checkpoint with an error curve: cosines of wrong pairs from -1 to 1, evenly."""
    from sdcl_neuro.reid.metrics.verification import Verification

    grid = np.linspace(-1, 1, 201)
    curve = Verification(9, 400, 4000, grid, (1 - grid) / 2, (grid + 1) / 4)
    loaded = load_sdcl(checkpoint)
    folder = tmp_path / "model"
    save_sdcl(
        folder,
        loaded.model,
        clip=loaded.clip,
        frame_branch=loaded.frame_branch,
        provenance={"verification": curve.to_dict()},
    )
    return folder


def test_without_an_error_curve_one_line_says_that_no_threshold_is_known(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*material.arguments(checkpoint, out), "--quiet", "--limit", "1"]) == 0
    line = "no one is called an unknown person: the checkpoint holds no error curve"
    assert capsys.readouterr().out.count(line) == 1
    told = json.loads((out / "infer.json").read_text())
    assert told["recognition"] is None
    assert line in told["recognition_reason"]
    assert f"N{line[1:]}" in (out / "report.html").read_text()


def test_below_a_stated_false_match_rate_it_is_an_unknown_person(
    material, with_curve: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [*material.arguments(with_curve, out), "--quiet"]
    assert main([*arguments, "--false-match-rate", "0.9"]) == 0
    said = capsys.readouterr().out
    assert "the same person from a cosine of -0.800: false match rate 0.9" in said
    assert "unknown person" not in said
    assert "When is it the same person?" in (out / "report.html").read_text()
    assert (
        main([*material.arguments(with_curve, out), "--quiet", "--false-match-rate", "0.001"]) == 0
    )
    said = capsys.readouterr().out
    told = json.loads((out / "infer.json").read_text())
    threshold = told["recognition"]["threshold"]
    assert threshold == pytest.approx(0.998, abs=0.01)
    best = [max(c for c in row if c < 0.9999999) for row in told["track_similarity"]["cosine"]]
    assert said.count("unknown person") == sum(cosine < threshold for cosine in best)
    page = (out / "report.html").read_text()
    assert page.count("<br>unknown person") == said.count("unknown person")
    assert main(arguments) == 0
    assumed = json.loads((out / "infer.json").read_text())["assumed"]
    assert any("false match rate of 0.01" in line for line in assumed)


def test_a_checkpoint_without_validation_persons_has_no_threshold(
    material, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*material.arguments(checkpoint, tmp_path / "out"), "--false-match-rate", "0.01"]
    assert main(arguments) == 2
    assert "training.validation_persons" in one_line(capsys.readouterr().err)
