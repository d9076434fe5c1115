"""The findings of ``sdcl-neuro doctor``; nothing optional is imported to get them."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import psutil

from sdcl_neuro import __file__ as package_file
from sdcl_neuro import __version__
from sdcl_neuro.conversion.backends.table import ROWS as BACKENDS
from sdcl_neuro.errors import EnvironmentFault, SdclNeuroError, number_of
from sdcl_neuro.extras import ROWS as LIBRARIES
from sdcl_neuro.extras import install_command, installed, program
from sdcl_neuro.processors import settle

SCHEMA = {"name": "sdcl_neuro.doctor", "version": 1}
SERVES = {
    "reid": "training, evaluation, inference on videos, the demonstration",
    "video": "videos and pictures without the laboratory",
    "plot": "results as matplotlib figures",
    "notebooks": "the notebooks of docs/notebooks",
    "recordings": "ROS bags, compressed AEDAT 4 and HDF5",
    "norse": "the backend norse",
    "onnx": "ONNX files and the backend onnx",
    "gallery": "faster search in large galleries",
    "postgres": "galleries in PostgreSQL",
    "ray": "batches of clips on a cluster",
    "serve": "many cameras and a gallery on one page",
    "gpu": "the energy counter of NVIDIA's GPUs",
    "triton": "kernels for GPUs, which torch's CUDA builds bring themselves",
    "cameras": "event cameras over USB",
    "tensorboard": "training curves in TensorBoard",
}
"""What each extra is for, in the order of the report."""
PROGRAMS = {
    "cc": "the backend c",
    "g++": "the dense backend compiled",
    "verilator": "the backend verilog",
    "yosys": "the cell count of a SystemVerilog design",
}
_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: of the library, program, backend or cache.
        here: whether it is there.
        detail: its version or place, or the reason why it is not there.
        serves: what it is for; empty where that is plain.
        remedy: the command that brings it; empty if there is none or it is there.
    """

    name: str
    here: bool
    detail: str
    serves: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.here else 'no  '} {self.name:<14} {self.detail}"
        if self.here or not self.serves:
            return line
        return f"{line}, for {self.serves}{f': {self.remedy}' if self.remedy else ''}"


@dataclass(frozen=True)
class Findings:
    """All of the report, section by section."""

    sections: dict[str, tuple[Finding, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "sections": {
                name: [asdict(finding) for finding in found]
                for name, found in self.sections.items()
            },
            "missing": [
                asdict(finding)
                for found in self.sections.values()
                for finding in found
                if not finding.here and finding.remedy
            ],
        }

    def __str__(self) -> str:
        lines: list[str] = []
        for name, found in self.sections.items():
            lines += ["", name] if lines else [name]
            for finding in found:
                lines += textwrap.wrap(
                    str(finding), _WIDTH, initial_indent="  ", subsequent_indent=" " * 9,
                    break_long_words=False, break_on_hyphens=False,
                )  # fmt: skip
        return "\n".join(lines)


def examine() -> Findings:
    """Look at this machine and this environment."""
    return Findings(
        {
            "This installation": tuple(_installation()),
            "Backends": tuple(_backends()),
            "Extras": tuple(_extras()),
            "Programs": tuple(_programs()),
            "Machine": tuple(_machine()),
            "Caches": tuple(_caches()),
        }
    )


def _installation() -> Iterator[Finding]:
    yield Finding("sdcl-neuro", True, f"{__version__} in {Path(package_file).parent}")
    python = f"{platform.python_version()}, {sys.executable}"
    yield Finding("Python", sys.version_info >= (3, 11), python)
    command = program("sdcl-neuro")
    there = shutil.which(command) is not None or Path(command).exists()
    yield Finding("command", there, command if there else "not found: python -m sdcl_neuro")
    for name in _required():
        found = _version(name)
        yield Finding(name, found is not None, found or "not installed")


def _required() -> list[str]:
    """Return distributions that the package cannot do without."""
    try:
        lines = requires("sdcl-neuro") or []
    except PackageNotFoundError:  # run from a checkout that is not installed
        return ["torch", "snntorch", "numpy", "numba", "scipy", "h5py", "nir", "safetensors"]
    return [re.split(r"[<>=!~;\s\[(]", line)[0] for line in lines if "extra ==" not in line]


def _backends() -> Iterator[Finding]:
    for row in BACKENDS:
        try:
            row.require()
        except EnvironmentFault as fault:
            serves = f"comparing with {row.title}"
            yield Finding(row.name, False, fault.what, serves, fault.hint)
            continue
        except SdclNeuroError as fault:
            yield Finding(row.name, False, str(fault))
            continue
        parts = {name: _version(name) for name in row.libraries} | row.program_versions()
        said = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
        yield Finding(row.name, True, said or row.title)


def _extras() -> Iterator[Finding]:
    for extra, serves in SERVES.items():
        rows = [row for row in LIBRARIES if extra in row.extras]
        absent = [row for row in rows if not installed(row.module)]
        if not absent:
            names = (f"{row.distribution} {_version(row.distribution)}" for row in rows)
            yield Finding(f"[{extra}]", True, ", ".join(names))
            continue
        names = (row.distribution for row in absent)
        remedy = install_command(absent[0], extra)
        yield Finding(f"[{extra}]", False, f"{', '.join(names)} missing", serves, remedy)


def _programs() -> Iterator[Finding]:
    for name, serves in PROGRAMS.items():
        path = shutil.which(name)
        if path is None:
            yield Finding(name, False, "not found", serves, f"install the package of {name}")
            continue
        yield Finding(name, True, _first_line(path))


def _first_line(path: str) -> str:
    """Return the version that a program reports, or its path."""
    flag = "-V" if path.endswith("yosys") else "--version"
    try:
        done = subprocess.run([path, flag], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return path
    return next(iter(done.stdout.splitlines()), path)


def _machine() -> Iterator[Finding]:
    import torch

    yield Finding("system", True, f"{platform.system()} {platform.release()}, {platform.machine()}")
    cores = f"{psutil.cpu_count(logical=False) or '?'} cores, {os.cpu_count()} processors"
    yield Finding("processor", True, f"{cores}; used now: {settle()}")
    memory = psutil.virtual_memory()
    yield Finding(
        "memory", True, f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    )
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
        yield Finding("GPU", True, f"{', '.join(names)}, CUDA {torch.version.cuda}")
        return
    built = torch.version.cuda
    why = "no device was found" if built else "torch was built without CUDA"
    yield Finding("GPU", False, why, "a faster frame branch and engine; everything runs without")


def _caches() -> Iterator[Finding]:
    from sdcl_neuro.conversion.parity.verify import certificates_folder

    yield _folder("certificates", certificates_folder())
    kernels = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(package_file).parent)
    yield _folder("kernels", kernels, pattern="*.nb[ic]")


def _folder(name: str, path: Path, *, pattern: str = "*") -> Finding:
    """Return a folder's size, and whether it can be written."""
    files = [one for one in path.rglob(pattern) if one.is_file()] if path.is_dir() else []
    size = sum(one.stat().st_size for one in files) / 2**20
    nearest = next(one for one in (path, *path.parents) if one.exists())
    writable = os.access(nearest, os.W_OK)
    detail = f"{path}: {number_of(len(files), 'file')}, {size:.1f} MiB"
    serves = "keeping what was computed; it is computed again each time"
    return Finding(name, writable, detail if writable else f"{detail}, not writable", serves)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
