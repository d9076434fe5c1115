"""The profiles as files: every packaged one is sound, every fault of a bad one is told at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile, list_profiles, load_profile
from sdcl_neuro.hardware import vocabulary as schema_words
from sdcl_neuro.hardware.template import template

GOOD = """
schema = 1
name = "mychip"
title = "My chip"
family = "neuromorphic"
summary = "A chip for tests."
[sources]
paper = "Author, Paper, 2024"
[variants.paper]
title = "Paper"
[variants.paper.energy]
synop = { low = 1, high = 2, unit = "pJ", kind = "published", source = "paper" }
[variants.paper.time]
synop = { unknown = "not published", unit = "ns" }
"""


def write(folder: Path, text: str, name: str = "mychip.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", list_profiles())
def test_packaged_profiles_are_sound(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    for _, table in profile.tables():
        for quantity in table.values():
            assert bool(quantity.unknown) != bool(quantity.source and quantity.kind)
    assert profile.title in str(profile)
    assert profile.to_dict()["name"] == name


def test_the_facts_are_in() -> None:
    loihi1, loihi2 = load_profile("loihi1"), load_profile("loihi2")
    assert set(loihi1.variants) == {"davies2018", "sanafe"}
    assert loihi1.variants["davies2018"].energy["synop"].low == 23.6
    assert loihi1.variants["sanafe"].energy["synop_dense"].high == 35.5
    assert loihi1.limits["synapse_memory_per_core"].low == 16384 * 64
    assert loihi2.limits["neurons_per_core"].low == 8192
    assert not loihi2.bounds
    assert loihi2.limits["synapse_memory_per_core"].low == 12_000 * 64
    assert (loihi2.limits["dense_synapse_bits"].low, loihi2.limits["dense_synapse_bits"].high) == (
        15, 20,
    )  # fmt: skip
    assert loihi1.power["static"].low == 96
    assert load_profile("truenorth").variants["merolla2014"].energy["synop"].high == 2.53
    assert "builder/discretize.py" in loihi1.limits["decay_bits"].source
    assert "regressed on silicon" not in str(loihi1)
    assert load_profile("speck2f").power["static"].bounds == (0.42, 1.17)
    assert load_profile("kapoho_point").chip["chips"].low == 8
    assert load_profile("hala_point").chip["chips"].low == 1152
    groups = load_profile("speck2f").core_groups
    assert [group.cores for group in groups] == [(0, 1, 2), (3, 4), (5, 6), (7, 8)]
    assert [group.quantities["neuron_entries"].low for group in groups] == [
        65536, 32768, 16384, 16384,
    ]  # fmt: skip


def test_derived_figures_follow_from_their_rows() -> None:
    hala = load_profile("loihi2")
    assert hala.chip["synop_rate"].low == pytest.approx(380e12 / 140544 / 1e9, rel=0.01)
    assert hala.chip["update_rate"].low == pytest.approx(240e12 / 140544 / 1e9, rel=0.01)
    for update, synop in ((0, 27.4), (52, 23.7), (81, 21.7), (120, 19.0)):
        # Each pair explains PilotNet's 68.35 uJ a step, its spikes at Loihi 1's price.
        table = hala.variants[f"pilotnet_u{update}"].energy
        assert (table["synop"].low, table["neuron_update"].low) == (synop, update)
        spike = table["spike_out"].low
        assert spike == pytest.approx(69.3 + 111)
        uj = 2.270 * synop + 0.1585 * update + 0.0346 * spike
        assert uj == pytest.approx(68.35, rel=0.005)
    for name, watts, rate, key in (
        ("h200", 700, 989e12, "mac_fp16"),
        ("a100", 400, 312e12, "mac_fp16"),
        ("jetson_orin_nano", 15, 40e12, "mac_int8"),
        ("jetson_agx_orin", 60, 275e12, "mac_int8"),
    ):
        energy = load_profile(name).variants["peak"].energy[key]
        assert energy.low == pytest.approx(2e12 * watts / rate, rel=0.01)
        assert energy.high is None


def test_an_own_measurement_is_a_kind(tmp_path: Path) -> None:
    text = GOOD.replace('kind = "published"', 'kind = "own measurement"')
    synop = load_profile(write(tmp_path, text)).variants["paper"].energy["synop"]
    assert synop.kind == "own measurement"
    assert "[own measurement]" in str(load_profile(write(tmp_path, text)))


def test_the_template_is_a_profile(tmp_path: Path) -> None:
    text = template("mine")
    found = load_profile(write(tmp_path, text))
    assert found.name == "mine"
    figures = [quantity for _, table in found.tables() for quantity in table.values()]
    assert figures
    assert all(quantity.unknown for quantity in figures)
    for table in ("CHIP", "LIMITS", "GROUP", "ENERGY", "TIME", "POWER"):
        for key, (_, meaning) in getattr(schema_words, table).items():
            assert re.search(rf"^(# )?{key} = .*  # {re.escape(meaning)}$", text, re.M), key
    # Every line that is commented out becomes a figure once it is filled in.
    filled = re.sub(r'kind = "", source = ""', 'kind = "published", source = "paper"', text)
    filled = filled.replace('text = ""', 'text = "words"')
    filled = re.sub(r"^# (\w+ = \{)", r"\1", filled, flags=re.M)
    filled = filled.replace("# [[core_groups]]", "[[core_groups]]")
    filled = filled.replace("# cores = [0, 1, 2]", "cores = [0, 1, 2]")
    assert load_profile(write(tmp_path, filled)).core_groups[0].cores == (0, 1, 2)


def test_a_user_adds_a_chip_by_a_file(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))
    assert isinstance(profile, HardwareProfile)
    assert str(profile.variants["paper"].energy["synop"]) == "1 to 2 pJ"
    assert "unknown" in str(profile)
    assert "not published" in str(profile)


def test_extending_replaces_a_figure_whole(tmp_path: Path) -> None:
    text = """
