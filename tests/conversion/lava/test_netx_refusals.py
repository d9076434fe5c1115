"""Every reason why Lava could not run a network, by name, place and remedy, all in one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.conversion.targets.netx.constraints import refusals
from sdcl_neuro.errors import NetworkRefused
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron

Maker = Callable[..., IntLayer]
Chain = Callable[..., IntNetwork]
Edit = Callable[[h5py.Group], Any]


def one(net: IntNetwork) -> str:
    """The text of the only refusal of `net`."""
    (refusal,) = refusals(net)
    return str(refusal)


@pytest.mark.parametrize(
    ("neuron", "text"),
    [
        (IntNeuron(0, 0, 1), "iDecay 0"),
        (IntNeuron(4097, 0, 1), "iDecay 4097"),
        (IntNeuron(4096, 4096, 1), "vDecay 4096"),
        (IntNeuron(4096, -1, 1), "vDecay -1"),
        (IntNeuron(4096, 0, 1 << 17), "vThMant 131072 (17 bits)"),
        (IntNeuron(4096, 0, -1), "vThMant -1"),
    ],
)
def test_neuron_fields(neuron: IntNeuron, text: str, dense: Maker, chain: Chain) -> None:
    answer = one(chain(dense("a", (4,), 3, neuron=neuron)))
    assert answer.startswith("layer 0 (a): ")
    assert text in answer
    assert "; " in answer  # the remedy


def test_limits_themselves_are_accepted(dense: Maker, chain: Chain) -> None:
    for neuron in (IntNeuron(1, 0, 0), IntNeuron(4096, 4095, (1 << 17) - 1)):
        assert refusals(chain(dense("a", (4,), 2, neuron=neuron, bias=[-4096, 4095]))) == []


@pytest.mark.parametrize("weight", [3, -258, 256])
def test_convolution_weights(weight: int, conv: Maker, chain: Chain) -> None:
    layer = conv("a", (1, 4, 4), 1, (2, 2))
    bad = layer.weight.copy()
    bad[0, 0, 1, 0] = weight
    answer = one(chain(replace(layer, weight=bad)))
    assert f"weight of {weight}; Loihi's 8 signed bits hold even values in -256 to 254" in answer


@pytest.mark.parametrize(
    ("weight", "lost"),
    [
        ([[200, -3], [7, 5]], -3),  # odd beside a large one
        ([[256, 2], [4, 6]], 256),
        ([[-256, -2], [-4, -6]], -256),
        ([[255, -2], [4, 6]], 255),
        ([[-255, 0], [-3, -2]], -255),  # netx takes it for mixed, Lava for inhibitory
    ],
)
def test_dense_weights_without_exponent(
    weight: list[list[int]], lost: int, dense: Maker, chain: Chain
) -> None:
    answer = one(chain(dense("a", (2,), 2, weight=weight)))
    assert f"a weight of {lost} that no weight exponent represents" in answer


@pytest.mark.parametrize(
    "weight",
    [
        [[255, 1], [3, 0]],
        [[-255, -1], [-3, -7]],
        [[127, -1], [-128, 3]],
        [[254, -256], [2, 4]],
        [[-254, 0], [-2, -4]],
        [[0, 1], [0, 0]],
    ],
)
def test_dense_weights_with_exponent(weight: list[list[int]], dense: Maker, chain: Chain) -> None:
    assert refusals(chain(dense("a", (2,), 2, weight=weight))) == []


def test_recurrent_weights_share_one_exponent(dense: Maker, chain: Chain) -> None:
    odd, large = [[1, -3], [7, 5]], [[200, -4], [6, 8]]
    assert refusals(chain(dense("a", (2,), 2, weight=odd, recurrent=odd))) == []
    answer = one(chain(dense("a", (2,), 2, weight=odd, recurrent=large)))
    assert "no weight exponent represents with the largest, 200" in answer


def test_all_zero(dense: Maker, chain: Chain) -> None:
    zero = np.zeros((3, 4))
    assert "all weights are zero, on which netx breaks" in one(
        chain(dense("a", (4,), 3, weight=zero))
    )
    half = dense("a", (4,), 3, weight=zero, recurrent=np.eye(3) * 2)
    assert refusals(chain(half)) == []


@pytest.mark.parametrize("bias", [4096, -4097])
def test_bias_beyond_13_bits(bias: int, dense: Maker, chain: Chain) -> None:
    assert f"a bias of {bias}, beyond 13 signed bits" in one(
        chain(dense("a", (4,), 3, bias=[0, bias, 1]))
    )


def test_delays(conv: Maker, dense: Maker, chain: Chain) -> None:
    layer = conv("a", (1, 4, 4), 1, (2, 2))
    assert "a delay on a convolution" in one(chain(replace(layer, delay=np.zeros(1, np.int32))))
    for worst in (63, -1):
        delay = np.full((3, 4), worst)
        assert f"a delay of {worst} steps" in one(chain(dense("a", (4,), 3, delay=delay)))
    rec = dense("a", (4,), 3, recurrent=np.eye(3) * 2, delay=np.ones((3, 4)))
    assert "a delay on a recurrent layer" in one(chain(rec))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"in_shape": (3, 4, 4)}, "the layer before it gives (1, 4, 4)"),
        ({"out_shape": (1, 2, 2)}, "gives (1, 3, 3), but its shape says (1, 2, 2)"),
        ({"convolution": None}, "give geometry"),
        ({"convolution": Convolution(stride=(0, 1))}, "stride (0, 1)"),
        ({"convolution": Convolution(padding=(200, 0))}, "padding (200, 0)"),
        ({"convolution": Convolution(dilation=(9, 1))}, "a kernel larger than its input"),
        ({"convolution": Convolution(groups=3)}, "3 groups"),
        ({"kind": "pool"}, "layers of type 'pool' do not run in netx"),
        ({"recurrent_weight": np.eye(2, dtype=np.int32)}, "recurrent weights in a conv layer"),
        ({"weight": np.full((1, 1, 2, 2), 0.5)}, "not integers, such as 0.5"),
        ({"weight": np.full((1, 1, 2, 2), np.nan)}, "not-a-number (NaN)"),
        ({"weight": np.full((1, 1, 2, 2), -np.inf)}, "infinite"),
    ],
)
def test_shapes_and_values(change: dict[str, Any], text: str, conv: Maker, chain: Chain) -> None:
    net = chain(conv("a", (1, 4, 4), 1, (2, 2)))
    broken = IntNetwork((1, 4, 4), (replace(net.layers[0], **change),))
    assert text in " ".join(map(str, refusals(broken)))


def test_recurrent_weights_of_another_shape(dense: Maker, chain: Chain) -> None:
    assert "recurrent weights of shape (2, 3)" in one(
        chain(dense("a", (4,), 3, recurrent=np.ones((2, 3))))
    )


def test_the_network_as_a_whole(dense: Maker, chain: Chain) -> None:
    layer = dense("a", (4,), 3)
    assert "message_bits 25" in one(IntNetwork((4,), (layer,), 25))
    assert "0 layers with neurons" in one(IntNetwork((4,), ()))
    assert "2 layers are called 'a'" in one(chain(layer, dense("a", (3,), 2)))
    assert "shape (4, 1)" in " ".join(map(str, refusals(IntNetwork((4, 1), (layer,)))))


def test_all_in_one_answer(conv: Maker, dense: Maker, chain: Chain, tmp_path: Path) -> None:
    first = conv("a", (1, 4, 4), 1, (2, 2), neuron=IntNeuron(4096, 4096, 1 << 20), bias=[9999])
    net = chain(first, dense("b", (9,), 2, weight=np.zeros((2, 9))), message_bits=99)
    with pytest.raises(NetworkRefused) as caught:
        to_netx(net, tmp_path / "a.net")
    assert len(caught.value.refusals) == 5
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "a.net").exists()


# Files: what only a file can hold, and what netx would ignore or stumble over.


@pytest.fixture
def edited(conv: Maker, dense: Maker, chain: Chain, tmp_path: Path) -> Callable[[Edit], list[str]]:
    """Refusals of a sound file after an edit of its group ``layer``."""

    def apply(edit: Edit) -> list[str]:
        path = tmp_path / "a.net"
        net = chain(
            conv("a", (1, 4, 4), 2, (2, 2)),
            dense("b", (2, 3, 3), 3, bias=[1, 2, 3]),
            dense("c", (3,), 2, recurrent=[[2, 0], [0, -2]]),
        )
        to_netx(net, path)
        with h5py.File(path, "r+") as file:
            edit(file["layer"])
        with pytest.raises(NetworkRefused) as caught:
            from_netx(path)
        assert str(caught.value).startswith(f"{path}: ")
        return [str(refusal) for refusal in caught.value.refusals]

    return apply


def put(place: str, value: Any) -> Edit:
    """Replace (or add) a dataset."""

    def edit(layers: h5py.Group) -> None:
        if place in layers:
            del layers[place]
        layers[place] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (put("1/neuron/type", "SDNN"), "layer 1 (conv): neurons of type 'SDNN'"),
        (put("3/neuron/type", "RF"), "layer 3 (dense): neurons of type 'RF'"),
        (put("0/neuron/type", "CUBA"), "layer 0 (input): no vThMant"),
        (put("1/delay", np.zeros(2)), "layer 1 (conv): a delay on a convolution"),
        (put("3/neuron/iDecay", np.array([1, 2, 2])), "unequal values of iDecay"),
        (put("3/neuron/vDecay", np.array([2, 2, 2])), "several values of vDecay"),
        (put("3/neuron/vThMant", 1.5), "vThMant: values that are not integers, such as 1.5"),
        (put("3/neuron/refDelay", 3), "refDelay 3, which netx ignores"),
        (put("3/neuron/gradedSpike", True), "gradedSpike True, which netx ignores"),
        (put("3/neuron/weight_exp", 2.0), "weight_exp 2., which netx ignores"),
        (put("3/neuron/messageBits", 8), "messageBits, which netx cannot read"),
        (put("3/bias", np.array([1.0, np.nan, 2])), "bias: not-a-number"),
        (put("3/weight", np.full((3, 18), 0.25)), "weight: values that are not integers"),
        (put("3/weight", np.zeros((3, 0))), "weight: empty"),
        (put("3/weight", np.full((3, 18), 2.0**40)), "weight: values beyond 32 bits"),
        (put("3/delay", np.arange(5)), "delays of shape (5,)"),
        (put("3/delay", np.array([0, 1, 99])), "a delay of 99 steps"),
        (put("3/delay", 0.5), "delay: values that are not integers"),
        (put("4/weight_rec", np.ones((3, 2))), "recurrent weights of shape (3, 2)"),
        (put("1/shape", np.array([2, 9, 9])), "gives (2, 3, 3), but its shape says (2, 9, 9)"),
        (put("1/shape", np.array([2, -3, 3])), "shape (2, -3, 3)"),
        (put("1/stride", np.array([1, 2, 3])), "stride of shape (3,)"),
        (put("1/groups", 0), "groups (0,)"),
        (put("2/type", np.array([b"pool"])), "layers of type 'pool' do not run in netx"),
        (put("2/type", np.array([b"unpool"])), "layers of type 'unpool'"),
        (put("2/type", np.array([b"wave"])), "layers of type 'wave'"),
        (put("2/type", np.array([b"input"])), "an input layer after others"),
        (put("4/type", np.array([b"conv"])), "no stride"),
    ],
)
def test_files(edit: Edit, text: str, edited: Callable[[Edit], list[str]]) -> None:
    answer = edited(edit)
    assert any(text in refusal for refusal in answer), answer
    assert all("; " in refusal for refusal in answer)


@pytest.mark.parametrize("kind", ["average", "convT", "unpool", "concat", "pool"])
def test_documented_types_that_netx_does_not_run(
    kind: str, edited: Callable[[Edit], list[str]]
) -> None:
    answer = edited(put("3/type", np.array([kind.encode()])))
    assert any(f"layers of type '{kind}' do not run in netx" in refusal for refusal in answer)


def test_missing_members(edited: Callable[[Edit], list[str]]) -> None:
    for place, text in (("3/weight", "no weight"), ("3/neuron/iDecay", "no iDecay")):
        assert any(text in refusal for refusal in edited(lambda group, p=place: group.pop(p)))
    assert any("no neuron" in refusal for refusal in edited(lambda group: group.pop("3/neuron")))


def test_a_dense_layer_on_an_image_needs_a_flatten(edited: Callable[[Edit], list[str]]) -> None:
    def without_flatten(layers: h5py.Group) -> None:
        del layers["2"]
        layers.move("3", "2")
        layers.move("4", "3")

    assert any("without a flatten before it" in refusal for refusal in edited(without_flatten))


def test_everything_wrong_with_a_file_in_one_answer(edited: Callable[[Edit], list[str]]) -> None:
    def spoil(layers: h5py.Group) -> None:
        put("1/neuron/type", "SDNN")(layers)
        put("1/delay", np.zeros(2))(layers)
        put("3/bias", np.array([0, 9000, 0]))(layers)
        put("4/weight", np.zeros((2, 3)))(layers)
        put("4/weight_rec", np.zeros((2, 2)))(layers)

    answer = edited(spoil)
    places = [refusal.split(":")[0] for refusal in answer]
    assert places == ["layer 1 (conv)"] * 2 + ["layer 3 (dense)", "layer 4 (dense_rec)"]
