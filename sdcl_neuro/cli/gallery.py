"""Galleries of persons: look, search, say who is who, forget, copy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.files import write_json

from . import common_arguments

if TYPE_CHECKING:
    from sdcl_neuro.reid.gallery import Gallery

SCHEMA = {"name": "sdcl_neuro.gallery", "version": 1}
SHOWN = 20  # persons and lines printed; the JSON has all of them
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Answer = tuple[dict[str, Any], list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    declared = {name: _action(actions, name, row[0]) for name, row in ACTIONS.items()}
    search = declared["search"]
    search.add_argument("--like", metavar="PERSON", help="a person of the gallery")
    search.add_argument(
        "--embeddings",
        metavar="FILE.npy",
        type=Path,
        help="file of query embeddings, floats [Q, D]",
    )
    search.add_argument(
        "--top", metavar="K", type=int, default=10, help="entries returned per query (10)"
    )
    search.add_argument(
        "--camera", metavar="NAME", action="append", help="only entries of this camera"
    )
    search.add_argument(
        "--approximate",
        action="store_true",
        help="search with the index that `gallery index` built (PostgreSQL)",
    )
    relabel = declared["relabel"]
    relabel.add_argument("ids", metavar="ID", type=int, nargs="+", help="number of an entry")
    relabel.add_argument("--to", metavar="NAME", help="label to set (default: remove the label)")
    merge = declared["merge"]
    merge.add_argument("person", metavar="PERSON", help="a label, or 'entry N'")
    merge.add_argument("into", metavar="INTO", help="label or entry that takes them over")
    forget = declared["forget"]
    forget.add_argument("person", metavar="PERSON", nargs="?", help="a label, or 'entry N'")
    forget.add_argument(
        "--older-than",
        metavar="AGE",
        help="only entries enrolled longer ago than this: 90m, 12h, 30d, 4w",
    )
    declared["retain"].add_argument("age", metavar="AGE", help="90m, 12h, 30d, 4w; or forever")
    declared["copy"].add_argument("target", metavar="TARGET", help="a new gallery, of any store")
    declared["audit"].add_argument(
        "--last", metavar="N", type=int, default=SHOWN, help=f"the newest N lines ({SHOWN})"
    )


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    common_arguments(parser)
    parser.add_argument(
        "gallery", metavar="GALLERY", help="a file, or postgresql://HOST/DATABASE[?gallery=NAME]"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="the answer as JSON")
    return parser


def execute(args: argparse.Namespace) -> int:
    """Do what is asked and print it."""
    from sdcl_neuro.reid.gallery import Gallery

    with Gallery(args.gallery, create=False) as gallery:
        answer, lines = ACTIONS[args.action][1](gallery, args)
        for line in lines:
            print(line)
        if args.json:
            head = {"schema": SCHEMA, "gallery": gallery.address, "action": args.action}
            write_json(args.json, {**head, **answer})
    return 0


def age(text: str) -> timedelta:
    """Read an age such as ``90m``, ``12h``, ``30d`` or ``4w``.

    Raises:
        InputError: anything else.
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdecimal() or len(number) > 6:
        raise InputError(f"age {text!r}", hint="give a number and m, h, d or w, such as 30d")
    return timedelta(**{_UNITS[unit]: int(number)})


def _info(gallery: Gallery, args: argparse.Namespace) -> Answer:
    entries = gallery.entries()
    persons: dict[str, int] = {}
    for entry in entries:
        persons[entry.name] = persons.get(entry.name, 0) + 1
    cameras = sorted({entry.camera for entry in entries if entry.camera is not None})
    kept = gallery.retention
    answer = {
        "model": gallery.model,
        "dimension": gallery.dimension,
        "engine": gallery.engine,
        "entries": len(entries),
        "persons": persons,
        "cameras": cameras,
        "retain_s": None if kept is None else kept.total_seconds(),
    }
    lines = [
        f"{gallery.address}: {number_of(len(entries), 'entry')}, "
        f"{number_of(len(persons), 'person')}, "
        f"{number_of(len(cameras), 'camera')}, {gallery.dimension} dimensions",
        f"model {gallery.model[:12]}, searched by {gallery.engine}, "
        f"entries kept {'without limit' if kept is None else f'for {kept}'}",
    ]
    ranked = sorted(persons.items(), key=lambda one: (-one[1], one[0]))
    lines += [f"  {name}: {count}" for name, count in ranked[:SHOWN]]
    if len(ranked) > SHOWN:
        lines.append(f"  and {len(ranked) - SHOWN:,} more; --json FILE lists them")
    return answer, lines


