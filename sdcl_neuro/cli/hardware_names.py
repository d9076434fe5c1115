"""Names of chips on the command line."""

from __future__ import annotations

from sdcl_neuro.errors import InputError


def hardware_names(text: str) -> list[str]:
    """Return the names in the value of ``--hw``.

    Raises:
        InputError: it holds none.
    """
    names = listed(text)
    if not names:
        raise InputError("no hardware named", where="--hw", hint="see sdcl-neuro hw list")
    return names


def listed(text: str) -> list[str]:
    """Return what stands between commas, without blanks."""
    return [name.strip() for name in text.split(",") if name.strip()]
