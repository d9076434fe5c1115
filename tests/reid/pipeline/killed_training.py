"""Run by the tests: a training killed by SIGKILL again and again beside one that never was.

Children are forked from here, so that the imports are paid for once; each is a process of its own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from sdcl_neuro.cli.progress import progress_bars
from sdcl_neuro.reid.configuration import build_data, build_model, load_configuration
from sdcl_neuro.reid.pipeline.training_run import run_training

CONFIGURATION = Path(__file__).parent / "tiny.toml"


def child(folder: Path) -> int:
    """Fork a process that trains; returns its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        configuration = load_configuration(CONFIGURATION)
        run_training(configuration, folder, progress=progress_bars(quiet=True))
        code = 0
    finally:
        os._exit(code)
    return 0


def main(out: Path, seed: int, kills: int) -> None:
    """Train once whole, and once with kills; tell how often and after how long."""
    generator = random.Random(seed)
    # Compiled loops are loaded here, once.
    configuration = load_configuration(CONFIGURATION)
    build_data(configuration).load(0, configuration.clip)
    build_model(configuration, 2)
    began = time.monotonic()
    _, status = os.waitpid(child(out / "whole"), 0)
    lasted = time.monotonic() - began
    waits, codes = [], [os.waitstatus_to_exitcode(status)]
    for _ in range(kills):
        number = child(out / "killed")
        waits.append(generator.uniform(0.05, 0.5) * lasted)
        time.sleep(waits[-1])
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        codes.append(os.waitstatus_to_exitcode(status))
    _, status = os.waitpid(child(out / "killed"), 0)
    codes.append(os.waitstatus_to_exitcode(status))
    print(json.dumps({"lasted": lasted, "waits": waits, "codes": codes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
