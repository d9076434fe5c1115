"""Files that lava-dl's slayer wrote, and the forms in which such files come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sdcl_neuro import verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.errors import NetworkRefused
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.network.spike_file import write_spikes

NO_CACHE = "--no-cache"
Maker = Callable[..., IntLayer]
Chain = Callable[..., IntNetwork]


@pytest.mark.lava
def test_convolutions(slayer_files: Path) -> None:
    net = from_netx(slayer_files / "conv.net", input_shape=(2, 9, 7))
    assert [layer.kind for layer in net.layers] == ["conv", "conv", "dense"]
    first, second, third = net.layers
    assert (first.in_shape, first.out_shape) == ((2, 9, 7), (4, 9, 7))
    assert second.convolution == Convolution((2, 1), (0, 2), (1, 1), groups=2)
    assert second.weight.shape == (4, 2, 3, 5)
    assert (second.out_shape, third.in_shape) == ((4, 4, 7), (4, 4, 7))
    assert first.neuron == IntNeuron(2048, 410, 64)
    assert second.neuron.current_decay == 4096
    with h5py.File(slayer_files / "conv.net") as file:
        stored = file["layer/0/weight"][()]
    assert stored.dtype == np.float32  # slayer writes integers as floats
    assert np.array_equal(first.weight, stored)
    assert from_netx(slayer_files / "dilated.net", input_shape=(2, 9, 7)).layers[0].convolution == (
        Convolution(dilation=(2, 1))
    )


@pytest.mark.lava
def test_biases_recurrence_and_delays(slayer_files: Path) -> None:
    biased = from_netx(slayer_files / "biased.net")
    assert biased.input_shape == (20,)
    assert biased.layers[0].bias is not None
    assert biased.layers[0].bias.any()
    assert biased.layers[1].kind == "dense_rec"
    assert biased.layers[1].recurrent_weight is not None
    delayed = from_netx(slayer_files / "delayed.net")
    assert delayed.layers[0].delay is not None
    # One delay a neuron holds for all its synapses.
    assert delayed.layers[0].delay.tolist() == [[k] * 20 for k in range(6)]


@pytest.mark.lava
def test_a_convolution_without_an_input_layer_asks_for_its_shape(slayer_files: Path) -> None:
    with pytest.raises(NetworkRefused, match=r"unknown; give input_shape=\(C, H, W\)"):
        from_netx(slayer_files / "conv.net")
    with pytest.raises(NetworkRefused, match=r"but its shape says \(4, 9, 7\)"):
        from_netx(slayer_files / "conv.net", input_shape=(2, 8, 8))


@pytest.mark.lava
def test_pooling_is_refused(slayer_files: Path) -> None:
    with pytest.raises(NetworkRefused, match=r"layer 1 \(pool\): layers of type 'pool' do not run"):
        from_netx(slayer_files / "pooled.net", input_shape=(2, 9, 7))


@pytest.mark.lava
def test_they_come_back_from_our_own_file(
    slayer_files: Path, tmp_path: Path, unequal: Callable[[IntNetwork, IntNetwork], list[str]]
) -> None:
    shapes = {"conv": (2, 9, 7), "dilated": (2, 9, 7), "biased": None, "delayed": None}
    for name, shape in shapes.items():
        net = from_netx(slayer_files / f"{name}.net", input_shape=shape)
        to_netx(net, tmp_path / "again.net")
        assert unequal(net, from_netx(tmp_path / "again.net")) == []


# Forms of the same network: what earlier slayers, or a hand, may have written.


def scalars_as_arrays(layers: h5py.Group) -> None:
    for key in ("iDecay", "vDecay", "vThMant", "refDelay"):
        place = f"1/neuron/{key}"
        value = layers[place][()]
        del layers[place]
        layers[place] = np.array([value])


def pairs_as_scalars(layers: h5py.Group) -> None:
    for key, value in (("stride", 2), ("padding", 1), ("dilation", 1)):
        del layers[f"1/{key}"]
        layers[f"1/{key}"] = value


def floats(layers: h5py.Group) -> None:
    for place in ("1/weight", "1/bias", "3/weight"):
        values = layers[place][()]
        del layers[place]
        layers[place] = values.astype(np.float64)


def trailing_ones(layers: h5py.Group) -> None:
    for place, shape in (("1/weight", (3, 2, 3, 3, 1)), ("3/weight", (4, 27, 1, 1, 1))):
        values = layers[place][()]
        del layers[place]
        layers[place] = values.reshape(shape)


def flat_weights(layers: h5py.Group) -> None:
    values = layers["3/weight"][()]
    del layers["3/weight"]
    layers["3/weight"] = values.reshape(-1)


def shapes_with_ones(layers: h5py.Group) -> None:
    del layers["3/shape"], layers["2/shape"]
    layers["3/shape"] = [4, 1, 1]
    layers["2/shape"] = [27, 1, 1]


def loihi_neurons(layers: h5py.Group) -> None:
    del layers["1/neuron/type"]
    layers["1/neuron/type"] = "LOIHI"


def no_input(layers: h5py.Group) -> None:
    del layers["0"]
    for index in range(1, 4):
        layers.move(str(index), str(index - 1))


def foreign_keys(layers: h5py.Group) -> None:
    layers["1/inChannels"] = 2
    layers["1/kernelSize"] = [3, 3]
    layers["3/inFeatures"] = 27


@pytest.mark.parametrize(
    "form",
    [
        scalars_as_arrays,
        pairs_as_scalars,
        floats,
        trailing_ones,
        flat_weights,
        shapes_with_ones,
        loihi_neurons,
        no_input,
        foreign_keys,
    ],
)
def test_forms(
    form: Callable[[h5py.Group], Any],
    conv: Maker,
    dense: Maker,
    chain: Chain,
    tmp_path: Path,
    unequal: Callable[[IntNetwork, IntNetwork], list[str]],
) -> None:
    first = conv("a", (2, 6, 5), 3, (3, 3), stride=(2, 2), padding=(1, 1), bias=[1, -2, 3])
    net = chain(first, dense("b", first.out_shape, 4))
    to_netx(net, tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        form(file["layer"])
    assert unequal(net, from_netx(tmp_path / "a.net", input_shape=(2, 6, 5))) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, [[3, 3, 3], [3, 3, 3]]),
        ([1, 2], [[1, 1, 1], [2, 2, 2]]),
        ([4, 5, 6], [[4, 5, 6], [4, 5, 6]]),
        ([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
        (np.array([1.0, 2.0]), [[1, 1, 1], [2, 2, 2]]),
    ],
)
def test_delays_as_netx_spreads_them(
    value: Any, expected: list[list[int]], dense: Maker, chain: Chain, tmp_path: Path
) -> None:
    to_netx(chain(dense("a", (3,), 2)), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        file["layer/1/delay"] = value
    delay = from_netx(tmp_path / "a.net").layers[0].delay
    assert delay is not None
    assert delay.tolist() == expected


def test_one_bias_for_all_neurons(dense: Maker, chain: Chain, tmp_path: Path) -> None:
    to_netx(chain(dense("a", (3,), 2)), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "r+") as file:
        file["layer/1/bias"] = np.array([7.0])
    bias = from_netx(tmp_path / "a.net").layers[0].bias
    assert bias is not None
    assert bias.tolist() == [7, 7]


def test_message_bits_are_the_callers_where_the_file_has_none(
    dense: Maker, chain: Chain, tmp_path: Path
) -> None:
    to_netx(chain(dense("a", (3,), 2), message_bits=4), tmp_path / "a.net")
    assert from_netx(tmp_path / "a.net").message_bits == 4
    assert from_netx(tmp_path / "a.net", message_bits=8).message_bits == 8


@pytest.mark.parametrize("verb", ["run", "verify", "profile", "convert", "hw"])
def test_every_verb_takes_a_convolution_without_an_input_layer(
    verb: str, slayer_files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = slayer_files / "conv.net"
    net = from_netx(path, input_shape=(2, 9, 7))
    given, out = str(tmp_path / "in.npz"), str(tmp_path / "out.npz")
    write_spikes(given, np.ones((3, 1, 2, 9, 7), np.uint8))
    again = tmp_path / "again.net"
    shape = ["--input-shape", "2,9,7"]
    calls = {
        "run": ["run", str(path), "--spikes", given, "--out", out],
        "verify": ["verify", str(path), "--spikes", given, "--against", "snntorch-int", NO_CACHE],
        "profile": ["profile", str(path), "--spikes", given, "--hw", "loihi2"],
        "convert": ["convert", str(path), str(again), *shape],
        "hw": ["hw", "fit", str(path), "loihi2", *shape],
    }
    assert main(calls[verb]) == 0
    if verb == "convert":
        assert from_netx(again) == net
    if verb in {"run", "verify", "profile"}:
        assert main([*calls[verb], *shape]) == 0
    capsys.readouterr()
    bare = [word for word in calls[verb] if word not in shape]
    wrong = [*bare, "--input-shape", "2,8,8"]
    assert main(wrong) == 2
    assert "(4, 9, 7)" in capsys.readouterr().err
    if verb in {"convert", "hw"}:
        assert main(bare) == 2
        assert "--input-shape C,H,W" in capsys.readouterr().err
        assert main([*bare, "--spikes", given]) == 0
        assert main([*bare, *shape, "--spikes", given]) == 0
        if verb == "convert":
            assert from_netx(again) == net
            bundle = ["--bundle", str(tmp_path / "bundle"), "--spikes", given]
            assert main([*bare, *bundle]) == 0


@pytest.mark.lava
def test_slayers_own_run_is_ours_a_step_later_in_each_layer(
    in_lava: Callable[..., None], tmp_path: Path
) -> None:
    """The layout of lava-dl's Oxford network, fractional delays included: nothing differs."""
    in_lava("own_run", tmp_path)
    net = from_netx(tmp_path / "oxford.net")
    assert net.layers[0].delay is not None
    assert len(np.unique(net.layers[0].delay)) == 10
    stored = np.load(tmp_path / "oxford.npz")
    given, path = stored["spikes"], tmp_path / "oxford.npz"
    certificate = verify(
        net, spikes=given, recorded=path, recorded_shift=[1, 2], against=(), cache=False
    )
    (pair,) = certificate.pairs
    assert pair.holds
    assert all(layer.spikes[0] > 1000 for layer in pair.layers)
