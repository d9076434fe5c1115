"""Memory that is used again, and loops shared out among threads."""

from __future__ import annotations

import gc

import pytest
import torch

from sdcl_neuro.snn.bptt import memory, workers


def test_memory_comes_back_when_nobody_holds_it():
    pool = memory.BlockPool(keep_bytes=3 << 20)
    first = pool.empty((64, 1 << 12), torch.float32)
    assert first.data_ptr() % memory.ALIGNMENT == 0
    place, view = first.data_ptr(), first[3:].flatten()[5:]
    del first
    assert pool.free_bytes() == 0
    assert pool.empty((64, 1 << 12), torch.float32).data_ptr() != place
    del view
    gc.collect()
    assert pool.free_bytes() == 2 << 20
    again = [pool.empty((60, 1 << 12), torch.float32) for _ in range(2)]
    assert place in [each.data_ptr() for each in again]
    small = pool.empty((5,), torch.float64)
    assert small.dtype == torch.float64
    again += [pool.empty((64, 1 << 12), torch.float32) for _ in range(2)]
    del again
    assert 0 < pool.free_bytes() <= 3 << 20
    pool.clear()
    assert pool.free_bytes() == 0


@pytest.mark.parametrize("team", [True, False])
def test_shares_cover_everything_once(team, monkeypatch):
    if not team:
        monkeypatch.setattr(workers, "_openmp", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for count in (1, 2, 5, 47, 1000):
        found = workers.share(lambda *a: a, count, "x", work=1 << 20)
        edges = [edge for first, last, _ in found for edge in (first, last)]
        assert edges[0] == 0
        assert edges[-1] == count
        assert edges[1:-1:2] == edges[2:-1:2]
    assert len(found) == 3
    assert len(workers.share(lambda *a: a, 1000, work=10)) == 1

    def fail(first, last):
        raise KeyError(first)

    with pytest.raises(KeyError):
        workers.share(fail, 100, work=1 << 20)
