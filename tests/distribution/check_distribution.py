"""Build wheel and sdist, install them in clean environments, use them from elsewhere.

`make test-dist` runs this, `make test-dist-all` with other Pythons too. The wheel is built from the
sdist, so both are tried; what it finds goes to docs/tests.md with date and commit.
"""

from __future__ import annotations

import argparse
import shutil
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
FULL = "reid,plot,gallery,recordings"
"""What `use_full` adds; Lava and Norse stay away, which the demonstration must bear."""
BEGIN, END = "<!-- distribution -->\n", "<!-- end of distribution -->\n"
SDIST = "from setuptools import build_meta; print(build_meta.build_sdist(r'{folder}'))"
LIST = "import importlib.metadata as m; print(len({d.name for d in m.distributions()}))"


def run(*command: str | Path, cwd: Path, errors: bool = False) -> str:
    """Run a command and return its output, with its errors if asked; end where it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr if errors else done.stdout


def build(folder: Path) -> tuple[Path, Path, str]:
    """Build the sdist, and the wheel from what the sdist holds; return both, and the commit."""
    builder = folder / "builder"
    venv.create(builder, with_pip=True)
    python = builder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "setuptools>=69", cwd=folder)
    source = folder / "checkout"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, source, cwd=folder)
    commit = run("git", "rev-parse", "--short=10", "HEAD", cwd=source).strip()
    name = run(python, "-c", SDIST.format(folder=folder), cwd=source).strip().splitlines()[-1]
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    build_wheel = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder)
    run(python, "-m", "pip", *build_wheel, unpacked, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return folder / name, wheel, commit


def build_into(target: Path) -> None:
    """Build sdist and wheel of the last commit, see that the wheel is whole, and keep both."""
    with tempfile.TemporaryDirectory(prefix="sdcl-neuro-dist-") as name:
        sdist, wheel, commit = build(Path(name))
        check_wheel(wheel)
        target.mkdir(parents=True, exist_ok=True)
        print(f"of commit {commit}, without what is not committed:")
        for path in (sdist, wheel):
            print(shutil.copy(path, target / path.name))


def check_wheel(wheel: Path) -> int:
    """See that the wheel has one top level and its data files; return the number of files."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert len(tops) == 2, tops  # the package and its metadata
    for needed in (
        "conversion/__init__.py",
        "hw_profiles/loihi2.toml",
        "demo/clip/clip.mp4",
        "models/sdcl-small-walkers/checkpoint/dense.safetensors",
    ):
        assert f"sdcl_neuro/{needed}" in names, needed
    return len(names)


def interpreters(wanted: list[str]) -> dict[str, str]:
    """Find other Pythons by version, on the path or among pyenv's; say which are not there."""
    found = {}
    for version in wanted:
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for program in (shutil.which(f"python{version}"), *map(str, reversed(kept))):
            if program is None:
                continue
            command = [program, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            if said.strip() == version:
                found[version] = program
                break
        else:
            print(
                f"not run: no Python {version} was found; install it, or name another", flush=True
            )
    return found


def use_small(python: str, wheel: Path, folder: Path) -> int:
    """Install the wheel without extras in a new environment, use it; return what is installed."""
    run(python, "-m", "venv", folder, cwd=folder.parent)
    inner = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(inner, "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=folder)
    count = int(run(inner, "-c", LIST, cwd=folder))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    run(inner, "-W", "error::ImportWarning", USER, cwd=elsewhere)
    return count


def use_full(python: Path, wheel: Path, folder: Path) -> None:
    """Add the laboratory to an environment; the demonstration ends well without Lava and Norse."""
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[{FULL}]", cwd=folder)
    command = python.parent / "sdcl-neuro"
    said = run(command, "demo", "--out", "demo", "--steps", "3,2", cwd=folder, errors=True)
    assert "not run" in said, said
    assert "sdcl-neuro lava install" in said, said
    assert (folder / "demo" / "report.html").is_file()
    clip = ("from sdcl_neuro import demo", "print(demo.clip_path())", "print(demo.tracks_path())")
    video, tracks = run(python, "-c", "; ".join(clip), cwd=folder).split()
    given = ("--video", video, "--tracks", tracks, "--limit", "1")
    run(command, "infer", *given, "--out", "who", "--quiet", cwd=folder)
    run(command, "check", folder / "who" / "infer.json", cwd=folder)
    run(command, "doctor", cwd=folder)


def main() -> None:
    """Do it all; print the result and write it to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="page whose section to write")
    parser.add_argument("--also", default="", help="other Pythons to try, as 3.12,3.13")
    parser.add_argument("--build", metavar="DIR", type=Path, help="only build both, into DIR")
    args = parser.parse_args()
    if args.build is not None:
        build_into(args.build)
        return
    begun = time.perf_counter()
    others = interpreters([version for version in args.also.split(",") if version])
    environments = 1 + len(others)
    print(
        f"environments: {environments}, each downloads torch: 0.2 GB (1.0 GB on disk) where pip "
        "is told of its CPU build, else 2.6 GB (5 GB on disk)",
        flush=True,
    )
    rows = []
    with tempfile.TemporaryDirectory(prefix="sdcl-neuro-dist-") as name:
        folder = Path(name)
        sdist, wheel, commit = build(folder)
        files = check_wheel(wheel)
        count = use_small(sys.executable, wheel, folder / "small")
        version = ".".join(map(str, sys.version_info[:3]))
        small = "conversion, verify, run, profile, hybrid inference from Python"
        rows += [
            f"| {version}, no extra | {count} distributions; {small}: passed |",
            f"| {version}, no extra | ten command lines that need an extra: exit code 3 and the "
            "command that installs it |",
        ]
        use_full(folder / "small" / "bin" / "python", wheel, folder / "small" / "elsewhere")
        rows.append(
            f"| {version}, [{FULL}] | the demonstration without Lava and Norse, infer with the "
            "packaged model, check, doctor: passed |"
        )
        for other, program in others.items():
            use_small(program, wheel, folder / f"small-{other}")
            rows.append(f"| {other}, no extra | {small}: passed |")
            shutil.rmtree(folder / f"small-{other}")
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    head = f"{when}, commit {commit}: {sdist.name}, {wheel.name} of {files} files.\n\n"
    text = head + "\n".join(["| Python | what was tried |", "|---|---|", *rows]) + "\n"
    print(text, f"{time.perf_counter() - begun:.0f} s", sep="")
    if args.page is not None:
        page = args.page.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        args.page.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
