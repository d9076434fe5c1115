"""`evaluate` by several processes: the bits of one process, whatever is killed on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from helpers.ray_cluster import Cluster
from sdcl_neuro.cli import evaluation_jobs, main
from sdcl_neuro.errors import InputError
from sdcl_neuro.jobs import Shard
from sdcl_neuro.schemas import check_document

SMALL = (
    *("--data", "generated-small", "--batch", "1", "--threads", "1"),
    *("data.generated.persons=4", "data.generated.train_persons=2"),
    *("data.generated.walks=1", "data.generated.cameras=2"),
)
WIDE = (
    *("--sweep", "bits=4", "--sweep", "threshold=1,1.25", "--combine", "--hw", "loihi1,loihi2"),
    *("--degrade", "blur:3", "--rerank"),
)


def kept(cache: Path) -> dict[str, bytes]:
    """All embeddings of a cache, bit by bit."""
    return {path.name: path.read_bytes() for path in cache.rglob("*.safetensors")}


def evaluated(folder: Path, name: str, *more: str, code: int = 0) -> dict[str, bytes]:
    """Evaluate, with a cache of its own; return embeddings, and write ``NAME.json``."""
    cache = ("--cache", str(folder / name))
    command = ["evaluate", *more, *cache, "--json", str(folder / f"{name}.json")]
    assert main(command) == code
    return kept(folder / name)


def figures(path: Path) -> dict[str, object]:
    """Everything that an evaluation wrote, but how it counted threads."""
    found: dict[str, object] = json.loads(path.read_text())
    found.pop("threads")
    return found


def test_parts_make_what_one_process_makes(
    checkpoint: Callable[..., Path], windows: Path, tmp_path: Path
) -> None:
    lists = [str(windows / f"{name}.txt") for name in ("query", "gallery")]
    command = [
        *(str(checkpoint("e")), "--data", "event-reid", "--root", str(windows)),
        *("--query-list", lists[0], "--gallery-list", lists[1]),
        *("--batch", "2", "--threads", "1", "--sweep", "bits=4", "--sweep", "bins=1"),
        *("--hw", "loihi2"),
    ]
    alone = evaluated(tmp_path, "alone", *command)
    # Nine windows in five batches, at three settings; the counts and the ranking of each.
    assert len(alone) == 3 * (5 + 1 + 1)
    for number in (1, 2, 3):
        parts = evaluated(tmp_path, "parts", *command, "--part", f"{number}/3")
    told = json.loads((tmp_path / "parts.json").read_text())
    assert (told["stage"], told["blocks"], len(parts)) == ("embeddings", 0, 3 * (5 + 1))
    check_document(told)
    assert told["schema"] == {"name": "sdcl_neuro.evaluation_part", "version": 1}
    assert (told["part"], told["parts"], told["threads"]["count"]) == (3, 3, 1)
    assert told["tracklets"] == 2 * 2  # of five batches the third; encoded at two and at one bins
    parts = evaluated(tmp_path, "parts", *command, "--part", "1/1", "--stage", "lists")
    told = json.loads((tmp_path / "parts.json").read_text())
    assert (told["stage"], told["blocks"], told["tracklets"]) == ("lists", 3, 0)
    check_document(told)
    assert parts == alone
    assert evaluated(tmp_path, "parts", *command) == alone  # nothing was missing
    assert figures(tmp_path / "parts.json") == figures(tmp_path / "alone.json")


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/", "-1/2"])
def test_parts_that_are_not(text: str) -> None:
    with pytest.raises(InputError, match="give I/N"):
        Shard.parse(text)


BAD = {
    "no cache for a part": (("--part", "1/2"), "nowhere to keep a part"),
    "a stage of no part": (("--stage", "lists"), "--stage without --part"),
    "no cache for a part's ranking": (
        ("--part", "1/2", "--stage", "lists"), "nowhere to keep a part"
    ),
    "no cache for a cluster": (("--ray", "auto"), "a common folder; give --cache DIR"),
    "no worker": (("--workers", "0"), "0 workers"),
    "an empty batch": (("--workers", "1", "--batch", "0"), "batches of 0 tracklets"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(
    case: str, checkpoint: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    more, message = BAD[case]
    assert main(["evaluate", str(checkpoint("e")), *SMALL, *more]) == 2
    assert message in capsys.readouterr().err


def kill_part(number: int, killed: list[int]) -> None:
    """Kill the process of one part once it has been there for a second."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            try:
                found = any(word.startswith(f"{number}/") for word in child.cmdline())
                if found and time.time() - child.create_time() > 1:
                    child.kill()
                    killed.append(child.pid)
                    return
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_one_of_which_is_killed(
    checkpoint: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation_jobs, "LARGE", 1)  # rankings are jobs, too
    command = [str(checkpoint("v+e")), *SMALL, *WIDE]
    alone = evaluated(tmp_path, "alone", *command)
    killed: list[int] = []
    killer = threading.Thread(target=kill_part, args=(2, killed))
    killer.start()
    capsys.readouterr()
    shared = evaluated(tmp_path, "shared", *command, "--workers", "2")
    killer.join()
    assert killed
    told = capsys.readouterr().err
    for name in ("embeddings, part ", "neighbours, part ", "lists, part "):
        assert f"4 of 4: {name}" in told
    assert shared == alone
    assert figures(tmp_path / "shared.json") == figures(tmp_path / "alone.json")
    # Again: no job is begun.
    assert evaluated(tmp_path, "shared", *command, "--workers", "2") == alone
    assert "of 4: " not in capsys.readouterr().err


@pytest.mark.slow
def test_a_part_that_fails_is_told(
    checkpoint: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "parts").write_text("a file where a folder belongs")
    evaluated(tmp_path, "shared", str(checkpoint("e")), *SMALL, "--workers", "1", code=2)
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("sdcl-neuro")]
    assert "2 of 2 jobs failed; embeddings, part 1 of 2: " in line
    assert "the same command again does only what is missing" in line


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_that_loses_a_node(
    checkpoint: Callable[..., Path], tmp_path: Path, cluster: Cluster
) -> None:
    command = [str(checkpoint("v+e")), *SMALL, *WIDE]
    alone = evaluated(tmp_path, "alone", *command)
    process = cluster.run(
        *("-m", "sdcl_neuro", "evaluate", *command, "--ray", cluster.address),
        *("--cache", str(tmp_path / "shared"), "--json", str(tmp_path / "shared.json")),
    )
    assert process.stderr is not None
    told: list[str] = []
    while not any(" of 4: embeddings, part " in line for line in told):
        line = process.stderr.readline()
        assert line, told
        told.append(line)
    cluster.kill(1)
    _, error = process.communicate(timeout=500)
    assert process.returncode == 0, (told, error[-3000:])
    assert kept(tmp_path / "shared") == alone
    assert figures(tmp_path / "shared.json") == figures(tmp_path / "alone.json")
