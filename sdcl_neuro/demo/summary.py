"""The demonstration in a terminal, and as JSON."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from sdcl_neuro.extras import program
from sdcl_neuro.files import write_json
from sdcl_neuro.network.backend_names import labels
from sdcl_neuro.profiling import Profile
from sdcl_neuro.profiling.interval import figure

from . import clip_path, tracks_path
from .demonstration import DemoResult
from .parity import KEPT

SCHEMA = {"name": "sdcl_neuro.demo", "version": 2}
DEMONSTRATION = (
    "A demonstration, not an accuracy result: six persons, one camera, and the persons ranked are "
    "the persons trained on."
)


def headline(story: DemoResult) -> list[tuple[str, str, str, str]]:
    """Return label, value, unit and tag of the figures that matter most."""
    profile = story.session.profile
    exact = [
        (pair, layer)
        for certificate in story.certificates.values()
        for pair in certificate.pairs
        if pair.kind == "exact"
        for layer in pair.layers
    ]
    mismatches = sum(layer.mismatches for _, layer in exact)
    spikes = sum(max(layer.spikes) for _, layer in exact)
    wall = _wall_s(story) / len(story.session.tracklets)
    found = [
        ("Parity mismatches", f"{mismatches:,}", f"in {spikes:,} spikes", "emulated"),
        ("Activity sparsity", f"{100 * profile.totals.activation_sparsity:.1f}", "%", "emulated"),
        (
            "Synaptic operations, a tracklet",
            figure(profile.totals.synops / profile.samples),
            "",
            "emulated",
        ),
        *_nonzero(profile),
        ("Hybrid inference, a tracklet", figure(1e3 * wall), "ms", "measured"),
    ]
    for name, target in profile.targets.items():
        interval = target.energy.bounded_uj
        if interval is not None:
            label = f"Event branch on {name}, a tracklet{target.energy.left_out}"
            found.append((label, str(interval), "µJ", "modelled"))
    found.append(("Ranking, mAP", f"{100 * story.ranked.metrics.mean_ap:.1f}", "%", "measured"))
    return found


def _nonzero(profile: Profile) -> list[tuple[str, str, str, str]]:
    """Return the chip's count of synaptic operations, where it is known."""
    count = profile.totals.synops_nonzero
    if count is None:
        return []
    shown = figure(count / profile.samples)
    return [("  of them at weights that are not zero", shown, "", "emulated")]


def summary_text(story: DemoResult) -> str:
    """Return what the demonstration found, for a terminal."""
    lines = [DEMONSTRATION, ""]
    for name, certificate in story.certificates.items():
        lines.append(name)
        for pair in certificate.pairs:
            spikes = " + ".join(f"{max(layer.spikes):,}" for layer in pair.layers)
            lines.append(f"  {labels(pair.backends)}: {pair.verdict} ({spikes} spikes)")
        if certificate.cached:
            lines.append(f"  {KEPT}")
    lines += [f"not run: {name}, {reason}" for name, reason in story.not_run.items()]
    lines.append("")
    width = max(len(label) for label, *_ in headline(story))
    for label, value, unit, tag in headline(story):
        lines.append(f"{label:<{width}}  {value} {unit}  [{tag}]".replace("  [", " [", 1))
    lines += ["", f"ranking (arriving against leaving): {story.ranked.metrics}"]
    return "\n".join(lines)


def next_commands(story: DemoResult) -> str:
    """Return what to try next, with the path of the command and of the files that were written."""
    command = program("sdcl-neuro")
    model, spikes = (quote(str(story.files[name])) for name in ("Lava-DL netx", "spikes"))
    exact = [name for name in ("snntorch-int", "lava") if name not in story.not_run]
    folder = quote(str(story.files["checkpoint"]))
    clip, tracks = (quote(str(path)) for path in (clip_path(), tracks_path()))
    return "\n".join(
        [
            "next:",
            f"  {command} verify {model} --spikes {spikes} --against {','.join(exact)}",
            f"  {command} profile {model} --spikes {spikes} --hw loihi1,loihi2",
            f"  {command} hw fit {model} loihi1",
            f"  {command} infer {folder} --video {clip} --tracks {tracks} --limit 2",
        ]
    )


def write_summary(story: DemoResult, path: Path) -> None:
    """Write every figure of the demonstration as JSON."""
    write_json(path, summary(story))


def summary(story: DemoResult) -> dict[str, Any]:
    """Return plain JSON values."""
    return {
        "schema": SCHEMA,
        "note": DEMONSTRATION,
        "seed": story.settings.seed,
        "backend": story.settings.backend,
        "tracklets": [tracklet.name for tracklet in story.tracklets],
        "files": {name: path.name for name, path in story.files.items()},
        "certificates": {
            name: certificate.to_json() for name, certificate in story.certificates.items()
        },
        "kept": [name for name, one in story.certificates.items() if one.cached],
        "not_run": story.not_run,
        "ledger": story.session.result.ledger.to_dict(),
        "profile": story.session.profile.to_dict(),
        "ranking": story.ranked.to_dict(top=10),
        "embedding_sum": float(np.float64(story.session.result.embeddings).sum()),
    }


def _wall_s(story: DemoResult) -> float:
    spans = story.session.result.ledger.spans
    return max(span.end_s for span in spans) - min(span.start_s for span in spans)
