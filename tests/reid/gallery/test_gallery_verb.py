"""`sdcl-neuro gallery`: each action, in a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.reid.gallery import Enrolment, Gallery

NAMES = ("Ann", "Ann", "Bob", None, "Bob", "Cy")


@pytest.fixture
def path(tmp_path: Path) -> str:
    address = str(tmp_path / "people.gallery")
    with Gallery(address, model="a model", dimension=6) as gallery:
        gallery.enrol(
            [
                Enrolment(embedding=np.eye(6)[n] + 0.1 * n, label=name, camera=f"door {n % 2}")
                for n, name in enumerate(NAMES)
            ]
        )
    return address


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["gallery", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_from_info_to_forget(path: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "answer.json"
    text = told(capsys, "info", path, "--json", str(out))
    assert "6 entries, 4 persons, 2 cameras, 6 dimensions" in text
    assert "  Ann: 2\n  Bob: 2\n" in text
    answer = json.loads(out.read_text())
    assert answer["schema"] == {"name": "sdcl_neuro.gallery", "version": 1}
    assert answer["persons"] == {"Ann": 2, "Bob": 2, "Cy": 1, "entry 4": 1}
    assert answer["retain_s"] is None
    text = told(capsys, "search", path, "--like", "Ann", "--top", "2", "--json", str(out))
    assert text.startswith("entry 1: ")
    hits = json.loads(out.read_text())["hits"]
    assert [len(row) for row in hits] == [2, 2]
    assert all(hit["label"] != "Ann" for row in hits for hit in row)
    np.save(tmp_path / "query.npy", np.eye(6)[:1])
    text = told(capsys, "search", path, "--embeddings", str(tmp_path / "query.npy"), "--top", "1")
    assert text == "query 0: Ann (1.000)\n"
    assert "2 of 2 entries: Dee" in told(capsys, "relabel", path, "3", "4", "--to", "Dee")
    assert "1 of 1 entry: not known" in told(capsys, "relabel", path, "3")
    assert "1 entry of Dee: now Ann's" in told(capsys, "merge", path, "Dee", "Ann")
    assert "3 entries erased" in told(capsys, "forget", path, "Ann")
    assert "0 entries erased" in told(capsys, "forget", path, "--older-than", "12h")
    assert "kept for 30 days" in told(capsys, "retain", path, "30d")
    assert "kept for 30 days" in told(capsys, "info", path)
    assert "without limit" in told(capsys, "retain", path, "forever")
    copy = str(tmp_path / "copy.gallery")
    assert "3 entries copied" in told(capsys, "copy", path, copy)
    assert "3 entries" in told(capsys, "info", copy)
    assert "rewritten" in told(capsys, "vacuum", path)
    actions = [line.split()[3] for line in told(capsys, "audit", path).splitlines()]
    assert actions == [
        *("enrol", "search", "search", "relabel", "relabel", "merge", "forget", "forget"),
        *("retain", "retain", "copy", "vacuum"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "{}.none"), "no such gallery"),
        (("search", "{}"), "give --like PERSON or --embeddings"),
        (("search", "{}", "--like", "Eve"), "no person 'Eve'"),
        (("search", "{}", "--embeddings", "{}"), "not an array of numbers"),
        (("forget", "{}"), "a person or an age"),
        (("forget", "{}", "Ann", "--older-than", "3d"), "a person or an age"),
        (("forget", "{}", "--older-than", "3 days"), "give a number and m, h, d or w"),
        (("retain", "{}", "3"), "age '3'"),
        (("merge", "{}", "Ann", "Ann"), "same person twice"),
        (("index", "{}"), "always searched exactly"),
        (("info", "mysql://db/people"), "no gallery store for mysql://"),
    ],
)
def test_wrong_uses_end_in_one_line(path: str, arguments, message: str, capsys) -> None:
    before = Path(path).read_bytes()
    given = [argument.replace("{}", path) for argument in arguments]
    text = told(capsys, *given, code=2)
    assert message in text
    assert text.count("\n") == 1
    assert Path(path).read_bytes() == before
