"""The packaged schemas, their validator, and `sdcl-neuro check` on what the verbs really write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.schemas import OWN_FILES, SCHEMAS, check_document, load_schema
from sdcl_neuro.schemas.validation import validate
from sdcl_neuro.testing import random_network, random_spikes


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all schemas within it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for one in inner:
        if isinstance(one, dict):
            yield from _parts(one)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_names_itself(name: str) -> None:
    for version in SCHEMAS[name]:
        schema = load_schema(name, version)
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"sdcl_neuro.{name}-{version}"
        assert schema["description"]
        stated = schema["properties"]["schema"]["properties"]
        assert stated["name"] == {"const": f"sdcl_neuro.{name}"}
        assert stated["version"] == {"const": version}
        for part in _parts(schema):
            assert set(part.get("required", ())) <= set(part.get("properties", ()))


INNER = {
    **OWN_FILES,
    "alignment": "TOML, read by --alignment",
    "model_table": "from Python alone",
    "onnx": "metadata in an ONNX file",
    "quantisation_report": "from Python alone",
    "source_check": "part of what a file remembers of its source",
    "verification": "part of a checkpoint",
}
"""Documents that no one is expected to check by hand, and why."""


def test_whatever_names_a_schema_has_one(root: Path) -> None:
    named: set[str] = set()
    for folder in ("sdcl_neuro", "conversion"):
        for path in (root / folder).rglob("*.py"):
            named |= set(re.findall(r'"name": "sdcl_neuro\.([a-z_-]+)"', path.read_text("utf-8")))
    assert named - set(INNER) <= set(SCHEMAS)
    assert set(INNER) <= named - set(SCHEMAS)


@pytest.mark.generated
def test_the_page_lists_every_schema(root: Path, expect_sections: Callable[..., None]) -> None:
    rows = [
        f"| `{name}` | {version} | {load_schema(name, version)['description']} |\n"
        for name, versions in SCHEMAS.items()
        for version in versions
    ]
    table = "| schema | version | what it describes |\n|---|---:|---|\n" + "".join(rows)
    expect_sections(root / "docs" / "schemas.md", {"schemas": table})


def _events(folder: Path) -> dict[str, list[str]]:
    """Commands on a recording as text: a few events of two polarities."""
    recording, out = folder / "recording.txt", str(folder / "encoded.npz")
    lines = "".join(f"{1000 * k} {k % 30} {k % 20} {k % 2}\n" for k in range(200))
    recording.write_text(f"32 24\n{lines}")
    return {
        "events-info": ["events", "info", str(recording), "--denoise", "refractory=10"],
        "events-encode": [
            "events",
            "encode",
            str(recording),
            "--out",
            out,
            "--fps",
            "20",
            "--bins",
            "2",
        ],
        "events-view": ["events", "view", str(recording), "--out", str(folder / "view.html")],
    }


def _training(folder: Path) -> dict[str, list[str]]:
    """A plan, a training of two steps and its evaluation."""
    settings = (
        *("data.generated.persons=6", "data.generated.train_persons=4"),
        *("data.generated.cameras=2", "data.generated.walks=1", "data.generated.moments=1"),
        *("training.persons=2", "training.tracklets=2", "training.float_stage.steps=1"),
        *("training.float_stage.warm_up=0", "training.int_stage.steps=1"),
    )
    run, sweep = str(folder / "run"), ("--sweep", "bits=8,4", "--hw", "loihi1,loihi2")
    train = ["train", "generated-small", *settings, "bridge.fusion=add", "--out", run]
    return {
        "training_plan": [*train, "--dry-run"],
        "training": train,
        "evaluation": ["evaluate", run, "--backend", "snntorch,loihi", *sweep],
        "evaluation_part": ["evaluate", run, "--part", "1/2", "--cache", str(folder / "features")],
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What verbs write on a network that no schema was made from."""
    folder = tmp_path_factory.mktemp("written")
    net = random_network(5, kind="dense", layers=3)
    to_netx(net, folder / "m.net")
    np.savez(folder / "s.npz", spikes=random_spikes(net, 6, steps=5, samples=3))
    model, given = str(folder / "m.net"), ["--spikes", str(folder / "s.npz")]
    priced = ["--hw", "loihi1,loihi2,truenorth", "--inference-rate", "10"]
    commands = {
        "profile at a rate": ["profile", model, *given, *priced],
        "run": ["run", model, *given, "--out", str(folder / "o.npz")],
        "profile": ["profile", model, *given, "--hw", "loihi1,speck2f,truenorth,a100"],
        "certificate": ["verify", model, *given, "--against", "snntorch-int", "--no-cache"],
        "fit": ["hw", "fit", model, "truenorth"],
        "hw_list": ["hw", "list"],
        "hw_profile": ["hw", "show", "spinnaker1"],
        "doctor": ["doctor"],
        "convert": ["convert", model, str(folder / "again.nir")],
        "difference": ["convert", model, model, "--diff"],
        "lava": ["lava", "status"],
        "models": ["models", "list"],
        "model_card": ["models", "card", "sdcl-small-walkers"],
        **_events(folder),
        **_training(folder),
    }
    found = {}
    for name, words in commands.items():
        found[name] = folder / f"{name}.json"
        assert main([*words, "--json", str(found[name]), "--quiet"]) in (0, 1), words
    return found


