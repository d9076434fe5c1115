"""What a verb loads before it works, and what it says while it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli.progress import EVERY_S, FIRST_S, Lines
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.graph_found import KEY
from sdcl_neuro.conversion.lowering.graph import account
from sdcl_neuro.notices import listening, notice
from sdcl_neuro.testing import random_network

AFTER = "import sys\n{body}\nprint(','.join(n for n in {names!r} if n in sys.modules))"
HEAVY = ("torch", "sympy", "torch._dynamo", "rich", "jinja2", "cv2")


def _loaded(body: str, names: tuple[str, ...] = HEAVY) -> set[str]:
    """Which of `names` a fresh process has loaded after running `body`."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER.format(body=body, names=names)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(filter(None, done.stdout.splitlines()[-1].split(",")))


def test_run_does_without_torch(tmp_path: Path) -> None:
    net = random_network(0)
    to_netx(net, tmp_path / "m.net")
    np.savez(tmp_path / "in.npz", spikes=np.zeros((4, 1, *net.input_shape), np.uint8))
    arguments = ["run", str(tmp_path / "m.net"), "--spikes", str(tmp_path / "in.npz")]
    arguments += ["--out", str(tmp_path / "out.npz")]
    body = f"from sdcl_neuro.cli import main\nassert main({arguments!r}) == 0"
    assert _loaded(body) == set()


@pytest.mark.parametrize("verb", ["infer", "live", "train", "evaluate"])
def test_arguments_are_read_without_libraries(verb: str) -> None:
    """Help, and the refusal of a wrong option, come before anything heavy is loaded."""
    body = (
        "from sdcl_neuro.cli import main\n"
        f"try: main([{verb!r}, '--no-such-option'])\n"
        "except SystemExit as left: assert left.code == 2"
    )
    assert _loaded(body) == set()


def test_skeletons_load_no_compiler() -> None:
    """A document's shapes are checked without values, whatever network it names."""
    body = (
        "from sdcl_neuro.hybrid.bridge import BridgeConfig\n"
        "from sdcl_neuro.hybrid.frame_branch import MAP_CHANNELS\n"
        "from sdcl_neuro.hybrid.sdcl_checkpoint import _skeleton\n"
        "for name, channels in MAP_CHANNELS.items():\n"
        "    for kind in ('sdcl', 'psta'):\n"
        "        shapes = _skeleton(kind, name, BridgeConfig(frame_channels=channels))\n"
        "        assert shapes and all(one.is_meta for one in shapes.values())"
    )
    assert _loaded(body, ("sympy", "torch._dynamo")) == set()


def test_graphs_are_known_by_their_accounts_key() -> None:
    assert KEY == account.KEY


_WAITS = """
import gc, sys, weakref
from sdcl_neuro.cli import main
from sdcl_neuro.processors import collecting
class Knot:
    def __init__(self): self.own = self
collecting.OBJECTS = 20_000
usual = gc.get_threshold()
{begin}
lost = weakref.ref(Knot())
kept = [[] for _ in range(10_000)]
assert lost() is not None, "collected too early"
kept += [[] for _ in range(20_000)]
assert lost() is None, "never collected"
assert gc.get_threshold() == usual and not gc.callbacks and gc.get_freeze_count() > 30_000 - 1_000
"""
_AS_BEFORE = """
import gc
from sdcl_neuro.cli import main
from sdcl_neuro.processors import collecting
{begin}
before = gc.isenabled(), gc.get_threshold()
{call}
assert (gc.isenabled(), gc.get_threshold()) == before and not gc.callbacks
"""


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "begin",
    [
        "collecting.collect_later(); collecting.collect_later()",
        "sys.argv[1:] = ['models', 'list']; assert main() == 0",
    ],
)
def test_the_first_collection_of_a_process_waits_for_libraries(begin: str) -> None:
    _run(_WAITS.format(begin=begin))


@pytest.mark.parametrize(
    ("begin", "call"),
    [
        ("", "assert main(['models', 'list']) == 0"),
        ("gc.disable()", "collecting.collect_later()"),
        ("gc.set_threshold(0)", "collecting.collect_later()"),
        ("gc.set_threshold(2 * collecting.OBJECTS)", "collecting.collect_later()"),
    ],
    ids=["a call in a program", "switched off", "no thresholds", "a threshold of a user"],
)
def test_collections_elsewhere_are_left_alone(begin: str, call: str) -> None:
    _run(_AS_BEFORE.format(begin=begin, call=call))


def test_notices_go_to_listeners_once() -> None:
    heard: list[str] = []
    notice("no one hears this")
    with listening(heard.append):
        notice("a line of this test")
        notice("a line of this test")
    notice("neither this")
    assert heard == ["a line of this test"]


def test_compiling_is_said(tmp_path: Path) -> None:
    """A kernel without compiled code on disk is announced; with it, nothing is said."""
    (tmp_path / "kernel.py").write_text(
        "from sdcl_neuro.compiling import lean\n@lean\ndef double(x):\n    return 2 * x\n",
        encoding="utf-8",
    )
    code = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "from sdcl_neuro.notices import listening\n"
        "with listening(print):\n"
        "    from kernel import double\n"
        "    assert double(3) == 6"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert "once on this machine" in said[0].stdout
    assert said[1].stdout == ""


def test_lines_give_an_estimate_and_do_not_flood(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines("training", 100, clock=lambda: now[0])
    for step in range(100):
        now[0] = (step + 1) * 1.0
        lines.advance(1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"training {FIRST_S:.0f}/100, about 95 s left"
    assert len(said) == 1 + int((99 - FIRST_S) // EVERY_S)
