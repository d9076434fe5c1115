"""Every reader of files from outside: how a good file is made, and how it is read.

A new reader is one row. A seed is a folder with one file, or several, of which the reader is given
the first; each mutated copy lies in a folder of its own, whose name errors must hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import seeds
from seeds import SENSOR

from sdcl_neuro.errors import InputError


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        name: of the file, or of the file within the seed's folder that is mutated.
        make: writes a good file.
        read: reads it, as a verb would.
        kind: of mutations that know its structure: ``bytes``, ``text``, ``json``, ``zip``,
            ``hdf5``, ``sqlite``, ``safetensors``.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    kind: str = "bytes"

    def warm(self) -> None:
        """Read a good file, so that nothing is imported or compiled under limits."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.name
            self.make(path)
            with contextlib.suppress(InputError):  # see `REFUSED_SEEDS`
                self.read(path)


def read_events(path: Path) -> Any:
    """As ``events info`` and ``events encode`` do, in parts."""
    from sdcl_neuro.events import list_streams, read_parts

    list_streams(path)
    sensor = SENSOR if path.suffix in (".npy", ".txt", ".h5", ".mat", ".bin") else None
    return sum(len(part) for part in read_parts(path, sensor=sensor, part_events=4096))


def read_spikes(path: Path) -> Any:
    """As ``run`` does, with and without memory for all of them."""
    from sdcl_neuro.network.spike_file import read_spikes
    from sdcl_neuro.network.spike_stream import read_pieces

    if path.suffix == ".h5":
        with read_pieces(path) as reader:
            reader.read(slice(0, 2), slice(0, 1))
    return read_spikes(path)


def read_nirdata(path: Path) -> Any:
    from sdcl_neuro.network.nirdata import read_nodes

    return read_nodes(path, step_s=1.0)


def read_layers(path: Path) -> Any:
    from sdcl_neuro.network.spike_file import read_layers

    return read_layers(path)


def read_network(path: Path) -> Any:
    """As every verb reads a network."""
    from sdcl_neuro import load

    return load(path, **({"dt": 1e-3} if path.suffix == ".nir" else {}))


def read_tracks(path: Path) -> Any:
    from sdcl_neuro.events.tracklets import read_mot

    return read_mot(path)


def read_profile(path: Path) -> Any:
    from sdcl_neuro.hardware import load_profile

    return load_profile(path)


def read_configuration(path: Path) -> Any:
    from sdcl_neuro.reid.configuration import load_configuration

    return load_configuration(path)


def read_calibration(path: Path) -> Any:
    from sdcl_neuro.events.alignment.calibration import read_mapping

    return read_mapping(path)


def read_alignment(path: Path) -> Any:
    from sdcl_neuro.events.alignment.document import read_alignment

    return read_alignment(path)


def read_stamps(path: Path) -> Any:
    from sdcl_neuro.events.alignment import read_frame_stamps

    return read_frame_stamps(path)


def read_baseline(path: Path) -> Any:
    from sdcl_neuro.profiling.baseline import read_baseline

    return read_baseline(path)


def read_weights(path: Path) -> Any:
    from sdcl_neuro.hybrid.frame_branch.weights import read_tensors

    return read_tensors(path)


def read_checkpoint(path: Path) -> Any:
    from sdcl_neuro.snn.checkpoint import load_checkpoint

    return load_checkpoint(path.parent)


def read_gallery(path: Path) -> Any:
    """Open, search and list, as ``infer --gallery`` does."""
    from sdcl_neuro.reid.gallery import Gallery

    with Gallery(path, model="m" * 64, dimension=8) as gallery:
        gallery.entries()
        return gallery.search(np.ones((1, 8), np.float32), k=3)


def read_picture(path: Path) -> Any:
    from sdcl_neuro.reid.datasets.folder import read_picture

    return read_picture(path)


def read_video(path: Path) -> Any:
    from sdcl_neuro.events.alignment import Alignment
    from sdcl_neuro.events.tracklets import open_video

    return sum(1 for _ in open_video(path, Alignment()))


def read_rectification(path: Path) -> Any:
    from sdcl_neuro.events.rectification import read_rectification

    return read_rectification(path, SENSOR)


def read_splits(path: Path) -> Any:
    from sdcl_neuro.reid.datasets.splits import load_table, read_prid_splits

    return load_table(path, "ls_set") if path.suffix == ".mat" else read_prid_splits(path)


def read_live(path: Path) -> Any:
    """The lines of a growing file."""
    import threading

    from sdcl_neuro.hybrid.live.follow import follow, lines

    chunks = follow(str(path), idle_s=0.0, stop=threading.Event())
    return sum(map(len, lines(chunks, where=str(path))))


