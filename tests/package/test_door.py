"""What a user meets first: the names at the top, and the most natural mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from snntorch import Leaky
from torch import nn

import sdcl_neuro
from sdcl_neuro import conversion, load, profile, run, verify
from sdcl_neuro.errors import InputError, SuspiciousInput
from sdcl_neuro.testing import random_network, random_spikes

NET = random_network(3)
SPIKES = random_spikes(NET, 1)


def _module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 4, bias=False), Leaky(0.9, init_hidden=True, reset_mechanism="zero")
    )


def test_the_top_has_the_verbs_the_types_and_the_errors() -> None:
    for name in sdcl_neuro.__all__:
        assert getattr(sdcl_neuro, name) is not None
    verbs = {"load", "run", "verify", "profile", "conversion"}
    assert verbs <= set(dir(sdcl_neuro))


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, sdcl_neuro; print(sorted({'torch', 'numpy', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_verb_takes_a_path_and_a_network_alike(tmp_path: Path) -> None:
    path = tmp_path / "m.net"
    conversion.to_netx(NET, path)
    np.savez(tmp_path / "s.npz", spikes=SPIKES)
    models = [NET, path, str(path), load(path)]
    runs = [run(model, SPIKES) for model in models]
    runs.append(run(NET, tmp_path / "s.npz"))
    assert all(np.array_equal(one.spikes[0], runs[0].spikes[0]) for one in runs)
    for model in models:
        assert verify(model, spikes=SPIKES, against=["snntorch-int"], cache=False).holds
        assert (
            profile(model, SPIKES, hw="loihi1").layers == profile(NET, SPIKES, hw="loihi1").layers
        )
    assert str(load(path)).startswith(str(path))
    assert "vThMant" in str(load(path))


def _float_network() -> sdcl_neuro.FloatNetwork:
    return conversion.from_snntorch(_module(), np.ones((3, 1, 6), np.uint8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda folder: conversion.to_netx(_float_network(), folder / "m.net"),
            r"to_netx: expected an IntNetwork, got a FloatNetwork; .*conversion\.quantize",
        ),
        (lambda _: conversion.quantize(NET), "quantize: .* got an IntNetwork; .* already"),
        (lambda _: conversion.quantize(_module()), r"got a Sequential; .*from_snntorch"),
        (lambda _: run(SPIKES, NET), "expected a model, got a ndarray; the model comes first"),
        (lambda _: run(NET, SPIKES[:, 0]), r"expected spikes \[T, B, N\] .* got shape"),
        (lambda _: run(NET, SPIKES * 0.5), "not whole numbers; encode"),
        (lambda _: run(NET, SPIKES * 3), "message_bits"),
        (lambda _: run(NET, SPIKES, backend="lohi"), "unknown backend 'lohi'"),
        (lambda _: run(NET, SPIKES, sped=1), "option 'sped'"),
        (lambda folder: load(folder / "net.pth"), "no such file"),
        (lambda _: run(NET, SPIKES, backand="loihi"), "did you mean backend"),
        (lambda _: run(NET), r"run: spikes missing; call run\(model, spikes"),
        (lambda _: run(NET, SPIKES, layers="all"), r"expected indices of layers.*\[0, 2\]"),
        (lambda _: run(NET, [[1, 2], [3]]), "differ in length"),
        (lambda _: run(NET, None), "expected spikes, got None"),
        (lambda _: run(NET, {0: SPIKES}), "expected spikes, got a dict"),
        (lambda _: run(_module().state_dict(), SPIKES), "these are weights.*load_state_dict"),
        (lambda _: run(NET, SPIKES).readout(), "no read-out 0; the network has none"),
        (lambda _: verify(NET, SPIKES, ["lava"]), "takes 2 arguments by position"),
        (lambda _: verify(NET, spikes=SPIKES, aganst=["lava"]), "did you mean against"),
        (lambda _: verify(NET, spikes=SPIKES, recorded=SPIKES), "a file, a record, or spikes by"),
        (lambda _: profile(NET, SPIKES, hw=None), "expected names of chips"),
        (lambda _: profile(NET, SPIKES, hardware="loihi1"), "unknown keyword 'hardware'"),
        (lambda _: profile(NET, run(NET, SPIKES)), r"profile\(model, record=record\)"),
        (lambda _: profile(NET, record=SPIKES), "expected a Record, got a ndarray"),
        (lambda _: load(None), "load: expected a path, got None"),
        (lambda _: load(NET), "a network already"),
        (lambda _: load(_module().state_dict()), "build the module"),
        (lambda folder: conversion.to_netx(NET, folder), "is a folder, where a file"),
        (lambda folder: conversion.to_netx(folder / "m.net", NET), "the network comes first"),
        (lambda folder: conversion.to_nir(_module(), folder / "m.nir"), "describe it first"),
        (lambda folder: conversion.to_c(_float_network(), folder / "m.c"), "to_c: expected an Int"),
        (lambda folder: conversion.to_onnx(_module(), folder / "m.onnx"), "describe it first"),
        (lambda folder: conversion.to_verilog(_float_network(), folder), "quantise it first"),
        (lambda _: conversion.quantize(_float_network(), calibrate=1), "did you mean calibration"),
        (lambda _: conversion.from_snntorch(_module()), "sample missing"),
        (lambda _: conversion.from_snntorch(_module(), None), "expected a sample, got None"),
        (lambda _: conversion.from_snntorch(_module().state_dict(), SPIKES), "load_state_dict"),
        (lambda _: conversion.from_snntorch([*_module()], SPIKES), r"nn\.Sequential\(\*layers\)"),
        (lambda _: conversion.from_snntorch(nn.Linear, SPIKES), r"make an instance of it: Linear"),
        (lambda _: conversion.from_snntorch(NET, SPIKES), "in a chip's integers already"),
        (lambda _: conversion.make_deployable("net.pth"), "expected an nn.Module, got a str"),
        (lambda _: conversion.prepare_quantization({}, SPIKES), "these are weights"),
        (lambda _: conversion.from_netx(NET), "from_netx: expected a path"),
        (lambda _: conversion.load_hybrid(3), "load_hybrid: expected a path, got an int"),
    ],
)
def test_natural_mistakes_get_an_answer_that_leads_on(
    call: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        call(tmp_path)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.pth", "holds weights, not a network"),
        ("net.onnx", "to NIR"),
        ("net.h5", "ends in .net"),
        ("net.xyz", "give a checkpoint folder, .nir or .net"),
    ],
)
def test_a_file_of_another_kind_is_answered_by_its_ending(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        load(tmp_path / name)


def test_float_spikes_and_tensors_are_taken_if_they_are_whole() -> None:
    expected = run(NET, SPIKES).spikes
    for given in (SPIKES.astype(np.float32), torch.from_numpy(SPIKES), SPIKES.tolist()):
        assert np.array_equal(run(NET, given).spikes[0], expected[0])


def test_time_and_samples_exchanged_are_noticed() -> None:
    with pytest.warns(SuspiciousInput, match=r"1 time step of 8 samples.*swapaxes"):
        run(NET, SPIKES[:, :1].swapaxes(0, 1))
    # What a recording is like: consecutive steps share spikes, samples do not.
    lasting = np.random.default_rng(0).random((1, 12, *NET.input_shape)) < 0.3
    flicker = np.random.default_rng(1).random((20, 12, *NET.input_shape)) < 0.05
    recorded = (lasting ^ flicker).astype(np.uint8)
    run(NET, recorded)
    with pytest.warns(SuspiciousInput, match=r"12 samples of 20 steps.*swapaxes"):
        run(NET, recorded.swapaxes(0, 1))


def test_lists_paths_and_one_layer_are_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", spikes=np.ones((3, 1, 6), np.uint8))
    for sample in (tmp_path / "s.npz", np.ones((3, 1, 6)).tolist(), torch.ones(3, 1, 6)):
        net = conversion.from_snntorch(_module(), sample)
        assert conversion.quantize(net, sample, check=False).layers[0].neurons == 4
    assert list(run(NET, SPIKES, layers=1).spikes) == [1]


def test_an_error_within_a_verb_is_not_taken_for_a_wrong_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("ours")

    monkeypatch.setattr("sdcl_neuro.conversion.backends.run.check_given", broken)
    with pytest.raises(TypeError, match="ours"):
        run(NET, SPIKES)
