"""Damaged files against every reader: a few hundred here, any number by ``make fuzz N=...``."""

from __future__ import annotations

import collections
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INPUTS = 301
SEED = 1
# Few inputs for each reader, so that starting a process with all libraries is paid once.
pytestmark = pytest.mark.timeout(600)


def test_damaged_files_are_read_or_refused_in_one_line() -> None:
    from fuzzing import fuzz
    from readers import READERS

    outcomes: collections.Counter[str] = collections.Counter()
    findings = []
    for outcome, finding in fuzz(INPUTS, SEED, list(READERS)):
        outcomes[outcome] += 1
        if finding is not None:
            findings.append(str(finding))
    assert not findings, "\n".join(findings)
    # The mutations must hurt, and not only at the magic number.
    assert outcomes["refused"] > INPUTS // 2
    assert outcomes["read"] > INPUTS // 20


def test_the_oracle_sees_each_kind_of_fault() -> None:
    from fuzzing import CPU_S, PEAK_MIB, fault_of

    fine = {"outcome": "refused", "cpu_s": 0.1, "peak_mib": 3}
    assert not fault_of(fine)
    assert fault_of({**fine, "cpu_s": CPU_S + 1})
    assert fault_of({**fine, "peak_mib": PEAK_MIB + 1})
    for outcome in ("traceback", "memory", "message", "died", "waits"):
        assert fault_of({**fine, "outcome": outcome}) == outcome


def test_the_guided_run_takes_a_reader_or_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "guided.py"), "splits", "--seconds", "2"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, check=False, cwd=tmp_path
    )
    if importlib.util.find_spec("atheris") is None:
        assert done.returncode == 2
        assert done.stderr == "guided.py needs atheris: pip install atheris (Linux and macOS)\n"
    else:
        assert done.returncode == 0, done.stderr[-2000:]
        assert "DONE" in done.stderr
