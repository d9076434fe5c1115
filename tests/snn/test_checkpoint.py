"""Checkpoints: the same network comes back; nothing damaged or hostile gets through."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import as_model, load
from sdcl_neuro.errors import InputError, SdclNeuroError
from sdcl_neuro.files import file_sha256
from sdcl_neuro.snn import checkpoint as module_under_test
from sdcl_neuro.snn.checkpoint import load_checkpoint, save_checkpoint
from sdcl_neuro.snn.event_branch import COMPACT, BranchDescription, EventBranch


@pytest.fixture
def branch():
    torch.manual_seed(0)
    description = BranchDescription(
        COMPACT.layers, beta=0.8, bias=True, learn_beta=True, learn_threshold=True
    )
    return EventBranch(description)


@pytest.fixture
def folder(tmp_path, branch):
    branch.prepare_quantization()
    return save_checkpoint(
        tmp_path / "model", branch, input_size=(32, 16), provenance={"data": "made up"}
    )


def test_round_trip(folder, branch):
    assert sorted(file.name for file in folder.iterdir()) == ["model.json", "model.safetensors"]
    loaded = load_checkpoint(folder)
    assert loaded.stage == loaded.module.mode == "int"
    assert loaded.input_shape == (2, 32, 16)
    assert loaded.provenance["data"] == "made up"
    assert "torch" in loaded.provenance["versions"]
    assert loaded.sha256 == file_sha256(folder / "model.safetensors")
    for key, value in branch.state_dict().items():
        torch.testing.assert_close(loaded.module.state_dict()[key], value, rtol=0, atol=0)
    spikes = (torch.rand(6, 2, 2, 32, 16) < 0.1).float()
    for one, two in zip(branch(spikes), loaded.module(spikes), strict=True):
        assert torch.equal(one, two)


def test_models_from_checkpoints(folder, branch, tmp_path):
    trained = load(folder)
    direct = quantize(from_snntorch(branch, torch.zeros(1, 1, 2, 32, 16)))
    for one, two in zip(trained.need_integer().layers, direct.layers, strict=True):
        np.testing.assert_array_equal(one.weight, two.weight)
        np.testing.assert_array_equal(one.bias, two.bias)
        assert one.neuron == two.neuron
    branch.set_mode("float")
    floating = load(save_checkpoint(tmp_path / "float", branch, input_size=(32, 16)))
    assert floating.integer is None
    assert floating.need_float().input_shape == floating.input_shape == (2, 32, 16)
    with pytest.raises(InputError, match=r"float: only a float network.*quanti"):
        floating.need_integer()


def test_overwriting_keeps_one_whole_checkpoint(folder, branch):
    for value in (1.5, 2.5, 3.5):
        with torch.no_grad():
            branch.synapses[0].bias.fill_(value)
        save_checkpoint(folder, branch, input_size=(32, 16))
        assert float(load_checkpoint(folder).module.synapses[0].bias.detach()[0]) == value
        assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("moment", ["save_file", "write_json", "unlink"])
def test_killed_while_overwriting(folder, branch, moment, monkeypatch):
    """Whatever step dies, a whole checkpoint can be read: the older, or after the last step
    but tidying up, the newer one."""
    older = load_checkpoint(folder).module.state_dict()

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    if moment == "unlink":
        monkeypatch.setattr(module_under_test.Path, "unlink", die)
    else:
        monkeypatch.setattr(module_under_test, moment, die)
    with torch.no_grad():
        branch.synapses[0].weight.mul_(0.5)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, branch, input_size=(32, 16))
    monkeypatch.undo()
    expected = branch.state_dict() if moment == "unlink" else older
    found = load_checkpoint(folder).module.state_dict()
    assert torch.equal(found["synapses.0.weight"], expected["synapses.0.weight"])
    save_checkpoint(folder, branch, input_size=(32, 16))
    load_checkpoint(folder)


def edit(folder, **changes):
    document = json.loads((folder / "model.json").read_text())
    for key, value in changes.items():
        target = document
        *path, last = key.split("__")
        for part in path:
            target = target[part]
        if value is None:
            del target[last]
        else:
            target[last] = value
    (folder / "model.json").write_text(json.dumps(document))


def reweigh(folder, change):
    path = folder / "model.safetensors"
    state = {key: value.clone() for key, value in load_file(path).items()}
    change(state)
    save_file(state, path)
    edit(folder, weights__sha256=file_sha256(path))


HUGE = {"channels": 10**9, "kernel": 99, "stride": 1, "padding": 0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "model.json").unlink(),
        lambda f: (f / "model.json").write_text(""),
        lambda f: (f / "model.json").write_text("[" * 100_000),
        lambda f: (f / "model.json").write_text("[1, 2]"),
        lambda f: (f / "model.json").write_text('{"schema": NaN}'),
        lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"),
        lambda f: (f / "model.json").write_text(" " * (2 << 20)),
        lambda f: edit(f, schema={"name": "other", "version": 1}),
        lambda f: edit(f, schema__version=2),
        lambda f: edit(f, stage="half"),
        lambda f: edit(f, stage=["int"]),
        lambda f: edit(f, weights=None),
        lambda f: edit(f, weights__file="../../etc/passwd"),
        lambda f: edit(f, weights__file=["model.safetensors"]),
        lambda f: edit(f, weights__sha256="0" * 64),
        lambda f: edit(f, provenance=None),
        lambda f: edit(f, provenance=3),
        lambda f: edit(f, description=None),
        lambda f: edit(f, description="PAPER"),
        lambda f: edit(f, description__layers=[]),
        lambda f: edit(f, description__layers=[HUGE] * 3),
        lambda f: edit(f, description__layers=[HUGE] * 1000),
        lambda f: edit(f, description__layers=[{"channels": 1.5, "kernel": 3}]),
        lambda f: edit(f, description__beta="fast"),
        lambda f: edit(f, description__beta=True),
        lambda f: edit(f, description__surprise=1),
        lambda f: edit(f, description__in_channels=3),
        lambda f: edit(f, input_shape=[2, 32]),
        lambda f: edit(f, input_shape=[2, 0, 16]),
        lambda f: edit(f, input_shape=[3, 32, 16]),
        lambda f: edit(f, input_shape=[2, 1e9, 16]),
        lambda f: edit(f, input_shape="213"),
        lambda f: (f / "model.safetensors").unlink(),
        lambda f: (f / "model.safetensors").write_bytes(b""),
        lambda f: (f / "model.safetensors").write_bytes(pickle.dumps({"a": 1})),
        lambda f: os.truncate(f / "model.safetensors", 200),
        lambda f: reweigh(f, lambda s: s.pop("neurons.0.scale")),
        lambda f: reweigh(f, lambda s: s.update(extra=torch.zeros(2))),
        lambda f: reweigh(f, lambda s: s["synapses.0.weight"].fill_(float("nan"))),
        lambda f: reweigh(f, lambda s: s.update({"synapses.1.bias": torch.zeros(3)})),
        lambda f: reweigh(f, lambda s: s.update({"synapses.0.weight": torch.zeros(8, 2, 5, 4)})),
        lambda f: reweigh(f, lambda s: s["neurons.0.scale"].fill_(0)),
        lambda f: reweigh(f, lambda s: s["neurons.1.scale"].fill_(-3)),
        lambda f: reweigh(f, lambda s: s["neurons.1.threshold"].fill_(-3)),
        lambda f: reweigh(f, lambda s: s["neurons.1.reset_mechanism_val"].fill_(0)),
        lambda f: reweigh(f, lambda s: s["neurons.0.graded_spikes_factor"].fill_(2)),
        lambda f: edit(f, description__bias="yes"),
    ],
)
def test_damaged_and_hostile(folder, damage):
    damage(folder)
    with pytest.raises(InputError) as refused:
        load(folder)
    text = str(refused.value)
    assert "\n" not in text
    assert "model" in text
    assert len(text) < 600


def test_hash_after_truncation_is_not_trusted_either(folder):
    """A truncated file whose document was given the right hash still fails cleanly."""
    path = folder / "model.safetensors"
    for length in (4, 9, 60, 300):
        os.truncate(path, length)
        edit(folder, weights__sha256=file_sha256(path))
        with pytest.raises(InputError):
            load_checkpoint(folder)
        path.write_bytes(path.read_bytes() + b"\0" * 400)


def test_other_things_are_no_models(tmp_path, branch):
    with pytest.raises(InputError, match="no such file or folder"):
        load(tmp_path / "nowhere.net")
    (tmp_path / "model.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"ending in '\.pt'; a torch file holds weights"):
        load(tmp_path / "model.pt")
    for name in ("a.net", "a.nir"):
        (tmp_path / name).write_bytes(b"not HDF5")
        with pytest.raises(SdclNeuroError):
            load(tmp_path / name)
    with pytest.raises(InputError, match="expected a model, got an int"):
        as_model(3)
    with pytest.raises(InputError, match="from_snntorch"):
        as_model(branch)
    with pytest.raises(InputError, match="leaves nothing"):
        save_checkpoint(tmp_path / "small", branch, input_size=(0, 4))
    assert not (tmp_path / "small" / "model.json").exists()


def test_models_from_objects(branch):
    sample = torch.zeros(1, 1, 2, 32, 16)
    floating = as_model(branch, sample=sample)
    assert floating.integer is None
    branch.prepare_quantization()
    trained = as_model(branch, sample=sample)
    assert trained.integer is not None
    assert as_model(trained) is trained
    assert as_model(trained.floating).integer is not None
    assert as_model(trained.integer).need_float().layers[0].scale == 1.0
    with pytest.raises(InputError, match="without a network"):
        _ = Model().input_shape
