"""The command line: a thin layer over the Python interface, one module a verb, imported lazily.

A verb's module has ``SUMMARY``, one line; ``add_arguments(parser)``; and ``execute(args)``, which
returns an exit code or raises one of `sdcl_neuro.errors`. A verb that sets ``passed_on`` gets the
options there that it does not know. ``EXTRA``, where it has one, names the
extra that the whole verb needs: what of it is missing is said before any work. ``FIRST``, where it
has one, is a line that is shown at once: libraries and a model may take seconds to load.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from sdcl_neuro import __version__
from sdcl_neuro.errors import SdclNeuroError, command_line
from sdcl_neuro.extras import missing, require_extra
from sdcl_neuro.files.places import FULL
from sdcl_neuro.files.reading import reason_of
from sdcl_neuro.notices import listening
from sdcl_neuro.processors import collect_later, telling, wait_asleep

from .examples import show_examples
from .parsing import Parser
from .printable import harmless, harmless_output, shortened

# Verb: (module, summary). Summaries live here so that --help imports nothing heavy.
VERBS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "run everything on a packaged clip: train, convert, prove, infer, report"),
    "train": ("train", "train a configuration; the same command again resumes it"),
    "convert": ("convert", "convert a checkpoint, .nir or .net to another format"),
    "verify": ("verify", "prove backends equal, spike for spike, and write the certificate"),
    "run": ("run", "run a network on a file of spikes"),
    "profile": ("profile", "spikes, synaptic operations, energy and latency on given hardware"),
    "hw": ("hw", "hardware profiles: list, show, fit, template"),
    "evaluate": ("evaluate", "measure mAP and CMC in float, in integers and as deployed"),
    "figures": ("figures", "draw the poster's figures from your own models and data, PNG and SVG"),
    "infer": ("infer", "hybrid re-identification on your own video and tracks"),
    "batch": ("batch", "infer over many clips, on this machine or a Ray cluster; resumes"),
    "live": ("live", "hybrid re-identification on a live stream"),
    "serve": ("serve", "watch many cameras with one gallery, on one page in the browser"),
    "gallery": ("gallery", "enrolled persons: info, search, relabel, merge, forget, and more"),
    "events": ("events", "event files: info, encode, simulate, view, align"),
    "data": ("data", "data sets: check a folder, simulate its events"),
    "models": ("models", "models of the package, and public ones: list, card, path, get"),
    "weights": ("weights", "weights of the frame branch: convert"),
    "check": ("check", "check a JSON file that a verb wrote against its schema"),
    "doctor": ("doctor", "show what is installed, and what each feature still needs"),
    "lava": ("lava", "Lava on this Python: install, status"),
}

DESCRIPTION = (
    "Spiking networks from snnTorch to Loihi, spike for spike and with proof, and SDCL's "
    "re-identification by frames and events. Every verb has --help."
)
INTERRUPTED = 130
READER_LEFT = 141
"""Exit code where the reader of our output has left, such as ``head``: 128 and SIGPIPE's 13."""


class Verb(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def execute(self, args: argparse.Namespace) -> int:
        """Run the verb; return its exit code."""


def common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every verb and every sub-verb understands."""
    parser.add_argument("--quiet", action="store_true", help="print results only, no progress")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def checkpoint_argument(parser: argparse.ArgumentParser) -> None:
    """Add the model of the verbs that take the packaged one where none is named."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        type=Path,
        nargs="?",
        help="the folder of a whole SDCL; left out, the packaged model (sdcl-neuro models list)",
    )


