"""Docstrings of the public verbs: one style, and examples that run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

import sdcl_neuro
from sdcl_neuro import conversion

NO_EXAMPLE = {
    "load_hybrid": "needs a trained checkpoint",
    "simulate_sanafe": "needs SANA-FE",
    "reference_run": "is the other side of from_nir",
}
if find_spec("sinabs") is None:
    NO_EXAMPLE["to_speck"] = "needs sinabs"


def _verbs() -> dict[str, Callable[..., object]]:
    named = [(sdcl_neuro, name) for name in ("load", "run", "verify", "profile")]
    named += [(conversion, name) for name in conversion.__all__]
    found = {name: getattr(room, name) for room, name in named}
    return {name: verb for name, verb in found.items() if inspect.isfunction(verb)}


VERBS = _verbs()


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_says_what_it_takes_gives_and_refuses(name: str) -> None:
    text = inspect.getdoc(VERBS[name]) or ""
    sections = ("Args:", "Returns:", "Raises:", "Examples:")
    wanted = [s for s in sections if s != "Examples:" or name not in NO_EXAMPLE]
    places = [text.find(f"\n{section}\n") for section in wanted]
    assert min(places) > 0, (name, dict(zip(wanted, places, strict=True)))
    first = text.split("\n", 1)[0]
    assert first.endswith("."), first
    described = text[text.index("\nArgs:\n") : text.index("\nReturns:\n")]
    for parameter in inspect.signature(VERBS[name]).parameters:
        assert parameter in described, (name, parameter)


@pytest.mark.filterwarnings("ignore:.*never fires")
@pytest.mark.parametrize("name", [name for name in VERBS if name not in NO_EXAMPLE] + ["package"])
def test_its_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(sdcl_neuro if name == "package" else VERBS[name])
    assert text is not None
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples
    runner, said = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
