"""The C compiler: found, called, and what the object file holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sdcl_neuro.errors import EnvironmentFault

COMPILERS = ("cc", "gcc", "clang")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
TIMEOUT_S = 600.0


def find_compiler() -> str:
    """Return the C compiler: ``$CC``, or the first of `COMPILERS` on the path.

    Raises:
        EnvironmentFault: there is none.
    """
    wanted = os.environ.get("CC")
    for name in [wanted] if wanted else COMPILERS:
        found = shutil.which(name)
        if found is not None:
            return found
    what = f"$CC is {wanted!r}, which is not a program" if wanted else "no C compiler was found"
    raise EnvironmentFault(what, where="c", hint="install gcc or clang, or name one in $CC")


def compile_c(
    sources: Sequence[Path], out: Path, *, options: Sequence[str] = ("-O2",), compiler: str = ""
) -> None:
    """Compile C files to `out`, every warning an error.

    Raises:
        EnvironmentFault: there is no compiler, or it failed; its first complaint is in the message.
    """
    command = [compiler or find_compiler(), *STRICT, *options, "-o", str(out), *map(str, sources)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(
            f"{command[0]} took more than {TIMEOUT_S:g} s", where="c", hint="use fewer weights"
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
        what = f"{command[0]} failed with {done.returncode}: {lines[0].strip()}"
        raise EnvironmentFault(what, where="c", hint="report it with the network")
