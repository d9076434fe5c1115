"""Energy and time of an event branch at each setting, on chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.network.identity import network_sha256
from sdcl_neuro.profiling import Profile, profile
from sdcl_neuro.profiling.energy_result import uj_dict
from sdcl_neuro.profiling.interval import finite

from .counting import counted, integer_networks
from .extraction import Extraction
from .feature_sources import FeatureSource
from .planning import OpenedData, by_bins
from .trained import Trained

_ENDS = (
    *(("energy", "low_uj"), ("energy", "high_uj")),
    *(("latency", "low_us"), ("latency", "high_us")),
)


@dataclass(frozen=True, eq=False)
class Deployment:
    """An event branch at one setting on chips.

    Attributes:
        profile: counts of some tracklets, and what one of them costs on each chip.
    """

    profile: Profile

    @property
    def tracklets(self) -> int:
        """How many were counted."""
        return self.profile.samples

    def cells(self) -> dict[str, str]:
        """Return cells of a table: the energy of one tracklet on each chip."""
        return {
            f"µJ, {name}": str(target.energy.bounded_uj or "unknown")
            for name, target in self.profile.targets.items()
        }

    def left_out(self) -> dict[str, str]:
        """Return, by chip, which parts no source bounds; they are not in the energies."""
        found = {name: one.energy.left_out for name, one in self.profile.targets.items()}
        return {name: text for name, text in found.items() if text}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, each of one tracklet."""
        totals, count = self.profile.totals, self.tracklets
        return {
            "tracklets": count,
            "spikes": totals.spikes_out / count,
            "synops": totals.synops / count,
            "targets": {name: self._target(name) for name in self.profile.targets},
        }

    def _target(self, name: str) -> dict[str, Any]:
        target = self.profile.targets[name]
        energy, latency = target.energy, target.latency
        us = latency.us
        return {
            "energy": {
                **uj_dict(energy.bounded_uj, reason=energy.reason),
                "without": list(energy.open_parts),
                "tag": "modelled",
            },
            "latency": {
                "low_us": None if us is None else us.low,
                "high_us": None if us is None else finite(us.high),
                "tag": "modelled",
                **({"reason": latency.reason} if us is None else {}),
            },
            "fits": None if target.fit is None else target.fit.fits,
        }

    def flat(self) -> dict[str, Any]:
        """Return the cells of a row of a CSV file, None for a missing value."""
        plain = self.to_dict()
        values: dict[str, Any] = {name: plain[name] for name in ("spikes", "synops")}
        for name, one in plain["targets"].items():
            ends = {key: one[kind][key] for kind, key in _ENDS}
            values |= {f"{name}_{key}": value for key, value in ends.items()}
            values[f"{name}_fits"] = one["fits"]
        return values


def cost_notes(costs: Mapping[str, Deployment]) -> list[str]:
    """Return what is to be known of the energies, one line each."""
    shown = next(iter(costs.values()), None)
    if shown is None:
        return []
    without = "".join(f"; {name}{text}" for name, text in shown.left_out().items())
    return [
        f"µJ: energy of the event branch for a tracklet, modelled from counts of {shown.tracklets} "
        f"tracklets of the gallery{without}"
    ]


def check_priced(arms: Sequence[FeatureSource], hardware: Sequence[HardwareProfile]) -> None:
    """Raise InputError where chips are named, and nothing runs in a chip's integers."""
    if hardware and all(arm.network is None for arm in arms):
        names = ", ".join(one.name for one in hardware)
        raise InputError(
            f"no event branch in integers, which {names} would run",
            where="--hw",
            hint="add --backend loihi, or leave it out",
        )


def deployments(
    trained: Trained,
    opened: OpenedData,
    arms: Sequence[FeatureSource],
    hardware: Sequence[HardwareProfile],
    how: Extraction,
) -> dict[str, Deployment]:
    """Return costs by the arm's label; of arms in integers, none where no chip is named.

    Events stay as they are whatever the condition of the frames, so that they are counted once.
    """
    found: dict[str, Deployment] = {}
    for bins, group in by_bins(trained, arms if hardware else ()).items():
        networks = integer_networks(group)
        records = counted(opened(bins), networks, replace(trained.clip, bins=bins), how)
        priced = {
            sha: Deployment(profile(networks[sha], record=record, hw=hardware))
            for sha, record in records.items()
        }
        for arm in group:
            if arm.network is not None:
                found[arm.label] = priced[network_sha256(arm.network)]
    return found
