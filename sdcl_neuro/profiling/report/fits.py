"""Whether a profiled network fits on each target, and how it lies there."""

from __future__ import annotations

from markupsafe import Markup

from sdcl_neuro.hardware.placement.fit_text import verdict as verdict_text

from ..result import NO_FIT, Profile, TargetCost
from .page import Section, join
from .placement_chart import placement_chart
from .tables import Cell, Unknown, table, verdict


def fits_section(profile: Profile) -> Section:
    """Return one row a target, and a picture of every placement at the rates that were counted."""
    rates = [1 - layer.activation_sparsity for layer in profile.layers]
    blocks = [
        table(
            ["target", "fits", "cores", "chips", "exceeded"],
            [_row(name, target) for name, target in profile.targets.items()],
        )
    ]
    blocks += [
        placement_chart(target.fit, rates=rates)
        for target in profile.targets.values()
        if target.fit is not None and target.fit.placement is not None
    ]
    lead = "Layers cut over cores under every known limit of the chip."
    return Section("Fit", join(*blocks), lead)


def _row(name: str, target: TargetCost) -> list[Cell]:
    fit = target.fit
    if fit is None:
        return [name, Unknown(NO_FIT), Unknown(NO_FIT), Unknown(NO_FIT), ""]
    said: Cell = Unknown(fit.reason)
    if fit.fits is not None:
        said = verdict(fit.fits, verdict_text(fit).split(";")[0])
    counts = (Unknown("not placed") if n is None else n for n in (fit.cores, fit.chips))
    exceeded = Markup("<br>").join(map(str, fit.broken))
    return [name, said, *counts, exceeded]
