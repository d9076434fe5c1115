"""The packaged model is whole, small and what its card says; public ones come by hash alone."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import demo, load, run, verify
from sdcl_neuro.cli import main
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.files import file_sha256
from sdcl_neuro.models import DEFAULT, MODELS, get, library, model_folder, read_card

PUBLIC = "osnet-x0-25-msmt17"


def test_the_packaged_model_is_what_its_card_says() -> None:
    folder, card = model_folder(DEFAULT), read_card(DEFAULT)
    here = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert here == {*card["files"], library.CARD}
    for name, digest in card["files"].items():
        assert file_sha256(folder / name) == digest, name
    assert sum((folder / name).stat().st_size for name in here) < 2_300_000
    assert {row["event_branch"] for row in card["figures"]} == {"snntorch", "snntorch-int", "loihi"}
    by_frames: dict[str, set[float]] = {}
    for row in card["figures"]:
        if row["event_branch"] != "snntorch":
            by_frames.setdefault(row["frames"], set()).add(row["map"])
    # The module in integers and the file in the engine rank alike, on good frames and bad.
    assert all(len(figures) == 1 for figures in by_frames.values())
    assert {"clean", "blur:3", "occlusion:3"} == set(by_frames)
    assert all(verdict.startswith("equal") for verdict in card["parity"].values())
    assert card["limits"]
    assert "sdcl-neuro train generated-small" in card["training"]["command"]


@pytest.mark.generated
def test_the_page_has_the_figures_of_the_card(
    root: Path, expect_sections: Callable[..., None]
) -> None:
    card = read_card(DEFAULT)
    rows = "".join(
        f"| {row['frames']} | `{row['event_branch']}` | {row['map']:.1%} | {row['rank_1']:.1%} |\n"
        for row in card["figures"]
    )
    table = (
        f"Made on {card['made']} with {card['training']['steps']}; {card['figures_tag']}.\n\n"
        f"| frames | event branch | mAP | rank 1 |\n|---|---|---:|---:|\n{rows}\n"
        "Limits: " + "; ".join(card["limits"]) + ".\n"
    )
    expect_sections(root / "docs" / "models.md", {"card": table})


def test_its_file_and_its_checkpoint_send_the_spikes_of_its_certificate() -> None:
    folder = model_folder(DEFAULT)
    with np.load(folder / library.SPIKES) as file:
        spikes = file["spikes"]
    kept = json.loads((folder / library.CERTIFICATE).read_text("utf-8"))
    assert kept["holds"] is True
    sent = {
        layer["index"]: layer["spikes"]["loihi"]
        for pair in kept["pairs"]
        if "loihi" in pair["backends"]
        for layer in pair["layers"]
    }
    record = run(folder / library.NETWORK, spikes)
    assert {index: int(layer.sum()) for index, layer in record.spikes.items()} == sent
    assert all(sent.values())
    assert kept["model"]["sha256"] == file_sha256(folder / library.NETWORK)
    model = load(folder / library.CHECKPOINT)
    assert verify(model, spikes, against=["snntorch-int"], cache=False).holds


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json", str(tmp_path / "l.json")]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in MODELS)
    assert "comes with the package" in listed
    assert MODELS[PUBLIC].sha256 in listed
    assert [row["name"] for row in json.loads((tmp_path / "l.json").read_text())["models"]] == [
        *MODELS
    ]
    assert main(["models", "card", DEFAULT, "--json", str(tmp_path / "c.json")]) == 0
    assert "limits" in capsys.readouterr().out
    for name in ("l.json", "c.json"):
        assert main(["check", str(tmp_path / name)]) == 0
    assert main(["models", "path", DEFAULT]) == 0
    *_, last = capsys.readouterr().out.strip().splitlines()
    assert (Path(last) / "sdcl.json").is_file()
    assert main(["models", "get", DEFAULT, "--out", str(tmp_path)]) == 0
    assert (tmp_path / DEFAULT / library.CARD).is_file()
    assert main(["models", "get", DEFAULT, "--out", str(tmp_path)]) == 2
    assert main(["models", "path", PUBLIC]) == 2
    assert f"sdcl-neuro models get {PUBLIC}" in capsys.readouterr().err
    assert main(["models", "card", "nothing"]) == 2


@contextlib.contextmanager
def _bytes(content: bytes) -> Iterator[io.BytesIO]:
    yield io.BytesIO(content)


def test_a_public_model_is_kept_only_if_its_hash_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EnvironmentFault, match=r"expected SHA-256 bb2267b23a64675f.*nothing"):
        get(PUBLIC, tmp_path, fetch=lambda address: _bytes(b"something else"))
    assert list(tmp_path.iterdir()) == []

    def unreachable(address: str) -> None:
        raise OSError("no route to host")

    with pytest.raises(EnvironmentFault, match="no route to host"):
        get(PUBLIC, tmp_path, fetch=unreachable)
    assert list(tmp_path.iterdir()) == []
    content = b"weights"
    row = replace(MODELS[PUBLIC], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(library.MODELS, PUBLIC, row)
    asked: list[str] = []
    found = get(PUBLIC, tmp_path, fetch=lambda address: (asked.append(address), _bytes(content))[1])
    assert asked == [row.address]
    assert found.read_bytes() == content
    with pytest.raises(InputError, match="exists already"):
        get(PUBLIC, tmp_path, fetch=unreachable)


def test_a_checkpoint_may_stand_behind_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--video", "no.mp4", "--tracks", "no.txt"]
    for words in ([str(tmp_path), *given], [*given, str(tmp_path)]):
        assert main(["infer", *words, "--out", str(tmp_path / "o")]) == 2
        assert capsys.readouterr().err.startswith(f"sdcl-neuro: {tmp_path}")
    with pytest.raises(SystemExit):
        main(["infer", *given, str(tmp_path), "another"])


def test_infer_and_live_take_it_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo.clip_path(), "walk.mp4")
    lines = demo.tracks_path().read_text("utf-8").splitlines(keepends=True)
    first = lines[0].split(",")[1]
    (tmp_path / "walk.txt").write_text("".join(x for x in lines if x.split(",")[1] == first))
    given = ["--tracks", "walk.txt"]
    assert main(["infer", "--video", "walk.mp4", *given, "--limit", "2", "--out", "o"]) == 0
    shown = capsys.readouterr()
    assert f"assumed: the model is {DEFAULT}, which comes with the package" in shown.err
    assert "trained on rendered persons alone" in shown.err
    document = json.loads((tmp_path / "o" / "infer.json").read_text("utf-8"))
    assert any(DEFAULT in line for line in document["assumed"])
    assert DEFAULT in document["trained_on"]
    assert DEFAULT in (tmp_path / "o" / "report.html").read_text("utf-8")
    live = ["live", "--frames", "walk.mp4", *given, "--speed", "0", "--drop", "none"]
    assert main([*live, "--json", "live.json"]) == 0
    assert "trained on rendered persons alone" in capsys.readouterr().err
    for name in ("o/infer.json", "live.json"):
        assert main(["check", name]) == 0
    told = json.loads((tmp_path / "live.json").read_text("utf-8"))
    assert any(DEFAULT in line for line in told["assumed"])
