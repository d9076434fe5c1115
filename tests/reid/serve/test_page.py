"""The page in a real browser: it lives, searches, merges, forgets, on a phone and in the dark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sdcl_neuro.reid.serve.settings import Door, ServeSettings

from .browser import Page, needs_browser, opened
from .conftest import TOKEN, VISITS, Client, fresh, running

pytest.importorskip("starlette")
pytestmark = [pytest.mark.slow, needs_browser]
LIVE = "document.querySelector('#link')?.textContent === 'live'"
CONTRAST = """
(() => {
  const channel = (v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const behind = (e) => { for (let o = e; o; o = o.parentElement) {
    const c = getComputedStyle(o).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return c; }
    return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("h1,h2,p,a,b,button:not(:disabled),span,div.who,div.sub")]
    .filter((e) => e.getClientRects().length && e.childElementCount === 0 && e.textContent.trim()
      && !e.closest(".screen"))
    .filter((e) => { const a = light(getComputedStyle(e).color), b = light(behind(e));
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; })
    .map((e) => `${e.className} ${e.textContent.trim().slice(0, 40)}`);
})()
"""


@pytest.fixture
def served(plan: ServeSettings, tmp_path: Path) -> Iterator[Client]:
    """A server whose door camera goes on and on, so that there is something to see."""
    cameras = tuple(
        replace(one, loop=True, source=replace(one.source, speed=0.5)) for one in plan.cameras
    )
    with running(fresh(plan, tmp_path, cameras=cameras)) as (client, _):
        yield client


@pytest.fixture
def page(served: Client, tmp_path: Path) -> Iterator[Page]:
    with opened(tmp_path) as page:
        page.size(1280, 860)
        page.open(served.address)
        page.until(LIVE)
        yield page
        assert page.errors == []
        home = urlsplit(served.address).netloc
        asked = {urlsplit(one).netloc for one in page.requests if one.startswith(("http", "ws"))}
        assert asked == {home}


def _go(page: Page, view: str, ready: str) -> None:
    page.run(f"location.hash = {view!r}")
    page.until(f"document.querySelector({ready!r})")


def _press(page: Page, words: str) -> None:
    """Press the button of these words."""
    page.until(
        "(() => { const found = [...document.querySelectorAll('button')].find((one) => "
        f"one.textContent === {words!r} && !one.disabled); found?.click(); return !!found; }})()"
    )


def test_it_shows_cameras_and_who_is_seen_as_it_happens(page: Page, served: Client) -> None:
    page.until("document.querySelectorAll('.camera').length === 2")
    page.until("document.querySelectorAll('.camera .none:not([hidden])').length === 0")
    drawn = "document.querySelector('.camera canvas').toDataURL().slice(-4000)"
    first = page.run(drawn)
    page.until(f"{drawn} !== {json.dumps(first)}")
    page.until("document.querySelectorAll('#recent .row').length >= 3")
    page.until(
        "[...document.querySelectorAll('.tile .value')]"
        ".some((one) => /[1-9]/.test(one.textContent))"
    )
    page.until("document.querySelector('.who.again')")
    before = page.run("document.activeElement.tagName")
    page.key("e")
    pressed = "document.querySelector('.group [aria-pressed=true]').textContent"
    assert page.run(pressed) == "Events"
    assert before == "BODY"
    for key, view in zip("234", ("persons", "search", "curves"), strict=True):
        page.key(key)
        page.until(f"location.hash === '#{view}' && document.querySelector('[aria-current]')")
    page.until("document.querySelectorAll('.chart').length === 6")
    page.key("?")
    page.until("document.querySelector('dialog[open]')")
    page.key("Escape")
    page.until("!document.querySelector('dialog')")


def test_persons_get_names_are_searched_merged_and_forgotten(
    page: Page, served: Client, tmp_path: Path
) -> None:
    served.until("/api/persons", lambda found: found["count"] >= VISITS)
    page.key("/")
    page.until("document.activeElement.type === 'search'")
    page.until(f"document.querySelectorAll('.grid .row').length >= {VISITS}")
    page.run("document.querySelector('.grid a').click()")
    _press(page, "Who is it?")
    page.until("document.querySelector('dialog input')")
    page.type("Alice")
    page.key("Enter")
    page.until("document.querySelector('h1')?.textContent === 'Alice'")
    page.until("document.querySelector('.lanes rect')")

    _go(page, "persons", ".grid a")
    page.run(
        "[...document.querySelectorAll('.grid a')]"
        ".find((one) => !/Alice/.test(one.textContent)).click()"
    )
    page.until("document.querySelector('.visits .row')")
    other = page.run("decodeURIComponent(location.hash.slice('#person='.length))")
    _press(page, "Merge into…")
    page.until("document.querySelector('dialog option')")
    page.type("Alice")
    page.key("Enter")
    page.until("document.querySelector('h1')?.textContent === 'Alice'")
    assert served.get("/api/person", name=other)["person"] == "Alice"

    _go(page, "search", "input[type=file]")
    page.run("document.querySelector('[aria-label=\"Search by track\"] a').click()")
    page.until("document.querySelectorAll('#results .grid li').length >= 1")
    picture = tmp_path / "person.jpg"
    picture.write_bytes(served.send("GET", "/api/entries/1/picture")[1])
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector="input[type=file]")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(picture)], nodeId=node)
    page.until("/no events/.test(document.querySelector('#results')?.textContent)")
    page.until("document.querySelectorAll('#results .grid li').length >= 1")

    _go(page, "person=Alice", ".visits input")
    page.run("document.querySelector('.visits input').click()")
    _press(page, "Split off chosen")
    page.until("document.querySelector('dialog input')")
    page.type("Bob")
    page.key("Enter")
    served.until("/api/persons", lambda found: "Bob" in {one["person"] for one in found["persons"]})

    _go(page, "person=Bob", ".visits .row")
    _press(page, "Forget…")
    page.until("document.querySelector('dialog[open]')")
    _press(page, "Forget")
    page.until("location.hash === '#persons'")
    assert served.send("GET", "/api/person?name=Bob")[0] == 404


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_cut_or_faint_on_a_phone_or_a_desk(
    page: Page, served: Client, dark: bool
) -> None:
    served.until("/api/persons", lambda found: found["count"] >= VISITS)
    visit = served.get("/api/recent")["visits"][0]["visit"]
    served.post("/api/confirm", visit=visit, person="Alice")
    page.dark(dark)
    views = {
        "cameras": "#recent .face",
        "persons": ".grid a",
        "person=Alice": ".visits .row",
        "search": ".drop",
        "curves": ".chart",
    }
    for width, phone in ((360, True), (390, True), (768, False), (1280, False)):
        page.size(width, 800, phone=phone)
        for view, ready in views.items():
            _go(page, view, ready)
            where = (view, width, dark)
            assert page.run("document.documentElement.scrollWidth") <= width, where
            assert page.run(CONTRAST) == [], where
            small = (
                "[...document.querySelectorAll('main button, main .button, nav a')]"
                ".filter((one) => "
                "one.getClientRects().length && one.getBoundingClientRect().height < 31)"
                ".map((one) => one.textContent)"
            )
            assert page.run(small) == [], where
            unnamed = (
                "[...document.querySelectorAll('img,canvas,svg,input,button')].filter((one) => "
                "!(one.hasAttribute('alt') || one.getAttribute('aria-label') "
                "|| one.textContent.trim() || one.querySelector('title') "
                "|| one.labels?.length)).length"
            )
            assert page.run(unnamed) == 0, where


def test_it_asks_for_the_token(plan: ServeSettings, tmp_path: Path) -> None:
    settings = fresh(plan, tmp_path, door=Door(port=0, token=TOKEN), cameras=plan.cameras[:1])
    with running(settings) as (client, _), opened(tmp_path) as page:
        page.open(client.address)
        page.until("document.querySelector('dialog input[type=password]')")
        page.type("wrong-token-wrong-token")
        page.key("Enter")
        page.until("/wrong token/.test(document.querySelector('dialog')?.textContent)")
        page.until("document.activeElement.type === 'password'")
        page.type(TOKEN)
        page.key("Enter")
        page.until(LIVE)
        # The answers 401 are in the console, as they should be; nothing else is.
        assert [one for one in page.errors if "401" not in one] == []
        assert TOKEN not in page.run("document.documentElement.outerHTML")
