"""Make the packaged model ``sdcl-small-walkers`` from a finished training, with its card.

Trains nothing itself, so that a training can be killed and gone on with; it prints the command::

    python bench/small_walkers.py --run DIR/run [--root DIR] [--out build]

It evaluates the run on test persons with clean, blurred and occluded frames, writes the ``.net``,
compares every spike on the backends given, and writes all of it with a card, or nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro import __version__, verify
from sdcl_neuro.cli import main as run_command
from sdcl_neuro.conversion.model_reading import load
from sdcl_neuro.files import atomic_folder, file_sha256, write_json
from sdcl_neuro.models import library
from sdcl_neuro.network.spike_file import write_spikes
from sdcl_neuro.reid.configuration import build_data, load_configuration
from sdcl_neuro.reid.evaluation import Condition, FeatureStore, evaluate, open_trained
from sdcl_neuro.reid.evaluation.extraction import Extraction
from sdcl_neuro.reid.pipeline.origin import TRAINED_ON

CHANGES = (
    "training.float_stage.steps=400",
    "training.float_stage.decay_every=280",
    "training.int_stage.steps=100",
    "training.validation_persons=16",
    "data.cache=walks",
)
CONDITIONS = (Condition(), Condition("blur", 3), Condition("occlusion", 3))
BACKENDS = ("snntorch", "snntorch-int", "loihi")
SAMPLES = 4
"""Tracklets whose spikes lie beside the model."""
LIMITS = (
    "it has only ever seen persons that the package renders; it does not recognise real ones",
    "error rates on other persons and cameras are not known",
    "events in training were simulated from rendered frames, not recorded",
    "one training, one seed: three seeds of a shorter one differ by up to 8 points of mAP",
)


def training_command(run: Path, root: Path) -> str:
    """Return the command that trained it; it goes on where it was killed."""
    words = ["sdcl-neuro", "train", "generated-small", "--out", str(run), "--root", str(root)]
    return shlex.join([*words, "--threads", "1", *CHANGES])


def figures(run: Path, root: Path) -> list[dict[str, Any]]:
    """Evaluate a run: a row for each backend and kind of frames; kept beside it."""
    kept = run / "figures.json"
    if kept.is_file():
        found_before: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
        return found_before
    configuration = load_configuration(run / "configuration.toml")
    data = build_data(configuration, root)
    how = Extraction(store=FeatureStore(run / "features"))  # goes on where it was killed
    trained = open_trained(run)
    found = evaluate(trained, data, backends=BACKENDS, conditions=CONDITIONS, how=how)
    assert found is not None
    rows = []
    for row in found.rows:
        rows.append(
            {
                "frames": row.condition,
                "event_branch": row.backend,
                "map": round(row.metrics.mean_ap, 4),
                "rank_1": round(row.metrics.cmc[1], 4),
            }
        )
        print(rows[-1], flush=True)
    write_json(kept, rows)
    return rows


def inputs(run: Path, root: Path) -> np.ndarray:
    """Spikes of the first tracklets of test persons, ``[T, B, 2, H, W]``."""
    configuration = load_configuration(run / "configuration.toml")
    data = build_data(configuration, root)
    tracklets = [data.load(index, configuration.clip) for index in data.query[:SAMPLES]]
    return np.stack([tracklet.spikes for tracklet in tracklets], axis=1)


def say_origin(checkpoint: Path) -> None:
    """Put what the model was trained on into its checkpoint, in words."""
    path = checkpoint / "sdcl.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["provenance"][TRAINED_ON] = (
        f"{library.DEFAULT}, trained on rendered persons alone: do not expect it to recognise "
        "real ones"
    )
    document["provenance"]["log"] = []
    write_json(path, document)


def main() -> None:
    """Evaluate, convert, prove, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished training")
    parser.add_argument("--root", type=Path, default=Path("walks"), help="of rendered walks")
    parser.add_argument("--out", type=Path, default=Path("build"), help="copy it from here")
    parser.add_argument("--against", default="snntorch-int,lava", help="backends of the proof")
    args = parser.parse_args()
    command = training_command(args.run, args.root)
    if not (args.run / "model").is_dir():
        sys.exit(f"no finished training in {args.run}; train it first:\n{command}")
    rows = figures(args.run, args.root)
    with atomic_folder(args.out / library.DEFAULT) as folder:
        checkpoint = folder / library.CHECKPOINT
        shutil.copytree(args.run / "model", checkpoint)
        say_origin(checkpoint)
        network = load(checkpoint)
        # As a user would: so the file carries the comparison with what it was made from.
        assert (
            run_command(["convert", str(checkpoint), str(folder / library.NETWORK), "--quiet"]) == 0
        )
        (folder / f"{library.NETWORK}.json").unlink()
        spikes = inputs(args.run, args.root)
        write_spikes(folder / library.SPIKES, spikes)
        proved = replace(load(folder / library.NETWORK), floating=network.floating)
        certificate = verify(proved, spikes, against=args.against.split(","), cache=False)
        print(certificate)
        assert certificate.holds
        write_json(folder / library.CERTIFICATE, certificate.to_json())
        card = {
            "schema": {"name": "sdcl_neuro.model_card", "version": 1},
            "name": library.DEFAULT,
            "title": library.find_model(library.DEFAULT).title,
            "licence": "MIT, as the package",
            "made": datetime.now(UTC).strftime("%Y-%m-%d"),
            "release": __version__,
            "data": "generated walkers (docs/datasets.md): 128 persons to train on, 64 others to "
            "test, 4 cameras, 2 walks, seed 0; no real person",
            "training": {
                "command": training_command(Path("run"), Path("root")),
                "configuration": "generated-small",
                "seed": 0,
                "steps": "400 in float, 100 in the chip's integers, 32 tracklets each",
            },
            "figures": rows,
            "figures_tag": "measured: mAP and rank 1, as shares, 256 queries of 64 test persons "
            "against 512 in the gallery; chance has mAP 0.024",
            "parity": {" and ".join(pair.backends): pair.verdict for pair in certificate.pairs},
            "limits": list(LIMITS),
            "files": {
                path.relative_to(folder).as_posix(): file_sha256(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        }
        write_json(folder / library.CARD, card)
    size = sum(p.stat().st_size for p in (args.out / library.DEFAULT).rglob("*") if p.is_file())
    print(f"{args.out / library.DEFAULT}: {size:,} bytes")


if __name__ == "__main__":
    main()
