"""`sdcl-neuro batch`: every clip's result is that of `infer` alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.reid.pipeline.clips import find_clips

TIMED = ("seconds", "latency", "created", "ledger", "wall", "threads", "processors")


def plain(value):
    """A result without what a clock or the machine's load decides."""
    if isinstance(value, dict):
        return {
            key: plain(one)
            for key, one in value.items()
            if not any(word in key for word in TIMED) and not key.endswith(("_s", "_ms", "_us"))
        }
    return [plain(one) for one in value] if isinstance(value, list) else value


@pytest.fixture
def folder(material, tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("monday", "tuesday"):
        shutil.copy(material.video, clips / f"{name}.avi")
        shutil.copy(material.tracks, clips / f"{name}.txt")
    (clips / "notes.md").write_text("not a clip")
    return clips


def test_a_batch_is_infer_on_every_clip(folder, checkpoint, tmp_path: Path, capsys) -> None:
    out, told = tmp_path / "out", tmp_path / "told.json"
    command = ["batch", str(checkpoint), str(folder), "--out", str(out), "--json", str(told)]
    options = ["--limit", "1"]
    assert main([*command, *options]) == 0
    captured = capsys.readouterr()
    assert "2 of 2 jobs done, 0 of them before" in captured.out
    assert "1 of 2: " in captured.err
    assert [job["code"] for job in json.loads(told.read_text())["jobs"]] == [0, 0]
    assert main(["check", str(told), "--quiet"]) == 0
    alone = tmp_path / "alone"
    clip = [*("--video", str(folder / "monday.avi"), "--tracks", str(folder / "monday.txt"))]
    assert (
        main(["infer", str(checkpoint), *clip, "--out", str(alone), "--quiet", "--limit", "1"]) == 0
    )
    both = [json.loads((path / "infer.json").read_text()) for path in (alone, out / "monday")]
    assert plain(both[0]) == plain(both[1])
    assert plain(both[0])["tracklets"]
    # Again: nothing is left to do.
    capsys.readouterr()
    assert main([*command, *options]) == 0
    assert "2 of 2 jobs done, 2 of them before" in capsys.readouterr().out


def test_an_option_that_infer_does_not_know(folder, checkpoint, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as caught:
        main(["batch", str(checkpoint), str(folder), "--out", str(out), "--no-such", "1"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --no-such 1" in capsys.readouterr().err
    assert not out.exists()


def test_clips_of_a_list(folder: Path) -> None:
    listed = folder / "list.csv"
    listed.write_text("\ufeffname,video,tracks\nfirst,monday.avi,monday.txt\n,tuesday.avi,\n")
    first, second = find_clips(listed)
    assert (first.name, first.tracks) == ("first", (folder / "monday.txt").resolve())
    assert (second.name, second.tracks, second.events) == ("tuesday", None, None)
    (folder / "monday.raw").write_bytes(b"x")
    assert find_clips(folder)[0].events == (folder / "monday.raw").resolve()


BAD = {
    "no clips": (lambda f: [p.unlink() for p in f.glob("*.avi")], [], "no video"),
    "no tracks": (lambda f: (f / "monday.txt").unlink(), [], "no tracks of monday"),
    "two recordings": (
        lambda f: [(f / f"monday{end}").touch() for end in (".raw", ".h5")],
        [],
        "several event files",
    ),
    "an option of its own": (lambda f: None, ["--video", "x"], "it is set for each clip"),
    "no worker": (lambda f: None, ["--workers", "0"], "0 workers"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_batches_begin_nothing(case: str, folder, checkpoint, tmp_path, capsys) -> None:
    change, more, message = BAD[case]
    change(folder)
    command = ["batch", str(checkpoint), str(folder), "--out", str(tmp_path / "out"), *more]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out" / ".jobs.json").exists()
