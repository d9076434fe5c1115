"""What is imported only where it is used: optional libraries, and names of our own packages.

For libraries: the extra that brings each, and one answer where one is missing.

``pip install sdcl-neuro`` brings what deployment needs. What more a verb can use is listed in
`ROWS` and fetched through `need`, which imports it or names the command that installs it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import EnvironmentFault

MAX_PIXELS = 1 << 26
"""Largest picture that OpenCV decodes, 8,192 x 8,192; 192 MiB in colour."""


@dataclass(frozen=True)
class Library:
    """One library that an installation may lack.

    Attributes:
        module: as it is imported.
        distribution: as pip names it.
        extras: that bring it; the first is the one to name where a single library is missing.
        command: that installs it where no extra does; empty otherwise.
    """

    module: str
    distribution: str
    extras: tuple[str, ...] = ()
    command: str = ""


ROWS = (
    Library("cv2", "opencv-python-headless", ("video", "reid")),
    Library("matplotlib", "matplotlib", ("plot", "reid", "notebooks")),
    Library("nbclient", "nbclient", ("notebooks",)),
    Library("nbformat", "nbformat", ("notebooks",)),
    Library("ipykernel", "ipykernel", ("notebooks",)),
    Library("PIL", "pillow", ("video", "reid")),
    Library("faiss", "faiss-cpu", ("gallery",)),
    Library("psycopg", "psycopg", ("postgres",)),
    Library("ray", "ray", ("ray",)),
    Library("starlette", "starlette", ("serve",)),
    Library("uvicorn", "uvicorn", ("serve",)),
    Library("websockets", "websockets", ("serve",)),
    Library("prometheus_client", "prometheus-client", ("serve",)),
    Library("tensorboard", "tensorboard", ("tensorboard",)),
    Library("norse", "norse", ("norse",)),
    Library("nirtorch", "nirtorch", ("norse",)),
    Library("onnx", "onnx", ("onnx",)),
    Library("google", "protobuf", ("onnx",)),
    Library("onnxscript", "onnxscript", ("onnx",)),
    Library("onnxruntime", "onnxruntime", ("onnx",)),
    Library("rosbags", "rosbags", ("recordings",)),
    Library("apsw", "apsw", ("recordings",)),
    Library("hdf5plugin", "hdf5plugin", ("recordings",)),
    Library("lz4", "lz4", ("recordings",)),
    Library("backports", "backports.zstd", ("recordings",)),
    Library("neuromorphic_drivers", "neuromorphic-drivers", ("cameras",)),
    Library("pynvml", "nvidia-ml-py", ("gpu",)),
    Library("triton", "triton", ("triton",)),
    Library("lava", "lava-nc", command="sdcl-neuro lava install"),
    # Its metadata asks for samna, which has no build for every machine and is not needed here.
    Library("sinabs", "sinabs", command="pip install --no-deps sinabs==3.1.3"),
    Library("samna", "samna", command="pip install samna"),
)
LIBRARIES: dict[str, Library] = {row.module: row for row in ROWS}
_TIED_TO_TORCH = frozenset({"norse"})
"""Extras whose libraries ask for torchvision, and pip for that release of torch that suits its
newest: where the installed torch is not named too, another one replaces it, gigabytes of it."""
LABORATORY = "reid"
"""The extra that training, evaluation and inference on videos need as a whole."""


def need(module: str, purpose: str) -> ModuleType:
    """Import an optional library, or a module of one.

    Args:
        module: as Python imports it, such as ``cv2`` or ``rosbags.rosbag1``.
        purpose: what needs it, the beginning of a sentence, such as ``reading a video``.

    Raises:
        EnvironmentFault: it is not installed, or is installed and cannot be imported.
    """
    if module == "cv2":
        # OpenCV reads it once, when it is loaded: a picture of a few bytes may claim a gigapixel.
        os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(error, purpose, module=module) from error


def missing(error: ImportError, purpose: str, *, module: str = "") -> EnvironmentFault:
    """Return the answer to an import that failed.

    Args:
        error: what Python said.
        purpose: as for `need`.
        module: what was wanted; else the module that the error names.
    """
    absent = isinstance(error, ModuleNotFoundError)
    named = (error.name or "") if absent else module
    row = _row(named) or _row(module)
    if row is None:
        return EnvironmentFault(
            f"{purpose} needs {named or module}: {error}",
            hint=f"install this package again; {program('pip')} check lists what it lacks",
        )
    if absent:
        return EnvironmentFault(
            f"{purpose} needs {row.distribution}, which is not installed",
            hint=install_command(row),
        )
    again = f"{program('pip')} install --force-reinstall --no-deps {row.distribution}"
    return EnvironmentFault(
        f"{purpose} needs {row.distribution}, which cannot be imported: {error}",
        hint=again if row.extras else install_command(row),
    )


def install_command(library: Library | str, extra: str | None = None) -> str:
    """Return the command that installs a library, given as a row or by its module's name."""
    row = library if isinstance(library, Library) else LIBRARIES[library]
    if row.extras:
        chosen = extra or row.extras[0]
        torch = f" torch=={version('torch').partition('+')[0]}" if chosen in _TIED_TO_TORCH else ""
        return f"{program('pip')} install 'sdcl-neuro[{chosen}]'{torch}"
    first, _, rest = row.command.partition(" ")
    return f"{program(first)} {rest}"


