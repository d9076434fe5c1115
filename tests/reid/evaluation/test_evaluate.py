"""Figures of every event branch through one bridge, sweeps, conditions, and the verb."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sdcl_neuro.cli import main
from sdcl_neuro.conversion import from_netx
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import load_profile
from sdcl_neuro.jobs import Shard
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.profiling import profile
from sdcl_neuro.reid.datasets import Clip, labels, leave_persons_out, read_event_reid
from sdcl_neuro.reid.evaluation import (
    Condition,
    EvaluationSettings,
    Extraction,
    FeatureStore,
    Setting,
    evaluate,
    event_arm,
    extract,
    open_trained,
    parse_sweep,
    rankings,
)
from sdcl_neuro.reid.evaluation.parts import embed_part, rank_part
from sdcl_neuro.reid.evaluation.picture import QUERY, RIGHT, WRONG, draw_ranked_lists, ranked_figure
from sdcl_neuro.reid.evaluation.request import EvaluationRequest
from sdcl_neuro.reid.evaluation.setting import apply_float, apply_integer, coarse
from sdcl_neuro.reid.metrics import ReRanking, distance_matrix, evaluate_ranking, rank

CLIP = Clip(2, 2, (64, 32))


@pytest.fixture
def trained(checkpoint):
    return open_trained(checkpoint())


def test_rows_are_rankings_of_the_embeddings(trained, noise_data, tmp_path):
    data = noise_data()
    found = evaluate(trained, data, backends=("snntorch", "snntorch-int", "loihi"))
    rows = {row.backend: row for row in found.rows}
    assert list(rows) == ["snntorch", "snntorch-int", "loihi"]
    for name, row in rows.items():
        arm = event_arm(trained.events, name, Setting(), folder=tmp_path)
        positions = tuple(range(len(data.entries)))
        embeddings = extract(trained.checkpoint.model, data, positions, clip=CLIP, arms=[arm])[
            arm.label
        ]
        query = embeddings[list(data.query)]
        who, where = labels(data, "query"), labels(data, "gallery")
        named = who.persons, where.persons, who.cameras, where.cameras
        # The data set's own order: the gallery is embedded behind the queries, once each.
        expected = evaluate_ranking(distance_matrix(query, embeddings), *named)
        assert row.metrics.mean_ap == pytest.approx(expected.mean_ap, abs=1e-9)
        assert dict(row.metrics.cmc) == pytest.approx(expected.cmc)
    # The chip's integers are one thing, however they are computed.
    lists = rows["loihi"].ranking
    assert rows["snntorch-int"].ranking.digests == lists.digests
    assert rows["snntorch"].changed is None
    assert rows["loihi"].changed == rows["snntorch-int"].changed
    changed = [a != b for a, b in zip(rows["snntorch"].ranking.digests, lists.digests, strict=True)]
    assert rows["loihi"].changed.whole == sum(changed)
    assert "read back" in found.notes[-1]
    assert len(str(found).splitlines()) == 2 + 1 + 3 + len(found.notes)


def test_what_is_deployed_went_through_its_file(trained, tmp_path, monkeypatch):
    seen = []

    def watched(path):
        net = from_netx(path)
        seen.append(network_sha256(net))
        return net

    monkeypatch.setattr("sdcl_neuro.reid.evaluation.feature_sources.from_netx", watched)
    arm = event_arm(trained.events, "loihi", Setting(), folder=tmp_path)
    assert seen == [network_sha256(trained.events.integer)]
    assert seen[0] in arm.digest
    assert [file.suffix for file in tmp_path.iterdir()] == [".net"]


def test_models_of_every_kind(checkpoint, noise_data):
    cases = [
        (checkpoint("v"), "frames alone"),
        (checkpoint("e"), "loihi"),
        (checkpoint("e", integers=False), "snntorch"),
        (checkpoint("e", kind="psta"), "dense"),
    ]
    for folder, backend in cases:
        found = evaluate(open_trained(folder), noise_data(persons=2))
        assert [row.backend for row in found.rows] == [backend]
        assert 0 < found.rows[0].metrics.mean_ap <= 1
    for folder in (checkpoint("v"), checkpoint("e", kind="psta")):
        with pytest.raises(InputError, match="no event branch to run or vary"):
            evaluate(open_trained(folder), noise_data(), backends=["loihi"])


def test_a_float_branch_is_rounded_afterwards_and_says_so(checkpoint, noise_data):
    data = noise_data(persons=2)
    found = evaluate(
        open_trained(checkpoint("e", integers=False)), data, backends=("snntorch", "loihi")
    )
    assert "rounded afterwards, calibrated on 6 tracklets of gallery" in found.notes[0]


def test_conditions_change_frames_only(checkpoint, noise_data):
    conditions = (Condition(), Condition("noise", 5))
    seen = {}
    for inputs in ("v", "e"):
        found = evaluate(
            open_trained(checkpoint(inputs)), noise_data(persons=2), conditions=conditions
        )
        assert [row.condition for row in found.rows] == ["clean", "noise:5"]
        assert all(row.changed is None for row in found.rows)
        seen[inputs] = [row.ranking.distances for row in found.rows]
    assert not np.array_equal(*seen["v"])
    np.testing.assert_array_equal(*seen["e"])


def test_reranking_and_distance_are_passed_on(checkpoint, noise_data):
    trained = open_trained(checkpoint("e"))
    judged = EvaluationSettings("euclidean", (1, 2), ReRanking(k1=4, k2=2))
    found = evaluate(trained, noise_data(), judging=judged)
    plain = evaluate(trained, noise_data())
    assert list(found.rows[0].metrics.cmc) == [1, 2]
    assert found.rows[0].reranked is not None
    assert plain.rows[0].reranked is None
    assert not np.array_equal(found.rows[0].ranking.distances, plain.rows[0].ranking.distances)
    assert "re-ranked" in str(found)


def test_a_sweep_varies_one_thing_at_a_time(checkpoint, noise_data):
    chosen = parse_sweep(["bits=8,4", "bins=2,4", "threshold=1,1.5"])
    assert [str(s) for s in chosen] == [
        "as trained", "4 bits", "2 bins", "4 bins", "threshold x 1.5"
    ]  # fmt: skip
    asked = []

    def data(clip):
        asked.append(clip.bins)
        return noise_data(persons=2)

    trained = open_trained(checkpoint("e"))
    found = evaluate(trained, data, backends=("snntorch", "loihi"), settings=chosen)
    assert sorted(asked) == [2, 4]
    rows = {(str(row.setting), row.backend): row for row in found.rows}
    assert len(rows) == 5 + 4
    assert ("4 bits", "snntorch") not in rows  # float weights have no bits
    first = rows["as trained", "loihi"].ranking
    # Two bins are what it was trained with: the same numbers under another name.
    np.testing.assert_array_equal(rows["2 bins", "loihi"].ranking.distances, first.distances)
    for name in ("4 bits", "4 bins", "threshold x 1.5"):
        assert not np.array_equal(rows[name, "loihi"].ranking.distances, first.distances)


def test_combined_sweeps_take_every_combination():
    chosen = parse_sweep(["bits=8,4", "threshold=1,1.5", "bits=6"], combined=True)
    assert [(one.bits, one.threshold) for one in chosen] == [
        *((8, 1.0), (8, 1.5), (4, 1.0), (4, 1.5), (6, 1.0), (6, 1.5))
    ]
    assert parse_sweep([], combined=True) == (Setting(),)
    # The trained one comes first, named or not.
    assert [str(one) for one in parse_sweep(["bits=4", "bins=2"], combined=True)] == [
        "as trained", "4 bits, 2 bins"
    ]  # fmt: skip


def test_rows_in_integers_are_priced_on_chips(checkpoint, noise_data, tmp_path):
    trained, data = open_trained(checkpoint("e")), noise_data(persons=2)
    options = {
        "backends": ("snntorch", "loihi"),
        "settings": parse_sweep(["bits=8,4", "bins=4"], combined=True),
        "hardware": ["loihi1", load_profile("loihi2")],
    }
    kept = Extraction(store=FeatureStore(tmp_path / "store"), batch=4)
    found = evaluate(trained, data, how=kept, **options)
    assert all((row.deployment is None) == (row.backend == "snntorch") for row in found.rows)
    for row in found.rows:
        if row.deployment is None:
            continue
        # The same as `profile` says of these tracklets, all at once.
        clip = Clip(2, row.setting.bins or 2, CLIP.size)
        spikes = np.stack([data.load(k, clip).spikes for k in data.gallery], axis=1)
        network = apply_integer(trained.events.integer, trained.events.floating, row.setting)
        record = run_network(network, spikes, layers=())
        expected = profile(network, record=record, hw=["loihi1", "loihi2"]).to_dict()
        told = row.to_dict()["deployment"]
        assert told["tracklets"] == len(data.gallery) == 6
        assert told["synops"] == expected["per_sample"]["synops"]
        assert told["spikes"] == expected["per_sample"]["spikes_out"]
        for name, one in told["targets"].items():
            assert one["energy"]["low_uj"] == expected["energy"][name]["bounded"]["low_uj"]
            assert one["energy"]["high_uj"] == expected["energy"][name]["bounded"]["high_uj"]
            assert one["latency"]["low_us"] == expected["latency"][name]["low_us"]
            assert one["fits"] == expected["fit"][name]["fits"]
            flat = row.flat()
            assert flat[f"{name}_low_uj"] == one["energy"]["low_uj"]
            assert flat[f"{name}_fits"] == one["fits"]
    priced = {str(row.setting): row.to_dict()["deployment"] for row in found.rows if row.deployment}
    assert len({one["synops"] for one in priced.values()}) == 3
    assert "µJ, loihi2" in str(found)
    assert "modelled from counts of 6 tracklets" in found.notes[-1]
    # From the store: the same, and no tracklet is loaded; a damaged file is counted again.
    again = noise_data(persons=2)
    told = evaluate(trained, again, how=kept, **options).to_json()
    assert again.loaded == []
    assert json.loads(told)["rows"] == found.to_dict()["rows"]
    for path in (tmp_path / "store").rglob("*.safetensors"):
        arrays = load_file(path)
        if "steps" in arrays:
            save_file({**arrays, "0.spikes_in": arrays["0.spikes_in"][:-1]}, path)
    assert evaluate(trained, again, how=kept, **options).to_json() == told
    assert len(again.loaded) == 12  # six at each number of bins


@pytest.mark.slow
def test_parts_of_rankings_make_the_rankings_of_one_process(
    checkpoint, noise_data, tmp_path, monkeypatch
):
    monkeypatch.setattr("sdcl_neuro.reid.metrics.blocks.BLOCK_BYTES", 8 * 12 * 2)
    trained = open_trained(checkpoint("e"))
    common = {
        "settings": parse_sweep(["bits=4"]),
        "conditions": (Condition(), Condition("blur", 3)),
    }
    judging = EvaluationSettings(reranking=ReRanking(k1=4, k2=2))
    alone, shared = (
        Extraction(batch=5, store=FeatureStore(tmp_path / name)) for name in ("alone", "shared")
    )

    def files(name):
        return {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.safetensors")}

    found = evaluate(trained, noise_data(), judging=judging, how=alone, **common)
    parts = [Shard(number, 3) for number in (2, 3, 1)]
    request = EvaluationRequest(trained, noise_data(), judging=judging, how=shared, **common)
    for part in parts:
        embed_part(request, part)
    # Events alone: the condition of the frames changes nothing, and two rows are ranked, in blocks
    # of two of the four queries, and one of the sixteen tracklets.
    for stage, blocks in (("neighbours", 16), ("lists", 4)):
        before = len(files("shared"))
        done = [rank_part(request, part, stage=stage) for part in parts]
        assert sum(one.blocks for one in done) == 4 * blocks
        assert len(files("shared")) == before + 2 * blocks
    assert files("shared") == files("alone")
    monkeypatch.setattr(rankings, "rank_blocks", None)  # nothing is missing
    again = evaluate(trained, noise_data(), judging=judging, how=shared, **common)
    assert again.to_dict()["rows"] == found.to_dict()["rows"]
    for one, other in zip(again.rows, found.rows, strict=True):
        assert one.ranking.digests == other.ranking.digests
        np.testing.assert_array_equal(one.ranking.distances, other.ranking.distances)
    with pytest.raises(InputError, match="nowhere to keep a part"):
        rank_part(EvaluationRequest(trained, noise_data()), parts[0], stage="lists")


def test_what_has_no_price_is_refused(trained, checkpoint, noise_data):
    with pytest.raises(InputError, match="no event branch in integers, which loihi2 would run"):
        evaluate(trained, noise_data(), backends=["snntorch"], hardware=["loihi2"])
    with pytest.raises(InputError, match="no event branch in integers"):
        evaluate(open_trained(checkpoint("v")), noise_data(), hardware=["loihi2"])
    with pytest.raises(InputError, match="name each once"):
        evaluate(trained, noise_data(), hardware=["loihi2", "loihi2"])
    with pytest.raises(InputError, match="loihi9"):
        evaluate(trained, noise_data(), hardware="loihi9")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bits", "sweep 'bits'"),
        ("leak=1", "sweep 'leak=1'"),
        ("bits=x", "give a number"),
        ("bits=9", "9 bits"),
        ("bins=0", "0 bins"),
        ("threshold=-1", "threshold -1"),
        ("threshold=nan", "threshold nan"),
    ],
)
def test_bad_sweeps_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_sweep([text])


@given(
    st.lists(st.floats(-300, 300), min_size=1, max_size=20),
    st.integers(2, 8),
)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_a_grid_of_fewer_bits_is_the_nearest_of_its_values(values, bits):
    levels = [-256 + k * 512 // 2**bits for k in range(2**bits)]
    found = coarse(np.array(values), bits)
    for value, chosen in zip(values, found, strict=True):
        assert chosen in levels
        assert abs(chosen - value) == pytest.approx(min(abs(level - value) for level in levels))


def test_settings_change_what_they_name(checkpoint):
    model = open_trained(checkpoint("e")).events
    integer, floating = model.integer, model.floating
    same = apply_integer(integer, floating, Setting())
    assert network_sha256(same) == network_sha256(integer)
    # Rounded once, from the float weights: 8 bits by the same way are the deployed integers.
    for layer, before in zip(integer.layers, floating.layers, strict=True):
        np.testing.assert_array_equal(coarse(before.weight * before.scale, 8), layer.weight)
    four = apply_integer(integer, floating, Setting(bits=4))
    assert all((layer.weight % 32 == 0).all() for layer in four.layers)
    assert [la.neuron for la in four.layers] == [la.neuron for la in integer.layers]
    again = apply_integer(integer, None, Setting(bits=4))
    assert all((layer.weight % 32 == 0).all() for layer in again.layers)
    higher = Setting(threshold=1.25)
    for old, new in zip(
        integer.layers, apply_integer(integer, floating, higher).layers, strict=True
    ):
        assert new.neuron.threshold == round(old.neuron.threshold * 1.25)
    for old, new in zip(floating.layers, apply_float(floating, higher).layers, strict=True):
        assert new.neuron.threshold == pytest.approx(old.neuron.threshold * 1.25)
    for factor in (1e-9, 1e9):
        with pytest.raises(InputError, match="give a factor"):
            apply_integer(integer, floating, Setting(threshold=factor))


def test_what_cannot_be_evaluated_is_refused(trained, checkpoint, noise_data, tmp_path):
    with pytest.raises(InputError, match="unknown backend 'loihi3'"):
        evaluate(trained, noise_data(), backends=["loihi3"])
    with pytest.raises(InputError, match="name each once"):
        evaluate(trained, noise_data(), backends=["loihi", "loihi"])
    with pytest.raises(InputError, match="no tracklets in the query"):
        evaluate(trained, noise_data(cameras=1))
    with pytest.raises(InputError, match="neither sdcl"):
        open_trained(tmp_path)
    (tmp_path / "configuration.toml").write_text("")
    with pytest.raises(InputError, match="not finished"):
        open_trained(tmp_path)


def test_ranked_lists_as_a_picture(trained, noise_data, tmp_path):
    data = noise_data()
    ranking = evaluate(trained, data).rows[0].ranking
    shown = {"query": data.query, "gallery": data.gallery}
    figure = ranked_figure(data, ranking, trained.clip, **shown, queries=3, entries=4)
    (plane,) = figure.axes
    words = [text.get_text() for text in plane.texts]
    titles, names = words[::2], words[1::2]
    expected = []
    for row in (0, 2, 3):  # of four queries, evenly chosen
        expected.append(("query", data.query[row], QUERY, "solid"))
        for place in range(4):
            right = ranking.matches[row, place]
            look = (RIGHT, "solid") if right else (WRONG, "dashed")
            title = f"{place + 1}: {ranking.distances[row, place]:.3f}"
            expected.append((title, data.gallery[ranking.head[row, place]], *look))
    shown_cells = zip(titles, names, plane.patches, plane.images, expected, strict=True)
    for title, name, frame, image, (wanted, position, colour, style) in shown_cells:
        entry = data.entries[position]
        assert (title, name) == (wanted, f"person {entry.person}, camera {entry.camera}")
        assert frame.get_edgecolor() == rgba(colour)
        assert frame.get_linestyle() == style
        assert image.get_array().shape == (256, 256, 3)  # a frame beside its events
        assert frame.get_xy() == (image.get_extent()[0], image.get_extent()[3])
    path = draw_ranked_lists(tmp_path / "lists.png", data, ranking, trained.clip, **shown)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(InputError, match="at least one row"):
        draw_ranked_lists(path, data, ranking, trained.clip, **shown, entries=0)


def rgba(colour):
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


def reid_arguments(folder, root):
    lists = [str(root / f"{name}.txt") for name in ("query", "gallery")]
    return [
        *("evaluate", str(folder), "--data", "event-reid", "--root", str(root)),
        *("--query-list", lists[0], "--gallery-list", lists[1]),
    ]


def test_the_verb_on_lists_of_windows(checkpoint, windows, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = checkpoint("e")
    code = main(
        [
            *reid_arguments(folder, windows),
            *("--backend", "snntorch,snntorch-int,loihi", "--sweep", "bits=5", "--rerank"),
            *("--json", "e.json", "--csv", "e.csv", "--picture", "e.png", "--cache", "store"),
            *("evaluation.k1=3", "evaluation.k2=2"),
        ]
    )
    assert code == 0
    out = capsys.readouterr().out
    assert "query 3 of 3 persons, 1 cameras; gallery 9 of 3 persons, 3 cameras" in out
    assert "picture: e.png" in out
    result = json.loads((tmp_path / "e.json").read_text())
    assert result["schema"] == {"name": "sdcl_neuro.evaluation", "version": 1}
    assert (result["queries"], result["gallery"]) == (3, 9)
    assert result["reranking"] == {"k1": 3, "k2": 2, "weight": 0.3}
    assert [row["backend"] for row in result["rows"]] == [
        "snntorch", "snntorch-int", "loihi", "snntorch-int", "loihi"
    ]  # fmt: skip
    assert result["rows"][0]["changed_lists"] is None
    assert result["rows"][1]["changed_lists"]["queries"] == 3
    assert result["rows"][3]["setting"] == {"bits": 5, "bins": None, "threshold": 1.0}
    lines = list(csv.DictReader((tmp_path / "e.csv").read_text().splitlines()))
    for line, row in zip(lines, result["rows"], strict=True):
        assert float(line["mAP"]) == row["metrics"]["mAP"]
        assert float(line["R1"]) == row["metrics"]["cmc"]["1"]
        assert float(line["reranked_mAP"]) == row["reranked"]["mAP"]
    # The same figures without the verb.
    data = read_event_reid(windows, query=windows / "query.txt", gallery=windows / "gallery.txt")
    found = evaluate(open_trained(folder), data, backends=["loihi"])
    assert found.rows[0].metrics.to_dict() == result["rows"][2]["metrics"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--data", "prid2012"], "no configuration 'prid2012'"),
        ([], "nothing says on which data"),
        (
            ["--data", "generated", "--query-list", "a.txt", "--gallery-list", "b.txt"],
            "for event-reid only",
        ),
        (["--data", "event-reid", "--query-list", "a.txt", "--root", "."], "give both"),
        (["--data", "generated", "--degrade", "blur"], "degradation 'blur'"),
        (["--data", "generated", "--degrade", "blur:6"], "1 to 5"),
        (["--data", "generated", "--picture", "a.jpg"], "does not end in .png"),
        (["--data", "generated", "--batch", "-1"], "batches of -1"),
        (["--data", "generated", "data.nothing=1"], "data.nothing"),
        (["--data", "prid2011"], "give it with --root"),
        (["--data", "generated", "--combine"], "--combine without --sweep"),
        (["--data", "generated", "--hw", ","], "no hardware named"),
        (["--data", "generated", "--hw", "loihi9"], "loihi9"),
    ],
)
def test_bad_commands_are_refused_in_one_line(checkpoint, capsys, extra, message):
    assert main(["evaluate", str(checkpoint("e")), *extra]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_runs_folder_brings_its_own_data(checkpoint, tmp_path, capsys):
    from sdcl_neuro.reid.configuration import load_configuration

    small = load_configuration(
        "generated-small",
        [
            *("data.generated.persons=4", "data.generated.train_persons=2"),
            *("data.generated.walks=1", "data.generated.cameras=2"),
            *("data.degradation.kind=blur", "data.degradation.severity=4", "evaluation.batch=3"),
        ],
    )
    (tmp_path / "configuration.toml").write_text(small.to_toml())
    (tmp_path / "model").symlink_to(checkpoint("e"))
    assert main(["evaluate", str(tmp_path), "evaluation.distance=euclidean"]) == 0
    out = capsys.readouterr().out
    assert "with blur, severity 4" in out
    assert "by euclidean distance; 4 queries" in out
    # The command's own conditions replace the configured one.
    assert main(["evaluate", str(tmp_path / "model"), "--degrade", "noise:1"]) == 0
    out = capsys.readouterr().out
    assert "severity 4" not in out
    assert "noise:1" in out


def test_real_windows_leave_persons_out(checkpoint, shared_data):
    root = shared_data / "event_reid_train"
    trained = open_trained(checkpoint("e"))
    fold = leave_persons_out(read_event_reid(root), folds=2)[0]
    found = evaluate(trained, fold, backends=("snntorch-int", "loihi"), how=Extraction(batch=4))
    assert found.rows[1].changed.whole == 0
    assert found.rows[0].metrics.queries == len(fold.query)
    tested = {fold.entries[k].person for k in fold.query}
    assert tested.isdisjoint(fold.entries[k].person for k in fold.train)


def test_heads_agree_with_full_lists(trained, noise_data):
    data = noise_data()
    ranking = evaluate(trained, data, backends=["loihi"]).rows[0].ranking
    who, where = labels(data, "query"), labels(data, "gallery")
    named = who.persons, where.persons, who.cameras, where.cameras
    for query, head in enumerate(ranking.head):
        full = np.full((1, len(data.gallery)), np.inf)
        full[0, head[head >= 0]] = ranking.distances[query, head >= 0]
        one = rank(
            full, named[0][query : query + 1], named[1], named[2][query : query + 1], named[3]
        )
        kept = one[0].gallery[: (head >= 0).sum()]
        np.testing.assert_array_equal(kept, head[head >= 0])
