"""`sdcl-neuro live`: the same tracklets as `infer`, from files, pipes and growing files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion.event_side import event_backend, load_hybrid
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig, write_events
from sdcl_neuro.events.alignment import Alignment, Mapping
from sdcl_neuro.events.options import ReadingOptions
from sdcl_neuro.events.tracklets import Video, plan_chunks, read_mot, simulate_video
from sdcl_neuro.events.tracklets.cut import cut_plan
from sdcl_neuro.hybrid.live import LiveSettings, run_live
from sdcl_neuro.hybrid.runtime import infer
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.pipeline.live_stream import watch

WHOLE = LiveSettings(mode="throughput", policy="block", batch=3)
# Windows of two frames without an overlap: nine frames give four.
WINDOWS = {7: 5, 2: 4, 5: 4}


@pytest.fixture(scope="module")
def wanted(material, checkpoint: Path) -> dict[tuple[int, int], np.ndarray]:
    """Embeddings by track and first frame, as `infer` has them."""
    loaded, events = load_hybrid(checkpoint)
    video = Video(material.video)
    plan = plan_chunks(read_mot(material.tracks), frames=loaded.clip.frames)
    config = loaded.clip.simulator or SimulatorConfig()
    tracklets = cut_plan(video, plan, config, bins=loaded.clip.bins, size=loaded.clip.size)
    result = infer(loaded.model, tracklets, event_backend(events, "loihi"), batch=1)
    return {
        (one.person, int(one.indices[0]) + 1): row
        for one, row in zip(tracklets, result.embeddings, strict=True)
    }


def seen_by(checkpoint: Path, source: LiveSource, settings: LiveSettings = WHOLE):
    found = {}
    report = watch(
        checkpoint,
        source,
        settings=settings,
        on_seen=lambda seen, row: found.update({(seen.track, seen.first_frame): row.copy()}),
    )
    return report, found


def assert_same(found: dict, wanted: dict) -> None:
    assert len(found) == sum(WINDOWS.values())
    for key, row in found.items():
        # The batches differ, so sums may round differently; spikes may not.
        assert np.allclose(row, wanted[key], atol=1e-5), key


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_a_recorded_stream_gives_what_infer_gives(material, checkpoint, wanted, mode) -> None:
    source = LiveSource(str(material.video), str(material.tracks), speed=0)
    checkpoint = str(checkpoint)  # a text will do
    settings = LiveSettings(mode=mode, policy="block", batch=2, queue=3)
    report, found = seen_by(checkpoint, source, settings)
    assert_same(found, wanted)
    assert (report.frames, report.cut, report.embedded) == (11, 13, 13)
    assert (report.dropped, report.unfinished, report.late_boxes) == (0, 0, 0)

    assert report.deepest <= 3
    assert {stage.name for stage in report.ledger.stages} >= {"cutting", "event branch", "bridge"}
    assert report.latency_ms(50) <= report.latency_ms(100)


def test_pipes_give_the_same_as_files(material, checkpoint, wanted, tmp_path: Path) -> None:
    """Frames, boxes and events each through a pipe of its own, all written at once."""
    loaded, _ = load_hybrid(checkpoint)
    video = Video(material.video)
    pictures = b"".join(frame.tobytes() for _, _, frame in video)
    events = simulate_video(video, loaded.clip.simulator)
    boxes = sorted(material.tracks.read_text().splitlines(), key=lambda x: int(x.split(",")[0]))
    contents = {
        "frames": pictures,
        "tracks": ("\n".join(boxes) + "\n").encode(),
        "events": events.array.tobytes(),
    }
    writers = []
    for name, content in contents.items():
        os.mkfifo(tmp_path / name)
        writers.append(threading.Thread(target=(tmp_path / name).write_bytes, args=(content,)))
        writers[-1].start()
    source = LiveSource(
        str(tmp_path / "frames"),
        str(tmp_path / "tracks"),
        str(tmp_path / "events"),
        growing=True,
        raw_size=video.size,
        fps=video.fps,
        reading=ReadingOptions(sensor=video.size),
        event_format="records",
        patience_s=20,
    )
    report, found = seen_by(checkpoint, source)
    for writer in writers:
        writer.join()
    assert_same(found, wanted)
    assert (report.late_events, report.late_boxes, report.dropped) == (0, 0, 0)


def test_a_slow_backend_drops_the_oldest_and_counts_them(material, checkpoint) -> None:
    loaded, events = load_hybrid(checkpoint)
    backend, begun, gate = event_backend(events, "loihi"), threading.Event(), threading.Event()

    def slow(spikes):
        begun.set()
        assert gate.wait(20)
        return backend(spikes)

    from sdcl_neuro.events.tracklets.event_source import SimulatedEvents
    from sdcl_neuro.hybrid.live.boxes import RecordedBoxes
    from sdcl_neuro.hybrid.live.frames import PacedVideo

    video = Video(material.video)

    class Held(PacedVideo):
        """Gives the last frame only when the backend may go on."""

        def frames(self, stop):
            for index, time_us, frame in super().frames(stop):
                if index == 2:
                    assert begun.wait(20)  # the first tracklet is under way, not in the queue
                yield index, time_us, frame
            gate.set()

    names = []
    report = run_live(
        loaded.model,
        loaded.clip,
        slow,
        frames=Held(video, 0),
        events=SimulatedEvents(SimulatorConfig(threshold_on=0.15), video.size),
        boxes=RecordedBoxes(material.tracks),
        settings=LiveSettings(batch=1, queue=4),
        on_seen=lambda seen, row: names.append(seen.name),
    )
    assert (report.cut, report.embedded, report.dropped, report.deepest) == (13, 5, 8, 4)
    assert names[0] == "t7-f1"  # it was under way
    assert {int(name.split("f")[1]) for name in names[1:]} == {7, 8, 9}  # the latest of the others
    assert "8 dropped (oldest)" in str(report)


def test_real_speed_is_kept(material, checkpoint) -> None:
    source = LiveSource(str(material.video), str(material.tracks), speed=4)
    report, _ = seen_by(checkpoint, source, LiveSettings(policy="block"))
    assert report.seconds >= 10 / 20 / 4  # ten intervals of a twentieth of a second


def test_the_command_line(material, checkpoint, tmp_path: Path, capsys) -> None:
    out, summary = tmp_path / "seen.jsonl", tmp_path / "live.json"
    arguments = [
        *("live", str(checkpoint), "--frames", str(material.video)),
        *("--tracks", str(material.tracks), "--speed", "0", "--drop", "none"),
        *("--out", str(out), "--json", str(summary)),
    ]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "11 frames in" in captured.out
    assert "[measured]" in captured.out
    assert captured.err.count("\n") == 13 + 3  # the model, and what is assumed of times and events
    assert "most like track" in captured.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["name"] for row in rows].count("t7-f1") == 1
    assert {len(row["embedding"]) for row in rows} == {16}
    told = json.loads(summary.read_text())
    assert told["schema"] == {"name": "sdcl_neuro.live", "version": 1}
    assert told["embedded"] == 13
    assert main(arguments) == 2  # another session's results are not overwritten
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--frames", "-", "--tracks", "-"], "2 sources on standard input"),
        (["--frames", "-"], "give --frame-size WxH and --fps"),
        (["--frame-size", "160x96"], "give --fps"),
        (["--events", "x", "--event-format", "text"], "give --sensor WxH"),
        (["--batch", "9", "--queue", "4"], "a queue that holds it"),
        (["--speed", "-1"], "speed of -1"),
        (["--backend", "abacus"], "abacus"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_one_line(material, checkpoint, capsys, extra, told: str) -> None:
    arguments = ["live", str(checkpoint), "--frames", str(material.video)]
    assert main([*arguments, "--tracks", str(material.tracks), *extra]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_bad_line_in_a_stream_ends_it_after_what_came_before(
    material, checkpoint, tmp_path: Path
) -> None:
    boxes = sorted(material.tracks.read_text().splitlines(), key=lambda x: int(x.split(",")[0]))
    cut = [line for line in boxes if int(line.split(",")[0]) <= 4]
    tracks = tmp_path / "tracks.txt"
    tracks.write_text("\n".join([*cut, "5,7,nonsense"]) + "\n")
    source = LiveSource(str(material.video), str(tracks), growing=True, speed=0, idle_s=0.2)
    with pytest.raises(InputError, match=f"line {len(cut) + 1}"):
        seen_by(checkpoint, source)


def test_an_interrupt_ends_in_good_order(material, checkpoint, tmp_path: Path) -> None:
    """A tracker that never ends; Ctrl-C finishes what is under way and prints the sum."""
    video = Video(material.video)
    pipe = tmp_path / "frames"
    os.mkfifo(pipe)
    command = [
        *(sys.executable, "-m", "sdcl_neuro", "live", str(checkpoint), "--frames", str(pipe)),
        *("--frame-size", f"{video.width}x{video.height}", "--fps", "20"),
        *("--tracks", str(material.tracks)),
    ]
    # Opened for reading too, so that it neither blocks here nor ends there.
    held = os.open(pipe, os.O_RDWR)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    pictures = b"".join(frame.tobytes() for _, _, frame in video)
    writer = threading.Thread(target=os.write, args=(held, pictures), daemon=True)
    writer.start()
    assert process.stderr is not None
    assert process.stderr.readline().startswith("assumed: no events: they are simulated")
    assert process.stderr.readline().startswith("the model: ")
    seen = process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    os.close(held)
    assert process.returncode == 0, errors
    assert seen.startswith("track 7, frames 1 to 2")
    assert "frames in" in output
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--patience", "-5"], "--patience: frames wait -5 ms; give 0 to 60000 ms"),
        (["--idle", "0"], "--idle: a growing file may rest for 0 s; give more than 0 s"),
        (["--event-format", "text"], "--event-format: there is no stream of events"),
    ],
)
def test_what_would_mean_nothing_is_refused(
    material, checkpoint, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    sources = ["--frames", str(material.video), "--tracks", str(material.tracks)]
    assert main(["live", str(checkpoint), *sources, *given]) == 2
    assert message in capsys.readouterr().err


def test_events_of_a_recording_are_taken_too(material, checkpoint, wanted, tmp_path: Path) -> None:
    loaded, _ = load_hybrid(checkpoint)
    recorded = simulate_video(Video(material.video), loaded.clip.simulator)
    write_events(tmp_path / "events.npz", recorded)
    source = LiveSource(
        str(material.video), str(material.tracks), str(tmp_path / "events.npz"), speed=0
    )
    _, found = seen_by(checkpoint, source)
    assert_same(found, wanted)


def test_a_stream_of_another_clock_and_view(material, checkpoint, wanted, tmp_path: Path) -> None:
    """Upside down and a day late, as records that a camera writes; stated, it is the same."""
    loaded, _ = load_hybrid(checkpoint)
    recorded = simulate_video(Video(material.video), loaded.clip.simulator)
    array = recorded.array.copy()
    array["t"] += 86_400_000_000
    width, height = recorded.width, recorded.height
    array["x"], array["y"] = width - 1 - array["x"], height - 1 - array["y"]
    array.tofile(tmp_path / "events")
    rows = ((-1.0, 0.0, width - 1.0), (0.0, -1.0, height - 1.0), (0.0, 0.0, 1.0))
    source = LiveSource(
        str(material.video),
        str(material.tracks),
        str(tmp_path / "events"),
        reading=ReadingOptions(sensor=(width, height)),
        alignment=Alignment(offset_us=-86_400_000_000, mapping=Mapping(rows)),
        event_format="records",
        speed=0,
        idle_s=0.2,
        patience_s=5,
    )
    report, found = seen_by(checkpoint, source)
    assert_same(found, wanted)
    assert report.notes == ()
    lost = replace(source, alignment=Alignment(), patience_s=0.01)
    report, _ = seen_by(checkpoint, lost)
    (note,) = report.notes
    assert "another clock" in note
    assert note in str(report)
    assert note in report.to_dict()["notes"]


def test_ranges_cannot_be_taken_from_a_stream() -> None:
    with pytest.raises(InputError, match="takes its ranges from tracklets"):
        LiveSettings(dense_backend="onnx-int8")


def test_another_dense_backend_says_the_same(material, checkpoint, wanted) -> None:
    source = LiveSource(str(material.video), str(material.tracks), speed=0)
    settings = LiveSettings(mode="throughput", policy="block", batch=3, dense_backend="eager")
    _, found = seen_by(checkpoint, source, settings)
    assert len(found) == sum(WINDOWS.values())
    for key, row in found.items():
        assert np.allclose(row, wanted[key], atol=1e-4), key
