"""The three tags that every figure carries."""

from __future__ import annotations

from markupsafe import Markup

GLYPHS = {"measured": "●", "emulated": "◆", "modelled": "≈"}


def badge(tag: str) -> Markup:
    """Return measured, emulated or modelled; a word and a sign, so that colour is not needed."""
    if tag not in GLYPHS:
        raise ValueError(f"no tag '{tag}' among {', '.join(GLYPHS)}")
    return Markup('<span class="badge {}">{} {}</span>').format(tag, GLYPHS[tag], tag)
