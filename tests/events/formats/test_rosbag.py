"""ROS bags of both versions: written by rosbags with its own serialisation, read as bytes."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import concatenate, list_streams, open_frames, read_events, read_parts

pytest.importorskip("rosbags", reason="rosbags is not installed: run make again")

EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\n{0}/Event[] events\n"
PACKET = (
    "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\n"
    "string encoding\nbool is_bigendian\nuint8[] events\n"
)
BASE_S = 1_700_000_000
N = 300
RNG = np.random.default_rng(5)
T_NS = np.sort(RNG.integers(0, 40_000_000, N))
X, Y, P = RNG.integers(0, 346, N), RNG.integers(0, 260, N), RNG.integers(0, 2, N)
EXPECTED_US = BASE_S * 1_000_000 + (T_NS + 500) // 1000


class Bag:
    """Writes one bag; `ros` is 1 or 2."""

    def __init__(self, path: Path, ros: int, storage: str = "sqlite3") -> None:
        from rosbags.rosbag1 import Writer as Writer1
        from rosbags.rosbag2 import StoragePlugin
        from rosbags.rosbag2 import Writer as Writer2
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self.ros = ros
        self.store = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        for package in ("dvs_msgs", "prophesee_event_msgs"):
            for name, text in (("Event", EVENT), ("EventArray", ARRAY.format(package))):
                text = text if ros == 1 else text.replace("time ts", "builtin_interfaces/Time ts")
                self.store.register(get_types_from_msg(text, f"{package}/msg/{name}"))
        self.store.register(get_types_from_msg(PACKET, "event_camera_msgs/msg/EventPacket"))
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        self.writer: Any = (
            Writer1(path) if ros == 1 else Writer2(path, version=8, storage_plugin=plugin)
        )
        self.connections: dict[str, Any] = {}

    def __enter__(self) -> Bag:
        self.writer.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def header(self, time_ns: int) -> Any:
        types = self.store.types
        stamp = types["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
        more = {"seq": 0} if self.ros == 1 else {}
        return types["std_msgs/msg/Header"](stamp=stamp, frame_id="cam", **more)

    def write(self, topic: str, kind: str, time_ns: int, **fields: Any) -> None:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        message = self.store.types[kind](header=self.header(time_ns), **fields)
        serialise = self.store.serialize_ros1 if self.ros == 1 else self.store.serialize_cdr
        self.writer.write(self.connections[topic], time_ns, serialise(message, kind))

    def events(self, topic: str, package: str, low: int, high: int) -> None:
        types = self.store.types
        found = []
        for k in range(low, high):
            stamp = types["builtin_interfaces/msg/Time"](
                sec=BASE_S + int(T_NS[k]) // 10**9, nanosec=int(T_NS[k]) % 10**9
            )
            event = types[f"{package}/msg/Event"]
            found.append(event(x=int(X[k]), y=int(Y[k]), ts=stamp, polarity=bool(P[k])))
        time_ns = BASE_S * 10**9 + int(T_NS[high - 1])
        kind = f"{package}/msg/EventArray"
        self.write(topic, kind, time_ns, height=260, width=346, events=found)


def check(events: Any) -> None:
    expected = np.stack([EXPECTED_US, X, Y, P], 1)
    found = np.stack([events.array[name].astype(np.int64) for name in "txyp"], 1)
    np.testing.assert_array_equal(found, expected)
    assert (events.width, events.height, events.source) == (346, 260, "rosbag")


@pytest.mark.parametrize("kind", ["1", "2-sqlite3", "2-mcap"])
@pytest.mark.parametrize("package", ["dvs_msgs", "prophesee_event_msgs"])
def test_event_arrays(tmp_path: Path, kind: str, package: str) -> None:
    path = tmp_path / ("a.bag" if kind == "1" else "bag")
    with Bag(path, int(kind[0]), kind[2:]) as bag:
        edges = [0, 1, 2, 3, 10, 11, 150, N]
        for low, high in itertools.pairwise(edges):
            bag.events("/dvs/events", package, low, high)
    whole = read_events(path)
    check(whole)
    assert concatenate(list(read_parts(path, part_events=5))) == whole
    for inner in path.glob("*.db3") if path.is_dir() else ():
        check(read_events(inner))
    for inner in path.glob("*.mcap") if path.is_dir() else ():
        check(read_events(inner))


@pytest.mark.parametrize("ros", [1, 2])
def test_topics_are_streams_and_frames_share_a_namespace(tmp_path: Path, ros: int) -> None:
    path = tmp_path / ("a.bag" if ros == 1 else "bag")
    grey = RNG.integers(0, 256, (4, 6), dtype=np.uint8)
    with Bag(path, ros) as bag:
        bag.events("/left/events", "dvs_msgs", 0, N)
        bag.events("/right/events", "dvs_msgs", 0, 10)
        for k in range(3):
            time_ns = BASE_S * 10**9 + k * 40_000_000 + 499
            rows = np.zeros((4, 8), np.uint8)
            rows[:, :6] = grey + k
            bag.write(
                "/left/image_raw", "sensor_msgs/msg/Image", time_ns, height=4, width=6,
                encoding="mono8", is_bigendian=0, step=8, data=rows.reshape(-1),
            )  # fmt: skip
            jpeg = cv2.imencode(".png", np.full((4, 6, 3), (1, 2, 3), np.uint8))[1].reshape(-1)
            bag.write("/right/image", "sensor_msgs/msg/CompressedImage", time_ns,
                      format="png", data=jpeg)  # fmt: skip
    with pytest.raises(InputError, match=r"2 streams of events: .*/left/events.*/right/events"):
        read_events(path)
    check(read_events(path, stream="/left/events"))
    assert len(read_events(path, stream="right")) == 10
    assert {one.holds for one in list_streams(path)} == {"events", "frames"}
    left = open_frames(path, stream="left")
    assert left.times_us.tolist() == [BASE_S * 10**6 + 40_000 * k for k in range(3)]
    for k, _, picture in left:
        np.testing.assert_array_equal(picture, np.repeat((grey + k)[..., None], 3, 2))
    assert [one[2][0, 0].tolist() for one in open_frames(path, stream="right")] == [[3, 2, 1]] * 3


@pytest.mark.parametrize("ros", [1, 2])
def test_event_packets_hold_evt3(tmp_path: Path, ros: int) -> None:
    """The decoder's state goes on from packet to packet, over a wrap too."""
    path = tmp_path / ("a.bag" if ros == 1 else "bag")
    high = (1 << 24) - 4096
    words = [0x8000 | high >> 12, 0x6000 | 7, 5, 0x2800 | 9, 0x8000, 0x6000 | 3, 0x2000 | 8]
    raw = struct.pack(f"<{len(words)}H", *words)
    with Bag(path, ros) as bag:
        for k in range(0, len(raw), 6):
            bag.write(
                "/event_camera/events", "event_camera_msgs/msg/EventPacket", BASE_S * 10**9 + k,
                height=720, width=1280, seq=k, time_base=0, encoding="evt3", is_bigendian=False,
                events=np.frombuffer(raw[k : k + 6], np.uint8),
            )  # fmt: skip
    events = read_events(path)
    assert events.array.tolist() == [(high + 7, 9, 5, 1), ((1 << 24) + 3, 8, 5, 0)]
    assert events.source == "rosbag-evt3"
    assert events.notes == ("the camera's 24-bit clock wrapped 1 time",)


def test_damaged_and_foreign_bags(tmp_path: Path) -> None:
    path = tmp_path / "a.bag"
    with Bag(path, 1) as bag:
        bag.events("/e", "dvs_msgs", 0, N)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"damaged or unfinished ROS bag.*reindex"):
        read_events(path)
    with Bag(tmp_path / "b.bag", 1) as bag:
        bag.write(
            "/h", "sensor_msgs/msg/CompressedImage", 5, format="x", data=np.zeros(3, np.uint8)
        )
    with pytest.raises(InputError, match="no events in the file: it holds stream 0: /h"):
        read_events(tmp_path / "b.bag")
    with pytest.raises(InputError, match="damaged image"):
        open_frames(tmp_path / "b.bag")
