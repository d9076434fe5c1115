"""The table of docs/methods.md is what the code builds and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from sdcl_neuro.hybrid.methods import METHODS
from sdcl_neuro.hybrid.model_table import describe_model
from sdcl_neuro.reid.configuration import build_model, load_configuration

IDENTITIES = 625


def table() -> str:
    lines = [
        f"With ResNet-50 (OSNet: x1.0), V, MARS's {IDENTITIES} identities, the authors' number of "
        "frames; MACs as [model.md](model.md) counts them.",
        "",
        "| `model` | network | written from | frames | parameters | MACs a frame | embedding |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for kind, method in METHODS.items():
        configuration = load_configuration(f"{kind}-mars")
        with torch.device("meta"):
            model = build_model(configuration, IDENTITIES)
        found = describe_model(model, bins=3, size=(256, 128))
        source = "its code" if method.source == "code" else "**reconstruction**"
        lines.append(
            f"| `{kind}` | {method.title} ({method.paper}) | {source} | {method.frames} | "
            f"{found.parameters:,} | {found.macs / found.frames / 1e9:.2f} G | "
            f"{model.bridge.embedding_size:,} |"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.generated
def test_the_table_is_what_the_code_counts(
    root: Path, expect_sections: Callable[[Path, Mapping[str, str]], None]
) -> None:
    expect_sections(root / "docs" / "methods.md", {"methods": table()})
