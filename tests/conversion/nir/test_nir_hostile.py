"""Files made to break a reader: one clear line each, in bounded time and memory."""

from __future__ import annotations

from contextlib import suppress

import h5py
import nir
import numpy as np
import pytest

from sdcl_neuro.conversion import from_nir, to_nir
from sdcl_neuro.errors import InputError, NetworkRefused


@pytest.fixture
def good(tmp_path, random_float):
    to_nir(random_float(2), tmp_path / "good.nir")
    return tmp_path / "good.nir"


def _refused(path, match="."):
    with pytest.raises(InputError, match=match) as caught:
        from_nir(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    _refused(tmp_path / "none.nir", "no such file")
    _refused(tmp_path, "a directory")


@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n", bytes(5000)])
def test_what_is_no_hdf5(content, tmp_path):
    (tmp_path / "x.nir").write_bytes(content)
    _refused(tmp_path / "x.nir", "not a readable HDF5 file")


def test_truncated_anywhere(good, tmp_path):
    whole = good.read_bytes()
    for size in np.linspace(1, len(whole) - 1, 25).astype(int):
        (tmp_path / "cut.nir").write_bytes(whole[:size])
        _refused(tmp_path / "cut.nir")


def test_flipped_bytes_never_end_in_another_error(good, tmp_path):
    whole = np.frombuffer(good.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(120):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        (tmp_path / "flip.nir").write_bytes(damaged.tobytes())
        # A flip may fall on padding, and then nothing is wrong.
        with suppress(InputError):
            from_nir(tmp_path / "flip.nir")


def test_another_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["spikes"] = np.zeros(3)
    _refused(tmp_path / "x.nir", "holds no NIR graph")


def _edited(good, edit):
    with h5py.File(good, "r+") as file:
        edit(file)
    return good


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 20, 1 << 20), (1 << 31,)])
def test_a_giant_declared_array(shape, good):
    def edit(file):
        del file["node/nodes/synapse_0/weight"]
        file.create_dataset("node/nodes/synapse_0/weight", shape, "f4", chunks=(1,) * len(shape))

    _refused(_edited(good, edit), "declares")


def test_a_giant_declared_input(tmp_path):
    for shape in ([1 << 40, 1 << 40, 4], [2, -4, 4], [], [1, 2, 3, 4, 5]):
        nodes = {"a": nir.Input(np.array(shape)), "b": nir.Output(np.array([1]))}
        graph = nir.NIRGraph(nodes, [("a", "b")], metadata={}, type_check=False)
        nir.write(tmp_path / "x.nir", graph, compression=None)
        _refused(tmp_path / "x.nir")


def test_links_out_of_the_file(good, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["weight"] = np.ones((2, 2))
    for link in (h5py.ExternalLink(str(secret), "/weight"), h5py.SoftLink("/node/edges")):

        def edit(file, link=link):
            del file["node/nodes/synapse_0/weight"]
            file["node/nodes/synapse_0/weight"] = link

        _refused(_edited(good, edit), "is a link")


def test_data_in_another_file(good, tmp_path):
    raw = tmp_path / "raw.bin"
    raw.write_bytes(bytes(64))

    def edit(file):
        del file["node/nodes/synapse_0/weight"]
        file.create_dataset("node/nodes/synapse_0/weight", (4, 4), "f4", external=[(raw, 0, 64)])

    _refused(_edited(good, edit), "another file")


def test_a_group_that_contains_itself(good):
    def edit(file):
        file["node/nodes/loop"] = file["node/nodes"]

    _refused(_edited(good, edit), "nest deeper|objects")


def test_wrong_kinds_of_values(good):
    for key, value in [
        ("node/nodes/synapse_0/weight", "text"),
        ("node/nodes/neurons_0/v_threshold", "text"),
        ("node/nodes/neurons_0", 3),
        ("node/nodes", 3),
        ("node/edges", 3),
        ("node/type", "Graph"),
        ("node/nodes/input/shape", "text"),
    ]:
        backup = good.read_bytes()

        def edit(file, key=key, value=value):
            del file[key]
            file[key] = value

        _refused(_edited(good, edit))
        good.write_bytes(backup)


def test_missing_parts(good):
    for key in [
        "node/edges",
        "node/nodes",
        "node/type",
        "node/nodes/input",
        "node/nodes/neurons_0",
        "node/nodes/synapse_0/weight",
        "node/nodes/neurons_0/v_threshold",
        "node/nodes/neurons_0/type",
    ]:
        backup = good.read_bytes()

        def edit(file, key=key):
            del file[key]

        _refused(_edited(good, edit))
        good.write_bytes(backup)


def _lif(shape=(2,)):
    def full(value):
        return np.full(shape, value, np.float32)

    return nir.LIF(full(4e-3), full(1), full(0), full(1), full(0))


NODES = {
    "in": nir.Input(np.array([2])),
    "w": nir.Linear(np.ones((2, 2), np.float32)),
    "n": _lif(),
    "w2": nir.Linear(np.ones((2, 2), np.float32)),
    "n2": _lif(),
    "out": nir.Output(np.array([2])),
}
LINE = [("in", "w"), ("w", "n"), ("n", "w2"), ("w2", "n2"), ("n2", "out")]


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ([*LINE, ("w2", "w2")], "it feeds itself"),
        ([*LINE, ("n2", "w")], "a cycle through"),
        ([*LINE, ("n2", "n")], "a cycle through"),
        ([*LINE, ("n", "n")], "it feeds itself"),
        ([*LINE, ("n", "gone")], "names a node that is missing: gone"),
        ([*LINE, LINE[0]], "occurs 2 times"),
        (LINE[:-1], "leads to 0 nodes"),
        (LINE[1:], "leads to 0 nodes"),
        ([("in", "w"), ("w", "n"), ("n", "out")], "w2 .*: nothing leads to it"),
        ([("in", "out")], "no layers"),
        ([("w", "n"), ("n", "w2"), ("w2", "n2"), ("n2", "w"), ("in", "out")], "no layers"),
        ([("in", "w"), ("w", "n"), ("n", "w2"), ("w2", "n")], "leads to 0 nodes"),
        ([], "it has no edges"),
    ],
)
def test_graphs_that_are_no_chain(edges, said, tmp_path):
    graph = nir.NIRGraph(dict(NODES), edges, metadata={}, type_check=False)
    with pytest.raises(NetworkRefused, match=said):
        from_nir(graph, dt=1e-3)


