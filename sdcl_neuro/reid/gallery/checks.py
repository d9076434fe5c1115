"""Whether a gallery holds the embeddings that are asked for."""

from __future__ import annotations

from sdcl_neuro.errors import InputError


def check_model(address: str, found: tuple[str, int], asked: tuple[str | None, int | None]) -> None:
    """See that a gallery holds the embeddings that are asked for.

    Args:
        address: of the gallery.
        found: its model and dimension.
        asked: the same, as wanted; None where any will do.

    Raises:
        InputError: it does not, or holds none.
    """
    wanted = tuple(f if a is None else a for f, a in zip(found, asked, strict=True))
    if found[1] < 1 or found != wanted:
        raise InputError(
            f"embeddings of model {found[0][:12]} in {found[1]} dimensions; this model is "
            f"{str(wanted[0])[:12]} in {wanted[1]}",
            where=address,
            hint="use the model that made the gallery, or another gallery",
        )
