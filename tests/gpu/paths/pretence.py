"""The pretended GPU itself: it refuses and counts what a GPU would."""

from __future__ import annotations

import pytest
import torch
from device import PretendedGpu


def test_operands_on_two_devices_are_refused(gpu: PretendedGpu) -> None:
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    with pytest.raises(RuntimeError, match="same device"):
        here + there
    assert (there * 2.0).sum().cpu().item() == 6
    gpu.count = 2
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3, device="cuda:1")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.ones(3, device="cuda:2")


def test_what_cuda_has_no_kernel_for_is_refused(gpu: PretendedGpu) -> None:
    whole = torch.ones(2, 2, dtype=torch.int64).to("cuda")
    with pytest.raises(RuntimeError, match="not implemented"):
        whole @ whole
    with pytest.raises(TypeError, match="can't convert"):
        whole.numpy()
    with pytest.raises(RuntimeError, match="indices should be"):
        torch.ones(3)[torch.tensor([0, 1], device="cuda")]


def test_launches_waits_and_copies_are_counted(gpu: PretendedGpu) -> None:
    values = torch.ones(4).pin_memory().to("cuda", non_blocking=True)
    assert (sum(gpu.launches.values()), sum(gpu.waits.values())) == (1, 0)
    more = (values + 1).view(2, 2).T.sum()
    assert sum(gpu.launches.values()) == 3  # views are free
    assert not gpu.waits
    assert more.item() == 8
    (values > 0).nonzero()
    values[values > 0]
    torch.ones(4).to("cuda")
    values.tolist()
    torch.cuda.synchronize()
    assert sorted(name.split(" @")[0] for name in gpu.waits) == [
        "copy to the host", "cuda.synchronize", "index by a mask", "item", "nonzero",
        "pageable copy", "tolist",
    ][1:]  # fmt: skip


def test_gradients_flow(gpu: PretendedGpu) -> None:
    weight = torch.nn.Linear(3, 2).to("cuda")
    weight(torch.ones(4, 3, device="cuda")).square().sum().backward()
    assert weight.weight.grad is not None
    assert weight.weight.grad.device == torch.device("cuda", 0)


def test_a_read_that_nothing_orders_is_refused(gpu: PretendedGpu) -> None:
    values, side = torch.ones(3, device="cuda"), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        doubled = values * 2
    with pytest.raises(AssertionError, match="nothing orders the two"):
        doubled + 1
    torch.cuda.current_stream().wait_stream(side)
    assert (doubled + 1).tolist() == [3, 3, 3]


def test_a_graph_is_computed_again(gpu: PretendedGpu) -> None:
    given, graph = torch.ones(3, device="cuda"), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = (given * 2).relu()
    given.copy_(torch.tensor([1.0, -1.0, 5.0], device="cuda"))
    graph.replay()
    assert made.tolist() == [2, 0, 10]
    with pytest.raises(RuntimeError, match="capturing"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        made.sum().item()
