"""The dense side as ONNX: every part in onnxruntime, the search for events in its graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sdcl_neuro.cli import main
from sdcl_neuro.conversion.targets.onnx_export import PARTS, export
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, SdclCheckpoint, load_sdcl, save_sdcl
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

CLIP = ClipFormat(frames=2, bins=2, size=(64, 32))
SMALL = {"channels": 16, "frames": 2, "heads": 2, "points": 2}


def lively(module: nn.Module) -> nn.Module:
    """Batch norms that do something, as training leaves them."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return module.eval()


def test_counts_of_no_whole_ratio_are_refused() -> None:
    bridge = Bridge(BridgeConfig(**SMALL, inputs="e", fusion="none", pyramid="none"))
    clip = ClipFormat(frames=2, bins=2, size=(63, 32))
    with pytest.raises(InputError, match="no whole ratio"):
        PARTS["bridge"](SdclCheckpoint(Sdcl(None, None, bridge=bridge), clip, None))


def exported(part: str, model: Sdcl, path: Path) -> tuple[float, float]:
    chosen = PARTS[part](SdclCheckpoint(model.eval(), CLIP, None))
    export.write_part(chosen, path, {})
    return export.compare(chosen, path)


# Each value of each switch at least once, in small graphs; `checkpoint` has alignment both ways.
BRIDGES = {
    "attention": (Bridge, {"fusion": "attention", "direction": "e2f", "deformable_layers": 0}),
    "concat": (
        Bridge,
        {"fusion": "concat", "direction": "f2e", "deformable_layers": 1, "event_size": (32, 16)},
    ),
    "add": (Bridge, {"fusion": "add", "deformable_layers": 0}),
    "frames alone": (Bridge, {"fusion": "none", "inputs": "v", "pyramid": "residual"}),
    "events alone": (
        Bridge,
        {"fusion": "none", "inputs": "e", "deformable_layers": 1, "kernel": 5, "window": 30},
    ),
    "psta, of stam's blocks": (PstaBridge, {"fusion": "none", "identities": 3}),
}


