"""Everything that needs a GPU, in one command of at most nine minutes: `make gpu`.

    python bench/gpu_session.py [--dry-run] [--results FOLDER] [--page docs/gpu.md]

Runs offline, under the interpreter that runs it: the tests marked ``gpu``, then each bench of
`test_gpu` beside its peers. Each part has a time limit of its own and is ended when that is over;
the others still run. Writes ``bench/results/GPU.json``, named after the GPU, and the tables of
docs/gpu.md. Without a GPU it says so in one line, writes nothing and ends with 3, as it does where
packages are missing, which it lists with the command that installs them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NEEDED = {
    "torch": "torch", "numpy": "numpy", "numba": "numba", "scipy": "scipy", "h5py": "h5py",
    "nir": "nir", "safetensors": "safetensors", "jinja2": "jinja2", "rich": "rich",
    "psutil": "psutil", "snntorch": "snntorch", "pytest": "pytest", "pytest_timeout":
    "pytest-timeout", "pytest_benchmark": "pytest-benchmark", "hypothesis": "hypothesis",
    "cv2": "opencv-python-headless",
}  # fmt: skip
"""Modules without which nothing runs, and the packages that bring them."""
WANTED = {
    "triton": "triton", "spikingjelly": "spikingjelly", "cupy": "cupy-cuda12x",
    "pynvml": "nvidia-ml-py", "norse": "norse",
}  # fmt: skip
"""Modules without which a peer or a counter is left out."""
LIMIT_S = 540
ENVIRONMENT_FAULT = 3


@dataclass(frozen=True)
class Part:
    """One process of the session: its arguments for Python, and how long it may take."""

    name: str
    arguments: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True)
class Done:
    """How a part ended: ``passed``, ``failed``, ``ended at its limit``, or ``left out``."""

    name: str
    how: str
    seconds: float
    limit_s: float


def _pytest(name: str, limit_s: float, *arguments: str) -> Part:
    plain = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    return Part(name, (*plain, "-m", "gpu", *arguments), limit_s)


def _bench(name: str, limit_s: float) -> Part:
    return _pytest(name, limit_s, "--benchmark-only", "bench/test_gpu.py", "-k", name)


PARTS = (
    _pytest("tests", 150, "tests/engine", "tests/snn", "tests/hybrid"),
    _bench("test_engine_on_a_gpu", 110),
    _bench("test_training_step_on_a_gpu", 140),
    _bench("test_hybrid_on_a_gpu", 110),
)
"""Their limits leave half a minute for what comes before and after."""


def missing(modules: Iterable[str]) -> list[str]:
    """Modules that are not installed."""
    return [name for name in modules if find_spec(name) is None]


def file_name(gpu: str) -> str:
    """``NVIDIA H200`` to ``nvidia-h200.json``."""
    return re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-") + ".json"


def run_part(part: Part, environment: dict[str, str]) -> Done:
    """Run a part in a process group of its own, which is ended as a whole at the limit."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *part.arguments], cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        how = "failed" if process.wait(part.limit_s) else "passed"
    except subprocess.TimeoutExpired:
        how = "ended at its limit"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Done(part.name, how, round(time.monotonic() - began, 1), part.limit_s)


def run_parts(
    parts: Sequence[Part], environment: dict[str, str], *, limit_s: float = LIMIT_S
) -> list[Done]:
    """Run all parts; one that no time is left for is left out."""
    began, found = time.monotonic(), []
    for part in parts:
        left = limit_s - (time.monotonic() - began)
        if left < 1:
            found.append(Done(part.name, "left out", 0.0, part.limit_s))
            continue
        print(f"{part.name}: at most {min(left, part.limit_s):.0f} s", flush=True)
        shortened = Part(part.name, part.arguments, min(left, part.limit_s))
        found.append(run_part(shortened, environment))
        print(f"{part.name}: {found[-1].how} after {found[-1].seconds} s", flush=True)
    return found


def write_up(results: Path, page: Path, done: Sequence[Done]) -> None:
    """Add how the parts ended to the results, and refresh the page's tables."""
    sys.path.insert(0, str(HERE))
    from results import SCHEMA, load, machine, refresh

    from sdcl_neuro.files import atomic_path, write_json

    book = load(results) if results.is_file() else {"schema": SCHEMA, "rows": []}
    book["machine"] = book.get("machine") or machine()
    book["session"] = [asdict(one) for one in done]
    results.parent.mkdir(parents=True, exist_ok=True)
    write_json(results, book)
    text = refresh(page.read_text(encoding="utf-8"), book)
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _refused(line: str) -> int:
    print(f"make gpu: {line}", file=sys.stderr)
    return ENVIRONMENT_FAULT


def main(arguments: list[str]) -> int:
    """Run the session."""
    parser = argparse.ArgumentParser(description="Run every test and bench that needs a GPU.")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and end")
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="FOLDER")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md")
    options = parser.parse_args(arguments)
    absent = missing(NEEDED)
    if absent:
        packages = " ".join(NEEDED[name] for name in absent)
        install = f"{sys.executable} -m pip install -c constraints.txt {packages}"
        return _refused(f"missing: {', '.join(absent)}; install them: {install}")
    for name in missing(WANTED):
        print(f"{name} is not installed, what needs it is left out (package {WANTED[name]})")
    if options.dry_run:
        for part in PARTS:
            print(json.dumps(asdict(part)))
        return 0
    import torch

    if not torch.cuda.is_available():
        return _refused(f"torch {torch.__version__} finds no GPU; nothing was run or written")
    results = options.results / file_name(torch.cuda.get_device_name(0))
    print(f"on {torch.cuda.get_device_name(0)}, torch {torch.__version__}; results: {results}")
    found = os.environ.get("PYTHONPATH", "")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), found])),
        "SDCL_NEURO_BENCH_RESULTS": str(results.resolve()),
    }
    done = run_parts(PARTS, environment)
    write_up(results, options.page, done)
    for one in done:
        print(f"{one.name:32} {one.how}, {one.seconds} s of {one.limit_s:.0f}")
    return 0 if all(one.how == "passed" for one in done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