def test_what_the_verbs_write_is_as_its_schema_says(
    written: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, path in written.items():
        report = tmp_path / f"{name}.json"
        assert main(["check", str(path), "--json", str(report)]) == 0, capsys.readouterr().out
        told = json.loads(report.read_text())
        assert told["checked_as"].startswith(f"sdcl_neuro.{name.partition(' ')[0]} ")
        assert (told["valid"], told["faults"]) == (True, [])
        assert main(["check", str(report)]) == 0


GALLERY, CLIP = "people.gallery", "--video walk.mp4 --tracks walk.txt --limit 1"
ON_A_CLIP = {
    "infer": f"infer {CLIP} --out tracked --gallery {GALLERY} --enrol --per-tracklet",
    "infer again": f"infer {CLIP} --out again --gallery {GALLERY}",
    "infer detected": "infer --video walk.mp4 --detect --limit 1 --out detected",
    "live": "live --frames walk.mp4 --tracks walk.txt --speed 0",
    "gallery": f"gallery info {GALLERY}",
    "gallery search": f"gallery search {GALLERY} --like walk.mp4#3",
    "gallery relabel": f"gallery relabel {GALLERY} 1 --to Ann",
    "gallery audit": f"gallery audit {GALLERY}",
    "jobs": "batch sdcl-small-walkers/checkpoint . --out batch --limit 1",
    "events-simulate": "events simulate walk.mp4 --out walk.npz --resize 72x128",
    "events-align": "events align walk.mp4 walk.npz --out alignment.toml",
    "demo": "demo --steps 2,2",
}


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(900)
def test_what_the_verbs_write_of_a_clip_is_as_its_schema_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--clip", "."]) == 0
    assert main(["models", "get", "sdcl-small-walkers", "--quiet"]) == 0
    for name, line in ON_A_CLIP.items():
        assert main([*line.split(), "--json", f"{name}.json", "--quiet"]) == 0, name
    for path in sorted(tmp_path.rglob("*.json")):
        capsys.readouterr()
        code = main(["check", str(path)])
        shown = capsys.readouterr()
        assert code == 0 or "a file of the package's own" in shown.err, (path, shown)


def test_every_fault_of_a_document_is_named(
    written: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    document = json.loads(written["profile"].read_text())
    del document["totals"]
    document["steps"] = "five"
    document["layers"][1]["synops"] = None
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps(document))
    assert main(["check", str(damaged)]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "the whole: lacks 'totals'",
        "steps: expected integer, got 'five'",
        "layers[1].synops: expected integer, got null",
    ]
    assert shown.err.count("\n") == 1
    assert "3 faults as sdcl_neuro.profile 2" in shown.err


def test_files_of_our_own_are_known(
    written: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that lie in folders of models and of trainings; no verb writes them as its result."""
    folder = written["training"].parent / "run"
    seen = set()
    for path in sorted(folder.rglob("*.json")):
        name = json.loads(path.read_text("utf-8"))["schema"]["name"].removeprefix("sdcl_neuro.")
        expected = 2 if name in OWN_FILES else 0
        assert main(["check", str(path)]) == expected, path
        shown = capsys.readouterr().err
        assert not expected or f"{OWN_FILES[name]}\n" in shown
        seen.add(name)
    assert {"sdcl", "checkpoint"} <= seen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected a JSON object with schema"),
        ('{"schema": {"name": "sdcl_neuro.profile", "version": 99}}', "has no version 99"),
        ('{"schema": {"name": "other.thing", "version": 1}}', "no schema is called 'other.thing'"),
        ('{"schema": {"name": "sdcl_neuro.profile", "version": true}}', "not a whole number"),
        ('{"a": NaN}', "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert main(["check", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_other_files_get_an_answer_that_leads_on(
    written: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written["run"].parent
    assert main(["check", str(folder / "m.net")]) == 2
    assert "sdcl-neuro verify FILE" in capsys.readouterr().err
    assert main(["check", str(folder / "s.npz")]) == 2
    assert "sdcl-neuro run takes them" in capsys.readouterr().err
    assert main(["check"]) == 2
    assert main(["check", str(folder / "nothing.json")]) == 2


def test_the_schemas_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(SCHEMAS)
    for name in ("certificate", "certificate-2", "sdcl_neuro.certificate"):
        assert main(["check", "--schema", name]) == 0
        assert json.loads(capsys.readouterr().out)["$id"] == "sdcl_neuro.certificate-2"
    assert main(["check", "--schema", "certificate-1"]) == 2
    assert "knows 2" in capsys.readouterr().err


OBJECT = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": ["integer", "null"], "minimum": 0, "maximum": 9}},
    "additionalProperties": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/yes"}}]
    },
    "$defs": {"yes": {"enum": [True, 1.5]}},
}


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({"a": 0}, []),
        ({"a": None, "b": "x", "c": [True, 1.5]}, []),
        ({"a": 4.0}, []),  # JSON has one kind of number
        ({"a": True}, ["a: expected integer or null, got true"]),
        ({"a": 0.5}, ["a: expected integer or null, got 0.5"]),
        ({"a": 10}, ["a: expected at most 9, got 10"]),
        ({"a": -1}, ["a: expected at least 0, got -1"]),
        ({}, ["the whole: lacks 'a'"]),
        ([], ["the whole: expected object, got an array of 0"]),
        ({"a": 1, "b": 2}, ["b: expected string, got 2"]),
        ({"a": 1, "b": [1]}, ["b[0]: expected one of True, 1.5, got 1"]),
    ],
)
def test_the_validator_by_hand(document: Any, faults: list[str]) -> None:
    assert sorted(map(str, validate(document, OBJECT))) == faults


def test_keywords_beyond_those_of_the_packaged_schemas_count_too() -> None:
    (fault,) = validate("x", {"type": "string", "pattern": "y"})
    assert str(fault) == "the whole: 'x' does not match 'y'"


def test_documents_are_left_as_they_are() -> None:
    document = {"schema": {"name": "sdcl_neuro.lava", "version": 1}}
    before = deepcopy(document)
    _, faults = check_document(document)
    assert faults
    assert document == before
