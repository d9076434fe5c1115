"""Files that are broken, or meant to break: one line, exit code 2, little memory, no way out."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.errors import InputError
from sdcl_neuro.testing import random_network

# Seeds of a convolutional, a dense and a recurrent network.
NETWORK = random_network(1, kind="conv", layers=2)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.net"
    to_netx(NETWORK, path)
    return path


def complaint(path: Path) -> str:
    """The one line that `from_netx` gives."""
    with pytest.raises(InputError) as caught:
        from_netx(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not HDF5 at all" * 100])
def test_not_hdf5(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    path.write_bytes(content)
    assert "not a readable HDF5 file" in complaint(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in complaint(tmp_path / "absent.net")
    assert "a directory" in complaint(tmp_path)


def test_truncated_anywhere(sound: Path) -> None:
    whole = sound.read_bytes()
    for length in range(1, len(whole), len(whole) // 40):
        sound.write_bytes(whole[:length])
        complaint(sound)


def test_flipped_bytes_never_crash(sound: Path) -> None:
    whole = sound.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        spoilt = bytearray(whole)
        spoilt[rng.integers(min(3000, len(whole)))] = rng.integers(256)
        sound.write_bytes(spoilt)
        answer = ""
        try:
            from_netx(sound)
        except InputError as error:
            answer = str(error)
        assert "\n" not in answer
        refused += bool(answer)
    assert refused > 10


def test_other_hdf5_files(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    with h5py.File(path, "w") as file:
        file["data"] = [1, 2, 3]
    assert "no group 'layer'" in complaint(path)
    with h5py.File(path, "w") as file:
        file["layer"] = [1, 2, 3]
    assert "/layer is not a group" in complaint(path)
    with h5py.File(path, "w") as file:
        file.create_group("layer")
    assert "0 layers with neurons" in complaint(path)
    with h5py.File(path, "w") as file:
        file.create_group("layer/0")
    assert "/layer/0 has no type" in complaint(path)
    with h5py.File(path, "w") as file:
        file.create_group("layer/1")
    assert "none called '0'" in complaint(path)
    with h5py.File(path, "w") as file:
        for index in range(300):
            file.create_group(f"layer/{index}")
    assert "300 layers" in complaint(path)


def test_a_newer_schema_is_not_guessed_at(sound: Path) -> None:
    with h5py.File(sound, "r+") as file:
        file.attrs["version"] = 2
    assert "schema version 2, this reads 1" in complaint(sound)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta", b"[1]"),
        ("meta", b"{"),
        ("meta", b"[" * 50_000),
        ("layer_names", b"[1, 2]"),
        ("layer_names", b'{"a": 1}'),
        ("message_bits", b"many"),
        ("meta", np.zeros((3, 3))),
    ],
)
def test_broken_attributes(name: str, value: object, sound: Path) -> None:
    with h5py.File(sound, "r+") as file:
        file.attrs[name] = value
    assert "root attribute" in complaint(sound)


def replace_weight(path: Path, make: Callable[[h5py.Group], None]) -> None:
    with h5py.File(path, "r+") as file:
        group = file["layer/1"]
        del group["weight"]
        make(group)


def test_links_out_of_the_place_are_refused(sound: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["weight"] = NETWORK.layers[0].weight

    def external(group: h5py.Group) -> None:
        group["weight"] = h5py.ExternalLink("other.h5", "/weight")

    replace_weight(sound, external)
    assert "/layer/1/weight is a link elsewhere" in complaint(sound)


def test_soft_link_cycles_are_refused(sound: Path) -> None:
    def cycle(group: h5py.Group) -> None:
        group["weight"] = h5py.SoftLink("/layer/1/again")
        group["again"] = h5py.SoftLink("/layer/1/weight")

    replace_weight(sound, cycle)
    assert "is a link elsewhere" in complaint(sound)
    with h5py.File(sound, "r+") as file:
        del file["layer"]
        file["layer"] = h5py.SoftLink("/layer")
    assert "/layer is a link elsewhere" in complaint(sound)


def test_a_group_within_itself_does_no_harm(sound: Path) -> None:
    with h5py.File(sound, "r+") as file:
        file["layer/1/loop"] = file["layer"]
    from_netx(sound)


def test_virtual_and_external_data_are_refused(sound: Path, tmp_path: Path) -> None:
    shape = NETWORK.layers[0].weight.shape

    def virtual(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout(shape, dtype="i4")
        layout[:] = h5py.VirtualSource("other.h5", "w", shape=shape)
        group.create_virtual_dataset("weight", layout)

    replace_weight(sound, virtual)
    assert "keeps its data in another file" in complaint(sound)

    def external(group: h5py.Group) -> None:
        place = [(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
        group.create_dataset("weight", shape, "i4", external=place)

    replace_weight(sound, external)
    assert "keeps its data in another file" in complaint(sound)


@pytest.mark.parametrize(
    "make",
    [
        lambda group: group.create_dataset("weight", (1 << 20, 1 << 20), "f8", chunks=(1, 1024)),
        lambda group: group.create_dataset(
            "weight", (1,), "f8", maxshape=(None,), chunks=(1 << 28,), compression="gzip"
        ),
        lambda group: group.create_dataset("weight", (1 << 24,), "S100", chunks=(1024,)),
    ],
)
def test_giant_declarations_are_not_read(make: Callable[[h5py.Group], None], sound: Path) -> None:
    replace_weight(sound, make)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "/layer/1/weight" in complaint(sound)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 50_000


@pytest.mark.parametrize(
    "value",
    [
        np.array(["text"], dtype="S4"),
        np.zeros(2, dtype=[("a", "i4")]),
        np.array([1 + 2j]),
        h5py.Empty("i4"),
    ],
)
def test_weights_that_are_no_numbers(value: object, sound: Path) -> None:
    def put(group: h5py.Group) -> None:
        group["weight"] = value

    replace_weight(sound, put)
    assert "/layer/1/weight" in complaint(sound)


@pytest.mark.parametrize("value", [b"x" * 300, b"con\nv", "g\u00e9nial", np.zeros(3)])
def test_types_that_are_no_short_text(value: object, sound: Path) -> None:
    with h5py.File(sound, "r+") as file:
        del file["layer/1/type"]
        file["layer/1/type"] = value
    assert "/layer/1/type is not" in complaint(sound)


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.net").write_bytes(b"no")
    np.savez(tmp_path / "in.npz", spikes=np.zeros((2, 1, 3), np.uint8))
    arguments = ["run", "bad.net", "--spikes", "in.npz", "--out", "out.npz", "--quiet"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("sdcl-neuro")), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("sdcl-neuro: bad.net: not a readable HDF5 file")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()
