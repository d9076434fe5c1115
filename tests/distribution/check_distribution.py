"""Build wheel and sdist, install the small one in a clean environment, use it from elsewhere.

`make test-dist` runs this. The wheel is built from the sdist, so both are tried; what it finds goes
to docs/tests.md with date and commit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USER = Path(__file__).with_name("small_user.py")
BEGIN, END = "<!-- distribution -->\n", "<!-- end of distribution -->\n"
SDIST = "from setuptools import build_meta; print(build_meta.build_sdist(r'{folder}'))"
LIST = "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return its output; end with both where it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from what the sdist holds."""
    builder = folder / "builder"
    venv.create(builder, with_pip=True)
    python = builder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "setuptools>=69", cwd=folder)
    source = folder / "checkout"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, source, cwd=folder)
    name = run(python, "-c", SDIST.format(folder=folder), cwd=source).strip().splitlines()[-1]
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    build_wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder)
    run(python, "-m", "pip", *build_wheel, unpacked, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return folder / name, wheel


def check_wheel(wheel: Path) -> int:
    """See that the wheel has one top level and its data files; return the number of files."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert len(tops) == 2, tops  # the package and its metadata
    for needed in ("conversion/__init__.py", "hw_profiles/loihi2.toml", "demo/clip/clip.mp4"):
        assert f"sdcl_neuro/{needed}" in names, needed
    return len(names)


def main() -> None:
    """Do it all; print the result and write it to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="page whose section to write")
    args = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="sdcl-neuro-dist-") as name:
        folder = Path(name)
        sdist, wheel = build(folder)
        files = check_wheel(wheel)
        venv.create(folder / "small", with_pip=True)
        python = folder / "small" / "bin" / "python"
        constraints = ROOT / "constraints.txt"
        install = ("install", "--quiet", "--constraint", constraints, wheel)
        run(python, "-m", "pip", *install, cwd=folder)
        count = int(run(python, "-c", LIST, cwd=folder))
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        run(python, "-W", "error::ImportWarning", USER, cwd=elsewhere)
    commit = run("git", "rev-parse", "--short=10", "HEAD", cwd=ROOT).strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    version = ".".join(map(str, sys.version_info[:3]))
    text = (
        f"{when}, commit {commit}, Python {version}: passed.\n\n"
        f"| | |\n|---|---|\n| sdist | {sdist.name} |\n| wheel | {wheel.name}, {files} files |\n"
        f"| distributions in the small environment, pip among them | {count} |\n"
        "| conversion, verify, run, profile, hybrid inference from Python | passed |\n"
        "| ten command lines that need an extra | exit code 3, the command that installs it |\n"
    )
    print(text, f"{time.perf_counter() - begun:.0f} s", sep="")
    if args.page is not None:
        page = args.page.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        args.page.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
