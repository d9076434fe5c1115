"""Arguments of the wrong kind, at the door and two levels below it, are our errors, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdcl_neuro import conversion, events, hybrid, profile, reid, run, snn, verify
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec_convert import dequantize
from sdcl_neuro.testing import random_network, random_spikes

CHIP = random_network(3, kind="dense")
SPIKES = random_spikes(CHIP, 0)
FLOATING = dequantize(CHIP)

WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a list of backends": (
        lambda: run(CHIP, SPIKES, backend=["loihi"]),  # type: ignore[arg-type]
        r"unknown backend \['loihi'\]; use one of loihi",
    ),
    "a rate as text": (
        lambda: profile(CHIP, SPIKES, rate_hz="30"),  # type: ignore[arg-type]
        "rate: expected a number, got a str; give it in Hz",
    ),
    "a step as text": (
        lambda: profile(CHIP, SPIKES, step_us="30"),  # type: ignore[arg-type]
        "step_us: expected a number, got a str",
    ),
    "a shift of half a step": (
        lambda: verify(CHIP, SPIKES, recorded=run(CHIP, SPIKES), recorded_shift=0.5, cache=False),  # type: ignore[arg-type]
        "recorded_shift: expected whole steps, got 0.5",
    ),
    "a number for a recording": (
        lambda: events.read_events(3),  # type: ignore[arg-type]
        "expected a path, got an int",
    ),
    "events for a path": (
        lambda: events.write_events(events.Events(np.zeros(0, events.EVENT_DTYPE), 8, 8), "e.npz"),  # type: ignore[arg-type]
        "expected a path, got an Events",
    ),
    "distances as text": (
        lambda: reid.rank("d", [0], [0]),
        "expected distances, got a str",
    ),
    "no sweep": (
        lambda: reid.parse_sweep(None),  # type: ignore[arg-type]
        r"parse_sweep: expected a Sequence\[str\] as texts, got None",
    ),
    "frames as text": (
        lambda: hybrid.normalise("frames"),  # type: ignore[arg-type]
        "normalise: expected an array as frames, got a str",
    ),
    "no description": (
        lambda: snn.EventBranch(None),  # type: ignore[arg-type]
        "EventBranch: expected a BranchDescription as description, got None",
    ),
    "a decay as text": (
        lambda: snn.LoihiLeaky("slow"),  # type: ignore[arg-type]
        "beta: expected a number, got a str",
    ),
    "seed and network exchanged": (
        lambda: random_spikes(0, CHIP),  # type: ignore[arg-type]
        "random_spikes: expected an IntNetwork, got an int",
    ),
    "more message bits than a port has": (
        lambda: conversion.quantize(FLOATING, SPIKES, message_bits=99),
        "quantize: message_bits is 99; give 0 for binary spikes, else 1 to 24",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_answered_in_one_line(name: str) -> None:
    call, expected = WRONG[name]
    with pytest.raises(InputError, match=expected) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_step_as_text_is_refused_for_a_file_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "m.nir"
    conversion.to_nir(CHIP, path)
    with pytest.raises(InputError, match="dt: the step that was given is '1ms'; give a time"):
        run(path, SPIKES, dt="1ms")  # type: ignore[arg-type]


def test_a_sparse_tensor_is_taken() -> None:
    record = run(CHIP, torch.from_numpy(SPIKES).to_sparse())
    dense = run(CHIP, SPIKES)
    assert all(np.array_equal(record.spikes[k], dense.spikes[k]) for k in dense.spikes)


def test_a_tensor_that_numpy_does_not_know_is_taken_or_answered() -> None:
    spikes = torch.from_numpy(SPIKES).bfloat16()
    assert run(CHIP, spikes) == run(CHIP, SPIKES)
    with pytest.raises(InputError, match="on the device 'meta', which holds no values"):
        run(CHIP, spikes.to("meta"))


def test_embeddings_that_take_part_in_training_are_taken() -> None:
    rows = torch.eye(4, requires_grad=True)
    distances = reid.distance_matrix(rows, rows.bfloat16())
    assert np.array_equal(distances, 1 - np.eye(4))
    labels = torch.arange(4)
    tensor = torch.from_numpy(distances).requires_grad_()
    ranked = [reid.rank(each, labels, labels).to_dict() for each in (tensor, distances)]
    assert ranked[0] == ranked[1]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_scripted_module_is_answered() -> None:
    module = torch.jit.script(torch.nn.Linear(3, 3))
    with pytest.raises(InputError, match=r"a scripted module shows no layers; give the nn\.Module"):
        conversion.from_snntorch(module, np.ones((4, 1, 3)))


def test_a_report_of_rounding_shows_itself_in_a_notebook() -> None:
    made = conversion.quantize(FLOATING, SPIKES, check=False)
    page = conversion.quantization_report(FLOATING, made, SPIKES)._repr_html_()
    assert page.startswith("<table")
    assert page.count("<tr") == 1 + len(CHIP.layers)


def test_verilog_is_not_written_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.net").write_bytes(b"kept")
    with pytest.raises(InputError, match=r"m\.net: is a file, where a folder is to be written"):
        conversion.to_verilog(CHIP, tmp_path / "m.net")
    assert (tmp_path / "m.net").read_bytes() == b"kept"


def test_a_certificate_is_written_where_a_file_is_named(tmp_path: Path) -> None:
    certificate = verify(CHIP, SPIKES, against=["snntorch-int"], cache=False)
    values = certificate.to_json(tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text("utf-8")) == values == certificate.to_json()


class Nothing:
    """Fits no annotation of ours."""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: events.encode(Nothing(), frame_times_us=[1], bins=1), "encode: .* as events"),
        (lambda: events.simulate(Nothing(), [0]), "simulate: expected an array as frames"),
        (lambda: events.concatenate([Nothing()]), "concatenate: .* as parts"),
        (lambda: events.SimulatorConfig(threshold_on="low"), "SimulatorConfig: expected a number"),
        (lambda: events.Alignment(offset_us="1s"), "Alignment: .* as offset_us, got a str"),
        (lambda: reid.Clip(frames="8"), "Clip: expected a whole number as frames, got a str"),
        (lambda: reid.Clip(size=64), r"Clip: expected a tuple\[int, int\] as size, got an int"),
        (lambda: reid.train(Nothing(), Nothing(), Nothing()), "train: .* got a Nothing"),
        (lambda: reid.build_data(Nothing()), "build_data: .* as configuration"),
        (lambda: hybrid.infer(Nothing(), [Nothing()], Nothing()), "infer: .* got a Nothing"),
        (lambda: hybrid.Bridge({"channels": 8}), "Bridge: expected a BridgeConfig as config"),
        (lambda: hybrid.merge_records([]), "merge_records: no records"),
    ],
)  # fmt: skip
def test_what_a_function_fails_over_is_named(call: Callable[[], object], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        call()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"sensor": "8x8"},
            r"read_events: expected a tuple\[int, int\] or None as sensor, got a str",
        ),
        ({"between_us": 10}, "read_events: expected .* as between_us, got an int"),
        ({"denoise": "hot"}, "read_events: expected a Denoise as denoise, got a str; give"),
        ({"mend": "sort"}, r"as mend, got a str; give a list: mend=\['sort'\]"),
    ],
)
def test_a_wrong_argument_is_not_taken_for_a_fault_of_the_file(
    given: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "e.npz"
    events.write_events(path, events.Events(np.zeros(0, events.EVENT_DTYPE), 8, 8))
    for read in (events.read_events, lambda *a, **k: list(events.read_parts(*a, **k))):
        with pytest.raises(InputError, match=expected):
            read(path, **given)
    assert len(events.read_events(path, sensor=[8, 8], mend=["sort"])) == 0  # type: ignore[arg-type]


def test_one_repair_as_text_is_answered() -> None:
    fields = {name: np.array([0, 1]) for name in "txyp"}
    with pytest.raises(InputError, match=r"give a list: mend=\['sort'\]"):
        events.events_from(fields, width=4, height=4, mend="sort")


def test_numbers_of_numpy_and_lists_are_kept_as_pythons() -> None:
    clip = reid.Clip(np.int64(8), bins=np.int32(4), size=[np.int64(64), 32])  # type: ignore[arg-type]
    assert clip == reid.Clip(8, 4, (64, 32))
    assert hash(clip) == hash(reid.Clip(8, 4, (64, 32)))
    assert [type(value) for value in (clip.frames, clip.bins, *clip.size)] == [int] * 4
    assert reid.Clip(size=np.array([64, 32])) == reid.Clip()  # type: ignore[arg-type]
    bridge = hybrid.BridgeConfig(channels=np.int64(8), event_size=[16, 8])  # type: ignore[arg-type]
    assert bridge == hybrid.BridgeConfig(channels=8)
    layers = [snn.ConvolutionSpec(np.int64(4), 3)]
    assert snn.BranchDescription(layers) == snn.BranchDescription((snn.ConvolutionSpec(4, 3),))  # type: ignore[arg-type]
    assert reid.Stage(learning_rate=np.float32(0.5)) == reid.Stage(learning_rate=0.5)
    recorded = run(CHIP, SPIKES)
    assert verify(CHIP, SPIKES, recorded=recorded, recorded_shift=np.int64(0), cache=False).holds  # type: ignore[arg-type]