def threads_argument(parser: argparse._ActionsContainer) -> None:
    """Add the argument of every verb that computes in threads."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="largest number of processors to use (default: those that "
        "this process may use and others leave idle)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``sdcl-neuro``; return the exit code (see the README)."""
    if argv is None:  # a process of its own, not a call in someone's
        collect_later()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    if not _open_streams():
        what = "standard output is closed; redirect it, to /dev/null if it is not wanted"
        return _complain(what, code=2, debug=False)
    wait_asleep()  # before a verb loads torch
    try:
        with command_line(), harmless_output():
            code = _executed(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("sdcl-neuro: interrupted", file=sys.stderr)
        return INTERRUPTED
    except SdclNeuroError as error:
        return _complain(error, code=error.exit_code, debug=debug)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            return READER_LEFT
        where = f"{error.filename}: " if error.filename else ""
        if not where and error.errno in FULL:
            _give_up_output()
            where = "standard output: "
        return _complain(f"{where}{error.strerror or error}", code=2, debug=debug)
    except ModuleNotFoundError as error:
        return _complain(missing(error, "this command"), code=3, debug=debug)
    except MemoryError as error:
        return _complain(f"out of memory: {error}", code=3, debug=debug)
    except RecursionError as error:
        return _complain(f"nested too deeply: {error}", code=2, debug=debug)
    except Exception as error:
        trouble = _device_trouble(error) if isinstance(error, RuntimeError) else None
        return _complain(trouble or _unforeseen(error), code=3, debug=debug)


def _executed(arguments: list[str]) -> int:
    """Parse the arguments and run the verb; return its exit code."""
    parser = Parser(prog="sdcl-neuro", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"sdcl-neuro {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    # A sub-verb may have a verb's name (weights convert): the first that matches is the verb.
    wanted = next((argument for argument in arguments[:2] if argument in VERBS), None)
    for name, (module_name, summary) in VERBS.items():
        verb_parser = verbs.add_parser(name, help=summary, description=summary)
        # Only the verb that is asked for is imported: start-up stays below the cost of torch.
        if name == wanted:
            verb = cast(Verb, import_module(f".{module_name}", __name__))
            common_arguments(verb_parser)
            verb.add_arguments(verb_parser)
            show_examples(verb_parser, name)
            verb_parser.set_defaults(
                execute=verb.execute,
                extra=getattr(verb, "EXTRA", None),
                first=getattr(verb, "FIRST", None),
            )
    args, rest = parser.parse_known_args(arguments)
    # argparse gives a verb's list of KEY=VALUE only what stands before the first option.
    if rest and hasattr(args, "overrides") and not any(one.startswith("-") for one in rest):
        args.overrides, rest = [*args.overrides, *rest], []
    # And a checkpoint that may be left out it does not take behind an option (Python 3.11).
    if rest and getattr(args, "checkpoint", "") is None and not rest[0].startswith("-"):
        args.checkpoint, rest = Path(rest[0]), rest[1:]
    args.given = arguments
    if hasattr(args, "passed_on"):
        args.passed_on, rest = rest, []
    if rest:
        parser.unknown(rest, args)
    if args.extra is not None:
        require_extra(args.extra, args.verb)

    def show(line: str) -> None:
        # To one who waits at a terminal; what is redirected holds results and errors alone.
        if not args.quiet and sys.stderr.isatty():
            print(line, file=sys.stderr, flush=True)

    if args.first is not None:
        show(args.first)
    with telling(getattr(args, "threads", None)), listening(show):
        return cast(int, args.execute(args))


def _device_trouble(error: RuntimeError) -> str | None:
    """Return the message for an error of the GPU; None for any other. Imports no torch for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    first = " ".join(str(error).split("\n", 1)[0].split())
    if isinstance(error, torch.OutOfMemoryError):
        return f"{first}; give smaller batches or fewer samples at a time, or the device cpu"
    if isinstance(error, getattr(torch, "AcceleratorError", ())):
        return f"the GPU failed: {first}; try again, or give the device cpu"
    return None


def _open_streams() -> bool:
    """See that the three standard streams are open; return whether standard output was.

    A file opened later would otherwise get the number of a closed one, and what libraries print.
    """
    was_open = sys.stdout is not None
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, mode)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    return was_open


def _give_up_output() -> None:
    """Drop what waits for a standard output that is full, so that Python does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception) -> str:
    """Return what nothing above foresaw, in one line: where it arose in this package, and what it
    says.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if "sdcl_neuro" in frame.filename or "conversion" in frame.filename
    ]
    place = f" in {Path(own[-1].filename).stem}.{own[-1].name}" if own else ""
    return (
        f"unforeseen {type(error).__name__}{place}: {reason_of(error)}; "
        "this is a fault of sdcl-neuro: --debug shows where, please report it"
    )


def _reader_left() -> bool:
    """Return whether no one reads standard output any longer; nothing more is written to it
    then.
    """
    pipe, poll = sys.stdout.fileno(), select.poll()
    poll.register(pipe, select.POLLOUT)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), pipe)
    return True


def _complain(error: object, *, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"sdcl-neuro: {shortened(harmless(str(error)))}", file=sys.stderr)
    return code
