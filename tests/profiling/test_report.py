"""Pages and their blocks: the same text as before, sums that sum, nothing from outside."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.profiling import Profile, profile
from sdcl_neuro.profiling.interval import Interval
from sdcl_neuro.profiling.ledger_rows import Passage
from sdcl_neuro.profiling.report import (
    CertificateRow,
    Headline,
    IntervalRow,
    Match,
    RankedRow,
    Section,
    badge,
    bar_chart,
    certificate_table,
    data_uri,
    event_image,
    interval_chart,
    on_white,
    page,
    paragraph,
    picture,
    ranked_lists,
    raster,
    stacked_bars,
    table,
    timeline,
)

HOSTILE = "<script>alert(1)</script>\"'&"


class Tables(HTMLParser):
    """Collects the tables of a page as rows of (text, raw value)."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[tuple[str, dict[str, str | None]]]]] = []
        self.tags: list[str] = []
        self._cell: list[str] | None = None
        self._data: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell, self._data = [], dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append(("".join(self._cell).strip(), self._data))
            self._cell = None


def parsed(html: str) -> Tables:
    parser = Tables()
    parser.feed(html)
    parser.close()
    return parser


def test_golden_page(hand_profile: Profile, golden: Callable[[str, str], None]) -> None:
    golden("profile.html", hand_profile.to_html())


def test_golden_text(hand_profile: Profile, golden: Callable[[str, str], None]) -> None:
    golden("profile.txt", str(hand_profile) + "\n")


def test_the_printed_columns_sum_to_the_printed_totals(hand_profile: Profile) -> None:
    activity, _, *rest = parsed(hand_profile.to_html()).tables
    _, *layers, total = activity
    for column in range(2, 9):
        shown = [int(row[column][0].replace(",", "")) for row in layers]
        raw = [int(row[column][1]["data-value"] or "") for row in layers]
        assert shown == raw
        assert sum(raw) == int(total[column][1]["data-value"] or "")
    # The whole is the interval over each set's own sum: within the parts' ends, and never beyond.
    of_loihi2 = rest[1][1:]
    sums = [sum(float(row[1][1][end] or "") for row in of_loihi2[:-1]) for end in
            ("data-low", "data-high")]  # fmt: skip
    low, high = (float(of_loihi2[-1][1][1][end] or "") for end in ("data-low", "data-high"))
    assert sums[0] <= low < high <= sums[1]
    whole = hand_profile.targets["loihi2"].energy.uj
    assert whole == Interval(low, high)
    # Loihi 1's barriers are unknown, and its upper end is open.
    assert "data-high" not in rest[0][-1][1][1]
    assert "unknown" in [row[1][0] for row in rest[0]]


def test_nothing_from_outside_and_no_script(hand_profile: Profile) -> None:
    html = hand_profile.to_html()
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "url(" not in html
    assert "@import" not in html
    assert "script" not in parsed(html).tags
    assert "default-src 'none'" in html


def test_hostile_names_stay_text(
    make_net: Callable[..., IntNetwork], make_record: Callable[..., Record]
) -> None:
    names = (HOSTILE, "=cmd|' /C calc'!A0")
    hostile = profile(make_net(names), record=make_record(names))
    html = hostile.to_html()
    assert "script" not in parsed(html).tags
    assert HOSTILE in [row[0][0] for row in parsed(html).tables[0]]
    rows = list(csv.DictReader(io.StringIO(hostile.to_csv())))
    assert {row["name"][:1] for row in rows} & set("=+-@") == set()
    assert HOSTILE in str(hostile)


def test_hostile_words_in_every_block() -> None:
    image = np.zeros((4, 2, 3), dtype=np.uint8)
    blocks = [
        bar_chart({HOSTILE: 1.0}, unit=HOSTILE, caption=HOSTILE),
        stacked_bars({HOSTILE: {HOSTILE: 1.0}}, unit=HOSTILE, caption=HOSTILE),
        interval_chart([IntervalRow(HOSTILE, None, HOSTILE, HOSTILE)], unit=HOSTILE),
        interval_chart([IntervalRow(HOSTILE * 9, Interval(1, 2), HOSTILE)], unit="uJ"),
        raster(np.eye(4, dtype=np.uint8), caption=HOSTILE),
        timeline([Passage(HOSTILE, 0, 1, "", 0)], caption=HOSTILE),
        picture(image, caption=HOSTILE, alt=HOSTILE),
        ranked_lists([RankedRow(image, HOSTILE, [Match(image, HOSTILE, None, 1.0)], HOSTILE)]),
        certificate_table([CertificateRow(HOSTILE, HOSTILE, 1, 1, HOSTILE)], sha256=HOSTILE),
        table([HOSTILE], [[HOSTILE]], caption=HOSTILE, total=[HOSTILE]),
        paragraph(HOSTILE),
    ]
    sections = [Section(HOSTILE, block, HOSTILE) for block in blocks]
    html = page(
        HOSTILE, sections, lead=HOSTILE, tiles=[Headline(HOSTILE, HOSTILE)], footer=[HOSTILE]
    )
    assert "script" not in parsed(html).tags


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 3), (5, 3, 4)])
def test_pictures_are_exact(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    coded = b64decode(data_uri(image).removeprefix("data:image/png;base64,"))
    back = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)
    order = [2, 1, 0, 3][: shape[-1]] if len(shape) == 3 else slice(None)
    assert np.array_equal(back[..., order] if len(shape) == 3 else back, image)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 2)), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 3), np.uint8)]
)
def test_pictures_of_the_wrong_kind(image: np.ndarray) -> None:
    with pytest.raises(InputError):
        data_uri(image)


def test_event_colours() -> None:
    counts = np.zeros((3, 2, 2, 2), dtype=np.int64)
    counts[0, 0, 0, 0] = counts[1, 1, 0, 1] = 5
    counts[:, :, 1, 0] = 1
    off, on, both, none = event_image(counts).reshape(-1, 4).astype(int)
    assert off[2] > off[0]
    assert on[0] > on[2]
    assert both.sum() < min(off.sum(), on.sum())
    assert off[3] == on[3] == both[3] == 255
    assert none[3] == 0  # the page shows through, light or dark
    assert on_white(event_image(counts))[1, 1].tolist() == [255, 255, 255]
    with pytest.raises(InputError, match="event counts"):
        event_image(np.zeros((3, 2, 2)))


def test_raster_draws_every_spike() -> None:
    spikes = np.random.default_rng(1).random((20, 3, 4, 5)) < 0.05
    markup = raster(spikes, caption="conv")
    strokes = re.search(r'class="spikes" d="([^"]*)"', markup)
    assert strokes is not None
    assert strokes[1].count("M") == np.count_nonzero(spikes)
    assert f"{np.count_nonzero(spikes):,} spikes of 60 neurons in 20 steps" in markup


def test_many_spikes_become_shades() -> None:
    spikes = np.zeros((10, 1000), dtype=np.uint8)
    spikes[3] = 1
    spikes[4, :500] = 1
    spikes[5:9] = 1
    markup = raster(spikes)
    assert "a row of the picture is 5 neurons" in markup
    href = re.search(r'href="data:image/png;base64,([^"]*)"', markup)
    assert href is not None
    raw = np.frombuffer(b64decode(href[1]), np.uint8)
    alpha = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)[..., 3]
    assert alpha.shape == (200, 10)
    assert (alpha[:, 3] == 255).all()
    assert (alpha[:, 0] == 0).all()
    assert (alpha[:100, 4] == 255).all()
    assert (alpha[100:, 4] == 0).all()


def bars(markup: str, kind: str, *, screen: str = "wide") -> list[tuple[float, float]]:
    (markup,) = re.findall(rf'<svg class="chart {screen}".*?</svg>', markup, flags=re.DOTALL)
    found = re.findall(
        rf'<rect x="([\d.]+)" y="[\d.-]+" width="([\d.]+)"[^>]*class="{kind}"', markup
    )
    return [(float(x), float(width)) for x, width in found]


def test_bars_are_in_proportion() -> None:
    (_, one), (_, three), (_, none) = bars(bar_chart({"a": 1, "b": 3, "c": 0}, unit="ms"), "f1")
    assert three == pytest.approx(3 * one, abs=0.05)
    assert none == 0
    markup = stacked_bars({"a": {"x": 1, "y": 2}, "b": {"y": 4}}, unit="ms")
    (x1, w1), *_ = bars(markup, "f1")
    (x2, w2), (x3, w3) = bars(markup, "f2")
    assert x2 == pytest.approx(x1 + w1, abs=0.05)
    assert (x3, w3) == pytest.approx((x1, 2 * w2), abs=0.05)