def program(name: str) -> str:
    """Return a program of this Python's environment as a shell finds it from here.

    Args:
        name: such as ``pip`` or ``sdcl-neuro``.

    Returns:
        The bare name where the shell's search path leads to it, else its path, relative to the
        working folder where it lies below that; the bare name, too, if there is no such program.
    """
    path = Path(sys.prefix) / "bin" / name
    found = shutil.which(name)
    if not path.exists() or (found is not None and Path(found) == path):
        return name
    here = Path.cwd()
    below = path.is_relative_to(here) and here != Path(here.root)
    return shlex.quote(str(path.relative_to(here) if below else path))


def installed(module: str) -> bool:
    """Return whether a library of the table is there, without importing it."""
    return find_spec(LIBRARIES[module].module) is not None


def require(modules: Iterable[str], purpose: str, *, extra: str | None = None) -> None:
    """See that libraries are there before long work begins; nothing is imported.

    Raises:
        EnvironmentFault: some are not, all of them named.
    """
    absent = [LIBRARIES[module] for module in modules if not installed(module)]
    if absent:
        *first, last = (row.distribution for row in absent)
        names = f"{', '.join(first)} and {last}" if first else last
        raise EnvironmentFault(
            f"{purpose} needs {names}, which {'is' if len(absent) == 1 else 'are'} not installed",
            hint=" and ".join(dict.fromkeys(install_command(row, extra) for row in absent)),
        )


def require_extra(extra: str, purpose: str) -> None:
    """See that all that an extra brings is there; raises as `require`."""
    require((row.module for row in ROWS if extra in row.extras), purpose, extra=extra)


def _row(module: str) -> Library | None:
    return LIBRARIES.get(module.partition(".")[0])


def attach(
    package: str, members: Mapping[str, str], *, renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    The package imports the same names under ``if TYPE_CHECKING:``, for type checkers and editors; a
    test compares the two.

    Args:
        package: name of the package, its ``__name__``.
        members: public name to the module that holds it, relative to the package, with ``:name``
            where it has another name there. A module that is public itself stands for itself:
            ``{"conversion": "conversion"}``.
        renamed: old public name to today's, kept for one release with a warning.
    """

    def found(name: str) -> Any:
        if renamed is not None and name in renamed:
            today = renamed[name]
            what = f"{package}.{name} is now {today}; the old name goes with the next release"
            warnings.warn(what, DeprecationWarning, stacklevel=2)
            return getattr(sys.modules[package], today)
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module_name, _, attribute = members[name].partition(":")
        module = import_module(f"{package}.{module_name}")
        return module if members[name] == name else getattr(module, attribute or name)

    def names() -> list[str]:
        loaded = vars(sys.modules[package])
        return sorted({*members, *loaded.get("__all__", ()), *_dunders(loaded)})

    return found, names


def _dunders(loaded: Mapping[str, Any]) -> list[str]:
    return [name for name in loaded if name.startswith("__") and name.endswith("__")]
