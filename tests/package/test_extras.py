"""Optional libraries: the table, the answers where one is missing, and no import past it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.extras import ROWS, install_command, missing, need, program, require, require_extra

# What `pip install sdcl-neuro` brings, and the dependencies of those that are imported by name.
BROUGHT = {"llvmlite", "markupsafe"}
# Run in a child process, in an environment of its own or on a board, where the library is a given;
# the kernels are only imported where `gpu_kernels.usable` has found it.
CHILDREN = (
    "conversion/backends/lava/",
    "conversion/backends/sanafe/driver.py",
    "conversion/bundle/run_on_loihi.py",
    "sdcl_neuro/engine/dense_kernels.py",
    "sdcl_neuro/snn/bptt/scan_kernels.py",
)


def _project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=; \[]", line)[0].lower() for line in requirements}


def test_the_table_says_what_the_project_file_says(root: Path) -> None:
    extras = {k: _names(v) for k, v in _project(root)["optional-dependencies"].items()}
    for row in ROWS:
        if row.distribution == "protobuf":  # onnx brings it
            assert row.extras == ("onnx",)
            continue
        holding = {name for name, brings in extras.items() if row.distribution in brings}
        assert set(row.extras) == holding - {"dev"}, row
        assert row.extras or row.command, row
    listed = {row.distribution for row in ROWS}
    installed_by_lava = {"scikit-learn", "asteval", "networkx"}
    for name, brings in extras.items():
        if name not in {"dev", "lava"}:
            assert brings <= listed, name
    assert extras["lava"] == installed_by_lava


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Third-party modules that a file imports, outside of ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text("utf-8"))
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "sdcl_neuro":
                yield top, node.lineno


def test_optional_libraries_are_imported_through_the_table(root: Path) -> None:
    required = _names(_project(root)["dependencies"]) | BROUGHT
    wrong = []
    for room in ("sdcl_neuro", "conversion"):
        for path in sorted((root / room).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if name.startswith("sdcl_neuro/conversion/") or name.startswith(CHILDREN):
                continue
            wrong += [f"{name}:{line} {top}" for top, line in _imports(path) if top not in required]
    assert wrong == []


def test_each_answer_names_the_library_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in ROWS:
        monkeypatch.setitem(sys.modules, row.module, None)  # as if it were not installed
        error = ModuleNotFoundError(f"No module named {row.module!r}", name=row.module)
        answer = str(missing(error, "this"))
        assert answer.startswith(f"this needs {row.distribution}, which is not installed; ")
        assert answer.endswith(install_command(row))
    # A test before this one may have imported it.
    monkeypatch.delitem(sys.modules, "rosbags.rosbag1", raising=False)
    with pytest.raises(
        EnvironmentFault, match=r"reading a bag needs rosbags, .*pip install 'sdcl-neuro\[recor"
    ):
        need("rosbags.rosbag1", "reading a bag")


def test_an_extra_that_brings_torchvision_leaves_torch_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pip would replace it by the release that the newest torchvision asks for."""
    monkeypatch.setattr("sdcl_neuro.extras.version", {"torch": "2.9.1+cpu"}.__getitem__)
    assert install_command("norse") == f"{program('pip')} install 'sdcl-neuro[norse]' torch==2.9.1"
    assert install_command("faiss") == f"{program('pip')} install 'sdcl-neuro[gallery]'"


def test_a_command_is_named_as_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "my env" / "bin" / "pip"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "my env"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    assert program("pip") == "'my env/bin/pip'"
    monkeypatch.chdir("/")
    assert program("pip") == f"'{tool}'"
    monkeypatch.setenv("PATH", str(tool.parent))
    assert program("pip") == "pip"
    assert program("no-such-program") == "no-such-program"


def test_a_library_that_breaks_on_import_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faiss.py").write_text("raise ImportError('libGL.so.1: no such file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    with pytest.raises(EnvironmentFault, match=r"cannot be imported: libGL.*--no-deps faiss-cpu$"):
        need("faiss", "the gallery")


def test_all_that_is_absent_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdcl_neuro.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault) as stopped:
        require_extra("reid", "train")
    assert str(stopped.value) == (
        "train needs opencv-python-headless, matplotlib and pillow, which are not installed; "
        f"{program('pip')} install 'sdcl-neuro[reid]'"
    )
    with pytest.raises(EnvironmentFault, match=r"faiss-cpu, which is not installed"):
        require(["faiss"], "it")


BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from sdcl_neuro.cli import VERBS, main
for verb in VERBS:
    try:
        main([verb, "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0, verb
"""


def test_every_verb_explains_itself_without_the_libraries() -> None:
    code = BLOCKED.format(names={row.module for row in ROWS})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_import_that_fails_inside_a_verb_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(args: object) -> int:
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    monkeypatch.setattr("sdcl_neuro.cli.hw.execute", execute)
    code = main(["hw", "list"])
    assert code == 3
    assert capsys.readouterr().err.endswith("pip install 'sdcl-neuro[video]'\n")
