"""Configuration files: what is read, written back, laid on top, and refused."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.hybrid.bridge import BridgeConfig
from sdcl_neuro.hybrid.methods import METHODS
from sdcl_neuro.reid.configuration import (
    Configuration,
    bridge_config,
    clip_format,
    list_configurations,
    load_configuration,
)
from sdcl_neuro.reid.configuration.load import parse_value
from sdcl_neuro.reid.configuration.reading import dotted_keys
from sdcl_neuro.reid.configuration.writing import literal, to_toml
from sdcl_neuro.snn.branch_description import COMPACT, PAPER

PAPERS = ("prid2011", "ilidsvid", "mars")


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_packaged_names() -> None:
    assert list_configurations() == (
        "ctl-mars",
        "dvs-gesture",
        "event-reid",
        "event-reid-v2",
        "evreid",
        "folder",
        "generated-small",
        "generated-table",
        "grl-mars",
        "ilidsvid",
        "mars",
        "mars-star",
        "mgh-mars",
        "osnet-mars",
        "prid2011",
        "psta-mars",
        "rafa-mars",
        "sinet-mars",
        "srs-mars",
        "stgcn-mars",
        "stmn-mars",
        "strf-mars",
        "tclnet-mars",
    )


@pytest.mark.parametrize("kind", ["psta", *METHODS])
def test_every_method_has_its_published_schedule(kind: str) -> None:
    loaded = load_configuration(f"{kind}-mars")
    assert loaded.model == kind
    assert loaded.bridge.inputs == "v"
    assert loaded.training.triplet == "published"
    if kind != "psta":
        assert loaded.clip.frames == METHODS[kind].frames
    both = load_configuration(f"{kind}-mars", ["bridge.inputs=v+e", "data.events=MARS_events"])
    assert bridge_config(both).uses_events


@pytest.mark.parametrize("name", list_configurations())
def test_what_is_written_reads_the_same(name: str, tmp_path: Path) -> None:
    loaded = load_configuration(name)
    text = loaded.to_toml()
    again = load_configuration(written(tmp_path, text))
    assert again == loaded
    assert again.to_toml() == text


@pytest.mark.parametrize("name", list_configurations())
def test_what_is_written_says_everything(name: str) -> None:
    raw = tomllib.loads(load_configuration(name).to_toml())
    for key in dotted_keys(Configuration):
        table = raw
        *path, last = key.split(".")
        for part in path:
            table = table[part]
        absent = {"train_persons", "sensor", "time_unit_us"}  # None: TOML has no word for it
        assert last in table or last in absent, key


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_settings(name: str) -> None:
    found = load_configuration(name)
    assert found.data.kind == name
    assert (found.clip.frames, found.clip.size) == (8, (256, 128))
    assert found.event_branch.description() == PAPER
    expected = replace(BridgeConfig.paper(identities=89), event_size=(256, 128))
    assert bridge_config(found, identities=89) == expected
    training = found.training
    assert (training.persons, training.tracklets, training.margin) == (4, 4, 0.3)
    assert training.weight_decay == 5e-4
    stage = training.float_stage
    assert (stage.epochs, stage.learning_rate, stage.warm_up) == (500, 3e-4, 10)
    assert (stage.decay_every, stage.decay) == (200, 0.1)
    change = training.augmentation
    assert (change.flip, change.pad, change.erasing, change.degradation) == (0.5, 10, 0.5, 0.0)


def test_an_empty_file_is_the_paper_but_for_the_events_size(tmp_path: Path) -> None:
    empty = load_configuration(written(tmp_path, ""))
    paper = load_configuration("prid2011")
    assert replace(empty, clip=paper.clip) == paper


def test_every_field_has_a_default() -> None:
    def check(kind: type) -> None:
        kind()
        for name, hint in get_type_hints(kind).items():
            if is_dataclass(hint) and name in {field.name for field in fields(kind)}:
                check(hint)  # type: ignore[arg-type]

    check(Configuration)


def test_overrides_are_toml_values_or_bare_words() -> None:
    found = load_configuration(
        "generated-small",
        [
            "training.float_stage.epochs=3",
            "training.float_stage.steps=0",
            "bridge.inputs=e",
            "bridge.fusion = none",
            "event_branch.kernels=[7, 5]",
            "training.augmentation.kinds=['blur']",
            "data.generated.train_persons=9",
            "training.margin=1",
            "data.cache=C:\\events",
        ],
    )
    assert found.training.float_stage.epochs == 3
    assert found.bridge.inputs == "e"
    assert found.event_branch.kernels == (7, 5)
    assert found.training.augmentation.kinds == ("blur",)
    assert found.data.generated.train_persons == 9
    assert isinstance(found.training.margin, float)
    assert found.data.cache == "C:\\events"


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("0.5", 0.5), ("true", True), ('"true"', "true"), ("v+e", "v+e"), ("", "")],
)
def test_values(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_a_value_cannot_bring_keys_of_its_own() -> None:
    assert parse_value("1\nother = 2") == "1\nother = 2"


def test_all_faults_in_one_list(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        colour = 1
        bridge = 3
        [clip]
        frames = "eight"
        size = [64]
        [training]
        epoch = 3
        margin = -1
        persons = 1
        [training.float_stage]
        learning_rate = inf
        [data]
        kind = "prid2012"
        [data.degradation]
        kind = "fog"
        severity = 9
        [event_branch]
        kernels = [4]
        bias = 1
        """,
    )
    with pytest.raises(InputError) as caught:
        load_configuration(path, ["clip.bins", "training.seed.x=1", "clip=3"])
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for part in (
        "colour: no such key",
        "bridge: is 3 (make it a table [bridge])",
        "clip.frames: is 'eight' (give a whole number)",
        "clip.size: is [64] (give a list of 2)",
        "training.epoch: no such key (did you mean training.float_stage.epochs?)",
        "training.margin: margin is -1.0 (give a number from 0)",
        "training.persons: persons is 1 (give a whole number from 2)",
        "training.float_stage.learning_rate: is inf (give a finite number)",
        "did you mean prid2011?",
        "data.degradation.kind: kind is 'fog'",
        "data.degradation.severity: severity is 9 (give 1 to 5)",
        "event_branch.kernels: kernels is [4] (give odd ones)",
        "event_branch.bias: is 1 (give true or false)",
        "clip.bins: is not KEY=VALUE",
        "clip: is a table",
        "training.seed",
    ):
        assert part in message, part
    assert message.count(" | ") == 15


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["bridge.inputs=v"], "fusion 'alignment' needs frames and events"),
        (["frame_branch.name=none"], "frame_branch.name: is none, and frames are an input"),
        (["clip.frames=6"], "6 frames cannot be halved"),
        (["event_branch.strides=[3]"], "event_size"),
        (["clip.size=[2,2]", "event_branch.kernels=[3]", "event_branch.strides=[2]"], "event_size"),
        (["data.kind=event-reid"], "event-reid has no frames"),
        (["data.events=none"], "data.events is none"),
        (["data.kind=mars"], "data.events: is auto"),
        (["data.kind=mot"], "data.mot: names no video or no tracks"),
        (["bridge.channels=30"], "channels is 30"),
    ],
)
def test_tables_that_do_not_go_together(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match="1 fault") as caught:
        load_configuration("prid2011", overrides)
    assert message in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'prid2011'"):
        load_configuration("prid201")
    with pytest.raises(InputError, match="no such file"):
        load_configuration(tmp_path / "absent.toml")
    with pytest.raises(InputError, match=r"not TOML: .*line 1"):
        load_configuration(written(tmp_path, "clip = = 1"))
    with pytest.raises(InputError, match="not TOML"):
        load_configuration(written(tmp_path, "a = " + "[" * 100_000))
    (tmp_path / "latin.toml").write_bytes(b'model = "\xe9"')
    with pytest.raises(InputError, match="not UTF-8"):
        load_configuration(tmp_path / "latin.toml")


