"""The trunk of a drawn person: its outline from every side, and the textures of its cloth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .camera import BodyView
from .drawing import CORE_SHADE, Brush, Place
from .person import Person
from .posing import SIDES

# Parts of the trunk's height at which its outline has corners; the waist is between.
TRUNK_CORNERS = np.array([0.0, 0.45, 0.86, 1.0])


@dataclass(frozen=True)
class Cloth:
    """The trunk's outline: left and right edges ``[4, 2]`` at `TRUNK_CORNERS`."""

    left: NDArray[np.float64]
    right: NDArray[np.float64]

    def patch(self, up: tuple[float, float], across: tuple[float, float]) -> NDArray[np.float64]:
        """Return a patch, `up` from the hips (0) to the shoulders (1), `across` from left (0) to
        right.

        It keeps the outline's corners where it reaches over them.
        """
        rows = np.array([up[0], *(v for v in TRUNK_CORNERS.tolist() if up[0] < v < up[1]), up[1]])
        left, right = (
            np.stack([np.interp(rows, TRUNK_CORNERS, edge[:, axis]) for axis in (0, 1)], axis=1)
            for edge in (self.left, self.right)
        )
        wide = right - left
        return np.concatenate([left + across[0] * wide, (left + across[1] * wide)[::-1]])


def _cloth(person: Person, places: dict[str, Place], view: BodyView) -> Cloth:
    """Draw cross-sections as ellipses: as wide as the body seen sideways, as deep seen
    lengthways.
    """
    body = person.body
    turn = (np.cos(view.yaw), np.sin(view.yaw))
    thick = 0.5 * body.depth * np.array([1.05, 1.0 * body.girth**0.4, 1.0, 0.55])
    wide = 0.5 * np.array(
        [body.hips * 1.12, body.hips * 0.98, body.shoulders, 0.62 * body.shoulders]
    )
    half = np.hypot(thick * turn[0], wide * turn[1])
    hips, chest = np.asarray(places["hips"][:2]), np.asarray(places["chest"][:2])
    low = hips - (0.0, 0.03 + 0.22 * person.clothes.hem * body.trunk)
    rise = chest - low
    rise[1] += 0.012
    spine = low + TRUNK_CORNERS[:, None] * rise
    aside = np.stack([half, np.zeros(4)], axis=1)
    return Cloth(spine - aside, spine + aside)


def draw_trunk(brush: Brush, person: Person, places: dict[str, Place], view: BodyView) -> None:
    """Draw neck, garment, texture and, where worn, a skirt."""
    clothes = person.clothes
    cloth = _cloth(person, places, view)
    if clothes.lower_kind == "skirt":
        _skirt(brush, person, places, cloth)
    neck, chest = places["neck"], places["chest"]
    brush.limb(neck, chest, (0.030, 0.034), clothes.skin, 0.9)
    brush.polygon(cloth.patch((0.0, 1.0), (0.0, 1.0)), clothes.upper, CORE_SHADE)
    lit = (0.0, 0.72) if brush.light < 0 else (0.28, 1.0)
    brush.polygon(cloth.patch((0.0, 1.0), lit), clothes.upper, 1.0)
    if clothes.texture in ("across", "checks"):
        for low in np.arange(0.04, 1.0, 2 * clothes.pitch):
            high = min(1.0, float(low) + clothes.pitch)
            brush.polygon(cloth.patch((float(low), high), (0.0, 1.0)), clothes.second)
    if clothes.texture in ("down", "checks"):
        _stripes(brush, person, cloth, view)
    if clothes.texture == "block":
        brush.polygon(cloth.patch((0.35 + clothes.pitch, 1.0), (0.0, 1.0)), clothes.second)


def _stripes(brush: Brush, person: Person, cloth: Cloth, view: BodyView) -> None:
    """Draw stripes down a round trunk: each a range of angles, seen where it faces the camera."""
    clothes = person.clothes
    step = 2 * np.pi / max(4, round(1.6 / clothes.pitch))
    colour = clothes.second
    if clothes.texture == "checks":
        first, second = clothes.upper, clothes.second
        colour = (
            0.5 * (first[0] + second[0]),
            0.5 * (first[1] + second[1]),
            0.5 * (first[2] + second[2]),
        )
    for start in np.arange(0.0, 2 * np.pi, step):
        angles = (np.array([start, start + 0.45 * step]) - view.yaw + np.pi) % (2 * np.pi) - np.pi
        low, high = float(angles[0]), float(angles[1])
        if high < low or high < -np.pi / 2 or low > np.pi / 2:
            continue
        seen = np.sin(np.clip([low, high], -np.pi / 2, np.pi / 2))
        across = (0.5 + 0.5 * float(seen[0]), 0.5 + 0.5 * float(seen[1]))
        brush.polygon(cloth.patch((0.0, 0.97), across), colour)


def _skirt(brush: Brush, person: Person, places: dict[str, Place], cloth: Cloth) -> None:
    knees = np.array([places[f"knee_{side}"][0] for side in SIDES])
    low = min(places[f"knee_{side}"][1] for side in SIDES) + 0.02
    left = min(float(knees.min()) - 0.05, float(cloth.left[0, 0]))
    right = max(float(knees.max()) + 0.05, float(cloth.right[0, 0]))
    top = [cloth.right[0] + (0.0, 0.02), cloth.left[0] + (0.0, 0.02)]
    outline = np.stack([np.array([left, low]), np.array([right, low]), *top])
    brush.polygon(outline, person.clothes.lower, 0.95)
