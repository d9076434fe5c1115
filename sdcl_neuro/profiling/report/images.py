"""Pictures in the page itself: PNG or JPEG as data URIs, and images of events."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterable

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need

Image = NDArray[np.uint8]

ON_RGB = (199, 62, 58)
OFF_RGB = (40, 98, 174)


def data_uri(image: Image, *, photograph: bool = False) -> str:
    """Encode an image.

    Args:
        image: uint8 ``[H, W]`` grey, ``[H, W, 3]`` RGB or ``[H, W, 4]`` RGBA.
        photograph: JPEG, small and lossy; else PNG, exact.

    Raises:
        InputError: another shape or type, or an empty image.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.size == 0:
        raise InputError(
            f"an image of shape {list(array.shape)} and type {array.dtype}",
            hint="give uint8 [H, W], [H, W, 3] RGB or [H, W, 4] RGBA",
        )
    if array.ndim == 3 and array.shape[2] not in (3, 4):
        raise InputError(f"an image with {array.shape[2]} channels", hint="give RGB or RGBA")
    if photograph:
        cv2 = need("cv2", "photographs in a report")
        blue_first = np.ascontiguousarray(array[..., 2::-1]) if array.ndim == 3 else array
        _, coded = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, 88])
        return f"data:image/jpeg;base64,{b64encode(coded.tobytes()).decode('ascii')}"
    return f"data:image/png;base64,{b64encode(_png(array)).decode('ascii')}"


def _png(image: NDArray[np.uint8]) -> bytes:
    """Encode an image as a PNG file (ISO/IEC 15948): rows without filters, deflated."""
    rows = image.reshape(image.shape[0], -1)
    unfiltered = np.concatenate([np.zeros((len(rows), 1), np.uint8), rows], axis=1)
    colour = {2: 0, 3: 2, 4: 6}[image.ndim if image.ndim == 2 else image.shape[2]]
    head = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def picture(
    image: Image,
    *,
    caption: str = "",
    alt: str = "",
    width: int | None = None,
    photograph: bool = False,
    kind: str = "pixelated",
) -> Markup:
    """Return an image with a caption.

    Args:
        image: as for `data_uri`.
        caption: below it.
        alt: for who cannot see it; the caption if empty.
        width: CSS pixels; None takes the image's own. An exact image is enlarged in blocks.
        photograph: store as JPEG and enlarge smoothly.
        kind: classes of an exact image; ``pixelated events`` is lightened on a dark page.
    """
    shown = image.shape[1] if width is None else width
    height = round(shown * image.shape[0] / image.shape[1])
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else Markup("")
    return Markup(
        '<figure class="picture"><img{} src="{}" width="{}" height="{}" alt="{}">{}</figure>'
    ).format(
        Markup("") if photograph else Markup(' class="{}"').format(kind),
        data_uri(image, photograph=photograph),
        shown,
        height,
        alt or caption,
        below,
    )


def pair(items: Iterable[Markup]) -> Markup:
    """Return pictures that belong together: they stay on one line."""
    return Markup('<div class="pair">{}</div>').format(Markup("\n").join(items))


def pictures(items: Iterable[Markup]) -> Markup:
    """Return pictures side by side, wrapping."""
    return Markup('<div class="pictures">{}</div>').format(Markup("\n").join(items))


def event_image(counts: NDArray[np.generic], *, full: float = 1.0) -> Image:
    """Return events as colours: ON red, OFF blue, both purple; where there are none, nothing is
    drawn.

    Args:
        counts: ``[2, H, W]``, channel 0 OFF, 1 ON; or ``[K, 2, H, W]``, summed over K.
        full: count at which the colour is full.

    Returns:
        uint8 ``[H, W, 4]`` RGBA, so that the picture fits a light and a dark page.
    """
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim == 4:
        array = array.sum(axis=0)
    if array.ndim != 3 or array.shape[0] != 2:
        raise InputError(
            f"event counts of shape {list(array.shape)}", hint="give [2, H, W] or [K, 2, H, W]"
        )
    off, on = np.clip(array / full, 0.0, 1.0)
    image = np.zeros((*array.shape[1:], 4))
    both = np.where(off + on > 0, off + on, 1.0)[..., None]
    image[..., :3] = (off[..., None] * OFF_RGB + on[..., None] * ON_RGB) / both
    # Both on one pixel are darker than each, as inks are.
    image[..., :3] *= 1 - 0.3 * np.minimum(off, on)[..., None]
    image[..., 3] = 255 * (1 - (1 - off) * (1 - on))
    return np.round(image).astype(np.uint8)


def on_white(image: Image) -> Image:
    """Return an image ``[H, W, 4]`` RGBA on white paper, ``[H, W, 3]`` RGB."""
    alpha = image[..., 3:].astype(np.float64) / 255
    mixed: Image = np.round(image[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return mixed


def event_legend() -> Markup:
    """Return what the colours of `event_image` mean."""
    items = Markup("").join(
        Markup('<li><span class="swatch" style="background:rgb({},{},{})"></span>{}</li>').format(
            *colour, name
        )
        for colour, name in ((ON_RGB, "ON: brighter"), (OFF_RGB, "OFF: darker"))
    )
    return Markup('<ul class="legend">{}</ul>').format(items)
