"""The tables of docs/model.md are what the code counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from sdcl_neuro.hybrid.model_table import ModelTable, describe_model
from sdcl_neuro.reid.configuration import build_model, load_configuration

MARS = ("data.events=events",)
SWITCHES = (
    ("as the paper has it",),
    ("bridge.fusion=none",),
    ("bridge.fusion=concat",),
    ("bridge.fusion=add",),
    ("bridge.fusion=attention",),
    ("bridge.direction=e2f",),
    ("bridge.pyramid=none",),
    ("bridge.pyramid=residual",),
    ("bridge.inputs=v", "bridge.fusion=none"),
    ("bridge.inputs=e", "bridge.fusion=none"),
    ("bridge.channels=512",),
)


def table(name: str, *overrides: str) -> ModelTable:
    configuration = load_configuration(name, overrides)
    identities = configuration.data.generated.training if name == "generated-small" else 625
    with torch.device("meta"):
        model = build_model(configuration, identities)
    return describe_model(model, bins=configuration.clip.bins, size=configuration.clip.size)


def gflops(found: ModelTable) -> str:
    return f"{2 * found.macs / found.frames / 1e9:.1f}"


def ablations(tables: dict[tuple[str, ...], ModelTable]) -> str:
    lines = ["| switch | parameters | MACs a tracklet |", "|---|---:|---:|"]
    for switch, found in tables.items():
        shown = switch[0] if "=" not in switch[0] else " ".join(f"`{one}`" for one in switch)
        lines.append(f"| {shown} | {found.parameters:,} | {found.macs / 1e9:.1f} G |")
    return "\n".join(lines) + "\n"


def figure(sdcl: ModelTable, half: ModelTable, psta: ModelTable) -> str:
    lines = [
        "| | parameters, figure | ours | GFLOPs, figure | ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found, wide, deep in (
        ("PSTA", psta, "35 M", "9.3"),
        ("SDCL", sdcl, "34 M", "8.6"),
        ("SDCL, `bridge.channels=512`", half, "", ""),
    ):
        ours = f"{found.parameters / 1e6:.1f} M"
        lines.append(f"| {name} | {wide} | {ours} | {deep} | {gflops(found)} |")
    parts = [sdcl.part("frame branch"), sdcl.part("frame entry")]
    entry = sum(part.parameters for part in parts)
    macs = sum(part.macs for part in parts)
    lines.append(
        f"| ResNet-50 and the 1x1 convolution | | {entry / 1e6:.1f} M | | "
        f"{2 * macs / sdcl.frames / 1e9:.1f} |"
    )
    chain = psta.part("pyramid").parameters + 3 * 1024 * (2 + 89)  # heads of PRID-2011's 89
    with_chain = (entry + chain) / 1e6
    lines.append(f"| the same, one chain of STAM and 89 classes | | {with_chain:.1f} M | | |")
    return "\n".join(lines) + "\n"


def sections() -> dict[str, str]:
    tables = {
        switch: table("mars", *MARS, *(one for one in switch if "=" in one)) for switch in SWITCHES
    }
    sdcl, half = tables[SWITCHES[0]], tables[("bridge.channels=512",)]
    inputs = ("v", "e", "v+e")
    psta = {one: table("mars", *MARS, "model=psta", f"bridge.inputs={one}") for one in inputs}
    return {
        "sdcl": sdcl.markdown(),
        **{f"psta-{one}": psta[one].markdown() for one in inputs},
        "ablations": ablations(tables),
        "small": table("generated-small").markdown(),
        "figure": figure(sdcl, half, psta["v"]),
    }


@pytest.mark.generated
def test_the_tables_are_what_the_code_counts(
    root: Path, expect_sections: Callable[[Path, Mapping[str, str]], None]
) -> None:
    expect_sections(root / "docs" / "model.md", sections())
