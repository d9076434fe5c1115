"""The table of backends, and a backend added as the page on it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sdcl_neuro import run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.table import BACKENDS, BASE, Backend, find_backend, help_line
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.identity import LIBRARIES
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.testing import random_network, random_spikes


def test_every_row_can_be_loaded() -> None:
    assert BASE in BACKENDS
    for name, row in BACKENDS.items():
        assert row.name == name
        assert callable(row.load())
        assert name in help_line()
        if row.programs is None:  # programs outside of Python may be absent
            row.require()
    titles = [row.title for row in BACKENDS.values()]
    assert len(set(titles)) == len(titles)


def test_certificates_name_the_libraries_of_every_row() -> None:
    assert {name for row in BACKENDS.values() for name in row.libraries} <= set(LIBRARIES)


def test_an_unknown_backend_is_answered_with_the_table() -> None:
    with pytest.raises(InputError, match="unknown backend 'brian'; use one of loihi, "):
        find_backend("brian")


def test_an_option_of_another_backend_is_refused() -> None:
    net = random_network(0)
    spikes = random_spikes(net, 0, steps=2, samples=1)
    with pytest.raises(InputError, match=r"'timeout_s' is not one of the backend 'loihi'.*lava"):
        run(net, spikes, timeout_s=3)
    with pytest.raises(InputError, match="'sped' is not one of the backend 'lava'; give only"):
        run(net, spikes, backend="lava", sped=3)


def test_a_backend_is_one_file_and_one_row(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (root / "docs" / "how-to" / "add-a-backend.md").read_text("utf-8")
    code, row = re.findall(r"```python\n(.*?)```", page, re.S)
    module = ModuleType("sdcl_neuro.conversion.backends.toy")
    exec(compile(code, "toy.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(BACKENDS, "toy", eval(row.strip(), {"Backend": Backend}))

    net = random_network(3)
    spikes = random_spikes(net, 1)
    to_netx(net, tmp_path / "m.net")
    write_spikes(tmp_path / "in.npz", spikes)
    ours, toy = run(net, spikes), run(net, spikes, backend="toy", path="event")
    assert all(np.array_equal(ours.spikes[k], toy.spikes[k]) for k in ours.spikes)
    assert verify(net, spikes=spikes, against=["toy"], cache=False).holds
    model, given = str(tmp_path / "m.net"), str(tmp_path / "in.npz")
    out = tmp_path / "out.npz"
    assert main(["run", model, "--spikes", given, "--out", str(out), "--backend", "toy"]) == 0
    assert out.exists()
    assert main(["verify", model, "--spikes", given, "--against", "toy", "--no-cache"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["infer", "--help"])
    assert "toy" in capsys.readouterr().out
