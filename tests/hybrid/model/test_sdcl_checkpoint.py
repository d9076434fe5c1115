"""A whole SDCL written and read back, and folders that are not one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.files import file_sha256
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, load_sdcl, save_sdcl
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

CLIP = ClipFormat(frames=2, bins=2, size=(64, 32))


@pytest.fixture(scope="module")
def model() -> Sdcl:
    torch.manual_seed(0)
    bridge = Bridge(BridgeConfig(channels=16, frames=2, identities=3, heads=2, points=2))
    branch = EventBranch(COMPACT).prepare_quantization()
    return Sdcl(make_frame_branch("osnet_x0_25"), branch, bridge=bridge).eval()


@pytest.fixture
def folder(model: Sdcl, tmp_path: Path) -> Path:
    return save_sdcl(
        tmp_path / "model", model, clip=CLIP, frame_branch="osnet_x0_25", provenance={"seed": 0}
    )


def test_the_same_model_comes_back(model: Sdcl, folder: Path) -> None:
    loaded = load_sdcl(folder)
    assert loaded.clip == CLIP
    assert loaded.provenance == {"seed": 0}
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 2, 3, 256, 128, generator=generator)
    spikes = (torch.rand(4, 2, 2, 64, 32, generator=generator) < 0.1).float()
    with torch.no_grad():
        expected, found = model(frames, spikes), loaded.model(frames, spikes)
    assert torch.equal(expected.embedding, found.embedding)


def test_saving_over_an_older_one_leaves_only_the_new(model: Sdcl, folder: Path) -> None:
    save_sdcl(folder, model, clip=CLIP, frame_branch="osnet_x0_25", provenance={"seed": 1})
    assert load_sdcl(folder).provenance == {"seed": 1}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_failed_save_keeps_the_older_one(model: Sdcl, folder: Path) -> None:
    with pytest.raises(TypeError):
        save_sdcl(
            folder, model, clip=CLIP, frame_branch="osnet_x0_25", provenance={"bad": object()}
        )
    assert load_sdcl(folder).provenance == {"seed": 0}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": {"name": "other", "version": 1}}, "schema"),
        ({"bridge": {"channels": -1}}, "channels"),
        ({"bridge": None}, "sdcl.json"),
        ({"clip": {"frames": 2, "bins": 0, "size": [64, 32], "stride": 1}}, "clip"),
        ({"clip": {"frames": 2}}, "size"),
        ({"frame_branch": "vit"}, "vit"),
        ({"dense_sha256": "0" * 64}, "hash"),
    ],
)
def test_a_document_that_lies_is_refused(folder: Path, change: dict, message: str) -> None:
    path = folder / "sdcl.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message) as caught:
        load_sdcl(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[", "[]", '{"schema": 1}', "9" * 10])
def test_a_document_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "sdcl.json").write_text(text)
    with pytest.raises(InputError, match=r"sdcl.json|schema"):
        load_sdcl(folder)


def test_an_absent_folder_names_the_copy_that_a_kill_left(folder: Path) -> None:
    folder.rename(folder.with_name("model.previous"))
    with pytest.raises(InputError, match=r"rename .*model.previous"):
        load_sdcl(folder)


def test_a_model_without_frames_comes_back(model: Sdcl, tmp_path: Path) -> None:
    config = replace(model.bridge.config, inputs="e", fusion="none")
    alone = Sdcl(None, model.event_branch, bridge=Bridge(config)).eval()
    folder = save_sdcl(tmp_path / "events", alone, clip=CLIP, frame_branch=None)
    loaded = load_sdcl(folder)
    assert loaded.frame_branch is None
    assert loaded.model.frame_branch is None
    spikes = (torch.rand(4, 2, 2, 64, 32) < 0.1).float()
    with torch.no_grad():
        assert torch.equal(alone(None, spikes).embedding, loaded.model(None, spikes).embedding)


def test_the_simulator_of_its_events_comes_back(model: Sdcl, tmp_path: Path) -> None:
    clip = replace(CLIP, simulator=SimulatorConfig(threshold_on=0.3, seed=7))
    save_sdcl(tmp_path / "model", model, clip=clip, frame_branch="osnet_x0_25")
    assert load_sdcl(tmp_path / "model").clip == clip


@pytest.mark.parametrize(
    ("clip", "name", "message"),
    [
        (CLIP, "osnet_x1_0", "wrong shape"),
        (CLIP, None, "unexpected: frame_branch"),
        (replace(CLIP, size=(128, 64)), "osnet_x0_25", r"the bridge takes \(16, 16, 8\)"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    model: Sdcl, tmp_path: Path, clip: ClipFormat, name: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        save_sdcl(tmp_path / "model", model, clip=clip, frame_branch=name)
    assert list(tmp_path.iterdir()) == []


def test_a_document_cannot_ask_for_more_than_its_weights_hold(folder: Path) -> None:
    path = folder / "sdcl.json"
    document = json.loads(path.read_text())
    document["bridge"]["channels"] = 8 << 20  # a single layer of it would fill 256 TiB
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="wrong shape"):
        load_sdcl(folder)


def written_as_version_1(folder: Path) -> None:
    """Turn a checkpoint into what the first release wrote: no biases, schema version 1."""
    tensors = {
        name: value
        for name, value in load_file(folder / "dense.safetensors").items()
        if not (name.endswith("classifier.bias") or (".gate." in name and name.endswith("bias")))
    }
    save_file(tensors, folder / "dense.safetensors")
    document = json.loads((folder / "sdcl.json").read_text())
    document["schema"]["version"] = 1
    document["dense_sha256"] = file_sha256(folder / "dense.safetensors")
    (folder / "sdcl.json").write_text(json.dumps(document))


def test_an_older_checkpoint_with_stam_is_refused_in_one_line(folder: Path) -> None:
    written_as_version_1(folder)
    with pytest.raises(InputError, match="STAM blocks without the published ReLU") as caught:
        load_sdcl(folder)
    assert "train it again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load(folder).floating is not None  # the event branch is what it was


@pytest.mark.parametrize("pyramid", ["none", "residual"])
def test_an_older_checkpoint_without_stam_is_converted(pyramid: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = BridgeConfig(channels=16, frames=2, identities=3, heads=2, points=2, pyramid=pyramid)
    branch = EventBranch(COMPACT).prepare_quantization()
    bridge = Bridge(replace(config, map_size=(8, 4)))
    model = Sdcl(make_frame_branch("small"), branch, bridge=bridge)
    folder = save_sdcl(tmp_path / "m", model.eval(), clip=CLIP, frame_branch="small")
    written_as_version_1(folder)
    loaded = load_sdcl(folder).model
    frames, spikes = torch.randn(2, 2, 3, 256, 128), (torch.rand(4, 2, 2, 64, 32) < 0.1).float()
    with torch.no_grad():
        expected, found = model(frames, spikes), loaded(frames, spikes)
    assert torch.equal(expected.embedding, found.embedding)
    assert torch.equal(expected.logits[0], found.logits[0])  # its bias was zero, too
