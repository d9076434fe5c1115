"""What a server is to do: its cameras, its gallery, and who may ask it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.live import LiveSettings

from ..pipeline.live_source import LiveSource

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 16
"""Characters; 16 random ones of the 64 that ``secrets.token_urlsafe`` uses are 96 bits."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")


@dataclass(frozen=True)
class CameraSpec:
    """One camera.

    Attributes:
        name: letters, digits, blanks, dots, dashes and underscores, at most 40.
        source: frames, boxes and events, as `live` takes them.
        loop: begin again at the end, for recordings.
        delay_s: how long it waits before it is opened, for recordings.

    Raises:
        InputError: another name, or a delay below 0 or past an hour.
    """

    name: str
    source: LiveSource
    loop: bool = False
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"a camera called {self.name[:60]!r}",
                hint="give letters, digits, blanks, . - and _, at most 40",
            )
        if not 0 <= self.delay_s <= 3600:
            raise InputError(
                f"a delay of {self.delay_s:g} s", where="--delay", hint="give 0 to 3600"
            )


@dataclass(frozen=True)
class GalleryPlan:
    """Which gallery, and what is put into it.

    Attributes:
        address: of the gallery.
        enrol: store an embedding of each tracklet; else the gallery is only searched.
        keep_crops: store a picture of each, too.
        retain: how long entries are kept from now on; None leaves it as it is.
        per_visit: tracklets stored of one visit, at most.
    """

    address: str
    enrol: bool = False
    keep_crops: bool = False
    retain: timedelta | None = None
    per_visit: int = 8


@dataclass(frozen=True)
class Door:
    """Where the server listens and who may come in.

    Attributes:
        host: an address of this machine.
        port: 0 takes a free one.
        token: asked of everyone; None where only this machine can ask.
        names: host names under which the server may be asked, besides addresses.
        certificate, key: PEM files for TLS.
        viewers: pages open at a time, at most.

    Raises:
        InputError: an address beyond this machine without a token, or a token that is too short.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    viewers: int = 32

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise InputError(f"port {self.port}", where="--port", hint="give 0 to 65535")
        if self.token is not None and (
            len(self.token) < SHORTEST_TOKEN or not self.token.isascii() or " " in self.token
        ):
            raise InputError(
                f"a token of {len(self.token)} characters, or with blanks or other than ASCII",
                where="SDCL_NEURO_TOKEN",
                hint=f"give at least {SHORTEST_TOKEN} letters and digits, "
                'as of python -c "import secrets; print(secrets.token_urlsafe())"',
            )
        if not self.local and self.token is None:
            raise InputError(
                f"listening on {self.host} without a token: everyone in the network could look "
                "at the cameras and change the gallery",
                where="--host",
                hint="set SDCL_NEURO_TOKEN or give --token-file FILE",
            )
        if (self.certificate is None) != (self.key is None):
            raise InputError(
                "TLS needs a certificate and its key",
                where="--tls-certificate",
                hint="give --tls-certificate and --tls-key",
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can ask."""
        return self.host in LOOPBACK

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "http" if self.certificate is None else "https"


@dataclass(frozen=True)
class ServeSettings:
    """All that a server is told.

    Attributes:
        cameras: at least one, of different names.
        gallery: see `GalleryPlan`.
        door: see `Door`.
        checkpoint: folder of a whole SDCL; None takes the packaged one, which is said.
        backend: of the event branch.
        live: queue and batches, shared by all cameras.
        false_match_rate: of the threshold for unknown persons; None takes the usual one.
        threshold: cosine that is stated; None takes that of the false match rate.
        hardware: chips to price the event branch on.

    Raises:
        InputError: no cameras, or two of one name; a threshold that is no cosine.
    """

    cameras: tuple[CameraSpec, ...]
    gallery: GalleryPlan
    door: Door = field(default_factory=Door)
    checkpoint: Path | None = None
    backend: str = "loihi"
    live: LiveSettings = field(default_factory=lambda: LiveSettings(queue=64, batch=8))
    false_match_rate: float | None = None
    threshold: float | None = None
    hardware: tuple[str, ...] = ("loihi1", "loihi2")

    def __post_init__(self) -> None:
        names = [camera.name for camera in self.cameras]
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise InputError(
                f"a threshold of {self.threshold:g}", where="--threshold", hint="give -1 to 1"
            )
        if self.threshold is not None and self.false_match_rate is not None:
            raise InputError("a threshold and a false match rate", hint="give one of them")
        if not names:
            raise InputError("no camera", hint="give --camera, --cameras FILE or --demo")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"two cameras called {twice[0]!r}", hint="give each a name of its own")
