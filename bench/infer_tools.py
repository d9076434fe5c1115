"""Tools of test_infer.py: `infer` from file to report, its start, and videos with many persons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from tools import Timed

from sdcl_neuro.demo import clip_path, tracks_path

Call = Callable[[], Timed]
_BYTECODE = tempfile.TemporaryDirectory(prefix="sdcl-neuro-bytecode-")
FRAMES, BOX, PICTURE = 80, (56, 140), (768, 432)
"""Frames that the made tracks last; width and height of their boxes and of the clip's pictures."""
_FIRST = """
import sys, time
began = float(sys.argv.pop(1))
from sdcl_neuro.processors import wait_asleep
wait_asleep()
from sdcl_neuro.cli import main
from sdcl_neuro.hybrid.runtime.dense import DenseSide
embed = DenseSide.embed
def first(self, *given):
    print("first tracklet", time.monotonic() - began, flush=True)
    DenseSide.embed = embed
    return embed(self, *given)
DenseSide.embed = first
sys.exit(main())
"""


def kept_bytecode() -> dict[str, str]:
    """The environment of a process that keeps what Python compiles, as a user's does.

    Where `PYTHONDONTWRITEBYTECODE` is set, as in some containers, every start would compile the
    package's modules again.
    """
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return own | {"PYTHONPYCACHEPREFIX": _BYTECODE.name}


def _arguments(out: str, kind: str, tracks: Path) -> list[str]:
    given = ["infer", "--video", str(clip_path()), "--tracks", str(tracks), "--out", out]
    return [*given, "--dense-backend", kind]


def whole(kind: str) -> Call:
    """A process from its start to the written report, on the packaged clip and model."""

    def call() -> Timed:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "out")
            command = [sys.executable, "-m", "sdcl_neuro", *_arguments(out, kind, tracks_path())]
            began = perf_counter()
            subprocess.run(
                [*command, "--quiet"], check=True, capture_output=True, env=kept_bytecode()
            )
            seconds = perf_counter() - began
            told = json.loads((Path(out) / "infer.json").read_text(encoding="utf-8"))
        stages = {one["name"]: one["total_s"] for one in told["ledger"]["stages"]}
        return Timed(seconds, {"tracklets": len(told["tracklets"]), **stages})

    return call


def to_first_tracklet() -> Call:
    """Seconds from the process's start to the first batch in the dense side."""

    def call() -> Timed:
        with tempfile.TemporaryDirectory() as folder:
            given = [*_arguments(f"{folder}/out", "folded", tracks_path()), "--quiet"]
            began = monotonic()  # of the machine, so both processes read the same clock
            process = subprocess.Popen(
                [sys.executable, "-c", _FIRST, str(began), *given],
                stdout=subprocess.PIPE,
                text=True,
                env=kept_bytecode(),
            )
            assert process.stdout is not None
            line = process.stdout.readline()
            process.kill()
            process.communicate()
        assert line.startswith("first tracklet"), line
        return Timed(float(line.split()[-1]), 0)

    return call


def to_first_sign() -> Call:
    """Seconds from the process's start to the first line on a terminal."""

    def call() -> Timed:
        ours, theirs = os.openpty()
        with tempfile.TemporaryDirectory() as folder:
            given = _arguments(f"{folder}/out", "folded", tracks_path())
            began = perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "sdcl_neuro", *given],
                stderr=theirs,
                stdout=theirs,
                env=kept_bytecode(),
            )
            os.read(ours, 1)
            seconds = perf_counter() - began
            process.kill()
            process.wait()
        os.close(ours)
        os.close(theirs)
        return Timed(seconds, 0)

    return call


def tiny_run() -> Call:
    """A process that runs a tiny network on the engine, from its start to the written spikes."""
    import numpy as np

    from sdcl_neuro import conversion
    from sdcl_neuro.network.spike_file import write_spikes  # noqa: F401
    from sdcl_neuro.testing import random_network

    folder = Path(tempfile.mkdtemp(prefix="sdcl_bench"))
    net = random_network(1, kind="conv")
    conversion.to_netx(net, folder / "tiny.net")
    rng = np.random.default_rng(0)
    spikes = (rng.random((8, 1, *net.input_shape)) < 0.1).astype(np.uint8)
    np.savez(folder / "spikes.npz", spikes=spikes)
    command = [
        *(sys.executable, "-m", "sdcl_neuro", "run", str(folder / "tiny.net")),
        *("--spikes", str(folder / "spikes.npz"), "--out", str(folder / "out.npz"), "--quiet"),
    ]

    def call() -> Timed:
        began = perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=kept_bytecode())
        return Timed(perf_counter() - began, 0)

    return call


def made_tracks(persons: int, path: Path) -> None:
    """So many boxes that drift through the clip's pictures, as MOTChallenge."""
    width, height = BOX
    lines = []
    for frame in range(FRAMES):
        for person in range(persons):
            left = (37 * person + 3 * frame) % (PICTURE[0] - width)
            top = (53 * person) % (PICTURE[1] - height)
            lines.append(f"{frame + 1},{person + 1},{left},{top},{width},{height},1,-1,-1,-1")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def followed(persons: int, kind: str) -> Call:
    """The clip's first frames with so many persons in view, from the open file to the report."""
    from sdcl_neuro.reid.pipeline.infer_video import compare_tracks, write_comparison
    from sdcl_neuro.reid.pipeline.video import Source

    folder = Path(tempfile.mkdtemp(prefix="sdcl_bench"))
    made_tracks(persons, folder / "tracks.txt")

    def call() -> Timed:
        began = perf_counter()
        found: Any = compare_tracks(
            None, Source(clip_path(), folder / "tracks.txt"), dense_backend=kind
        )
        write_comparison(found, folder / "out")
        return Timed(perf_counter() - began, 0)

    return call
