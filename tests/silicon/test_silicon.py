"""The model beside published measurements; the table in docs/energy.md is what comes out here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import silicon_networks
from helpers import silicon_rows as silicon
from sdcl_neuro.profiling import profile
from sdcl_neuro.profiling.interval import Interval


def test_the_page_shows_the_table(root: Path) -> None:
    """SDCL_NEURO_OVERWRITE=1 writes it again (then look at the difference)."""
    page, expected = silicon.docs_page(root)
    if os.environ.get("SDCL_NEURO_OVERWRITE") == "1":
        page.write_text(expected, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == expected, "docs/energy.md: its table is out of date"


def test_pilotnet_is_contained_within_a_factor_of_three(table: list[Any]) -> None:
    rows = [row for row in table if row.network == "PilotNet LIF"]
    assert {row.use for row in rows} == {"calibration"}
    quantities = {row.quantity for row in rows}
    assert {
        "cores", "step, us", "throughput, frames/s", "dynamic energy of a step, uJ",
        "total energy of a step, uJ",
    } <= quantities  # fmt: skip
    for row in rows:
        assert row.contained, row
        assert row.width <= silicon.WIDEST, row


def test_the_six_convolutions_are_cut_as_the_log_has_them(table: list[Any]) -> None:
    rows = {row.quantity: row for row in table if row.network == "PilotNet LIF"}
    names = ("input", "conv0", "conv1", "conv2", "conv3", "conv4")
    found = [rows[f"cores of {name}"].modelled for name in names]
    assert found == [Interval(n, n) for n in (13, 25, 13, 3, 3, 2)]


def test_the_rebuilt_activity_is_the_published_one() -> None:
    net, _, record = silicon_networks.pilotnet()
    assert sum(layer.neurons for layer in net.layers) == 158_509
    per_step = {
        entry.name: int(entry.synops_nonzero.sum()) / record.steps for entry in record.activity
    }
    for name, published in silicon_networks.PILOTNET_SYNOPS.items():
        assert per_step[name] == pytest.approx(published, rel=0.02)
    spikes = sum(int(entry.spikes_out.sum()) for entry in record.activity) / record.steps
    assert spikes == pytest.approx(34_600, rel=0.02)  # published, and not put in
    with_zeros = sum(int(entry.synops.sum()) for entry in record.activity) / record.steps
    assert with_zeros == pytest.approx((2.024 + 0.617 + 0.211 + 0.105) * 1e6, rel=0.03)


def test_without_the_places_of_spikes_the_interval_still_holds() -> None:
    net, _, record = silicon_networks.pilotnet()
    found = profile(net, record=replace(record, spikes={}), hw="loihi2").targets["loihi2"]
    step = found.latency.stream_step_us
    assert step is not None
    assert step.low < 152.85 < step.high < 3 * step.low
    assert "1.3 times" in found.latency.assumption


def test_misses_are_said(table: list[Any]) -> None:
    for row in table:
        verdict = row.cells()[5]
        assert (verdict == "**not contained**") == (row.contained is False)
        assert (verdict == "yes") == (bool(row.contained) and row.width <= silicon.WIDEST)
    assert any(row.contained is False for row in table if row.use == "independent")
    assert any(row.contained for row in table if row.use == "independent")


def test_a_miss_would_be_seen() -> None:
    row = silicon.Row("chip", "net", "step, us", 10.0, Interval(1, 9), "independent", "a test")
    assert row.cells()[5] == "**not contained**"
    assert replace(row, modelled=Interval(1, 11)).cells()[5] == "too wide to tell"
    assert replace(row, modelled=Interval(9, 11)).cells()[5] == "yes"
    assert replace(row, modelled=None).cells()[5] == "no interval"
    assert "0 of 1 independent" in silicon.silicon_table([row])


def test_hala_points_figure_is_no_bound(table: list[Any]) -> None:
    (row,) = (row for row in table if row.quantity == "energy of a synop, pJ")
    assert row.contained is False
    assert np.isfinite(row.modelled.high)
