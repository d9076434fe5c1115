"""Finds a Python interpreter that has SANA-FE; SANA-FE itself is never imported by this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sdcl_neuro.errors import EnvironmentFault, InputError, spelled

VARIABLE = "SDCL_NEURO_SANAFE"
_ASK = "import importlib.metadata as m; print(m.version('sanafe'))"
_ANSWER_S = 60.0


def find_interpreter(given: str | Path | None = None) -> tuple[str, str]:
    """Return an interpreter that has SANA-FE, and SANA-FE's version.

    Args:
        given: the interpreter; None asks ``$SDCL_NEURO_SANAFE``, then this Python's own
            environment, then ``python3`` and ``python`` on the path.

    Raises:
        InputError: `given` is not a Python that has SANA-FE.
        EnvironmentFault: none was found.
    """
    if given is not None:
        found = _version(str(given))
        if found is None:
            raise InputError(
                "not a Python interpreter that has the package sanafe",
                where=str(given),
                hint="give the path of one, such as ENV/bin/python",
            )
        return str(given), found
    for candidate in dict.fromkeys(_candidates()):
        found = _version(candidate)
        if found is not None:
            return candidate, found
    where = spelled(python="sanafe=", command="--sanafe")
    raise EnvironmentFault(
        "SANA-FE was not found (GPL-3, so it runs as a program of its own)",
        where="sanafe",
        hint="python3 -m venv ENV && ENV/bin/pip install sanafe, "
        f"then set {VARIABLE}=ENV/bin/python, or give {where}",
    )


def require_sanafe() -> None:
    """Raise EnvironmentFault where no interpreter has SANA-FE."""
    find_interpreter()


def programs() -> dict[str, str]:
    """Return SANA-FE's version, for certificates."""
    return {"sanafe": find_interpreter()[1]}


def _candidates() -> Iterator[str]:
    if wanted := os.environ.get(VARIABLE):
        yield wanted
        return
    yield sys.executable
    for name in ("python3", "python"):
        if found := shutil.which(name):
            yield found


@cache
def _version(interpreter: str) -> str | None:
    try:
        done = subprocess.run(
            [interpreter, "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
