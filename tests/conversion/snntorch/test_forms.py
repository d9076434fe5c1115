"""However a forward takes its input, the description fires as the module does by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from numpy.typing import NDArray
from snntorch import spikegen, utils
from torch import Tensor, nn

from helpers import user_modules as user
from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.backends.run import run
from sdcl_neuro.errors import InputError, NetworkRefused

Spikes = NDArray[np.uint8]


def describe(module: nn.Module, sample: Any) -> tuple[Any, Spikes]:
    """The description, and what its last layer sends on the sample."""
    net = from_snntorch(module, sample)
    return net, run(net, sample, backend="snntorch").spikes[len(net.layers) - 1]


def by_hand(module: user.Two, spikes: Spikes) -> Spikes:
    """The two layers of every module here, run by the loop of snnTorch's tutorials."""
    with torch.no_grad():
        return module.steps(torch.tensor(spikes).float()).numpy()


def pair_of(net: Any) -> Any:
    (check,) = net.meta["source_checks"]
    return check["pair"]


@pytest.mark.parametrize(
    "kind",
    [
        *(user.Sequence, user.BatchFirst, user.ListOfSteps, user.Counted, user.ByKeyword),
        *(user.LayerByLayer, user.FixedBatch, user.ExplicitStates, user.OptionalStates),
        user.KeptOnSelf,
    ],
)
def test_every_form_gives_the_same(kind: Callable[[], user.Two], spikes: Spikes) -> None:
    module = kind()
    expected = by_hand(module, spikes)
    assert expected.mean() > 0.05
    net, found = describe(module, spikes)
    np.testing.assert_array_equal(found, expected)
    pair = pair_of(net)
    assert pair["holds"] is True
    assert pair["spikes"]["sha256"] == _sha(spikes)
    assert [layer["spikes"][f"snntorch {kind.__name__}"] for layer in pair["layers"]][1] == int(
        expected.sum()
    )
    assert [layer["compared"] for layer in pair["layers"]] == [20 * 3 * 9, 20 * 3 * 7]


def _sha(spikes: Spikes) -> str:
    from sdcl_neuro.network.identity import array_sha256

    return array_sha256(spikes)


def test_a_state_that_may_be_handed_in_is(spikes: Spikes) -> None:
    """Without it, this module would forget from call to call."""
    module = user.OptionalState()
    with torch.no_grad():
        mem, expected = None, []
        for step in torch.tensor(spikes).float():
            spike, mem = module(step, mem)
            expected.append(spike)
    _, found = describe(module, spikes)
    np.testing.assert_array_equal(found, torch.stack(expected).numpy())


def test_states_kept_on_the_module_start_at_zero_and_that_is_said(spikes: Spikes) -> None:
    module = user.KeptOnSelf()
    expected = by_hand(module, spikes)
    with torch.no_grad():
        module(torch.tensor(spikes[0]).float())
    left = list(module.states)
    net, found = describe(module, spikes)
    np.testing.assert_array_equal(found, expected)
    assert module.states == left, "the module is left as it was"
    (note,) = net.meta["assumed"]
    assert note["what"] == "states kept in states start at zero"


@pytest.mark.parametrize("kind", [user.Static, user.StaticComputedOnce])
@pytest.mark.parametrize("steps", [1, 9, 20])
def test_a_loop_over_one_input_is_that_input_repeated(
    kind: Callable[[], user.Two], steps: int, spikes: Spikes
) -> None:
    module = kind()
    net = from_snntorch(module, spikes[:steps])
    (note,) = net.meta["assumed"]
    assert note["what"] == "input repeated over 9 steps"
    assert "spikegen.rate" in note["reason"]
    pair = pair_of(net)
    assert pair["spikes"]["shape"][0] == 9
    repeated = np.repeat(spikes[:1], 9, axis=0)
    with torch.no_grad():
        expected = module(torch.tensor(spikes[0]).float()).numpy()
    assert expected.any()
    found = run(net, repeated, backend="snntorch").spikes[1]
    np.testing.assert_array_equal(found, expected)


def test_static_values_between_are_compared_and_said_to_be_no_spikes() -> None:
    grey = np.random.default_rng(0).random((1, 4, 12)).astype(np.float32)
    net = from_snntorch(user.Static(), grey)
    assert pair_of(net)["holds"] is True
    (note,) = net.meta["not_checked"]
    assert "encode" in note["reason"]


class Encodes(user.Two):
    def forward(self, x):
        return self.steps(spikegen.rate(x, num_steps=10))


class Scales(user.Two):
    def forward(self, x):
        return self.steps(x.cos())


def test_a_forward_that_encodes_says_how_to_encode() -> None:
    with pytest.raises(
        NetworkRefused, match=r"in each of 10 steps.*spikegen\.rate\(x, num_st"
    ) as e:
        from_snntorch(Encodes(), np.full((1, 3, 12), 0.5, np.float32))
    assert "loop over" in str(e.value)
    # What it says leads on: the steps as encoded, and a forward that loops over them.
    encoded = spikegen.rate(torch.full((3, 12), 0.5), num_steps=10)
    module = user.Sequence()
    _, found = describe(module, encoded.numpy().astype(np.uint8))
    np.testing.assert_array_equal(found, by_hand(module, encoded.numpy()))


def test_a_forward_that_changes_its_input_is_refused(spikes: Spikes) -> None:
    with pytest.raises(NetworkRefused, match="something other than the spikes"):
        from_snntorch(Scales(), spikes)


