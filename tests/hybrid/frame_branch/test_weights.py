"""Weight files: by name, strictly, all or nothing, and never a pickle."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from sdcl_neuro.cli import main
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch import OSNet, load_weights, save_weights
from sdcl_neuro.hybrid.frame_branch.onnx_weights import module_name, norm_behind

State = dict[str, Tensor]


@pytest.fixture
def state() -> State:
    torch.manual_seed(5)
    return {name: value.clone() for name, value in OSNet().state_dict().items()}


def write(path: Path, state: State) -> Path:
    save_file(state, path)
    return path


def equal(module: OSNet, state: State) -> bool:
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


def test_round_trip(tmp_path: Path) -> None:
    one, other = OSNet(), OSNet()
    save_weights(one, tmp_path / "w.safetensors")
    assert not equal(other, one.state_dict())
    load_weights(other, tmp_path / "w.safetensors")
    assert equal(other, one.state_dict())


def test_prefix_and_classifier(tmp_path: Path, state: State) -> None:
    given = {f"module.{name}": value for name, value in state.items()}
    given["module.classifier.weight"] = torch.zeros(4101, 512)
    module = OSNet()
    load_weights(module, write(tmp_path / "w.safetensors", given))
    assert equal(module, state)


def test_counters_may_be_absent_and_halves_are_widened(tmp_path: Path, state: State) -> None:
    given = {n: v.half() for n, v in state.items() if not n.endswith("num_batches_tracked")}
    module = OSNet()
    load_weights(module, write(tmp_path / "w.safetensors", given))
    assert module.conv1.conv.weight.dtype == torch.float32
    assert torch.equal(module.conv1.conv.weight, state["conv1.conv.weight"].half().float())


def test_every_fault_in_one_message(tmp_path: Path, state: State) -> None:
    del state["conv1.conv.weight"]
    state["conv9.conv.weight"] = torch.zeros(1)
    state["fc.0.bias"] = torch.zeros(3)
    state["fc.1.bias"][7] = torch.nan
    module = OSNet()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(module, write(tmp_path / "w.safetensors", state))
    for part in (
        "1 missing: conv1.conv.weight",
        "1 unexpected: conv9.conv.weight",
        "1 wrong shape: fc.0.bias (3,) for (512,)",
        "1 not finite: fc.1.bias",
        "w.safetensors",
    ):
        assert part in str(caught.value)
    assert equal(module, before)


def test_long_lists_are_shortened(tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(InputError, match=r"485 missing: .* and 480 more"):
        load_weights(OSNet(), path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"\xff" * 64, b"{}"])
def test_no_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_weights(OSNet(), path)


def test_truncated(tmp_path: Path, state: State) -> None:
    path = write(tmp_path / "w.safetensors", state)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_weights(OSNet(), path)


class Trap:
    """A pickle that would write a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "w.safetensors"])
def test_pickles_are_not_opened(tmp_path: Path, name: str) -> None:
    path, sprung = tmp_path / name, tmp_path / "sprung"
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match=r"docs/frame_branch\.md"):
        load_weights(OSNet(), path)
    assert not sprung.exists()
    pickle.loads(path.read_bytes())  # the trap itself works
    assert sprung.exists()


def test_documented_one_liner(tmp_path: Path, state: State, root: Path) -> None:
    """The user's way from a pickle, as the documentation has it."""
    import subprocess
    import sys

    text = (root / "docs" / "frame_branch.md").read_text(encoding="utf-8")
    blocks = [part.split("```", 1)[0] for part in text.split("```python\n")[1:]]
    (code,) = (block for block in blocks if "weights.pth" in block)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (tmp_path / "weights.pth").write_bytes(buffer.getvalue())
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)
    module = OSNet()
    load_weights(module, tmp_path / "weights.safetensors")
    assert equal(module, state)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_weights(OSNet(), tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("node", "module"),
    [
        ("/conv1/conv/Conv", "conv1.conv"),
        ("/conv2/conv2.0/conv2b/conv2b.1/conv2/Conv", "conv2.0.conv2b.1.conv2"),
        ("/conv2/conv2.2/conv2.2.0/conv/Conv", "conv2.2.0.conv"),
        ("/fc/fc.0/Gemm", "fc.0"),
    ],
)
def test_node_paths(node: str, module: str) -> None:
    assert module_name(node) == module


def test_norm_behind() -> None:
    assert norm_behind("conv1.conv") == "conv1.bn"
    assert norm_behind("conv2.0.conv2b.1.conv2") == "conv2.0.conv2b.1.bn"


def test_command_line(onnx_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    target, result = tmp_path / "w.safetensors", tmp_path / "w.json"
    assert main(["weights", "convert", str(onnx_file), str(target), "--json", str(result)]) == 0
    assert "osnet_x0_25" in capsys.readouterr().out
    said = json.loads(result.read_text())
    assert said["schema"] == {"name": "sdcl_neuro.weights", "version": 1}
    assert main(["check", str(result)]) == 0
    assert said["folded"] == 79
    assert said["tensors"] == len(load(target.read_bytes())) == len(OSNet().state_dict())


@pytest.mark.parametrize("content", [b"", b"no protobuf at all", b"\x08\x07" * 50])
def test_command_line_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    pytest.importorskip("onnx")
    source, target = tmp_path / "x.onnx", tmp_path / "w.safetensors"
    source.write_bytes(content)
    assert main(["weights", "convert", str(source), str(target)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "x.onnx" in error
    assert not target.exists()


def test_command_line_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "convert", "a.onnx", str(tmp_path / "w.pth")]) == 2
    assert "OUT.safetensors" in capsys.readouterr().err
    assert (
        main(["weights", "convert", str(tmp_path / "no.onnx"), str(tmp_path / "w.safetensors")])
        == 2
    )
    assert "no such file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_other_network_is_refused(tmp_path: Path, onnx_file: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from sdcl_neuro.hybrid.frame_branch.onnx_weights import convert_onnx

    model = onnx.load(str(onnx_file))
    del model.graph.node[20:30]
    onnx.save(model, str(tmp_path / "cut.onnx"))
    with pytest.raises(InputError, match=r"missing: conv2\.0\.conv2"):
        convert_onnx(tmp_path / "cut.onnx", tmp_path / "w.safetensors")
    for tensor in model.graph.initializer:
        tensor.external_data.add(key="location", value="/etc/passwd")
        tensor.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="outside the file"):
        convert_onnx(tmp_path / "outside.onnx", tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()
