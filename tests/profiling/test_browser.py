"""The reports in a browser: nothing is cut at any width, in light, in dark and in print.

Structure, not pixels: a page of three frames of 400, 900 and 1400 pixels is opened by Chromium, and
a script in it says what it sees.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro import demo
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.testing import random_network, random_spikes

WIDTHS = (400, 900, 1400)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
LOOK = """
function channel(value) { value /= 255; return value <= 0.03928 ? value / 12.92
  : Math.pow((value + 0.055) / 1.055, 2.4); }
function light(colour) { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); }
function behind(element) { for (let one = element; one; one = one.parentElement) {
  const colour = one.ownerDocument.defaultView.getComputedStyle(one).backgroundColor;
  if (!/, 0\\)$|transparent/.test(colour)) return colour; } return "rgb(255, 255, 255)"; }
function scrolls(element, view) { for (let one = element; one; one = one.parentElement)
  if (["auto", "scroll"].includes(view.getComputedStyle(one).overflowX)) return true;
  return false; }
function look(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, width = frame.clientWidth;
  const texts = [...page.querySelectorAll("h1,h2,h3,p,li,td,th,dt,dd,summary,figcaption")]
    .filter(one => one.getClientRects().length && one.textContent.trim());
  const cut = texts.filter(one => one.getBoundingClientRect().right > width + 1
    && !scrolls(one, view)).map(one => one.textContent.trim().slice(0, 60));
  const faint = texts.filter(one => {
    const a = light(view.getComputedStyle(one).color), b = light(behind(one));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 3; })
    .map(one => one.textContent.trim().slice(0, 60));
  const pictures = [...page.querySelectorAll("svg,img,canvas")].filter(
    one => one.getClientRects().length);
  const unnamed = pictures.filter(one => !(one.getAttribute("aria-label") || one.getAttribute("alt")
    || one.querySelector && one.querySelector("title") || one.closest("figure")
    || one.getAttribute("aria-hidden"))).length;
  const small = [...page.querySelectorAll("svg.chart text")].filter(one => {
    const height = one.getBoundingClientRect().height; return height > 0 && height < 9; })
    .map(one => one.textContent.trim().slice(0, 60));
  return {small: small, width: width, texts: texts.length,
    overflow: page.documentElement.scrollWidth - width, cut: cut, faint: faint,
    pictures: pictures.length, unnamed: unnamed,
    background: light(view.getComputedStyle(page.body).backgroundColor)};
}
window.addEventListener("load", () => { document.getElementById("seen").textContent =
  JSON.stringify([...document.querySelectorAll("iframe")].map(look)); });
"""


def _seen(report: Path, folder: Path, *, dark: bool = False) -> list[dict[str, Any]]:
    """Open a report at every width and return what the script in the page saw."""
    frames = "".join(
        f'<iframe src="{report.as_uri()}" style="border:0;width:{width}px;height:4000px"></iframe>'
        for width in WIDTHS
    )
    outer = folder / "outer.html"
    outer.write_text(f"<body>{frames}<pre id=seen></pre><script>{LOOK}</script>", "utf-8")
    shown = _chromium(folder, outer, "--dump-dom", dark=dark)
    (found,) = re.findall(r'<pre id="seen">(.*?)</pre>', shown, re.S)
    told: list[dict[str, Any]] = json.loads(found.replace("&lt;", "<").replace("&amp;", "&"))
    return told


def _chromium(folder: Path, page: Path, *options: str, dark: bool = False) -> str:
    assert CHROMIUM is not None
    command = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--allow-file-access-from-files", "--window-size=1500,4200"),
        f"--user-data-dir={folder / 'browser'}",
        *(("--blink-settings=preferredColorScheme=0",) if dark else ()),
        *options,
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _check(report: Path, folder: Path) -> None:
    for dark in (False, True):
        for seen in _seen(report, folder, dark=dark):
            where = f"{report.name}, {seen['width']} px, {'dark' if dark else 'light'}"
            assert seen["overflow"] <= 0, where
            assert seen["texts"] > 20, where
            assert seen["cut"] == [], where
            assert seen["faint"] == [], where
            assert seen["small"] == [], where
            assert seen["pictures"] > 0, where
            assert seen["unnamed"] == 0, where
            assert (seen["background"] < 0.2) is dark, where
    _chromium(folder, report, f"--print-to-pdf={folder / 'printed.pdf'}", "--no-pdf-header-footer")
    printed = (folder / "printed.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type */Page\b", printed)) >= 1


@pytest.mark.slow
@needs_browser
def test_a_profile_is_whole_at_every_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = random_network(5, kind="dense", layers=3)
    to_netx(net, "m.net")
    np.savez("s.npz", spikes=random_spikes(net, 6, steps=5, samples=3))
    words = ["profile", "m.net", "--spikes", "s.npz", "--hw", "loihi1,loihi2,truenorth,a100"]
    assert main([*words, "--html", "p.html", "--quiet"]) == 0
    _check(tmp_path / "p.html", tmp_path)


@pytest.mark.slow
@needs_browser
def test_inference_and_fit_are_whole_at_every_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["infer", "--video", str(demo.clip_path()), "--tracks", str(demo.tracks_path())]
    assert main([*words, "--limit", "1", "--out", "o", "--per-tracklet", "--quiet"]) == 0
    _check(tmp_path / "o" / "report.html", tmp_path)
    fit = ["hw", "fit", "paper", "loihi2", "--size", "128x64", "--html", "f.html", "--quiet"]
    assert main(fit) == 0
    _check(tmp_path / "f.html", tmp_path)
