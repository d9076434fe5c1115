"""A wrong command line is answered with one line and exit code 2, by every verb and action."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module

import pytest

from sdcl_neuro.cli import VERBS, common_arguments, main
from sdcl_neuro.cli.parsing import Parser


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command, and the parser that reads what follows it."""
    for verb, (module, _) in VERBS.items():
        parser = Parser(prog=f"sdcl-neuro {verb}")
        common_arguments(parser)
        import_module(f"sdcl_neuro.cli.{module}").add_arguments(parser)
        inner = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
        if inner:
            yield from ((f"{verb} {name}", one) for name, one in inner[0].choices.items())
        else:
            yield verb, parser


PARSERS = dict(_parsers())


def _required(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [one for one in parser._actions if one.required and one.nargs != "*"]


def _name(action: argparse.Action) -> str:
    """Return what an error calls an argument."""
    if action.option_strings:
        return "/".join(action.option_strings)
    return str(action.metavar or action.dest)


def _line(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a wrong command; return the one line it is answered with."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("sdcl-neuro: ")
    return shown.err.rstrip("\n")


@pytest.mark.parametrize("command", [name for name, one in PARSERS.items() if _required(one)])
def test_what_is_missing_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = [_name(one) for one in _required(PARSERS[command])]
    said = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    verb = "are" if len(names) > 1 else "is"
    expected = f"{command}: {said} {verb} missing; see sdcl-neuro {command} --help"
    assert _line(command.split(), capsys) == f"sdcl-neuro: {expected}"


def test_some_verb_has_each_kind_of_required_argument() -> None:
    """Without them the test above would hold for nothing."""
    kinds = {bool(action.option_strings) for one in PARSERS.values() for action in _required(one)}
    assert kinds == {True, False}


# batch hands what it does not know to infer.
@pytest.mark.parametrize("command", [name for name in PARSERS if name != "batch"])
def test_what_is_unknown_is_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    for one in _required(PARSERS[command]):
        values = one.choices or "123456"
        count = one.nargs if isinstance(one.nargs, int) else 1
        words += [*one.option_strings[:1], *map(str, list(values)[:count])]
    assert _line([*words, "--qiuet"], capsys) == (
        f"sdcl-neuro: {command}: unrecognized arguments: --qiuet (did you mean --quiet?); "
        f"see sdcl-neuro {command} --help"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "no verb given; see sdcl-neuro --help"),
        ("convrt", "unknown verb 'convrt' (did you mean convert?); see sdcl-neuro --help"),
        ("xyz", "unknown verb 'xyz'; see sdcl-neuro --help"),
        (
            "hw",
            "hw: no action given; give one of list, show, fit, template; see sdcl-neuro hw --help",
        ),
        ("weights", "weights: no action given; give convert; see sdcl-neuro weights --help"),
        ("hw shwo", "hw: unknown action 'shwo' (did you mean show?); see sdcl-neuro hw --help"),
        (
            "run m.net --out",
            "run: argument --out: expected one argument; see sdcl-neuro run --help",
        ),
        (
            "run m.net --out \x1b[2J --spikes s.npz --threads \x1b[2J",
            r"run: argument --threads: invalid int value: '\x1b[2J'; see sdcl-neuro run --help",
        ),
        (
            "demo \x1b[2J",
            r"demo: unrecognized arguments: \x1b[2J; see sdcl-neuro demo --help",
        ),
    ],
)
def test_other_mistakes(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _line(words.split(), capsys) == f"sdcl-neuro: {expected}"


def test_a_long_argument_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(_line(["demo", "x" * 100_000], capsys)) < 3_000
