"""The Dockerfile and the hosted workflow: what they say, and the image's steps run as a script."""

from __future__ import annotations

import os
import re
import subprocess
import venv
from pathlib import Path

import pytest


def _stages(root: Path) -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, those of the stage it starts from first."""
    stages: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in (root / "Dockerfile").read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            current = list(stages.get(base, []))
            stages[name] = current
        else:
            current.append((word, rest))
    return stages


def test_the_image_installs_what_is_pinned_and_starts_the_command(root: Path) -> None:
    stages = _stages(root)
    assert {"base", "cpu", "cuda"} == set(stages)
    for name in ("cpu", "cuda"):
        runs = [rest for word, rest in stages[name] if word == "RUN"]
        installs = [run for run in runs if "pip install" in run]
        assert installs
        assert all("--constraint constraints.txt" in run for run in installs)
        assert ("ENTRYPOINT", '["sdcl-neuro"]') in stages[name]
    text = (root / "Dockerfile").read_text("utf-8")
    extras = set(re.findall(r"\[([\w,]+)\]\"", text)[0].split(","))
    assert "reid" in extras


def test_the_hosted_workflow_runs_what_ci_runs(root: Path) -> None:
    local = (root / ".ci" / "run").read_text("utf-8").strip().splitlines()[-1]
    workflow = (root / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert re.findall(r"^ +- run: (.*)$", workflow, re.M) == [local]
    needed = re.findall(r'"(3\.\d+)"', workflow)
    named = re.findall(r"Python :: (3\.\d+)", (root / "pyproject.toml").read_text("utf-8"))
    assert needed == named


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_steps_of_the_image_run_as_a_script(root: Path, tmp_path: Path) -> None:
    """In an environment of its own, without the steps that need root; downloads 1 GB and more."""
    if os.environ.get("SDCL_NEURO_IMAGE") != "1":
        pytest.skip("it downloads torch again: set SDCL_NEURO_IMAGE=1 to run it")
    source = tmp_path / "src"
    subprocess.run(["git", "clone", "--quiet", str(root), str(source)], check=True)
    venv.create(tmp_path / "image", with_pip=True)
    programs = tmp_path / "image" / "bin"
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TORCH_INDEX": os.environ.get("TORCH_INDEX", ""),
    }
    done = []
    for word, rest in _stages(root)["cpu"]:
        if word == "ENV":
            name, _, value = rest.partition("=")
            environment[name] = value
        elif word == "RUN" and not rest.startswith("apt-get"):
            found = subprocess.run(
                ["sh", "-ec", rest], cwd=source, env=environment, capture_output=True, text=True
            )
            assert found.returncode == 0, f"{rest}\n{found.stdout[-2000:]}{found.stderr[-2000:]}"
            done.append(rest)
    assert len(done) == 6
    help_ = subprocess.run(
        [str(programs / "sdcl-neuro"), "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert help_.returncode == 0
