"""`sdcl-neuro serve` under load: persons come faster than they can be embedded.

    python bench/serve_load.py --cameras 20 --persons 10 --seconds 300 --json out.json

Every camera shows ``--persons`` tracklets a second. The server runs in a process of its own; two
pages watch all cameras. Every five seconds memory, threads, open files, queue and counts are taken
down. It fails where memory, threads or files grow after the first third, where a queue passes its
bound, where a tracklet is neither embedded nor counted as dropped, or where the end takes more than
three seconds or loses a row that was reported.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import numpy as np
import psutil

from sdcl_neuro.files import write_json
from sdcl_neuro.reid.gallery import Gallery

FPS, FRAMES_A_TRACKLET, LOOP_S = 10, 4, 20
SIZE = (320, 180)
BOX = (28, 64)
QUEUE = 64
STEP_S = 5.0
GROWTH = 1.10
"""Memory at the end, as a multiple of that after the first third."""


def film(folder: Path, persons_per_s: float) -> tuple[Path, Path]:
    """Draw persons that stand and sway, as many as give the rate; write video and tracks."""
    rng = np.random.default_rng(3)
    count = max(1, round(persons_per_s * FRAMES_A_TRACKLET / FPS))
    scene = rng.integers(80, 120, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    looks = [
        cv2.resize(rng.integers(0, 256, (8, 4, 3), np.uint8), BOX, interpolation=cv2.INTER_NEAREST)
        for _ in range(count)
    ]
    video, lines = folder / "load.avi", []
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(video), cv2.CAP_FFMPEG, codec, FPS, SIZE)
    for frame in range(FPS * LOOP_S):
        picture = scene.copy()
        for person, look in enumerate(looks):
            left = 8 + person * (SIZE[0] - BOX[0] - 24) // max(1, count - 1) + (frame % 5)
            top = 40 + 3 * (frame % 4)
            picture[top : top + BOX[1], left : left + BOX[0]] = look
            lines.append(f"{frame + 1},{person + 1},{left},{top},{BOX[0]},{BOX[1]},1,-1,-1,-1\n")
        writer.write(picture)
    writer.release()
    tracks = folder / "load.txt"
    tracks.write_text("".join(lines))
    return video, tracks


def watch(address: str, names: list[str], stop: threading.Event, taken: list[int]) -> None:
    """Be one open page that takes everything."""
    from websockets.sync.client import connect

    with connect(address.replace("http", "ws") + "api/live", max_size=8 << 20) as page:
        page.send(json.dumps({"type": "watch", "cameras": names}))
        while not stop.is_set():
            try:
                page.recv(timeout=1)
            except TimeoutError:
                continue
            taken[0] += 1


def sample(process: psutil.Process, address: str) -> dict[str, Any]:
    """Take down what may grow, and what is counted."""
    with urlopen(f"{address}api/status") as answer:
        state = json.load(answer)
    cameras = state["cameras"]
    return {
        "rss_mib": process.memory_info().rss / 2**20,
        "threads": process.num_threads(),
        "files": process.num_fds(),
        "waiting": state["waiting"],
        "deepest": state["deepest"],
        "frames": sum(camera["frames"] for camera in cameras),
        "cut": sum(camera["tracklets"] for camera in cameras),
        "dropped": state["dropped"],
        "embedded": state["totals"].get("embedded", 0),
        "enrolled": state["totals"].get("enrolled", 0),
        "viewer_drops": state["viewer_drops"],
        "live": sum(camera["state"] == "live" for camera in cameras),
    }


def load(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the server for the time asked; return samples and the end."""
    video, tracks = film(folder, args.persons)
    names = [f"camera {number:02d}" for number in range(1, args.cameras + 1)]
    gallery = folder / "load.gallery"
    command = [
        *(sys.executable, "-m", "sdcl_neuro", "serve", "--port", "0", "--queue", str(QUEUE)),
        *("--gallery", str(gallery), "--enrol"),
    ]
    for name in names:
        command += ["--camera", f"'{name}' --frames {video} --tracks {tracks} --loop"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stop, taken = threading.Event(), [0]
    samples: list[dict[str, Any]] = []
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("page: ").strip()
        pages = [threading.Thread(target=watch, args=(address, names, stop, taken)) for _ in "12"]
        for page in pages:
            page.start()
        seen, begun = psutil.Process(process.pid), time.monotonic()
        while time.monotonic() - begun < args.seconds:
            time.sleep(STEP_S)
            samples.append({"s": time.monotonic() - begun, **sample(seen, address)})
            print(json.dumps(samples[-1]), flush=True)
        stop.set()
        for page in pages:
            page.join()
        ended = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        end_s = time.monotonic() - ended
    finally:
        stop.set()
        process.kill()
    with Gallery(gallery, create=False) as found:
        rows = len(found)
    last = out.strip().splitlines()[-1]
    return {"samples": samples, "messages": taken[0], "end_s": end_s, "rows": rows,
            "code": process.returncode, "sum": last, "stderr": err[-2000:]}  # fmt: skip


def faults(found: dict[str, Any]) -> list[str]:
    """Return what does not hold."""
    samples = found["samples"]
    third, last = samples[len(samples) // 3], samples[-1]
    told = []
    for name, factor in (("rss_mib", GROWTH), ("threads", 1.0), ("files", 1.0)):
        allowed = third[name] * factor + (2 if factor == 1.0 else 0)
        if last[name] > allowed:
            told.append(f"{name} grew from {third[name]:.0f} to {last[name]:.0f}")
    if max(one["deepest"] for one in samples) > QUEUE:
        told.append("the queue passed its bound")
    if last["dropped"] == 0 and last["cut"] > last["embedded"] + QUEUE:
        told.append("drops are not counted")
    missing = last["cut"] - last["embedded"] - last["dropped"] - last["waiting"]
    if abs(missing) > QUEUE:  # a sample is not taken at one moment
        told.append(f"{missing} tracklets neither embedded nor dropped")
    if not found["sum"].endswith(f" {found['rows']:,} enrolled"):
        told.append(f"{found['rows']} rows in the gallery, said: {found['sum']}")
    if found["code"] != 0 or found["end_s"] > 3:
        told.append(f"ended with {found['code']} after {found['end_s']:.1f} s: {found['stderr']}")
    return told


def main() -> int:
    """Run the load and say what does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--persons", type=float, default=10, help="tracklets a second, each camera")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serve-load-") as folder:
        found = load(args, Path(folder))
    wrong = faults(found)
    if args.json is not None:
        stated = {"cameras": args.cameras, "persons_per_s": args.persons, "seconds": args.seconds}
        write_json(args.json, {**stated, **found, "faults": wrong})
    print(found["sum"], f"ended in {found['end_s']:.2f} s, {found['messages']} messages to pages")
    for line in wrong or ["nothing grew, nothing was lost"]:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
