"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path, file_sha256, keep_apart, write_json


def test_a_failing_writer_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_not_written_over_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_json(tmp_path / "results", {})
    assert caught.value.filename == str(tmp_path / "results")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_place_that_cannot_be_written_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o500)
    target = Path("/proc/result.json") if os.access(tmp_path / "folder", os.W_OK) else (
        tmp_path / "folder" / "result.json"
    )  # fmt: skip
    with pytest.raises(OSError, match="result") as caught:
        write_json(target, {})
    assert caught.value.filename == str(target)


def test_an_output_is_no_input(tmp_path: Path) -> None:
    source, link = tmp_path / "in", tmp_path / "link"
    keep_apart(source, link)  # neither is there yet
    source.touch()
    link.symlink_to(source)
    keep_apart(tmp_path / "out", source)
    with pytest.raises(InputError, match="is also the input"):
        keep_apart(link, tmp_path / "other", source)


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    # FIPS 180-2's own example.
    assert file_sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")
