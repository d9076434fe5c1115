"""Spike files: what is looked at before their bytes are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spike_checks import check_input
from sdcl_neuro.network.spike_file import write_spikes


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_another_networks_shape_is_refused_before_the_spikes_are_read(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"s{ending}"
    write_spikes(path, np.zeros((4, 1, 2, 8, 8), np.uint8))
    assert check_input(path, (2, 8, 8)).shape == (4, 1, 2, 8, 8)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("the spikes were read")

    monkeypatch.setattr(np.lib.format, "read_array", read)
    monkeypatch.setattr("h5py.Dataset.__getitem__", read)
    with pytest.raises(InputError, match=r"network that takes \[T, B, 2, 9, 9\]") as told:
        check_input(path, (2, 9, 9))
    assert str(path) in str(told.value)
