"""The brush: body parts as anti-aliased polygons.

Everything is placed to 1/16 of a pixel, so that a slow movement changes grey levels smoothly and
events come as they would from a real edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.extras import need

from .person import Colour

cv2 = need("cv2", "rendering persons")

FRACTION_BITS = 4
# A half circle of unit vectors, as (across, along), for the ends of limbs.
_HALF = np.stack([np.cos(np.linspace(0, np.pi, 6)), np.sin(np.linspace(0, np.pi, 6))], axis=1)
# Round parts are darker than their colour, but for a lit part of their thickness.
CORE_SHADE, LIT_SHADE, LIT_PART = 0.84, 1.04, 0.62

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Brush:
    """Where and how large to draw on a picture.

    Attributes:
        picture: uint8 ``[H, W, 3]``, drawn upon.
        column, row: of the point on the ground below the body, in pixels.
        scale: pixels per body height.
        light: -1 for light from the left, 1 from the right.
    """

    picture: NDArray[np.uint8]
    column: float
    row: float
    scale: float
    light: float

    def polygon(self, points: NDArray[np.float64], colour: Colour, shade: float = 1.0) -> None:
        """Draw a convex polygon ``[N, 2]``, right and up in body heights."""
        scaled = points * (self.scale, -self.scale) + (self.column, self.row)
        fixed = np.rint(scaled * (1 << FRACTION_BITS)).astype(np.int32)
        red, green, blue = (min(255.0, part * shade) for part in colour)
        cv2.fillConvexPoly(
            self.picture, fixed, (red, green, blue), lineType=cv2.LINE_AA, shift=FRACTION_BITS
        )

    def limb(
        self, start: Place, end: Place, radii: tuple[float, float], colour: Colour, shade: float
    ) -> None:
        """Draw a tapered part with round ends, its lit side brighter."""
        across, along = end[0] - start[0], end[1] - start[1]
        length = float(np.hypot(across, along))
        across, along = (across / length, along / length) if length > 1e-9 else (0.0, 1.0)
        cap = _HALF @ np.array([[along, -across], [across, along]])
        a, b = np.array(start[:2]), np.array(end[:2])
        outline = np.concatenate([b + radii[1] * cap, a - radii[0] * cap])
        self.polygon(outline, colour, shade * CORE_SHADE)
        aside = np.array([self.light * 0.30, 0.06])
        inner = (
            b + radii[1] * (aside + LIT_PART * cap),
            a + radii[0] * (aside - LIT_PART * cap),
        )
        self.polygon(np.concatenate(inner), colour, shade * LIT_SHADE)
