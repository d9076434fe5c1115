"""A whole person, drawn from the farthest body part to the nearest."""

from __future__ import annotations

import numpy as np

from .camera import BodyView
from .drawing import Brush, Place
from .person import Person
from .posing import SIDES, Point, Pose
from .trunk import draw_trunk

FAR_SHADE = 0.74


def draw_person(brush: Brush, person: Person, pose: Pose, view: BodyView) -> None:
    """Draw one person as `view` sees them: limbs far from the camera first."""
    places = {name: view.project(point) for name, point in pose.joints.items()}
    near_side = max(SIDES, key=lambda side: places[f"hip_{side}"][2])
    far_side = SIDES[1 - SIDES.index(near_side)]
    bag_is_near = _bag_depth(person, view) > 0
    _shadow(brush, person, places)
    _arm(brush, person, places, far_side, FAR_SHADE)
    if not bag_is_near:
        _bag(brush, person, pose, view)
    # The leg in front by depth at the ankle is drawn last: seen from the front they cross.
    order = sorted(SIDES, key=lambda side: (side == near_side, places[f"ankle_{side}"][2]))
    for side in order:
        _leg(brush, person, places, side, 1.0 if side == order[-1] else FAR_SHADE)
    draw_trunk(brush, person, places, view)
    if bag_is_near:
        _bag(brush, person, pose, view)
    _head(brush, person, places, view)
    _arm(brush, person, places, near_side, 1.0)


def _shadow(brush: Brush, person: Person, places: dict[str, Place]) -> None:
    turn = np.linspace(0, 2 * np.pi, 14)
    for side in SIDES:
        right = places[f"ankle_{side}"][0]
        outline = np.stack([right + 0.09 * np.cos(turn), 0.004 + 0.012 * np.sin(turn)], axis=1)
        brush.polygon(outline, (52.0, 52.0, 56.0))


def _leg(brush: Brush, person: Person, places: dict[str, Place], side: str, shade: float) -> None:
    body, clothes = person.body, person.clothes
    thick = 0.052 * body.girth**0.6
    hip, knee, ankle, toe = (places[f"{joint}_{side}"] for joint in ("hip", "knee", "ankle", "toe"))
    bare = clothes.lower_kind != "trousers"
    shank = clothes.skin if bare else clothes.lower
    thin = 0.026 if bare else 0.034 * body.girth**0.4
    brush.limb(ankle, toe, (0.026, 0.019), clothes.shoes, shade)
    brush.limb(knee, ankle, (thick * (0.62 if bare else 0.74), thin), shank, shade)
    brush.limb(hip, knee, (thick * 1.25, thick * 0.78), clothes.lower, shade)


def _arm(brush: Brush, person: Person, places: dict[str, Place], side: str, shade: float) -> None:
    body, clothes = person.body, person.clothes
    thick = 0.030 * body.girth**0.5
    shoulder, elbow, hand = (places[f"{joint}_{side}"] for joint in ("shoulder", "elbow", "hand"))
    long = clothes.sleeve >= 2.0
    forearm = clothes.upper if long else clothes.skin
    brush.limb(elbow, hand, (thick * (0.92 if long else 0.75), thick * 0.62), forearm, shade)
    if long:
        tip = _between(elbow, hand, 1.08)
        brush.limb(_between(elbow, hand, 0.98), tip, (0.017, 0.015), clothes.skin, shade)
    if clothes.sleeve < 1.0:
        brush.limb(shoulder, elbow, (thick * 0.9, thick * 0.8), clothes.skin, shade)
    cuff = _between(shoulder, elbow, min(clothes.sleeve, 1.0))
    brush.limb(shoulder, cuff, (thick * 1.2, thick), clothes.upper, shade)


def _between(a: Place, b: Place, part: float) -> Place:
    return (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]), a[2])


def _head(brush: Brush, person: Person, places: dict[str, Place], view: BodyView) -> None:
    body, clothes = person.body, person.clothes
    right, up, _ = places["head"]
    front, away = float(np.cos(view.yaw)), float(np.sin(view.yaw))
    turn = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    half = 0.5 * body.head
    oval = np.stack([0.74 * half * np.cos(turn), half * np.sin(turn)], axis=1)
    if clothes.hair_kind == "long":
        fall = (right - 0.35 * half * front, up - 1.35 * half, 0.0)
        brush.limb((right - 0.2 * half * front, up, 0.0), fall, (0.8 * half, 0.6 * half),
                   clothes.hair, 0.95)  # fmt: skip
    centre = np.array([right, up])
    brush.polygon(oval + centre, clothes.skin)
    if clothes.hair_kind == "bald":
        return
    # Hair covers the crown and the back; the farther the face is turned away, the more of it.
    back = np.array([-0.30 * front * half, (0.34 - 0.30 * max(away, 0.0)) * half])
    back[1] += 0.06 * half
    brush.polygon(oval * (0.98, 0.80) + back + centre, clothes.hair)
    if away < 0.6:
        face = np.stack([0.50 * half * np.cos(turn), 0.62 * half * np.sin(turn)], axis=1)
        forwards = (0.30 * half * front, -0.28 * half)
        brush.polygon(face + forwards + centre, clothes.skin)


def _bag_depth(person: Person, view: BodyView) -> float:
    """Return how far the bag is in front of the trunk's middle, towards the camera."""
    return view.project(_bag_offset(person))[2]


def _bag_offset(person: Person) -> Point:
    body = person.body
    if person.clothes.bag == "backpack":
        return np.array([-0.62 * body.depth, 0.0, 0.0])
    return np.array([0.0, 0.0, -0.62 * body.hips])


def _bag(brush: Brush, person: Person, pose: Pose, view: BodyView) -> None:
    clothes = person.clothes
    if clothes.bag == "none":
        return
    offset = _bag_offset(person)
    if clothes.bag == "backpack":
        top = view.project(pose["chest"] + offset - (0.0, 0.06, 0.0))
        bottom = view.project(pose["hips"] + offset + (0.0, 0.10, 0.0))
        wide = 0.045 + 0.035 * abs(float(np.sin(view.yaw)))
        brush.limb(top, bottom, (wide, wide * 1.08), clothes.bag_colour, 1.0)
        return
    top = view.project(pose["hips"] + offset + (0.02, 0.03, 0.0))
    bottom = view.project(pose["hips"] + offset + (0.0, -0.05, 0.0))
    strap = view.project(pose["shoulder_left"])
    brush.limb(strap, top, (0.008, 0.008), clothes.bag_colour, 0.8)
    wide = 0.040 + 0.030 * abs(float(np.cos(view.yaw)))
    brush.limb(top, bottom, (wide, wide), clothes.bag_colour, 1.0)
