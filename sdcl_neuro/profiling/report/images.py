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
PAPER_RGB = (255, 255, 255)


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
) -> Markup:
    """An image with a caption.

    Args:
        image: as for `data_uri`.
        caption: below it.
        alt: for who cannot see it; the caption if empty.
        width: CSS pixels; None takes the image's own. An exact image is enlarged in blocks.
        photograph: store as JPEG and enlarge smoothly.
    """
    shown = image.shape[1] if width is None else width
    height = round(shown * image.shape[0] / image.shape[1])
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else Markup("")
    return Markup(
        '<figure class="picture"><img{} src="{}" width="{}" height="{}" alt="{}">{}</figure>'
    ).format(
        Markup("" if photograph else ' class="pixelated"'),
        data_uri(image, photograph=photograph),
        shown,
        height,
        alt or caption,
        below,
    )


def pictures(items: Iterable[Markup]) -> Markup:
    """Pictures side by side, wrapping."""
    return Markup('<div class="pictures">{}</div>').format(Markup("\n").join(items))


def event_image(counts: NDArray[np.generic], *, full: float = 1.0) -> Image:
    """Events as colours on white: ON red, OFF blue, both purple.

    Args:
        counts: ``[2, H, W]``, channel 0 OFF, 1 ON; or ``[K, 2, H, W]``, summed over K.
        full: count at which the colour is full.

    Returns:
        uint8 ``[H, W, 3]`` RGB.
    """
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim == 4:
        array = array.sum(axis=0)
    if array.ndim != 3 or array.shape[0] != 2:
        raise InputError(
            f"event counts of shape {list(array.shape)}", hint="give [2, H, W] or [K, 2, H, W]"
        )
    strength = np.clip(array / full, 0.0, 1.0)[..., None]
    image = np.broadcast_to(np.array(PAPER_RGB, dtype=np.float64), (*array.shape[1:], 3)).copy()
    for channel, colour in ((0, OFF_RGB), (1, ON_RGB)):
        # Multiplied, like inks, so that two polarities on one pixel show as both.
        image *= 1 - strength[channel] * (1 - np.array(colour) / 255)
    return np.round(image).astype(np.uint8)


def event_legend() -> Markup:
    """What the colours of `event_image` mean."""
    items = Markup("").join(
        Markup('<li><span class="swatch" style="background:rgb({},{},{})"></span>{}</li>').format(
            *colour, name
        )
        for colour, name in ((ON_RGB, "ON: brighter"), (OFF_RGB, "OFF: darker"))
    )
    return Markup('<ul class="legend">{}</ul>').format(items)