def read_onnx(path: Path) -> Any:
    """As ``weights convert`` does; a good file is not an OSNet, which is said."""
    from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

    return convert_onnx(path, path.with_name("out.safetensors"))


def read_detector(path: Path) -> Any:
    from sdcl_neuro.events.tracklets.detecting.onnx_detector import OnnxDetector

    return OnnxDetector(path, threads=1)


def read_state(path: Path) -> Any:
    from sdcl_neuro.reid.training.state import read_state

    return read_state(path.parent)


EVENTS: dict[str, Reader] = {
    "events-npz": Reader("a.npz", seeds.events_npz, read_events, "zip"),
    "events-npy": Reader("a.npy", seeds.events_npy, read_events),
    "events-text": Reader("a.txt", seeds.events_text, read_events, "text"),
    "events-evt3": Reader("a.raw", seeds.events_evt3, read_events),
    "events-evt2": Reader("a.raw", seeds.events_evt2, read_events),
    "events-dat": Reader("a.dat", seeds.events_dat, read_events),
    "events-es": Reader("a.es", seeds.events_es, read_events),
    "events-aedat4": Reader("a.aedat4", seeds.events_aedat4, read_events),
    "events-dsec": Reader("a.h5", seeds.events_dsec, read_events, "hdf5"),
    "events-v2e": Reader("a.h5", seeds.events_v2e, read_events, "hdf5"),
    "events-matlab73": Reader("a.mat", seeds.events_matlab73, read_events, "hdf5"),
    "events-mat": Reader("a.mat", seeds.events_mat, read_events),
    "events-nmnist": Reader("a.bin", seeds.events_nmnist, read_events),
    "events-rosbag1": Reader("a.bag", seeds.events_rosbag1, read_events),
    "events-mcap": Reader("a.mcap", seeds.events_mcap, read_events),
    "events-db3": Reader("a.db3", seeds.events_db3, read_events, "sqlite"),
}
OTHERS: dict[str, Reader] = {
    "spikes-npz": Reader("s.npz", seeds.spikes, read_spikes, "zip"),
    "spikes-h5": Reader("s.h5", seeds.spikes, read_spikes, "hdf5"),
    "nirdata": Reader("s.nirdata", seeds.nirdata, read_nirdata, "hdf5"),
    "layers-npz": Reader("l.npz", seeds.layers, read_layers, "zip"),
    "layers-h5": Reader("l.h5", seeds.layers, read_layers, "hdf5"),
    "net": Reader("n.net", seeds.net, read_network, "hdf5"),
    "nir": Reader("n.nir", seeds.nir, read_network, "hdf5"),
    "tracks": Reader("t.txt", seeds.tracks, read_tracks, "text"),
    "profile": Reader("p.toml", seeds.profile, read_profile, "text"),
    "configuration": Reader("c.toml", seeds.configuration, read_configuration, "text"),
    "calibration": Reader("h.toml", seeds.calibration, read_calibration, "text"),
    "homography": Reader("h.txt", seeds.homography, read_calibration, "text"),
    "alignment": Reader("a.toml", seeds.alignment, read_alignment, "text"),
    "stamps": Reader("f.txt", seeds.stamps, read_stamps, "text"),
    "baseline": Reader("b.json", seeds.baseline, read_baseline, "json"),
    "weights": Reader("w.safetensors", seeds.weights, read_weights, "safetensors"),
    "checkpoint": Reader("model.json", seeds.checkpoint, read_checkpoint, "json"),
    "state": Reader("state.json", seeds.state, read_state, "json"),
    "gallery": Reader("g.gallery", seeds.gallery, read_gallery, "sqlite"),
    "picture": Reader("p.png", seeds.picture, read_picture),
    "video": Reader("v.avi", seeds.video, read_video),
    "rectification": Reader("r.h5", seeds.rectification, read_rectification, "hdf5"),
    "rectification-npy": Reader("r.npy", seeds.rectification_npy, read_rectification),
    "splits": Reader("s.json", seeds.splits, read_splits, "json"),
    "splits-mat": Reader("s.mat", seeds.splits_mat, read_splits),
    "live": Reader("l.txt", seeds.events_text, read_live, "text"),
    "onnx": Reader("o.onnx", seeds.onnx, read_onnx),
    "detector": Reader("d.onnx", seeds.onnx, read_detector),
}
READERS = EVENTS | OTHERS
REFUSED_SEEDS = frozenset({"onnx", "detector"})
"""A small good network is not the network that these readers want; what matters is how they say."""
