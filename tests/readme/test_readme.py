"""What the README shows is run: its Python block, then its commands on the files that it wrote."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sdcl_neuro import demo
from sdcl_neuro.cli import VERBS, main
from sdcl_neuro.snn.checkpoint import save_checkpoint
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

# What makes the README's training a matter of seconds.
QUICK = (
    "data.generated.persons=6 data.generated.train_persons=4 data.generated.cameras=2 "
    "data.generated.walks=1 data.generated.moments=1 training.persons=2 training.tracklets=2 "
    "training.float_stage.steps=1 training.float_stage.warm_up=0 training.int_stage.steps=1"
)


def _blocks(root: Path, language: str) -> list[str]:
    text = (root / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def _commands(root: Path) -> tuple[list[str], list[str]]:
    """Of the README: on the files of its Python block, and on a run of SDCL's own training.

    Those on the demonstration's checkpoint are left out: see `test_the_other_targets`.
    """
    found = [
        line
        for shell in _blocks(root, "sh")
        for line in shell.splitlines()
        if line.startswith("sdcl-neuro ")
        and not any(words in line for words in ("lava install", "demo-out"))
    ]
    own = [line for line in found if "runs/small" in line]
    return [line for line in found if line not in own], own


@pytest.mark.lava
def test_the_python_block_and_the_commands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (block,) = _blocks(root, "python")
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "loihi1" in printed
    assert "lava" in printed
    assert "proves little" not in printed  # every layer spikes
    commands, _ = _commands(root)
    assert len(commands) == 10
    for command in commands:
        assert main([*shlex.split(command)[1:], "--quiet"]) == 0, command
    for written in (
        "again.net",
        "model-for-snntorch.nir",
        "layers.npz",
        "certificate.json",
        "profile.json",
        "profile.html",
        "mychip.toml",
        "walk.mp4",
    ):
        assert (tmp_path / written).stat().st_size > 0


def test_the_commands_of_sdcl_itself(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo.copy_clip(tmp_path)
    _, (train, evaluate, infer, live) = _commands(root)
    assert main([*shlex.split(train)[1:], "--quiet", *QUICK.split()]) == 0
    assert main([*shlex.split(evaluate)[1:], "--quiet"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in ("snntorch-int", "Loihi engine (software)", "mAP"))
    assert main([*shlex.split(infer)[1:], "--quiet", "--limit", "1"]) == 0
    assert (tmp_path / "persons.db").stat().st_size > 0
    assert main([*shlex.split(live)[1:], "--quiet", "--speed", "0", "--drop", "none"]) == 0
    assert "0 dropped" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is installed")
def test_the_other_targets(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a branch of the demonstration's kind; Verilator and yosys have tests of their own."""
    save_checkpoint(tmp_path / "demo-out" / "checkpoint", _branch(), input_size=(64, 32))
    (block,) = [block for block in _blocks(root, "sh") if "event.c" in block]
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cc", "as", "ld", "sh"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for command in block.replace(" && ", "\n").strip().splitlines():
        if command.startswith("sdcl-neuro "):
            assert main([*shlex.split(command)[1:], "--quiet"]) == 0, command
            continue
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
        assert command.startswith("cc ") or "event: 0 of 49152 neuron steps" in done.stdout
    assert (tmp_path / "event_hdl" / "sdcl_network.sv").exists()
    assert "every verdict holds" in capsys.readouterr().out


def _branch() -> EventBranch:
    """A compact branch in chip integers, not trained."""
    torch.manual_seed(0)
    branch = EventBranch(COMPACT)
    spikes = (torch.rand(4, 1, 2, 64, 32) < 0.1).float()
    branch.calibrate_rates(spikes, rate=0.2)
    branch.prepare_quantization(spikes)
    return branch


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        assert "--quiet" in capsys.readouterr().out, verb


def test_a_reader_that_leaves_is_no_error() -> None:
    """As ``sdcl-neuro hw list | head -1``."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sdcl_neuro", "hw", "list"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_every_link_leads_somewhere(root: Path) -> None:
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_named_in_the_readme_exist(root: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`?make (\w+)", (root / "README.md").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= named <= targets | {"demo", "test"}
