"""What is written is read again, integer by integer, and the same network gives the same file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.errors import InputError, NetworkRefused
from sdcl_neuro.files import file_sha256
from sdcl_neuro.network.spec import IntLayer, IntNetwork
from sdcl_neuro.testing import random_network

Maker = Callable[..., IntLayer]
Chain = Callable[..., IntNetwork]


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_come_back_whole(
    seed: int, tmp_path: Path, unequal: Callable[[IntNetwork, IntNetwork], list[str]]
) -> None:
    net = random_network(seed, message_bits=seed % 3, extreme=seed % 5 == 0)
    digest = to_netx(net, tmp_path / "a.net")
    assert digest == file_sha256(tmp_path / "a.net")
    assert unequal(net, from_netx(tmp_path / "a.net")) == []


def test_the_same_network_gives_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    net = random_network(3)
    first = to_netx(net, tmp_path / "a.net")
    time.sleep(1.1)  # HDF5 would store seconds
    assert to_netx(random_network(3), tmp_path / "elsewhere.net") == first


def test_layout_is_what_netx_reads(conv: Maker, dense: Maker, chain: Chain, tmp_path: Path) -> None:
    first = conv(
        "eyes", (2, 6, 4), 4, (3, 1), groups=2, stride=(2, 1), padding=(0, 1), bias=[1] * 4
    )
    net = chain(first, dense("out", first.out_shape, 3), message_bits=2, note="ä")
    to_netx(net, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        assert sorted(file["layer"]) == ["0", "1", "2", "3"]
        types = [file[f"layer/{index}/type"][0].decode() for index in range(4)]
        assert types == ["input", "conv", "flatten", "dense"]
        assert file["layer/0/shape"][()].tolist() == [2, 6, 4]
        assert file["layer/1/stride"][()].tolist() == [2, 1]
        assert file["layer/1/padding"][()].tolist() == [0, 1]
        assert file["layer/1/groups"][()] == 2
        assert file["layer/1/neuron/type"][()] == b"CUBA"
        assert file["layer/1/neuron/vThMant"][()] == 60
        assert file.attrs["schema"] == b"sdcl_neuro.netx"
        assert file.attrs["version"] == 1
        assert file.attrs["message_bits"] == 2


def test_a_flat_name_for_the_input_of_a_dense_layer_is_written_with_a_flatten(
    conv: Maker, dense: Maker, chain: Chain, tmp_path: Path
) -> None:
    first = conv("a", (1, 4, 4), 2, (3, 3))
    net = chain(first, dense("b", (8,), 3))
    to_netx(net, tmp_path / "a.net")
    again = from_netx(tmp_path / "a.net")
    assert again.layers[1].in_shape == (2, 2, 2)
    assert np.array_equal(again.layers[1].weight, net.layers[1].weight)


def test_a_refused_network_leaves_the_old_file(dense: Maker, chain: Chain, tmp_path: Path) -> None:
    target = tmp_path / "a.net"
    to_netx(random_network(1), target)
    before = target.read_bytes()
    with pytest.raises(NetworkRefused):
        to_netx(chain(dense("a", (4,), 3, bias=[0, 0, 5000])), target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_meta_that_no_attribute_holds_is_an_error(tmp_path: Path) -> None:
    net = random_network(1)
    large = IntNetwork(net.input_shape, net.layers, 0, {"text": "x" * 70_000})
    with pytest.raises(InputError, match="meta: does not fit"):
        to_netx(large, tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []
