"""Results in notebooks: tables as HTML, and the charts of the reports as matplotlib axes."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from sdcl_neuro import InputError, profile, run, verify
from sdcl_neuro.hardware import fit
from sdcl_neuro.profiling import Ledger
from sdcl_neuro.testing import random_network, random_spikes

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

NET = random_network(3)
SPIKES = random_spikes(NET, 1)


@pytest.fixture(scope="module")
def record():
    return run(NET, SPIKES)


@pytest.fixture(scope="module")
def costs():
    return profile(NET, SPIKES, hw=["loihi1", "loihi2", "truenorth"])


@pytest.fixture(autouse=True)
def _close():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


class Cells(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells[-1] += data


def _cells(shown: object) -> list[str]:
    found = Cells(shown._repr_html_())
    assert found.open == []
    return found.cells


def test_tables_hold_the_figures(record, costs) -> None:
    cells = _cells(record)
    assert f"{int(record.spikes[0].sum()):,}" in cells
    assert f"{int(record.activity[-1].synops.sum()):,}" in cells
    cells = _cells(costs)
    assert str(costs.targets["loihi2"].energy.bounded_uj) in cells
    assert any(cell.startswith("truenorth") for cell in cells)
    certificate = verify(NET, SPIKES, against=["snntorch-int"], cache=False)
    assert "Loihi engine (software) / snntorch-int" in _cells(certificate)
    found = fit(NET, "loihi1")
    assert [layer.name for layer in found.layers if layer.name not in _cells(found)] == []


def test_names_are_escaped(record) -> None:
    from dataclasses import replace

    first = replace(record.activity[0], name="<script>alert(1)</script>")
    shown = replace(record, activity=(first, *record.activity[1:]))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_raster_has_a_mark_for_each_spike(record) -> None:
    ax = record.plot_raster(0, sample=1)
    steps, neurons = ax.collections[0].get_offsets().T
    flat = record.spikes[0][:, 1].reshape(record.steps, -1)
    assert len(steps) == flat.sum()
    assert flat[steps.astype(int), neurons.astype(int)].all()
    with pytest.raises(InputError, match="there is no layer 9 in the record; use 0, 1"):
        record.plot_raster(9)
    with pytest.raises(InputError, match="there is no sample 99"):
        record.plot_raster(sample=99)
    with pytest.raises(InputError, match="expected matplotlib axes, got a str"):
        record.plot_raster(ax="axes")


def test_energy_bars_go_from_low_to_high(costs) -> None:
    ax = costs.plot_energy()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:2] == [f"{n}{costs.targets[n].energy.left_out}" for n in ("loihi1", "loihi2")]
    bounded = costs.targets["loihi1"].energy.bounded_uj
    bar = ax.patches[0]
    assert bar.get_x() == pytest.approx(bounded.low)
    assert bar.get_x() + bar.get_width() == pytest.approx(bounded.high)
    assert ax.get_xlabel() == "µJ"


@pytest.mark.parametrize("name", ["energy", "energy_parts", "latency", "activity"])
def test_every_chart_draws_on_axes_that_are_given(costs, name: str) -> None:
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert getattr(costs, f"plot_{name}")(ax) is ax
    assert ax.patches or ax.texts
    ax.figure.canvas.draw()


def test_stages_and_cores_are_drawn() -> None:
    ledger = Ledger()
    with ledger.stage("outer"), ledger.stage("inner"):
        pass
    ax = ledger.plot_timeline()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["outer", "inner"]
    found = fit(NET, "loihi1")
    ax = found.plot_placement()
    assert found.placement is not None
    drawn = sum(len(each.get_offsets()) for each in ax.collections)
    assert drawn == len(found.placement.seats)
    places = np.concatenate([each.get_offsets() for each in ax.collections])
    assert len(np.unique(places, axis=0)) == len(places)