def test_two_inputs_or_none():
    for nodes, said in (
        ({**NODES, "in2": nir.Input(np.array([2]))}, "in2 .*: it leads to 0 nodes"),
        ({key: node for key, node in NODES.items() if key != "in"}, "w .*: nothing leads to it"),
    ):
        edges = [edge for edge in LINE if edge[0] in nodes]
        graph = nir.NIRGraph(nodes, edges, metadata={}, type_check=False)
        with pytest.raises(NetworkRefused, match=said):
            from_nir(graph, dt=1e-3)


def test_shapes_that_do_not_follow():
    wide = {**NODES, "w2": nir.Linear(np.ones((2, 5), np.float32))}
    flat = {**NODES, "in": nir.Input(np.array([2, 3, 3]))}
    for nodes, said in [(wide, "reads 5 inputs"), (flat, "no Flatten stands between")]:
        graph = nir.NIRGraph(nodes, LINE, metadata={}, type_check=False)
        with pytest.raises(NetworkRefused, match=said):
            from_nir(graph, dt=1e-3)


def test_convolutions_that_do_not_fit():
    def graph(weight, stride=1, padding=0, groups=1):
        bias = np.zeros(len(weight), np.float32)
        conv = nir.Conv2d(None, weight, (1, 1), (padding, padding), (1, 1), groups, bias)
        conv.stride = (stride, stride)
        nodes = {
            "in": nir.Input(np.array([2, 4, 4])),
            "w": conv,
            "n": _lif(()),
            "out": nir.Output(np.array([2, 2, 2])),
        }
        return nir.NIRGraph(nodes, [("in", "w"), ("w", "n"), ("n", "out")], {}, type_check=False)

    ones = np.ones((2, 2, 3, 3), np.float32)
    for made, said in [
        (graph(np.ones((2, 3, 3, 3), np.float32)), "reads 3 inputs or channels, but 2"),
        (graph(np.ones((2, 2, 9, 9), np.float32)), "its output has the shape"),
        (graph(ones, stride=0), "stride is"),
        (graph(ones, padding=-1), "padding is"),
        (graph(ones, groups=3), "do not divide into 3 groups"),
        (graph(ones, padding=1 << 40), "its output has the shape"),
        (graph(ones[0]), "not rank 4"),
    ]:
        with pytest.raises(NetworkRefused, match=said):
            from_nir(made, dt=1e-3)


def test_a_long_chain_is_read_in_linear_time():
    nodes, edges, last = {"in": nir.Input(np.array([2]))}, [], "in"
    for index in range(600):
        nodes[f"w{index}"], nodes[f"n{index}"] = NODES["w"], NODES["n"]
        edges += [(last, f"w{index}"), (f"w{index}", f"n{index}")]
        last = f"n{index}"
    nodes["out"] = nir.Output(np.array([2]))
    graph = nir.NIRGraph(nodes, [*edges, (last, "out")], metadata={}, type_check=False)
    assert len(from_nir(graph, dt=1e-3).layers) == 600


def test_a_failed_write_leaves_the_older_file(good, random_float, monkeypatch):
    before = good.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(nir, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        to_nir(random_float(5), good)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.nir"]
