"""How threads of parallel libraries wait for each other: asleep, not at full speed.

Between two parallel loops an OpenMP thread spins, by default for milliseconds (GNU: 300,000 turns
of a loop). Alone on a machine that saves the time of waking; beside another busy process the
spinning takes the processor from the thread that is waited for. The libraries read these variables
when they are loaded, so they must stand in the environment before torch is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

_OPENMP = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "8"}
"""OpenMP 5.2, 21.7: PASSIVE, for GNU's runtime (torch's on Linux), LLVM's and Intel's; OpenBLAS
(numpy's and scipy's) spins for 2^n cycles, n from 4 to 30 (its driver/others/blas_server.c)."""

ASLEEP = "asleep"
"""The answer of `policy` where a waiting thread releases its processor at once."""


def wait_asleep(environment: MutableMapping[str, str] | None = None) -> str:
    """Let the threads of libraries that are loaded later sleep while they wait.

    What the user has set is left as it is.

    Args:
        environment: of this process, if left out.

    Returns:
        How they wait: see `policy`.
    """
    found = os.environ if environment is None else environment
    if not any(name in found for name in _OPENMP):
        found["OMP_WAIT_POLICY"] = PASSIVE["OMP_WAIT_POLICY"]
        if environment is None and "torch" in sys.modules:
            del found["OMP_WAIT_POLICY"]  # too late: the runtime is loaded
    if environment is not None or "numpy" not in sys.modules:
        found.setdefault("OPENBLAS_THREAD_TIMEOUT", PASSIVE["OPENBLAS_THREAD_TIMEOUT"])
    return policy(found)


def policy(environment: MutableMapping[str, str] | None = None) -> str:
    """Return ``asleep``, ``spinning`` (the runtime's default), or the variables that the user
    set.
    """
    found = os.environ if environment is None else environment
    given = {name: found[name] for name in _OPENMP if name in found}
    if given == {"OMP_WAIT_POLICY": "PASSIVE"}:
        return ASLEEP
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "spinning"
