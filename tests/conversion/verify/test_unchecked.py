"""What a certificate does not cover is listed, printed, stored, and fatal on request."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx, to_netx
from sdcl_neuro.conversion.parity import unchecked
from sdcl_neuro.conversion.parity.certificate import Certificate
from sdcl_neuro.conversion.parity.source_check import WITHOUT
from sdcl_neuro.conversion.parity.verify import RandomInput, verify
from sdcl_neuro.network.notes import ASSUMED, NOT_CHECKED, Note, notes_of, with_notes
from sdcl_neuro.network.spec import IntNetwork

INPUT = RandomInput(steps=12, samples=2, rate=0.3, seed=1)
STEP = Note("step of the file", "it states none; 1e-4 s was given")
SOURCE = Note("the source", "it was not there to be compared")


def _further(certificate: Certificate) -> tuple[Note, ...]:
    """What is not checked, but for the source, which a network made by hand does not have."""
    assert certificate.not_checked[0] == WITHOUT
    return certificate.not_checked[1:]


def test_a_whole_comparison_leaves_nothing_out(sourced: IntNetwork) -> None:
    certificate = verify(sourced, spikes=INPUT, against=["snntorch-int"], cache=False)
    assert certificate.complete
    assert certificate.not_checked == certificate.assumed == ()
    assert str(certificate).endswith("every verdict holds")


def test_a_silent_layer_is_not_checked(int_net: IntNetwork) -> None:
    quiet = replace(int_net.layers[1], weight=-np.abs(int_net.layers[1].weight))
    net = replace(int_net, layers=(int_net.layers[0], quiet))
    certificate = verify(net, spikes=INPUT, against=["snntorch-int"], cache=False)
    assert certificate.holds
    (note,) = _further(certificate)
    assert note.what == "layer 1 (second)"
    assert "no spikes on either side" in note.reason
    assert str(certificate).endswith("every verdict holds, 2 not checked")
    assert str(note) in str(certificate)


def test_notes_of_a_network_reach_its_certificate_through_its_file(
    int_net: IntNetwork, tmp_path: Path
) -> None:
    meta = with_notes(with_notes(int_net.meta, ASSUMED, [STEP, STEP]), NOT_CHECKED, [SOURCE])
    to_netx(replace(int_net, meta=meta), tmp_path / "m.net")
    assert notes_of(from_netx(tmp_path / "m.net").meta, ASSUMED) == (STEP,)
    kept = {"spikes": INPUT, "against": ["snntorch-int"], "cache": tmp_path / "cache"}
    certificate = verify(tmp_path / "m.net", **kept)
    assert certificate.assumed == (STEP,)
    assert _further(certificate) == (SOURCE,)
    assert not certificate.complete
    assert f"assumed\n  {STEP}" in str(certificate)
    value = json.loads(json.dumps(certificate.to_json()))
    assert value["assumed"] == [{"what": STEP.what, "reason": STEP.reason}]
    assert Certificate.from_json(value) == certificate
    again = verify(tmp_path / "m.net", **kept)
    assert again.cached
    assert replace(again, cached=False) == certificate
    # Without the notes it is the same network, and another certificate.
    without = verify(int_net, **kept)
    assert not without.cached
    assert _further(without) == ()


@pytest.mark.parametrize("value", [None, "text", [1], [{"what": "x"}], {"what": "x"}])
def test_what_is_no_note_is_left_out(value: object) -> None:
    assert notes_of({ASSUMED: value}, ASSUMED) == ()
    assert notes_of({}, ASSUMED) == ()
    assert with_notes({"a": 1}, ASSUMED, []) == {"a": 1}


def test_sources_edited_under_a_running_process_are_said(
    int_net: IntNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "edited_sources", lambda: ("engine/run.py", "files/x.py"))
    certificate = verify(int_net, spikes=INPUT, against=["snntorch-int"], cache=False)
    (note,) = _further(certificate)
    assert "engine/run.py and 1 more" in note.reason


def test_strict_ends_with_one(
    sourced: IntNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = str(tmp_path / "m.net")
    to_netx(sourced, net)
    common = ["verify", net, "--against", "snntorch-int", "--no-cache", "--spike-rate", "0.3"]
    assert main([*common, "--strict"]) == 0
    capsys.readouterr()
    part = [*common, "--layers", "0", "--json", str(tmp_path / "c.json")]
    assert main(part) == 0
    assert capsys.readouterr().out.rstrip().endswith("every verdict holds, 1 not checked")
    assert main([*part, "--strict"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "m.net: not checked: layer 1 (2)" in last
    value = json.loads((tmp_path / "c.json").read_text())
    assert value["holds"] is True
    assert value["not_checked"][0]["what"] == "layer 1 (2)"