def test_intervals_are_logarithmic() -> None:
    rows = [IntervalRow("a", Interval(1, 10)), IntervalRow("b", Interval(10, 1000))]
    (x1, w1), (x2, w2) = bars(interval_chart(rows, unit="uJ"), "f1")
    assert x2 == pytest.approx(x1 + w1, abs=0.05)
    assert w2 == pytest.approx(2 * w1, abs=0.05)
    unknown = interval_chart([IntervalRow("a", None, reason="unpublished")], unit="uJ")
    assert "unknown: unpublished" in unknown
    assert "at least 3.00" in interval_chart([IntervalRow("a", Interval(3, np.inf))], unit="uJ")
    assert "0 to 5.00" in interval_chart([IntervalRow("a", Interval(0, 5))], unit="uJ")


def test_a_narrow_screen_gets_a_drawing_of_its_own_with_labels_above() -> None:
    rows = [IntervalRow("loihi2: synaptic operations", Interval(1, 10)), IntervalRow("b", None)]
    for markup in (
        bar_chart({"loihi2: synaptic operations": 3.0}, unit="ms"),
        stacked_bars({"loihi2: synaptic operations": {"x": 1.0}}, unit="ms"),
        interval_chart(rows, unit="µJ"),
        timeline([Passage("loihi2: synaptic operations", 0, 1, "", 0)]),
        raster(np.eye(4, dtype=np.uint8), caption="conv"),
    ):
        wide, slim = re.findall(r'<svg class="chart (?:wide|slim)".*?</svg>', markup, re.DOTALL)
        width = float(re.search(r'viewBox="0 0 (\d+)', slim)[1])
        assert width < 400 < float(re.search(r'viewBox="0 0 (\d+)', wide)[1])
        for x, side in re.findall(r'<rect x="([\d.]+)" y="[\d.-]+" width="([\d.]+)"', slim):
            assert 0 <= float(x) <= float(x) + float(side) <= width
        if "synaptic" in slim:
            # All of the label fits: nothing is left of the drawing's edge.
            label = re.search(r'<text x="([\d.]+)"[^>]*text-anchor="start"[^>]*>loihi2', slim)
            assert label is not None


def test_a_raster_says_what_its_strongest_shade_is() -> None:
    spikes = np.zeros((10, 1000), dtype=np.uint8)
    spikes[:5] = 1
    assert "the strongest are 1 spikes per neuron and step" in raster(spikes)


def test_tables_name_each_cell_for_narrow_screens() -> None:
    markup = table(["a", "b"], [["x", 1]], tags={"b": "emulated"})
    assert re.findall(r'data-title="([^"]*)"', markup) == ["a", "b (emulated)"]


def test_the_glossary_explains_the_words_of_a_page(hand_profile: Profile) -> None:
    html = hand_profile.to_html()
    terms = re.findall(r"<dt>(.*?)</dt><dd>(.+?)</dd>", html)
    assert {"modelled", "emulated", "dense twin"} <= {term for term, _ in terms}
    assert [term for term, _ in terms] == sorted((term for term, _ in terms), key=str.lower)


def test_which_of_the_two_is_cheaper_is_said_in_a_sentence(hand_profile: Profile) -> None:
    said = [
        hand_profile.ann.sentence(name, target.energy)
        for name, target in hand_profile.targets.items()
    ]
    for sentence, target in zip(said, hand_profile.targets.values(), strict=True):
        spiking, dense = target.energy.bounded_dynamic_uj, hand_profile.ann.with_memory
        if spiking is None:
            assert "cannot be compared" in sentence
        elif dense.high < spiking.low:
            assert sentence.startswith("The dense twin is modelled cheaper")
        elif spiking.high < dense.low:
            assert sentence.startswith("The spiking network on")
        else:
            assert sentence.startswith("Which is cheaper")
    assert any("cheaper" in sentence for sentence in said)


def test_a_silent_layer_is_warned_about(
    make_net: Callable[..., IntNetwork], make_record: Callable[..., Record]
) -> None:
    record = make_record()
    first, *rest = record.activity
    silent = replace(first, spikes_out=first.spikes_out * 0)
    dead = replace(record, activity=(silent, *rest))
    assert f"warning: layer {first.name} received" in str(dead)
    assert "warning" not in str(record)
    found = profile(make_net(), record=dead)
    assert f"warning: layer {first.name} received" in " ".join(str(found).split())
    assert f"Warning: layer {first.name} received" in found.to_html()


def test_empty_charts_do_not_fail() -> None:
    assert "<svg" in bar_chart({}, unit="ms")
    assert "<svg" in stacked_bars({}, unit="ms")
    assert "<svg" in interval_chart([], unit="uJ")
    assert "<svg" in timeline([])
    assert "0 spikes" in raster(np.zeros((3, 4), dtype=np.uint8))


