"""Optional libraries: the extra that brings each, and one answer where one is missing.

``pip install sdcl-neuro`` brings what deployment needs. What more a verb can use is listed in
`ROWS` and fetched through `need`, which imports it or names the command that installs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from .errors import EnvironmentFault


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
    Library("matplotlib", "matplotlib", ("plot", "reid")),
    Library("PIL", "pillow", ("video", "reid")),
    Library("faiss", "faiss-cpu", ("gallery",)),
    Library("psycopg", "psycopg", ("postgres",)),
    Library("ray", "ray", ("ray",)),
    Library("tensorboard", "tensorboard", ("tensorboard",)),
    Library("norse", "norse", ("norse",)),
    Library("nirtorch", "nirtorch", ("norse",)),
    Library("onnx", "onnx", ("onnx",)),
    Library("google", "protobuf", ("onnx",)),
    Library("onnxscript", "onnxscript", ("onnx",)),
    Library("onnxruntime", "onnxruntime", ("onnx",)),
    Library("rosbags", "rosbags", ("recordings",)),
    Library("hdf5plugin", "hdf5plugin", ("recordings",)),
    Library("lz4", "lz4", ("recordings",)),
    Library("backports", "backports.zstd", ("recordings",)),
    Library("neuromorphic_drivers", "neuromorphic-drivers", ("cameras",)),
    Library("pynvml", "nvidia-ml-py", ("gpu",)),
    Library("lava", "lava-nc", command="sdcl-neuro lava install"),
)
LIBRARIES: dict[str, Library] = {row.module: row for row in ROWS}
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
            hint="install the package again: pip install --force-reinstall sdcl-neuro",
        )
    if absent:
        return EnvironmentFault(
            f"{purpose} needs {row.distribution}, which is not installed",
            hint=install_command(row),
        )
    return EnvironmentFault(
        f"{purpose} needs {row.distribution}, which cannot be imported: {error}",
        hint=f"{install_command(row)} --force-reinstall" if row.extras else row.command,
    )


def install_command(library: Library | str, extra: str | None = None) -> str:
    """Return the command that installs a library, given as a row or by its module's name."""
    row = library if isinstance(library, Library) else LIBRARIES[library]
    if not row.extras:
        return row.command
    return f"pip install 'sdcl-neuro[{extra or row.extras[0]}]'"


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
