"""Lava on this Python: whether it is there, and how to get it.

The metadata of lava-nc and lava-dl pins Python 3.10, numpy < 2 and torch < 2.4, so no resolver
installs them beside current packages; both are pure Python and run once mended (`compat`).
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.extras import install_command
from sdcl_neuro.network.identity import version_of

LAVA = ("lava-nc==0.10.0", "lava-dl==0.6.0")
# What Lava imports on the way to a run, and does not come with sdcl-neuro itself: the extra "lava".
EXTRAS = ("scikit-learn>=1.5", "asteval>=1.0", "networkx>=3.0")
MODULES = (
    "lava.magma.core",
    "lava.lib.dl.netx.hdf5",
    "sklearn",
    "asteval",
    "networkx",
    "h5py",
    "scipy",
)


@dataclass(frozen=True)
class LavaStatus:
    """What is installed.

    Attributes:
        versions: distribution to version, None if absent.
        missing: modules that a run would not find.
        extension: whether Intel's Loihi extension, for boards, is there.
    """

    versions: dict[str, str | None]
    missing: tuple[str, ...]
    extension: bool

    @property
    def ready(self) -> bool:
        """True if networks can run in Lava's simulation."""
        return not self.missing

    def __str__(self) -> str:
        lines = [
            f"  {name:<10} {found or 'not installed'}" for name, found in self.versions.items()
        ]
        board = "found" if self.extension else "not installed (boards need it, simulation does not)"
        lines.append(f"  {'extension':<12} {board}")
        head = (
            "Lava is ready" if self.ready else f"Lava is not ready: run `{install_command('lava')}`"
        )
        if self.missing:
            lines.append(f"  missing: {', '.join(self.missing)}")
        return "\n".join([head, *lines])


def status() -> LavaStatus:
    """Look for Lava without importing it."""
    names = ("lava-nc", "lava-dl", "scikit-learn", "asteval", "networkx")
    return LavaStatus(
        versions={name: version_of(name) for name in names},
        missing=tuple(name for name in MODULES if not _exists(name)),
        extension=_exists("lava.proc.embedded_io"),
    )


def require_lava() -> None:
    """Raise EnvironmentFault, in one line, if Lava cannot run here."""
    found = status()
    if not found.ready:
        what = f"not installed ({', '.join(found.missing)} missing)"
        raise EnvironmentFault(what, where="lava", hint=f"run `{install_command('lava')}`")


def install(*, quiet: bool = False) -> LavaStatus:
    """Install Lava into this interpreter's environment with pip, past its metadata's pins.

    Raises:
        EnvironmentFault: pip failed, or Lava is still not complete.
    """
    if status().ready and all(version_of(_name(pin)) == pin.split("==")[1] for pin in LAVA):
        return status()
    options = ["--quiet"] if quiet else []
    _pip([*options, *EXTRAS])
    _pip([*options, "--no-deps", "--ignore-requires-python", *LAVA])
    version_of.cache_clear()
    require_lava()
    return status()


def _pip(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pip", "install", *arguments]
    # pip's progress is not a result: standard output is kept for those.
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise EnvironmentFault(
            f"pip ended with code {done.returncode}",
            where="lava install",
            hint="see pip's message above",
        )


def _name(pin: str) -> str:
    return pin.split("=")[0]


def _exists(module: str) -> bool:
    """Return whether a module is there; its packages above are namespaces, importing them runs
    nothing.
    """
    parts = module.split(".")
    if parts[:3] == ["lava", "lib", "dl"]:
        # Below it stand packages that import torch and torchvision: look at the files instead.
        spec = find_spec("lava.lib.dl") if _exists("lava.lib") else None
        roots = [] if spec is None else list(spec.submodule_search_locations or ())
        return any(_file_exists(root, parts[3:]) for root in roots)
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _file_exists(root: str, parts: list[str]) -> bool:
    from pathlib import Path

    return Path(root, *parts).with_suffix(".py").is_file()
