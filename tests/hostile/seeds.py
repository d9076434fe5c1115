"""Small good files of every kind, made by the package itself or by the writer of other tests."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np

TESTS = Path(__file__).resolve().parent.parent
SENSOR = (64, 48)
N = 400
RNG = np.random.default_rng(7)
T = np.sort(RNG.integers(0, 2_000_000, N))
X, Y, P = RNG.integers(0, 64, N), RNG.integers(0, 48, N), RNG.integers(0, 2, N)
ROWS = list(zip(T.tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True))


def _other(place: str) -> ModuleType:
    """A module of other tests, by its path below ``tests``."""
    spec = importlib.util.spec_from_file_location(f"hostile_{Path(place).stem}", TESTS / place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _events() -> Any:
    from sdcl_neuro.events import EVENT_DTYPE, Events

    array = np.empty(N, EVENT_DTYPE)
    for name, values in (("t", T), ("x", X), ("y", Y), ("p", P)):
        array[name] = values
    return Events(array, *SENSOR, "test")


def events_npz(path: Path) -> None:
    from sdcl_neuro.events import write_events

    write_events(path, _events())


def events_npy(path: Path) -> None:
    np.save(path, np.stack([T, X, Y, P], 1))


def events_text(path: Path) -> None:
    path.write_text("".join(f"{t} {x} {y} {p}\n" for t, x, y, p in ROWS), "ascii")


def events_evt3(path: Path) -> None:
    path.write_bytes(_other("events/formats/test_evt.py").evt3(ROWS))


def events_evt2(path: Path) -> None:
    path.write_bytes(_other("events/formats/test_evt.py").evt2(ROWS))


def events_dat(path: Path) -> None:
    path.write_bytes(_other("events/formats/test_evt.py").dat(ROWS, 0x0C))


def events_es(path: Path) -> None:
    import faery

    array = np.empty(N, faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = T, X, Y, P.astype(bool)
    faery.events_stream_from_array(array, dimensions=SENSOR).to_file(path)


def events_aedat4(path: Path) -> None:
    writers = _other("events/formats/conftest.py")
    packets = [(0, writers.vector(part, b"EVTS")) for part in (ROWS[:300], ROWS[300:])]
    writers.write_aedat4(path, [("EVTS", "events", "L", *SENSOR)], packets, closed=True)


def events_dsec(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, column, kind in (("t", T, "u4"), ("x", X, "u2"), ("y", Y, "u2"), ("p", P, "u1")):
            file.create_dataset(f"events/{name}", data=column.astype(kind), compression="gzip")
        file["t_offset"] = np.int64(1000)
        file["ms_to_idx"] = np.searchsorted(T, np.arange(0, 2001) * 1000).astype("u8")


def events_v2e(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["events"] = np.stack([T, X, Y, P], 1).astype("u4")


def events_matlab73(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in (("timestamp", T), ("x", X + 1), ("y", Y + 1), ("polarity", P)):
            file[f"section_event_{name}"] = values[:, None].astype("f8")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def events_mat(path: Path) -> None:
    import scipy.io

    fields = (("timestamp", T), ("x", X + 1), ("y", Y + 1), ("polarity", P))
    found = {f"section_event_{name}": values[None].astype("f8") for name, values in fields}
    scipy.io.savemat(path, found, do_compression=True)


def events_nmnist(path: Path) -> None:
    records = bytearray()
    for t, x, y, p in ROWS:
        records += bytes([x % 34, y % 34, p << 7 | t >> 16 & 127, t >> 8 & 255, t & 255])
    path.write_bytes(bytes(records))


def _bag(path: Path, ros: int, storage: str) -> None:
    other = _other("events/formats/test_rosbag.py")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / ("a.bag" if ros == 1 else "bag")
        with other.Bag(place, ros, storage) as bag:
            bag.events("/events", "dvs_msgs", 0, 100)
        found = place if ros == 1 else next(p for p in place.iterdir() if p.suffix != ".yaml")
        shutil.copyfile(found, path)


def events_rosbag1(path: Path) -> None:
    _bag(path, 1, "")


def events_mcap(path: Path) -> None:
    _bag(path, 2, "mcap")


def events_db3(path: Path) -> None:
    _bag(path, 2, "sqlite3")


def spikes(path: Path) -> None:
    from sdcl_neuro.network.spike_file import write_spikes

    write_spikes(path, (RNG.random((8, 2, 2, 8, 8)) < 0.2).astype(np.uint8))


def nirdata(path: Path) -> None:
    from sdcl_neuro.network.nirdata import write_nodes

    spikes = (RNG.random((8, 2, 2, 8, 8)) < 0.2).astype(np.uint8)
    write_nodes(path, {"input": (spikes, None)}, step_s=1.0)


def layers(path: Path) -> None:
    from sdcl_neuro.network.spike_file import write_spikes

    write_spikes(path, {k: (RNG.random((8, 2, 5)) < 0.2).astype(np.uint8) for k in range(2)})


def _network() -> Any:
    from sdcl_neuro.testing import random_network

    return random_network(3, kind="conv", layers=2)


def net(path: Path) -> None:
    from sdcl_neuro import conversion

    conversion.to_netx(_network(), path)


def nir(path: Path) -> None:
    from sdcl_neuro import conversion

    conversion.to_nir(_network(), path, dt=1e-3)


def tracks(path: Path) -> None:
    rows = [f"{f},{i},{10 + f},{5 + i},20,40,1,-1,-1,-1" for f in range(1, 20) for i in (1, 2)]
    path.write_text("\n".join(rows) + "\n", "ascii")


def profile(path: Path) -> None:
    path.write_text((TESTS.parent / "hw_profiles" / "loihi1.toml").read_text("utf-8"), "utf-8")


def configuration(path: Path) -> None:
    from sdcl_neuro.reid.configuration import list_configurations, load_configuration

    path.write_text(load_configuration(list_configurations()[0]).to_toml(), "utf-8")


def calibration(path: Path) -> None:
    path.write_text("homography = [[1.0, 0.0, 3.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]]\n", "ascii")


def homography(path: Path) -> None:
    path.write_text("1 0 3\n0 1 -2\n0 0 1\n", "ascii")


def alignment(path: Path) -> None:
    path.write_text("offset_us = 1250\nassume_same_view = true\nfps = 30.0\n", "ascii")


def stamps(path: Path) -> None:
    path.write_text("".join(f"{k * 33333}\n" for k in range(50)), "ascii")


def baseline(path: Path) -> None:
    from sdcl_neuro import profile as profiled

    network = _network()
    given = (RNG.random((6, 1, *network.input_shape)) < 0.2).astype(np.uint8)
    found = profiled(network, given, hw=["loihi1"])
    path.write_text(json.dumps(found.to_dict()), "utf-8")


def weights(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a.weight": np.ones((3, 4), np.float32), "b": np.arange(6)}, path)


def checkpoint(path: Path) -> None:
    from sdcl_neuro.snn.branch_description import BranchDescription, ConvolutionSpec
    from sdcl_neuro.snn.checkpoint import save_checkpoint
    from sdcl_neuro.snn.event_branch import EventBranch

    branch = EventBranch(BranchDescription(layers=(ConvolutionSpec(4, 3, 2),)))
    save_checkpoint(path.parent, branch, input_size=(16, 8))


def state(path: Path) -> None:
    from safetensors.numpy import save_file

    from sdcl_neuro.files import file_sha256
    from sdcl_neuro.reid.training.state import SCHEMA

    file = path.with_name("step-00000004.safetensors")
    save_file({"model.a": np.ones(3, np.float32)}, file)
    document = {
        "schema": SCHEMA,
        "step": 4,
        "mode": "float",
        "log_bytes": 10,
        "file": file.name,
        "sha256": file_sha256(file),
        "about": {},
    }
    path.write_text(json.dumps(document), "utf-8")


def gallery(path: Path) -> None:
    from sdcl_neuro.reid.gallery import Enrolment, Gallery

    with Gallery(path, model="m" * 64, dimension=8, engine="numpy") as made:
        made.enrol(
            [
                Enrolment(
                    embedding=RNG.normal(size=8).astype(np.float32),
                    label=f"p{k}",
                    camera="c",
                    key=f"k{k}",
                )
                for k in range(20)
            ]
        )


def picture(path: Path) -> None:
    import cv2

    done, data = cv2.imencode(path.suffix, RNG.integers(0, 255, (40, 30, 3)).astype(np.uint8))
    assert done
    path.write_bytes(data.tobytes())


def video(path: Path) -> None:
    import cv2

    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(8):
        film.write(RNG.integers(0, 255, (48, 64, 3)).astype(np.uint8))
    film.release()


def _map() -> Any:
    across, down = np.meshgrid(np.arange(64.0), np.arange(48.0))
    return np.stack([across, down], -1).astype(np.float32)


def rectification(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["rectify_map"] = _map()


def rectification_npy(path: Path) -> None:
    np.save(path, _map())


def splits(path: Path) -> None:
    rows = [{"train": ["person_0001", "person_0003"], "test": ["person_0002"]}]
    path.write_text(json.dumps(rows), "ascii")


def splits_mat(path: Path) -> None:
    import scipy.io

    scipy.io.savemat(path, {"ls_set": np.arange(1, 21).reshape(2, 10)}, do_compression=True)


def onnx(path: Path) -> None:
    import onnx as library
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((4, 3, 3, 3), 0.1, np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    library.save(model, str(path))
