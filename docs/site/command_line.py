"""The page of the command line, made from the parsers themselves.

Written as tables of our own rather than as ``--help`` prints it, so that it does not depend on the
version of Python or the width of a terminal.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module

from sdcl_neuro.cli import VERBS, common_arguments
from sdcl_neuro.cli.examples import EXAMPLES, begins

HEAD = """\
# Command line

Generated from the parsers; `sdcl-neuro VERB --help` prints the same. Exit codes: 0 done; 1 a check
said no; 2 bad usage or input; 3 the environment; 130 interrupted. For 1 to 3 the last line on
standard error names what, where and what to do; `--debug`, which every verb takes, shows the
traceback. `--quiet`, which every verb takes, too, prints results only.

"""
_COMMON = {"-h", "--help", "--quiet", "--debug"}


def page() -> str:
    """Return the page, with a section for every verb and a part for every action."""
    table = "".join(
        f"| [`{name}`](#{name}) | {_cell(summary)} |\n" for name, (_, summary) in VERBS.items()
    )
    parts = [HEAD, "| verb | what it does |\n|---|---|\n", table]
    for name, parser in parsers():
        parts.append(f"\n## {name}\n\n{_sentence(parser.description)}\n\n")
        lines = "\n".join(EXAMPLES[name])
        parts.append(f"{begins(name).capitalize()}:\n\n```text\n{lines}\n```\n\n")
        actions = _actions(parser)
        if not actions:
            parts.append(_arguments(f"sdcl-neuro {name}", parser))
        for action, inner in actions.items():
            parts.append(f"### {name} {action}\n\n{_sentence(inner.description)}\n\n")
            parts.append(_arguments(f"sdcl-neuro {name} {action}", inner))
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).rstrip() + "\n"


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every verb with its parser, made as the command line makes it."""
    for name, (module, summary) in VERBS.items():
        parser = argparse.ArgumentParser(prog=f"sdcl-neuro {name}", description=summary)
        common_arguments(parser)
        import_module(f"sdcl_neuro.cli.{module}").add_arguments(parser)
        yield name, parser


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: dict[str, argparse.ArgumentParser] = {}
    for one in parser._actions:
        if isinstance(one, argparse._SubParsersAction):
            found.update(one.choices)
    return found


def _arguments(program: str, parser: argparse.ArgumentParser) -> str:
    """Usage and tables of one parser; options that every verb takes are left out."""
    shown = [
        one
        for one in parser._actions
        if not _COMMON & set(one.option_strings) and one.help is not argparse.SUPPRESS
    ]
    words = [program]
    words += [_optional(one) for one in shown if not one.option_strings]
    words += [_option(one) for one in shown if one.option_strings and one.required]
    if any(one.option_strings and not one.required for one in shown):
        words.append("[OPTION ...]")
    text = f"```text\n{' '.join(words)}\n```\n\n"
    for group in parser._action_groups:
        rows = [one for one in group._group_actions if one in shown]
        if not rows:
            continue
        if group.title not in ("positional arguments", "options", "optional arguments"):
            note = f": {group.description}" if group.description else ""
            text += f"{_sentence(f'{group.title}{note}')}\n\n"
        text += "| argument | meaning |\n|---|---|\n"
        text += "".join(f"| `{_escaped(_option(one))}` | {_meaning(one)} |\n" for one in rows)
        text += "\n"
    return text


def _option(action: argparse.Action) -> str:
    value = _value(action)
    names = ", ".join(action.option_strings)
    return f"{names} {value}".strip() if names else value


def _value(action: argparse.Action) -> str:
    """What stands for the value of an argument, as --help shows it."""
    if action.nargs == 0:
        return ""
    if action.metavar is not None:
        value = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    elif action.choices is not None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = action.dest.upper() if action.option_strings else action.dest
    many = action.nargs in ("*", "+")
    return f"{value} ..." if many else value


def _optional(action: argparse.Action) -> str:
    value = _value(action)
    return f"[{value}]" if action.nargs in ("?", "*") else value


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "") % {"default": action.default, "prog": "sdcl-neuro"}
    if action.choices is not None and action.metavar is not None:
        text += f" ({', '.join(map(str, action.choices))})"
    return _cell(text)


def _sentence(text: str | None) -> str:
    text = (text or "").strip()
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else ""


def _cell(text: str) -> str:
    """A text in a table: its own bars and angle brackets spelled out."""
    return _escaped(" ".join(text.split())).replace("<", "&lt;").replace("*", "\\*")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
