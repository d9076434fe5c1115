"""The alignment's compiled sampling against torch's ``grid_sample``, gradients included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import CrossFeatureAlignment
from sdcl_neuro.hybrid.bridge.point_sampling import mixed_samples, plain_mixed_samples

PROJECTION = torch.tensor([[0.9, 0.1, 0.2], [-0.1, 1.1, -0.3]])


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def material(
    shape: tuple[int, int, int, int], heads: int, points: int, *, dtype: torch.dtype, far: float = 3
) -> list[Tensor]:
    """Value, offset and score; some points lie outside the map."""
    batch, _, height, width = shape
    torch.manual_seed(0)
    given = [
        torch.randn(shape, dtype=dtype),
        torch.randn(batch, heads * points * 2, height, width, dtype=dtype) * far,
        torch.randn(batch, heads, points, height * width, dtype=dtype).softmax(2),
    ]
    return [x.detach().requires_grad_(True) for x in given]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("shape", "heads", "points"),
    [((3, 12, 6, 5), 3, 4), ((2, 64, 16, 8), 2, 1), ((1, 1, 1, 7), 1, 3), ((9, 80, 16, 8), 4, 4)],
)
def test_values_and_gradients_are_torchs(
    dtype: torch.dtype, shape: tuple[int, int, int, int], heads: int, points: int, threads: int
) -> None:
    found = []
    for sample in (mixed_samples, plain_mixed_samples):
        given = material(shape, heads, points, dtype=dtype)
        out = sample(*given, PROJECTION.to(dtype))
        out.backward(torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype))
        found.append([out.detach(), *(x.grad for x in given)])
    tight = 1e-11 if dtype == torch.float64 else 2e-4
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tight, atol=tight)


def test_gradients_are_right() -> None:
    given = material((1, 4, 3, 5), 2, 2, dtype=torch.float64, far=1)
    projection = PROJECTION.double()
    assert torch.autograd.gradcheck(lambda *x: mixed_samples(*x, projection), given)


def test_threads_change_no_bit() -> None:
    results, before = [], torch.get_num_threads()
    for number in (1, 2, 4):
        torch.set_num_threads(number)
        given = material((5, 32, 16, 8), 4, 4, dtype=torch.float32)
        out = mixed_samples(*given, PROJECTION)
        out.square().sum().backward()
        results.append([out.detach(), *(x.grad for x in given)])
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_any_layout_will_do() -> None:
    value, offset, score = material((2, 8, 6, 4), 2, 2, dtype=torch.float32)
    lasting = [
        value.contiguous(memory_format=torch.channels_last),
        offset.contiguous(memory_format=torch.channels_last),
        score.transpose(1, 3).contiguous().transpose(1, 3),
    ]
    wanted = mixed_samples(value, offset, score, PROJECTION)
    assert torch.equal(mixed_samples(*lasting, PROJECTION), wanted)


def test_a_point_that_is_no_place_adds_nothing() -> None:
    value, offset, score = (x.detach() for x in material((1, 4, 3, 3), 1, 3, dtype=torch.float32))
    for wild in (torch.nan, torch.inf, -torch.inf, 1e30):
        offset.fill_(wild)
        assert not mixed_samples(value, offset, score, torch.eye(3)[:2]).any()


def test_maps_of_two_sizes_are_refused() -> None:
    module = CrossFeatureAlignment(8, heads=2, points=2)
    with pytest.raises(InputError, match="do not go together"):
        module(torch.randn(3, 8, 4, 2), torch.randn(1, 8, 4, 2))
