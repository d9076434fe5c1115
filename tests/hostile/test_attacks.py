"""One attack, by name, for each kind of fault that was found once."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import seeds
from readers import READERS

from sdcl_neuro.cli import main
from sdcl_neuro.cli.printable import harmless, shortened
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.formats.mat import SDCL_FIELDS
from sdcl_neuro.files import atomic_folder, atomic_path, check_place, scratch_folder, write_json

SEED = (8, 2, 2, 8, 8)


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    whole = [sys.executable, "-m", "sdcl_neuro", *arguments]
    return subprocess.run(
        whole, capture_output=True, text=True, timeout=120, check=False, **options
    )


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


# Outputs over special files.


def test_a_device_is_written_through_not_replaced(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a device")
    device = tmp_path / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    write_json(device, {"a": 1})
    assert stat.S_ISCHR(device.stat().st_mode)
    assert names(tmp_path) == ["null"]


def test_a_fifo_is_written_to_its_reader_or_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no process reads it"):
        write_json(pipe, {"a": 1})
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(pipe, {"a": 1})
    assert os.read(reader, 100) == b'{\n  "a": 1\n}\n'
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_is_followed_to_its_target(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link.json", tmp_path / "far" / "target.json"
    link.symlink_to(target)
    for value in (1, 2):
        write_json(link, value)
        assert target.read_text() == f"{value}\n"
    assert link.is_symlink()
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(OSError, match="symbolic links"):
        write_json(circle, 1)


def test_standard_output_by_name_stays_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = "from sdcl_neuro.files import write_json; write_json('/dev/stdout', 5); print('after')"
    with out.open("w") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True, timeout=60)
    assert out.read_text() == "5\nafter\n"


# A full disk.


def limited(code: str) -> subprocess.CompletedProcess[str]:
    """Python code in a process that may write files of 200,000 bytes."""
    head = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "import numpy as np\nrng = np.random.default_rng(1)\n"
        "spikes = rng.integers(0, 2, (400, 1, 2, 48, 48)).astype(np.uint8)\n"
    )
    whole = [sys.executable, "-c", head + code]
    return subprocess.run(whole, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "from sdcl_neuro.network.spike_file import write_spikes; write_spikes('PATH.h5', spikes)",
        "from sdcl_neuro.network.spike_file import write_spikes; write_spikes('PATH.npz', spikes)",
        "from sdcl_neuro.network.spike_file import write_spike_blocks\n"
        "write_spike_blocks('PATH.h5', [spikes] * 9)",
        "from safetensors.numpy import save_file\nfrom sdcl_neuro.files import atomic_path\n"
        "with atomic_path('PATH') as p: save_file({'a': np.zeros(10**6)}, p)",
    ],
)
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path: Path, code: str) -> None:
    place = tmp_path / "out"
    before = tmp_path / "out.h5"
    before.write_text("what was there before")
    done = limited(code.replace("PATH", str(place)))
    assert done.returncode == 1, done.stderr  # an exception, no signal at the end of the process
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("sdcl_neuro.errors.InputError: ")
    assert str(place) in last
    assert "cannot be written: File too large" in last
    assert names(tmp_path) == ["out.h5"]
    assert before.read_text() == "what was there before"


def test_a_place_is_looked_at_before_long_work(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "folder" / "out")
    assert names(tmp_path / "new" / "folder") == []
    code = f"from sdcl_neuro.files import check_place; check_place({str(tmp_path / 'x')!r})"
    done = limited(code)
    assert "no room for 1024 KiB (File too large)" in done.stderr


def test_a_full_and_a_closed_standard_output_are_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sdcl_neuro", "hw", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["sdcl-neuro: standard output: No space left on device"]
    shell = f"exec {sys.executable} -m sdcl_neuro hw list >&-"
    done = subprocess.run(
        shell, shell=True, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "standard output is closed" in done.stderr


# Waits without end, and files that are no files.


def test_a_fifo_where_a_file_is_expected_is_refused_at_once(tmp_path: Path) -> None:
    for name, reader in READERS.items():
        if name in ("live", "checkpoint", "state"):  # a pipe is a stream there; a folder is read
            continue
        folder = tmp_path / name
        folder.mkdir()
        os.mkfifo(folder / reader.name)
        with pytest.raises(InputError, match=r"FIFO|not a regular file") as caught:
            reader.read(folder / reader.name)
        assert str(folder) in str(caught.value), name


def test_a_device_where_a_file_is_expected_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    link = tmp_path / "zero.toml"
    link.symlink_to("/dev/zero")
    assert main(["hw", "show", str(link)]) == 2
    assert "expected a hardware profile, got a device" in capsys.readouterr().err
    assert main(["train", str(link), "--out", str(tmp_path / "out")]) == 2
    assert "expected a configuration, got a device" in capsys.readouterr().err


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    import itertools

    from sdcl_neuro.hybrid.live.follow import LINE_BYTES, lines

    endless = itertools.repeat(b"1" * 4096)
    with pytest.raises(InputError, match=f"line 1 does not end within {LINE_BYTES:,} bytes"):
        list(lines(endless, where="pipe"))


def test_a_far_event_is_refused_before_the_frames_up_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "far.txt").write_text("1000 1 1 1\n2000 2 2 0\n9000000000000000 3 3 1\n")
    how = ["--sensor", "34x34", "--fps", "30", "--bins", "4"]
    out = tmp_path / "far.h5"
    assert main(["events", "encode", str(tmp_path / "far.txt"), *how, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "event 2 is at 9000000000000000 us" in said
    assert "--max-gib" in said
    assert names(tmp_path) == ["far.txt"]


def test_a_far_event_is_taken_where_more_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1000 1 1 1\n9000000 3 3 1\n")
    how = ["--sensor", "34x34", "--fps", "100", "--bins", "1", "--quiet"]
    whole = ["events", "encode", str(tmp_path / "a.txt"), *how, "--out", str(tmp_path / "a.h5")]
    assert main([*whole, "--max-gib", "0.001"]) == 2
    assert main([*whole, "--max-gib", "0.01"]) == 0


# Memory by claim, and files that point elsewhere.


@pytest.mark.parametrize("form", range(20))
@pytest.mark.parametrize("target", ["spikes-h5", "events-v2e", "net", "nir", "rectification"])
def test_every_form_of_an_hdf5_member_is_read_or_refused(
    tmp_path: Path, target: str, form: int
) -> None:
    """Vast shapes, bombs, external files and links to a FIFO, virtual data sets, circles."""
    from mutations import FORMS

    reader = READERS[target]
    path = tmp_path / reader.name
    reader.make(path)
    with h5py.File(path, "r+") as file:
        name = next(iter(file))
        item = file[name]
        shape = item.shape if isinstance(item, h5py.Dataset) else (3,)
        FORMS[form](file, name, shape or (1,))
    refused = None
    try:
        reader.read(path)
    except InputError as error:
        refused = str(error)
    assert refused is None or str(path) in refused


def test_a_claim_is_allowed_where_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sdcl_neuro.network.spike_file import read_spikes

    path = tmp_path / "s.npz"
    np.savez_compressed(path, spikes=np.zeros((100, 1, 100_000), np.uint8))
    assert read_spikes(path).shape == (100, 1, 100_000)
    monkeypatch.setenv("SDCL_NEURO_MAX_INPUT_GIB", "0.001")
    with pytest.raises(InputError, match="SDCL_NEURO_MAX_INPUT_GIB=N"):
        read_spikes(path)
    monkeypatch.setenv("SDCL_NEURO_MAX_INPUT_GIB", "much")
    with pytest.raises(InputError, match="must be a positive number"):
        read_spikes(path)


def test_a_tag_that_claims_more_than_its_file_allocates_nothing(tmp_path: Path) -> None:
    from sdcl_neuro.files.matlab import check_matlab

    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (tmp_path / "outer.mat").write_bytes(head + struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64))
    with pytest.raises(InputError, match="truncated"):
        check_matlab(tmp_path / "outer.mat")
    inner = struct.pack("<II", 14, 64) + struct.pack("<II", 9, 0x7FFFFFF0) + bytes(56)
    (tmp_path / "inner.mat").write_bytes(head + inner)
    with pytest.raises(InputError, match="an element of"):
        check_matlab(tmp_path / "inner.mat")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{video}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile '{video}'\n"),
        ("list.mp4", "ffconcat version 1.0\nfile '{video}'\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_a_playlist_does_not_play_other_files(tmp_path: Path, name: str, content: str) -> None:
    from readers import read_video

    seeds.video(tmp_path / "v.avi")
    assert read_video(tmp_path / "v.avi") == 8
    path = tmp_path / name
    path.write_text(content.replace("{video}", str(tmp_path / "v.avi")))
    with pytest.raises(InputError, match="is not a video that OpenCV can read"):
        read_video(path)


def test_a_picture_that_claims_gigapixels_is_refused(tmp_path: Path) -> None:
    import zlib

    from readers import read_picture

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    body = head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(InputError, match="not a picture"):
        read_picture(tmp_path / "a.png")


def test_an_onnx_file_does_not_name_other_files(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from readers import read_detector, read_onnx

    path = tmp_path / "d.onnx"
    seeds.onnx(path)
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="other.bin", size_threshold=0)
    for read in (read_detector, read_onnx):
        with pytest.raises(InputError, match="outside the file"):
            read(path)


# Damaged input.


@pytest.mark.parametrize("word", ["9" * 5000, "1" * 20_000])
def test_numbers_of_thousands_of_digits(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f"name = {word}\n")
    assert main(["hw", "show", str(path)]) == 2
    out = str(tmp_path / "out")
    assert main(["train", str(path), "--out", out]) == 2
    assert main(["train", "compact", f"training.seed={word}", "--out", out]) == 2
    assert main(["train", "compact", "a." * 3000 + "b=1", "--out", out]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert all(len(line) < 2100 for line in said)


def test_a_number_beyond_floats_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"homography = [[1, 0, 0], [0, 1, {'9' * 400}], [0, 0, 1]]\n")
    with pytest.raises(InputError, match="is not numbers") as told:
        READERS["calibration"].read(path)
    assert str(path) in str(told.value)


def test_a_profile_that_extends_itself_or_a_thousand_others(tmp_path: Path) -> None:
    from sdcl_neuro.hardware import load_profile

    one = tmp_path / "one.toml"
    one.write_text(f'extends = "{tmp_path}/../{tmp_path.name}/one.toml"\n')
    with pytest.raises(InputError, match="extends itself"):
        load_profile(one)
    for k in range(1200):
        (tmp_path / f"p{k}.toml").write_text(f'extends = "{tmp_path}/p{k + 1}.toml"\n')
    with pytest.raises(InputError, match="extends more than 8 profiles"):
        load_profile(tmp_path / "p0.toml")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET metadata = CAST(x'fffe' AS TEXT)",
        "UPDATE entry SET label = CAST(x'fffe41' AS TEXT)",
        "UPDATE entry SET label = x'00ff'",
        "UPDATE entry SET metadata = '[1]'",
        "UPDATE entry SET time_us = 'soon'",
        "UPDATE entry SET embedding = 'short'",
        "UPDATE gallery SET dimension = 'eight'",
        "UPDATE gallery SET model = x'ff'",
        "DROP TABLE entry; CREATE VIEW entry AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL "
        "SELECT x + 1 FROM c) SELECT x AS id, x AS embedding, x AS label, x AS camera, "
        "x AS time_us, x AS source, x AS key, x AS metadata FROM c",
        "CREATE TRIGGER more AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
    ],
)
def test_a_damaged_gallery_is_one_line(tmp_path: Path, change: str) -> None:
    from readers import read_gallery

    path = tmp_path / "g.gallery"
    seeds.gallery(path)
    read_gallery(path)
    base = sqlite3.connect(path)
    base.executescript(change)
    base.close()
    with pytest.raises(InputError, match=r"g\.gallery"):
        read_gallery(path)


def test_a_damaged_index_whose_hash_is_right_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    import hashlib

    from sdcl_neuro.reid.gallery import Enrolment, Gallery
    from sdcl_neuro.reid.gallery.sqlite import embedded
    from sdcl_neuro.reid.gallery.sqlite.index_file import index_path

    monkeypatch.setattr(embedded, "KEPT_FROM", 10)
    rng = np.random.default_rng(1)
    rows = [
        Enrolment(embedding=rng.normal(size=8).astype(np.float32), label=str(k)) for k in range(40)
    ]
    path = tmp_path / "g"
    how = {"model": "m" * 64, "dimension": 8, "engine": "faiss"}
    with Gallery(path, **how) as held:  # type: ignore[arg-type]
        held.enrol(rows)
        good = held.search(rows[3].embedding[None], k=2)
    index = index_path(path, "cosine")
    assert index.is_file()
    for content in (index.read_bytes()[:100], b"IxFI" + b"\xff" * 200, b""):
        index.write_bytes(content)
        base = sqlite3.connect(path)
        base.execute("UPDATE cache SET sha256 = ?", (hashlib.sha256(content).hexdigest(),))
        base.commit()
        base.close()
        with Gallery(path, **how) as held:  # type: ignore[arg-type]
            assert held.search(rows[3].embedding[None], k=2) == good


# What a terminal shows.


def test_terminal_escapes_are_spelled_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert harmless("a\x1b[2J\u202eb\nc\x9b") == "a\\x1b[2J\\u202eb c\\x9b"
    assert harmless("Grüße, 日本") == "Grüße, 日本"
    profile = (seeds.TESTS.parent / "hw_profiles" / "loihi1.toml").read_text("utf-8")
    title = next(line for line in profile.splitlines() if line.startswith("title"))
    path = tmp_path / "evil.toml"
    path.write_text(profile.replace(title, 'title = "\\u001b]0;owned\\u0007\\u001b[2Jchip"'))
    assert main(["hw", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\\x1b]0;owned\\x07" in shown


def test_long_messages_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    text = shortened("a" * 5000 + "the end", 300)
    assert len(text) < 360
    assert text.endswith("the end")
    assert main(["hw", "show", "x" * 100_000]) == 2
    assert len(capsys.readouterr().err) < 2200


# Litter.


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom sdcl_neuro.files import atomic_folder, atomic_path\n"
        "with atomic_path(sys.argv[1] + '/a.json') as p, atomic_folder(sys.argv[1] + '/f') as f:\n"
        "    p.write_text('half'); (f / 'x').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert len(names(tmp_path)) == 2
    own = tmp_path / ".a.json.settings"
    own.write_text("a user's own")
    code = "import sys\nfrom sdcl_neuro.files import write_json\nwrite_json(sys.argv[1], 1)\n"
    target = str(tmp_path / "a.json")
    subprocess.run([sys.executable, "-c", code, target], check=True, timeout=60)
    assert names(tmp_path) == [".a.json.settings", "a.json"]


def test_what_is_being_written_is_no_litter(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as one, atomic_folder(tmp_path / "b") as two:
        one.write_text("whole")
        (two / "x").write_text("whole")
        code = "import sys\nfrom sdcl_neuro.files import write_json\nwrite_json(sys.argv[1], 1)\n"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], check=True, timeout=60)
    assert (tmp_path / "a").read_text() == "whole"
    assert (tmp_path / "b" / "x").read_text() == "whole"


def test_scratch_folders_of_killed_commands_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os, signal, sys, tempfile\ntempfile.tempdir = sys.argv[1]\n"
        "from sdcl_neuro.files import scratch_folder\n"
        "with scratch_folder('sdcl_neuro_lava') as f: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    (left,) = names(tmp_path)
    with scratch_folder("sdcl_neuro_lava") as folder:
        assert names(tmp_path) == [folder.name] != [left]
    assert names(tmp_path) == []


def test_a_folder_is_whole_at_every_moment(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for value in "ab":
        with atomic_folder(target) as folder:
            (folder / "x").write_text(value)
        assert (target / "x").read_text() == value
    assert names(tmp_path) == ["out"]


def test_onnx_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

    weights = onnx.numpy_helper.from_array(np.zeros((2, 2), np.float32), "conv1.weight")
    graph = onnx.helper.make_graph([], "g", [], [], [weights])
    content = onnx.helper.make_model(graph).SerializeToString()
    path = tmp_path / "w.onnx"
    path.write_bytes(content.replace(b"conv1.weight", b"conv1\xff\xfe\xfdight"))
    with pytest.raises(InputError, match="not UTF-8") as told:
        convert_onnx(path, tmp_path / "w.safetensors")
    assert str(path) in str(told.value)


@pytest.mark.parametrize("value", [np.zeros(0), np.arange(3.0), "NIRGraf"])
def test_a_nir_type_that_is_no_word_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.nir"
    READERS["nir"].make(path)
    with h5py.File(path, "r+") as file:
        del file["node/type"]
        file["node/type"] = value
    with pytest.raises(InputError, match=r"not a graph|not one text") as told:
        READERS["nir"].read(path)
    assert str(path) in str(told.value)


def test_fields_of_different_lengths_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / READERS["events-matlab73"].name
    READERS["events-matlab73"].make(path)
    with h5py.File(path, "r+") as file:
        name = SDCL_FIELDS["x"]
        del file[name]
        file.create_dataset(name, shape=(1, 1 << 28), dtype="u1", chunks=(1, 1 << 24))
    begun = time.process_time()
    with pytest.raises(InputError, match=r"different lengths"):
        READERS["events-matlab73"].read(path)
    assert time.process_time() - begun < 2


def test_a_view_without_end_in_a_ros_bag_is_refused(tmp_path: Path) -> None:
    path = tmp_path / READERS["events-db3"].name
    READERS["events-db3"].make(path)
    with sqlite3.connect(path) as base:
        names_of = [row[1] for row in base.execute("PRAGMA table_info(message_definitions)")]
        base.execute("DROP TABLE message_definitions")
        columns = ", ".join(f'x AS "{name}"' for name in names_of)
        base.execute(
            "CREATE VIEW message_definitions AS WITH RECURSIVE c(x) AS "
            f"(SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {columns} FROM c"
        )
    base.close()
    with pytest.raises(InputError, match="damaged") as told:
        READERS["events-db3"].read(path)
    assert str(path) in str(told.value)


def test_a_shape_of_a_million_axes_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / READERS["net"].name
    READERS["net"].make(path)
    with h5py.File(path, "r+") as file:
        shape = file["layer/0/shape"]
        del file["layer/0/shape"]
        file["layer/0"].create_dataset("shape", shape=(1 << 20,), dtype=shape.dtype, chunks=True)
    with pytest.raises(InputError) as told:
        READERS["net"].read(path)
    assert len(str(told.value)) < 2000
