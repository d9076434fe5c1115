"""Convolutions in training: from spikes alone, and as exact as a loop over steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from helpers import branch_learning as learning
from sdcl_neuro.snn.bptt import exact, sparse
from sdcl_neuro.snn.bptt.exact import ConvolutionCall, Way
from sdcl_neuro.snn.bptt.synapses import LAST, Geometry, TrainedSynapses


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**31),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.sampled_from([8, 16, 24]),
)
def test_convolution_from_spikes(seed, kernel, stride, padding, outputs):
    inputs, layout = (2, torch.contiguous_format) if seed % 2 else (8, LAST)
    spikes = learning.sparse_spikes(seed, 3, inputs, 12, 10).mul(2).contiguous(memory_format=layout)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-128, 128, (outputs, inputs, *kernel), generator=generator).float()
    ours = sparse.SparseConvolution((12, 10), tuple(weight.shape), stride, padding)
    expected = conv2d(spikes, weight, None, stride, padding)
    found = ours.sums(spikes, ours.stored(weight))
    assert torch.equal(found, expected.round())
    assert found.is_contiguous(memory_format=LAST)
    drive = torch.randn(expected.shape, generator=generator)
    found = ours.restored(ours.weight_gradient(spikes, drive.contiguous(memory_format=LAST)))
    expected = torch.nn.grad.conv2d_weight(
        spikes.double(), weight.shape, drive.double(), stride, padding
    )
    learning.assert_close([found.double()], [expected], 2e-6)


def test_sparse_gradients_where_they_pay():
    weight = torch.zeros(8, 8, 3, 3)
    rare, often = (learning.sparse_spikes(0, 4, 8, 32, 16, rate=rate) for rate in (0.02, 0.6))
    assert sparse.pays(rare, weight, (1, 1))
    assert not sparse.pays(often, weight, (1, 1))
    assert not sparse.pays(rare, weight[:7], (1, 1))
    assert not sparse.pays(rare[..., :3], weight, (1, 1))
    assert sparse.pays(rare.contiguous(memory_format=LAST), weight, (1, 1))


CALLS = [
    ConvolutionCall(4, (8, 2, 32, 16), (16, 2, 3, 3), (2, 2), (1, 1), False),
    ConvolutionCall(3, (2, 32, 16, 8), (64, 32, 3, 3), (1, 2), (1, 0), True),
    ConvolutionCall(1, (1, 5, 9, 7), (3, 5, 2, 3), (1, 1), (2, 1), True),
]


@pytest.mark.parametrize("call", CALLS)
def test_sums_are_those_of_a_loop_over_steps(call, monkeypatch):
    spikes = learning.sparse_spikes(1, call.steps, *call.images)
    weight, bias = torch.randn(call.weight), torch.randn(call.weight[0]) if call.biased else None
    expected = [conv2d(step, weight, bias, call.stride, call.padding) for step in spikes]
    synapses = TrainedSynapses(
        spikes, weight, bias, Geometry(call.stride, call.padding), integers=False
    )
    found = synapses.sums(slice(0, call.steps))
    assert torch.equal(found, torch.cat(expected))
    assert found.shape[1:] == synapses.shape[1:]
    for way in Way:
        monkeypatch.setattr(exact, "_probed", lambda *a, way=way: way)
        found = synapses.sums(slice(0, call.steps))
        learning.assert_close([found], [torch.cat(expected)])
        if way is Way.STEP_BY_STEP:
            assert torch.equal(found, torch.cat(expected))


def test_what_is_not_exact_is_found_out(monkeypatch):
    call = ConvolutionCall(2, (2, 3, 8, 8), (5, 3, 3, 3), (1, 1), (1, 1), False)
    plain = exact.functional.conv2d

    def other_order(spikes, weight, *rest):
        found = plain(spikes, weight, *rest)
        one_step = len(spikes) == 2 and weight.is_contiguous()
        return found if one_step else torch.nextafter(found, found + 1)

    exact._probed.cache_clear()
    assert call.way() is not Way.STEP_BY_STEP
    monkeypatch.setattr(exact.functional, "conv2d", other_order)
    exact._probed.cache_clear()
    assert call.way() is Way.STEP_BY_STEP
    exact._probed.cache_clear()


def test_steps_apart_in_memory():
    spikes = learning.sparse_spikes(0, 12, 2, 5, 3, 8, rate=0.03).movedim(-1, 2)[::3]
    weight = torch.randint(-9, 9, (16, 8, 3, 3)).float()
    synapses = TrainedSynapses(spikes, weight, None, Geometry((1, 1), (1, 1)), integers=True)
    whole = slice(0, 4)
    folded = spikes.flatten(0, 1)
    expected = conv2d(folded, weight, None, 1, 1)
    assert torch.equal(synapses.sums(whole), expected)
    drive = torch.randn(expected.shape).contiguous(memory_format=LAST)
    synapses.add_weight_gradient(whole, drive)
    due = torch.nn.grad.conv2d_weight(folded, weight.shape, drive, 1, 1)
    learning.assert_close([synapses.weight_gradient()], [due])
    due = torch.nn.grad.conv2d_input(folded.shape, weight, drive, 1, 1)
    learning.assert_close([synapses.input_gradient(whole, drive)], [due])
