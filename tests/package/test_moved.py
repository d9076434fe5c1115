"""Old import paths lead to the same modules, with a warning, for one release."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from sdcl_neuro._moved import MOVED, new_name


@pytest.mark.parametrize("old", sorted(MOVED))
def test_every_new_name_exists_and_no_old_one_does(old: str) -> None:
    new = new_name(f"sdcl_neuro.{old}")
    assert new is not None
    module = import_module(new)
    assert module.__name__ == new
    assert new_name(new) is None


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("sdcl_neuro.atomic", "write_json"),
        ("sdcl_neuro.bridge.fusion", "Fusion"),
        ("sdcl_neuro.conversion.model_file", "load"),
        ("sdcl_neuro.conversion.nir_format.graph", "from_nir"),
    ],
)
def test_an_old_name_is_the_same_module(
    old: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = new_name(old)
    assert new is not None
    today = import_module(new)
    spec = today.__spec__
    parts = old.split(".")
    for length in range(2, len(parts) + 1):
        part = ".".join(parts[:length])
        if new_name(part) is not None:  # today's packages stay as they are
            monkeypatch.delitem(sys.modules, part, raising=False)
    with pytest.warns(DeprecationWarning, match=r"is now sdcl_neuro\."):
        module = import_module(old)
    assert module is today
    assert module.__spec__ is spec
    assert module.__name__ == new
    assert not name or hasattr(module, name)
