"""Who walks in the generated data set: bodies, clothes and gaits, drawn from a seed.

Clothes come from small palettes that all persons share, so no single colour names anybody: an
identity is the combination of proportions, gait, garments, textures and colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

# RGB, 0 to 255: what people wear outdoors; seldom pure colours.
UPPER_COLOURS: tuple[Colour, ...] = (
    (38, 40, 48),
    (205, 202, 194),
    (58, 74, 116),
    (136, 42, 44),
    (112, 114, 116),
    (84, 98, 66),
    (184, 160, 120),
    (92, 124, 158),
)
LOWER_COLOURS: tuple[Colour, ...] = (
    (32, 33, 40),
    (54, 68, 104),
    (128, 114, 90),
    (88, 90, 94),
    (96, 66, 50),
)
SHOE_COLOURS: tuple[Colour, ...] = ((30, 28, 28), (214, 212, 208), (96, 62, 40))
SKIN_COLOURS: tuple[Colour, ...] = ((232, 190, 162), (198, 146, 112), (140, 96, 70), (92, 62, 48))
HAIR_COLOURS: tuple[Colour, ...] = ((28, 24, 22), (84, 56, 36), (168, 132, 84), (150, 150, 150))

TEXTURES = ("plain", "plain", "across", "down", "checks", "block")
LOWERS = ("trousers", "trousers", "trousers", "shorts", "skirt")
BAGS = ("none", "none", "backpack", "shoulder")
HAIR = ("short", "short", "long", "bald")


@dataclass(frozen=True)
class Gait:
    """How somebody walks; angles in radians, amplitudes of sines over one cycle.

    Attributes:
        cadence_hz: full cycles (two steps) a second.
        thigh: swing of the thighs.
        knee: greatest bend of the knee in swing; `knee_rest` always.
        arm, elbow: swing of the upper arms; constant bend, which grows forwards.
        lean: of the trunk, forwards.
        bounce, sway: rise and sideways sway of the hips in body heights.
        twist: of the shoulders against the hips.
        lag: of the arms behind the legs, as a part of the cycle.
        uneven: how much less the left side swings than the right.
    """

    cadence_hz: float
    thigh: float
    knee: float
    knee_rest: float
    arm: float
    elbow: float
    lean: float
    bounce: float
    sway: float
    twist: float
    lag: float
    uneven: float


@dataclass(frozen=True)
class Body:
    """Lengths in body heights (so that they add up to about 1) and how thick the parts are."""

    thigh: float
    shank: float
    foot: float
    trunk: float
    neck: float
    head: float
    upper_arm: float
    forearm: float
    hips: float
    shoulders: float
    depth: float
    girth: float


@dataclass(frozen=True)
class Clothes:
    """What somebody wears; textures are fixed to the cloth."""

    upper: Colour
    second: Colour
    texture: str
    pitch: float
    sleeve: float
    hem: float
    lower: Colour
    lower_kind: str
    shoes: Colour
    skin: Colour
    hair: Colour
    hair_kind: str
    bag: str
    bag_colour: Colour


@dataclass(frozen=True)
class Person:
    """One identity."""

    number: int
    body: Body
    gait: Gait
    clothes: Clothes


def make_person(seed: int, number: int) -> Person:
    """Return identity `number` of the population that `seed` names; persons do not depend on each
    other.

    Lengths lie around usual human proportions (Winter, "Biomechanics and Motor Control of Human
    Movement", Fig. 4.1), cadences around 0.9 cycles a second.
    """
    generator = np.random.default_rng([seed, 1, number])
    return Person(number, _body(generator), _gait(generator), _clothes(generator))


def _body(generator: np.random.Generator) -> Body:
    def around(mean: float, spread: float) -> float:
        """Return uniform, so that extremes are as common as the middle: persons differ visibly."""
        return float(mean * (1.0 + generator.uniform(-spread, spread)))

    legs = around(0.475, 0.07)
    head = around(0.125, 0.10)
    neck = around(0.045, 0.35)
    arms = around(0.335, 0.08)
    girth = around(1.0, 0.28)
    return Body(
        thigh=0.5 * legs,
        shank=0.5 * legs,
        foot=around(0.13, 0.12),
        trunk=0.96 - legs - head - neck,
        neck=neck,
        head=head,
        upper_arm=0.52 * arms,
        forearm=0.48 * arms,
        hips=around(0.165, 0.15) * girth**0.5,
        shoulders=around(0.225, 0.16),
        depth=around(0.125, 0.12) * girth**0.7,
        girth=girth,
    )


def _gait(generator: np.random.Generator) -> Gait:
    uniform = generator.uniform
    return Gait(
        cadence_hz=uniform(0.72, 1.12),
        thigh=uniform(0.30, 0.52),
        knee=uniform(0.65, 1.15),
        knee_rest=uniform(0.04, 0.18),
        arm=uniform(0.10, 0.60),
        elbow=uniform(0.10, 0.85),
        lean=uniform(-0.04, 0.14),
        bounce=uniform(0.006, 0.022),
        sway=uniform(0.0, 0.022),
        twist=uniform(0.0, 0.22),
        lag=uniform(-0.06, 0.06),
        uneven=uniform(-0.15, 0.25),
    )


def _clothes(generator: np.random.Generator) -> Clothes:
    def pick(colours: tuple[Colour, ...]) -> Colour:
        """Return one of the palette, a little worn: two persons never match to the last grey
        level.
        """
        chosen = np.asarray(colours[generator.integers(len(colours))])
        worn = np.clip(chosen * generator.uniform(0.92, 1.08) + generator.normal(0, 4, 3), 5, 250)
        return float(worn[0]), float(worn[1]), float(worn[2])

    def one(names: tuple[str, ...]) -> str:
        return names[int(generator.integers(len(names)))]

    return Clothes(
        upper=pick(UPPER_COLOURS),
        second=pick(UPPER_COLOURS),
        texture=one(TEXTURES),
        pitch=float(generator.uniform(0.09, 0.24)),
        sleeve=float(generator.choice([0.55, 1.0, 2.0, 2.0])),
        hem=float(generator.uniform(0.0, 0.35)),
        lower=pick(LOWER_COLOURS),
        lower_kind=one(LOWERS),
        shoes=pick(SHOE_COLOURS),
        skin=pick(SKIN_COLOURS),
        hair=pick(HAIR_COLOURS),
        hair_kind=one(HAIR),
        bag=one(BAGS),
        bag_colour=pick(UPPER_COLOURS + LOWER_COLOURS),
    )
