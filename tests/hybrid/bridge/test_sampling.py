"""The compiled search and gather against their plain twins, and what a tracer sees of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.utils.flop_counter import FlopCounterMode

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import BridgeConfig, EventMapping, nearest_event_offsets
from sdcl_neuro.hybrid.bridge.gathering import compiled, gathered_convolution, plain_convolution
from sdcl_neuro.hybrid.bridge.sampling import (
    nearest_event_index,
    ranked_event_index,
    sampling_index,
    traceable_event_index,
)

maps = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9).flatmap(
    lambda shape: hnp.arrays(bool, (min(shape[0], 3), *shape[1:]))
)


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(maps, st.sampled_from([1, 3, 5]), st.integers(1, 12))
def test_four_searches_agree(active: np.ndarray, k: int, window: int) -> None:
    """`nearest_event_offsets` itself is held against brute force in test_offsets."""
    cells = torch.from_numpy(active)
    assert compiled(cells)
    wanted = sampling_index(nearest_event_offsets(cells, k, window=window), k)
    assert torch.equal(traceable_event_index(cells, k, window=window), wanted)
    assert torch.equal(ranked_event_index(cells, k, window=window), wanted)
    assert torch.equal(nearest_event_index(cells, k, window=window), wanted)


@pytest.mark.parametrize("density", [0.0, 0.03, 0.3, 1.0])
def test_searches_agree_on_large_maps(density: float, threads: int) -> None:
    torch.manual_seed(1)
    cells = torch.rand(5, 40, 33) < density
    wanted = sampling_index(nearest_event_offsets(cells, 3), 3)
    assert torch.equal(nearest_event_index(cells, 3), wanted)
    assert torch.equal(ranked_event_index(cells, 3), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("inputs", "outputs", "k"), [(8, 8, 3), (3, 5, 1), (1, 2, 5)])
def test_gradients_are_autograds(
    dtype: torch.dtype, inputs: int, outputs: int, k: int, threads: int
) -> None:
    torch.manual_seed(2)
    index = nearest_event_index(torch.rand(4, 17, 11) < 0.4, k)
    slope = torch.randn(4, outputs, 17, 11, dtype=dtype)
    found = []
    for convolve in (gathered_convolution, plain_convolution):
        torch.manual_seed(3)
        x = torch.randn(4, inputs, 17, 11, dtype=dtype, requires_grad=True)
        weight = torch.randn(outputs, inputs, k, k, dtype=dtype, requires_grad=True)
        out = convolve(x, weight, index)
        out.backward(slope)
        assert x.grad is not None
        assert weight.grad is not None
        found.append((out.detach(), x.grad, weight.grad))
    tight = 1e-12 if dtype == torch.float64 else 2e-5
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=tight, atol=tight * outputs * 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("size", "inputs", "outputs", "k"),
    [((40, 33), 4, 19, 3), ((31, 17), 3, 8, 5), ((1, 1), 2, 9, 3), ((1, 700), 1, 1, 3)],
)
def test_maps_of_many_stretches(
    dtype: torch.dtype, size: tuple[int, int], inputs: int, outputs: int, k: int, threads: int
) -> None:
    """Regular, moved and border cells, in more than one stretch, and in less than a tile."""
    tight = 1e-11 if dtype == torch.float64 else 1e-5
    for density in (0.0, 0.02, 0.4, 1.0):
        torch.manual_seed(6)
        index = nearest_event_index(torch.rand(3, *size) < density, k)
        given = torch.randn(3, inputs, *size), torch.randn(outputs, inputs, k, k)
        slope = torch.randn(3, outputs, *size).to(dtype)
        found = []
        for convolve in (gathered_convolution, plain_convolution):
            x, weight = (value.to(dtype).requires_grad_(True) for value in given)
            out = convolve(x, weight, index)
            out.backward(slope)
            found.append((out.detach(), x.grad, weight.grad))
        for ours, theirs in zip(*found, strict=True):
            assert theirs is not None
            largest = float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=tight, atol=tight * largest)


def test_any_places_do() -> None:
    """An index that no search made; columns are wrapped around, and everything reads outside."""
    torch.manual_seed(7)
    x, weight = torch.randn(2, 3, 20, 40), torch.randn(5, 3, 3, 3)
    flat = (
        torch.arange(800).view(1, 1, -1)
        + torch.tensor([-41, -40, -39, -1, 0, 1, 39, 40, 41])[None, :, None]
    )
    wrapped = torch.where((flat >= 0) & (flat < 800), flat, 800).to(torch.int32)
    for index in (wrapped, torch.full_like(wrapped, 800), torch.randint_like(wrapped, 801)):
        both = index.expand(2, -1, -1)
        torch.testing.assert_close(
            gathered_convolution(x, weight, both),
            plain_convolution(x, weight, both),
            rtol=1e-5,
            atol=1e-5,
        )


def test_what_is_beside_the_map_is_not_read() -> None:
    x = torch.full((1, 1, 24, 40), torch.nan)
    x[..., 1:-1, 1:-1] = 1
    index = nearest_event_index(torch.zeros(1, 24, 40, dtype=torch.bool), 3)
    found = gathered_convolution(x, torch.ones(1, 1, 3, 3), index)
    assert torch.equal(found[..., 2:-2, 2:-2], torch.full((1, 1, 20, 36), 9.0))


def test_a_wrong_index_is_refused() -> None:
    index = nearest_event_index(torch.zeros(2, 6, 5, dtype=torch.bool), 3)
    x, weight = torch.randn(2, 3, 6, 5), torch.randn(4, 3, 3, 3)
    for wrong in (
        (x, weight, index.transpose(1, 2)),
        (x, weight, index.long()),
        (x[:1], weight, index),
        (x[:, :2], weight, index),
    ):
        with pytest.raises(InputError, match="for maps of this size"):
            gathered_convolution(*wrong)


def test_only_wanted_gradients_are_made(threads: int) -> None:
    index = nearest_event_index(torch.rand(2, 6, 5) < 0.6, 3)
    x, weight = torch.randn(2, 3, 6, 5), torch.randn(4, 3, 3, 3)
    assert gathered_convolution(x, weight, index).grad_fn is None
    for wanted, other in ((x, weight), (weight, x)):
        wanted.requires_grad_(True)
        gathered_convolution(x, weight, index).sum().backward()
        assert wanted.grad is not None
        assert other.grad is None
        wanted.requires_grad_(False).grad = None


def test_threads_change_no_bit() -> None:
    index = nearest_event_index(torch.rand(5, 40, 33) < 0.5, 3)
    results = []
    before = torch.get_num_threads()
    for number in (1, 2, 4):
        torch.set_num_threads(number)
        torch.manual_seed(4)
        x = torch.randn(5, 8, 40, 33, requires_grad=True)
        weight = torch.randn(8, 8, 3, 3, requires_grad=True)
        out = gathered_convolution(x, weight, index)
        out.square().sum().backward()
        results.append((out.detach(), x.grad, weight.grad))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def mapping() -> tuple[EventMapping, torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    built = EventMapping(BridgeConfig(channels=16, event_channels=4)).eval()
    return built, torch.rand(2, 4, 16, 8), (torch.rand(2, 64, 32) < 0.02).float()


def test_an_export_sees_plain_torch() -> None:
    built, features, counts = mapping()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        exported = torch.export.export(built, (features, counts)).module()
        traced = torch.jit.trace(built, (features, counts))
    # Other events than the graph was made with: nothing of them may be frozen into it.
    others = (torch.rand(2, 64, 32) < 0.05).float()
    wanted = built(features, others)
    torch.testing.assert_close(exported(features, others), wanted)
    torch.testing.assert_close(traced(features, others), wanted)


def test_a_dispatch_mode_sees_plain_torch() -> None:
    built, features, counts = mapping()
    with FlopCounterMode(display=False) as counter:
        built(features, counts)
    assert counter.get_total_flops() >= 2 * 3 * 2 * 128 * 9 * 4 * 4


def test_other_types_take_the_plain_way() -> None:
    index = nearest_event_index(torch.rand(2, 6, 5) < 0.6, 3)
    x, weight = torch.randn(2, 3, 6, 5), torch.randn(4, 3, 3, 3)
    half = gathered_convolution(x.bfloat16(), weight.bfloat16(), index)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(
        half.float(), gathered_convolution(x, weight, index), rtol=0.05, atol=0.1
    )
