"""What the README shows is run: its Python block, then its commands on the files that it wrote."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import VERBS, main


def _blocks(root: Path, language: str) -> list[str]:
    text = (root / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.lava
def test_the_python_block_and_the_commands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names: dict[str, object] = {}
    (block,) = _blocks(root, "python")
    exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "loihi1" in printed
    assert "lava" in printed
    np.savez("spikes.npz", spikes=names["spikes"])
    commands = [
        line
        for shell in _blocks(root, "sh")
        for line in shell.splitlines()
        if line.startswith("sdcl-neuro ") and "lava install" not in line
    ]
    assert len(commands) == 6
    for command in commands:
        assert main([*shlex.split(command)[1:], "--quiet"]) == 0, command
    for written in ("again.net", "layers.npz", "certificate.json", "profile.json", "profile.html"):
        assert (tmp_path / written).stat().st_size > 0


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help"])
        assert stopped.value.code == 0
        assert "--quiet" in capsys.readouterr().out, verb


def test_every_link_leads_somewhere(root: Path) -> None:
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_named_in_the_readme_exist(root: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`?make (\w+)", (root / "README.md").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= named <= targets | {"demo", "test"}
