"""A parser that answers a wrong command line with one line: what, where, and where to read on."""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import NoReturn

from .printable import harmless, shortened

_REQUIRED = re.compile(r"the following arguments are required: (?P<names>.+)")
_ONE_OF = re.compile(r"one of the arguments (?P<names>.+) is required")
_CHOICE = re.compile(r"argument (?P<place>\S+): invalid choice: (?P<given>.+?) \(choose from ")
_UNKNOWN = "unrecognized arguments: "
_ACTIONS = ("VERB", "ACTION")
"""How a usage writes the place of a verb, or of one of its actions."""


class Parser(argparse.ArgumentParser):
    """Ends the process with exit code 2 and one line on standard error, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and which ``--help`` answers it."""
        _, _, verb = self.prog.partition(" ")
        where = f"{verb}: " if verb else ""
        said = shortened(harmless(f"{where}{self._plain(message)}"))
        self.exit(2, f"sdcl-neuro: {said}; see {self.prog} --help\n")

    def unknown(self, given: list[str], args: argparse.Namespace) -> NoReturn:
        """Say that arguments are unknown to the verb, or the action of it, that was asked for."""
        parser: argparse.ArgumentParser = self
        while (inner := _inner(parser)) is not None:
            parser = inner.choices[getattr(args, inner.dest)]
        parser.error(f"{_UNKNOWN}{' '.join(given)}")

    def _plain(self, message: str) -> str:
        """Return a message of argparse in our words, where they say more."""
        if found := _REQUIRED.fullmatch(message):
            names = [name for name in found["names"].split(", ") if not self._may_be_none(name)]
            if names[0] in _ACTIONS:
                return f"no {names[0].lower()} given{self._or_one_of(names[0])}"
            *most, last = names
            return f"{', '.join(most)} and {last} are missing" if most else f"{last} is missing"
        if found := _ONE_OF.fullmatch(message):
            return f"one of {', '.join(found['names'].split())} is missing"
        if found := _CHOICE.match(message):
            return self._not_a_choice(message, found["place"], found["given"].strip("'\""))
        if message.startswith(_UNKNOWN):
            wrong = message.removeprefix(_UNKNOWN).split()
            options = [name for one in self._actions for name in one.option_strings]
            near = _near(next((one for one in wrong if one.startswith("-")), ""), options)
            return f"{message}{near}"
        return message

    def _may_be_none(self, name: str) -> bool:
        """Return whether a positional takes any number of values, which argparse misses."""
        return any(one.nargs == "*" and one.metavar == name for one in self._actions)

    def _not_a_choice(self, message: str, place: str, given: str) -> str:
        inner = _inner(self)
        if inner is None or place not in (inner.metavar, inner.dest):
            return message
        near = _near(given, list(inner.choices))
        return f"unknown {place.lower()} {given!r}{near or self._or_one_of(place)}"

    def _or_one_of(self, place: str) -> str:
        inner = _inner(self)
        names = [] if inner is None or place == "VERB" else list(inner.choices)
        return f"; give {'one of ' if len(names) > 1 else ''}{', '.join(names)}" if names else ""


def _inner(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[Parser] | None:
    """Return what holds a parser's verbs or actions; None if it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action
    return None


def _near(word: str, names: list[str]) -> str:
    """Return a question for the name that a mistyped word resembles; dashes do not count."""
    plain = {name.lstrip("-"): name for name in names}
    found = get_close_matches(word.partition("=")[0].lstrip("-"), list(plain), n=1)
    return f" (did you mean {plain[found[0]]}?)" if found else ""
