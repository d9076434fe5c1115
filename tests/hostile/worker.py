"""Reads files that a parent names, within limits, and says how each ended; see `fuzzing`.

One line of JSON in, one out: ``{"target", "path"}`` to ``{"outcome", "detail", "cpu_s",
"peak_mib"}``. Outcomes are ``read``, ``refused``, and faults: ``traceback``, ``memory``,
``message``. A crash or a wait without end is seen by the parent.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from readers import READERS

from sdcl_neuro.cli.printable import harmless
from sdcl_neuro.errors import SdclNeuroError

ADDRESS_BYTES = 3 << 30
"""Address space beyond what the libraries have mapped: protects the machine, proves nothing."""
MESSAGE_CHARACTERS = 2000


def status(name: str) -> int:
    """One figure of ``/proc/self/status``, in bytes."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


def attempt(target: str, path: Path) -> tuple[str, str]:
    """Read one file."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            READERS[target].read(path)
    except SdclNeuroError as error:
        # The command line shows it so.
        text = harmless(str(error))
        if error.exit_code not in (2, 3) or path.parent.name not in text:
            return "message", f"does not name the file: {text[:300]}"
        return "refused", text[:MESSAGE_CHARACTERS]
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        return "refused", str(error)
    except MemoryError:
        return "memory", traceback.format_exc(limit=-6)
    except BaseException:
        return "traceback", traceback.format_exc(limit=-8)
    return "read", ""


def main() -> None:
    """Answer lines until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    for name in sys.argv[1:]:
        READERS[name].warm()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = status("VmSize") + ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print("ready", file=answers)
    for line in sys.stdin:
        job = json.loads(line)
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        before, begun = status("VmRSS"), time.process_time()
        outcome, detail = attempt(job["target"], Path(job["path"]))
        cpu_s, peak = time.process_time() - begun, status("VmHWM") - before
        answer = {"outcome": outcome, "detail": detail, "cpu_s": cpu_s, "peak_mib": peak >> 20}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