def test_layers_take_the_first_values_and_repeat_the_last() -> None:
    compact = ["event_branch.channels=[8, 16]", "event_branch.strides=[2, 2, 1]"]
    small = load_configuration("generated-small", compact)
    assert small.event_branch.description() == COMPACT
    three = load_configuration("generated-small", [*compact, "event_branch.layers=3"])
    found = three.event_branch.description().layers
    assert [(one.channels, one.kernel, one.stride, one.padding) for one in found] == [
        (8, 5, 2, 2),
        (16, 3, 2, 1),
        (16, 3, 1, 1),
    ]


def test_a_saved_model_knows_what_made_its_events() -> None:
    assert clip_format(load_configuration("prid2011")).simulator is None
    cached = load_configuration("prid2011", ["data.cache=events", "data.simulator.leak_hz=1"])
    assert clip_format(cached).simulator == SimulatorConfig(leak_hz=1.0)
    generated = load_configuration("generated-small")
    assert clip_format(generated).simulator == generated.data.generated.simulator
    video = ["data.kind=mot", "data.mot.video=a.mp4", "data.mot.tracks=a.txt"]
    seen = clip_format(load_configuration("generated-small", [*video, "data.mot.stride=3"]))
    assert (seen.stride, seen.simulator) == (3, SimulatorConfig())
    given_events = load_configuration("generated-small", [*video, "data.mot.events=a.raw"])
    assert clip_format(given_events).simulator is None


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(VALUES)
def test_literals_read_back(value: object) -> None:
    found = tomllib.loads(f"value = {literal(value)}")["value"]
    assert repr(found) == repr(value)  # tells -0.0 from 0.0 and 1 from True


def test_toml_has_no_word_for_some_things() -> None:
    with pytest.raises(TypeError, match="Path"):
        literal(Path("a"))
    assert to_toml(load_configuration("mars").clip) == "frames = 8\nbins = 3\nsize = [256, 128]\n"


def test_the_page_names_every_key_and_file(root: Path) -> None:
    page = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = page[page.index("## Keys") :]
    words = set(re.findall(r"`\[?([\w.]+)\]?`", keys))
    for key in dotted_keys(Configuration):
        table, _, name = key.rpartition(".")
        assert name in words, key
        assert not table or table in words, key
    for name in list_configurations():
        assert f"`{name}`" in page