@pytest.mark.parametrize("case", BRIDGES)
def test_bridges_in_onnxruntime(case: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    kind, switches = BRIDGES[case]
    torch.manual_seed(0)
    bridge = lively(kind(BridgeConfig(**{**SMALL, "pyramid": "none", **switches})))
    largest, difference = exported("bridge", Sdcl(None, None, bridge=bridge), tmp_path / "x.onnx")
    assert largest > 0.1
    assert difference < 1e-5


def test_resnet_in_onnxruntime(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    frames = lively(make_frame_branch("resnet50"))
    bridge = Bridge(BridgeConfig(**SMALL, inputs="v", fusion="none", frame_channels=2048))
    largest, difference = exported(
        "frame-branch", Sdcl(frames, None, bridge=bridge), tmp_path / "x.onnx"
    )
    assert difference < 1e-5 * largest


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    bridge = lively(Bridge(BridgeConfig(**SMALL, deformable_layers=3, pyramid="none")))
    branch = EventBranch(COMPACT).prepare_quantization()
    model = Sdcl(lively(make_frame_branch("osnet_x0_25")), branch, bridge=bridge).eval()
    folder = tmp_path_factory.mktemp("model") / "sdcl"
    return save_sdcl(folder, model, clip=CLIP, frame_branch="osnet_x0_25")


def test_both_parts_on_the_command_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two files, one behind the other, give the embedding that the model gives."""
    onnxruntime = pytest.importorskip("onnxruntime")
    sessions = {}
    for part in PARTS:
        out = tmp_path / f"{part}.onnx"
        arguments = ["convert", str(checkpoint), str(out), "--part", part, "--quiet"]
        assert main([*arguments, "--json", str(tmp_path / "copy.json")]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        assert f"({part}), sha256" in told.out
        assert "onnxruntime differs from torch by at most" in told.out
        account = json.loads(out.with_name(out.name + ".json").read_text())
        assert account == json.loads((tmp_path / "copy.json").read_text())
        assert account["schema"] == {"name": "sdcl_neuro.onnx", "version": 1}
        assert account["check"]["largest_difference"] <= account["check"]["tolerance"]
        sessions[part] = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        _check_interface(sessions[part], account)
    (tmp_path / "copy.json").unlink()
    assert len(list(tmp_path.iterdir())) == 4
    _check_together(sessions, load_sdcl(checkpoint).model)


def _check_interface(session, account) -> None:
    for side, ports in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        assert [(port.name, port.shape) for port in ports] == [
            (port["name"], port["shape"]) for port in account[side]
        ]
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["part"] == account["out"]["kind"]
    assert facts["checkpoint_sha256"] == account["model"]["sha256"]
    assert json.loads(facts["inputs"]) == account["inputs"]
    if facts["part"] == "frame-branch":
        assert json.loads(facts["normalisation"])["mean"] == [0.485, 0.456, 0.406]
    else:
        assert json.loads(facts["bridge"])["fusion"] == "alignment"


def _check_together(sessions, model: Sdcl) -> None:
    from sdcl_neuro.hybrid.model import event_counts, event_features

    generator = torch.Generator().manual_seed(5)
    frames = torch.randn(5, 2, 3, 256, 128, generator=generator)
    spikes = (torch.rand(4, 5, 2, 64, 32, generator=generator) < 0.05).float()
    with torch.no_grad():
        expected = nn.functional.normalize(model(frames, spikes).embedding).numpy()
        layers = model.event_branch(spikes)
    (maps,) = sessions["frame-branch"].run(None, {"frames": frames.flatten(0, 1).numpy()})
    given = {
        "frame_maps": maps.reshape(5, 2, *maps.shape[1:]),
        "event_features": event_features(layers[-1], frames=2).numpy(),
        "event_counts": event_counts(spikes, frames=2).numpy(),
    }
    (embedding,) = sessions["bridge"].run(None, given)
    assert np.abs(embedding - expected).max() < 1e-5


def wrong(arguments: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 2) -> str:
    assert main([*arguments, "--quiet"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_wrong_uses(checkpoint: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    convert, out = ["convert", str(checkpoint)], str(tmp_path / "x.onnx")
    bridge = ["--part", "bridge"]
    assert "no part is named" in wrong([*convert, out], capsys)
    assert "unknown part 'head'" in wrong([*convert, out, "--part", "head"], capsys)
    assert "name it OUT.onnx" in wrong([*convert, str(tmp_path / "x.net"), *bridge], capsys)
    assert "--calibrate" in wrong([*convert, out, *bridge, "--calibrate", "s.npz"], capsys)
    assert "--part with --diff" in wrong([*convert, out, *bridge, "--diff"], capsys)
    alone = ["convert", str(checkpoint / "event_branch"), out, *bridge]
    assert "not the folder of a whole SDCL" in wrong(alone, capsys)
    assert "no sdcl.json" in wrong(["convert", str(tmp_path / "no"), out, *bridge], capsys)
    with monkeypatch.context() as patch:
        patch.setattr(export, "compare", lambda part, path: (1.0, 0.5))
        patch.setattr(export, "write_part", lambda part, path, facts: path.write_bytes(b"x") and {})
        assert "differs from torch by 0.5" in wrong([*convert, out, *bridge], capsys, code=1)
        patch.setattr("sdcl_neuro.extras.find_spec", lambda name: None)
        assert "writing ONNX needs onnx" in wrong([*convert, out, *bridge], capsys, code=3)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_the_model_has_not() -> None:
    bridge = Bridge(BridgeConfig(**SMALL, inputs="e", fusion="none"))
    with pytest.raises(InputError, match="no frame branch"):
        PARTS["frame-branch"](SdclCheckpoint(Sdcl(None, None, bridge=bridge), CLIP, None))
