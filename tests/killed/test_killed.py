"""A few kills at random moments; many by ``make kill``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def killing(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), *arguments],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_nothing_is_lost_in_a_few_kills() -> None:
    from scenarios import QUICK

    assert "16 kills" in killing("--count", "16", "--only", ",".join(QUICK))


@pytest.mark.slow
def test_nothing_is_lost_in_trainings_and_caches() -> None:
    assert "8 kills" in killing("--count", "8", "--only", "training,caching")


def test_the_harness_sees_a_loss() -> None:
    """A writer that replaces its file in place, not whole, is found out."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import killing, scenarios, json, pathlib\n"
        "class Bad(scenarios.Documents):\n"
        "    def work(self, folder, out, say):\n"
        "        for n in range(400):\n"
        "            with open(out / f'd{n % 4}.json', 'w') as s:\n"
        "                text = json.dumps({'number': n, 'more': ['x' * 50] * 5000})\n"
        "                for k in range(0, len(text), 4096): s.write(text[k:k + 4096]); s.flush()\n"
        "            say(str(n))\n"
        "    def whole(self, folder, out): pass\n"
        "killing.SCENARIOS['bad'] = Bad()\n"
        "kills, faults = killing.run(12, 1, ['bad'])\n"
        "assert faults\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(HERE)], check=True, timeout=200, capture_output=True
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_training_that_is_asked_to_stop_is_saved(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Before its first checkpoint, too: whoever waits a minute does not lose it."""
    victim = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import pathlib, scenarios, dataclasses\n"
        "from sdcl_neuro.reid.training import Stage, train\n"
        "shared = scenarios.other('reid/training/conftest.py')\n"
        "tiny = shared.Tiny\n"
        "held = tiny.held([shared.tracklet(p, i) for p in range(3) for i in (0, 1)])\n"
        "one = dataclasses.replace(tiny.settings, checkpoint_every=10**6,\n"
        "    float_stage=Stage(steps=10**6, learning_rate=1e-3, learns_frames=False))\n"
        "train(tiny.model(), held, tiny.clip, one, folder=pathlib.Path(sys.argv[2]),\n"
        "    on_step=lambda step: print(step.step, flush=True),\n"
        "    say=lambda line: print(line, file=sys.stderr, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", victim, str(HERE), str(tmp_path / "t")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    process.send_signal(number)
    out, said = process.communicate(timeout=200)
    assert process.returncode == code, said
    assert "the state is saved" in said
    from sdcl_neuro.reid.training.state import read_state

    state = read_state(tmp_path / "t" / "state")
    assert state is not None
    last = int(out.split()[-1]) if out.split() else 0
    assert state.step == last + 1


def test_a_state_is_due_every_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    from sdcl_neuro.reid.training import stopping

    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stop = stopping.Stop(lambda line: None)
    assert not stop.due()
    now += 299.0
    assert not stop.due()
    now += 1.0
    assert stop.due()
    stop.saved()
    assert not stop.due()
