"""The event branches on every chip, as a Markdown table for the documentation."""

from __future__ import annotations

from sdcl_neuro.network.spec import Pair
from sdcl_neuro.snn.branch_description import COMPACT, PAPER, BranchDescription

from .. import list_profiles, load_profile
from .fitting import fit
from .result import Fit

BRANCHES: dict[str, tuple[BranchDescription, Pair]] = {
    "paper, 256x128": (PAPER, (256, 128)),
    "paper, 128x64": (PAPER, (128, 64)),
    "compact, 64x32": (COMPACT, (64, 32)),
}


def branches_table() -> str:
    """Return one row a chip, one column a branch: the verdict, cores and chips, what is
    exceeded.
    """
    lines = [
        f"| chip | {' | '.join(BRANCHES)} |",
        f"|---|{'---|' * len(BRANCHES)}",
    ]
    for name in list_profiles():
        profile = load_profile(name)
        if profile.family == "neuromorphic":
            cells = (_cell(fit(branch, profile, size=size)) for branch, size in BRANCHES.values())
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(found: Fit) -> str:
    said = {True: "**fits**", False: "no", None: "unknown"}[found.fits]
    if found.cores:
        said += f": {found.cores:,} core{'s' * (found.cores != 1)}"
        if found.chips is not None:
            said += f", {found.chips:,} chip{'s' * (found.chips != 1)}"
    return "<br>".join([said, *_exceeded(found)])


def _exceeded(found: Fit) -> list[str]:
    """Return every limit exceeded, layers that exceed the same one together."""
    by_limit: dict[str, list[str]] = {}
    for entry in found.broken:
        allowed = entry.allowed if isinstance(entry.allowed, str) else f"{entry.allowed:,.10g}"
        text = f"{entry.limit.replace('_', ' ')} {entry.value:,.10g} of {allowed}"
        by_limit.setdefault(text, []).append(entry.where)
    return [
        text if where == ["network"] else f"{text} ({', '.join(where)})"
        for text, where in by_limit.items()
    ]