extends = "loihi1"
name = "mine"
[sources]
mine = "Measured by me"
[variants.davies2018.energy]
synop = { low = 20, high = 30, unit = "pJ", kind = "derived", source = "mine" }
"""
    profile = load_profile(write(tmp_path, text))
    synop = profile.variants["davies2018"].energy["synop"]
    assert (synop.low, synop.high, synop.source) == (20, 30, "Measured by me")
    assert profile.variants["davies2018"].energy["neuron_update_active"].low == 81


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    text = """
schema = 2
name = ""
family = "quantum"
sumary = "misspelt"
[sources]
paper = 3
[limits]
neuron_per_core = { value = 1, unit = "neurons", kind = "published", source = "paper" }
[power]
static = { value = nan, unit = "mW", kind = "published", source = "paper" }
maximum = { value = -1, unit = "mW", kind = "published", source = "paper" }
[[core_groups]]
cores = 3
[variants.a]
[variants.a.energy]
synop = { value = 1, unit = "nJ", kind = "guessed", source = "nowhere" }
axon_in = { unit = "pJ" }
axon_out = { value = 1, unknown = "x", unit = "pJ", kind = "code", source = "paper" }
spike_out = { low = 3, high = 2, unit = "pJ", kind = "code", source = "paper" }
neuron_update = 7
"""
    with pytest.raises(InputError) as caught:
        load_profile(write(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "schema: must be 1", "name: must be", "title: must be", "summary: must be",
        "family: must be one of", "sumary: unknown key, did you mean 'summary'",
        "sources.paper: must be a citation", "did you mean 'neurons_per_core'",
        "power.static: every number must be finite", "power.maximum: no quantity is negative",
        "core_groups[0]: must be", "variants.a.title", "unit must be 'pJ', is 'nJ'",
        "kind must be one of", "source 'nowhere' is not in [sources]",
        "axon_in: needs one of value", "axon_out: needs one of value", "low 3 is above high 2",
        "neuron_update: must be a table",
    ):  # fmt: skip
        assert words in message, words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = [", "not TOML"),
        ('name = "a"\nname = "b"', "not TOML"),
        ("", "fault"),
        ("extends = 3", "must be a profile's name"),
        ('extends = "nothing"', "no hardware profile 'nothing'"),
        ("variants = 3\nchip = 3\ncore_groups = 3\nnotes = 3\nsources = 3", "must be a table"),
        ("x = " + "[" * 3000 + "]" * 3000, "not TOML"),
        ("#" * (1 << 20) + "\n#", "at most"),
    ],
)
def test_broken_files_end_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_profile(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 'extends = "ring.toml"', "ring.toml")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    for name, words in (
        ("ring.toml", "extends itself"),
        ("folder.toml", "got a directory"),
        ("latin.toml", "not UTF-8"),
        ("absent.toml", "no such file"),
        ("lohi2", "did you mean 'loihi2'"),
        ("../loihi1", "no such file"),
    ):
        with pytest.raises(InputError, match=words):
            load_profile(name)


def test_the_readme_is_the_schema(root: Path, tmp_path: Path) -> None:
    text = (root / "hw_profiles" / "README.md").read_text(encoding="utf-8")
    for table in ("CHIP", "LIMITS", "GROUP", "ENERGY", "TIME", "POWER"):
        for key, (unit, meaning) in getattr(schema_words, table).items():
            assert f"| `{key}` | {meaning} |" in text or (
                f"| `{key}` | {unit or 'text'} | {meaning} |" in text
            ), key
    example = text.split("```toml\n")[1].split("```")[0]
    assert load_profile(write(tmp_path, example)).name == "mychip"