class Forgets(nn.Module):
    """snnTorch's tutorial 6: one step, its states made in every call."""

    def __init__(self, how: str):
        super().__init__()
        hidden = {"init_hidden": True} if how == "reset" else {}
        self.fc, self.how = nn.Linear(12, 7), how
        self.lif = snn.Leaky(0.9, threshold=0.6, **user.ZERO, **hidden)
        user.lively(self)

    def forward(self, x):
        if self.how == "reset":
            utils.reset(self)
            return self.lif(self.fc(x))
        if self.how == "zeros":
            return self.lif(self.fc(x), torch.zeros(len(x), 7))[0]
        return self.lif(self.fc(x), self.lif.init_leaky())[0]


@pytest.mark.parametrize("how", ["init_leaky", "reset", "zeros"])
def test_states_made_in_every_call_are_found(how: str, spikes: Spikes) -> None:
    with pytest.raises(NetworkRefused, match=r"keeps nothing from one step.*init_hidden=True"):
        from_snntorch(Forgets(how), spikes)


def test_the_remedy_for_that_remembers(spikes: Spikes) -> None:
    before = Forgets("init_leaky")
    after = nn.Sequential(before.fc, snn.Leaky(0.9, threshold=0.6, **user.HIDDEN))
    with torch.no_grad():
        expected = torch.stack([after(step) for step in torch.tensor(spikes).float()]).numpy()
    _, found = describe(after, spikes)
    np.testing.assert_array_equal(found, expected)


class Loses(user.Two):
    def steps(self, steps):
        mem1, mem2, spikes = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in steps:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2 * 0.5)
            spikes.append(spk2)
        return torch.stack(spikes)

    def forward(self, x):
        return self.steps(x)


def test_the_layer_where_a_module_departs_is_named(spikes: Spikes) -> None:
    with pytest.raises(NetworkRefused) as refused:
        from_snntorch(Loses(), spikes)
    (refusal,) = refused.value.refusals
    assert refusal.where == "lif2"
    assert "first at step" in refusal.what


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, pytest.param(torch.compile, marks=pytest.mark.compiler)]
)
def test_wrappers_are_seen_through(wrap: Callable[..., Any], spikes: Spikes) -> None:
    module = user.Sequence()
    net, found = describe(wrap(module), spikes)
    np.testing.assert_array_equal(found, by_hand(module, spikes))
    assert [layer.name for layer in net.layers] == ["fc1", "fc2"]


def test_a_sequence_with_visible_states_is_run_module_by_module(spikes: Spikes) -> None:
    two = user.Sequence()
    module = nn.Sequential(two.fc1, two.lif1, two.fc2, two.lif2)
    net, found = describe(module, spikes)
    np.testing.assert_array_equal(found, by_hand(two, spikes))
    (note,) = net.meta["assumed"]
    assert "one by one" in note["what"]


def test_blocks_with_a_forward_of_their_own_inside_a_sequence(spikes: Spikes) -> None:
    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.fc = nn.Linear(inputs, outputs)
            self.lif = snn.Leaky(0.9, threshold=0.3, **user.HIDDEN)

        def forward(self, x):
            return self.lif(self.fc(x))

    module = user.lively(nn.Sequential(Block(12, 9), nn.Identity(), Block(9, 7)))
    with torch.no_grad():
        expected = torch.stack([module(step) for step in torch.tensor(spikes).float()]).numpy()
    assert expected.any()
    _, found = describe(module, spikes)
    np.testing.assert_array_equal(found, expected)


def test_a_state_that_is_not_returned_is_asked_for(spikes: Spikes) -> None:
    class Swallows(user.Two):
        def forward(self, x, mem1, mem2):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            return self.lif2(self.fc2(spk1), mem2)

    with pytest.raises(InputError, match="takes the state 'mem1' and does not return it"):
        from_snntorch(Swallows(), spikes)


def test_a_forward_that_wants_something_else_is_refused(spikes: Spikes) -> None:
    class Labelled(user.Two):
        def forward(self, x, label):
            return self.steps(x) * label

    with pytest.raises(InputError, match="Labelled: its forward runs neither"):
        from_snntorch(Labelled(), spikes)


def test_a_sample_without_spikes_is_replaced_by_random_ones(spikes: Spikes) -> None:
    net = from_snntorch(user.Sequence(), np.zeros_like(spikes))
    assert pair_of(net)["layers"][0]["spikes"]["description"] > 0
    (note,) = net.meta["assumed"]
    assert "random spikes, rate 0.2" in note["what"]


def test_a_module_is_left_as_it_was(images: Spikes) -> None:
    module = nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)),
        snn.Leaky(0.9, threshold=0.5, **user.HIDDEN),
        *(nn.Flatten(), nn.Linear(144, 5), snn.Leaky(0.8, **user.HIDDEN)),
    ).train()
    calls: list[Tensor] = []
    module[5].register_forward_hook(lambda m, i, o: calls.append(o))
    out = module(torch.tensor(images[0]).float())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    states = [module[k].mem for k in (3, 6)]
    drawn = torch.random.get_rng_state()
    net = from_snntorch(module, images)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(child.training for child in module.modules())
    assert [module[k].mem for k in (3, 6)] == states
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert len(module[5]._forward_hooks) == 1
    out.sum().backward()  # the graph of the training that was under way
    assert any("eval()" in note["what"] for note in net.meta["assumed"])
