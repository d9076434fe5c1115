"""A membrane of neurons that fire, which a forward returns, is never taken as spikes in silence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from sdcl_neuro import conversion, verify
from sdcl_neuro.network.notes import ASSUMED, notes_of

ZERO = {"reset_mechanism": "zero"}


def spikes(*shape):
    generator = torch.Generator().manual_seed(0)
    return (torch.rand((6, 2, *shape), generator=generator) < 0.4).float()


@dataclass
class Gave:
    spikes: Tensor
    membrane: Tensor


class Looped(nn.Module):
    """Takes all steps; what it returns of its last neurons is up to `ends`."""

    def __init__(self, ends, *, skip=False, last=None):
        super().__init__()
        self.ends, self.skip = ends, skip
        self.one, self.lif1 = nn.Linear(6, 6), snn.Leaky(0.9, threshold=0.3, **ZERO)
        self.two = nn.Linear(6, 5)
        self.lif2 = last or snn.Leaky(0.8, threshold=0.3, **ZERO)

    def forward(self, x):
        one, two = self.lif1.init_leaky(), self.lif2.init_leaky()
        rows = []
        for step in x:
            sent, one = self.lif1(self.one(step), one)
            given = sent + step if self.skip else sent
            last, two = self.lif2(self.two(given), two)
            rows.append((last, two, one))
        return self.ends(*(torch.stack(each) for each in zip(*rows, strict=True)))


def named(module, sample):
    """Neurons whose membrane the notes say is not taken."""
    described = conversion.from_snntorch(module.eval(), sample)
    found = [n for n in notes_of(described.meta, ASSUMED) if n.what.startswith("spikes alone")]
    assert all("never reset (reset_mechanism='none')" in note.reason for note in found)
    return [note.what.split("'")[1] for note in found]


@pytest.mark.parametrize("skip", [False, True], ids=["chain", "graph"])
@pytest.mark.parametrize(
    ("ends", "names"),
    [
        (lambda spk, mem, first: spk, []),
        (lambda spk, mem, first: (spk, mem), ["lif2"]),
        (lambda spk, mem, first: mem, ["lif2"]),
        (lambda spk, mem, first: {"out": spk.sum(0), "lost": [mem.mean(0), first]}, None),
        (lambda spk, mem, first: Gave(spk, mem.softmax(-1)), ["lif2"]),
        (lambda spk, mem, first: (spk, torch.zeros_like(mem)), []),
        (lambda spk, mem, first: spk.mean(0) + 0.1 * first.mean(), ["lif1"]),
    ],
    ids=["spikes", "both", "membrane", "nested", "data class", "shape only", "mixed"],
)
def test_whatever_a_forward_does_with_a_membrane_that_it_returns_is_named(ends, names, skip):
    found = named(Looped(ends, skip=skip), spikes(6))
    assert sorted(found) == (["lif1", "lif2"] if names is None else names)


def test_hidden_states_count_and_states_handed_in_and_out_do_not():
    hidden = nn.Sequential(
        nn.Linear(6, 5), snn.Leaky(0.9, threshold=0.3, init_hidden=True, output=True, **ZERO)
    )
    assert named(hidden, spikes(6)) == ["1"]

    class Stepped(nn.Module):
        def __init__(self, *, twice):
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 5), snn.Leaky(0.9, threshold=0.3, **ZERO)
            self.twice = twice

        def forward(self, x, mem):
            sent, mem = self.lif(self.fc(x), mem)
            return (sent, mem.clone(), mem) if self.twice else (sent, mem)

    assert named(Stepped(twice=False), spikes(6)) == []
    assert named(Stepped(twice=True), spikes(6)) == ["lif"]

    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 5)
            self.lif = snn.Leaky(0.9, threshold=0.3, init_hidden=True, **ZERO)

        def forward(self, x):
            sent = self.lif(self.fc(x))
            return sent, self.lif.mem

    assert named(Kept(), spikes(6)) == ["lif"]


def test_a_read_out_is_read_and_needs_no_note():
    last = snn.Leaky(0.8, reset_mechanism="none")
    module = Looped(lambda spk, mem, first: mem, last=last)
    graph = conversion.from_snntorch(module.eval(), spikes(6))
    assert [node.name for node in graph.readouts] == ["lif2"]
    assert named(module, spikes(6)) == []


def test_the_certificate_shows_the_note():
    given = spikes(6)
    net = conversion.from_snntorch(Looped(lambda spk, mem, first: (spk, mem)).eval(), given)
    chip = conversion.quantize(net, calibration=given.numpy().astype("uint8"), check=False)
    certificate = verify(chip, given.numpy(), against=["snntorch-int"], cache=False)
    (note,) = [n for n in certificate.assumed if "spikes alone of 'lif2'" in n.what]
    assert "does not send while its neurons fire" in note.reason