def _search(gallery: Gallery, args: argparse.Namespace) -> Answer:
    from sdcl_neuro.reid.gallery import Where

    if (args.like is None) == (args.embeddings is None):
        raise InputError("give --like PERSON or --embeddings FILE.npy", where="gallery search")
    own = [] if args.like is None else gallery.ids_of(args.like)
    queries = gallery.embeddings(own) if own else _queries(args.embeddings)
    found = gallery.search(
        queries,
        k=args.top + len(own),
        where=Where(cameras=args.camera),
        approximate=args.approximate,
    )
    kept = [[hit for hit in hits if hit.entry.id not in own][: args.top] for hits in found]
    answer = {
        "measure": "cosine",
        "hits": [
            [{**hit.entry.to_dict(), "cosine": 1.0 - hit.distance} for hit in hits] for hits in kept
        ],
    }
    lines = []
    for number, hits in enumerate(kept[:SHOWN]):
        name = f"entry {own[number]}" if own else f"query {number}"
        best = ", ".join(f"{hit.entry.name} ({1 - hit.distance:.3f})" for hit in hits)
        lines.append(f"{name}: {best or 'nothing found'}")
    if len(kept) > SHOWN:
        lines.append(f"and {len(kept) - SHOWN:,} more queries; --json FILE lists them")
    return answer, lines


def _queries(path: Path) -> Any:
    from sdcl_neuro.events.formats.npy import load_npy
    from sdcl_neuro.files.reading import reading, regular_file

    what, hint = "an array of numbers", "write it by numpy.save"
    size = regular_file(path, what=what, hint=hint).stat().st_size
    with reading(path, what, hint=hint), path.open("rb") as stream:
        try:
            return load_npy(stream, size)
        except InputError as error:
            raise InputError(f"not {what} ({error.what})", where=str(path), hint=hint) from None


def _relabel(gallery: Gallery, args: argparse.Namespace) -> Answer:
    count = gallery.relabel(args.ids, args.to)
    who = "not known" if args.to is None else args.to
    return {"entries": count}, [f"{count} of {number_of(len(args.ids), 'entry')}: {who}"]


def _merge(gallery: Gallery, args: argparse.Namespace) -> Answer:
    count = gallery.merge(args.person, args.into)
    return {"entries": count}, [f"{number_of(count, 'entry')} of {args.person}: now {args.into}'s"]


def _forget(gallery: Gallery, args: argparse.Namespace) -> Answer:
    older = None if args.older_than is None else age(args.older_than)
    count = gallery.forget(person=args.person, older_than=older)
    return {"entries": count}, [f"{number_of(count, 'entry')} erased"]


def _retain(gallery: Gallery, args: argparse.Namespace) -> Answer:
    gallery.retention = None if args.age == "forever" else age(args.age)
    kept = gallery.retention
    lines = [f"entries are kept {'without limit' if kept is None else f'for {kept}'}"]
    return {"retain_s": None if kept is None else kept.total_seconds()}, lines


def _copy(gallery: Gallery, args: argparse.Namespace) -> Answer:
    gallery.copy(args.target)
    return {"target": args.target}, [f"{number_of(len(gallery), 'entry')} copied to {args.target}"]


def _vacuum(gallery: Gallery, args: argparse.Namespace) -> Answer:
    gallery.vacuum()
    return {}, [f"{gallery.address}: rewritten, without anything of removed entries"]


def _audit(gallery: Gallery, args: argparse.Namespace) -> Answer:
    found = gallery.audit(args.last)
    lines = [
        f"{datetime.fromtimestamp(line.time_us / 1e6, UTC):%Y-%m-%d %H:%M:%S}  "
        f"{line.user}  {line.action}  {line.entries}"
        for line in found
    ]
    return {"audit": [line.to_dict() for line in found]}, lines


def _index(gallery: Gallery, args: argparse.Namespace) -> Answer:
    recall = gallery.build_index()
    text = f"index built; recall at 10 of {recall.queries} entries against the exact search"
    return {"recall": recall.recall, "queries": recall.queries}, [f"{text}: {recall.recall:.3f}"]


ACTIONS: dict[str, tuple[str, Callable[[Gallery, argparse.Namespace], Answer]]] = {
    "info": ("show who is in a gallery, and how long entries are kept", _info),
    "search": ("find the entries most like a person or given embeddings", _search),
    "relabel": ("say who entries are", _relabel),
    "merge": ("make two persons one", _merge),
    "forget": ("erase a person, or what is old, from rows, index and free pages", _forget),
    "retain": ("set how long entries are kept", _retain),
    "copy": ("copy to a new gallery, in a file or in PostgreSQL", _copy),
    "vacuum": ("rewrite a gallery without what was removed", _vacuum),
    "audit": ("list what was done, by whom and when", _audit),
    "index": ("build the index for approximate searches (PostgreSQL)", _index),
}
