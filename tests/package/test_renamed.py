"""Options that were renamed: both names work, and the old one says what it is called now."""

from __future__ import annotations

import argparse
from importlib import import_module

import pytest

from sdcl_neuro.cli import VERBS
from sdcl_neuro.cli.renamed import add_renamed

# One name, one meaning: the verbs in which an option of that name may stand.
SIZES = {"--frame-size": "WxH", "--sensor": "WxH", "--size": "HxW", "--resize": "HxW"}


def _parsers(verb: str) -> list[argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(prog=f"sdcl-neuro {verb}")
    import_module(f"sdcl_neuro.cli.{VERBS[verb][0]}").add_arguments(parser)
    nested = [
        one
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for one in action.choices.values()
    ]
    return [parser, *nested]


def _shown() -> dict[str, set[tuple[str | None, type | None]]]:
    """Options that --help shows, with the forms of their values over all verbs."""
    found: dict[str, set[tuple[str | None, type | None]]] = {}
    for verb in VERBS:
        for parser in _parsers(verb):
            for action in parser._actions:
                if action.help is argparse.SUPPRESS or action.nargs == 0:
                    continue
                for name in action.option_strings:
                    found.setdefault(name, set()).add((str(action.metavar), action.type))
    return found


def test_sizes_rates_and_galleries_have_one_form_each() -> None:
    shown = _shown()
    for name, form in SIZES.items():
        assert {metavar for metavar, _ in shown[name]} == {form}, name
    assert "--rate" not in shown
    assert {metavar for metavar, _ in shown["--gallery"]} == {"GALLERY"}


@pytest.mark.parametrize("given", ["--new", "--old"])
def test_both_names_give_the_value(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="sdcl-neuro profile")
    add_renamed(parser, "--new", "--old", type=float, metavar="X", help="a figure")
    assert parser.parse_args([given, "0.5"]).new == 0.5
    assert parser.parse_args([]).new is None
    told = capsys.readouterr().err
    assert told == (
        "" if given == "--new" else
        "sdcl-neuro: --old of profile is now --new; the old name goes with the next release\n"
    )  # fmt: skip
    assert "--old" not in parser.format_help()
    with pytest.raises(SystemExit):
        parser.parse_args([given, "much"])
