"""Where a walking person's joints are at a moment, in body heights.

Axes: x forwards, y upwards from the ground, z to the person's left. One cycle of the phase is two
steps. The curves are smooth stand-ins for measured gait: thighs swing as sines half a cycle apart,
the knee bends while its thigh swings forwards, arms swing against the legs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .person import Person

Point = NDArray[np.float64]
SIDES = ("left", "right")


@dataclass(frozen=True)
class Pose:
    """Joints ``[3]`` by name; those of a side as ``hip_left`` and so on."""

    joints: dict[str, Point]

    def __getitem__(self, name: str) -> Point:
        return self.joints[name]


def pose(person: Person, phase: float) -> Pose:
    """Return joints at `phase` cycles (any real number; whole ones are the same pose)."""
    body, gait = person.body, person.gait
    turn = 2 * np.pi * phase
    joints: dict[str, Point] = {}
    sway = gait.sway * np.sin(turn)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = 1.0 - gait.uneven * (side == "left")
        cycle = turn + (0.0 if side == "left" else np.pi)
        twist = 0.35 * gait.twist * np.sin(cycle)
        hip = np.array([0.5 * body.hips * twist, 0.0, sway + sign * 0.30 * body.hips])
        thigh = gait.thigh * swing * np.sin(cycle) + 0.06
        knee = gait.knee_rest + gait.knee * swing * _bump(cycle)
        joints[f"hip_{side}"] = hip
        joints[f"knee_{side}"] = hip + _along(thigh, body.thigh)
        shank = thigh - knee
        joints[f"ankle_{side}"] = joints[f"knee_{side}"] + _along(shank, body.shank)
        # The foot is nearly square to the shank; its toe points to the front.
        joints[f"toe_{side}"] = joints[f"ankle_{side}"] + 0.75 * body.foot * np.array(
            [np.cos(0.8 * shank), np.sin(0.8 * shank) * 0.8 - 0.16, 0.0]
        )
    _stand(joints, person, turn)
    _trunk(joints, person, turn, sway)
    return Pose(joints)


def _bump(cycle: float) -> float:
    """Return knee flexion over its leg's cycle, 0 to 1: greatest while the thigh swings
    forwards.
    """
    return float(np.exp(2.2 * (np.cos(cycle + 0.45) - 1.0)))


def _along(angle: float, length: float) -> Point:
    """Return a limb that hangs down, swung forwards by `angle`."""
    return length * np.array([np.sin(angle), -np.cos(angle), 0.0])


def _stand(joints: dict[str, Point], person: Person, turn: float) -> None:
    """Lift everything so that the hips keep their height, but for the bounce of each step."""
    body, gait = person.body, person.gait
    legs = (body.thigh + body.shank) * 0.985 + 0.02
    lift = np.array([0.0, legs + gait.bounce * np.cos(2 * turn) - gait.bounce, 0.0])
    for name in joints:
        joints[name] = joints[name] + lift


def _trunk(joints: dict[str, Point], person: Person, turn: float, sway: float) -> None:
    body, gait = person.body, person.gait
    hips = 0.5 * (joints["hip_left"] + joints["hip_right"])
    up = np.array([np.sin(gait.lean), np.cos(gait.lean), 0.0])
    joints["hips"] = hips
    joints["chest"] = hips + body.trunk * up - np.array([0.0, 0.0, 1.4 * sway])
    joints["neck"] = joints["chest"] + body.neck * up
    joints["head"] = joints["neck"] + 0.5 * body.head * np.array([0.10, 1.0, 0.0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = 1.0 - gait.uneven * (side == "left")
        # Against the leg of the same side.
        cycle = turn + (np.pi if side == "left" else 0.0) + 2 * np.pi * gait.lag
        forwards = 0.5 * body.shoulders * gait.twist * np.sin(cycle)
        shoulder = joints["chest"] + np.array([forwards, -0.025, sign * 0.46 * body.shoulders])
        arm = gait.arm * swing * np.sin(cycle) + 0.5 * gait.lean
        bend = gait.elbow * (0.7 + 0.3 * np.sin(cycle))
        joints[f"shoulder_{side}"] = shoulder
        joints[f"elbow_{side}"] = shoulder + _along(arm, body.upper_arm)
        joints[f"hand_{side}"] = joints[f"elbow_{side}"] + _along(arm + bend, body.forearm)


def walking_speed(person: Person) -> float:
    """Return body heights a second: what two steps of these legs cover, so that feet do not slide
    much.
    """
    body, gait = person.body, person.gait
    stride = 4.0 * (body.thigh + body.shank) * np.sin(gait.thigh * (1.0 - 0.5 * gait.uneven))
    return float(gait.cadence_hz * stride)
