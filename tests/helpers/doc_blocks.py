"""The code blocks of the pages, and how each is run.

A block is fenced and says its language. ``python`` and ``sh`` blocks are run, in the order of the
page, in one folder. A remark before a block changes that: ``<!-- slow -->`` leaves it to the slow
tests, ``<!-- not run: REASON -->`` says why it cannot be run at all.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdcl_neuro.cli import main

BLOCK = re.compile(
    r"^(?:<!-- (?P<remark>slow|not run: [^\n]+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.S | re.M,
)
LANGUAGES = {"python", "sh", "text", "json", "toml", "c"}
# What makes a command a matter of seconds, by its verb.
QUICK = {
    "train": (
        "data.generated.persons=6 data.generated.train_persons=4 data.generated.cameras=2 "
        "data.generated.walks=1 data.generated.moments=1 training.persons=2 training.tracklets=2 "
        "training.float_stage.steps=1 training.float_stage.warm_up=0 training.int_stage.steps=1"
    ),
    "infer": "--limit 1",
    "batch": "--limit 1",
    "live": "--speed 0 --drop none",
}


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        language: as the fence says.
        code: its lines.
        remark: ``slow``, ``not run: REASON``, or empty.
        line: where it begins.
    """

    language: str
    code: str
    remark: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether a test runs it."""
        return self.language in ("python", "sh") and not self.remark.startswith("not run")


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["code"],
            found["remark"] or "",
            text[: found.start()].count("\n") + 1,
        )
        for found in BLOCK.finditer(text)
    ]


def commands_of(code: str) -> Iterator[str]:
    """Yield the commands of a ``sh`` block: continued lines joined, remarks left out."""
    for line in code.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s)#.*$", "", line).strip()
        if command:
            yield command


def run_command(command: str, folder: Path) -> None:
    """Run one command; ``sdcl-neuro`` in this process, anything else by the shell."""
    words = shlex.split(command)
    if words[0] == "sdcl-neuro":
        extra = QUICK.get(words[1], "") if "--dry-run" not in words else ""
        code = main([*words[1:], "--quiet", *extra.split()])
        assert code == 0, f"{command}: exit code {code}"
        return
    program = shlex.quote(sys.executable)
    command = re.sub(r"(?<![\w./-])python(?= )", lambda _: program, command)
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def run_blocks(
    blocks: list[Block],
    folder: Path,
    names: Mapping[str, Any],
    *,
    page: str,
    smaller: Mapping[str, str] | None = None,
) -> None:
    """Run the blocks of a page one after another.

    Args:
        blocks: all of a page's that are to be run.
        folder: the current folder, with what the page takes for granted.
        names: what its Python takes for granted.
        page: its name, for tracebacks.
        smaller: settings replaced in the Python blocks, so that they take seconds.
    """
    space: dict[str, Any] = {"__name__": "page", **names}
    for block in blocks:
        if block.language == "sh":
            for command in commands_of(block.code):
                run_command(command, folder)
            continue
        code = block.code
        for old, new in (smaller or {}).items():
            code = code.replace(old, new)
        exec(compile("\n" * block.line + code, page, "exec"), space)
