"""The methods there are: one row each, one file of layers each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.frame_branch import FRAME_BRANCHES

from . import grl, mgh, sinet, srs, stmn, strf, tclnet
from .backbone import BackbonePlan, map_channels
from .ctl import CtlHead
from .head import MethodHead, Shape
from .osnet import MeanHead
from .rafa import RafaHead
from .stand_ins import stands_for
from .stgcn import StgcnHead


@dataclass(frozen=True)
class Method:
    """One video network of SDCL's Table 1.

    Attributes:
        title: of the method.
        paper: who published it where.
        head: builds it.
        backbone: what it changes in the frame network, for clips of so many frames; None where it
            takes any frame branch as it is.
        frames: T of its authors.
        multiple: clips are a multiple of so many frames long.
        fixed: whether a trained network takes clips of another length than it was built for.
        source: ``code``, read in its authors' code, or ``reconstruction``: no code was found, and
            what the paper leaves open is filled in by us.
    """

    title: str
    paper: str
    head: Callable[[Shape], MethodHead]
    backbone: Callable[[int], BackbonePlan] | None = None
    frames: int = 8
    multiple: int = 1
    fixed: bool = False
    source: str = "code"


METHODS: dict[str, Method] = {
    "osnet": Method("OSNet", "Zhou et al., ICCV 2019", MeanHead),
    "grl": Method("GRL", "Liu et al., CVPR 2021", grl.GrlHead),
    "srs": Method("SRS-Net", "Wang et al., TNNLS 2020", srs.SrsHead, lambda frames: srs.BACKBONE),
    "stmn": Method(
        "STMN",
        "Eom et al., ICCV 2021",
        stmn.StmnHead,
        lambda frames: stmn.BACKBONE,
        frames=6,
        fixed=True,
    ),
    "sinet": Method(
        "SINet", "Bai et al., CVPR 2022", sinet.SinetHead, sinet.backbone, frames=4, fixed=True
    ),
    "mgh": Method("MGH", "Yan et al., CVPR 2020", mgh.MghHead, lambda frames: mgh.BACKBONE),
    "tclnet": Method(
        "TCLNet",
        "Hou et al., ECCV 2020",
        tclnet.TclHead,
        lambda frames: tclnet.BACKBONE,
        frames=4,
        multiple=2,
    ),
    "ctl": Method("CTL", "Liu et al., CVPR 2021", CtlHead, source="reconstruction"),
    "stgcn": Method("STGCN", "Yang et al., CVPR 2020", StgcnHead, source="reconstruction"),
    "rafa": Method("RAFA", "Zhang et al., CVPR 2020", RafaHead, source="reconstruction"),
    "strf": Method(
        "STRF",
        "Aich et al., ICCV 2021",
        strf.MaxHead,
        lambda frames: strf.BACKBONE,
        frames=4,
        source="reconstruction",
    ),
}


@cache
def backbone_channels(kind: str, name: str, frames: int) -> int:
    """Return channels of the maps that a method's head is given, by a frame network of `NAMES`.

    Raises:
        InputError: a network or a number of frames that the method cannot take.
    """
    check_frames(kind, frames)
    backbone = METHODS[kind].backbone
    if backbone is None:
        return FRAME_BRANCHES[name].channels
    return map_channels(name, backbone(frames), frames=frames)


def notes_on(kind: str) -> tuple[str, ...]:
    """Return what has to be said of a method wherever its figures stand, one line each."""
    stand_in = stands_for(kind)
    if stand_in is not None:
        return (
            f"a stand-in: what SDCL's repository ran as {stand_in.title} (its file "
            f"{stand_in.file}), not the published network (docs/methods.md)",
        )
    method = METHODS.get(kind)
    if method is None:
        return ()
    notes = []
    if method.source == "reconstruction":
        notes.append(
            f"{method.title} is a reconstruction: no code of its authors was found, and what its "
            "paper leaves open is ours (docs/methods.md)"
        )
    if kind == "ctl":
        notes.append("its poses are a prior, a standing body's joints, not an estimate")
    return tuple(notes)


def check_frames(kind: str, frames: int) -> None:
    """Raise InputError for a number of frames that a method cannot take."""
    method = METHODS[kind]
    multiple = method.multiple
    if kind == "sinet" and frames > sinet.SEGMENT:
        multiple = sinet.SEGMENT
    least = max(2, multiple) if kind in ("sinet", "tclnet") else 1
    if frames < least or frames % multiple:
        what = f"a multiple of {multiple}" if multiple > 1 else f"{least} or more"
        raise InputError(
            f"{method.title} cannot take clips of {frames} frames",
            where="clip.frames",
            hint=f"give {what}",
        )