def test_ranked_lists_tell_right_from_wrong_without_colour() -> None:
    image = np.zeros((8, 4, 3), dtype=np.uint8)
    matches = [Match(image, "id 1", True, 0.9), Match(image, "id 2", False)]
    markup = ranked_lists([RankedRow(image, "id 1", matches)])
    assert 'class="entry right"' in markup
    assert 'class="entry wrong"' in markup
    assert "✓" in markup
    assert "✗" in markup
    assert "rank 2: id 2, wrong" in markup


def test_certificates_do_not_pass_what_was_not_run() -> None:
    rows = [
        CertificateRow("a = b", "conv", 10, 0),
        CertificateRow("a = b", "head", 10, 2, "step 3"),
        CertificateRow("a = c", "head", 0, None),
        CertificateRow("a ~ d", "head", 10, 2, exact=False),
        CertificateRow("a = e", "head", 10, 2, rounding=True),
    ]
    _, *cells = parsed(certificate_table(rows)).tables[0]
    assert [row[4][0] for row in cells] == [
        "✓ equal", "✗ differs", "○ not run", "agreement, no verdict", "✓ equal but for rounding",
    ]  # fmt: skip


def test_badges_know_three_tags() -> None:
    for tag in ("measured", "emulated", "modelled"):
        assert tag in badge(tag)
    with pytest.raises(ValueError, match="no tag"):
        badge("guessed")


def test_json_has_the_promised_shape(hand_profile: Profile, tmp_path: Path) -> None:
    hand_profile.to_json(tmp_path / "profile.json")
    data = json.loads((tmp_path / "profile.json").read_text())
    assert data["schema"] == {"name": "sdcl_neuro.profile", "version": 2}
    keys = {
        "name", "kind", "neurons", "synapses", "spikes_in", "spikes_out", "synops",
        "synops_nonzero", "updates", "activation_sparsity",
    }  # fmt: skip
    assert all(set(layer) == keys for layer in data["layers"])
    for name, total in data["totals"].items():
        if name != "activation_sparsity":
            assert total == sum(layer[name] for layer in data["layers"])
    assert data["layers"][0]["activation_sparsity"] == 1 - 13 / 36
    for entry in data["energy"].values():
        assert {"low_uj", "high_uj", "parts", "bounded", "stream", "steps"} <= set(entry)
        known = [p for p in entry["parts"].values() if p["high_uj"] is not None]
        assert all(p["reason"] for p in entry["parts"].values() if p not in known)
        bounded = entry["bounded"]
        assert sum(p["low_uj"] for p in known) <= bounded["low_uj"] * (1 + 1e-9)
        assert sum(p["high_uj"] for p in known) >= bounded["high_uj"] * (1 - 1e-9)
        assert (entry["high_uj"] is None) == bool(bounded["without"])
        assert entry["stream"]["steps"] < entry["steps"]
        assert all(part["source"] for part in entry["parts"].values())
        assert all(part["reason"] for part in entry["not_modelled"].values())
        assert all(constant["source"] for constant in entry["constants"])


def test_csv_says_the_same_as_json(hand_profile: Profile, tmp_path: Path) -> None:
    hand_profile.to_csv(tmp_path / "profile.csv")
    with (tmp_path / "profile.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    synops = [row for row in rows if row["section"] == "layer" and row["quantity"] == "synops"]
    assert [int(row["low"]) for row in synops] == [13, 26]
    energy = [r for r in rows if r["section"] == "energy" and r["target"] == "loihi1"]
    (total,) = (row for row in energy if row["name"] == "total")
    data = hand_profile.to_dict()["energy"]["loihi1"]
    assert float(total["low"]) == data["low_uj"]
    assert total["high"] == ""
    assert "barrier" in total["reason"]
    (bounded,) = (row for row in energy if row["name"] == "bounded")
    assert float(bounded["high"]) == data["bounded"]["high_uj"]
    (stream,) = (row for row in energy if row["name"] == "stream")
    assert float(stream["high"]) == data["stream"]["bounded"]["high_uj"]
    latency = [r for r in rows if r["section"] == "latency" and r["target"] == "loihi2"]
    assert {row["quantity"] for row in latency} == {"latency", "throughput", "host"}
    assert [int(row["low"]) for row in rows if row["quantity"] == "synops_nonzero"] == [13, 26, 39]
    assert all(row["low"] or row["reason"] for row in rows)
    assert all(row["tag"] in ("measured", "emulated", "modelled", "") for row in rows)
