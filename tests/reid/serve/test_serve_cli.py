"""`sdcl-neuro serve` from the shell: cameras by lines, what is refused, and how it ends."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.cli.serve import add_arguments
from sdcl_neuro.cli.serve_cameras import cameras_of
from sdcl_neuro.errors import InputError
from sdcl_neuro.reid.gallery import Gallery
from sdcl_neuro.reid.serve.settings import Door, ServeSettings

from .conftest import TOKEN

pytest.importorskip("uvicorn")


def _cameras(*words: str):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return cameras_of(parser.parse_args(list(words)))


def test_cameras_are_lines_with_the_options_of_live(tmp_path: Path) -> None:
    listed = tmp_path / "cameras.txt"
    listed.write_text(
        "# two doors\n\n"
        "'back door' --frames rtsp://10.0.0.5/1 --tracks 'a b.txt' --growing --patience 50\n"
        "yard --frames y.mp4 --tracks y.txt --loop --delay 3 --event-offset 5\n"
    )
    front, back, yard = _cameras(
        "--cameras", str(listed), "--camera", "front --frames 0 --tracks - --events camera"
    )
    assert (front.name, front.source.events) == ("front", "camera")
    assert (back.name, back.source.tracks, back.source.growing) == ("back door", "a b.txt", True)
    assert back.source.patience_s == 0.05
    assert (yard.name, yard.loop, yard.delay_s) == ("yard", True, 3.0)
    assert yard.source.alignment.offset_us == 5


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("door --frames x.mp4", "--tracks"),
        ("door --frames x.mp4 --tracks y.txt --lop", "unrecognized arguments: --lop"),
        ("'door --frames x.mp4", "No closing quotation"),
        ("--frames x.mp4 --tracks y.txt", "name"),
        ("a/b --frames x.mp4 --tracks y.txt", "a camera called 'a/b'"),
        ("door --frames x.mp4 --tracks y.txt --patience 1e9", "--patience"),
    ],
)
def test_a_wrong_line_is_named(line: str, answer: str, tmp_path: Path) -> None:
    listed = tmp_path / "c.txt"
    listed.write_text(f"# first\n{line}\n")
    with pytest.raises(InputError, match=re.escape(answer)) as stopped:
        _cameras("--cameras", str(listed))
    assert "c.txt, line 2" in str(stopped.value)


CAMERA = ("--camera", "door --frames x.mp4 --tracks y.txt")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((), "no camera"),
        (CAMERA, "no gallery"),
        ((*CAMERA, *CAMERA, "--gallery", "g"), "two cameras called 'door'"),
        ((*CAMERA, "--gallery", "g", "--keep-crops"), "--keep-crops without --enrol"),
        ((*CAMERA, "--gallery", "g", "--host", "0.0.0.0"), "without a token"),
        ((*CAMERA, "--gallery", "g", "--port", "70000"), "port 70000"),
        ((*CAMERA, "--gallery", "g", "--tls-key", "k.pem"), "a certificate and its key"),
        ((*CAMERA, "--gallery", "g", "--threshold", "2"), "threshold of 2"),
        (("--demo", "--gallery", "g"), "--demo has a gallery of its own"),
        (("--demo", *CAMERA), "--demo brings its own cameras"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: tuple[str, ...], answer: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("SDCL_NEURO_TOKEN", raising=False)
    assert main(["serve", *words]) == 2
    assert answer in capsys.readouterr().err


def test_a_token_comes_from_the_environment_or_a_file_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert TOKEN not in repr(Door(host="0.0.0.0", token=TOKEN))
    for wrong in ("short", "with blank in its middle", "ünïcödéünïcödé-x"):
        with pytest.raises(InputError) as stopped:
            Door(token=wrong)
        assert wrong not in str(stopped.value)
    monkeypatch.setenv("SDCL_NEURO_TOKEN", "short-secret")
    assert main(["serve", *CAMERA, "--gallery", "g", "--host", "0.0.0.0"]) == 2
    assert "short-secret" not in capsys.readouterr().err
    empty = tmp_path / "token"
    empty.write_text("\n")
    assert main(["serve", *CAMERA, "--gallery", "g", "--token-file", str(empty)]) == 2
    assert "an empty file" in capsys.readouterr().err


def _ended(plan: ServeSettings, folder: Path, how: signal.Signals) -> None:
    film = plan.cameras[0].source
    gallery = folder / "people.gallery"
    command = [
        *(sys.executable, "-m", "sdcl_neuro", "serve", str(plan.checkpoint), "--port", "0"),
        *("--gallery", str(gallery), "--enrol", "--threshold", "0.99999"),
        *("--camera", f"door --frames {film.frames} --tracks {film.tracks} --loop --speed 2"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().removeprefix("page: ").strip()
        for _ in range(100):
            with urlopen(f"{address}metrics") as answer:
                text = answer.read().decode()
            if float(re.findall(r"^sdcl_neuro_enrolled_total (.*)$", text, re.M)[0]) > 20:
                break
            time.sleep(0.1)
        process.send_signal(how)
        begun = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < 3 + 5  # torch alone may take seconds to unload
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    (enrolled,) = re.findall(r"([\d,]+) enrolled", out)
    with Gallery(gallery, create=False) as found:
        assert len(found) == int(enrolled.replace(",", "")) > 20


def test_sigterm_ends_in_good_order(plan: ServeSettings, tmp_path: Path) -> None:
    _ended(plan, tmp_path, signal.SIGTERM)


@pytest.mark.slow
def test_interrupt_ends_in_good_order(plan: ServeSettings, tmp_path: Path) -> None:
    _ended(plan, tmp_path, signal.SIGINT)
